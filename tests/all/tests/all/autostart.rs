//! Domains that are started after a boot of the machine.

use crate::workbench::{Workbench, rom_domain};

/// As if the machine had been booted: nothing runs, and what is recorded is about another boot.
fn boot(bench: &Workbench) {
    for name in ["good", "plain"] {
        if bench.state_of(name).as_deref() == Some("running") {
            bench.ok(&["destroy", name]);
        }
    }
    let _there_or_not = std::fs::remove_file(bench.state_root().join("autostarted"));
}

/// Any command that changes something settles what is to be settled.
fn any_owner(bench: &Workbench) {
    assert_ne!(bench.run(&["destroy", "nobody"]).status, 0);
}

#[test]
fn first_owner_after_a_boot_starts_what_is_wanted_and_one_that_fails_holds_up_none() {
    let bench = Workbench::new();
    let disk = format!(
        "<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{}'/>\
         <target dev='vda' bus='virtio'/></disk>",
        bench.path("gone.raw").display()
    );
    bench.define(&rom_domain("broken", "qemu").replace("<devices>", &disk));
    for name in ["good", "plain"] {
        bench.define(&rom_domain(name, "qemu"));
    }
    for name in ["broken", "good"] {
        let set = bench.json(&["autostart", name]);
        assert_eq!(set["autostart"], true, "{set}");
    }
    any_owner(&bench);
    assert_eq!(bench.state_of("good").as_deref(), Some("off"), "this boot was before it was wanted");
    assert!(bench.ok(&["list", "--all"]).contains("autostart"));
    boot(&bench);
    assert_eq!(bench.state_of("good").as_deref(), Some("off"), "readers start nothing");
    any_owner(&bench);
    let state = |name: &str| bench.state_of(name).unwrap();
    assert_eq!(
        (state("good"), state("plain"), state("broken")),
        ("running".into(), "off".into(), "off".into())
    );
    let events = bench.ok(&["-o", "json", "events"]);
    let failed: Vec<_> = events.lines().filter(|line| line.contains("autostart-failed")).collect();
    assert!(failed.len() == 1 && failed[0].contains("broken") && failed[0].contains("gone.raw"), "{events}");
    bench.ok(&["destroy", "good"]);
    any_owner(&bench);
    assert_eq!(state("good"), "off", "it is started once for a boot");
    let all = bench.json(&["autostart", "--all"]);
    let told = |name: &str| {
        all["domains"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned().unwrap()
    };
    assert_eq!(told("good")["state"], "running", "{all}");
    assert!(told("broken")["problem"].as_str().unwrap().contains("gone.raw"), "{all}");
    bench.ok(&["autostart", "good", "--disable"]);
    boot(&bench);
    any_owner(&bench);
    assert_eq!(state("good"), "off");
}

#[test]
fn autostart_is_for_domains_that_stay_and_goes_with_them() {
    let bench = Workbench::new();
    let nobody = bench.run(&["autostart", "nobody"]);
    assert_eq!(nobody.status, 3, "{}", nobody.stderr);
    let document = bench.write("good.xml", &rom_domain("good", "qemu"));
    bench.ok(&["run", document.to_str().unwrap()]);
    let passing = bench.run(&["autostart", "good"]);
    assert!(passing.stderr.contains("domain.transient"), "{}", passing.stderr);
    bench.ok(&["destroy", "good"]);
    bench.ok(&["define", document.to_str().unwrap()]);
    bench.ok(&["autostart", "good"]);
    bench.ok(&["undefine", "good"]);
    bench.ok(&["define", document.to_str().unwrap()]);
    assert_eq!(bench.json(&["show", "good"])["autostart"], false, "a new domain was asked nothing of");
    assert!(bench.json(&["autostart", "--all"])["domains"].as_array().unwrap().is_empty());
}
