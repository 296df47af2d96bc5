//! A state directory with one domain, and drivers loaded from the built components.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hostler_grant::{Policy, Tenant};
use hostler_launch::TemplateSet;
use hostler_network::Attachments;
use hostler_runtime::{
    DomainContext, Driver, Limits, NoSecrets, Purpose, Roots, Runtime, RuntimeConfig, StateAccess,
};
use hostler_state::{Definition, Owner, StateDir, Uuid};
use hostler_storage::Translations;

/// Where built components are, unless `HOSTLER_COMPONENTS` says otherwise.
const COMPONENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target");

/// A built component: `drivers/test.wasm`.
pub(crate) fn component(name: &str) -> PathBuf {
    let root =
        std::env::var_os("HOSTLER_COMPONENTS").map_or_else(|| PathBuf::from(COMPONENTS), PathBuf::from);
    let path = root.join(name);
    assert!(path.is_file(), "{} is missing: run cargo xtask components", path.display());
    path
}

/// What the built-in policy says.
pub(crate) fn policy() -> Policy {
    Policy::built_in().unwrap()
}

/// The only tenant.
pub(crate) fn tenant() -> Tenant {
    Tenant::default()
}

/// Another tenant.
pub(crate) fn neighbour() -> Tenant {
    Tenant::parse(br#"{"name":"neighbour"}"#).unwrap()
}

/// A component's bytes with one text replaced by another of the same length.
pub(crate) fn patched(path: &Path, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.windows(from.len()).rposition(|window| window == from.as_bytes()).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

/// Where a driver's code runs. What comes of it is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the test's own process.
    Here,
    /// In a process of its own.
    Apart,
}

/// The same test for drivers in this process and for drivers in processes of their own.
macro_rules! both {
    ($($(#[$note:meta])* async fn $name:ident($place:ident) $body:block)*) => {
        mod here {
            #[allow(unused_imports, reason = "not every test needs everything")]
            use super::*;
            $($(#[$note])* #[tokio::test] async fn $name() {
                let $place = crate::setting::Place::Here;
                $body
            })*
        }
        mod apart {
            #[allow(unused_imports, reason = "not every test needs everything")]
            use super::*;
            $($(#[$note])* #[tokio::test] async fn $name() {
                let $place = crate::setting::Place::Apart;
                $body
            })*
        }
    };
}
pub(crate) use both;

/// A driver under these limits, compiled anew or from the cache that all tests share.
pub(crate) fn load_with(place: Place, limits: Limits, name: &str) -> Driver {
    runtime(place, limits).load(&component(name), &policy(), &tenant()).unwrap()
}

/// A runtime whose cache all tests share.
pub(crate) fn runtime(place: Place, limits: Limits) -> Runtime {
    Runtime::new(RuntimeConfig { limits, ..shared_cache(place) }).unwrap()
}

/// A runtime whose cache all tests share, with so many bytes of stack.
pub(crate) fn runtime_with_stack(place: Place, stack_bytes: usize) -> Runtime {
    Runtime::new(RuntimeConfig { stack_bytes: Some(stack_bytes), ..shared_cache(place) }).unwrap()
}

fn shared_cache(place: Place) -> RuntimeConfig {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("driver-cache");
    let worker = (place == Place::Apart).then(worker);
    RuntimeConfig { cache_dir: Some(cache), worker, ..RuntimeConfig::default() }
}

/// The program that is a worker: this crate's example of that name.
pub(crate) fn worker() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join("examples/worker");
    assert!(path.is_file(), "{} is missing: run cargo build -p hostler-runtime --examples", path.display());
    path
}

/// See the module.
pub(crate) struct Setting {
    directory: tempfile::TempDir,
    owner: Arc<Owner>,
    definition: Definition,
}

impl Setting {
    /// A state directory with one domain of this type and name.
    pub(crate) fn new(kind: &str, name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let owner = StateDir::open_owner(&directory.path().join("state"), Duration::ZERO).unwrap();
        let uuid = Uuid::from_u128(7);
        let definition = Definition {
            uuid,
            name: name.to_owned(),
            xml: format!(
                "<domain type='{kind}'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory>\
                 <os><type arch='x86_64' machine='pc'>hvm</type></os>\
                 <devices><serial type='pty'/></devices></domain>"
            ),
            driver: kind.to_owned(),
            persistent: true,
            generation: 1,
            created_unix_ms: 0,
            changed_unix_ms: 0,
        };
        owner.put_definition(&definition).unwrap();
        Self { directory, owner: Arc::new(owner), definition }
    }

    /// Loads a driver with ordinary limits.
    pub(crate) fn load(&self, place: Place, name: &str) -> Driver {
        load_with(place, Limits::default(), name)
    }

    /// The domain, for the owner of the state directory.
    pub(crate) fn context(&self) -> DomainContext {
        DomainContext {
            uuid: self.definition.uuid,
            name: self.definition.name.clone(),
            xml: self.definition.xml.clone(),
            numeric_id: 1,
            purpose: Purpose::Operate,
            state: StateAccess::Owner(Arc::clone(&self.owner)),
            roots: Roots::of_operator(Vec::new()),
            volumes: Translations::default(),
            networks: Attachments::default(),
            secrets: Arc::new(NoSecrets),
            templates: Arc::new(TemplateSet::builtin().unwrap()),
            shim: PathBuf::from("/nonexistent/hostler-shim"),
            cage: hostler_launch::CageSetting::Require,
            firmware: hostler_firmware::SearchPath::system(),
            transfer: None,
            references: Vec::new(),
            next: None,
        }
    }

    /// The domain, for a process that only reads.
    pub(crate) fn reader_context(&self) -> DomainContext {
        let reader = StateDir::open_reader(&self.directory.path().join("state")).unwrap();
        DomainContext { state: StateAccess::Reader(Arc::new(reader)), ..self.context() }
    }

    /// What the driver noted last.
    pub(crate) fn notes(&self) -> Option<Vec<u8>> {
        self.owner.driver_state(self.definition.uuid).unwrap()
    }

    /// The kinds of all events so far.
    pub(crate) fn events(&self) -> Vec<String> {
        self.owner.events().read_since(0).unwrap().events.into_iter().map(|event| event.kind).collect()
    }
}
