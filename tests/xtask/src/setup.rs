//! `cargo xtask setup`: everything a fresh Debian machine lacks, and nothing it already has.

mod apt;

pub(crate) use apt::update as update_lists;

use crate::args::Args;
use crate::{components, shell, workspace};
use anyhow::{Result, bail};
use std::process::Command;

/// What running, building and testing need. The order is that of the message.
const PACKAGES: &[&str] = &[
    "qemu-system-x86",    // the hypervisor
    "qemu-utils",         // qemu-img: overlays, and the guests' disks
    "qemu-system-common", // qemu-storage-daemon
    "ovmf",               // UEFI firmware
    "seabios",            // BIOS firmware
    "swtpm",              // trusted platform modules
    "passt",              // networks for guests without devices of the host's
    "dnsmasq-base",       // addresses and names for guests in networks of the host's
    "nftables",           // rules of those networks
    "iproute2",           // rates of interfaces, and network namespaces of tests
    "binutils",           // as and ld for the ROM guest, objcopy for the UEFI one
    "e2fsprogs",          // mke2fs for the guests' ext4 disk
    "strace",             // tests that kill a command at a chosen system call
    "python3",            // the generators of the corpora beside the repository
];

/// What tests need beside that: they build a driver in C.
const TEST_PACKAGES: &[&str] = &[
    "clang",                                     // compiles it to WebAssembly
    "lld",                                       // wasm-ld, which links it
    "docker-registry",                           // drivers are fetched from it
    "libvirt-clients",                           // virsh, against the daemon
    "libsys-virt-perl",                          // what the programs in tests/all/clients are written with
    "golang-go",                                 // and the one that has nothing of libvirt's library,
    "golang-github-digitalocean-go-libvirt-dev", // but this
    "libvirt-dbus",                              // domains over D-Bus,
    "libglib2.0-bin",                            // and gdbus to ask for them
    "python3-libvirt",                           // and the clients that are written in Python
    "virtinst",                                  // of which virt-install is one
    "polkitd",                                   // says who may come to the daemon
    "dbus-daemon",                               // by which it is asked
    "openssl",                                   // the ciphers of passwords of VNC and SPICE
];

/// What it takes to try the package: a container with systemd, and a client of libvirt.
const PACKAGE_PACKAGES: &[&str] = &["systemd-container", "libvirt-clients"];

/// The peer that benchmarks measure against.
const PEER_PACKAGES: &[&str] = &["libvirt-daemon-system", "libvirt-clients"];

/// Runs the verb.
pub(crate) fn run(mut args: Args) -> Result<()> {
    let peer: &[&str] = if args.flag("--peer") { PEER_PACKAGES } else { &[] };
    let [] = args.positional()?;
    ensure_with(&[TEST_PACKAGES, peer].concat())?;
    shell::step("setup: everything is in place");
    Ok(())
}

/// Installs what is missing; does nothing, quickly, when nothing is.
///
/// # Errors
/// When something is missing and cannot be installed; the message says what to do.
pub(crate) fn ensure() -> Result<()> {
    ensure_with(&[])
}

/// The same, with what tests need.
///
/// # Errors
/// As [`ensure`].
pub(crate) fn ensure_for_tests() -> Result<()> {
    ensure_with(TEST_PACKAGES)
}

/// The same, with what it takes to try the Debian package.
///
/// # Errors
/// As [`ensure`].
pub(crate) fn ensure_for_packages() -> Result<()> {
    ensure_with(PACKAGE_PACKAGES)
}

fn ensure_with(more: &[&str]) -> Result<()> {
    apt::ensure(&[PACKAGES, more].concat())?;
    ensure_wasm_target()
}

/// Adds the wasm target to the toolchain that the repository pins.
fn ensure_wasm_target() -> Result<()> {
    if components::target_is_installed() {
        return Ok(());
    }
    let target = components::TARGET;
    if !shell::succeeds(Command::new("rustup").arg("--version")) {
        bail!(
            "the Rust target {target} is missing and rustup is not here to add it\n  \
             install rustup (https://rustup.rs), or your distribution's package of that target, and run this again"
        );
    }
    shell::step(format!("adding the Rust target {target}"));
    // In the repository, so that its rust-toolchain.toml chooses the toolchain.
    shell::run(Command::new("rustup").current_dir(workspace::root()?).args(["target", "add", target]))
}
