//! Disks by descriptor: paths never reach the hypervisor.

use std::path::Path;
use std::process::Command;

use hostler_launch::{Handle, Sets, Value, check, describe, owner_of, render_arguments};

use crate::support::{Domain, PATIENCE, descriptors, image, qemu};

/// `O_RDONLY` among the access modes.
const READ_ONLY: u32 = 0;

/// How a process opened one of its descriptors.
fn access_mode(pid: u32, number: u32) -> u32 {
    let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
    u32::from_str_radix(flags, 8).unwrap() & 3
}

fn make_image(arguments: &[&str], path: &Path) {
    let output = Command::new("qemu-img")
        .arg("create")
        .args(["-q"])
        .args(arguments)
        .arg(path)
        .arg("4M")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn node(name: &str, pairs: Vec<(&str, Value)>) -> Value {
    let mut pairs = pairs;
    pairs.push(("node-name", name.into()));
    Value::mapping(pairs)
}

fn protocol(name: &str, image: Value) -> Value {
    node(name, vec![("driver", "file".into()), ("filename", image), ("auto-read-only", true.into())])
}

/// What a format node has inside it.
fn bytes(image: Value) -> Value {
    Value::mapping::<&str>([("driver", "file".into()), ("filename", image), ("auto-read-only", true.into())])
}

/// The same handle, checked to be of another format.
fn of_format(handle: Handle, format: &'static str) -> Handle {
    let Handle::Descriptor { fd, writable, role, path, data_apart, .. } = handle else {
        panic!("{handle:?}")
    };
    Handle::Descriptor { fd, writable, role, format, data_apart, path }
}

#[test]
fn chain_is_opened_by_descriptor_and_written() {
    let mut domain = Domain::new("q35");
    let (base, top) = (domain.path("base.qcow2"), domain.path("top.qcow2"));
    make_image(&["-f", "qcow2"], &base);
    // The header names a file that is not there: only what the plan says counts.
    make_image(&["-f", "qcow2", "-u", "-b", "/nonexistent", "-F", "qcow2"], &top);
    let qcow2 = |path: &Path, writable| of_format(image(path, writable), "qcow2");
    let (lower, upper) = (domain.handle(qcow2(&base, false)), domain.handle(qcow2(&top, true)));
    let base_format = vec![
        ("driver", "qcow2".into()),
        ("read-only", true.into()),
        ("file", bytes(lower)),
        ("backing", Value::Null),
    ];
    domain.option("blockdev", node("base-format", base_format));
    let top_format = vec![
        ("driver", "qcow2".into()),
        ("read-only", false.into()),
        ("file", bytes(upper)),
        ("backing", "base-format".into()),
    ];
    domain.option("blockdev", node("top-format", top_format));
    let device =
        [("driver", "virtio-blk-pci".into()), ("drive", "top-format".into()), ("id", "disk0".into())];
    domain.option("device", Value::mapping::<&str>(device));

    let checked = check(&domain.plan, &domain.handles, &qemu()).unwrap();
    let shown = describe(&checked, &domain.handles).unwrap().argv;
    assert!(
        shown.iter().any(|text| text.contains(&format!("\"filename\":\"{}\"", top.display()))),
        "{shown:?}"
    );

    let client = domain.start();
    let real = std::fs::read(format!("/proc/{}/cmdline", client.status().unwrap().pid)).unwrap();
    let real = String::from_utf8(real).unwrap();
    assert!(!real.contains(domain.root.path().to_str().unwrap()), "{real}");
    assert!(real.contains("\"/dev/fdset/2\""), "{real}");
    let nodes = client.execute("query-named-block-nodes", None, &[], PATIENCE).unwrap();
    let read_only = |name: &str| {
        let nodes = nodes.as_array().unwrap();
        nodes.iter().find(|node| node["node-name"] == name).unwrap()["ro"].as_bool().unwrap()
    };
    assert!(!read_only("top-format") && read_only("base-format"));
    let pid = client.status().unwrap().pid;
    let modes = |path: &Path| -> Vec<u32> {
        let open = descriptors(pid).into_iter().filter(|(_, target)| *target == path.display().to_string());
        open.map(|(number, _)| access_mode(pid, number)).collect()
    };
    assert!(modes(&base).iter().all(|mode| *mode == READ_ONLY) && !modes(&base).is_empty());
    assert!(modes(&top).iter().any(|mode| *mode != READ_ONLY));
}

#[test]
fn disk_is_added_while_running_with_its_descriptor() {
    let mut domain = Domain::new("q35");
    let path = domain.path("extra.raw");
    make_image(&["-f", "raw"], &path);
    let client = domain.start();
    let handles = vec![image(&path, true)];
    let arguments = protocol("extra", Value::Handle(0));
    let mut sets = Sets::from(100);
    let rendered =
        render_arguments(&qemu(), "blockdev-add", Some(&arguments), &handles, &[], &mut sets).unwrap();
    assert_eq!((rendered.before.len(), sets.next()), (2, 101));
    for (command, arguments, fd) in rendered.before {
        client.execute(&command, Some(&arguments), &[std::os::fd::AsFd::as_fd(&fd)], PATIENCE).unwrap();
    }
    client.execute("blockdev-add", rendered.arguments.as_ref(), &[], PATIENCE).unwrap();
    let nodes = client.execute("query-named-block-nodes", None, &[], PATIENCE).unwrap();
    assert!(nodes.as_array().unwrap().iter().any(|node| node["node-name"] == "extra"));
    let listed = client.execute("query-fdsets", None, &[], PATIENCE).unwrap();
    let own = listed.as_array().unwrap().iter().find(|set| set["fdset-id"] == 100).unwrap();
    let deletion = Value::mapping::<&str>([("node-name", "extra".into())]);
    let rendered = render_arguments(&qemu(), "blockdev-del", Some(&deletion), &[], &[], &mut sets).unwrap();
    assert_eq!(
        rendered.released.as_deref(),
        own["fds"][0]["opaque"].as_str().map(owner_of),
        "the node's set is known by it"
    );
}

#[test]
fn descriptors_of_a_node_that_is_refused_are_given_back() {
    let mut domain = Domain::new("q35");
    let path = domain.path("extra.raw");
    make_image(&["-f", "raw"], &path);
    let client = domain.start();
    // A stopped QEMU closes what it was told to forget only when it runs again.
    client.execute("cont", None, &[], PATIENCE).unwrap();
    let handles = vec![image(&path, true)];
    let arguments = protocol("twice", Value::Handle(0));
    let mut numbered = Sets::from(100);
    for expected in [true, false] {
        let rendered =
            render_arguments(&qemu(), "blockdev-add", Some(&arguments), &handles, &[], &mut numbered)
                .unwrap();
        for (command, arguments, fd) in rendered.before {
            client.execute(&command, Some(&arguments), &[std::os::fd::AsFd::as_fd(&fd)], PATIENCE).unwrap();
        }
        let added = client.execute("blockdev-add", rendered.arguments.as_ref(), &[], PATIENCE);
        assert_eq!(added.is_ok(), expected);
        if !expected {
            for (command, arguments) in rendered.after_failure {
                client.execute(&command, Some(&arguments), &[], PATIENCE).unwrap();
            }
        }
    }
    let sets = client.execute("query-fdsets", None, &[], PATIENCE).unwrap();
    let mut numbers = sets.as_array().unwrap().iter().map(|set| set["fdset-id"].as_u64().unwrap());
    assert!(numbers.any(|number| number == 100) && !sets.to_string().contains("101"), "{sets}");
}

#[test]
fn handle_whose_mode_is_not_what_it_says_is_refused() {
    let mut domain = Domain::new("q35");
    let path = domain.path("x.raw");
    make_image(&["-f", "raw"], &path);
    let Handle::Descriptor { fd, role, format, data_apart, path, .. } = image(&path, false) else { panic!() };
    let wrong = domain.handle(Handle::Descriptor { fd, writable: true, role, format, data_apart, path });
    domain.option("blockdev", protocol("x", wrong));
    assert_eq!(domain.try_start().unwrap_err().code(), "launch.plan-invalid");
}
