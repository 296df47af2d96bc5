//! Consoles of a guest that prints: the firmware itself is the guest.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use hostler_launch::{Handle, Role, ShimErrorKind, accelerator};

use crate::support::{Domain, PATIENCE};

/// The tiny firmware that prints on the serial port; nothing, said aloud, when its recipe is absent.
fn firmware(domain: &Domain) -> Option<PathBuf> {
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/tools/make_kvm_rom.sh");
    if !recipe.exists() {
        eprintln!("skipped: {} is absent", recipe.display());
        return None;
    }
    let rom = domain.path("guest.rom");
    assert!(Command::new("sh").arg(&recipe).arg(&rom).status().unwrap().success());
    Some(rom)
}

fn with_firmware(accel: &str) -> Option<Domain> {
    let mut domain = Domain::new("q35");
    let rom = firmware(&domain)?;
    let file = std::fs::File::open(&rom).unwrap();
    let code = Handle::Descriptor {
        fd: Some(file.into()),
        writable: false,
        role: Role::Code,
        format: "raw",
        data_apart: false,
        path: rom,
    };
    let code = domain.handle(code);
    domain.option("bios", code);
    for option in domain.plan.options.iter_mut().filter(|option| option.name == "accel") {
        option.value = Some(accel.into());
    }
    domain.serial("serial0");
    domain.react("SHUTDOWN", "quit");
    Some(domain)
}

/// Reads until `wanted` was seen.
fn read_until(stream: &mut UnixStream, wanted: &str) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut seen, mut buffer) = (String::new(), [0; 4096]);
    while !seen.contains(wanted) {
        let count = stream.read(&mut buffer).unwrap_or_else(|error| panic!("{error} after {seen:?}"));
        assert_ne!(count, 0, "closed after {seen:?}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    seen
}

#[test]
fn console_is_logged_replayed_and_open_to_several_clients() {
    let Some(mut domain) = with_firmware("tcg") else { return };
    let client = domain.start();
    assert_eq!(client.console("serial9", false).unwrap_err().kind, ShimErrorKind::Console);
    let mut early = client.console("serial0", true).unwrap();
    client.execute("cont", None, &[], PATIENCE).unwrap();
    read_until(&mut early, "ROM-READY");
    let mut late = client.console("serial0", true).unwrap();
    assert!(read_until(&mut late, "ROM-TICK").contains("ROM-READY"), "replay");
    late.write_all(b"hello").unwrap();
    let log = domain.run.console_log_path("serial0").unwrap();
    assert!(std::fs::read_to_string(log).unwrap().contains("ROM-READY"));
    // A power button: the guest shuts itself down, the shim reacts.
    client.execute("system_powerdown", None, &[], PATIENCE).unwrap();
    assert_eq!(client.wait(PATIENCE).unwrap(), Some(hostler_launch::Ending::Exited(0)));
    let record: hostler_launch::shim::record::ExitRecord =
        domain.run.read(hostler_state::RunRecord::Exit).unwrap().unwrap();
    assert_eq!(record.reason, hostler_launch::shim::record::StopReason::Shutdown);
    assert_eq!(record.shutdown.unwrap()["guest"], true);
    read_until(&mut early, "ROM-SHUTDOWN");
}

#[test]
fn firmware_guest_runs_under_real_kvm_where_it_answers() {
    let probe = accelerator::probe_kvm();
    if probe.api_version.is_none() {
        eprintln!("skipped: {}", probe.reason);
        return;
    }
    let Some(mut domain) = with_firmware("kvm") else { return };
    let client = domain.start();
    let mut console = client.console("serial0", true).unwrap();
    client.execute("cont", None, &[], PATIENCE).unwrap();
    read_until(&mut console, "ROM-READY");
    client.execute("system_powerdown", None, &[], PATIENCE).unwrap();
    assert_eq!(client.wait(PATIENCE).unwrap(), Some(hostler_launch::Ending::Exited(0)));
}
