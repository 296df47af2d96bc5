//! What virtiofsd is told and what it is not.

use std::path::PathBuf;
use std::sync::Arc;

use super::Template;
use super::check::check;
use crate::command::command_line;
use crate::command::leaf::Grants;
use crate::error::{LaunchError, LaunchErrorKind};
use crate::handle::{Handle, Role};
use crate::plan::{OptionEntry, Plan};
use crate::value::Value;

fn template() -> Arc<Template> {
    Template::shipped("virtiofsd")
}

/// A link, a folder, and a directory of the domain's own.
fn handles() -> Vec<Handle> {
    let of = |role, path| Handle::Descriptor {
        fd: None,
        writable: true,
        role,
        format: "raw",
        data_apart: false,
        path: PathBuf::from(path),
    };
    vec![Handle::Link("fs0".into()), of(Role::Folder, "/srv/a,b"), of(Role::Directory, "/keeps/x")]
}

fn option(name: &str, value: impl Into<Value>) -> OptionEntry {
    OptionEntry::new(name, value)
}

/// The plan that the driver makes, with these members of `-o` in place of its own or beside them.
fn plan(members: Vec<(&str, Value)>, more: Vec<OptionEntry>) -> Plan {
    let mut all = vec![
        ("source", Value::Handle(1)),
        ("sandbox", "chroot".into()),
        ("modcaps", "-mknod:-setfcap:-fsetid".into()),
    ];
    all.retain(|(name, _)| !members.iter().any(|(other, _)| other == name));
    all.extend(members);
    let mut options = vec![
        option("fd", Value::Handle(0)),
        option("o", Value::mapping(all)),
        option("rlimit-nofile", Value::Integer(0)),
    ];
    options.extend(more);
    Plan { template: "virtiofsd".into(), options, environment: vec![], reactions: vec![] }
}

fn refusal(plan: &Plan) -> LaunchError {
    check(plan, &handles(), &template()).unwrap_err()
}

#[test]
fn folder_is_named_by_its_place_in_the_cage_and_by_its_descriptor_without_one() {
    let plan =
        plan(vec![("cache", "always".into()), ("xattr", Value::Null)], vec![option("thread-pool-size", "4")]);
    check(&plan, &handles(), &template()).unwrap();
    let numbers = vec![vec![64], vec![65], vec![]];
    for (folders, source) in [(Some(PathBuf::from("/folders")), "/folders/65"), (None, "/proc/self/fd/65/.")]
    {
        let grants =
            Grants { numbers: numbers.clone(), sets: vec![0, 1, 2], sockets: PathBuf::new(), folders };
        let line = command_line(&plan, &handles(), &template(), Some(&grants)).unwrap();
        let options = "sandbox=chroot,modcaps=-mknod:-setfcap:-fsetid,cache=always,xattr";
        let expected = [
            "--fd=64",
            "-o",
            &format!("source={source},{options}"),
            "--rlimit-nofile=0",
            "--thread-pool-size=4",
        ];
        assert_eq!(line.argv[1..], expected);
    }
    let shown = command_line(&plan, &handles(), &template(), None).unwrap();
    assert!(shown.argv.contains(&"--fd=fs0".to_owned()), "{shown:?}");
    assert!(shown.argv[3].starts_with("source=/srv/a,,b,"), "{shown:?}");
}

#[test]
fn server_is_told_nothing_that_names_the_host_or_gives_rights() {
    for (name, value) in [
        ("source", Value::text("/etc")),
        ("source", Value::Handle(0)),
        ("source", Value::Handle(2)),
        ("sandbox", "namespace".into()),
        ("sandbox", "none".into()),
        ("modcaps", "+sys_admin".into()),
        ("modcaps", "".into()),
        ("xattrmap", ":map::user.virtiofs.:".into()),
        ("allow_direct_io", Value::Null),
        ("security_label", Value::Null),
        ("debug", Value::Null),
        ("unheard_of", Value::Null),
        ("cache", "always,source=/etc".into()),
    ] {
        let error = refusal(&plan(vec![(name, value)], vec![]));
        assert_eq!(error.kind, LaunchErrorKind::Denied, "{name}: {error}");
    }
    for more in [
        option("socket-path", "/tmp/s"),
        option("socket-group", "kvm"),
        OptionEntry::flag("daemonize"),
        OptionEntry::flag("syslog"),
        OptionEntry::flag("print-capabilities"),
        option("thread-pool-size", "4 --daemonize"),
        option("fd", Value::Handle(0)),
        OptionEntry::flag("unheard-of"),
    ] {
        let name = more.name.clone();
        assert_eq!(refusal(&plan(vec![], vec![more])).kind, LaunchErrorKind::Denied, "{name}");
    }
    let mut bare = plan(vec![], vec![]);
    bare.options.retain(|option| option.name != "o");
    assert_eq!(refusal(&bare).option, "o");
}
