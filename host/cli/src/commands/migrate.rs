//! `hostler migrate`: lets a running guest go on in another state directory.

use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use hostler_domains::{MigrateOptions, MigrationAddress, MigrationWatch};

use super::{Target, size, view};
use crate::failure::Stop;
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Let a running guest go on in another state directory
///
/// The destination waits for it with 'hostler receive ADDRESS'. The guest runs here until all of it
/// is there, and stands still for a moment at the end. Its disks must be the same files there: they
/// are not copied. What a UEFI guest has stored in variables goes with it. An interrupt gives the
/// migration up, and the guest goes on here.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    target: Target,
    /// Where it is waited for: unix:PATH or tcp:HOST:PORT
    #[arg(long, value_name = "ADDRESS", required_unless_present = "take_back", conflicts_with = "take_back")]
    to: Option<MigrationAddress>,
    /// Send at most RATE a second, such as 20MiB
    #[arg(long, value_name = "RATE", value_parser = size::parse)]
    bandwidth: Option<u64>,
    /// Let the guest stand still for at most MS milliseconds at the end
    #[arg(long, value_name = "MS")]
    max_downtime: Option<u64>,
    /// Leave its processors stopped there
    #[arg(long)]
    paused: bool,
    /// Define the domain there; otherwise it is forgotten there when it ends
    #[arg(long)]
    persist: bool,
    /// Forget the domain here once its guest is there
    #[arg(long)]
    undefine_source: bool,
    /// Let the guest's memory go over a network, where others can read and change it
    #[arg(long)]
    insecure_network: bool,
    /// Take a guest back that was given away and does not run at its destination, nor ever will
    #[arg(long)]
    take_back: bool,
}

impl Migrate {
    /// Sends it and says how it went.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        match self.to.clone() {
            Some(to) => self.send(session, &to),
            None => self.back(session),
        }
    }

    fn options(&self) -> MigrateOptions {
        MigrateOptions {
            bandwidth: self.bandwidth,
            downtime_ms: self.max_downtime,
            paused: self.paused,
            persist: self.persist,
            undefine_source: self.undefine_source,
            insecure_network: self.insecure_network,
        }
    }

    fn send(&self, session: &Session, to: &MigrationAddress) -> Result<Reply, Stop> {
        let progress = session.output().progress(&format!("sending '{}' to {to}", self.target.reference()));
        let mut teller = progress.teller();
        let given_up = AtomicBool::new(false);
        let migrated = session.event_loop(async {
            let mut signals = session.signals()?;
            let is_given_up = || given_up.load(Ordering::Relaxed);
            let mut watch = MigrationWatch { tell: &mut *teller, cancelled: &is_given_up };
            let sending = async {
                let host = session.owner().await?;
                Ok(host.migrate(&self.target.reference(), to, self.options(), &mut watch).await?)
            };
            let mut sending = std::pin::pin!(sending);
            loop {
                tokio::select! {
                    migrated = &mut sending => break migrated,
                    // It is looked at between two looks at the hypervisor, and what was begun is undone.
                    () = signals.received() => given_up.store(true, Ordering::Relaxed),
                }
            }
        });
        drop(progress);
        let migrated = migrated?;
        let name = &migrated.summary.name;
        let mut blocks = vec![
            Block::Line(format!("domain '{name}' goes on at {to}")),
            Block::Line(format!(
                "it stood still for {} ms; {} sent in {} ms",
                migrated.downtime_ms,
                quantity::size(migrated.transferred),
                migrated.total_ms
            )),
        ];
        if migrated.undefined {
            blocks.push(Block::Line(format!("domain '{name}' is forgotten here")));
        }
        Ok(Reply::confirmation(view::to_json(&migrated)?, blocks))
    }

    fn back(&self, session: &Session) -> Result<Reply, Stop> {
        let summary = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.take_guest_back(&self.target.reference()).await?)
        })?;
        let line = format!("domain '{}' is {} here again", summary.name, summary.state.word());
        Ok(Reply::confirmation(view::to_json(&summary)?, vec![Block::Line(line)]))
    }
}
