//! The capability catalogue of the guide for authors says what this host does: its capabilities, and every figure.

use std::collections::BTreeMap;
use std::time::Duration;

use hostler_grant::{Capability, MANIFEST_MAX_BYTES};
use hostler_package::COMPONENT_MAX_BYTES;
use hostler_runtime::Limits;
use hostler_runtime::limits as of;

const CATALOGUE: &str = include_str!("../../../../sdk/guide/capabilities.md");

/// The rows of all tables, their cells trimmed.
fn rows() -> Vec<Vec<&'static str>> {
    let lines = CATALOGUE.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    lines.map(|line| line.split(" | ").map(str::trim).collect()).collect()
}

fn bytes(number: u64) -> String {
    match number {
        _ if number.is_multiple_of(1 << 30) => format!("{} GiB", number >> 30),
        _ if number.is_multiple_of(1 << 20) => format!("{} MiB", number >> 20),
        _ if number.is_multiple_of(1 << 10) => format!("{} KiB", number >> 10),
        _ => format!("{number} bytes"),
    }
}

fn size(number: usize) -> String {
    bytes(u64::try_from(number).unwrap())
}

fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

fn amount(number: usize) -> String {
    count(u64::try_from(number).unwrap())
}

fn time(span: Duration) -> String {
    if span.subsec_millis() == 0 {
        format!("{} s", span.as_secs())
    } else {
        format!("{} ms", span.as_millis())
    }
}

/// What is said of every limit that is a matter of one interface.
fn of_interfaces() -> Vec<(&'static str, String)> {
    vec![
        ("NOTES_BYTES", size(of::NOTES_BYTES)),
        ("DOCUMENT_BYTES", size(of::DOCUMENT_BYTES)),
        ("EVENT_KIND_BYTES", size(of::EVENT_KIND_BYTES)),
        ("EVENTS", amount(of::EVENTS)),
        ("EVENT_BURST", count(of::EVENT_BURST)),
        ("EVENTS_PER_SECOND", count(of::EVENTS_PER_SECOND)),
        ("TEXT_BYTES", size(of::TEXT_BYTES)),
        ("FACTS", amount(of::FACTS)),
        ("HINTS", amount(of::HINTS)),
        ("LOG_BURST_BYTES", bytes(of::LOG_BURST_BYTES)),
        ("LOG_BYTES_PER_SECOND", bytes(of::LOG_BYTES_PER_SECOND)),
        ("RANDOM_BYTES", size(of::RANDOM_BYTES)),
        ("CHAIN_DEADLINE", time(of::CHAIN_DEADLINE)),
        ("FILE_DEADLINE", time(of::FILE_DEADLINE)),
        ("LAUNCH_DEADLINE", time(of::LAUNCH_DEADLINE)),
        ("WAIT_DEADLINE", time(of::WAIT_DEADLINE)),
        ("OPTIONS", amount(of::OPTIONS)),
        ("COMPANIONS", amount(of::COMPANIONS)),
        ("HANDLES", amount(of::HANDLES)),
        ("TREE_NODES", amount(of::TREE_NODES)),
        ("TREE_DEPTH", amount(of::TREE_DEPTH)),
        ("TREE_TEXT_BYTES", size(of::TREE_TEXT_BYTES)),
        ("SOCKET_NAME_BYTES", size(of::SOCKET_NAME_BYTES)),
        ("COMMAND_DEADLINE", time(of::COMMAND_DEADLINE)),
        ("COMMANDS", amount(of::COMMANDS)),
    ]
}

/// What is said of every limit of a call, and of a component.
fn of_calls() -> Vec<(&'static str, String)> {
    let limits = Limits::default();
    assert_eq!(limits.instance.memory_bytes, of::MEMORY_BYTES);
    vec![
        ("MEMORY_BYTES", size(of::MEMORY_BYTES)),
        ("MEMORIES", amount(of::MEMORIES)),
        ("TABLES", amount(of::TABLES)),
        ("TABLE_ELEMENTS", amount(of::TABLE_ELEMENTS)),
        ("CORE_INSTANCES", amount(of::CORE_INSTANCES)),
        ("STACK_BYTES", size(of::STACK_BYTES)),
        ("HOSTCALL_BYTES", size(of::HOSTCALL_BYTES)),
        ("RESOURCES", amount(of::RESOURCES)),
        ("Limits::cpu", time(limits.cpu)),
        ("Limits::plan", time(limits.plan)),
        ("Limits::start", time(limits.start)),
        ("Limits::control", time(limits.control)),
        ("Limits::end", time(limits.end)),
        ("Limits::recovery", time(limits.recovery)),
        ("HOST_CALL_BURST", count(of::HOST_CALL_BURST)),
        ("HOST_CALLS_PER_SECOND", count(of::HOST_CALLS_PER_SECOND)),
        ("CPU_BURST", time(of::CPU_BURST)),
        ("CPU_PER_SECOND", time(of::CPU_PER_SECOND)),
        ("COMPONENT_MAX_BYTES", bytes(COMPONENT_MAX_BYTES)),
        ("COMPILE_CPU", time(of::COMPILE_CPU)),
        ("COMPILE_MEMORY_BYTES", bytes(of::COMPILE_MEMORY_BYTES)),
        ("MANIFEST_MAX_BYTES", size(MANIFEST_MAX_BYTES)),
    ]
}

#[test]
fn figures_of_the_catalogue_are_those_of_the_host() {
    let mut expected: BTreeMap<_, _> = of_interfaces().into_iter().chain(of_calls()).collect();
    for row in rows() {
        let [what, value, constant] = row.as_slice() else { panic!("{row:?}") };
        let Some(name) = constant.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else { continue };
        let known =
            expected.remove(name).unwrap_or_else(|| panic!("{what}: {name} is no limit that is known here"));
        assert_eq!(*value, known, "{what} ({name})");
    }
    assert!(expected.is_empty(), "the catalogue does not say: {expected:?}");
}

#[test]
fn catalogue_has_every_capability_and_how_it_is_asked_for() {
    for capability in Capability::ALL {
        let asked = match (capability.is_basic(), capability.has_scope()) {
            (true, _) => "every driver has it".to_owned(),
            (false, true) => format!("`\"{capability}:NAME\"`"),
            (false, false) => format!("`\"{capability}\"`"),
        };
        let name = format!("`{capability}`");
        let row = rows().into_iter().find(|row| row[0] == name && row[1] == asked);
        assert!(row.is_some(), "{name} is asked for with {asked}");
        assert!(CATALOGUE.contains(&format!("\n## {capability}\n")), "{name} has no section");
    }
}
