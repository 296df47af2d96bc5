//! What an owner knows of its domains without reading: it alone writes their records, so what it wrote is what there is.
//!
//! The index is made when the directory is swept, in one pass with that, and changed where records are written. Readers have
//! none: they look at the files each time, for somebody else changes them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use uuid::Uuid;

use crate::autostart::WANTED;
use crate::definition::{DRIVER_STATE, Definition};
use crate::error::{Kind, StateError};
use crate::layout::StateDir;

/// The fewest domains that are worth a thread.
const PART_MIN: usize = 64;

/// A definition without its document: what listings and lookups need.
#[derive(Clone, Debug)]
pub struct Headline {
    /// Identifies the domain for ever.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// The name of the driver that runs it: one text for whoever is told of it, for listings are long.
    pub driver: Arc<str>,
    /// Whether it outlives its process.
    pub persistent: bool,
    figures: OnceLock<Figures>,
}

/// What listings show of a document. Who has read it keeps that here, for as long as the definition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Memory that the guest is given at most, in bytes.
    pub memory_bytes: u64,
    /// Memory that it has of that, in bytes.
    pub current_memory_bytes: u64,
    /// Processors that the guest is given at most.
    pub vcpus: u32,
    /// Processors that it has of those.
    pub current_vcpus: u32,
    /// Why nothing is known, if the document cannot be read.
    pub problem: Option<String>,
}

impl Headline {
    /// What a definition begins with.
    #[must_use]
    pub fn of(definition: &Definition) -> Self {
        let Definition { uuid, name, driver, persistent, .. } = definition;
        Self::new(*uuid, name.clone(), driver.clone(), *persistent)
    }

    pub(crate) fn new(uuid: Uuid, name: String, driver: String, persistent: bool) -> Self {
        Self { uuid, name, driver: driver.into(), persistent, figures: OnceLock::new() }
    }

    /// What was kept of the document.
    #[must_use]
    pub fn figures(&self) -> Option<&Figures> {
        self.figures.get()
    }

    /// Keeps what was read in the document; the first to do so wins, and all have read the same.
    pub fn keep_figures(&self, figures: Figures) -> &Figures {
        self.figures.get_or_init(|| figures)
    }
}

impl From<Definition> for Headline {
    fn from(definition: Definition) -> Self {
        let Definition { uuid, name, driver, persistent, .. } = definition;
        Self::new(uuid, name, driver, persistent)
    }
}

/// The index of an owner.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Nothing when a record could not be read: whoever asks next makes it anew, or is told why that cannot be.
    known: RwLock<Option<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    domains: HashMap<Uuid, Entry>,
    /// The same by their names, which are unique, unless somebody has put records back by hand.
    names: BTreeMap<(String, Uuid), Entry>,
    /// Domains with a run directory, which may run. Whoever has none does not.
    runs: BTreeSet<Uuid>,
}

#[derive(Clone, Debug)]
struct Entry {
    headline: Arc<Headline>,
    autostart: bool,
    driver_state: bool,
}

impl Known {
    fn of(runs: Vec<Uuid>, entries: Vec<Option<Entry>>) -> Self {
        let named = |entry: &Entry| ((entry.headline.name.clone(), entry.headline.uuid), entry.clone());
        // All at once: that is sorted once, and looks for no place for each.
        let names = entries.iter().flatten().map(named).collect();
        let domains = entries.into_iter().flatten().map(|entry| (entry.headline.uuid, entry)).collect();
        Self { domains, names, runs: runs.into_iter().collect() }
    }

    fn put(&mut self, entry: Entry) {
        let (uuid, name) = (entry.headline.uuid, entry.headline.name.clone());
        self.forget(uuid);
        self.names.insert((name, uuid), entry.clone());
        self.domains.insert(uuid, entry);
    }

    fn forget(&mut self, uuid: Uuid) {
        if let Some(entry) = self.domains.remove(&uuid) {
            self.names.remove(&(entry.headline.name.clone(), uuid));
        }
    }

    fn named(&self, name: &str) -> Option<&Arc<Headline>> {
        let first = self.names.range((name.to_owned(), Uuid::nil())..).next();
        let (_, entry) = first.filter(|((found, _), _)| found == name)?;
        Some(&entry.headline)
    }

    /// Whether something of a domain may live.
    fn may_live(&self, entry: &Entry) -> bool {
        entry.driver_state || self.runs.contains(&entry.headline.uuid)
    }
}

impl Index {
    /// Changes what is known. An index that was not made yet needs no change: it will be read from the files.
    fn change(&self, change: impl FnOnce(&mut Known)) {
        if let Some(known) = self.known.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
            change(known);
        }
    }

    pub(crate) fn forget(&self, uuid: Uuid) {
        self.change(|known| known.forget(uuid));
    }

    /// A run directory is about to be there.
    pub(crate) fn run_begins(&self, uuid: Uuid) {
        self.change(|known| known.runs.extend([uuid]));
    }

    /// A run directory is gone.
    pub(crate) fn run_gone(&self, uuid: Uuid) {
        self.change(|known| known.runs.retain(|run| *run != uuid));
    }
}

impl StateDir {
    /// Every definition without its document, sorted by name; damaged ones as in [`StateDir::definitions`].
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn headlines(&self) -> Result<Vec<Arc<Headline>>, StateError> {
        Ok(self.headlines_and_life()?.into_iter().map(|(headline, _)| headline).collect())
    }

    /// The same, each with whether something of the domain may live: of one where nothing does that need not be looked at.
    ///
    /// # Errors
    /// As [`StateDir::headlines`].
    pub fn headlines_and_life(&self) -> Result<Vec<(Arc<Headline>, bool)>, StateError> {
        let known = self.known(|known| {
            let entries = known.names.values();
            entries.map(|entry| (Arc::clone(&entry.headline), known.may_live(entry))).collect()
        })?;
        match known {
            Some(headlines) => Ok(headlines),
            None => Ok(self.definitions()?.into_iter().map(|found| (Arc::new(found.into()), true)).collect()),
        }
    }

    /// The definition of one domain without its document, or nothing.
    ///
    /// # Errors
    /// As [`StateDir::definition_by_uuid`].
    pub fn headline(&self, uuid: Uuid) -> Result<Option<Arc<Headline>>, StateError> {
        match self.known(|known| known.domains.get(&uuid).map(|entry| Arc::clone(&entry.headline)))? {
            Some(found) => Ok(found),
            None => Ok(self.definition_by_uuid(uuid)?.map(|found| Arc::new(found.into()))),
        }
    }

    /// The definition with this name without its document, or nothing.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn headline_by_name(&self, name: &str) -> Result<Option<Arc<Headline>>, StateError> {
        match self.known(|known| known.named(name).map(Arc::clone))? {
            Some(found) => Ok(found),
            None => Ok(self.headlines()?.into_iter().find(|headline| headline.name == name)),
        }
    }

    /// Whether the domain's driver has stored a document that says anything.
    ///
    /// # Errors
    /// As [`StateDir::driver_state`].
    pub fn has_driver_state(&self, domain: Uuid) -> Result<bool, StateError> {
        match self.known(|known| known.domains.get(&domain).map(|entry| entry.driver_state))? {
            Some(Some(there)) => Ok(there),
            _ => Ok(self.driver_state(domain)?.is_some_and(|document| !document.is_empty())),
        }
    }

    /// The domains that have a run directory. That there is one does not mean that the domain runs.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn runs(&self) -> Result<Vec<Uuid>, StateError> {
        match self.known(|known| known.runs.iter().copied().collect())? {
            Some(runs) => Ok(runs),
            None => self.uuids_in("run"),
        }
    }

    /// Whether a shim or hypervisor of this domain lives: as [`crate::RunDir::is_held`], without a look at a directory that
    /// is not there.
    ///
    /// # Errors
    /// [`Kind::Io`]: then nothing is known.
    pub fn is_held(&self, domain: Uuid) -> Result<bool, StateError> {
        match self.known(|known| known.runs.contains(&domain))? {
            Some(false) => Ok(false),
            _ => self.run_dir(domain).is_held(),
        }
    }

    /// Whether a domain is started by itself, as the index knows.
    pub(crate) fn known_autostart(&self, domain: Uuid) -> Result<Option<bool>, StateError> {
        Ok(self.known(|known| known.domains.get(&domain).map(|entry| entry.autostart))?.flatten())
    }

    /// Looks at a domain anew, of which something was written or removed, or was to be.
    pub(crate) fn index_again(&self, uuid: Uuid) {
        let Some(index) = &self.index else { return };
        // Held while the files are read: what is written meanwhile is looked at after this.
        let mut guard = index.known.write().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = guard.as_mut() else { return };
        match self.names_in(&self.domain_dir(uuid)).and_then(|names| self.entry(uuid, &names)) {
            Ok(Some(entry)) => known.put(entry),
            Ok(None) => known.forget(uuid),
            // Whoever asks next is told why.
            Err(_) => *guard = None,
        }
    }

    /// What the index knows; nothing where there is none, for this is not the owner.
    fn known<T>(&self, read: impl Fn(&Known) -> T) -> Result<Option<T>, StateError> {
        let Some(index) = &self.index else { return Ok(None) };
        if let Some(known) = index.known.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
            return Ok(Some(read(known)));
        }
        // Held while the files are read, so that nothing is written and missed.
        let mut known = index.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = Some(self.learn()?);
        }
        Ok(known.as_ref().map(read))
    }

    /// Sweeps the directories of all domains, and makes the index of what stays there. A record that cannot be read is no
    /// reason not to become the owner.
    pub(crate) fn sweep_domains(&self) -> Result<(), StateError> {
        let domains = self.uuids_in("domains")?;
        let learnt = in_parts(&domains, |uuid| {
            let stay = self.sweep_domain(uuid)?;
            Ok(self.entry(uuid, &stay))
        })?;
        if let (Some(index), Ok(entries)) = (&self.index, learnt.into_iter().collect::<Result<Vec<_>, _>>()) {
            let known = Known::of(self.uuids_in("run")?, entries);
            *index.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
        }
        Ok(())
    }

    fn learn(&self) -> Result<Known, StateError> {
        let runs = self.uuids_in("run")?;
        let domains = self.uuids_in("domains")?;
        let entries = in_parts(&domains, |uuid| self.entry(uuid, &self.names_in(&self.domain_dir(uuid))?))?;
        Ok(Known::of(runs, entries))
    }

    /// What the files of a domain say, of which these lie in its directory; nothing when it has no definition, or a damaged
    /// one.
    fn entry(&self, uuid: Uuid, names: &[String]) -> Result<Option<Entry>, StateError> {
        if names.is_empty() {
            return Ok(None);
        }
        let headline = match self.read_headline(uuid) {
            Err(error) if error.kind == Kind::Corrupt => None,
            found => found?,
        };
        let Some(headline) = headline.map(Arc::new) else { return Ok(None) };
        let driver_state = names.iter().any(|name| name.starts_with(DRIVER_STATE))
            && self.driver_state(uuid)?.is_some_and(|document| !document.is_empty());
        let autostart = names.iter().any(|name| name == WANTED);
        Ok(Some(Entry { headline, autostart, driver_state }))
    }
}

/// Does the same for each domain: on all processors where there are many, for most of it is waiting for the kernel.
fn in_parts<T: Send>(
    domains: &[Uuid],
    work: impl Fn(Uuid) -> Result<T, StateError> + Sync,
) -> Result<Vec<T>, StateError> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let part = domains.len().div_ceil(processors).max(PART_MIN);
    let each = |part: &[Uuid]| part.iter().map(|uuid| work(*uuid)).collect::<Result<Vec<_>, _>>();
    let Some((own, others)) = domains.split_at_checked(part) else { return each(domains) };
    std::thread::scope(|scope| {
        let others: Vec<_> = others.chunks(part).map(|part| scope.spawn(move || each(part))).collect();
        let mut done = each(own)?;
        for other in others {
            // One that panicked has lost its part: that is no answer.
            let panicked =
                |_| StateError::io(Path::new("domains"), "read the records", io::ErrorKind::Other.into());
            done.extend(other.join().map_err(panicked)??);
        }
        Ok(done)
    })
}
