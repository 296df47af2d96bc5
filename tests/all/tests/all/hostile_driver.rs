//! A hostile driver adds to the launch and to the monitor of a real QEMU whatever reaches beyond its domain: it gets
//! nothing, the error names the driver and the place, and nobody has as much as opened what it reached for.
//!
//! The driver does what its domain's document says (`tests/guests/abuse`), so the tables below are all there is to it.

mod commands;
mod daemon;
mod options;
mod scene;

use serde_json::{Value, json};

use crate::workbench::{Answer, rom_domain};
use scene::Scene;

/// One option or command with its value, and the word of the place that the refusal names.
type Tried = (&'static str, &'static str, &'static str);

/// How a refusal ends: denied by policy, invalid, or against the contract.
const DENIED: i32 = 4;
const INVALID: i32 = 1;
const TRAPPED: i32 = 7;

/// What is wrong with a refusal: it has to name the driver, its operation and the place.
fn fault(answer: &Answer, status: i32, operation: &str, place: &str) -> Option<String> {
    let said = &answer.stderr;
    let named = said.contains(&format!("driver abuse 0.1.0, operation {operation}"))
        || said.contains(&format!("driver abuse 0.1.0, {operation}: "));
    let quoted = said.split_once("refuses this at '").and_then(|(_, rest)| rest.split_once("':"));
    let placed = match quoted {
        Some((option, _)) => format!(".{option}.").contains(&format!(".{place}.")),
        None => said.contains(place),
    };
    let right = answer.status == status && named && placed;
    (!right).then(|| format!("not {status} at '{place}', but {}: {}{said}", answer.status, answer.stdout))
}

/// A start with each of these added has to be refused, and to leave nothing.
fn launches_are_refused(scene: &Scene, all: &[(Value, i32, &str)]) {
    let mut faults = Vec::new();
    for (added, status, place) in all {
        scene.define(added);
        let fault = fault(&scene.red(&["start", "evil"]), *status, "start", place);
        faults.extend(fault.map(|fault| format!("{added}: {fault}")));
        assert_eq!(scene.processes(), Vec::<String>::new(), "{added}: something was started");
        scene.assert_untouched(added);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    scene.assert_watched();
}

fn options_are_refused(options: &[Tried]) {
    let scene = Scene::new();
    let added = options
        .iter()
        .map(|(option, value, place)| (json!({"options": [[option, scene.value(value)]]}), DENIED, *place));
    launches_are_refused(&scene, &added.collect::<Vec<_>>());
}

#[test]
fn host_files_in_options_are_refused() {
    options_are_refused(options::FILES);
}

#[test]
fn images_of_another_tenant_in_options_are_refused() {
    options_are_refused(options::OTHER_TENANT);
}

#[test]
fn channels_programs_and_networks_in_options_are_refused() {
    options_are_refused(options::CHANNELS);
}

#[test]
fn what_is_no_plan_is_refused_before_any_policy() {
    let scene = Scene::new();
    let added = options::NO_PLAN.iter().map(|(option, value, status, place)| {
        (json!({"options": [[option, scene.value(value)]]}), *status, *place)
    });
    launches_are_refused(&scene, &added.collect::<Vec<_>>());
}

/// A domain of `type='abuse'` names in its document the `"template"`, the `"environment"` and the `"reactions"`.
#[test]
fn foreign_programs_variables_and_reactions_are_refused() {
    let all = [
        (json!({"template": "bash"}), DENIED, "process:bash"),
        // Granted by the policy of this test, and still no program that this host has a template for.
        (json!({"template": "sh"}), INVALID, "launch.template-unknown"),
        (json!({"template": "/bin/sh"}), DENIED, "process:/bin/sh"),
        (json!({"template": "qemu-system-x86_64/../../bin/sh"}), DENIED, "bin/sh"),
        (json!({"environment": {"LD_PRELOAD": "/tmp/evil.so"}}), DENIED, "environment.LD_PRELOAD"),
        (json!({"environment": {"QEMU_MODULE_DIR": "/tmp"}}), DENIED, "environment.QEMU_MODULE_DIR"),
        (json!({"environment": {"PATH": "/tmp"}}), DENIED, "environment.PATH"),
        (json!({"environment": {"TZ": "/etc/shadow"}}), DENIED, "environment.TZ"),
        (json!({"environment": {"TZ=UTC\nLD_PRELOAD": "x"}}), DENIED, "environment.TZ=UTC\\nLD_PRELOAD"),
        (json!({"reactions": {"STOP": "migrate"}}), DENIED, "migrate"),
        (json!({"reactions": {"STOP": "human-monitor-command"}}), DENIED, "human-monitor-command"),
    ];
    launches_are_refused(&Scene::new(), &all);
}

/// The second program that hostler has a template for, and a guest that is none: it is refused as QEMU is.
#[test]
fn abuses_of_the_storage_daemon_are_refused() {
    let scene = Scene::new();
    let added = daemon::OPTIONS.iter().map(|(option, value, place)| {
        (json!({"template": daemon::TEMPLATE, "options": [[option, scene.value(value)]]}), DENIED, *place)
    });
    let mut all: Vec<_> = added.collect();
    let more = [
        (json!({"environment": {"LD_PRELOAD": "/tmp/evil.so"}}), "environment.LD_PRELOAD"),
        (json!({"environment": {"TZ": "UTC"}}), "environment.TZ"),
        (json!({"reactions": {"BLOCK_EXPORT_DELETED": "nbd-server-start"}}), "nbd-server-start"),
        (json!({"reactions": {"BLOCK_EXPORT_DELETED": "blockdev-snapshot-sync"}}), "blockdev-snapshot-sync"),
    ];
    all.extend(more.map(|(mut wish, place)| {
        wish["template"] = json!(daemon::TEMPLATE);
        (wish, DENIED, place)
    }));
    launches_are_refused(&scene, &all);
}

/// A node that was not handed out is known to nobody, the program itself says so, and nothing of it stays.
#[test]
fn export_of_a_node_that_was_not_handed_out_ends_the_start() {
    let scene = Scene::new();
    let export = json!({"type": "nbd", "id": "x", "node-name": scene.other, "name": "x", "writable": true});
    let named = json!({"type": "nbd", "id": "x", "node-name": "other", "name": "x", "writable": true});
    let wish = |export: &Value| json!({"template": daemon::TEMPLATE, "options": [["export", export]]});
    launches_are_refused(&Scene::new(), &[(wish(&export), DENIED, "export.node-name")]);
    scene.define(&wish(&named));
    let answer = scene.red(&["start", "evil"]);
    assert!(answer.status != 0 && answer.stderr.contains("driver abuse 0.1.0"), "{}", answer.stderr);
    assert!(answer.stderr.contains("node-name='other'"), "the program's last words: {}", answer.stderr);
    assert_eq!(scene.processes(), Vec::<String>::new());
    scene.assert_untouched(&named);
    scene.assert_watched();
}

#[test]
fn commands_to_the_storage_daemon_are_refused_and_it_serves_on() {
    let scene = Scene::new();
    let all: Vec<_> =
        daemon::COMMANDS.iter().map(|(name, value, _)| json!([name, scene.value(value)])).collect();
    commands_to(&scene, &json!({"template": daemon::TEMPLATE, "commands": all}), daemon::COMMANDS, DENIED);
}

/// What the driver tries as `"options"` is there to be refused: without it the same launch is a real guest.
#[test]
fn launch_to_which_nothing_is_added_is_a_real_guest() {
    let scene = Scene::new();
    scene.define(&json!({"commands": [["query-name", null]]}));
    let started = scene.red(&["start", "evil"]);
    assert_eq!(started.status, 0, "{}", started.stderr);
    let pid = scene.red_json(&["show", "evil"])["pid"].as_u64().unwrap();
    let program = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert!(program.starts_with("qemu-system"), "{program}");
    let allowed = scene.red(&["suspend", "evil"]);
    assert_eq!(allowed.status, 0, "a command that is allowed passes: {}", allowed.stderr);
    assert_eq!(scene.red(&["destroy", "evil"]).status, 0);
}

/// The `"commands"` go to one running guest, which outlives them all.
fn commands_are_refused(commands: &[Tried], status: i32) {
    let scene = Scene::new();
    let all: Vec<_> = commands.iter().map(|(name, value, _)| json!([name, scene.value(value)])).collect();
    commands_to(&scene, &json!({"commands": all}), commands, status);
}

fn commands_to(scene: &Scene, wish: &Value, commands: &[Tried], status: i32) {
    scene.define(wish);
    let all = wish["commands"].as_array().unwrap();
    let started = scene.red(&["start", "evil"]);
    assert_eq!(started.status, 0, "{}", started.stderr);
    let pid = scene.red_json(&["show", "evil"])["pid"].clone();
    let mut faults = Vec::new();
    for ((_, _, place), tried) in commands.iter().zip(all) {
        let fault = fault(&scene.red(&["suspend", "evil"]), status, "suspend", place);
        faults.extend(fault.map(|fault| format!("{tried}: {fault}")));
        let shown = scene.red_json(&["show", "evil"]);
        assert_eq!((&shown["state"], &shown["pid"]), (&json!("running"), &pid), "{tried}: the guest goes on");
        scene.assert_untouched(tried);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(scene.red(&["destroy", "evil"]).status, 0);
    scene.assert_watched();
}

#[test]
fn host_files_in_commands_are_refused() {
    commands_are_refused(commands::FILES, DENIED);
}

#[test]
fn images_of_another_tenant_in_commands_are_refused() {
    commands_are_refused(commands::OTHER_TENANT, DENIED);
}

#[test]
fn channels_programs_and_descriptors_in_commands_are_refused() {
    commands_are_refused(commands::CHANNELS, DENIED);
}

#[test]
fn forged_handles_in_commands_end_the_call() {
    commands_are_refused(commands::FORGED, TRAPPED);
}

#[test]
fn document_that_names_the_files_of_others_is_not_even_defined() {
    let scene = Scene::new();
    for path in [&scene.secret, &scene.other] {
        let answer = scene.try_define(&json!({}), path);
        assert_eq!(answer.status, DENIED, "{}", answer.stderr);
        scene.assert_untouched(&json!(path));
    }
    scene.assert_watched();
}

/// The watch sees a hypervisor open a file too, not only a test: the other tenant's own guest has its image open.
#[test]
fn watch_sees_a_hypervisor_that_opens_what_is_its_own() {
    let scene = Scene::new();
    let disk = format!(
        "<disk type='file'><driver type='raw'/><source file='{}'/><target dev='vda' bus='virtio'/></disk></devices>",
        scene.other.display()
    );
    let xml = rom_domain("own", "qemu").replace("</devices>", &disk);
    let rom = crate::workbench::guest("rom.bin");
    let own = scene.blue_path("rom.bin");
    std::fs::copy(&rom, &own).unwrap();
    let xml = xml.replace(rom.to_str().unwrap(), own.to_str().unwrap());
    let file = scene.write("own.xml", &xml);
    for arguments in [&["define", file.to_str().unwrap()][..], &["start", "own"]] {
        let answer = scene.blue(arguments);
        assert_eq!(answer.status, 0, "{}", answer.stderr);
    }
    assert!(scene.opened().contains("other"), "its own guest has it open");
    assert_eq!(scene.blue(&["destroy", "own"]).status, 0);
}
