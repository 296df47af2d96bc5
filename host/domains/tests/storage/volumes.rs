//! The life of a volume, and who is in the way of it.

use std::io::Cursor;
use std::sync::{Arc, Mutex};

use hostler_domains::{CloneOptions, Kind, NewVolume, Preallocation, Resize, ResizeOptions, Window};

use crate::setting::{Setting, make, new, over, pool, quiet};

fn resize(size: Resize) -> ResizeOptions {
    ResizeOptions { size, shrink: false, allocate: false, format: None }
}

#[tokio::test]
async fn volume_is_made_shown_copied_resized_and_deleted() {
    let setting = Setting::new();
    let host = setting.with_pool().await;
    let made = make(&host, &new("a", "qcow2", 8 << 20)).await;
    assert_eq!((made.format.as_deref(), made.found_format.as_deref()), (Some("qcow2"), Some("qcow2")));
    assert_eq!((made.capacity, made.compat.as_deref()), (8 << 20, Some("1.1")));
    assert_eq!(host.vol_path(&pool(), "a").await.unwrap(), setting.path("pool/a"));
    let copy = host.vol_clone(&pool(), ("a", "b"), &CloneOptions::default(), quiet()).await.unwrap();
    assert_eq!((copy.format.as_deref(), copy.capacity), (Some("qcow2"), 8 << 20));
    let resized = host.vol_resize(&pool(), "b", &resize(Resize::By(1 << 20))).await.unwrap();
    assert_eq!((resized.capacity_before, resized.summary.capacity), (8 << 20, 9 << 20));
    let shrink = host.vol_resize(&pool(), "b", &resize(Resize::To(512))).await.unwrap_err();
    assert_eq!((shrink.kind, shrink.code()), (Kind::Invalid, "volume.shrink"));
    let xml = host.vol_xml(&pool(), "a").await.unwrap();
    assert!(xml.contains("<format type='qcow2'/>") && xml.contains("<mode>0600</mode>"), "{xml}");
    let again = NewVolume::Document {
        xml: xml.replace("<name>a<", "<name>c<"),
        preallocation: Preallocation::Metadata,
    };
    assert_eq!(make(&host, &again).await.capacity, 8 << 20);
    let names: Vec<_> = host.vol_list(&pool()).await.unwrap().into_iter().map(|volume| volume.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    host.vol_delete(&pool(), "a").await.unwrap();
    assert_eq!(setting.names(), ["b", "c"]);
}

#[tokio::test]
async fn what_is_refused_says_why_and_leaves_nothing() {
    let setting = Setting::new();
    let host = setting.with_pool().await;
    make(&host, &new("a", "raw", 1 << 20)).await;
    for (volume, kind, code) in [
        (new("a", "raw", 1), Kind::Exists, "volume.exists"),
        (new("../a", "raw", 1), Kind::Invalid, "volume.name"),
        (new("-a", "raw", 1), Kind::Invalid, "volume.name"),
        (new("b", "qcwo2", 1), Kind::Invalid, "volume.format-unknown"),
        (new("b", "iso", 1), Kind::Unsupported, "volume.format-unwritable"),
        (over("b", "gone"), Kind::NotFound, "volume.not-found"),
        (over("b", "/etc/passwd"), Kind::Invalid, "volume.backing-format"),
    ] {
        let error = host.vol_create(&pool(), &volume, quiet()).await.unwrap_err();
        assert_eq!((error.kind, error.code()), (kind, code), "{volume:?}: {error}");
        assert_eq!(setting.names(), ["a"]);
    }
    let outside = NewVolume::Document {
        xml: "<volume><name>b</name><target><format type='qcow2'/></target><backingStore>\
              <path>/usr/bin/env</path><format type='raw'/></backingStore></volume>"
            .to_owned(),
        preallocation: Preallocation::Off,
    };
    let error = host.vol_create(&pool(), &outside, quiet()).await.unwrap_err();
    assert_eq!((error.kind, error.code()), (Kind::Denied, "volume.backing-outside"));
    let error = host.vol_show(&pool(), "b").await.unwrap_err();
    assert_eq!((error.kind, error.code()), (Kind::NotFound, "volume.not-found"));
    assert_eq!(host.vol_show(&pool(), "../state").await.unwrap_err().code(), "volume.name");
    drop(host);
    assert!(setting.owner().pending().unwrap().is_empty());
}

#[tokio::test]
async fn format_of_what_was_not_made_here_is_never_guessed() {
    let setting = Setting::new();
    let host = setting.with_pool().await;
    make(&host, &new("made", "qcow2", 1 << 20)).await;
    std::fs::rename(setting.path("pool/made"), setting.path("pool/brought")).unwrap();
    let refused = host.vol_clone(&pool(), ("brought", "copy"), &CloneOptions::default(), quiet()).await;
    let refused = refused.unwrap_err();
    assert_eq!((refused.kind, refused.code()), (Kind::Denied, "volume.format-undeclared"));
    assert!(refused.hints[0].text.contains("--source-format qcow2"), "{:?}", refused.hints);
    let said = CloneOptions { source_format: Some("qcow2".into()), format: Some("raw".into()) };
    let copy = host.vol_clone(&pool(), ("brought", "copy"), &said, quiet()).await.unwrap();
    assert_eq!((copy.format.as_deref(), copy.capacity), (Some("raw"), 1 << 20));
}

#[tokio::test]
async fn overlays_hold_what_they_stand_on() {
    let setting = Setting::new();
    let host = setting.with_pool().await;
    make(&host, &new("base", "qcow2", 4 << 20)).await;
    let top = make(&host, &over("top", "base")).await;
    assert_eq!((top.capacity, top.backing.as_deref()), (4 << 20, Some("base")));
    assert_eq!(top.backing_format.as_deref(), Some("qcow2"), "recorded, so nobody has to say it");
    assert_eq!(host.vol_show(&pool(), "base").await.unwrap().stood_on_by, ["top"]);
    let refused = host.vol_delete(&pool(), "base").await.unwrap_err();
    assert_eq!((refused.kind, refused.code()), (Kind::Conflict, "volume.has-overlays"));
    host.vol_delete(&pool(), "top").await.unwrap();
    host.vol_delete(&pool(), "base").await.unwrap();
}

#[tokio::test]
async fn volume_that_a_domain_names_is_not_deleted() {
    let setting = Setting::new();
    let host = setting.with_pool().await;
    for name in ["named", "pathed", "below", "free"] {
        make(&host, &new(name, "qcow2", 1 << 20)).await;
    }
    let outside = setting.path("outside.qcow2");
    drop(host);
    let made = std::process::Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"])
        .args([setting.path("pool/below"), outside.clone()])
        .status();
    assert!(made.unwrap().success());
    setting.define_domain(
        "web",
        &format!(
            "<disk type='volume'><source pool='p' volume='named'/><target dev='vda'/></disk>\
             <disk type='file'><driver type='qcow2'/><source file='{}'/><target dev='vdb'/></disk>\
             <disk type='file'><driver type='qcow2'/><source file='{}'/><target dev='vdc'/>\
             <backingStore type='file'><format type='qcow2'/><source file='{}'/></backingStore></disk>",
            setting.path("pool/./pathed").display(),
            outside.display(),
            setting.path("pool/below").display()
        ),
    );
    let host = setting.host().await;
    for (name, disk, writes) in [("named", "vda", true), ("pathed", "vdb", true), ("below", "vdc", false)] {
        let refused = host.vol_delete(&pool(), name).await.unwrap_err();
        assert_eq!((refused.kind, refused.code()), (Kind::Conflict, "volume.in-use"), "{name}");
        assert!(refused.message.contains(disk) && refused.message.contains("'web'"), "{refused}");
        let used = host.vol_show(&pool(), name).await.unwrap().used_by;
        assert_eq!((used.len(), used[0].writes, used[0].running), (1, writes, false), "{name}");
    }
    host.vol_resize(&pool(), "named", &resize(Resize::By(512))).await.unwrap();
    host.vol_delete(&pool(), "free").await.unwrap();
}

/// A sink that can be looked at afterwards.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn content_goes_in_and_comes_out() {
    let setting = Setting::new();
    let host = setting.with_pool().await;
    make(&host, &new("a", "raw", 1 << 20)).await;
    make(&host, &new("q", "qcow2", 1 << 20)).await;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|byte| u8::try_from(byte % 251).unwrap()).collect();
    let from = || Box::new(Cursor::new(sent.clone()));
    let told = Arc::new(Mutex::new(0.0));
    let telling = Arc::clone(&told);
    let progress = Box::new(move |done| *telling.lock().unwrap() = done);
    let moved =
        host.vol_upload(&pool(), "a", from(), (None, Some(sent.len() as u64)), progress).await.unwrap();
    assert_eq!((moved.bytes, *told.lock().unwrap()), (3_000_000, 1.0));
    let (kept, window) = (Kept::default(), Window { offset: 2_999_990, length: None });
    host.vol_download(&pool(), "a", Box::new(kept.clone()), window, quiet()).await.unwrap();
    assert_eq!(kept.0.lock().unwrap().as_slice(), &sent[2_999_990..]);
    let wrong = host.vol_upload(&pool(), "q", from(), (None, None), quiet()).await.unwrap_err();
    assert_eq!((wrong.kind, wrong.code()), (Kind::Denied, "image.malformed"));
    assert_eq!(setting.names(), ["a", "q"]);
    drop(host);
    assert!(setting.owner().pending().unwrap().is_empty());
}
