//! Drivers that misbehave on purpose: an error that names driver, version and operation, and nothing else harmed.

use crate::workbench::{Answer, Workbench, rom_domain};

fn fault_domain(name: &str) -> String {
    format!(
        "<domain type='fault'><name>{name}</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>\
         <os><type>hvm</type></os></domain>"
    )
}

fn start_fault(bench: &Workbench, name: &str) -> Answer {
    bench.define(&fault_domain(name));
    let answer = bench.run(&["start", name]);
    assert_eq!(bench.state_of(name).as_deref(), Some("off"));
    answer
}

fn assert_driver_fault(answer: &Answer, code: &str) {
    assert_eq!(answer.status, 7, "{}", answer.stderr);
    for word in [code, "driver fault 0.1.0", "start"] {
        assert!(answer.stderr.contains(word), "'{word}' is not in: {}", answer.stderr);
    }
}

#[test]
fn trap_is_an_error_of_the_driver() {
    assert_driver_fault(&start_fault(&Workbench::new(), "trap"), "driver.trap");
}

#[test]
fn endless_loop_is_stopped() {
    assert_driver_fault(&start_fault(&Workbench::new(), "loop"), "driver.timeout");
}

#[test]
fn memory_bomb_is_stopped() {
    assert_driver_fault(&start_fault(&Workbench::new(), "memory"), "driver.memory");
}

#[test]
fn recursion_is_stopped() {
    assert_driver_fault(&start_fault(&Workbench::new(), "recursion"), "driver.trap");
}

#[test]
fn storm_of_host_calls_is_stopped() {
    let answer = start_fault(&Workbench::new(), "host-calls");
    // On a slow host the processor time of the call is used up before the rate of its tenant is.
    let code = if answer.stderr.contains("driver.rate") { "driver.rate" } else { "driver.timeout" };
    assert_driver_fault(&answer, code);
}

#[test]
fn log_flood_is_cut_and_harms_nothing() {
    let bench = Workbench::new();
    bench.define(&fault_domain("log-flood"));
    let answer = bench.run(&["-v", "start", "log-flood"]);
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    assert!(answer.stderr.len() < 1 << 20, "{} bytes of log came through", answer.stderr.len());
}

#[test]
fn other_domains_go_on_beside_a_faulty_driver() {
    let bench = Workbench::new();
    bench.define(&rom_domain("rom", "qemu"));
    bench.ok(&["start", "rom"]);
    for name in ["trap", "loop", "memory"] {
        start_fault(&bench, name);
        assert_eq!(bench.state_of("rom").as_deref(), Some("running"), "after {name}");
    }
    bench.ok(&["console", "rom", "--until", "hostler-rom: tick 0002", "--timeout", "60"]);
    bench.ok(&["destroy", "rom"]);
}
