//! `hostler attach`: one more device.

use std::path::PathBuf;

use clap::Args;
use hostler_domains::{Changed, Scope};

use super::{Target, view};
use crate::failure::Stop;
use crate::input;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Where a change is made: an option that each command which changes devices has
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Where {
    /// Change the guest that runs, and not the stored definition: the change ends with this run
    #[arg(long)]
    live: bool,
    /// Change the stored definition, and not the guest that runs: the change counts from the next start
    #[arg(long)]
    config: bool,
}

impl Where {
    /// As the host has it.
    pub(crate) fn scope(self) -> Scope {
        Scope { live: self.live, config: self.config }
    }
}

/// Add a device to a domain: a disk, a network interface, a channel …
///
/// The device is given as its element, as it would stand in the domain XML. It is plugged into the guest
/// that runs, if it runs, and stored in the definition, if there is one; --live and --config choose one of
/// both. It gets the same address in both. Nothing changes if any part of it is refused. With QEMU a guest that
/// runs takes disks, interfaces, channels, controllers (scsi, virtio-serial), input devices, sources of
/// randomness and watchdogs.
#[derive(Debug, Args)]
pub(crate) struct Attach {
    #[command(flatten)]
    target: Target,
    /// File with the element of one device; '-' reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    scope: Where,
}

impl Attach {
    /// Adds it and says where.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let element = input::document(&self.file, session)?;
        let changed = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.attach(&self.target.reference(), &element, self.scope.scope()).await?)
        });
        let changed = changed.map_err(|stop| stop.in_file(&self.file))?;
        let line = format!("{} attached to '{}'{}", changed.device, changed.summary.name, places(&changed));
        Ok(Reply::confirmation(view::to_json(&changed)?, vec![Block::Line(line)]))
    }
}

/// Where something was changed.
pub(crate) fn places(changed: &Changed) -> &'static str {
    place(changed.live, changed.stored)
}

/// In the guest that runs, in the definition, or both.
pub(crate) fn place(live: bool, stored: bool) -> &'static str {
    match (live, stored) {
        (true, true) => ", in the running guest and in its definition",
        (true, false) => ", in the running guest only",
        _ => ", in its definition; it counts from the next start",
    }
}
