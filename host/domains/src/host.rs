//! The library's one entry: a state directory, held as its owner or opened as a reader.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use hostler_launch::TemplateSet;
use hostler_state::{Definition, Headline, Owner, StateDir, Uuid};

use crate::config::Config;
use crate::drivers::DriverSet;
use crate::error::{Error, Kind};

use crate::known::Silent;
use crate::migration::Paces;
use crate::recovery;
use crate::reference::DomainRef;
use crate::secrets::Ephemeral;
use crate::tenants::Tenancy;
use crate::unverified::Unverified;

/// How a state directory is opened.
#[derive(Clone, Copy, Debug)]
pub enum Access {
    /// As its one owner, who may change things. Waits this long for another owner to finish.
    Owner {
        /// How long to wait.
        wait: Duration,
    },
    /// As one of many readers. Never waits.
    Reader,
}

/// A state directory with the drivers of this host.
///
/// Methods are asynchronous where they talk to a driver or a hypervisor; what they do on the disk is a few
/// small files and blocks for well under a millisecond. Dropping a future of a verb that changes something
/// leaves its intent in the journal: the next owner finishes or undoes it.
pub struct Host {
    pub(crate) config: Config,
    pub(crate) drivers: DriverSet,
    pub(crate) tenancy: Option<Tenancy>,
    pub(crate) loaded_templates: OnceLock<Arc<TemplateSet>>,
    /// Held while a name is looked at and taken.
    pub(crate) naming: Mutex<()>,
    /// The number that the last run was given.
    pub(crate) last_run_number: Mutex<u32>,
    /// Secrets that are in no file.
    pub(crate) ephemeral: Ephemeral,
    /// Hypervisors that did not answer.
    pub(crate) silent: Silent,
    /// Those of which was told what is known.
    pub(crate) unverified: Unverified,
    /// How guests are sent.
    pub(crate) paces: Paces,
    held: Held,
}

/// How the state directory is held.
#[derive(Clone)]
pub(crate) enum Held {
    /// By us alone.
    Owner(Arc<Owner>),
    /// Not at all.
    Reader(Arc<StateDir>),
}

impl Held {
    /// The state directory, for reading.
    pub(crate) fn state(&self) -> &StateDir {
        match self {
            Self::Owner(owner) => owner,
            Self::Reader(state) => state,
        }
    }
}

/// What drivers have used is written down when a host is closed, whatever its verb came to.
impl Drop for Host {
    fn drop(&mut self) {
        self.keep_usage();
    }
}

impl Host {
    /// Opens the state directory. An owner first settles what an owner before it left unfinished.
    ///
    /// # Errors
    /// [`Kind::Busy`] naming the process that is at work; [`Kind::Denied`] when the directory is not ours
    /// alone, or the caller may not act for the tenant; [`Kind::Host`].
    pub async fn open(mut config: Config, access: Access) -> Result<Self, Error> {
        let mut tenancy = Tenancy::enter(&config)?;
        if let Some(tenancy) = &tenancy {
            config.state_dir = tenancy.state_dir()?;
        }
        let held = match access {
            Access::Reader => Held::Reader(Arc::new(StateDir::open_reader(&config.state_dir)?)),
            Access::Owner { wait } => {
                let root = config.state_dir.clone();
                let opened = tokio::task::spawn_blocking(move || StateDir::open_owner(&root, wait)).await;
                Held::Owner(Arc::new(opened.map_err(stopped)??))
            }
        };
        if let (Some(tenancy), Held::Owner(_)) = (&mut tenancy, &held) {
            tenancy.confirm()?;
        }
        if let Some(tenancy) = &tenancy {
            config.image_roots.clone_from(&tenancy.record.storage_roots);
        }
        let drivers = DriverSet::new(&config, &held, tenancy.as_ref())?;
        let host = Self {
            config,
            drivers,
            tenancy,
            loaded_templates: OnceLock::new(),
            naming: Mutex::new(()),
            last_run_number: Mutex::new(0),
            ephemeral: Ephemeral::default(),
            silent: Silent::default(),
            unverified: Unverified::default(),
            paces: Paces::default(),
            held,
        };
        if matches!(access, Access::Owner { .. }) {
            recovery::settle(&host).await?;
        }
        Ok(host)
    }

    /// The state directory, for reading.
    pub(crate) fn state(&self) -> &StateDir {
        self.held.state()
    }

    /// The state directory, for changing.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it was opened for reading only: a mistake of the program above.
    pub(crate) fn owner(&self) -> Result<&Arc<Owner>, Error> {
        match &self.held {
            Held::Owner(owner) => Ok(owner),
            Held::Reader(_) => Err(Error::new(
                Kind::Conflict,
                "host.read-only",
                "the state directory was opened for reading; this verb changes it",
            )),
        }
    }

    /// Says how others reach this process, which stays: whoever wants to change something is told so.
    ///
    /// # Errors
    /// [`Kind::Conflict`] for a reader; [`Kind::Host`] when it cannot be written down.
    pub fn announce(&self, address: &str) -> Result<(), Error> {
        Ok(self.owner()?.announce(address)?)
    }

    /// Takes that back, before this is closed: whoever comes now waits until it is.
    ///
    /// # Errors
    /// As [`Host::announce`].
    pub fn withdraw(&self) -> Result<(), Error> {
        Ok(self.owner()?.withdraw()?)
    }

    /// How the state directory is held.
    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    /// The definition that the user means.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the nearest names.
    pub(crate) fn find(&self, wanted: &DomainRef) -> Result<Definition, Error> {
        if let Some(found) = self.look_up(wanted)?
            && let Some(definition) = self.definition(found.uuid)?
        {
            return Ok(definition);
        }
        Err(self.no_such_domain(wanted))
    }

    /// The domain that the user means, by its identifier or its name; nothing when there is none.
    ///
    /// # Errors
    /// [`Kind::Host`] when the state directory cannot be read.
    pub(crate) fn look_up(&self, wanted: &DomainRef) -> Result<Option<Arc<Headline>>, Error> {
        let text = wanted.text();
        let uuid = Uuid::parse_str(text).ok();
        if let Some(uuid) = uuid
            && let Ok(Some(found)) = self.state().headline(uuid)
        {
            return Ok(Some(found));
        }
        if let Some(found) = self.state().headline_by_name(text)? {
            return Ok(Some(found));
        }
        // One that runs and has no definition any more.
        let lost = self.headlines()?;
        let is_meant = |found: &&Arc<Headline>| Some(found.uuid) == uuid || found.name == text;
        Ok(lost.iter().find(is_meant).map(Arc::clone))
    }

    /// That there is no such domain, with the nearest names.
    pub(crate) fn no_such_domain(&self, wanted: &DomainRef) -> Error {
        let text = wanted.text();
        let error = Error::new(Kind::NotFound, "domain.not-found", format!("no domain is called '{text}'"))
            .about("domain", text);
        let known = self.headlines().unwrap_or_default();
        match hostler_domain::nearest(text, known.iter().map(|headline| headline.name.as_str())) {
            Some(name) => error.hint(format!("did you mean '{name}'?")),
            None => error.hint_command("see which there are", "hostler list --all"),
        }
    }
}

/// A thread for blocking work that did not come back.
pub(crate) fn stopped(error: tokio::task::JoinError) -> Error {
    Error::new(Kind::Host, "host.thread", "a thread of the host stopped").caused_by(error)
}
