//! Guests that crash: what the shim does about it by itself, whoever is attached.

use std::path::PathBuf;
use std::time::Duration;

use crate::workbench::{Workbench, kvm_answers, rom_domain};

/// What its guest runs: `mov ecx, 0x100000; loop` with 32 bits, so that its start is over by then; `mov dx, 0x505; mov al, 1;
/// out dx, al`, which tells the panic device of a crash; and then it stops.
const PANICS: [u8; 18] = [
    0x66, 0xb9, 0x00, 0x00, 0x10, 0x00, 0x67, 0xe2, 0xfd, 0xba, 0x05, 0x05, 0xb0, 0x01, 0xee, 0xf4, 0xeb,
    0xfd,
];
/// Where that lies, in a ROM of 64 KiB.
const CODE: usize = 0xff00;
/// Where a processor begins, and what leads it there: a jump by so much from behind itself.
const RESET: usize = 0xfff0;
const JUMP: [u8; 3] = [0xe9, 0x0d, 0xff];
/// How long what follows a crash may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A domain whose guest crashes soon after it began.
fn crashing(bench: &Workbench, on_crash: &str) -> String {
    let mut rom = vec![0xf4; 64 << 10];
    rom[CODE..CODE + PANICS.len()].copy_from_slice(&PANICS);
    rom[RESET..RESET + JUMP.len()].copy_from_slice(&JUMP);
    std::fs::write(bench.path("panics.rom"), rom).unwrap();
    let document = rom_domain("rom", if kvm_answers() { "kvm" } else { "qemu" });
    let begins = document.find("<loader").unwrap();
    let ends = document.find("</loader>").unwrap() + "</loader>".len();
    let loader = format!("<loader type='rom'>{}</loader>", bench.path("panics.rom").display());
    format!("{}{loader}{}", &document[..begins], &document[ends..])
        .replace("<devices>", "<devices><panic model='isa'/>")
        .replace("<devices>", &format!("<on_crash>{on_crash}</on_crash><devices>"))
}

fn start(bench: &Workbench, on_crash: &str) {
    bench.define(&crashing(bench, on_crash));
    bench.ok(&["start", "rom"]);
}

fn wait_for_its_end(bench: &Workbench) {
    assert!(bench.run_dir("rom").wait_released(PATIENCE).unwrap(), "nothing follows the crash");
    assert_eq!(bench.state_of("rom").as_deref(), Some("off"));
}

fn dumps(bench: &Workbench) -> Vec<PathBuf> {
    let shown = bench.json(&["show", "rom"]);
    shown["crash_dumps"].as_array().unwrap().iter().map(|path| path.as_str().unwrap().into()).collect()
}

/// An ELF core with the guest's memory in it.
fn is_whole(dump: &PathBuf) {
    let bytes = std::fs::read(dump).unwrap();
    assert!(bytes.starts_with(b"\x7fELF") && bytes.len() > 32 << 20, "{} bytes", bytes.len());
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(dump).unwrap().permissions()) & 0o77,
        0
    );
}

#[test]
fn guest_that_crashes_is_ended_or_kept_as_its_document_says() {
    let bench = Workbench::new();
    start(&bench, "destroy");
    wait_for_its_end(&bench);
    assert!(bench.ok(&["events"]).contains("rom"));
    assert!(dumps(&bench).is_empty());
    start(&bench, "preserve");
    while bench.state_of("rom").as_deref() != Some("crashed") {
        assert_ne!(bench.state_of("rom").as_deref(), Some("off"));
    }
    bench.run(&["destroy", "nobody"]);
    assert!(bench.ok(&["events"]).contains("guest-panicked"), "{}", bench.ok(&["events"]));
    let resumed = bench.run(&["resume", "rom"]);
    assert!(resumed.stderr.contains("reset"), "{}", resumed.stderr);
    bench.ok(&["destroy", "rom"]);
}

#[test]
fn memory_of_a_guest_that_crashes_is_kept_before_it_is_ended() {
    let bench = Workbench::new();
    start(&bench, "coredump-destroy");
    wait_for_its_end(&bench);
    let kept = dumps(&bench);
    assert_eq!(kept.len(), 1, "{kept:?}");
    is_whole(&kept[0]);
    assert!(bench.ok(&["show", "rom"]).contains(kept[0].to_str().unwrap()));
}

#[test]
fn guest_that_crashes_again_and_again_fills_no_disk() {
    let bench = Workbench::new();
    start(&bench, "coredump-restart");
    let first = loop {
        if let Some(first) = dumps(&bench).first() {
            break first.clone();
        }
    };
    while first.exists() {
        assert!(dumps(&bench).len() <= 4);
    }
    bench.ok(&["destroy", "rom"]);
    let kept = dumps(&bench);
    assert!((3..=4).contains(&kept.len()), "{kept:?}");
    is_whole(&kept[0]);
}

#[test]
fn dump_that_cannot_be_written_keeps_nothing_from_following() {
    let bench = Workbench::new();
    bench.define(&crashing(&bench, "coredump-destroy"));
    std::fs::write(bench.state_root().join("dumps"), b"a file in the place of the directory").unwrap();
    bench.ok(&["start", "rom"]);
    assert!(bench.run_dir("rom").wait_released(PATIENCE).unwrap(), "nothing follows the crash");
    let log = std::fs::read_to_string(bench.run_dir("rom").log_path()).unwrap();
    assert!(log.contains("there is no file for"), "{log}");
}

#[test]
fn restart_lets_the_guest_begin_anew_in_the_same_hypervisor() {
    let bench = Workbench::new();
    start(&bench, "restart");
    let pid = bench.json(&["show", "rom"])["pid"].clone();
    let crashes = |bench: &Workbench| {
        bench.run(&["destroy", "nobody"]);
        bench.ok(&["events"]).matches("guest-panicked").count()
    };
    while crashes(&bench) < 3 {}
    assert_eq!(bench.json(&["show", "rom"])["pid"], pid);
    bench.ok(&["destroy", "rom"]);
    assert!(dumps(&bench).is_empty());
}
