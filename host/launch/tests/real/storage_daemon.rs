//! A program that takes no sets of descriptors: what it is given it opens by number, and in its cage it may.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use hostler_launch::{
    CageSetting, Ending, Handle, LaunchContext, LaunchErrorKind, OptionEntry, Plan, Sets, Template, Value,
    check, describe, launch, posture, render_arguments,
};
use rustix::process::geteuid;
use serde_json::Value as Json;

use crate::support::{Domain, PATIENCE, context, image, template};

const NAME: &str = "qemu-storage-daemon";
/// Bytes of an image.
const SIZE: usize = 1 << 20;

/// A daemon with a monitor, and a server on the socket of handle 1.
fn daemon() -> Domain {
    let monitor = [("backend", Value::Handle(0)), ("id", "charmonitor".into())];
    let address = Value::mapping([("type", "unix".into()), ("path", Value::Handle(1))]);
    let options = vec![
        OptionEntry::new("chardev", Value::mapping::<&str>(monitor)),
        OptionEntry::new("monitor", "charmonitor"),
        OptionEntry::new("nbd-server", Value::mapping([("addr", address)])),
    ];
    let mut domain = Domain::of(NAME, options);
    domain.handles.push(Handle::Socket("nbd.sock".into()));
    domain
}

/// Serves a raw image under a name.
fn serve(domain: &mut Domain, path: &Path, name: &str, writable: bool) {
    let handle = image(path, writable);
    let handle = domain.handle(handle);
    let file = [("driver", "file".into()), ("filename", handle), ("auto-read-only", true.into())];
    let node = [
        ("driver", "raw".into()),
        ("node-name", name.into()),
        ("read-only", (!writable).into()),
        ("file", Value::mapping::<&str>(file)),
    ];
    domain.option("blockdev", Value::mapping::<&str>(node));
    let export = [
        ("type", "nbd".into()),
        ("id", name.into()),
        ("node-name", name.into()),
        ("name", name.into()),
        ("writable", writable.into()),
    ];
    domain.option("export", Value::mapping::<&str>(export));
}

/// An image of the letter `x` that only its owner may open.
fn private(domain: &Domain, name: &str) -> std::path::PathBuf {
    let path = domain.path(name);
    std::fs::write(&path, vec![b'x'; SIZE]).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// What a real client of the server says to this.
fn qemu_io(domain: &Domain, export: &str, command: &str) -> std::process::Output {
    let socket = domain.run.path().join("sockets/nbd.sock");
    let url = format!("nbd+unix:///{export}?socket={}", socket.display());
    let access: &[&str] = if command.starts_with("read") { &["-r"] } else { &[] };
    Command::new("qemu-io").args(access).args(["-f", "raw", "-c", command, &url]).output().unwrap()
}

#[test]
fn images_that_only_their_owner_may_open_are_served_and_written_from_the_cage() {
    let mut domain = daemon();
    let (written, read) = (private(&domain, "written.raw"), private(&domain, "read.raw"));
    serve(&mut domain, &written, "w", true);
    serve(&mut domain, &read, "r", false);
    let client = domain.start();
    let stands = posture(client.status().unwrap().pid).unwrap();
    assert_eq!((stands.capabilities, stands.private_namespaces.len()), (0, 7));
    assert!(stands.filtered && stands.no_new_privs);
    for (export, command) in
        [("w", "read -P 120 0 1M"), ("r", "read -P 120 0 1M"), ("w", "write -P 121 4k 4k")]
    {
        let output = qemu_io(&domain, export, command);
        assert!(output.status.success(), "{export} {command}: {output:?}");
    }
    assert!(!qemu_io(&domain, "r", "write -P 121 4k 4k").status.success(), "it was handed out to be read");
    assert_eq!(client.end(true, PATIENCE).unwrap(), Ending::Exited(0));
    let content = std::fs::read(&written).unwrap();
    assert_eq!((content[4095], content[4096], content[8191], content[8192]), (b'x', b'y', b'y', b'x'));
    assert!(std::fs::read(&read).unwrap().iter().all(|byte| *byte == b'x'));
    for path in [&written, &read] {
        let found = std::fs::metadata(path).unwrap();
        let owner = (found.uid(), found.mode() & 0o7777, usize::try_from(found.len()).unwrap());
        assert_eq!(owner, (geteuid().as_raw(), 0o600, SIZE), "nothing was given away");
    }
}

/// Without a cage the path of a descriptor is the kernel's own.
#[test]
fn uncaged_daemon_opens_the_same_paths() {
    let mut domain = daemon();
    let path = private(&domain, "disk.raw");
    serve(&mut domain, &path, "d", true);
    let checked = check(&domain.plan, &domain.handles, &template(NAME)).unwrap();
    let open = LaunchContext { cage: CageSetting::Off, ..context() };
    let client =
        launch(&domain.run, &open, checked, vec![], std::mem::take(&mut domain.handles), PATIENCE).unwrap();
    let output = qemu_io(&domain, "d", "read -P 120 0 1M");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(client.end(true, PATIENCE).unwrap(), Ending::Exited(0));
}

#[test]
fn people_are_shown_paths_and_the_program_numbers() {
    let mut domain = daemon();
    let path = private(&domain, "disk.raw");
    serve(&mut domain, &path, "d", true);
    let checked = check(&domain.plan, &domain.handles, &template(NAME)).unwrap();
    let shown = describe(&checked, &domain.handles).unwrap().argv.join(" ");
    assert!(shown.contains(&format!("\"filename\":\"{}\"", path.display())), "{shown}");
    let client = domain.start();
    let real = std::fs::read(format!("/proc/{}/cmdline", client.status().unwrap().pid)).unwrap();
    let real = String::from_utf8(real).unwrap();
    assert!(!real.contains(domain.root.path().to_str().unwrap()), "{real}");
    assert!(real.contains("\"filename\":\"/proc/self/fd/"), "{real}");
    let handles = [image(&path, true)];
    let arguments = Value::mapping([("id", Value::Handle(0))]);
    let refused = render_arguments(
        &template(NAME),
        "block-export-del",
        Some(&arguments),
        &handles,
        &[],
        &mut Sets::from(9),
    );
    assert_eq!(refused.unwrap_err().kind, LaunchErrorKind::Denied);
}

/// A program that is in its cage the owner of an image may write to it, and let nobody else at it.
#[test]
fn owner_within_the_cage_cannot_open_its_image_to_others() {
    let text = r#"{
      "name": "chmod", "programs": ["/bin/chmod"], "environment": {},
      "writing": {"option-prefix": "", "fd-path": "/proc/self/fd/{fd}"},
      "cage": {"libraries": ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64",
        "/lib/aarch64-linux-gnu"], "devices": [{"path": "/dev/null"}]},
      "options": {"4777": {"syntax": "text", "shape": {"handle": ["image"]}}}
    }"#;
    let mut domain = daemon();
    let path = private(&domain, "disk.raw");
    let options = vec![OptionEntry::new("4777", Value::Handle(0))];
    let plan = Plan { template: "chmod".into(), options, environment: vec![], reactions: vec![] };
    let chmod = Arc::new(Template::parse(text, "test").unwrap());
    domain.handles = vec![image(&path, true)];
    let checked = check(&plan, &domain.handles, &chmod).unwrap();
    let handles = std::mem::take(&mut domain.handles);
    let client = launch(&domain.run, &context(), checked, vec![], handles, PATIENCE).unwrap();
    assert_eq!(client.wait(PATIENCE).unwrap(), Some(Ending::Exited(1)));
    let log = std::fs::read_to_string(domain.run.log_path()).unwrap();
    assert!(log.contains("Operation not permitted"), "{log}");
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
}

/// What has the name of an image by the start is another file: it is not what was checked, and is not served.
#[test]
fn what_took_the_name_of_an_image_is_not_served() {
    let mut domain = daemon();
    let path = private(&domain, "disk.raw");
    serve(&mut domain, &path, "d", true);
    std::fs::rename(&path, domain.path("aside.raw")).unwrap();
    std::fs::write(&path, "another").unwrap();
    let client = domain.start();
    assert!(qemu_io(&domain, "d", "read -P 120 0 1M").status.success(), "it is the one that was checked");
    client.end(true, PATIENCE).unwrap();

    let mut domain = daemon();
    let path = private(&domain, "disk.raw");
    serve(&mut domain, &path, "d", true);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "another").unwrap();
    let error = domain.try_start().unwrap_err();
    assert_eq!(error.kind, LaunchErrorKind::CageFailed, "{error}");
    assert!(error.hints.iter().any(|hint| hint.contains("its name must still lead to it")), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"another");
}

/// The policy names nothing that the program does not have: a word that is wrong would be a rule that holds nothing.
#[test]
fn commands_and_options_of_the_policy_are_the_programs() {
    let mut domain = daemon();
    let commands = domain.start().execute("query-commands", None, &[], PATIENCE).unwrap();
    let known: Vec<&str> =
        commands.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    let text = include_str!("../../templates/qemu-storage-daemon.json");
    let policy: Json = serde_json::from_str(text).unwrap();
    let rules = &policy["commands"];
    let mut named: Vec<&str> = rules["pass"].as_array().unwrap().iter().filter_map(Json::as_str).collect();
    for kind in ["typed", "host", "denied"] {
        named.extend(rules[kind].as_object().unwrap().keys().map(String::as_str));
    }
    for name in &named {
        assert!(known.contains(name), "{name} is no command of the program");
        assert_eq!(named.iter().filter(|other| *other == name).count(), 1, "{name} has two rules");
    }
    let help = Command::new(NAME).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for option in policy["options"].as_object().unwrap().keys() {
        assert!(help.contains(&format!("--{option}")), "{option} is no option of the program");
    }
}
