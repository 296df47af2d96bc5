//! Where things are on this host: state, drivers, images, shim, policies.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hostler_firmware::SearchPath;
use hostler_launch::CageSetting;

use crate::error::{Error, Kind};
use crate::tenants::{Caller, TenantChoice};

/// The shim's file name.
const SHIM: &str = "hostler-shim";

/// Where things are on this host.
#[derive(Clone, Debug)]
pub struct Config {
    /// The state directory.
    pub state_dir: PathBuf,
    /// Where compiled drivers are kept; can be made again at any time.
    pub cache_dir: PathBuf,
    /// Directories with driver components, the first that has a driver wins.
    pub driver_dirs: Vec<PathBuf>,
    /// Directories beneath which images may be named by other images, beyond what documents declare.
    pub image_roots: Vec<PathBuf>,
    /// The shim program.
    pub shim: PathBuf,
    /// The program that compiles drivers in a process of its own (see `hostler_runtime::RuntimeConfig`); none to
    /// compile them in this one.
    pub compiler: Option<PathBuf>,
    /// The program that runs drivers in processes of their own (see `hostler_runtime::RuntimeConfig`); none to run
    /// them in this one.
    pub worker: Option<PathBuf>,
    /// How strictly hypervisors are confined.
    pub cage: CageSetting,
    /// The operator's policy for drivers; the built-in one without it.
    pub policy: Option<PathBuf>,
    /// A directory of launch templates that replace or add to the built-in ones.
    pub template_dir: Option<PathBuf>,
    /// Where this host's firmware is described, least important directory first.
    pub firmware: SearchPath,
    /// On whose behalf things are done, when that is not the operator's own.
    pub tenant: Option<TenantChoice>,
}

/// What a command line says about it; what is absent comes from the environment, then from defaults.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--state-dir`
    pub state_dir: Option<PathBuf>,
    /// `--driver-dir`, in order
    pub driver_dirs: Vec<PathBuf>,
    /// `--image-root`, in order
    pub image_roots: Vec<PathBuf>,
    /// `--policy`
    pub policy: Option<PathBuf>,
    /// `--tenant`
    pub tenant: Option<String>,
    /// `--cage`
    pub cage: Option<CageSetting>,
    /// `--workers`
    pub workers: Option<Workers>,
}

/// Whether drivers run in processes of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Workers {
    /// In this process.
    #[default]
    Off,
    /// In processes of their own, one and more for each driver of each tenant.
    On,
}

impl Workers {
    /// The program of them: the very one that runs, also where its file was replaced by an upgrade.
    fn program(self) -> Option<PathBuf> {
        (self == Self::On).then(|| PathBuf::from("/proc/self/exe"))
    }
}

impl FromStr for Workers {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(format!("'{}' is neither on nor off", word.escape_debug())),
        }
    }
}

impl Config {
    /// Finds everything from overrides, the environment, the host's settings and the program's own place: what comes
    /// first holds.
    ///
    /// Environment: `HOSTLER_STATE_DIR`, `HOSTLER_CACHE_DIR`, `HOSTLER_DRIVER_DIR` and `HOSTLER_IMAGE_ROOTS` (both
    /// colon-separated), `HOSTLER_POLICY`, `HOSTLER_TEMPLATE_DIR`, `HOSTLER_SHIM`, `HOSTLER_CAGE`, `HOSTLER_WORKERS`,
    /// `HOSTLER_TENANT`, `HOSTLER_FIRMWARE_DIR` (colon-separated, the most important last).
    ///
    /// # Errors
    /// [`Kind::Host`] when the program cannot tell where it is; [`Kind::Invalid`] when no state directory is
    /// given and neither root nor a home directory suggests one, or when a setting is none that there is.
    pub fn discover(overrides: Overrides, settings: Overrides) -> Result<Self, Error> {
        let program = env::current_exe().map_err(|e| {
            Error::new(Kind::Host, "config.program", "cannot find the running program").caused_by(e)
        })?;
        let beside = program.parent().unwrap_or(Path::new("/")).to_owned();
        let given = overrides.state_dir.or_else(|| path_variable("HOSTLER_STATE_DIR"));
        let state_dir = match given.or(settings.state_dir) {
            Some(given) => absolute(given)?,
            None => default_state_dir()?,
        };
        Ok(Self {
            cache_dir: path_variable("HOSTLER_CACHE_DIR").unwrap_or_else(|| state_dir.join("cache")),
            state_dir,
            driver_dirs: first_given(overrides.driver_dirs, "HOSTLER_DRIVER_DIR", || {
                match settings.driver_dirs.is_empty() {
                    true => default_driver_dirs(&beside),
                    false => settings.driver_dirs,
                }
            }),
            image_roots: first_given(overrides.image_roots, "HOSTLER_IMAGE_ROOTS", || settings.image_roots),
            shim: path_variable("HOSTLER_SHIM").unwrap_or_else(|| default_shim(&beside)),
            compiler: Some(program),
            worker: first(overrides.workers, "HOSTLER_WORKERS", "config.workers", settings.workers)?
                .unwrap_or_default()
                .program(),
            cage: first(overrides.cage, "HOSTLER_CAGE", "config.cage", settings.cage)?
                .unwrap_or(CageSetting::Require),
            policy: overrides.policy.or_else(|| path_variable("HOSTLER_POLICY")).or(settings.policy),
            template_dir: path_variable("HOSTLER_TEMPLATE_DIR"),
            firmware: firmware_search(),
            tenant: tenant(overrides.tenant)?,
        })
    }
}

/// Where firmware is described: what the environment says, or else the system's directories and, for a user other than
/// root, that user's own.
fn firmware_search() -> SearchPath {
    if let Some(directories) = variable("HOSTLER_FIRMWARE_DIR") {
        return SearchPath::new(env::split_paths(&directories));
    }
    let system = SearchPath::system();
    if rustix::process::geteuid().is_root() {
        return system;
    }
    let own =
        path_variable("XDG_CONFIG_HOME").or_else(|| path_variable("HOME").map(|home| home.join(".config")));
    own.map_or(system.clone(), |own| system.with(own.join("qemu/firmware")))
}

/// What is given, or else what the environment says, or else what the settings say.
fn first<T: FromStr<Err = String>>(
    given: Option<T>,
    name: &str,
    code: &'static str,
    setting: Option<T>,
) -> Result<Option<T>, Error> {
    if given.is_some() {
        return Ok(given);
    }
    let Some(word) = variable(name) else { return Ok(setting) };
    let read = word.to_string_lossy().parse();
    read.map(Some).map_err(|why: String| Error::new(Kind::Invalid, code, format!("{name}: {why}")))
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

fn path_variable(name: &str) -> Option<PathBuf> {
    variable(name).map(PathBuf::from)
}

/// The tenant that is named, on behalf of whoever runs this process.
fn tenant(given: Option<String>) -> Result<Option<TenantChoice>, Error> {
    let name = match (given, variable("HOSTLER_TENANT").map(OsString::into_string)) {
        (Some(name), _) | (None, Some(Ok(name))) => name,
        (None, None) => return Ok(None),
        (None, Some(Err(_))) => {
            return Err(Error::new(Kind::Invalid, "config.tenant", "HOSTLER_TENANT is not a name"));
        }
    };
    Ok(Some(TenantChoice { name, caller: Caller::current() }))
}

fn first_given(given: Vec<PathBuf>, name: &str, default: impl FnOnce() -> Vec<PathBuf>) -> Vec<PathBuf> {
    match (given.is_empty(), variable(name)) {
        (false, _) => given,
        (true, Some(value)) => env::split_paths(&value).collect(),
        (true, None) => default(),
    }
}

/// Beside the program as `cargo` lays it out, or where a package installs it.
fn default_shim(beside: &Path) -> PathBuf {
    let packaged = beside.parent().unwrap_or(Path::new("/")).join("lib/hostler").join(SHIM);
    let besides = beside.join(SHIM);
    if !besides.exists() && packaged.exists() { packaged } else { besides }
}

/// Beside the program as `cargo` lays it out, then as a package installs it.
fn default_driver_dirs(beside: &Path) -> Vec<PathBuf> {
    let up = beside.parent().unwrap_or(Path::new("/"));
    vec![up.join("drivers"), up.join("lib/hostler/drivers"), PathBuf::from("/usr/lib/hostler/drivers")]
}

fn default_state_dir() -> Result<PathBuf, Error> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/hostler"));
    }
    let base = path_variable("XDG_STATE_HOME")
        .or_else(|| path_variable("HOME").map(|home| home.join(".local/state")));
    base.map(|base| base.join("hostler")).ok_or_else(|| {
        Error::new(Kind::Invalid, "config.state-dir", "no state directory is given and HOME is not set")
            .hint_command("say where state is kept", "hostler --state-dir DIR …")
    })
}

fn absolute(path: PathBuf) -> Result<PathBuf, Error> {
    std::path::absolute(&path).map_err(|e| {
        Error::new(Kind::Invalid, "config.state-dir", format!("'{}' is no usable path", path.display()))
            .caused_by(e)
    })
}
