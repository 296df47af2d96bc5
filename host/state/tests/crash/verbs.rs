//! The sequences that are stopped, and the state as a later reader sees it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hostler_state::{
    Charge, Definition, Disk, Intent, PoolDefinition, StateDir, StateError, TenantPhase, TenantRecord, Uuid,
    VolumeRecord,
};
use serde_json::json;

/// Where the killed child notes how many steps were acknowledged; not part of the state.
pub(crate) const ACKNOWLEDGED: &str = "acknowledged-by-the-test";

/// Every sequence. Domain 1 exists before, domain 2 does not.
pub(crate) const VERBS: [&str; 15] = [
    "define",
    "redefine",
    "redefine-twice",
    "undefine",
    "undefine-and-define",
    "driver-state",
    "pool-define",
    "pool-undefine",
    "volumes",
    "journal",
    "tenant-create",
    "tenant-change",
    "tenant-remove",
    "charges",
    "first-open",
];

/// A directory to work in. In memory where that exists: the faults are made here, so a real disk would only
/// make thousands of fsyncs slow.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(crate) fn definition(domain: u128, generation: u64) -> Definition {
    Definition {
        uuid: Uuid::from_u128(domain),
        name: format!("domain-{domain}"),
        xml: format!("<domain generation='{generation}'/>"),
        driver: "test".to_owned(),
        persistent: true,
        generation,
        created_unix_ms: 1,
        changed_unix_ms: generation,
    }
}

pub(crate) fn pool(pool: u128, generation: u64) -> PoolDefinition {
    PoolDefinition {
        uuid: Uuid::from_u128(pool),
        name: format!("pool-{pool}"),
        xml: format!("<pool generation='{generation}'/>"),
        persistent: true,
        autostart: false,
        generation,
        created_unix_ms: 1,
        changed_unix_ms: generation,
    }
}

fn volume(format: &str) -> VolumeRecord {
    VolumeRecord {
        name: "v".to_owned(),
        format: format.to_owned(),
        created_unix_ms: 1,
        files: vec!["1".to_owned()],
        directory: None,
        secret: None,
    }
}

fn tenant(name: &str, generation: u64) -> TenantRecord {
    TenantRecord {
        name: name.to_owned(),
        phase: TenantPhase::Active,
        uids: vec![1001],
        gids: Vec::new(),
        storage_roots: vec!["/srv".into()],
        drivers: Vec::new(),
        networks: Vec::new(),
        bridges: Vec::new(),
        grants: None,
        limits: [("domains".to_owned(), Some(generation))].into(),
        generation,
        created_unix_ms: 1,
        changed_unix_ms: generation,
    }
}

fn charge(bytes: u64) -> Charge {
    Charge { path: "/srv/a".into(), bytes }
}

/// The state before the verb: one domain at its second generation, with driver state; one pool with a volume; a tenant
/// with a domain of its own.
pub(crate) fn prepare(root: &Path) {
    let owner = StateDir::open_owner(root, Duration::ZERO).unwrap();
    owner.put_definition(&definition(1, 0)).unwrap();
    owner.put_definition(&definition(1, 1)).unwrap();
    owner.put_driver_state(Uuid::from_u128(1), b"zero").unwrap();
    owner.put_driver_state(Uuid::from_u128(1), b"one").unwrap();
    owner.put_pool(&pool(1, 1)).unwrap();
    owner.put_volume(Uuid::from_u128(1), &volume("raw")).unwrap();
    owner.put_tenant(&tenant("one", 1)).unwrap();
    let own = StateDir::open_owner(&owner.tenant_dir("one").unwrap(), Duration::ZERO).unwrap();
    own.put_definition(&definition(1, 1)).unwrap();
}

/// Runs a verb; `acknowledge` is told the number of steps done after each.
pub(crate) fn run(
    name: &str,
    disk: Arc<dyn Disk>,
    root: &Path,
    mut acknowledge: impl FnMut(usize),
) -> Result<(), StateError> {
    let owner = StateDir::open_owner_on(disk, root, Duration::ZERO)?;
    let one = Uuid::from_u128(1);
    let mut step = 0;
    let mut done = || {
        step += 1;
        acknowledge(step);
    };
    match name {
        "define" => owner.put_definition(&definition(2, 1)).map(|()| done()),
        "redefine" => owner.put_definition(&definition(1, 2)).map(|()| done()),
        "redefine-twice" => {
            owner.put_definition(&definition(1, 2)).map(|()| done())?;
            owner.put_definition(&definition(1, 3)).map(|()| done())
        }
        "undefine" => owner.remove_definition(one).map(|()| done()),
        "undefine-and-define" => {
            owner.remove_definition(one).map(|()| done())?;
            owner.put_definition(&definition(1, 7)).map(|()| done())
        }
        "driver-state" => owner.put_driver_state(one, b"two").map(|()| done()),
        "pool-define" => {
            owner.put_pool(&pool(1, 2)).map(|()| done())?;
            owner.put_pool(&pool(2, 1)).map(|()| done())
        }
        "pool-undefine" => owner.remove_pool(one).map(|()| done()),
        "volumes" => {
            owner.put_volume(one, &volume("qcow2")).map(|()| done())?;
            owner.remove_volume(one, "v").map(|()| done())
        }
        "journal" => {
            let mut intent = owner.journal().begin("start", one, "planned", json!({"plan": 1}))?;
            done();
            intent.payload = json!({"plan": 2});
            owner.journal().advance(&mut intent, "spawned").map(|()| done())?;
            owner.journal().finish(&intent).map(|()| done())
        }
        "tenant-create" => owner.put_tenant(&tenant("two", 1)).map(|()| done()),
        "tenant-change" => owner.put_tenant(&tenant("one", 2)).map(|()| done()),
        "tenant-remove" => {
            let held = StateDir::open_owner(&owner.tenant_dir("one")?, Duration::ZERO)?;
            owner.remove_tenant("one", held).map(|()| done())
        }
        "charges" => {
            owner.put_charge(&charge(1)).map(|()| done())?;
            owner.put_charge(&charge(2)).map(|()| done())?;
            owner.remove_charge(&charge(2).path).map(|()| done())
        }
        "first-open" => Ok(()),
        other => panic!("no verb {other}"),
    }
}

/// Everything a reader can know.
#[derive(Debug, PartialEq)]
pub(crate) struct View {
    definitions: Vec<Definition>,
    driver_states: Vec<Option<Vec<u8>>>,
    pools: Vec<PoolDefinition>,
    volumes: Vec<VolumeRecord>,
    pending: Vec<(String, serde_json::Value)>,
    tenants: Vec<TenantRecord>,
    of_tenant: Vec<Definition>,
    charges: Vec<Charge>,
    damage: usize,
}

pub(crate) fn view(root: &Path) -> View {
    let reader = StateDir::open_reader(root).unwrap();
    let step = |intent: Intent| (intent.step, intent.payload);
    View {
        definitions: reader.definitions().unwrap(),
        driver_states: [1, 2].map(|domain| reader.driver_state(Uuid::from_u128(domain)).unwrap()).into(),
        pools: reader.pools().unwrap(),
        volumes: reader.volumes(Uuid::from_u128(1)).unwrap(),
        tenants: reader.tenants().unwrap(),
        of_tenant: StateDir::open_reader(&reader.tenant_dir("one").unwrap()).unwrap().definitions().unwrap(),
        charges: reader.charges().unwrap(),
        pending: reader.pending().unwrap().into_iter().map(step).collect(),
        damage: reader.damage().len() + reader.set_aside().unwrap().len(),
    }
}

/// Names that no finished operation leaves.
pub(crate) fn leftovers(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name.contains(".tmp-") || name.starts_with("removed-") {
                found.push(name);
            }
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            }
        }
    }
    found
}
