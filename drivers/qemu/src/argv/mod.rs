//! The command line: a pure function of the completed document, its chains, its firmware and a few facts.
//!
//! One file for each family of options. The order is libvirt's: QEMU numbers what nobody numbers by the
//! order in which it comes, so a guest sees another machine when the order changes.

mod balloon;
mod boot;
mod boot_index;
mod builder;
mod chardev;
mod clock;
pub(crate) mod comparison;
mod controller;
mod cpu;
mod cpu_features;
mod disk;
mod disk_device;
mod display;
mod filesystem;
mod firmware;
mod hostdev;
mod identity;
mod input;
mod interface;
mod iommu;
mod machine;
mod memory;
mod memory_backend;
mod memory_device;
mod monitor;
mod netdev;
mod numa;
mod panic;
mod passt;
mod passthrough;
mod power;
mod redirdev;
mod rng;
mod serial;
mod shmem;
mod smartcard;
mod smbios;
mod smp;
mod sound;
mod spice;
mod tpm;
mod usb_hub;
mod video;
mod virtio;
mod vnc;
mod vsock;
mod watchdog;

use hostler_sdk::domain::chardev::Chardev;
use hostler_sdk::domain::controller::Controller;
use hostler_sdk::domain::disk::Disk;
use hostler_sdk::domain::input::Input;
use hostler_sdk::domain::interface::Interface;
use hostler_sdk::domain::qemu::{PropertyOverride, PropertyValue};
use hostler_sdk::domain::rng::Rng;
use hostler_sdk::domain::watchdog::Watchdog;
use hostler_sdk::domain::{Document, Domain};
use hostler_sdk::{Error, Launch, Value};

use crate::alias::Aliases;
use crate::chains::{Chains, FirmwareFacts};
use crate::facts::Facts;
use builder::Builder;
pub(crate) use watchdog::action as watchdog_action;

/// The template of the host that says what QEMU may be given; the driver's grant names it too.
pub(crate) const TEMPLATE: &str = "qemu-system-x86_64";

/// What a command line is made from.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    /// The completed document.
    pub(crate) domain: &'a Domain,
    /// The document as its author wrote it.
    pub(crate) author: &'a Document,
    /// The ids of its devices.
    pub(crate) aliases: &'a Aliases,
    /// The layers of its disks.
    pub(crate) chains: &'a Chains,
    /// Its firmware; none for a machine that brings its own.
    pub(crate) firmware: Option<&'a FirmwareFacts>,
    /// What the host told.
    pub(crate) facts: &'a Facts,
}

/// One step of a command line.
type Step = fn(&mut Builder<'_>) -> Result<(), Error>;

/// All families of options, in the order in which libvirt writes them.
const STEPS: &[Step] = &[
    identity::name,
    passthrough::compatibility,
    identity::stopped,
    comparison::master_key,
    comparison::own_reservations,
    firmware::flash,
    machine::machine,
    machine::accelerator,
    firmware::secure_flash,
    machine::tseg,
    cpu::cpu,
    firmware::rom,
    memory::memory,
    memory::overcommit,
    smp::smp,
    smp::iothreads,
    numa::numa,
    identity::uuid,
    smbios::smbios,
    smbios::fw_cfg,
    identity::generation_id,
    display::none,
    identity::no_defaults,
    monitor::monitor,
    clock::clock,
    power::no_shutdown,
    power::acpi,
    power::sleep_states,
    boot::boot,
    boot::kernel,
    iommu::iommu,
    controller::pci_holes,
    controller::controllers,
    memory_device::devices,
    usb_hub::hubs,
    controller::smartcard_controllers,
    disk::disks,
    filesystem::filesystems,
    interface::interfaces,
    smartcard::smartcards,
    serial::serials,
    serial::parallels,
    serial::channels,
    serial::consoles,
    tpm::tpms,
    input::inputs,
    sound::audio_backends,
    display::graphics,
    video::videos,
    sound::sounds,
    watchdog::watchdogs,
    redirdev::redirdevs,
    hostdev::hostdevs,
    balloon::balloon,
    rng::rngs,
    power::core_info,
    passthrough::arguments,
    monitor::sandbox,
    panic::panics,
    shmem::shmems,
    vsock::vsock,
    monitor::messages,
    comparison::environment,
];

/// The launch that starts this domain, stopped before its first instruction.
///
/// # Errors
/// What the document asks for and this driver, or QEMU, cannot do, with its place in the document.
pub(crate) fn command_line(inputs: Inputs<'_>) -> Result<Launch, Error> {
    let mut builder = Builder::new(inputs, TEMPLATE);
    STEPS.iter().try_for_each(|step| step(&mut builder))?;
    Ok(builder.launch)
}

/// What plugs one disk into a running guest, in order: options of a command line, each of which is a command too. The
/// nodes of its chain have numbers from this one.
///
/// # Errors
/// As [`command_line`].
pub(crate) fn plugged_disk(inputs: Inputs<'_>, disk: &Disk, number: u32) -> Result<Launch, Error> {
    let mut builder = Builder::new(inputs, TEMPLATE);
    builder.numbers.insert(disk.target.as_str().to_owned(), number);
    disk::one(&mut builder, disk)?;
    Ok(builder.launch)
}

/// The nodes of a medium that is put into a drive, and the one that the drive uses.
///
/// # Errors
/// As [`command_line`].
pub(crate) fn medium(
    inputs: Inputs<'_>,
    disk: &Disk,
    number: u32,
) -> Result<(Launch, Option<String>), Error> {
    let mut builder = Builder::new(inputs, TEMPLATE);
    builder.numbers.insert(disk.target.as_str().to_owned(), number);
    let top = disk::chain(&mut builder, disk)?;
    Ok((builder.launch, top))
}

/// A device that is plugged into a running guest, other than a disk.
#[derive(Clone, Copy)]
pub(crate) enum Plugged<'a> {
    Interface(&'a Interface),
    Rng(&'a Rng),
    Watchdog(&'a Watchdog),
    Input(&'a Input),
    Controller(&'a Controller),
    Channel(&'a Chardev),
}

/// What plugs one device into a running guest, in order.
///
/// # Errors
/// As [`command_line`].
pub(crate) fn plugged(inputs: Inputs<'_>, device: Plugged<'_>) -> Result<Launch, Error> {
    let mut builder = Builder::new(inputs, TEMPLATE);
    match device {
        Plugged::Interface(interface) => interface::one(&mut builder, interface)?,
        Plugged::Rng(rng) => rng::one(&mut builder, rng)?,
        Plugged::Watchdog(watchdog) => watchdog::one(&mut builder, watchdog)?,
        Plugged::Input(input) => input::one(&mut builder, input)?,
        Plugged::Controller(controller) => controller::one(&mut builder, controller)?,
        Plugged::Channel(channel) => serial::channel(&mut builder, channel)?,
    }
    Ok(builder.launch)
}

/// Sets, replaces or removes one property, as the document overrides it.
fn override_property(device: &mut Value, property: &PropertyOverride) {
    let Value::Mapping(entries) = device else { return };
    entries.retain(|(name, _)| *name != property.name);
    let value = match &property.value {
        PropertyValue::String(text) => Value::from(text.as_str()),
        PropertyValue::Signed(number) => Value::from(*number),
        PropertyValue::Unsigned(number) => Value::from(*number),
        PropertyValue::Bool(on) => Value::from(*on),
        PropertyValue::Remove => return,
    };
    entries.push((property.name.clone(), value));
}
