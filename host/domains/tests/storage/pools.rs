//! The life of a pool.

use hostler_domains::{Kind, PoolRef};

use crate::setting::{Setting, make, new, pool, quiet};

#[tokio::test]
async fn pool_is_defined_started_measured_stopped_and_forgotten() {
    let setting = Setting::new();
    let host = setting.host().await;
    let defined = host.pool_define(&setting.pool_xml()).await.unwrap();
    assert!(defined.created && !defined.summary.active && defined.summary.persistent);
    let again = host.pool_define(&setting.pool_xml()).await.unwrap();
    assert_eq!((again.created, again.summary.uuid), (false, defined.summary.uuid));
    assert_eq!(host.vol_list(&pool()).await.unwrap_err().code(), "pool.inactive");
    host.pool_start(&pool(), false).await.unwrap();
    assert_eq!(host.pool_start(&pool(), false).await.unwrap_err().code(), "pool.active");
    let shown = host.pool_show(&PoolRef::new(defined.summary.uuid.to_string())).await.unwrap();
    assert_eq!((shown.volumes, shown.unmeasured, shown.generation), (Some(0), None, 2));
    assert!(shown.space.unwrap().available > 0);
    for refused in [host.pool_undefine(&pool()).await, host.pool_delete(&pool()).await] {
        assert_eq!(refused.unwrap_err().code(), "pool.active");
    }
    host.pool_stop(&pool()).await.unwrap();
    host.pool_delete(&pool()).await.unwrap();
    assert!(!setting.path("pool").exists());
    let missing = host.pool_start(&pool(), false).await.unwrap_err();
    assert_eq!((missing.kind, missing.hints.is_empty()), (Kind::NotFound, false));
    host.pool_start(&pool(), true).await.unwrap();
    host.pool_stop(&pool()).await.unwrap();
    host.pool_undefine(&pool()).await.unwrap();
    assert!(host.pool_list().await.unwrap().is_empty() && setting.path("pool").exists());
}

#[tokio::test]
async fn unknown_pool_is_told_with_the_nearest_name() {
    let setting = Setting::new();
    let host = setting.host().await;
    let xml = setting.pool_xml().replace("<name>p<", "<name>images<");
    host.pool_define(&xml).await.unwrap();
    let error = host.pool_show(&PoolRef::new("imaegs")).await.unwrap_err();
    assert_eq!((error.kind, error.code()), (Kind::NotFound, "pool.not-found"));
    assert_eq!(error.hints[0].text, "did you mean 'images'?");
}

#[tokio::test]
async fn two_pools_share_neither_name_nor_place() {
    let setting = Setting::new();
    let host = setting.host().await;
    host.pool_define(&setting.pool_xml()).await.unwrap();
    let other = setting.pool_xml().replace("<name>p<", "<name>q<");
    let named = "<pool type='dir'><name>p</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>\
                 <target><path>/x</path></target></pool>";
    for xml in [other.as_str(), &other.replace("</path>", "/</path>"), named] {
        let error = host.pool_define(xml).await.unwrap_err();
        assert_eq!((error.kind, error.code()), (Kind::Exists, "pool.exists"), "{xml}");
    }
    host.pool_start(&pool(), false).await.unwrap();
    let moved = "<pool type='dir'><name>p</name><target><path>/elsewhere</path></target></pool>";
    assert_eq!(host.pool_define(moved).await.unwrap_err().code(), "pool.active");
}

#[tokio::test]
async fn every_type_is_defined_and_what_is_not_supported_says_so_at_its_start() {
    let setting = Setting::new();
    let host = setting.host().await;
    let rbd = "<pool type='rbd'><name>p</name><source><name>images</name></source></pool>";
    host.pool_define(rbd).await.unwrap();
    let error = host.pool_start(&pool(), false).await.unwrap_err();
    assert_eq!((error.kind, error.code()), (Kind::Unsupported, "pool.type-unsupported"));
    let xml = host.pool_xml(&pool()).await.unwrap();
    assert!(xml.contains("<uuid>") && xml.ends_with("<source><name>images</name></source></pool>"), "{xml}");
}

#[tokio::test]
async fn created_pool_is_forgotten_when_it_is_stopped() {
    let setting = Setting::new();
    let host = setting.host().await;
    let nowhere = setting.pool_xml().replace("/pool</path>", "/deep/pool</path>");
    assert_eq!(host.pool_create(&nowhere, false).await.unwrap_err().kind, Kind::NotFound);
    assert!(host.pool_list().await.unwrap().is_empty(), "nothing of it is left");
    let created = host.pool_create(&nowhere, true).await.unwrap();
    assert!(created.summary.active && !created.summary.persistent);
    assert_eq!(host.pool_autostart(&pool(), true).await.unwrap_err().code(), "pool.transient");
    host.pool_stop(&pool()).await.unwrap();
    assert!(host.pool_list().await.unwrap().is_empty());
}

#[tokio::test]
async fn one_directory_is_one_pool_however_it_is_written() {
    let setting = Setting::new();
    let host = setting.with_pool().await;
    std::os::unix::fs::symlink("pool", setting.path("link")).unwrap();
    let other = setting.pool_xml().replace("<name>p<", "<name>q<");
    for place in ["/pool/", "//pool", "/./pool", "/link"] {
        let xml = other.replace("/pool</path>", &format!("{place}</path>"));
        assert_eq!(host.pool_define(&xml).await.unwrap_err().code(), "pool.exists", "{place}");
    }
    host.pool_define(&other.replace("/pool</path>", "/other</path>")).await.unwrap();
}

/// As after a power cut, which may tear what is written without waiting for the disk.
#[tokio::test]
async fn pool_with_a_torn_activity_is_there_and_not_started() {
    let setting = Setting::new();
    let uuid = setting.with_pool().await.pool_list().await.unwrap()[0].uuid;
    std::fs::write(setting.path("state/pools").join(uuid.to_string()).join("activity"), "torn").unwrap();
    let host = setting.host().await;
    assert!(!host.pool_show(&pool()).await.unwrap().summary.active);
    host.pool_start(&pool(), false).await.unwrap();
    assert!(host.pool_show(&pool()).await.unwrap().summary.active);
}

/// As after an unmount: another directory under the same name says nothing about what was made here.
#[tokio::test]
async fn refresh_forgets_nothing_while_the_storage_is_away() {
    let setting = Setting::new();
    let host = setting.with_pool().await;
    make(&host, &new("a", "qcow2", 1 << 20)).await;
    std::fs::rename(setting.path("pool"), setting.path("away")).unwrap();
    std::fs::create_dir(setting.path("pool")).unwrap();
    assert!(host.pool_refresh(&pool()).await.unwrap().forgotten.is_empty());
    std::fs::remove_dir(setting.path("pool")).unwrap();
    std::fs::rename(setting.path("away"), setting.path("pool")).unwrap();
    assert!(host.pool_refresh(&pool()).await.unwrap().forgotten.is_empty());
    assert_eq!(host.vol_show(&pool(), "a").await.unwrap().summary.format.as_deref(), Some("qcow2"));
}

/// A format was declared for one file: another one under its name, or in another place, has none.
#[tokio::test]
async fn declared_format_stays_with_its_file() {
    let setting = Setting::new();
    let host = setting.with_pool().await;
    make(&host, &new("a", "qcow2", 1 << 20)).await;
    make(&host, &new("b", "raw", 1 << 20)).await;
    std::fs::copy(setting.path("pool/b"), setting.path("pool/other")).unwrap();
    std::fs::rename(setting.path("pool/other"), setting.path("pool/a")).unwrap();
    let formats = async || {
        let listed = host.vol_list(&pool()).await.unwrap();
        listed.into_iter().map(|volume| volume.format).collect::<Vec<_>>()
    };
    assert_eq!(formats().await, [None, Some("raw".to_owned())]);
    assert_eq!(host.vol_show(&pool(), "a").await.unwrap().summary.format, None);
    host.pool_stop(&pool()).await.unwrap();
    host.pool_define(&setting.pool_xml()).await.unwrap();
    host.pool_start(&pool(), false).await.unwrap();
    assert_eq!(formats().await, [None, Some("raw".to_owned())], "defined again as it was");
    host.pool_stop(&pool()).await.unwrap();
    let elsewhere = setting.pool_xml().replace("/pool</path>", "/other</path>");
    std::fs::create_dir(setting.path("other")).unwrap();
    host.pool_define(&elsewhere).await.unwrap();
    host.pool_define(&setting.pool_xml()).await.unwrap();
    host.pool_start(&pool(), false).await.unwrap();
    assert_eq!(formats().await, [None, None]);
}

/// An upload puts another file in the place of the volume, and its format goes with it.
#[tokio::test]
async fn upload_keeps_the_declared_format() {
    let setting = Setting::new();
    let host = setting.with_pool().await;
    make(&host, &new("a", "raw", 1 << 20)).await;
    let bytes = vec![1; 1 << 20];
    let from = Box::new(std::io::Cursor::new(bytes));
    host.vol_upload(&pool(), "a", from, (None, Some(1 << 20)), quiet()).await.unwrap();
    assert_eq!(host.vol_show(&pool(), "a").await.unwrap().summary.format.as_deref(), Some("raw"));
    let failing = Box::new(std::io::Cursor::new(vec![1; 1 << 10]));
    host.vol_upload(&pool(), "a", failing, (None, Some(1 << 20)), quiet()).await.ok();
    assert_eq!(host.vol_show(&pool(), "a").await.unwrap().summary.format.as_deref(), Some("raw"));
}

#[tokio::test]
async fn refresh_forgets_what_has_gone() {
    let setting = Setting::new();
    let host = setting.with_pool().await;
    make(&host, &new("a", "qcow2", 1 << 20)).await;
    make(&host, &new("b", "qcow2", 1 << 20)).await;
    std::fs::remove_file(setting.path("pool/a")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", setting.path("pool/link")).unwrap();
    let refreshed = host.pool_refresh(&pool()).await.unwrap();
    assert_eq!((refreshed.volumes, refreshed.forgotten), (1, vec!["a".to_owned()]));
    assert_eq!(refreshed.skipped[0].name, "link");
    assert!(host.pool_refresh(&pool()).await.unwrap().forgotten.is_empty());
}
