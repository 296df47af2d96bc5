//! A real Linux guest under QEMU, on BIOS and on UEFI, through the sandboxed driver.

use std::path::Path;

use crate::workbench::{GUEST_SECONDS, Workbench, guest};

/// A machine that boots the test guest's kernel directly, with an overlay over the guest's raw disk.
fn bios_domain(overlay: &Path, machine: &str, bus: &str, target: &str) -> String {
    format!(
        "<domain type='qemu'>
  <name>linux</name>
  <memory unit='MiB'>256</memory>
  <vcpu>2</vcpu>
  <os>
    <type arch='x86_64' machine='{machine}'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>console=ttyS0 quiet panic=-1 hostler.id=linux</cmdline>
  </os>
  <features><acpi/></features>
  <on_poweroff>destroy</on_poweroff>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{overlay}'/>
      <target dev='{target}' bus='{bus}'/>
      <serial>HOSTLER1</serial>
    </disk>
    <interface type='user'><model type='virtio'/></interface>
    <serial type='pty'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
",
        kernel = guest("vmlinuz").display(),
        initrd = guest("initrd.gz").display(),
        overlay = overlay.display(),
    )
}

fn overlay(bench: &Workbench) -> std::path::PathBuf {
    std::fs::copy(guest("base.raw"), bench.path("base.raw")).unwrap();
    bench.image(&["create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", "overlay.qcow2"]);
    bench.path("overlay.qcow2")
}

#[test]
fn linux_boots_on_q35_and_switches_itself_off_when_asked() {
    let bench = Workbench::new();
    let overlay = overlay(&bench);
    bench.define(&bios_domain(&overlay, "q35", "virtio", "vda"));
    let started = bench.json(&["start", "linux"]);
    let layers = started["chains"][0]["layers"].as_array().unwrap();
    let formats: Vec<&str> = layers.iter().map(|layer| layer["format"].as_str().unwrap()).collect();
    assert_eq!(formats, ["qcow2", "raw"]);
    assert_eq!(layers[0]["read_only"], false);
    assert_eq!(layers[1]["read_only"], true);

    let console =
        bench.ok(&["console", "linux", "--until", "hostler-guest: ready", "--timeout", GUEST_SECONDS]);
    for fact in ["booted", "firmware=bios", "cpus=2", "id=linux", "disk vda", "serial=HOSTLER1", "net "] {
        assert!(console.contains(fact), "'{fact}' is not in: {console}");
    }
    assert!(console.contains("marker="), "the guest reads the base through the overlay: {console}");

    bench.ok(&["shutdown", "linux", &format!("--wait={GUEST_SECONDS}")]);
    let list = bench.json(&["list", "--all"]);
    assert_eq!(list["domains"][0]["state"], "off");
    assert_eq!(list["domains"][0]["reason"], "shutdown");
    assert!(bench.processes().is_empty());
}

#[test]
fn linux_boots_on_i440fx() {
    let bench = Workbench::new();
    let overlay = overlay(&bench);
    bench.define(&bios_domain(&overlay, "pc", "virtio", "vda"));
    bench.ok(&["start", "linux"]);
    let console =
        bench.ok(&["console", "linux", "--until", "hostler-guest: ready", "--timeout", GUEST_SECONDS]);
    assert!(console.contains("disk vda"), "{console}");
    bench.ok(&["destroy", "linux"]);
}
