//! Wrong input: a clear error, the documented exit code, and nothing changed.

use crate::workbench::{Workbench, rom_domain};

#[test]
fn malformed_document_is_refused_with_its_place() {
    let bench = Workbench::new();
    let xml = rom_domain("rom", "qemu").replace("</vcpu>", "</vpcu>");
    let file = bench.write("bad.xml", &xml);
    let answer = bench.run(&["define", file.to_str().unwrap()]);
    assert_eq!(answer.status, 1, "{}", answer.stderr);
    assert!(answer.stderr.contains("xml.syntax") && answer.stderr.contains("line"), "{}", answer.stderr);
    assert_eq!(bench.state_of("rom"), None);
}

#[test]
fn misspelt_element_is_refused_with_the_nearest_name() {
    let bench = Workbench::new();
    let xml =
        rom_domain("rom", "qemu").replace("memory unit='MiB'>32</memory>", "memroy unit='MiB'>32</memroy>");
    let file = bench.write("bad.xml", &xml);
    let answer = bench.run(&["define", file.to_str().unwrap()]);
    assert_eq!(answer.status, 1, "{}", answer.stderr);
    assert!(answer.stderr.contains("memory"), "{}", answer.stderr);
}

#[test]
fn unknown_domain_suggests_the_nearest() {
    let bench = Workbench::new();
    bench.define(&rom_domain("webserver", "qemu"));
    let answer = bench.run(&["start", "webservre"]);
    assert_eq!(answer.status, 3, "{}", answer.stderr);
    assert!(answer.stderr.contains("did you mean 'webserver'?"), "{}", answer.stderr);
}

#[test]
fn unknown_domain_type_names_those_there_are() {
    let bench = Workbench::new();
    let file = bench.write("bad.xml", &rom_domain("rom", "xen"));
    let answer = bench.run(&["define", file.to_str().unwrap()]);
    assert_eq!(answer.status, 1, "{}", answer.stderr);
    assert!(answer.stderr.contains("qemu"), "{}", answer.stderr);
}

#[test]
fn name_of_another_domain_is_not_taken_over() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    let before = bench.ok(&["xml", "rom"]);
    let other = rom_domain("rom", "qemu")
        .replace("<name>", "<uuid>7c52b2b4-1d2e-4f0a-9c53-0f5cf5f8a111</uuid>\n  <name>");
    let file = bench.write("other.xml", &other);
    let answer = bench.run(&["define", file.to_str().unwrap()]);
    assert_eq!(answer.status, 5, "{}", answer.stderr);
    assert_eq!(bench.ok(&["xml", "rom"]), before);
}

#[test]
fn missing_file_is_named() {
    let bench = Workbench::new();
    let answer = bench.run(&["define", "nowhere.xml"]);
    assert_eq!(answer.status, 3, "{}", answer.stderr);
    assert!(answer.stderr.contains("nowhere.xml"), "{}", answer.stderr);
}

#[test]
fn misspelt_verb_is_a_usage_error() {
    let answer = Workbench::new().run(&["strat", "x"]);
    assert_eq!(answer.status, 2);
    assert!(answer.stderr.contains("start"), "{}", answer.stderr);
}
