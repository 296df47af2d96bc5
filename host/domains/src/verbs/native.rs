//! `native`: the command line that a start would run, without running it.

use hostler_launch::{CommandLine, Plan};
use hostler_state::Uuid;

use crate::context::{Purpose, Subject};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::DomainRef;

/// What to show the command line of.
#[derive(Clone, Debug)]
pub enum NativeSource {
    /// A defined domain.
    Domain(DomainRef),
    /// A document that need not be defined.
    Xml(String),
}

/// What a start would run.
#[derive(Clone, Debug)]
pub struct NativeLaunch {
    /// The hypervisor.
    pub program: CommandLine,
    /// What would be started beside it, before it: names and command lines.
    pub companions: Vec<(String, CommandLine)>,
}

impl Host {
    /// The launch that the driver would ask for, with real paths in place of descriptors. Images are looked at
    /// as a start would; nothing is changed.
    ///
    /// With `comparison`, it is written as libvirt would write it, to be held against libvirt's own; then no
    /// image is looked at, and what a document does not declare below one is left out.
    ///
    /// # Errors
    /// What `define` and `start` refuse in the document; [`Kind::Unsupported`] when the driver cannot show it.
    pub async fn native(&self, source: NativeSource, comparison: bool) -> Result<NativeLaunch, Error> {
        let (driver, subject) = match source {
            NativeSource::Domain(wanted) => {
                let definition = self.find(&wanted)?;
                (self.drivers.by_name(&definition.driver)?, Subject::of(&definition))
            }
            NativeSource::Xml(xml) => {
                let domain = hostler_domain::Domain::parse(&xml)?;
                let driver = self.drivers.for_type(domain.kind.as_str())?;
                let uuid =
                    domain.uuid.as_ref().map_or_else(Uuid::nil, |uuid| Uuid::from_bytes(*uuid.as_bytes()));
                (driver, Subject { uuid, name: domain.name.as_str().to_owned(), xml })
            }
        };
        if !driver.has_native_config() {
            let message = format!("the driver '{}' cannot show a launch", driver.manifest().name);
            return Err(Error::new(Kind::Unsupported, "driver.no-native-config", message));
        }
        let context =
            self.context_for(&subject, if comparison { Purpose::Compare } else { Purpose::Examine })?;
        let recorded = driver.show(&context).await?;
        let templates = self.templates()?;
        let describe = |plan: &Plan| {
            let template = templates.get(&plan.template)?;
            hostler_launch::describe_unchecked(plan, &recorded.handles, template)
        };
        let mut companions = Vec::with_capacity(recorded.companions.len());
        for companion in &recorded.companions {
            companions.push((companion.name.clone(), describe(&companion.plan)?));
        }
        Ok(NativeLaunch { program: describe(&recorded.plan)?, companions })
    }
}
