//! A state directory and a pool of one test's own.

use std::path::PathBuf;
use std::time::Duration;

use hostler_domains::{Access, Config, Host, NewVolume, PoolRef, Preallocation, Progress, VolumeSummary};
use hostler_state::{Definition, Owner, StateDir, Uuid};
use tempfile::TempDir;

pub(crate) struct Setting {
    pub(crate) directory: TempDir,
}

impl Setting {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("pool")).unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) async fn host(&self) -> Host {
        let config = Config {
            state_dir: self.path("state"),
            cache_dir: self.path("cache"),
            driver_dirs: Vec::new(),
            image_roots: Vec::new(),
            shim: PathBuf::from("/nonexistent/hostler-shim"),
            compiler: None,
            worker: None,
            cage: hostler_domains::CageSetting::Require,
            policy: None,
            template_dir: None,
            firmware: hostler_firmware::SearchPath::system(),
            tenant: None,
        };
        Host::open(config, Access::Owner { wait: Duration::ZERO }).await.unwrap()
    }

    /// The state directory itself, as its owner; no host may be open.
    pub(crate) fn owner(&self) -> Owner {
        StateDir::open_owner(&self.path("state"), Duration::ZERO).unwrap()
    }

    pub(crate) fn pool_xml(&self) -> String {
        format!(
            "<pool type='dir'><name>p</name><target><path>{}</path></target></pool>",
            self.path("pool").display()
        )
    }

    /// A host with the pool defined and started.
    pub(crate) async fn with_pool(&self) -> Host {
        let host = self.host().await;
        host.pool_define(&self.pool_xml()).await.unwrap();
        host.pool_start(&pool(), false).await.unwrap();
        host
    }

    /// Stores a domain as a driver would have completed it.
    pub(crate) fn define_domain(&self, name: &str, disk: &str) {
        let xml = format!(
            "<domain type='test'><name>{name}</name><memory>1024</memory><os><type>hvm</type></os>\
             <devices>{disk}</devices></domain>"
        );
        let definition = Definition {
            uuid: Uuid::new_v4(),
            name: name.to_owned(),
            xml,
            driver: "test".to_owned(),
            persistent: true,
            generation: 1,
            created_unix_ms: 0,
            changed_unix_ms: 0,
        };
        self.owner().put_definition(&definition).unwrap();
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("pool")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub(crate) fn pool() -> PoolRef {
    PoolRef::new("p")
}

pub(crate) fn quiet() -> Progress {
    Box::new(|_| {})
}

pub(crate) fn new(name: &str, format: &str, capacity: u64) -> NewVolume {
    NewVolume::Options {
        name: name.to_owned(),
        capacity,
        format: format.to_owned(),
        allocation: None,
        preallocation: Preallocation::Off,
        backing: None,
        secret: None,
    }
}

pub(crate) fn over(name: &str, backing: &str) -> NewVolume {
    NewVolume::Options {
        name: name.to_owned(),
        capacity: 0,
        format: "qcow2".to_owned(),
        allocation: None,
        preallocation: Preallocation::Off,
        backing: Some((backing.into(), None)),
        secret: None,
    }
}

pub(crate) async fn make(host: &Host, new: &NewVolume) -> VolumeSummary {
    host.vol_create(&pool(), new, quiet()).await.unwrap()
}
