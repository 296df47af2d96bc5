//! What an owner leaves that is killed, or whose machine boots again, and what the next one makes of it.

use hostler_state::{PoolActivity, VolumeRecord, boot_id};
use hostler_storage::PoolRoot;
use serde_json::json;

use crate::setting::{Setting, make, new, pool, quiet};

#[tokio::test]
async fn volume_that_was_being_made_leaves_nothing() {
    let setting = Setting::new();
    drop(setting.with_pool().await);
    let (operation, uuid) = {
        let owner = setting.owner();
        let uuid = owner.pools().unwrap()[0].uuid;
        let intent = owner.journal().begin("vol-create", uuid, "begun", json!({"volume": "a"})).unwrap();
        let record = VolumeRecord {
            name: "a".into(),
            format: "qcow2".into(),
            created_unix_ms: 1,
            files: vec![],
            directory: None,
            secret: None,
        };
        owner.put_volume(uuid, &record).unwrap();
        (intent.id, uuid)
    };
    std::fs::write(setting.path(&format!("pool/.hostler-{operation}.part")), "half").unwrap();
    drop(setting.host().await);
    assert!(setting.names().is_empty(), "{:?}", setting.names());
    let owner = setting.owner();
    assert!(owner.volumes(uuid).unwrap().is_empty() && owner.pending().unwrap().is_empty());
}

#[tokio::test]
async fn volume_that_got_its_name_stays_with_its_record() {
    let setting = Setting::new();
    let host = setting.with_pool().await;
    make(&host, &new("a", "qcow2", 1 << 20)).await;
    drop(host);
    for verb in ["vol-create", "vol-delete", "vol-upload"] {
        let owner = setting.owner();
        let uuid = owner.pools().unwrap()[0].uuid;
        owner.journal().begin(verb, uuid, "begun", json!({"volume": "a"})).unwrap();
        drop(owner);
        let host = setting.host().await;
        let volume = host.vol_show(&pool(), "a").await.unwrap().summary;
        assert_eq!(volume.format.as_deref(), Some("qcow2"), "{verb}");
    }
}

#[tokio::test]
async fn pool_that_cannot_be_reached_is_asked_by_a_later_owner() {
    let setting = Setting::new();
    drop(setting.with_pool().await);
    let operation = {
        let owner = setting.owner();
        let uuid = owner.pools().unwrap()[0].uuid;
        owner.journal().begin("vol-create", uuid, "begun", json!({"volume": "a"})).unwrap().id
    };
    let draft = format!(".hostler-{operation}.part");
    std::fs::write(setting.path("pool").join(&draft), "half").unwrap();
    std::fs::rename(setting.path("pool"), setting.path("away")).unwrap();
    drop(setting.host().await);
    std::fs::rename(setting.path("away"), setting.path("pool")).unwrap();
    assert_eq!(setting.names(), [draft]);
    drop(setting.host().await);
    assert!(setting.names().is_empty());
}

/// As after an unmount: what is not in another directory may well be in the right one.
#[tokio::test]
async fn nothing_is_settled_in_another_directory() {
    for verb in ["vol-create", "vol-delete", "vol-upload"] {
        let setting = Setting::new();
        let host = setting.with_pool().await;
        make(&host, &new("a", "qcow2", 1 << 20)).await;
        drop(host);
        let directory = PoolRoot::open_at(&setting.path("pool")).unwrap().identity().unwrap().to_string();
        let (operation, uuid) = {
            let owner = setting.owner();
            let uuid = owner.pools().unwrap()[0].uuid;
            let payload = json!({"volume": "a", "directory": directory});
            (owner.journal().begin(verb, uuid, "begun", payload).unwrap().id, uuid)
        };
        std::fs::write(setting.path("pool").join(format!(".hostler-{operation}.part")), "half").unwrap();
        std::fs::rename(setting.path("pool"), setting.path("away")).unwrap();
        std::fs::create_dir(setting.path("pool")).unwrap();
        drop(setting.host().await);
        let owner = setting.owner();
        assert_eq!((owner.pending().unwrap().len(), owner.volumes(uuid).unwrap().len()), (1, 1), "{verb}");
        drop(owner);
        std::fs::remove_dir(setting.path("pool")).unwrap();
        std::fs::rename(setting.path("away"), setting.path("pool")).unwrap();
        let host = setting.host().await;
        let volume = host.vol_show(&pool(), "a").await.unwrap().summary;
        assert_eq!((volume.format.as_deref(), setting.names()), (Some("qcow2"), vec!["a".to_owned()]));
        drop(host);
        assert!(setting.owner().pending().unwrap().is_empty(), "{verb}");
    }
}

/// Fails, and puts a directory in the place of the draft, which removing a file does not remove.
struct Meddler(std::path::PathBuf);

impl std::io::Read for Meddler {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        for entry in std::fs::read_dir(&self.0)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "part") && path.is_file() {
                std::fs::remove_file(&path)?;
                std::fs::create_dir(&path)?;
            }
        }
        Err(std::io::Error::other("the line is cut"))
    }
}

#[tokio::test]
async fn draft_that_cannot_be_removed_is_left_to_the_next_owner() {
    let setting = Setting::new();
    let host = setting.with_pool().await;
    make(&host, &new("a", "raw", 1 << 20)).await;
    let from = Box::new(Meddler(setting.path("pool")));
    host.vol_upload(&pool(), "a", from, (None, None), quiet()).await.unwrap_err();
    drop(host);
    let names = setting.names();
    assert_eq!((names.len(), setting.owner().pending().unwrap().len()), (2, 1), "{names:?}");
    std::fs::remove_dir(setting.path("pool").join(&names[0])).unwrap();
    std::fs::write(setting.path("pool").join(&names[0]), "half").unwrap();
    drop(setting.host().await);
    assert_eq!((setting.names(), setting.owner().pending().unwrap().len()), (vec!["a".to_owned()], 0));
}

#[tokio::test]
async fn deletion_that_is_refused_leaves_volume_record_and_no_intent() {
    let setting = Setting::new();
    let host = setting.with_pool().await;
    std::fs::create_dir_all(setting.path("pool/full/inside")).unwrap();
    assert_eq!(host.vol_delete(&pool(), "full").await.unwrap_err().code(), "volume.not-empty");
    make(&host, &new("a", "raw", 1 << 20)).await;
    host.vol_delete(&pool(), "a").await.unwrap();
    drop(host);
    let owner = setting.owner();
    let uuid = owner.pools().unwrap()[0].uuid;
    assert!(owner.pending().unwrap().is_empty() && owner.volumes(uuid).unwrap().is_empty());
}

#[tokio::test]
async fn pool_whose_document_cannot_be_read_holds_nobody_up() {
    let setting = Setting::new();
    drop(setting.with_pool().await);
    {
        let owner = setting.owner();
        let mut pool = owner.pools().unwrap().remove(0);
        owner.journal().begin("vol-create", pool.uuid, "begun", json!({"volume": "a"})).unwrap();
        pool.xml = "<pool type='of-another-version'/>".to_owned();
        owner.put_pool(&pool).unwrap();
    }
    let host = setting.host().await;
    let listed = host.pool_list().await.unwrap();
    assert!(listed[0].problem.as_ref().is_some_and(|problem| problem.contains("of-another-version")));
    drop(host);
    assert_eq!(setting.owner().pending().unwrap().len(), 1, "who can read it settles it");
    let host = setting.host().await;
    host.pool_undefine(&pool()).await.unwrap();
    assert!(host.pool_list().await.unwrap().is_empty());
}

#[tokio::test]
async fn boot_stops_pools_and_starts_those_that_are_to_be() {
    let setting = Setting::new();
    let host = setting.with_pool().await;
    host.pool_autostart(&pool(), true).await.unwrap();
    let transient =
        setting.pool_xml().replace("<name>p<", "<name>t<").replace("/pool</path>", "/other</path>");
    host.pool_create(&transient, true).await.unwrap();
    drop(host);
    boot(&setting);
    let pools = setting.host().await.pool_list().await.unwrap();
    assert_eq!(pools.len(), 1, "the transient one is gone: {pools:?}");
    assert!(pools[0].active && pools[0].autostart);
    let host = setting.host().await;
    host.pool_stop(&pool()).await.unwrap();
    drop(host);
    assert!(!setting.host().await.pool_list().await.unwrap()[0].active, "stopped stays stopped in this boot");
    setting.host().await.pool_autostart(&pool(), false).await.unwrap();
    boot(&setting);
    assert!(!setting.host().await.pool_list().await.unwrap()[0].active);
}

/// As if the machine had been booted: what is recorded is about another boot.
fn boot(setting: &Setting) {
    let owner = setting.owner();
    for pool in owner.pools().unwrap() {
        let boot = format!("before-{}", boot_id());
        owner.put_pool_activity(pool.uuid, &PoolActivity { boot, active: true }).unwrap();
    }
}
