//! Two tenants, a secret of the host, and a watch on what must not be opened.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::inotify;
use serde_json::Value;

use crate::tenants::Shared;
use crate::workbench::{Answer, Workbench};

/// What is in the secret and in the other tenant's image.
const CANARY: &[u8] = b"root:$y$canary:19000:0:99999:7:::\n";
/// Size of the images, in bytes.
const IMAGE_BYTES: u64 = 1 << 20;
/// Where a file would be that a hypervisor makes.
const MADE: &str = "made";

/// `red` has the hostile driver, `blue` an image.
pub(super) struct Scene {
    shared: Shared,
    policy: PathBuf,
    /// In the role of `/etc/shadow`.
    pub(super) secret: PathBuf,
    /// The image of `blue`.
    pub(super) other: PathBuf,
    watch: OwnedFd,
    watched: Vec<(i32, &'static str)>,
    before: Vec<(PathBuf, Stamp)>,
}

/// What tells that a file was read, written or changed.
type Stamp = (Vec<u8>, i64, i64, i64, i64, u32);

impl Deref for Scene {
    type Target = Workbench;

    fn deref(&self) -> &Workbench {
        &self.shared.0
    }
}

impl Scene {
    pub(super) fn new() -> Self {
        let shared = Shared::new(&["red", "blue"]);
        let policy = shared.0.write(
            "policy.json",
            r#"{"default": {"allow": ["storage", "firmware"]}, "drivers": {
                "abuse": {"allow": ["storage", "firmware", "endpoint", "qmp", "process:qemu-system-*",
                    "process:qemu-storage-daemon", "process:sh"]},
                "qemu": {"allow": ["storage", "firmware", "endpoint", "qmp", "process:qemu-system-*"]}}}"#,
        );
        let (secret, other) = (shared.0.path("shadow"), shared.at("blue", "disk.raw"));
        for path in [&secret, &other] {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(path).unwrap();
            std::io::Write::write_all(&mut file, CANARY).unwrap();
            file.set_len(IMAGE_BYTES).unwrap();
        }
        File::create(shared.at("red", "disk.raw")).unwrap().set_len(IMAGE_BYTES).unwrap();
        let before = [&secret, &other].map(|path| (path.clone(), stamp(path))).to_vec();
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).unwrap();
        let watched = [(&secret, "secret"), (&other, "other")].map(|(path, name)| {
            let number = inotify::add_watch(&watch, path, inotify::WatchFlags::ALL_EVENTS).unwrap();
            (number, name)
        });
        Self { shared, policy, secret, other, watch, watched: watched.to_vec(), before }
    }

    /// A command for the tenant with the hostile driver.
    pub(super) fn red(&self, arguments: &[&str]) -> Answer {
        self.shared.run("red", &self.with_policy(arguments))
    }

    pub(super) fn red_json(&self, arguments: &[&str]) -> Value {
        self.shared.json("red", &self.with_policy(arguments))
    }

    /// A command for the other tenant.
    pub(super) fn blue(&self, arguments: &[&str]) -> Answer {
        self.shared.run("blue", &self.with_policy(arguments))
    }

    /// A path beneath the root of the other tenant.
    pub(super) fn blue_path(&self, name: &str) -> PathBuf {
        self.shared.at("blue", name)
    }

    fn with_policy<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [&["--policy", self.policy.to_str().unwrap()], arguments].concat()
    }

    /// The value of a table, its places filled in.
    pub(super) fn value(&self, text: &str) -> Value {
        let text = text
            .replace("@SECRET@", self.secret.to_str().unwrap())
            .replace("@OTHER@", self.other.to_str().unwrap())
            .replace("@MADE@", self.made().to_str().unwrap());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    fn made(&self) -> PathBuf {
        self.path(MADE)
    }

    /// Defines the domain whose driver does what is added.
    pub(super) fn define(&self, added: &Value) {
        let answer = self.try_define(added, &self.shared.at("red", "disk.raw"));
        assert_eq!(answer.status, 0, "{added}: {}", answer.stderr);
    }

    /// The same with this image as its disk.
    pub(super) fn try_define(&self, added: &Value, disk: &Path) -> Answer {
        let added = added.to_string().replace('&', "&amp;").replace('<', "&lt;");
        let xml = format!(
            "<domain type='abuse'><name>evil</name><uuid>6f0c2a10-54a7-4b9c-8d0e-0d5a3e1c7b21</uuid>\
             <description>{added}</description><memory unit='MiB'>32</memory><vcpu>1</vcpu><os><type>hvm</type></os>\
             <devices><disk type='file'><driver type='raw'/><source file='{}'/><target dev='vda' bus='virtio'/></disk>\
             <serial type='pty'/></devices></domain>",
            disk.display()
        );
        let file = self.write("evil.xml", &xml);
        self.red(&["define", file.to_str().unwrap()])
    }

    /// What of the watched was opened, read or written since this was last asked.
    pub(super) fn opened(&self) -> BTreeSet<&'static str> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.watch, &mut buffer);
        let mut seen = BTreeSet::new();
        while let Ok(event) = reader.next() {
            let of = self.watched.iter().find(|(number, _)| *number == event.wd());
            seen.extend(of.map(|(_, name)| *name));
        }
        seen
    }

    /// Nobody has opened the secret or the image; they are as they were, and nothing was made.
    pub(super) fn assert_untouched(&self, tried: &Value) {
        assert_eq!(self.opened(), BTreeSet::new(), "{tried}: it was opened");
        for (path, before) in &self.before {
            assert_eq!(
                times(path),
                (before.1, before.2, before.3, before.4, before.5),
                "{tried}: {}",
                path.display()
            );
        }
        assert!(!self.made().exists(), "{tried}: it has made a file");
    }

    /// The watch sees who opens what is watched, and the content was the same to the end.
    pub(super) fn assert_watched(&self) {
        for (path, before) in &self.before {
            assert_eq!(stamp(path).0, before.0, "{}", path.display());
        }
        assert_eq!(self.opened(), BTreeSet::from(["secret", "other"]), "the watch sees a real open");
    }
}

fn times(path: &Path) -> (i64, i64, i64, i64, u32) {
    let found = std::fs::metadata(path).unwrap();
    (found.atime(), found.atime_nsec(), found.mtime(), found.mtime_nsec(), found.mode())
}

fn stamp(path: &Path) -> Stamp {
    // Reading it is what changes when it was read last.
    let content = std::fs::read(path).unwrap();
    let (atime, atime_nsec, mtime, mtime_nsec, mode) = times(path);
    (content, atime, atime_nsec, mtime, mtime_nsec, mode)
}
