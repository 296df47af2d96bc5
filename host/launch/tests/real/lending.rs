//! Write access to a layer that is only read: lent for a job, and nobody's without that.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use hostler_launch::{FileId, Handle, Sets, ShimClient, Value, render_arguments};
use serde_json::{Value as Json, json};

use crate::support::{Domain, PATIENCE, image, qemu};

fn make(arguments: &[&str], directory: &Path) {
    let output = Command::new("qemu-img").args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn checked(path: &Path, writable: bool) -> Handle {
    let Handle::Descriptor { fd, writable, role, path, data_apart, .. } = image(path, writable) else {
        panic!()
    };
    Handle::Descriptor { fd, writable, role, format: "qcow2", data_apart, path }
}

fn file_of(handle: Value) -> Value {
    Value::mapping::<&str>([("driver", "file".into()), ("filename", handle), ("auto-read-only", true.into())])
}

/// A base that is only read, and a layer over it; the guest's processors run, for QEMU closes descriptors only then.
struct Chain {
    domain: Domain,
    base: PathBuf,
    client: ShimClient,
}

impl Chain {
    fn new() -> Self {
        let mut domain = Domain::new("q35");
        let (base, top) = (domain.path("base.qcow2"), domain.path("top.qcow2"));
        make(&["create", "-q", "-f", "qcow2", "base.qcow2", "4M"], base.parent().unwrap());
        make(
            &["create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "top.qcow2"],
            base.parent().unwrap(),
        );
        let (lower, upper) = (domain.handle(checked(&base, false)), domain.handle(checked(&top, true)));
        let format = |name: &str, read_only: bool, file: Value, backing: Value| {
            Value::mapping::<&str>([
                ("driver", "qcow2".into()),
                ("node-name", name.into()),
                ("read-only", read_only.into()),
                ("file", file_of(file)),
                ("backing", backing),
            ])
        };
        domain.option("blockdev", format("base", true, lower, Value::Null));
        domain.option("blockdev", format("top", false, upper, "base".into()));
        let client = domain.start();
        client.execute("cont", None, &[], PATIENCE).unwrap();
        Self { domain, base, client }
    }

    fn commit(&self) -> Result<Json, hostler_launch::QmpError> {
        let job = json!({"job-id": "j", "device": "top", "base-node": "base", "auto-dismiss": false});
        self.client.execute("block-commit", Some(&job), &[], PATIENCE)
    }

    fn replace(&self, path: &Path, writable: bool) -> bool {
        let mut descriptors: Vec<OwnedFd> = Vec::new();
        if writable {
            descriptors.push(File::options().read(true).write(true).open(path).unwrap().into());
        }
        descriptors.push(File::open(path).unwrap().into());
        let file = FileId::of(File::open(path).unwrap()).unwrap();
        let sets = Sets::of(&self.client, PATIENCE).unwrap();
        sets.replace(&self.client, &qemu(), (file, &descriptors), PATIENCE).unwrap()
    }
}

#[test]
fn job_of_a_driver_to_which_nothing_was_lent_writes_nothing() {
    let chain = Chain::new();
    let before = std::fs::read(&chain.base).unwrap();
    let refused = chain.commit().unwrap_err();
    assert!(refused.to_string().contains("/dev/fdset"), "{refused}");
    // Nor does a handle for reading open it for more, or make another set for it.
    let reopen = |writable: bool| {
        let node = Value::mapping::<&str>([
            ("driver", "qcow2".into()),
            ("node-name", "base".into()),
            ("read-only", (!writable).into()),
            ("file", file_of(Value::Handle(0))),
            ("backing", Value::Null),
        ]);
        let options = Value::mapping::<&str>([("options", Value::Sequence(vec![node]))]);
        let mut sets = Sets::of(&chain.client, PATIENCE).unwrap();
        let handles = [checked(&chain.base, false)];
        let rendered =
            render_arguments(&qemu(), "blockdev-reopen", Some(&options), &handles, &[], &mut sets).unwrap();
        assert!(rendered.before.is_empty(), "no descriptor goes along");
        chain.client.execute("blockdev-reopen", rendered.arguments.as_ref(), &[], PATIENCE)
    };
    reopen(true).unwrap_err();
    reopen(false).unwrap();
    assert_eq!(std::fs::read(&chain.base).unwrap(), before);
    drop(chain.domain);
}

#[test]
fn what_the_hypervisor_does_not_have_is_not_given_to_it_by_reopening() {
    let chain = Chain::new();
    let other = chain.domain.path("other.qcow2");
    make(&["create", "-q", "-f", "qcow2", "other.qcow2", "4M"], other.parent().unwrap());
    let node = Value::mapping::<&str>([
        ("driver", "qcow2".into()),
        ("node-name", "base".into()),
        ("file", file_of(Value::Handle(0))),
        ("backing", Value::Null),
    ]);
    let options = Value::mapping::<&str>([("options", Value::Sequence(vec![node]))]);
    let mut sets = Sets::of(&chain.client, PATIENCE).unwrap();
    let handles = [checked(&other, false)];
    let refused =
        render_arguments(&qemu(), "blockdev-reopen", Some(&options), &handles, &[], &mut sets).unwrap_err();
    assert_eq!(refused.code(), "launch.denied", "{refused}");
    assert!(!chain.replace(&other, true), "there is no set of that file");
}

#[test]
fn what_was_lent_is_taken_back_and_can_be_lent_again() {
    let chain = Chain::new();
    let top = chain.domain.path("top.qcow2");
    for _ in 0..2 {
        assert!(chain.replace(&top, true) && chain.replace(&chain.base, true));
        let cursor = chain.client.cursor().unwrap();
        chain.commit().unwrap();
        let ready = chain.client.wait_event(&["BLOCK_JOB_READY".to_owned()], cursor, PATIENCE).unwrap();
        assert!(ready.is_some());
        chain.client.execute("job-cancel", Some(&json!({"id": "j"})), &[], PATIENCE).unwrap();
        let over = |jobs: &Json| jobs[0]["status"] == "concluded";
        while !over(&chain.client.execute("query-jobs", None, &[], PATIENCE).unwrap()) {}
        chain.client.execute("job-dismiss", Some(&json!({"id": "j"})), &[], PATIENCE).unwrap();
        assert!(chain.replace(&chain.base, false));
    }
    chain.commit().unwrap_err();
}
