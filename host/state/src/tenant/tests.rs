//! Records and directories of tenants.

use std::time::Duration;

use super::*;

fn record(name: &str, generation: u64) -> TenantRecord {
    TenantRecord {
        name: name.to_owned(),
        phase: TenantPhase::Active,
        uids: vec![1001],
        gids: vec![2001],
        storage_roots: vec!["/srv/a".into()],
        drivers: vec!["qemu".to_owned()],
        networks: Vec::new(),
        bridges: Vec::new(),
        grants: None,
        limits: BTreeMap::from([("domains".to_owned(), Some(3)), ("disk".to_owned(), None)]),
        generation,
        created_unix_ms: 1,
        changed_unix_ms: 2,
    }
}

fn owner(root: &Path) -> Owner {
    StateDir::open_owner(root, Duration::ZERO).unwrap()
}

#[test]
fn tenants_are_found_until_they_are_removed() {
    let root = tempfile::tempdir().unwrap();
    let state = owner(root.path());
    assert!(state.tenants().unwrap().is_empty());
    for tenant in [record("b", 1), record("a", 1), record("a", 2)] {
        state.put_tenant(&tenant).unwrap();
    }
    let reader = StateDir::open_reader(root.path()).unwrap();
    assert_eq!(reader.tenants().unwrap(), [record("a", 2), record("b", 1)]);
    let directory = reader.tenant_dir("a").unwrap();
    let held = owner(&directory);
    assert_eq!(reader.tenant_dirs().unwrap(), ["a"]);
    state.remove_tenant("a", held).unwrap();
    assert!(!directory.exists());
    assert_eq!(reader.tenants().unwrap(), [record("b", 1)]);
    assert_eq!(reader.tenant("a").unwrap(), None);
    let elsewhere = owner(&root.path().join("elsewhere"));
    assert_eq!(state.remove_tenant("a", elsewhere).unwrap_err().kind, Kind::NotFound);
}

#[test]
fn names_are_plain_words() {
    for good in ["a", "blue-2", &"x".repeat(32)] {
        check_tenant_name(good).unwrap();
    }
    let long = "x".repeat(33);
    for wrong in [
        "", "..", ".", "../a", "/etc", "a/b", "A", "1a", "-a", "a.prev", "a b", "\u{e4}", "a\0", "a\n", &long,
    ] {
        assert_eq!(check_tenant_name(wrong).unwrap_err().kind, Kind::InvalidName, "{wrong:?}");
    }
    let root = tempfile::tempdir().unwrap();
    let state = owner(root.path());
    assert_eq!(state.tenant("../domains").unwrap_err().kind, Kind::InvalidName);
    assert_eq!(state.tenant_dir("..").unwrap_err().kind, Kind::InvalidName);
    assert_eq!(state.put_tenant(&record("../x", 1)).unwrap_err().kind, Kind::InvalidName);
}

#[test]
fn only_who_is_named_is_admitted() {
    let tenant = record("a", 1);
    assert!(tenant.admits(1001, &[]) && tenant.admits(7, &[9, 2001]));
    assert!(!tenant.admits(7, &[1001]) && !tenant.admits(2001, &[]) && !tenant.admits(0, &[0]));
}

#[test]
fn half_removed_tenant_is_gone_for_the_next_owner() {
    let root = tempfile::tempdir().unwrap();
    let state = owner(root.path());
    state.put_tenant(&TenantRecord { phase: TenantPhase::Removing, ..record("a", 2) }).unwrap();
    let directory = state.tenant_dir("a").unwrap();
    drop(owner(&directory));
    drop(state);
    let state = owner(root.path());
    assert!(!directory.exists() && state.tenants().unwrap().is_empty());
}

#[test]
fn damaged_record_is_set_aside_and_the_tenants_state_stays() {
    let root = tempfile::tempdir().unwrap();
    let state = owner(root.path());
    state.put_tenant(&record("a", 1)).unwrap();
    let directory = state.tenant_dir("a").unwrap();
    drop(owner(&directory));
    fs::write(state.tenant_record_path("a"), "torn").unwrap();
    assert_eq!(state.tenant("a").unwrap_err().kind, Kind::Corrupt);
    assert!(state.tenants().unwrap().is_empty());
    drop(state);
    assert_eq!(owner(root.path()).tenant_dirs().unwrap(), ["a"]);
}

#[test]
fn older_generation_alone_is_still_the_tenant() {
    let root = tempfile::tempdir().unwrap();
    let state = owner(root.path());
    state.put_tenant(&record("a", 1)).unwrap();
    state.put_tenant(&record("a", 2)).unwrap();
    fs::remove_file(state.tenant_record_path("a")).unwrap();
    assert_eq!(state.tenants().unwrap(), [record("a", 1)]);
}

/// Who waited for the lock of a tenant that was removed, and perhaps made again, never holds the lock of nothing.
#[test]
fn lock_of_a_removed_directory_is_no_lock() {
    let root = tempfile::tempdir().unwrap();
    let state = owner(root.path());
    state.put_tenant(&record("a", 1)).unwrap();
    let directory = state.tenant_dir("a").unwrap();
    let held = owner(&directory);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| StateDir::open_owner(&directory, Duration::from_secs(30)));
        state.remove_tenant("a", held).unwrap();
        match waiter.join().unwrap() {
            Err(error) => assert_eq!(error.kind, Kind::NotFound, "{error}"),
            // It came so late that it made the directory itself.
            Ok(waited) => {
                assert_eq!(waited.root(), directory);
                assert_eq!(StateDir::open_owner(&directory, Duration::ZERO).unwrap_err().kind, Kind::Busy);
            }
        }
    });
}

#[test]
fn directories_that_others_look_into_are_not_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = tempfile::tempdir().unwrap();
    for (mode, private) in [(0o700, true), (0o711, false), (0o770, false)] {
        fs::set_permissions(root.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(is_private(root.path()).unwrap(), private, "{mode:o}");
    }
    assert!(is_private(&root.path().join("absent")).unwrap());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        failure_persistence: None,
        ..proptest::prelude::ProptestConfig::with_cases(2_000)
    })]

    /// Whatever is taken for a name is one plain component, and neither a temporary, a removed one nor an older generation.
    #[test]
    fn names_are_single_components(name in "[a-zA-Z0-9./\\\\ _-]{0,40}|\\PC{0,8}") {
        if check_tenant_name(&name).is_ok() {
            let path = Path::new("/tenants").join(&name);
            proptest::prop_assert_eq!(path.parent(), Some(Path::new("/tenants")));
            proptest::prop_assert_eq!(path.components().count(), 3);
            proptest::prop_assert!(!files::is_temporary(&name) && !name.ends_with(files::PREVIOUS));
        }
    }
}
