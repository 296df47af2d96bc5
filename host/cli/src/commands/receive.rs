//! `hostler receive`: takes a running guest from another state directory.

use clap::Args;
use hostler_domains::{MigrationAddress, MigrationListener};

use super::start;
use crate::definition::{Seconds, seconds};
use crate::failure::Stop;
use crate::output::Reply;
use crate::session::Session;

/// Wait for a guest that 'migrate' sends, and let it go on here
///
/// One guest is taken. On a unix socket only the same user and root may send one. TCP is neither
/// encrypted nor authenticated: without --insecure-network it is taken from this machine alone.
/// From another machine let ssh carry it: 'ssh -L /tmp/there.sock:/path/of/receiver.sock HOST'.
/// Other commands can change this state directory while no guest comes.
#[derive(Debug, Args)]
pub(crate) struct Receive {
    /// Where to wait: unix:PATH or tcp:HOST:PORT; port 0 for any that is free
    #[arg(value_name = "ADDRESS")]
    address: MigrationAddress,
    /// Wait at most SECS seconds for a guest
    #[arg(long, value_name = "SECS", value_parser = seconds, default_value = "600")]
    timeout: Seconds,
    /// Take guests from other machines too, from anybody who can reach the port
    #[arg(long)]
    insecure_network: bool,
}

impl Receive {
    /// Waits for it and shows with what it runs.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let started = session.block_on(async {
            // Whoever owns the state directory for long is to wait for it, and not we.
            drop(session.owner().await?);
            let listener = MigrationListener::open(&self.address, self.insecure_network).await?;
            session.output().note(&format!("waiting for a guest at {}", listener.address()));
            let offered = async { Ok(listener.offered(self.timeout.0).await?) };
            let offered = session.unless_abandoned(offered).await?;
            session.output().note(&format!("a guest comes: '{}'", offered.name()));
            let host = match session.owner().await {
                Ok(host) => host,
                Err(stop) => {
                    offered.refuse("its state directory cannot be changed now").await;
                    return Err(stop);
                }
            };
            Ok(host.receive(offered, &listener).await?)
        })?;
        start::warn(session, &started);
        start::reply(&started)
    }
}
