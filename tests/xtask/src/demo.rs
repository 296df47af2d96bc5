//! `cargo xtask demo`: the whole product in one run, with the commands a user would type.

mod guard;
mod terminal;

use crate::args::Args;
use crate::{build, components, guest, setup, shell, workspace};
use anyhow::{Context, Result, ensure};
use guard::Guard;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;
use terminal::Terminal;

/// The domain; see `domain_xml`.
const DOMAIN: &str = "demo";
/// The guest's last line before it waits.
pub(crate) const READY: &str = "hostler-guest: ready";
/// Seconds that the guest may take to boot, emulated on a loaded machine.
const BOOT_SECONDS: &str = "180";

/// Runs the verb.
pub(crate) fn run(args: Args) -> Result<()> {
    let [] = args.positional()?;
    let began = Instant::now();
    setup::ensure()?;
    // The build that the tests use: whoever runs them next waits for no second one.
    build::development()?;
    components::build_all()?;
    let guest = guest::ensure()?;
    let prepared = began.elapsed();
    let terminal = Terminal::open(&lay_out(&guest)?)?;
    let guard = Guard::watch(terminal.command("sh", &[]), DOMAIN)?;
    let session = Instant::now();
    tour(&terminal)?;
    guard.release();
    println!(
        "\ndemo: a Linux guest booted through the sandboxed QEMU driver, said it was ready, and shut down by ACPI.\n\
         demo: {:.0} s to prepare, {:.1} s for the tour.",
        prepared.as_secs_f32(),
        session.elapsed().as_secs_f32()
    );
    Ok(())
}

/// A fresh directory to work in, with the guest's files; the images an earlier run left are gone.
fn lay_out(guest: &Path) -> Result<PathBuf> {
    let directory = workspace::target_dir()?.join("demo");
    if directory.exists() {
        end_earlier_run(&directory)?;
        fs::remove_dir_all(&directory).with_context(|| format!("cannot empty {}", directory.display()))?;
    }
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    for file in ["vmlinuz", "initrd.gz", "base.raw"] {
        fs::copy(guest.join(file), directory.join(file)).with_context(|| format!("cannot copy {file}"))?;
    }
    Ok(directory)
}

/// A run that was killed may have left its guest: it is ended before its state goes.
fn end_earlier_run(directory: &Path) -> Result<()> {
    let terminal = Terminal::open(directory)?;
    let Ok(domains) = terminal.json(&["list"]) else { return Ok(()) };
    if state_of(&domains).is_some() {
        terminal.quiet(&["destroy", DOMAIN]);
    }
    Ok(())
}

/// What a user would type.
fn tour(terminal: &Terminal) -> Result<()> {
    terminal.introduce();
    terminal.section("What can this host do?");
    terminal.show("hostler", &["doctor"])?;
    let accelerator = choose_accelerator(&terminal.json(&["doctor"])?)?;
    terminal.section("A disk: a qcow2 overlay over a raw base that is never written");
    terminal
        .show("qemu-img", &["create", "-q", "-f", "qcow2", "-F", "raw", "-b", "base.raw", "overlay.qcow2"])?;
    terminal.show("hostler", &["image", "chain", "overlay.qcow2"])?;
    terminal.section("A domain, defined from XML");
    terminal.write("demo.xml", &domain_xml(accelerator, terminal.directory()))?;
    terminal.show("hostler", &["define", "demo.xml"])?;
    terminal.section("The drivers: sandboxed components, and what each was granted");
    terminal.show("hostler", &["driver", "list"])?;
    terminal.section("Start it, and watch its console until the guest is ready");
    terminal.show("hostler", &["start", DOMAIN])?;
    terminal.show("hostler", &["console", DOMAIN, "--until", READY, "--timeout", BOOT_SECONDS])?;
    terminal.section("Its state, asked of QEMU over QMP");
    terminal.show("hostler", &["show", DOMAIN])?;
    expect_state(terminal, "running")?;
    terminal.section("Press the power button, wait until it is off");
    terminal.show("hostler", &["shutdown", DOMAIN, "--wait"])?;
    terminal.show("hostler", &["list", "--all"])?;
    expect_state(terminal, "off")?;
    terminal.show("hostler", &["undefine", DOMAIN])
}

/// KVM only where the probe found it good for a Linux guest; the reason is said either way.
///
/// # Errors
/// When `doctor` says nothing of it.
pub(crate) fn choose_accelerator(doctor: &Value) -> Result<&'static str> {
    let findings = doctor.get("findings").and_then(Value::as_array).context("doctor said nothing")?;
    let text =
        |finding: &Value, key: &str| finding.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kvm = findings
        .iter()
        .find(|finding| text(finding, "id").contains("kvm"))
        .context("doctor did not try KVM")?;
    let good = text(kvm, "status") == "good";
    let (name, kind) = if good { ("KVM", "kvm") } else { ("TCG, QEMU's own emulation", "qemu") };
    shell::step(format!("accelerator: {name}: {}", text(kvm, "detail")));
    Ok(kind)
}

fn expect_state(terminal: &Terminal, expected: &str) -> Result<()> {
    let state = state_of(&terminal.json(&["list", "--all"])?);
    ensure!(state.as_deref() == Some(expected), "the domain should be {expected} and is {state:?}");
    Ok(())
}

fn state_of(list: &Value) -> Option<String> {
    let domains = list.get("domains")?.as_array()?;
    let domain = domains.iter().find(|domain| domain.get("name").and_then(Value::as_str) == Some(DOMAIN))?;
    Some(domain.get("state")?.as_str()?.to_owned())
}

/// A small server: one processor, one disk, one network card, a serial console.
fn domain_xml(kind: &str, directory: &Path) -> String {
    let directory = directory.display().to_string();
    let card = "<interface type='user'><model type='virtio'/></interface>";
    linux_guest(DOMAIN, kind, &directory, &format!("{directory}/overlay.qcow2"), card)
}

/// The document of a Linux guest with a serial console: kernel and first disk from `files`, one disk of its own, and what
/// `devices` adds.
pub(crate) fn linux_guest(name: &str, kind: &str, files: &str, disk: &str, devices: &str) -> String {
    format!(
        "<domain type='{kind}'>
  <name>{name}</name>
  <memory unit='MiB'>256</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{files}/vmlinuz</kernel>
    <initrd>{files}/initrd.gz</initrd>
    <cmdline>console=ttyS0 quiet panic=-1 hostler.id={name}</cmdline>
  </os>
  <features><acpi/><apic/></features>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    {devices}
    <serial type='pty'><target port='0'/></serial>
    <console type='pty'><target type='serial' port='0'/></console>
  </devices>
</domain>
"
    )
}

#[cfg(test)]
mod tests {
    use super::{choose_accelerator, state_of};
    use serde_json::json;

    #[test]
    fn kvm_is_chosen_only_when_it_is_good() {
        for (status, kind) in [("good", "kvm"), ("limited", "qemu"), ("missing", "qemu")] {
            let doctor = json!({"findings": [{"id": "accelerator.kvm", "status": status, "detail": "why"}]});
            assert_eq!(choose_accelerator(&doctor).unwrap(), kind);
        }
        assert!(choose_accelerator(&json!({"findings": []})).is_err());
    }

    #[test]
    fn state_is_that_of_the_demo_domain() {
        let list =
            json!({"domains": [{"name": "other", "state": "off"}, {"name": "demo", "state": "running"}]});
        assert_eq!(state_of(&list).as_deref(), Some("running"));
        assert_eq!(state_of(&json!({"domains": []})), None);
    }
}
