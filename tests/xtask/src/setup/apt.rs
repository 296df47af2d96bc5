//! Debian packages: which are missing, how to install them, and what to do when a newer one is in the way.

use crate::shell;
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// The release whose packages fit together.
const RELEASE: &str = "bookworm";
/// Often present from backports, newer than the system emulator can live with.
const IN_THE_WAY: &str = "qemu-utils";

/// Beginnings of the lines that show how far `apt-get` is.
const PROGRESS: &[&str] = &["Need to get ", "Setting up "];

/// Installs whichever of the packages are missing.
///
/// # Errors
/// When they cannot be installed; the message holds the command to run by hand.
pub(super) fn ensure(packages: &[&str]) -> Result<()> {
    let missing = missing(packages)?;
    if missing.is_empty() {
        return Ok(());
    }
    let install = plan(packages, &missing)?;
    shell::step(format!("installing Debian packages: {}", missing.join(" ")));
    if let Err(first) = apply(&install) {
        // The lists may name versions that the mirror has replaced since.
        shell::step(format!("{first:#}; trying once more with fresh package lists"));
        update()?;
        apply(&install)?;
    }
    Ok(())
}

/// Installs, and says of each package when it is there.
fn apply(install: &[String]) -> Result<()> {
    let mut command = privileged(install)?;
    let mut process =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot run apt-get")?;
    for line in process.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        let line = line?;
        if PROGRESS.iter().any(|start| line.starts_with(start)) {
            eprintln!("  {line}");
        }
    }
    let status = process.wait()?;
    ensure!(status.success(), "apt-get {} failed: {status}", install.join(" "));
    Ok(())
}

/// The packages that are not installed.
fn missing<'a>(packages: &[&'a str]) -> Result<Vec<&'a str>> {
    let format = "${binary:Package} ${db:Status-Status}\n";
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", format]).args(packages);
    // It fails when any name is unknown, and still lists the others.
    let output = query.output().with_context(|| {
        format!(
            "this is no Debian system (no dpkg-query); install what these packages hold: {}",
            packages.join(" ")
        )
    })?;
    let listed = String::from_utf8_lossy(&output.stdout);
    Ok(packages.iter().filter(|package| !is_installed(&listed, package)).copied().collect())
}

fn is_installed(listed: &str, package: &str) -> bool {
    listed.lines().filter_map(|line| line.split_once(' ')).any(|(name, status)| {
        let name = name.split(':').next().unwrap_or(name);
        name == package && status == "installed"
    })
}

/// The arguments that install the packages: tried without effect first.
fn plan(packages: &[&str], missing: &[&str]) -> Result<Vec<String>> {
    let usual = install_arguments(packages, &[]);
    let mut refusal = match simulate(&usual) {
        Ok(_) => return Ok(usual),
        Err(refusal) => refusal,
    };
    if needs_lists(&refusal) {
        update()?;
        match simulate(&usual) {
            Ok(_) => return Ok(usual),
            Err(again) => refusal = again,
        }
    }
    if missing.contains(&IN_THE_WAY) || !packages.contains(&IN_THE_WAY) {
        bail!("apt-get cannot install {}:\n{refusal}", missing.join(" "));
    }
    let named: Vec<&str> = [missing, &[IN_THE_WAY]].concat();
    let downgrading = install_arguments(&named, &[IN_THE_WAY]);
    let Ok(what) = simulate(&downgrading) else {
        bail!("apt-get cannot install {}:\n{refusal}", missing.join(" "));
    };
    shell::step(format!(
        "{IN_THE_WAY} is newer than {RELEASE}'s and keeps {} from being installed; it goes back to {RELEASE}'s version:",
        missing.join(" ")
    ));
    if let Some((from, to)) = what.lines().find_map(replacement) {
        shell::step(format!("  {IN_THE_WAY} {from} becomes {to}"));
    }
    Ok(downgrading)
}

/// The versions in a line `Inst NAME [FROM] (TO RELEASE…)` about the package in the way.
fn replacement(line: &str) -> Option<(&str, &str)> {
    let (from, rest) =
        line.strip_prefix("Inst ")?.strip_prefix(IN_THE_WAY)?.strip_prefix(" [")?.split_once("] (")?;
    Some((from, rest.split(' ').next()?))
}

/// The arguments of `apt-get`; packages in `back` are taken from the release even when that is a downgrade.
fn install_arguments(packages: &[&str], back: &[&str]) -> Vec<String> {
    // All packages are named, so that none of them is removed to make room for another.
    let mut arguments = vec!["install", "--yes", "--quiet", "--no-install-recommends", "--no-remove"];
    arguments.push(if back.is_empty() { "--no-upgrade" } else { "--allow-downgrades" });
    let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    arguments.extend(packages.iter().map(|package| {
        if back.contains(package) { format!("{package}/{RELEASE}") } else { (*package).to_owned() }
    }));
    arguments
}

/// What `apt-get` would do, or why it refuses.
fn simulate(arguments: &[String]) -> std::result::Result<String, String> {
    let mut command = Command::new("apt-get");
    let output =
        command.env("LC_ALL", "C").arg("--simulate").args(arguments).output().map_err(|e| e.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Whether a refusal means that the package lists are absent or old.
fn needs_lists(refusal: &str) -> bool {
    refusal.contains("Unable to locate package") || refusal.contains("has no installation candidate")
}

/// Fetches fresh package lists.
///
/// # Errors
/// When the mirror cannot be reached or the user may not.
pub(crate) fn update() -> Result<()> {
    shell::step("fetching package lists (apt-get update)");
    let mut command = privileged(&["update".to_owned(), "--quiet".to_owned()])?;
    shell::run(command.stdout(Stdio::null())).context("cannot fetch package lists: is the network there?")
}

/// `apt-get` as root.
fn privileged(arguments: &[String]) -> Result<Command> {
    let root = shell::read(Command::new("id").arg("-u"))?.trim() == "0";
    if !root && !shell::succeeds(Command::new("sudo").arg("--version")) {
        bail!("installing needs root and there is no sudo; run as root: apt-get {}", arguments.join(" "));
    }
    let mut command = Command::new(if root { "env" } else { "sudo" });
    command.args(["DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get"]).args(arguments);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::{install_arguments, is_installed, needs_lists, replacement};

    #[test]
    fn the_versions_of_a_downgrade_are_read_from_the_simulation() {
        let line = "Inst qemu-utils [1:10.0.2+ds-2~bpo12+1] (1:7.2+dfsg-7 Debian:12.15/oldstable [amd64])";
        assert_eq!(replacement(line), Some(("1:10.0.2+ds-2~bpo12+1", "1:7.2+dfsg-7")));
        assert_eq!(replacement("Inst qemu-system-data (1:7.2 Debian:12.15/oldstable [all])"), None);
    }

    #[test]
    fn only_the_status_installed_counts() {
        let listed = "qemu-utils installed\nlibc6:amd64 installed\novmf config-files\n";
        assert!(is_installed(listed, "qemu-utils") && is_installed(listed, "libc6"));
        assert!(!is_installed(listed, "ovmf") && !is_installed(listed, "seabios"));
    }

    #[test]
    fn a_downgrade_is_asked_for_by_name_only() {
        let usual = install_arguments(&["a", "b"], &[]);
        assert!(
            usual.contains(&"--no-upgrade".to_owned()) && !usual.contains(&"--allow-downgrades".to_owned())
        );
        let back = install_arguments(&["a", "b"], &["b"]);
        assert!(back.contains(&"b/bookworm".to_owned()) && back.contains(&"a".to_owned()));
    }

    #[test]
    fn old_lists_are_told_from_a_conflict() {
        assert!(needs_lists("E: Unable to locate package ovmf"));
        assert!(!needs_lists("E: Unable to correct problems, you have held broken packages."));
    }
}
