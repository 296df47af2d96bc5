//! The commands, one file each: their options, and what they make of the answer of the host.

pub(crate) mod agent;
mod agent_exec;
pub(crate) mod attach;
pub(crate) mod autostart;
pub(crate) mod bandwidth;
pub(crate) mod block;
pub(crate) mod completions;
pub(crate) mod console;
pub(crate) mod define;
pub(crate) mod destroy;
pub(crate) mod detach;
pub(crate) mod display;
pub(crate) mod doctor;
pub(crate) mod domain_xml;
pub(crate) mod driver;
pub(crate) mod dump;
pub(crate) mod events;
pub(crate) mod firmware;
pub(crate) mod image;
pub(crate) mod limits;
pub(crate) mod link;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod media;
pub(crate) mod migrate;
pub(crate) mod native;
pub(crate) mod net;
pub(crate) mod pool;
pub(crate) mod reboot;
pub(crate) mod receive;
pub(crate) mod reset;
pub(crate) mod restore;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod save;
pub(crate) mod screenshot;
pub(crate) mod secret;
pub(crate) mod send_key;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod shutdown;
pub(crate) mod snapshot;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod suspend;
pub(crate) mod tenant;
pub(crate) mod undefine;
pub(crate) mod vol;

mod size;
pub(crate) mod sizing;
mod view;

use clap::Args;
use hostler_domains::DomainRef;

/// The domain that a command is about.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// Name or UUID of the domain
    #[arg(value_name = "DOMAIN")]
    domain: String,
}

impl Target {
    fn reference(&self) -> DomainRef {
        DomainRef::new(self.domain.as_str())
    }
}
