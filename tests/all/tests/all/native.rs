//! `native`: the launch, shown and not run.

use crate::workbench::{Workbench, rom_domain};

#[test]
fn native_shows_the_command_line_and_changes_nothing() {
    let bench = Workbench::new();
    let file = bench.write("domain.xml", &rom_domain("rom", "qemu"));
    let shown = bench.json(&["native", "--xml", file.to_str().unwrap()]);
    let argv: Vec<&str> =
        shown["argv"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert!(argv[0].ends_with("qemu-system-x86_64"), "{argv:?}");
    for option in ["-S", "-machine", "-nodefaults", "-sandbox"] {
        assert!(argv.contains(&option), "{option} is not in {argv:?}");
    }
    assert_eq!(bench.state_of("rom"), None, "nothing was defined");
    assert!(bench.processes().is_empty());
}

#[test]
fn native_of_a_defined_domain_is_native_of_its_document() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    let file = bench.write("stored.xml", &bench.ok(&["xml", "rom", "--stored"]));
    assert_eq!(bench.json(&["native", "rom"]), bench.json(&["native", "--xml", file.to_str().unwrap()]));
}
