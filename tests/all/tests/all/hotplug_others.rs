//! Devices of a running guest that are neither disks nor interfaces: they come and go, and keep their names and places.

use std::path::PathBuf;

use hostler_launch::ShimClient;
use serde_json::{Value, json};

use crate::hotplug::{asked, devices, watching};
use crate::kill::{killed_at, list_fits, points};
use crate::workbench::{Workbench, rom_domain};

/// System calls at which a command that changes devices is killed.
const KILL_AT: &[(&str, &[u32])] = &[
    ("renameat,renameat2,rename", &[1, 2, 3, 4, 5]),
    ("fsync,fdatasync", &[1, 3, 5, 7]),
    ("sendmsg,sendto", &[2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22]),
];

const RNG: &str = "<rng model='virtio'><backend model='builtin'/></rng>";
const AGENT: &str = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>";

fn element(bench: &Workbench, xml: &str) -> PathBuf {
    bench.write("element.xml", xml)
}

fn attach(bench: &Workbench, domain: &str, xml: &str, more: &[&str]) -> Value {
    let file = element(bench, xml);
    let words = [&["attach", domain, file.to_str().unwrap()], more].concat();
    bench.json(&words)
}

/// The words of a refusal.
fn refused(bench: &Workbench, domain: &str, xml: &str) -> String {
    let file = element(bench, xml);
    let answer = bench.run(&["attach", domain, file.to_str().unwrap(), "--live"]);
    assert_ne!(answer.status, 0, "{xml}: {}", answer.stdout);
    answer.stderr
}

/// The ids of a family of devices, as the hypervisor has them.
fn family(bench: &Workbench, domain: &str, prefix: &str) -> Vec<String> {
    let mut found = devices(bench, domain);
    found.retain(|id| id.starts_with(prefix));
    found.sort();
    found
}

fn children(bench: &Workbench, domain: &str, path: &str) -> Vec<String> {
    let found = asked(bench, domain, "qom-list", Some(&json!({ "path": path })));
    found.as_array().unwrap().iter().map(|child| child["name"].as_str().unwrap().to_owned()).collect()
}

fn backends(bench: &Workbench, domain: &str) -> Vec<String> {
    let found = asked(bench, domain, "query-chardev", None);
    found.as_array().unwrap().iter().map(|one| one["label"].as_str().unwrap().to_owned()).collect()
}

/// The elements of a kind in a document, each as it stands there.
fn elements(xml: &str, kind: &str) -> Vec<String> {
    let (begin, end) = (format!("<{kind} "), format!("</{kind}>"));
    xml.split(&begin).skip(1).map(|part| part.split(&end).next().unwrap().to_owned()).collect()
}

/// The address in an element.
fn address(element: &str) -> String {
    let (_, rest) = element.split_once("<address ").expect("it has an address");
    rest.split("/>").next().unwrap().to_owned()
}

#[test]
fn sources_of_randomness_keep_names_and_places_when_another_is_gone() {
    let bench = watching("pc", RNG);
    let second = attach(
        &bench,
        "linux",
        "<rng model='virtio'><rate bytes='512'/><backend model='builtin'/></rng>",
        &[],
    );
    assert_eq!((&second["live"], &second["stored"]), (&json!(true), &json!(true)), "{second}");
    assert_eq!(family(&bench, "linux", "rng"), ["rng0", "rng1"]);
    let (live, stored) = (bench.ok(&["xml", "linux"]), bench.ok(&["xml", "linux", "--stored"]));
    let (live, stored) = (elements(&live, "rng"), elements(&stored, "rng"));
    assert!(live[0].contains("<alias name='rng0'/>") && live[1].contains("<alias name='rng1'/>"), "{live:?}");
    assert!(stored.iter().all(|one| !one.contains("<alias")), "true for one run only: {stored:?}");
    assert_eq!(address(&live[1]), address(&stored[1]), "the same place in both");

    bench.ok(&["detach", "linux", "rng0"]);
    assert_eq!(family(&bench, "linux", "rng"), ["rng1"]);
    assert_eq!(children(&bench, "linux", "/objects").iter().filter(|id| id.starts_with("objrng")).count(), 1);
    let kept = elements(&bench.ok(&["xml", "linux"]), "rng");
    assert!(
        kept.len() == 1 && kept[0].contains("rng1") && address(&kept[0]) == address(&live[1]),
        "{kept:?}"
    );
    assert_eq!(elements(&bench.ok(&["xml", "linux", "--stored"]), "rng").len(), 1);
    assert!(bench.run(&["detach", "linux", "rng0"]).stderr.contains("device.not-found"));

    attach(&bench, "linux", RNG, &["--live"]);
    assert_eq!(family(&bench, "linux", "rng"), ["rng0", "rng1"], "the name that is free");
    assert_eq!(
        elements(&bench.ok(&["xml", "linux", "--stored"]), "rng").len(),
        1,
        "only the guest that runs"
    );
    // By its place, as the first answer tells it.
    let device = second["device"].as_str().unwrap();
    bench.ok(&["detach", "linux", device.strip_prefix("rng ").unwrap()]);
    assert_eq!(family(&bench, "linux", "rng"), ["rng0"]);
    assert!(elements(&bench.ok(&["xml", "linux", "--stored"]), "rng").is_empty());
    attach(&bench, "linux", RNG, &["--config"]);
    assert_eq!(family(&bench, "linux", "rng"), ["rng0"], "the guest that runs is as it was");
    bench.ok(&["destroy", "linux"]);
    bench.ok(&["start", "linux"]);
    assert_eq!(family(&bench, "linux", "rng"), ["rng0"]);
    let live = elements(&bench.ok(&["xml", "linux"]), "rng");
    assert!(live.len() == 1 && live[0].contains("<alias name='rng0'/>"), "its name in this run: {live:?}");
    assert!(!bench.ok(&["xml", "linux", "--stored"]).contains("<alias"), "no name of any run");
}

#[test]
fn input_devices_controllers_and_a_watchdog_come_and_go() {
    let bench = watching("pc", "");
    attach(&bench, "linux", "<input type='tablet' bus='usb'/>", &[]);
    attach(&bench, "linux", "<input type='keyboard' bus='virtio'/>", &[]);
    let inputs = family(&bench, "linux", "input");
    assert_eq!(inputs.len(), 2, "{inputs:?}");
    bench.ok(&["detach", "linux", "usb:0:1"]);
    assert_eq!(family(&bench, "linux", "input"), [inputs[1].as_str()]);
    bench.ok(&["detach", "linux", &inputs[1]]);
    assert!(family(&bench, "linux", "input").is_empty());
    let told = refused(&bench, "linux", "<input type='mouse' bus='ps2'/>");
    assert!(told.contains("qemu.hotplug") && told.contains("use the bus usb or virtio"), "{told}");

    attach(&bench, "linux", "<controller type='scsi' model='virtio-scsi'/>", &[]);
    assert_eq!(family(&bench, "linux", "scsi"), ["scsi0"]);
    bench.image(&["create", "-q", "-f", "qcow2", "sda.qcow2", "16M"]);
    let disk = format!(
        "<disk type='file'><driver name='qemu' type='qcow2'/><source file='{}'/><target dev='sda' bus='scsi'/></disk>",
        bench.path("sda.qcow2").display()
    );
    attach(&bench, "linux", &disk, &[]);
    let busy = bench.run(&["detach", "linux", "scsi0"]);
    assert!(busy.stderr.contains("in use by a <disk>"), "{}", busy.stderr);
    bench.ok(&["detach", "linux", "sda"]);
    bench.ok(&["detach", "linux", "scsi0"]);
    assert!(family(&bench, "linux", "scsi").is_empty());
    assert!(!bench.ok(&["xml", "linux", "--stored"]).contains("type='scsi'"));
    assert!(refused(&bench, "linux", "<controller type='sata' index='3'/>").contains("qemu.hotplug"));

    attach(&bench, "linux", "<watchdog model='i6300esb' action='pause'/>", &[]);
    assert_eq!(family(&bench, "linux", "watchdog"), ["watchdog0"]);
    refused(&bench, "linux", "<watchdog model='i6300esb' action='reset'/>");
    bench.ok(&["detach", "linux", "watchdog0"]);
    assert!(family(&bench, "linux", "watchdog").is_empty());
    assert!(refused(&bench, "linux", "<watchdog model='ib700'/>").contains("qemu.hotplug"));
}

/// A guest without an operating system, with a controller that ports are plugged into.
fn rom() -> Workbench {
    let bench = Workbench::new();
    let controller = "<controller type='virtio-serial'/><channel type='pty'><target type='virtio' name='first'/></channel>";
    let xml = rom_domain("rom", "qemu").replace("q35", "pc");
    bench.define(&xml.replace("<memballoon", &format!("{controller}<memballoon")));
    bench
}

#[test]
fn channels_are_reached_and_keep_their_sockets_when_another_is_gone() {
    let bench = rom();
    bench.ok(&["start", "rom"]);
    let silent = |code: &str| {
        let answer = bench.run(&["agent", "ping", "rom"]);
        assert!(answer.stderr.contains(code), "{code}: {}", answer.stderr);
    };
    silent("agent.no-channel");
    attach(&bench, "rom", AGENT, &[]);
    assert_eq!(family(&bench, "rom", "channel"), ["channel0", "channel1"]);
    silent("agent.not-connected");
    attach(&bench, "rom", "<channel type='pty'><target type='virtio' name='kept'/></channel>", &[]);
    bench.ok(&["detach", "rom", "first"]);
    assert_eq!(family(&bench, "rom", "channel"), ["channel1", "channel2"]);
    assert!(!backends(&bench, "rom").contains(&"charchannel0".to_owned()));
    // The host finds each where it is, although both stand at another position now.
    silent("agent.not-connected");
    let run = bench.run_dir("rom");
    assert!(run.path().join("channel1.sock").exists());
    let client = ShimClient::connect(&run).unwrap();
    assert!(client.console("channel2", false).is_ok(), "the shim keeps it");
    let state = bench.ok(&["show", "rom", "-o", "json"]);
    assert!(state.contains("channel2"), "{state}");
    // Its name is free, and what the shim has of the one before makes room.
    attach(&bench, "rom", "<channel type='pty'><target type='virtio' name='again'/></channel>", &[]);
    assert_eq!(family(&bench, "rom", "channel"), ["channel0", "channel1", "channel2"]);
    assert!(client.console("channel0", false).is_ok());
    bench.ok(&["detach", "rom", "org.qemu.guest_agent.0"]);
    silent("agent.no-channel");
    let file = bench.path("line.log");
    let line = format!(
        "<channel type='file'><source path='{}'/><target type='virtio' name='f'/></channel>",
        file.display()
    );
    assert!(refused(&bench, "rom", &line).contains("qemu.hotplug"));
    assert!(!file.exists(), "nothing is made for what is refused");
    bench.ok(&["destroy", "rom"]);
    bench.ok(&["start", "rom"]);
    assert_eq!(family(&bench, "rom", "channel"), ["channel0", "channel1"], "as they are stored");
}

#[test]
fn guest_that_lost_a_device_is_put_away_and_comes_back_with_names_of_its_own() {
    let bench = rom();
    bench.ok(&["start", "rom"]);
    attach(&bench, "rom", AGENT, &[]);
    bench.ok(&["detach", "rom", "first"]);
    assert_eq!(family(&bench, "rom", "channel"), ["channel1"]);
    bench.ok(&["save", "rom"]);
    bench.ok(&["start", "rom"]);
    assert_eq!(family(&bench, "rom", "channel"), ["channel0"], "a new run counts from its beginning");
    let answer = bench.run(&["agent", "ping", "rom"]);
    assert!(answer.stderr.contains("agent.not-connected"), "it is reached: {}", answer.stderr);
    attach(&bench, "rom", RNG, &["--live"]);
    bench.ok(&["detach", "rom", "channel0"]);
    assert!(family(&bench, "rom", "channel").is_empty());
    assert!(!bench.ok(&["xml", "rom", "--stored"]).contains("guest_agent"));
}

/// What the document says, and what the hypervisor has: the device and what it stands on.
fn agree(bench: &Workbench, when: &str) -> bool {
    let written = bench.ok(&["xml", "rom"]).contains("guest_agent");
    let plugged = devices(bench, "rom").contains(&"channel1".to_owned());
    assert_eq!(written, plugged, "{when}: written, plugged");
    assert_eq!(backends(bench, "rom").contains(&"charchannel1".to_owned()), plugged, "{when}: its back end");
    assert_eq!(bench.ok(&["xml", "rom", "--stored"]).contains("guest_agent"), written, "{when}: stored");
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"), "{when}");
    plugged
}

#[test]
fn change_killed_at_any_step_is_done_or_undone() {
    let bench = rom();
    let file = element(&bench, AGENT);
    let attach = ["attach", "rom", file.to_str().unwrap()];
    let detach = ["detach", "rom", "org.qemu.guest_agent.0"];
    let (mut interrupted, mut outcomes) = (0, [0, 0]);
    let points = points(KILL_AT);
    for (calls, count) in points.iter().copied() {
        bench.ok(&["start", "rom"]);
        interrupted += u32::from(!killed_at(&bench, &attach, calls, count));
        // The next owner settles what was left.
        bench.run(&["destroy", "nobody"]);
        let plugged = agree(&bench, &format!("attach {calls} {count}"));
        outcomes[usize::from(plugged)] += 1;
        if !plugged {
            bench.ok(&attach);
        }
        interrupted += u32::from(!killed_at(&bench, &detach, calls, count));
        bench.run(&["destroy", "nobody"]);
        let plugged = agree(&bench, &format!("detach {calls} {count}"));
        outcomes[usize::from(plugged)] += 1;
        if plugged {
            bench.ok(&detach);
        }
        assert!(!agree(&bench, "in the end"));
        bench.ok(&["destroy", "rom"]);
    }
    list_fits(interrupted, points.len());
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
}
