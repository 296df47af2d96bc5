//! `cargo xtask dist`: the product as a Debian package, and whether it works from where it is installed.

use crate::args::Args;
use crate::{build, components, setup, shell, workspace};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the package says of itself, but for its version, its processor and its size.
const CONTROL: &str = "\
Package: hostler
Section: admin
Priority: optional
Maintainer: The hostler developers <hostler@localhost>
Depends: libc6 (>= 2.36)
Recommends: qemu-system-x86, qemu-utils, ovmf, swtpm, dnsmasq-base, nftables
Description: host for hypervisor drivers
 hostler takes the same domain XML as libvirt and runs the guests it describes.
 Everything that knows a hypervisor is a driver: a sandboxed WebAssembly
 component. As a daemon it serves libvirt's clients.
";
/// What is done once its files are there. Guests go on meanwhile; the daemon is replaced by the new one.
const AFTER_INSTALL: &str = "\
#!/bin/sh
set -e
if [ \"$1\" = configure ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl enable --now hostler.socket hostler-ro.socket
  systemctl try-restart hostler.service
fi
";
/// What is done before its files go. Guests go on, and what is known of them stays.
const BEFORE_REMOVAL: &str = "\
#!/bin/sh
set -e
if [ \"$1\" = remove ] && [ -d /run/systemd/system ]; then
  systemctl disable --now hostler-ro.socket hostler.socket hostler.service
fi
";

/// The drivers that come with it.
const DRIVERS: [&str; 3] = ["qemu", "storage-daemon", "test"];

/// Runs the verb.
pub(crate) fn run(args: Args) -> Result<()> {
    let [] = args.positional()?;
    setup::ensure()?;
    build::release()?;
    components::build_all()?;
    let target = workspace::target_dir()?;
    let package = make(&target)?;
    prove(&package, &target)?;
    println!("{}", package.display());
    Ok(())
}

/// Lays the files out and packs them.
fn make(target: &Path) -> Result<PathBuf> {
    let root = fresh(&target.join("dist/root"))?;
    let source = workspace::root()?.join("host/cli/package");
    let release = target.join("release");
    install(&release.join("hostler"), &root.join("usr/bin/hostler"), 0o755)?;
    install(&release.join("hostler-shim"), &root.join("usr/lib/hostler/hostler-shim"), 0o755)?;
    for driver in DRIVERS {
        let file = format!("{driver}.wasm");
        install(
            &target.join("drivers").join(&file),
            &root.join("usr/lib/hostler/drivers").join(&file),
            0o644,
        )?;
    }
    for unit in ["hostler.service", "hostler.socket", "hostler-ro.socket"] {
        install(&source.join(unit), &root.join("lib/systemd/system").join(unit), 0o644)?;
    }
    let actions = workspace::root()?.join("host/serve/polkit/org.hostler.policy");
    install(&actions, &root.join("usr/share/polkit-1/actions/org.hostler.policy"), 0o644)?;
    let documents = root.join("usr/share/doc/hostler");
    install(&source.join("hostler.toml"), &documents.join("hostler.toml"), 0o644)?;
    install(&workspace::root()?.join("LICENSE"), &documents.join("copyright"), 0o644)?;
    install(&workspace::root()?.join("README.md"), &documents.join("README.md"), 0o644)?;
    generate(&release.join("hostler"), &root)?;
    describe(&root)?;
    let package = target.join("dist").join(format!("hostler_{}_{}.deb", version(), processor()?));
    let mut pack = Command::new("dpkg-deb");
    pack.args(["--root-owner-group", "-Zxz", "--build"]).arg(&root).arg(&package);
    shell::read(&mut pack)?;
    Ok(package)
}

fn fresh(directory: &Path) -> Result<PathBuf> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot empty {}", directory.display()))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    Ok(directory.to_owned())
}

fn install(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let directory = to.parent().context("a file of the package has no directory")?;
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// Manual pages and completions, which the program writes itself.
fn generate(hostler: &Path, root: &Path) -> Result<()> {
    let pages = fresh(&root.join("usr/share/man/man1"))?;
    shell::read(Command::new(hostler).arg("man").arg(&pages))?;
    for (shell, place) in [
        ("bash", "usr/share/bash-completion/completions/hostler"),
        ("zsh", "usr/share/zsh/vendor-completions/_hostler"),
        ("fish", "usr/share/fish/vendor_completions.d/hostler.fish"),
    ] {
        let script = shell::read(Command::new(hostler).args(["completions", shell]))?;
        let place = root.join(place);
        fs::create_dir_all(place.parent().context("a completion has no directory")?)?;
        fs::write(&place, script).with_context(|| format!("cannot write {}", place.display()))?;
    }
    Ok(())
}

fn describe(root: &Path) -> Result<()> {
    let size = shell::read(Command::new("du").args(["-sk", "--apparent-size"]).arg(root))?;
    let size = size.split_whitespace().next().context("du says nothing")?;
    let about = root.join("DEBIAN");
    fs::create_dir_all(&about)?;
    let control =
        format!("{CONTROL}Version: {}\nArchitecture: {}\nInstalled-Size: {size}\n", version(), processor()?);
    fs::write(about.join("control"), control)?;
    for (name, script) in [("postinst", AFTER_INSTALL), ("prerm", BEFORE_REMOVAL)] {
        fs::write(about.join(name), script)?;
        fs::set_permissions(about.join(name), fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

fn processor() -> Result<String> {
    Ok(shell::read(Command::new("dpkg").arg("--print-architecture"))?.trim().to_owned())
}

/// Unpacks it somewhere, and lets the program there find its drivers and run a domain with one.
fn prove(package: &Path, target: &Path) -> Result<()> {
    let place = fresh(&target.join("dist/proof"))?;
    shell::read(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&place))?;
    let state = place.join("state");
    let hostler = |words: &[&str]| {
        let mut command = Command::new(place.join("usr/bin/hostler"));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.arg("--state-dir").arg(&state).args(words);
        shell::read(&mut command)
    };
    let drivers = hostler(&["-o", "json", "driver", "list"])?;
    for driver in DRIVERS {
        ensure!(
            drivers.contains(&format!("\"{driver}\"")),
            "the package's program does not find {driver}: {drivers}"
        );
    }
    let document = place.join("domain.xml");
    let xml = "<domain type='test'><name>proof</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>\
               <os><type>hvm</type></os></domain>";
    fs::write(&document, xml)?;
    hostler(&["define", &document.to_string_lossy()])?;
    hostler(&["start", "proof"])?;
    let list = hostler(&["list"])?;
    ensure!(list.contains("running"), "a domain of the package's driver does not run: {list}");
    hostler(&["destroy", "proof"]).map(drop)
}
