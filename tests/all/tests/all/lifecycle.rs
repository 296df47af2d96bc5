//! The life cycle, on the in-memory hypervisor and on a real one whose guest is a ROM.

use std::time::Duration;

use hostler_launch::ShimClient;

use crate::workbench::{QUIET, Workbench, kvm_answers, rom_domain};

#[test]
fn in_memory_domain_lives_across_commands() {
    let bench = Workbench::new();
    bench.define(QUIET);
    for (verb, state) in [
        ("start", "running"),
        ("suspend", "paused"),
        ("resume", "running"),
        ("reset", "running"),
        ("shutdown", "off"),
        ("start", "running"),
        ("destroy", "off"),
    ] {
        bench.ok(&[verb, "quiet"]);
        assert_eq!(bench.state_of("quiet").as_deref(), Some(state), "after {verb}");
    }
    bench.ok(&["undefine", "quiet"]);
    assert_eq!(bench.state_of("quiet"), None);
}

#[test]
fn verbs_in_the_wrong_state_are_conflicts_and_change_nothing() {
    let bench = Workbench::new();
    bench.define(QUIET);
    for verb in ["shutdown", "destroy", "suspend", "resume", "reset"] {
        let answer = bench.run(&[verb, "quiet"]);
        assert_eq!(answer.status, 5, "{verb}: {}", answer.stderr);
        assert!(answer.stderr.contains("domain.off") && answer.stderr.contains("hint:"), "{}", answer.stderr);
    }
    bench.ok(&["start", "quiet"]);
    let again = bench.run(&["start", "quiet"]);
    assert_eq!(again.status, 5, "{}", again.stderr);
    assert_eq!(bench.state_of("quiet").as_deref(), Some("running"));
}

#[test]
fn events_tell_what_happened_in_order() {
    let bench = Workbench::new();
    bench.define(QUIET);
    for verb in ["start", "suspend", "resume", "destroy", "undefine"] {
        bench.ok(&[verb, "quiet"]);
    }
    let events = bench.ok(&["-o", "json", "events"]);
    let kinds: Vec<String> = events
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(kinds, ["defined", "started", "suspended", "resumed", "stopped", "undefined"]);
}

#[test]
fn all_guests_switch_themselves_off_and_what_does_not_is_named() {
    let bench = Workbench::of_drivers();
    for name in ["a", "b"] {
        bench.define(&rom_domain(name, "qemu"));
        bench.ok(&["start", name]);
        bench.ok(&["console", name, "--until", "hostler-rom: ready", "--timeout", "60"]);
    }
    bench.define(&rom_domain("off", "qemu"));
    bench.ok(&["suspend", "b"]);
    let left = bench.run(&["shutdown", "--all", "--wait=60"]);
    assert!(left.stderr.contains("shutdown.left") && left.stderr.contains("1 of 2"), "{}", left.stderr);
    assert!(left.stderr.contains("'b' (the domain 'b' is paused)"), "{}", left.stderr);
    assert_eq!((left.status, bench.state_of("a").as_deref()), (1, Some("off")));
    bench.ok(&["resume", "b"]);
    let done = bench.json(&["shutdown", "--all", "--wait=60"]);
    let [b] = done["domains"].as_array().unwrap().as_slice() else { panic!("{done}") };
    assert_eq!((&b["name"], &b["state"]), (&"b".into(), &"off".into()), "{done}");
    assert!(bench.ok(&["shutdown", "--all"]).lines().count() == 1, "nobody is left to be asked");
}

#[test]
fn rom_guest_goes_through_the_life_cycle_under_translation() {
    rom_guest_goes_through_the_life_cycle("qemu");
}

#[test]
fn rom_guest_goes_through_the_life_cycle_under_kvm() {
    if kvm_answers() {
        rom_guest_goes_through_the_life_cycle("kvm");
    } else {
        eprintln!("skipped: KVM does not answer on this machine");
    }
}

fn rom_guest_goes_through_the_life_cycle(kind: &str) {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", kind));
    bench.ok(&["start", "rom"]);
    console_shows(&bench, "hostler-rom: ready");
    console_shows(&bench, "hostler-rom: tick 0002");
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));

    bench.ok(&["suspend", "rom"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("paused"));
    bench.ok(&["reset", "rom"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("paused"), "a reset lets nobody go");
    bench.ok(&["resume", "rom"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
    bench.ok(&["reset", "rom"]);

    bench.ok(&["shutdown", "rom", "--wait=60"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("off"));
    assert!(bench.processes().is_empty(), "{:?}", bench.processes());

    bench.ok(&["start", "rom", "--paused"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("paused"));
    bench.ok(&["destroy", "rom"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("off"));
    assert!(bench.processes().is_empty(), "{:?}", bench.processes());
}

fn console_shows(bench: &Workbench, text: &str) {
    bench.ok(&["console", "rom", "--until", text, "--timeout", "60"]);
}

#[test]
fn transient_domain_is_forgotten_when_it_ends() {
    let bench = Workbench::new();
    let file = bench.write("run.xml", &rom_domain("passing", "qemu"));
    bench.ok(&["run", file.to_str().unwrap()]);
    assert_eq!(bench.state_of("passing").as_deref(), Some("running"));
    bench.ok(&["destroy", "passing"]);
    assert_eq!(bench.state_of("passing"), None);
    let answer = bench.run(&["start", "passing"]);
    assert_eq!(answer.status, 3, "{}", answer.stderr);
}

#[test]
fn redefining_a_running_domain_takes_effect_at_its_next_start() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    bench.ok(&["start", "rom"]);
    let before = bench.ok(&["xml", "rom"]);
    let stored = bench.ok(&["xml", "rom", "--stored"]);
    assert!(before.contains(">32<") && stored.contains(">32<"), "{before}{stored}");
    bench.define(&stored.replace("<memory unit='MiB'>32</memory>", "<memory unit='MiB'>48</memory>"));
    assert_eq!(bench.ok(&["xml", "rom"]), before, "the running one is as it was started");
    assert!(bench.ok(&["xml", "rom", "--stored"]).contains(">48<"));
    for verb in [&["show", "rom"][..], &["list"]] {
        let told = bench.json(verb).to_string();
        assert!(told.contains("33554432"), "not the memory it runs with: {told}");
    }
    bench.ok(&["destroy", "rom"]);
    assert!(bench.ok(&["xml", "rom"]).contains(">48<"));
}

#[test]
fn undefined_running_domain_goes_on_as_a_transient_one() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    bench.ok(&["start", "rom"]);
    bench.ok(&["undefine", "rom"]);
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
    bench.ok(&["destroy", "rom"]);
    assert_eq!(bench.state_of("rom"), None);
}

#[test]
fn device_addresses_are_the_same_at_every_start() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    let defined = bench.ok(&["xml", "rom", "--stored"]);
    assert!(defined.contains("<address type='pci'"), "define writes addresses down: {defined}");
    for _ in 0..2 {
        bench.ok(&["start", "rom"]);
        let running = bench.ok(&["xml", "rom"]);
        assert_eq!(addresses(&running), addresses(&defined));
        // Whoever defines it by what is shown of its run defines the same.
        bench.define(&running);
        let again = bench.ok(&["xml", "rom", "--stored"]);
        assert!(running.contains("<alias name='usb'/>") && !again.contains("<alias"), "{running}{again}");
        assert_eq!(addresses(&again), addresses(&defined));
        bench.ok(&["destroy", "rom"]);
    }
    bench.define(&defined);
    assert_eq!(bench.ok(&["xml", "rom", "--stored"]), defined, "defining what was stored changes nothing");
}

/// The addresses of all devices, in their order.
fn addresses(xml: &str) -> Vec<&str> {
    xml.lines().map(str::trim).filter(|line| line.starts_with("<address ")).collect()
}

#[test]
fn guest_that_switches_itself_off_begins_anew_where_its_document_says_so() {
    let bench = Workbench::new();
    let xml = rom_domain("rom", "qemu");
    bench.define(&xml.replace("<devices>", "<on_poweroff>restart</on_poweroff>\n  <devices>"));
    bench.ok(&["start", "rom"]);
    console_shows(&bench, "hostler-rom: ready");
    let shim = ShimClient::connect(&bench.run_dir("rom")).unwrap();
    let before = shim.cursor().unwrap();
    bench.ok(&["shutdown", "rom"]);
    let reset = shim.wait_event(&["RESET".to_owned()], before, Duration::from_secs(60)).unwrap();
    assert!(reset.is_some(), "the shim has started it anew, and nobody was attached");
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));

    assert!(!bench.ok(&["events"]).contains("guest-shut-down"), "nobody has told the driver yet");
    bench.ok(&["suspend", "rom"]);
    let told = bench.ok(&["events"]);
    assert_eq!(told.matches("guest-shut-down").count(), 1, "the next owner has, once: {told}");
    bench.ok(&["resume", "rom"]);
    assert_eq!(bench.ok(&["events"]).matches("guest-shut-down").count(), 1);
}

#[test]
fn domain_may_be_called_what_its_user_likes() {
    let bench = Workbench::new();
    let name = "größer, 名前; $(x) 'y'";
    bench.define(&rom_domain(name, "qemu"));
    bench.ok(&["start", name]);
    assert_eq!(bench.state_of(name).as_deref(), Some("running"));
    bench.ok(&["destroy", name]);
}
