//! Guests that go on in another state directory: how the two sides find, hear and believe each other.
//!
//! The side that sends runs the guest until the journal has it that it was given away ([`step::GIVEN`]), which comes after
//! the other side has said that all of it is there, and before that one is told to let it go on. So whoever is killed:
//! before that step the guest goes on where it was, for nobody has told the other side; after it the guest is only taken
//! back when the other side has it written down that it never went on there ([`MigrationOutcome::Refused`]).

mod address;
mod channel;
mod offered;
mod pace;
mod record;
mod settle;

use serde::Serialize;

use crate::summary::DomainSummary;

pub use address::{MigrationAddress, MigrationListener};
pub use offered::OfferedGuest;
pub use pace::MigrationPace;

pub(crate) use channel::{Channel, Direction, FirstLine, Message, Offer, Refusal, SHORT_WAIT};
pub(crate) use offered::token;
pub(crate) use pace::Paces;
pub(crate) use record::{Given, Taking, step};
pub(crate) use settle::{in_doubt, settle_receive, settle_send};

/// How a guest is sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct MigrateOptions {
    /// Most bytes a second; what was said before ([`crate::Host::set_migration_pace`]), or as fast as it goes, if not said.
    pub bandwidth: Option<u64>,
    /// How long the guest may stand still at its end, in milliseconds; as the hypervisor has it if not said.
    pub downtime_ms: Option<u64>,
    /// Leave its processors stopped there.
    pub paused: bool,
    /// Define the domain there; otherwise it is forgotten there when it ends.
    pub persist: bool,
    /// Forget the domain here once its guest is there.
    pub undefine_source: bool,
    /// Let the guest's memory go over a network that anybody between can read.
    pub insecure_network: bool,
}

/// Who watches a migration.
pub struct MigrationWatch<'a> {
    /// Is told which share is done, from 0 to 1.
    pub tell: &'a mut (dyn FnMut(f64) + Send),
    /// Whether it is to be given up; asked every half a second, until the guest is given away.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

/// A guest that was sent.
#[derive(Clone, Debug, Serialize)]
pub struct Migrated {
    /// The domain, as it stands here now.
    #[serde(flatten)]
    pub summary: DomainSummary,
    /// Where its guest is.
    pub to: String,
    /// How long the guest stood still, in milliseconds.
    pub downtime_ms: u64,
    /// How long it all took, in milliseconds.
    pub total_ms: u64,
    /// How much of the guest's memory was sent, in bytes.
    pub transferred: u64,
    /// Whether the domain is forgotten here.
    pub undefined: bool,
}
