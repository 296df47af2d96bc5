//! The cage as users meet it: on by default, shown, and switched off only aloud.

use crate::workbench::{Workbench, rom_domain};

#[test]
fn guest_is_caged_by_default_and_shown_so() {
    let bench = Workbench::new();
    bench.define(&rom_domain("vm", "qemu"));
    let started = bench.run(&["start", "vm"]);
    assert_eq!(started.status, 0, "{}", started.stderr);
    assert!(!started.stderr.contains("warning"), "{}", started.stderr);
    let shown = bench.json(&["show", "vm"]);
    let cage = &shown["confinement"]["cage"];
    assert!(cage["landlock_abi"].as_u64().is_some_and(|abi| abi > 0), "{shown}");
    assert_eq!(cage["host_network"], false);
    let pid = shown["pid"].as_u64().unwrap();
    let stands = hostler_launch::posture(u32::try_from(pid).unwrap()).unwrap();
    assert_eq!(cage["uid"], stands.uid);
    assert_eq!((stands.capabilities, stands.private_namespaces.len()), (0, 7));
    assert!(bench.ok(&["show", "vm"]).contains("private namespaces, no network, Landlock"));
    bench.ok(&["destroy", "vm"]);
    assert!(bench.json(&["show", "vm"])["confinement"].is_null());
}

#[test]
fn uncaged_guest_is_warned_of_and_shown_so() {
    let bench = Workbench::new();
    bench.define(&rom_domain("vm", "qemu"));
    let started = bench.run(&["--cage=off", "start", "vm"]);
    assert_eq!(started.status, 0, "{}", started.stderr);
    assert!(started.stderr.contains("'vm' is not caged"), "{}", started.stderr);
    assert_eq!(bench.json(&["show", "vm"])["confinement"], "none");
    assert!(bench.ok(&["show", "vm"]).contains("not caged"));
    bench.ok(&["destroy", "vm"]);
    let weaker = bench.run(&["--cage=without-landlock", "start", "vm"]);
    assert!(weaker.stderr.contains("without Landlock"), "{}", weaker.stderr);
    bench.ok(&["destroy", "vm"]);
}

#[test]
fn doctor_tells_of_each_wall_and_of_a_cage_that_is_off() {
    let bench = Workbench::new();
    let findings = bench.run(&["doctor"]).stdout;
    for wall in ["private namespaces", "empty root", "user of its own", "Landlock", "filter of system calls"]
    {
        assert!(findings.contains(&format!("cage: {wall}")), "{wall}: {findings}");
    }
    assert!(findings.contains("cage: files of qemu-system-x86_64"), "{findings}");
    assert!(bench.run(&["--cage=off", "doctor"]).stdout.contains("switched off"));
}

#[test]
fn setting_that_is_none_is_refused_before_anything_begins() {
    let bench = Workbench::new();
    let answer = bench.run(&["--cage=maybe", "list"]);
    assert_eq!(answer.status, 2, "{}", answer.stderr);
    assert!(answer.stderr.contains("without-landlock"), "{}", answer.stderr);
    let output = bench.command(&["list"]).env("HOSTLER_CAGE", "maybe").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("HOSTLER_CAGE") && said.contains("config.cage"),
        "{said}"
    );
}
