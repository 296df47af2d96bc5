//! `attach`, `detach`, `media` and `link`: the devices of a domain, while it runs and as it is stored.
//!
//! What a running guest is made of changes under an intent. A command that is killed in the middle of it is finished or
//! undone by the next owner, who asks the driver which of the two documents is true.

mod attach;
mod change;
mod detach;
mod edit;
mod limits;
mod link;
mod media;
mod password;
mod replace;
mod settle;
mod sizing;

use hostler_state::Definition;
use serde::Serialize;

pub use limits::DiskLimit;
pub use media::{Medium, MediumChange};
pub use password::DisplayPassword;
pub(crate) use settle::{settle_leaving, settled};
pub use sizing::Sized;
pub(crate) use sizing::sized;

use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::summary::DomainSummary;
use crate::verbs::Which;

/// Where a change is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only in the guest that runs.
    pub live: bool,
    /// Only in the stored definition.
    pub config: bool,
}

impl Scope {
    /// Which document whoever asks in these words is to be shown.
    #[must_use]
    pub fn which(self) -> Which {
        if self.config { Which::Stored } else { Which::Current }
    }
}

/// What became of a change.
#[derive(Clone, Debug, Serialize)]
pub struct Changed {
    /// The domain.
    #[serde(flatten)]
    pub summary: DomainSummary,
    /// The device, by its kind and name: `disk vdb`.
    pub device: String,
    /// Whether the guest that runs has been changed.
    pub live: bool,
    /// Whether the stored definition has been changed.
    pub stored: bool,
    /// Whether the guest was asked to let go of the device, and has it still.
    pub leaving: bool,
}

/// Where a change is made, of the places that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verbs) struct Places {
    pub(in crate::verbs) live: bool,
    pub(in crate::verbs) stored: bool,
}

impl Host {
    /// Where a change of this domain is made: in the guest if it runs and in the definition if it is kept, or in the one that
    /// is asked for.
    pub(super) fn places(&self, definition: &Definition, scope: Scope) -> Result<Places, Error> {
        let runs = self.state().run_dir(definition.uuid).is_held()?;
        let wanted = |own: bool, other: bool, there: bool| own || (!other && there);
        let places = Places {
            live: wanted(scope.live, scope.config, runs),
            stored: wanted(scope.config, scope.live, definition.persistent),
        };
        if places.live && !runs {
            let message = format!("the domain '{}' is off", definition.name);
            return Err(Error::new(Kind::Conflict, "domain.off", message)
                .about("domain", &definition.name)
                .hint_command("start it", command("start", &definition.name))
                .hint("or change its stored definition: --config"));
        }
        if places.stored && !definition.persistent {
            let message =
                format!("'{}' has no stored definition: it is forgotten when it ends", definition.name);
            return Err(Error::new(Kind::Conflict, "domain.transient", message)
                .about("domain", &definition.name)
                .hint("change the guest that runs: --live"));
        }
        Ok(places)
    }

    /// Refuses a driver whose guests keep their devices.
    fn require_hotplug(
        &self,
        definition: &Definition,
    ) -> Result<std::sync::Arc<hostler_runtime::Driver>, Error> {
        let driver = self.drivers.by_name(&definition.driver)?;
        if driver.has("hotplug") {
            return Ok(driver);
        }
        let message = format!("the driver '{}' changes no devices while a guest runs", definition.driver);
        Err(Error::new(Kind::Unsupported, "driver.no-hotplug", message)
            .about("domain", &definition.name)
            .hint("change its stored definition, which counts from its next start: --config"))
    }
}
