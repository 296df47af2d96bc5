//! The Debian package: its files, laid out and packed.

use crate::{shell, workspace};
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The drivers that come with it.
pub(super) const DRIVERS: [&str; 3] = ["qemu", "storage-daemon", "test"];

const MAINTAINER: &str = "The hostler developers <hostler@localhost>";
/// What the package says of itself, but for its maintainer, its version, its processor and its size.
const CONTROL: &str = "\
Package: hostler
Section: admin
Priority: optional
Depends: libc6 (>= 2.36), libgcc-s1
Recommends: qemu-system-x86, qemu-utils, ovmf, swtpm, passt, dnsmasq-base, nftables, iproute2
Suggests: libvirt-clients, polkitd
Description: host for hypervisor drivers
 hostler takes the same domain XML as libvirt and runs the guests it describes.
 Everything that knows a hypervisor is a driver: a sandboxed WebAssembly
 component. As a daemon it serves libvirt's clients.
";
const COPYRIGHT: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: hostler

Files: *
Copyright: 2026 The hostler developers
License: Apache-2.0

License: Apache-2.0
 The whole text is in /usr/share/common-licenses/Apache-2.0.
";
/// What an operator may change; an upgrade keeps it.
const SETTINGS: &str = "etc/hostler/hostler.toml";

/// What systemd is told.
pub(super) const UNITS: [&str; 4] =
    ["hostler.service", "hostler.socket", "hostler-ro.socket", "hostler-guests.service"];

/// What is packed, and how.
pub(super) struct Recipe {
    /// Where the programs were built.
    pub(super) programs: PathBuf,
    /// Where the drivers were.
    pub(super) drivers: PathBuf,
    /// Whether it is only to be tried: quickly made then, and not small.
    pub(super) draft: bool,
    /// Where its files are laid out, and it is put.
    pub(super) place: PathBuf,
}

impl Recipe {
    /// Lays the files out and packs them.
    pub(super) fn make(&self) -> Result<PathBuf> {
        let root = fresh(&self.place.join("root"))?;
        self.lay_out(&root)?;
        // As Debian has programs; nine tenths of one for development are for debuggers.
        let programs = ["usr/bin/hostler", "usr/lib/hostler/hostler-shim"].map(|file| root.join(file));
        shell::read(Command::new("strip").arg("--strip-unneeded").args(programs))?;
        // Whatever the umask is.
        shell::read(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(&root))?;
        self.pack(&root, env!("CARGO_PKG_VERSION"))
    }

    /// The same files as a package that is newer.
    pub(super) fn make_newer(&self) -> Result<PathBuf> {
        self.pack(&self.place.join("root"), concat!(env!("CARGO_PKG_VERSION"), "+newer"))
    }

    fn lay_out(&self, root: &Path) -> Result<()> {
        let source = workspace::root()?.join("host/cli/package");
        install(&self.programs.join("hostler"), &root.join("usr/bin/hostler"), 0o755)?;
        install(&self.programs.join("hostler-shim"), &root.join("usr/lib/hostler/hostler-shim"), 0o755)?;
        for driver in DRIVERS {
            let file = format!("{driver}.wasm");
            install(&self.drivers.join(&file), &root.join("usr/lib/hostler/drivers").join(&file), 0o644)?;
        }
        for unit in UNITS {
            install(&source.join(unit), &root.join("lib/systemd/system").join(unit), 0o644)?;
        }
        let actions = workspace::root()?.join("host/serve/polkit/org.hostler.policy");
        install(&actions, &root.join("usr/share/polkit-1/actions/org.hostler.policy"), 0o644)?;
        install(&source.join("hostler.toml"), &root.join(SETTINGS), 0o644)?;
        let documents = root.join("usr/share/doc/hostler");
        install(&source.join("hostler.toml"), &documents.join("hostler.toml"), 0o644)?;
        install(&workspace::root()?.join("README.md"), &documents.join("README.md"), 0o644)?;
        write(&documents.join("copyright"), COPYRIGHT, 0o644)?;
        write(&documents.join("changelog"), &changelog()?, 0o644)?;
        compress(&documents.join("changelog"))?;
        generate(&self.programs.join("hostler"), root)
    }

    fn pack(&self, root: &Path, version: &str) -> Result<PathBuf> {
        let processor = shell::read(Command::new("dpkg").arg("--print-architecture"))?.trim().to_owned();
        describe(root, version, &processor)?;
        let package = self.place.join(format!("hostler_{version}_{processor}.deb"));
        let mut pack = Command::new("dpkg-deb");
        let compression = if self.draft { "-Znone" } else { "-Zxz" };
        pack.args(["--root-owner-group", compression, "--build"]).arg(root).arg(&package);
        shell::read(&mut pack)?;
        Ok(package)
    }
}

/// An empty directory of that name.
pub(super) fn fresh(directory: &Path) -> Result<PathBuf> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot empty {}", directory.display()))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    Ok(directory.to_owned())
}

fn install(from: &Path, to: &Path, mode: u32) -> Result<()> {
    make_way(to)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

fn write(to: &Path, text: &str, mode: u32) -> Result<()> {
    make_way(to)?;
    fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

fn make_way(to: &Path) -> Result<()> {
    let directory = to.parent().context("a file of the package has no directory")?;
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))
}

/// Manual pages and completions, which the program writes itself.
fn generate(hostler: &Path, root: &Path) -> Result<()> {
    let pages = fresh(&root.join("usr/share/man/man1"))?;
    shell::read(Command::new(hostler).arg("man").arg(&pages))?;
    for page in fs::read_dir(&pages)? {
        let page = page?.path();
        fs::set_permissions(&page, fs::Permissions::from_mode(0o644))?;
        compress(&page)?;
    }
    for (shell, place) in [
        ("bash", "usr/share/bash-completion/completions/hostler"),
        ("zsh", "usr/share/zsh/vendor-completions/_hostler"),
        ("fish", "usr/share/fish/vendor_completions.d/hostler.fish"),
    ] {
        let script = shell::read(Command::new(hostler).args(["completions", shell]))?;
        write(&root.join(place), &script, 0o644)?;
    }
    Ok(())
}

/// As documents are kept on Debian: without name and time, so that the same text makes the same file.
fn compress(file: &Path) -> Result<()> {
    shell::read(Command::new("gzip").args(["--force", "--best", "--no-name"]).arg(file)).map(drop)
}

/// Where the history is; Debian wants to be told of each version.
fn changelog() -> Result<String> {
    let mut history = Command::new("git");
    history.current_dir(workspace::root()?).args(["log", "-1", "--format=%cD"]);
    let when = match shell::read(&mut history) {
        Ok(date) => date,
        // Of a copy without its history.
        Err(_) => shell::read(Command::new("date").arg("-R"))?,
    };
    let version = env!("CARGO_PKG_VERSION");
    Ok(format!(
        "hostler ({version}) unstable; urgency=medium\n\n  * What has changed is in the history of the repository.\n\n \
         -- {MAINTAINER}  {}\n",
        when.trim()
    ))
}

/// What `dpkg` is told: the control file, digests, settings that are the operator's, and what is done when.
fn describe(root: &Path, version: &str, processor: &str) -> Result<()> {
    let about = fresh(&root.join("DEBIAN"))?;
    let size = shell::read(Command::new("du").args(["-sk", "--apparent-size"]).arg(root))?;
    let size = size.split_whitespace().next().context("du says nothing")?;
    let control = format!(
        "{CONTROL}Maintainer: {MAINTAINER}\nVersion: {version}\nArchitecture: {processor}\nInstalled-Size: {size}\n"
    );
    write(&about.join("control"), &control, 0o644)?;
    write(&about.join("conffiles"), &format!("/{SETTINGS}\n"), 0o644)?;
    let mut digest = Command::new("sh");
    digest.current_dir(root).args(["-c", "find usr lib -type f -print0 | sort -z | xargs -0 md5sum"]);
    write(&about.join("md5sums"), &shell::read(&mut digest)?, 0o644)?;
    let source = workspace::root()?.join("host/cli/package");
    for script in ["postinst", "prerm", "postrm"] {
        install(&source.join(script), &about.join(script), 0o755)?;
    }
    Ok(())
}
