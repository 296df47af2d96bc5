//! Who may act for whom.

use std::time::Duration;

use hostler_state::TenantRecord;

use super::*;
use crate::host::Access;

fn record(name: &str) -> TenantRecord {
    TenantRecord {
        name: name.to_owned(),
        phase: TenantPhase::Active,
        uids: vec![40_001],
        gids: vec![50_001],
        storage_roots: Vec::new(),
        drivers: vec!["qemu".to_owned()],
        networks: Vec::new(),
        bridges: Vec::new(),
        grants: None,
        limits: [("driver-cpu".to_owned(), Some(7)), ("driver-memory".to_owned(), Some(4 << 20))].into(),
        generation: 1,
        created_unix_ms: 1,
        changed_unix_ms: 1,
    }
}

fn config(state_dir: &Path, name: &str, uid: u32, gids: &[u32]) -> Config {
    Config {
        state_dir: state_dir.to_owned(),
        cache_dir: state_dir.join("cache"),
        driver_dirs: Vec::new(),
        image_roots: Vec::new(),
        shim: PathBuf::from("/nonexistent/hostler-shim"),
        compiler: None,
        worker: None,
        cage: hostler_launch::CageSetting::default(),
        policy: None,
        template_dir: None,
        firmware: hostler_firmware::SearchPath::system(),
        tenant: Some(TenantChoice { name: name.to_owned(), caller: Caller { uid, gids: gids.to_vec() } }),
    }
}

fn state() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let owner = StateDir::open_owner(root.path(), Duration::ZERO).unwrap();
    owner.put_tenant(&record("blue")).unwrap();
    owner.put_tenant(&TenantRecord { uids: vec![40_002], gids: Vec::new(), ..record("red") }).unwrap();
    root
}

fn enter(root: &tempfile::TempDir, name: &str, uid: u32, gids: &[u32]) -> Result<String, Error> {
    let entered = Tenancy::enter(&config(root.path(), name, uid, gids))?;
    Ok(entered.map_or_else(|| OPERATOR.to_owned(), |tenancy| tenancy.record.name))
}

fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[test]
fn named_users_and_groups_act_for_their_tenant_and_the_operator_for_all() {
    let root = state();
    assert_eq!(enter(&root, "blue", 40_001, &[]).unwrap(), "blue");
    assert_eq!(enter(&root, "blue", 9, &[8, 50_001]).unwrap(), "blue");
    for (name, found) in [("blue", "blue"), ("red", "red"), (OPERATOR, OPERATOR)] {
        assert_eq!(enter(&root, name, own(), &[]).unwrap(), found);
        assert_eq!(enter(&root, name, 0, &[]).unwrap(), found);
    }
}

#[test]
fn strangers_learn_nothing() {
    let root = state();
    let mut answers = Vec::new();
    for (name, uid) in [("red", 40_001), ("green", 40_001), ("blue", 40_002), (OPERATOR, 40_001)] {
        let error = enter(&root, name, uid, &[1]).unwrap_err();
        assert_eq!((error.kind, error.code()), (Kind::Denied, "tenant.refused"), "{name}");
        answers.push((error.to_string().replace(name, "NAME"), error.subject, error.hints));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

#[test]
fn operator_is_told_which_tenants_there_are() {
    let root = state();
    let error = enter(&root, "blu", own(), &[]).unwrap_err();
    assert_eq!((error.kind, error.hints[0].text.as_str()), (Kind::NotFound, "did you mean 'blue'?"));
    assert_eq!(enter(&root, "../red", own(), &[]).unwrap_err().kind, Kind::Invalid);
}

#[test]
fn limits_of_the_record_are_those_of_the_drivers() {
    let limits = driver_limits(&record("blue"));
    assert_eq!(limits.memory_bytes, Some(4 << 20));
    assert_eq!(limits.cpu_per_second, Some(Duration::from_millis(7)));
}

#[tokio::test]
async fn tenant_that_is_removed_while_one_waits_is_not_acted_for() {
    let root = state();
    let operator = StateDir::open_owner(root.path(), Duration::ZERO).unwrap();
    let directory = operator.tenant_dir("blue").unwrap();
    let held = StateDir::open_owner(&directory, Duration::ZERO).unwrap();
    let config = config(root.path(), "blue", own(), &[]);
    let waiter = tokio::spawn(async move {
        Host::open(config, Access::Owner { wait: Duration::from_secs(30) }).await.map(drop)
    });
    tokio::task::yield_now().await;
    operator.remove_tenant("blue", held).unwrap();
    assert_eq!(waiter.await.unwrap().unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn tenants_have_state_and_locks_of_their_own() {
    let root = state();
    let open = async |name: &str, access| Host::open(config(root.path(), name, own(), &[]), access).await;
    let owner = Access::Owner { wait: Duration::ZERO };
    let blue = open("blue", owner).await.unwrap();
    assert_eq!(open("blue", owner).await.map(drop).unwrap_err().kind, Kind::Busy);
    let red = open("red", owner).await.unwrap();
    let operator = open(OPERATOR, owner).await.unwrap();
    assert_ne!(blue.state().root(), red.state().root());
    assert!(blue.state().root().starts_with(root.path().join("tenants")));
    assert_eq!(operator.state().root(), root.path());
    assert_eq!(blue.tenant_list().await.unwrap_err().code(), "tenant.operator-only");
    assert_eq!(blue.tenant_show(Some("red")).await.unwrap_err().code(), "tenant.operator-only");
    assert_eq!(blue.tenant_show(None).await.unwrap().summary.name, "blue");
}
