//! The drivers of this host: found in directories, loaded when they are first needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hostler_grant::{Policy, Tenant};
use hostler_runtime::{CacheOutcome, Driver, Limits, Runtime, RuntimeConfig};

use crate::config::Config;
use crate::error::{Error, Kind};

use crate::summary::DriverSummary;
use crate::tenants::Tenancy;

/// The file-name ending of a driver's component; the rest is the driver's name.
const COMPONENT: &str = "wasm";
/// Largest policy file, in bytes.
const POLICY_MAX_BYTES: u64 = 1 << 20;

/// Finds and keeps the drivers of this host.
pub(crate) struct DriverSet {
    directories: Vec<PathBuf>,
    cache_dir: PathBuf,
    policy: Policy,
    tenant: Tenant,
    limits: Limits,
    runtime: OnceLock<Runtime>,
    loaded: Mutex<BTreeMap<String, Arc<Driver>>>,
}

impl DriverSet {
    /// Reads the policy; drivers are looked at when they are needed.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a policy that cannot be read or understood: nothing is granted on a guess.
    pub(crate) fn new(config: &Config, tenancy: Option<&Tenancy>) -> Result<Self, Error> {
        Ok(Self {
            directories: config.driver_dirs.clone(),
            cache_dir: config.cache_dir.clone(),
            policy: read_policy(config.policy.as_deref())?,
            tenant: tenancy.map(Tenancy::rights).transpose()?.unwrap_or_default(),
            limits: tenancy.map(Tenancy::driver_limits).unwrap_or_default(),
            runtime: OnceLock::new(),
            loaded: Mutex::new(BTreeMap::new()),
        })
    }

    /// The driver of this name.
    ///
    /// # Errors
    /// [`Kind::NotFound`] naming the directories; whatever keeps it from being loaded.
    pub(crate) fn by_name(&self, name: &str) -> Result<Arc<Driver>, Error> {
        if let Some(driver) = self.lock().get(name) {
            return Ok(Arc::clone(driver));
        }
        self.require_allowed(name)?;
        let path = self
            .directories
            .iter()
            .map(|directory| directory.join(format!("{name}.{COMPONENT}")))
            .find(|path| path.is_file())
            .ok_or_else(|| self.no_driver(&format!("no driver is called '{name}'")))?;
        self.load(&path)
    }

    /// The driver that takes this `domain/@type`.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] with the types there are.
    pub(crate) fn for_type(&self, domain_type: &str) -> Result<Arc<Driver>, Error> {
        let mut known = Vec::new();
        let mut failed = None;
        let mut withheld = None;
        for path in self.paths()? {
            match hostler_runtime::read_manifest(&path) {
                Ok(manifest) if manifest.domain_types.iter().any(|known| known == domain_type) => {
                    if self.tenant.may_use(&manifest.name) {
                        return self.load(&path);
                    }
                    withheld.get_or_insert(manifest.name);
                }
                Ok(manifest) if !self.tenant.may_use(&manifest.name) => {}
                Ok(manifest) => known.extend(manifest.domain_types),
                Err(error) => failed = Some(error),
            }
        }
        if let Some(name) = withheld {
            self.require_allowed(&name)?;
        }
        // A driver that cannot be loaded may be the one that is wanted: its reason is worth more.
        if let Some(error) = failed {
            return Err(error.into());
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

    /// Every driver that may be used, loaded, and what could not be loaded.
    ///
    /// # Errors
    /// [`Kind::Host`] when a directory cannot be read.
    pub(crate) fn all(&self) -> Result<Vec<Result<Arc<Driver>, Error>>, Error> {
        let loaded =
            |path: &PathBuf| self.load(path).map_err(|error| error.about("path", path.display().to_string()));
        let usable = |path: &&PathBuf| self.tenant.may_use(&stem(path));
        Ok(self.paths()?.iter().filter(usable).map(loaded).collect())
    }

    /// Component files, by driver name; an earlier directory hides the same name in a later one.
    fn paths(&self) -> Result<Vec<PathBuf>, Error> {
        let mut paths: BTreeMap<String, PathBuf> = BTreeMap::new();
        for directory in &self.directories {
            for path in files_in(directory)? {
                if path.extension().is_some_and(|ending| ending == COMPONENT)
                    && let Some(name) = path.file_stem().and_then(|name| name.to_str())
                {
                    paths.entry(name.to_owned()).or_insert_with(|| path.clone());
                }
            }
        }
        Ok(paths.into_values().collect())
    }

    fn load(&self, path: &Path) -> Result<Arc<Driver>, Error> {
        let stem = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(driver) = self.lock().get(stem) {
            return Ok(Arc::clone(driver));
        }
        let driver = self.runtime()?.load(path, &self.policy, &self.tenant)?;
        let name = driver.manifest().name.clone();
        if name != stem {
            let message = format!("the file '{}' holds the driver '{name}'", path.display());
            return Err(Error::new(Kind::Invalid, "driver.name-mismatch", message)
                .hint(format!("call the file {name}.{COMPONENT}: definitions name drivers, not files")));
        }
        let driver = Arc::new(driver);
        self.lock().insert(name, Arc::clone(&driver));
        Ok(driver)
    }

    fn runtime(&self) -> Result<&Runtime, Error> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let made =
            Runtime::new(RuntimeConfig { cache_dir: Some(self.cache_dir.clone()), limits: self.limits })?;
        Ok(self.runtime.get_or_init(|| made))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Driver>>> {
        // The map is whole between any two statements, so a panic elsewhere does not spoil it.
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn no_driver(&self, message: &str) -> Error {
        let places: Vec<_> = self.directories.iter().map(|path| path.display().to_string()).collect();
        Error::new(Kind::NotFound, "driver.not-found", message)
            .hint(format!("drivers are looked for in {}", places.join(", ")))
            .hint_command("say where drivers are", "hostler --driver-dir DIR …")
    }
}

/// Describes a loaded driver for a list.
///
/// # Errors
/// When the driver cannot describe itself.
pub(crate) async fn summary(driver: &Driver) -> Result<DriverSummary, Error> {
    let description = driver.describe().await?;
    let manifest = driver.manifest();
    let granted = driver.granted();
    Ok(DriverSummary {
        name: manifest.name.clone(),
        version: manifest.version.to_string(),
        contract: manifest.contract.to_string(),
        digest: driver.digest().to_owned(),
        path: driver.path().to_owned(),
        size: driver.size_bytes(),
        title: description.title,
        domain_types: manifest.domain_types.clone(),
        granted: granted.granted.iter().map(ToString::to_string).collect(),
        denied: granted.denied.iter().map(|denied| format!("{}: {}", denied.grant, denied.reason)).collect(),
        abilities: if driver.has_native_config() { vec!["native-config".to_owned()] } else { Vec::new() },
        cached: driver.compiled() == CacheOutcome::Cached,
    })
}

/// The name of the driver that a file is to hold.
fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
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
