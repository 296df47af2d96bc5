//! Whether the package works where it is installed: with systemd, clients of libvirt, and guests that go on through
//! everything that is done to the daemon.

use super::guest;
use super::machine::Machine;
use super::package::{Recipe, UNITS, fresh};
use crate::{demo, shell};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::Instant;

/// How a client names it, as the package's socket says.
const URI: &str = "hostler:///system";
const SERVICE: &str = "hostler.service";
const SOCKET: &str = "hostler.socket";
const READ_ONLY: &str = "hostler-ro.socket";
const GUESTS: &str = "hostler-guests.service";
/// Where the guest's files are in the machine.
const FILES: &str = "/srv/guest";
/// Where the packages are.
const PACKAGES: &str = "/srv/packages";
/// The operator's settings.
const SETTINGS: &str = "/etc/hostler/hostler.toml";
/// Who may do what, beside the state.
const ACCESS: &str = "/var/lib/hostler/access.toml";
const NETWORK: &str = "<network><name>lab</name><forward mode='nat'/><bridge stp='off'/>\
    <ip address='192.168.77.1' prefix='24'><dhcp><range start='192.168.77.10' end='192.168.77.99'/></dhcp></ip></network>";
const INTERFACE: &str = "<interface type='network'><source network='lab'/><model type='virtio'/></interface>";

/// Installs the package on a machine with systemd and does there what operators do. Where no such machine can be had, that
/// is said and nothing is proved.
///
/// # Errors
/// What does not work; that no machine can be had, if that `must` be.
pub(super) fn prove(recipe: &Recipe, package: &Path, files: &Path, must: bool) -> Result<()> {
    shell::step("the package on a machine with systemd");
    let began = Instant::now();
    let place = fresh(&recipe.place.join("machine"))?;
    let machine = match Machine::boot(&place, &[(files, FILES), (&recipe.place, PACKAGES)]) {
        Ok(machine) => machine,
        Err(obstacle) if !must => {
            eprintln!(
                "\n! SKIPPED: the package was not installed, and its units not started: {obstacle:#}\n"
            );
            return Ok(());
        }
        Err(obstacle) => return Err(obstacle),
    };
    let newer = recipe.make_newer()?;
    let name = |file: &Path| -> Result<String> {
        let name = file.file_name().context("a package has no name")?;
        Ok(format!("{PACKAGES}/{}", name.to_string_lossy()))
    };
    let installed = Installed { machine, package: name(package)?, newer: name(&newer)? };
    let told = installed.story();
    if told.is_err() {
        let journal =
            installed.machine.run(&["journalctl", "--no-pager", "--lines=40", "--unit", "hostler*"]);
        eprintln!("{}", journal.unwrap_or_else(|error| error.to_string()));
    }
    told?;
    drop(installed);
    std::fs::remove_dir(&place)?;
    std::fs::remove_file(&newer)?;
    shell::step(format!("installed, served, upgraded and removed in {:.0} s", began.elapsed().as_secs_f32()));
    Ok(())
}

/// A guest's process: its number and when it was started, which together are never given twice.
#[derive(Debug, PartialEq, Eq)]
struct Process(u64, String);

struct Installed {
    machine: Machine,
    package: String,
    newer: String,
}

impl Installed {
    fn story(&self) -> Result<()> {
        self.is_installed()?;
        self.first_client_starts_it()?;
        let guest = self.guest_runs_in_its_cage()?;
        self.settings_are_read_again()?;
        self.outlives(&guest, "a restart", &["systemctl", "restart", SERVICE])?;
        self.outlives(&guest, "an upgrade", &["dpkg", "--install", &self.newer])?;
        self.outlives(
            &guest,
            "a daemon that is killed",
            &["systemctl", "kill", "--signal=KILL", "--kill-whom=main", SERVICE],
        )?;
        self.stop_leaves_guests(&guest)?;
        self.removal_leaves_guests(&guest)?;
        self.guests_are_asked_before_the_machine_ends()?;
        self.purge_leaves_state()
    }

    fn run(&self, words: &[&str]) -> Result<String> {
        self.machine.run(words)
    }

    fn virsh(&self, words: &[&str]) -> Result<String> {
        self.run(&[&["virsh", "-c", URI], words].concat())
    }

    fn is(&self, unit: &str, state: &str) -> Result<()> {
        let found = self.machine.property(unit, "ActiveState")?;
        ensure!(found == state, "{unit} should be {state} and is {found}");
        Ok(())
    }

    /// A file of the machine.
    fn write(&self, file: &str, text: &str) -> Result<()> {
        self.run(&["sh", "-c", "printf %s \"$2\" >\"$1\"", "sh", file, text]).map(drop)
    }

    fn is_installed(&self) -> Result<()> {
        self.run(&["dpkg", "--install", &self.package])?;
        self.run(&["dpkg", "--verify", "hostler"])?;
        let verify = format!("systemd-analyze verify --man=yes {} 2>&1", UNITS.join(" "));
        let warnings = self.run(&["sh", "-c", &verify])?;
        ensure!(warnings.is_empty(), "systemd does not like the units: {warnings}");
        for unit in UNITS {
            let enabled = self.run(&["systemctl", "is-enabled", unit])?;
            ensure!(enabled == "enabled", "{unit} is {enabled}");
        }
        self.is(SOCKET, "active")?;
        self.is(READ_ONLY, "active")?;
        self.is(GUESTS, "active")?;
        self.is(SERVICE, "inactive")
    }

    fn first_client_starts_it(&self) -> Result<()> {
        self.virsh(&["list", "--all"])?;
        self.is(SERVICE, "active")?;
        let kind = self.machine.property(SERVICE, "Type")?;
        ensure!(kind == "notify", "the unit's type is {kind}");
        let drivers = self.run(&["hostler", "driver", "list", "-o", "json"])?;
        ensure!(
            drivers.contains("\"/usr/lib/hostler/drivers/qemu.wasm\""),
            "its drivers are others: {drivers}"
        );
        self.run(&["virsh", "-r", "-c", URI, "list", "--all"])?;
        self.write("/tmp/lab.xml", NETWORK)?;
        let refused = self.machine.refused(&["virsh", "-r", "-c", URI, "net-define", "/tmp/lab.xml"])?;
        ensure!(refused.contains("read only"), "who may only read is refused otherwise: {refused}");
        Ok(())
    }

    fn guest_runs_in_its_cage(&self) -> Result<Process> {
        let doctor = self.run(&["hostler", "-o", "json", "doctor"])?;
        let accelerator = demo::choose_accelerator(&serde_json::from_str(&doctor)?)?;
        self.virsh(&["net-define", "/tmp/lab.xml"])?;
        self.virsh(&["net-start", "lab"])?;
        self.run(&["qemu-img", "create", "-q", "-f", "qcow2", "/srv/disk.qcow2", "16M"])?;
        let document = demo::linux_guest(guest::NAME, accelerator, FILES, "/srv/disk.qcow2", INTERFACE);
        let asks = document.replace("</cmdline>", " hostler.dhcp hostler.reach=192.168.77.1</cmdline>");
        self.write("/tmp/guest.xml", &asks)?;
        self.virsh(&["define", "/tmp/guest.xml"])?;
        self.virsh(&["start", guest::NAME])?;
        let wait =
            ["hostler", "console", guest::NAME, "--until", demo::READY, "--timeout", guest::BOOT_SECONDS];
        let console = self.run(&wait)?;
        ensure!(console.contains("reached 192.168.77.1"), "the guest does not reach its network: {console}");
        let shown = self.run(&["hostler", "show", guest::NAME])?;
        ensure!(shown.contains("private namespaces"), "the guest is not caged: {shown}");
        self.guest_has_kvm()?;
        self.process()
    }

    /// What confines the daemon keeps no device from its guests.
    fn guest_has_kvm(&self) -> Result<()> {
        if !Path::new("/dev/kvm").exists() {
            eprintln!("! SKIPPED: no guest had /dev/kvm: there is none here");
            return Ok(());
        }
        self.write("/tmp/small.xml", &guest::small_document("small", "kvm", FILES))?;
        self.virsh(&["define", "/tmp/small.xml"])?;
        self.virsh(&["start", "small"])?;
        self.run(&[
            "hostler",
            "console",
            "small",
            "--until",
            "hostler-rom: ready",
            "--timeout",
            guest::BOOT_SECONDS,
        ])?;
        self.virsh(&["destroy", "small"])?;
        self.virsh(&["undefine", "small"]).map(drop)
    }

    /// The guest, as the daemon finds it now.
    fn process(&self) -> Result<Process> {
        let process = guest::process(&self.run(&["hostler", "-o", "json", "show", guest::NAME])?)?;
        self.started(process)
    }

    fn started(&self, process: u64) -> Result<Process> {
        let stat = self.run(&["cat", &format!("/proc/{process}/stat")])?;
        // After the name, which may have blanks in it, the 20th.
        let (_, after) = stat.rsplit_once(')').context("the process has no name")?;
        let started = after.split_whitespace().nth(19).context("the process has no beginning")?;
        Ok(Process(process, started.to_owned()))
    }

    fn settings_are_read_again(&self) -> Result<()> {
        let daemon = self.machine.property(SERVICE, "MainPID")?;
        self.write(SETTINGS, "[log]\nlevel = \"debug\"\n")?;
        self.reload("the settings were read again")?;
        self.write(SETTINGS, "[log]\nlevl = \"info\"\n")?;
        self.reload(
            "unknown field `levl`, expected `level` or `format` (line 2, column 1); did you mean 'level'?",
        )?;
        let now = self.machine.property(SERVICE, "MainPID")?;
        ensure!(now == daemon, "to read settings again, the daemon was started again");
        self.write(SETTINGS, "[log]\nlevel = \"info\"\n")?;
        self.reload("the settings were read again")?;
        self.write(ACCESS, "[[rule]]\nthn = \"allow\"\n")?;
        self.reload("(line 2, column 1); did you mean 'then'?")?;
        self.run(&["rm", ACCESS])?;
        let grave = ["journalctl", "--quiet", "--output=cat", "--priority=err", "--unit", SERVICE];
        let told = self.run(&grave)?.lines().count();
        ensure!(told == 2, "the journal has {told} errors and not the two about these files");
        Ok(())
    }

    /// Lets settings be read again, and waits until the journal has this.
    fn reload(&self, text: &str) -> Result<()> {
        let cursor = self.run(&[
            "sh",
            "-c",
            "journalctl --lines=0 --show-cursor --quiet | sed -n 's/^-- cursor: //p'",
        ])?;
        self.run(&["systemctl", "reload", SERVICE])?;
        let wait =
            "journalctl --follow --unit hostler.service --after-cursor \"$1\" | grep --max-count=1 -F \"$2\"";
        self.run(&["bash", "-c", wait, "bash", &cursor, text])
            .with_context(|| format!("the journal does not have '{text}'"))?;
        self.is(SERVICE, "active")
    }

    /// Does something to the daemon: another one is there then, and the guest is the same.
    fn outlives(&self, guest: &Process, what: &str, words: &[&str]) -> Result<()> {
        let daemon = self.machine.property(SERVICE, "MainPID")?;
        self.run(words)?;
        // Who asks meanwhile waits.
        let state = self.virsh(&["domstate", guest::NAME])?;
        ensure!(state == "running", "after {what} the guest is {state}");
        let now = self.machine.property(SERVICE, "MainPID")?;
        ensure!(now != daemon && now != "0", "after {what} the daemon is {now}, and was {daemon} before");
        let program = self.run(&["readlink", &format!("/proc/{now}/exe")])?;
        ensure!(program == "/usr/bin/hostler", "after {what} the daemon is {program}");
        let found = self.process()?;
        ensure!(found == *guest, "after {what} the guest is {found:?}, and was {guest:?} before");
        Ok(())
    }

    fn stop_leaves_guests(&self, guest: &Process) -> Result<()> {
        self.run(&["systemctl", "stop", SERVICE])?;
        self.is(SERVICE, "inactive")?;
        let found = self.started(guest.0)?;
        ensure!(found == *guest, "the guest has ended with the daemon");
        self.is(SOCKET, "active")?;
        let state = self.virsh(&["domstate", guest::NAME])?;
        ensure!(state == "running", "after a stop the guest is {state}");
        self.is(SERVICE, "active")
    }

    fn removal_leaves_guests(&self, guest: &Process) -> Result<()> {
        let said = self.run(&["dpkg", "--remove", "hostler"])?;
        ensure!(said.contains(guest::NAME), "who removes the package is not told of the guest: {said}");
        ensure!(
            said.contains("/var/lib/hostler"),
            "who removes the package is not told of the state: {said}"
        );
        let left = self.started(guest.0)?;
        ensure!(left == *guest, "the guest has ended with the package");
        self.machine.refused(&["test", "-e", "/usr/bin/hostler"])?;
        self.machine.refused(&[&["systemctl", "is-active"][..], &UNITS].concat())?;
        self.run(&["dpkg", "--install", &self.newer])?;
        let found = self.process()?;
        ensure!(found == *guest, "who installs it again finds {found:?} and not {guest:?}");
        let settings = self.run(&["cat", SETTINGS])?;
        ensure!(settings.contains("level = \"info\""), "the operator's settings are gone: {settings}");
        Ok(())
    }

    /// As before the machine goes down: the guest itself is well, not only its process.
    fn guests_are_asked_before_the_machine_ends(&self) -> Result<()> {
        self.is(GUESTS, "active")?;
        self.run(&["systemctl", "stop", GUESTS])?;
        let ended = self.virsh(&["domstate", guest::NAME, "--reason"])?;
        ensure!(ended == "shut off (shutdown)", "the guest was not asked, or did not answer: {ended}");
        self.is(SERVICE, "active")?;
        self.virsh(&["net-destroy", "lab"]).map(drop)
    }

    fn purge_leaves_state(&self) -> Result<()> {
        let said = self.run(&["dpkg", "--purge", "hostler"])?;
        ensure!(said.contains("/var/lib/hostler"), "who purges the package is not told of the state: {said}");
        self.run(&["test", "-d", "/var/lib/hostler"])?;
        for gone in [
            SETTINGS,
            "/etc/systemd/system/multi-user.target.wants/hostler.service",
            "/etc/systemd/system/multi-user.target.wants/hostler-guests.service",
            "/lib/systemd/system/hostler.service",
        ] {
            self.machine.refused(&["ls", gone])?;
        }
        let units = self.run(&["systemctl", "list-units", "--all", "--plain", "--no-legend", "hostler*"])?;
        ensure!(units.is_empty(), "units are left: {units}");
        Ok(())
    }
}
