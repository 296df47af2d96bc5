//! The drivers of this host: installed, or found in directories; loaded when they are first needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hostler_grant::{Consent, Grant, Policy, Tenant};
use hostler_package::Package;
use hostler_runtime::{Driver, Runtime, RuntimeConfig, TenantLimits};
use hostler_state::{DriverRecord, StateDir};

use crate::config::Config;
use crate::error::{Error, Kind};
use crate::host::Held;
use crate::tenants::Tenancy;

/// The file-name ending of a driver's component; the rest is the driver's name.
const COMPONENT: &str = "wasm";
/// Largest policy file, in bytes.
const POLICY_MAX_BYTES: u64 = 1 << 20;

/// Finds and keeps the drivers of this host.
pub(crate) struct DriverSet {
    directories: Vec<PathBuf>,
    cache_dir: PathBuf,
    compiler: Option<PathBuf>,
    worker: Option<PathBuf>,
    policy: Policy,
    tenant: Tenant,
    limits: TenantLimits,
    /// Where the operator has installed drivers.
    held: Held,
    runtime: OnceLock<Runtime>,
    loaded: Mutex<BTreeMap<String, Loaded>>,
}

/// A loaded driver, and the generation of the record it was loaded under: a change by command takes effect at the
/// next call.
struct Loaded {
    generation: u64,
    driver: Arc<Driver>,
}

/// A driver that could be used, not loaded.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Its name: an installed driver's own, or that of a file.
    pub(crate) name: String,
    /// Its component.
    pub(crate) path: PathBuf,
    /// The digest under which it was installed; nothing for one from a directory.
    pub(crate) digest: Option<String>,
    /// Whether one of this name comes before it.
    pub(crate) hidden: bool,
    /// What is known about its name.
    pub(crate) record: Option<DriverRecord>,
}

impl Candidate {
    /// Whether the operator has given this domain type to it.
    fn takes_by_command(&self, domain_type: &str) -> bool {
        self.record.as_ref().is_some_and(|record| record.takes.iter().any(|taken| taken == domain_type))
    }

    /// Reads it, and digests it anew: an installed one has to be what was installed.
    pub(crate) fn package(&self) -> Result<Package, Error> {
        self.package_digested(hostler_package::digest)
    }

    fn package_digested(&self, digest: impl Fn(&[u8]) -> String) -> Result<Package, Error> {
        Ok(match &self.digest {
            Some(wanted) => Package::stored_digested(&self.path, wanted, digest)?,
            None => Package::from_file_digested(&self.path, digest)?,
        })
    }
}

impl DriverSet {
    /// Reads the policy; drivers are looked at when they are needed.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a policy that cannot be read or understood: nothing is granted on a guess.
    pub(crate) fn new(config: &Config, held: &Held, tenancy: Option<&Tenancy>) -> Result<Self, Error> {
        Ok(Self {
            directories: config.driver_dirs.clone(),
            cache_dir: config.cache_dir.clone(),
            compiler: config.compiler.clone(),
            worker: config.worker.clone(),
            policy: read_policy(config.policy.as_deref())?,
            tenant: tenancy.map(Tenancy::rights).transpose()?.unwrap_or_default(),
            limits: tenancy.map(Tenancy::driver_limits).unwrap_or_default(),
            // Drivers are the operator's: a tenant has none of its own.
            held: tenancy.map_or_else(|| Ok(held.clone()), Tenancy::operator)?,
            runtime: OnceLock::new(),
            loaded: Mutex::new(BTreeMap::new()),
        })
    }

    /// The driver of this name.
    ///
    /// # Errors
    /// [`Kind::NotFound`] naming the directories; whatever keeps it from being loaded.
    pub(crate) fn by_name(&self, name: &str) -> Result<Arc<Driver>, Error> {
        self.load(&self.candidate(name)?)
    }

    /// The driver of this name, not loaded: the installed one, or else the first in a directory.
    ///
    /// # Errors
    /// [`Kind::NotFound`] naming the directories; [`Kind::Host`] when its record is damaged.
    pub(crate) fn candidate(&self, name: &str) -> Result<Candidate, Error> {
        if !hostler_grant::is_driver_name(name) {
            return Err(self.missing(name));
        }
        self.require_allowed(name)?;
        let record = self.state().driver(name)?;
        if let Some(installed) = record.as_ref().and_then(|record| self.installed(record).transpose()) {
            return installed;
        }
        let path = self
            .directories
            .iter()
            .map(|directory| directory.join(format!("{name}.{COMPONENT}")))
            .find(|path| path.is_file())
            .ok_or_else(|| self.missing(name))?;
        Ok(Candidate { name: name.to_owned(), path, digest: None, hidden: false, record })
    }

    fn installed(&self, record: &DriverRecord) -> Result<Option<Candidate>, Error> {
        let Some(digest) = &record.active else { return Ok(None) };
        Ok(Some(Candidate {
            name: record.name.clone(),
            path: self.state().driver_component(&record.name, digest)?,
            digest: Some(digest.clone()),
            hidden: false,
            record: Some(record.clone()),
        }))
    }

    /// The driver that takes this `domain/@type`: one that the operator has given it to, else an installed one, else
    /// one from a directory; among several of a kind the first by name.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] with the types there are.
    pub(crate) fn for_type(&self, domain_type: &str) -> Result<Arc<Driver>, Error> {
        let mut known = Vec::new();
        let mut failed = None;
        let mut withheld = None;
        let mut candidates: Vec<_> =
            self.every_candidate()?.into_iter().filter(|found| !found.hidden).collect();
        candidates.sort_by_key(|found| (!found.takes_by_command(domain_type), found.digest.is_none()));
        for candidate in &candidates {
            match self.domain_types(candidate) {
                Ok(types) if types.iter().any(|known| known == domain_type) => {
                    if self.tenant.may_use(&candidate.name) {
                        return self.load(candidate);
                    }
                    withheld.get_or_insert(candidate.name.as_str());
                }
                _ if !self.tenant.may_use(&candidate.name) => {}
                Ok(types) => known.extend(types),
                Err(error) => failed = Some(error),
            }
        }
        if let Some(name) = withheld {
            self.require_allowed(name)?;
        }
        // A driver that cannot be loaded may be the one that is wanted: its reason is worth more.
        if let Some(error) = failed {
            return Err(error);
        }
        if known.is_empty() {
            return Err(self.no_driver("no driver is installed"));
        }
        let error = Error::new(
            Kind::Unsupported,
            "driver.no-such-type",
            format!("no driver takes domains of type '{domain_type}'"),
        )
        .hint(format!("types that are taken: {}", known.join(", ")));
        Err(match hostler_domain::nearest(domain_type, known.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean type='{near}'?")),
            None => error,
        })
    }

    /// Refuses a driver that the tenant may not use.
    fn require_allowed(&self, name: &str) -> Result<(), Error> {
        self.tenant.require_driver(name).map_err(|denied| {
            let error = Error::new(Kind::Denied, "tenant.driver", denied.to_string()).about("driver", name);
            denied.hints.iter().fold(error, Error::hint)
        })
    }

    /// The values of `domain/@type` that a driver takes.
    ///
    /// # Errors
    /// What is wrong with its manifest.
    pub(crate) fn domain_types(&self, candidate: &Candidate) -> Result<Vec<String>, Error> {
        match candidate.record.as_ref().and_then(DriverRecord::active_version) {
            Some(version) if candidate.digest.is_some() => Ok(version.domain_types.clone()),
            _ => Ok(hostler_package::read_manifest(&candidate.path)?.domain_types),
        }
    }

    /// Every driver that may be used, by name; those that another of the same name hides come after it.
    ///
    /// # Errors
    /// [`Kind::Host`] when a directory cannot be read.
    pub(crate) fn candidates(&self) -> Result<Vec<Candidate>, Error> {
        let mut candidates = self.every_candidate()?;
        candidates.retain(|candidate| self.tenant.may_use(&candidate.name));
        Ok(candidates)
    }

    /// Every driver there is, whether it may be used or not.
    fn every_candidate(&self) -> Result<Vec<Candidate>, Error> {
        let mut records = BTreeMap::new();
        let mut found: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
        for record in self.state().drivers()? {
            if let Some(installed) = self.installed(&record)? {
                found.entry(record.name.clone()).or_default().push(installed);
            }
            records.insert(record.name.clone(), record);
        }
        for path in self.paths()? {
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let others = found.entry(name.clone()).or_default();
            let (hidden, record) = (!others.is_empty(), records.get(&name).cloned());
            others.push(Candidate { name, path, digest: None, hidden, record });
        }
        Ok(found.into_values().flatten().collect())
    }

    /// Component files of the driver directories, in the order of these and by name.
    fn paths(&self) -> Result<Vec<PathBuf>, Error> {
        let mut paths = Vec::new();
        for directory in &self.directories {
            let mut files = files_in(directory)?;
            files.retain(|path| path.extension().is_some_and(|ending| ending == COMPONENT));
            files.retain(|path| path.file_stem().is_some_and(|name| name.to_str().is_some()));
            files.sort();
            paths.extend(files);
        }
        Ok(paths)
    }

    /// Loads a driver, or finds it loaded under the same record.
    ///
    /// # Errors
    /// Whatever keeps it from being loaded.
    pub(crate) fn load(&self, candidate: &Candidate) -> Result<Arc<Driver>, Error> {
        let generation = candidate.record.as_ref().map_or(0, |record| record.generation);
        let kept = self.lock().get(&candidate.name).map(|kept| (kept.generation, Arc::clone(&kept.driver)));
        if let Some((_, driver)) =
            kept.filter(|(kept, driver)| *kept == generation && driver.path() == candidate.path)
        {
            return Ok(driver);
        }
        let runtime = self.runtime()?;
        let package = candidate.package_digested(|bytes| runtime.digest(bytes))?;
        let policy = self.policy_with(candidate.record.as_ref());
        let driver = Arc::new(runtime.load_package(&package, &policy, &self.tenant)?);
        let name = driver.manifest().name.clone();
        if name != candidate.name {
            let message = format!("the file '{}' holds the driver '{name}'", candidate.path.display());
            return Err(Error::new(Kind::Invalid, "driver.name-mismatch", message)
                .hint(format!("call the file {name}.{COMPONENT}: definitions name drivers, not files")));
        }
        self.lock().insert(name, Loaded { generation, driver: Arc::clone(&driver) });
        Ok(driver)
    }

    /// Every driver that was loaded so far.
    pub(crate) fn loaded(&self) -> Vec<Arc<Driver>> {
        self.lock().values().map(|kept| Arc::clone(&kept.driver)).collect()
    }

    /// The policy file with what the operator said by command of one driver.
    pub(crate) fn policy_with(&self, record: Option<&DriverRecord>) -> Policy {
        let mut policy = self.policy.clone();
        if let Some(record) = record {
            policy.consents.insert(record.name.clone(), consent(record));
        }
        policy
    }

    /// On whose behalf drivers are used.
    pub(crate) fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// What drivers are loaded into.
    pub(crate) fn runtime(&self) -> Result<&Runtime, Error> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let made = Runtime::new(RuntimeConfig {
            compiler: self.compiler.clone(),
            worker: self.worker.clone(),
            cache_dir: Some(self.cache_dir.clone()),
            tenant_limits: self.limits,
            stack_bytes: self
                .policy
                .stack_kib
                .and_then(|kib| usize::try_from(kib.saturating_mul(1 << 10)).ok()),
            ..RuntimeConfig::default()
        })?;
        Ok(self.runtime.get_or_init(|| made))
    }

    fn state(&self) -> &StateDir {
        self.held.state()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Loaded>> {
        // The map is whole between any two statements, so a panic elsewhere does not spoil it.
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error for a name that no driver has.
    pub(crate) fn missing(&self, name: &str) -> Error {
        self.no_driver(&format!("no driver is called '{}'", name.escape_debug()))
    }

    fn no_driver(&self, message: &str) -> Error {
        let places: Vec<_> = self.directories.iter().map(|path| path.display().to_string()).collect();
        Error::new(Kind::NotFound, "driver.not-found", message)
            .hint(format!("drivers are looked for among the installed ones, and in {}", places.join(", ")))
            .hint_command("install one", "hostler driver install FILE")
            .hint_command("or say where drivers are", "hostler --driver-dir DIR …")
    }
}

/// What a record says, for the decision on grants. What is recorded was checked when it was; a grant of a later
/// version that this one does not know allows nothing.
fn consent(record: &DriverRecord) -> Consent {
    let known = |list: &[String]| list.iter().filter_map(|grant| grant.parse::<Grant>().ok()).collect();
    Consent { allow: known(&record.allow), deny: known(&record.deny), pin: record.pin.clone() }
}

fn files_in(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |error: std::io::Error| {
        let message = format!("cannot read the driver directory '{}'", directory.display());
        Error::new(Kind::Host, "driver.directory", message).caused_by(error)
    };
    match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(unreadable(error)),
        Ok(entries) => {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(unreadable)
        }
    }
}

fn read_policy(path: Option<&Path>) -> Result<Policy, Error> {
    let Some(path) = path else {
        return Policy::built_in().map_err(|e| {
            Error::new(Kind::Host, "policy.built-in", "the built-in policy is broken").caused_by(e)
        });
    };
    let wrong = |message: &str| {
        let message = format!("{message} ('{}')", path.display());
        Error::new(Kind::Invalid, "policy.unreadable", message)
            .hint("without --policy the built-in policy holds")
    };
    let size = std::fs::metadata(path).map_err(|e| wrong("cannot read the policy").caused_by(e))?.len();
    if size > POLICY_MAX_BYTES {
        return Err(wrong(&format!(
            "the policy has {size} bytes, more than the limit of {POLICY_MAX_BYTES}"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|e| wrong("cannot read the policy").caused_by(e))?;
    Policy::parse(text.as_bytes()).map_err(|e| wrong("the policy cannot be understood").caused_by(e))
}
