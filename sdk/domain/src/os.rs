//! `<os>`: machine, firmware and what boots.

use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;
use crate::storage_source::StorageSource;

keywords! {
    /// What kind of memory holds the firmware code.
    LoaderType { Rom = "rom", Pflash = "pflash" }
}
keywords! {
    /// A kind of firmware to select automatically.
    Firmware { Bios = "bios", Efi = "efi" }
}
keywords! {
    /// A class of devices to boot from.
    BootDevice { Fd = "fd", Hd = "hd", Cdrom = "cdrom", Network = "network" }
}
keywords! {
    /// Where the SMBIOS tables come from.
    SmbiosMode { None = "none", Emulate = "emulate", Host = "host", Sysinfo = "sysinfo" }
}

/// The `<os>` element.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Os {
    /// `hvm` for full virtualisation; other drivers have other words.
    pub kind: String,
    /// Architecture of the guest, such as `x86_64`; none when left to the driver.
    pub arch: Option<String>,
    /// Machine type, such as `q35`; none when left to the driver.
    pub machine: Option<String>,
    /// Kind of firmware to select automatically.
    pub firmware: Option<Firmware>,
    /// What the selected firmware must or must not offer.
    pub firmware_features: Vec<FirmwareFeature>,
    /// The firmware code.
    pub loader: Option<Loader>,
    /// The variable store.
    pub nvram: Option<Nvram>,
    /// Classes of devices to boot from, first choice first.
    pub boot: Vec<BootDevice>,
    /// The boot menu.
    pub boot_menu: Option<BootMenu>,
    /// Settings of a BIOS.
    pub bios: Option<Bios>,
    /// Host path of a kernel to boot directly.
    pub kernel: Option<String>,
    /// Host path of the initial ram disk.
    pub initrd: Option<String>,
    /// The kernel's command line.
    pub cmdline: Option<String>,
    /// Host path of the device tree.
    pub dtb: Option<String>,
    /// Host path of a SLIC table.
    pub acpi_slic: Option<String>,
    /// Where the SMBIOS tables come from.
    pub smbios: Option<SmbiosMode>,
    /// The program of a container.
    pub init: Option<String>,
}

/// `<feature>`: what automatically selected firmware must or must not offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareFeature {
    /// `secure-boot` or `enrolled-keys`.
    pub name: FirmwareFeatureName,
    /// Whether it must be there, or must not.
    pub enabled: bool,
}

keywords! {
    /// A property of firmware that can be asked for.
    FirmwareFeatureName { EnrolledKeys = "enrolled-keys", SecureBoot = "secure-boot" }
}

/// `<loader>`: the firmware code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loader {
    /// Host path of the code image; none when selected automatically.
    pub path: Option<String>,
    /// Whether the guest cannot write to it.
    pub readonly: Option<bool>,
    /// What kind of memory holds it.
    pub kind: Option<LoaderType>,
    /// Whether only code in system management mode may write the variable store.
    pub secure: Option<bool>,
    /// Whether there is deliberately no variable store.
    pub stateless: Option<bool>,
    /// Format of the image, `raw` or `qcow2`; raw when not given.
    pub format: Option<String>,
}

/// `<nvram>`: the variable store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Nvram {
    /// Where it is; none when the host chooses.
    pub source: Option<StorageSource>,
    /// Host path of the pristine store it is made from.
    pub template: Option<String>,
    /// Format of the template; raw when not given.
    pub template_format: Option<String>,
    /// Format of the store; raw when not given.
    pub format: Option<String>,
}

/// `<bootmenu>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BootMenu {
    /// Whether the menu is offered.
    pub enable: bool,
    /// How long it waits for a key, in ms, up to 65535.
    pub timeout_ms: Option<u16>,
}

/// `<bios>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bios {
    /// Whether its output goes to the first serial port.
    pub use_serial: Option<bool>,
    /// How long it waits before it boots again, in ms; -1 for never, up to 65535.
    pub reboot_timeout_ms: Option<i32>,
}

impl Os {
    pub(crate) fn read(os: Element<'_>) -> Result<Self, XmlError> {
        let kind = os.need_child("type")?;
        let firmware = os.child("firmware");
        let features = firmware.map(|firmware| firmware.each("feature", read_feature)).transpose()?;
        Ok(Self {
            kind: kind.word(),
            arch: kind.filled("arch"),
            machine: kind.filled("machine"),
            firmware: os.keyword("firmware")?,
            firmware_features: features.unwrap_or_default(),
            loader: os.maybe("loader", read_loader)?,
            nvram: os.maybe("nvram", read_nvram)?,
            boot: os.each("boot", |boot| boot.need_keyword("dev"))?,
            boot_menu: os.maybe("bootmenu", read_boot_menu)?,
            bios: os.maybe("bios", read_bios)?,
            kernel: os.text_of("kernel"),
            initrd: os.text_of("initrd"),
            cmdline: os.text_of("cmdline"),
            dtb: os.text_of("dtb"),
            acpi_slic: os.maybe("acpi", read_slic)?.flatten(),
            smbios: os.maybe("smbios", |smbios| smbios.need_keyword("mode"))?,
            init: os.text_of("init"),
        })
    }
}

fn read_feature(feature: Element<'_>) -> Result<FirmwareFeature, XmlError> {
    let enabled = feature.yes_no("enabled")?.ok_or_else(|| feature.missing("enabled"))?;
    Ok(FirmwareFeature { name: feature.need_keyword("name")?, enabled })
}

fn read_loader(loader: Element<'_>) -> Result<Loader, XmlError> {
    Ok(Loader {
        path: Some(loader.content()).filter(|path| !path.is_empty()),
        readonly: loader.yes_no("readonly")?,
        kind: loader.keyword("type")?,
        secure: loader.yes_no("secure")?,
        stateless: loader.yes_no("stateless")?,
        format: loader.filled("format"),
    })
}

fn read_nvram(nvram: Element<'_>) -> Result<Nvram, XmlError> {
    let path = nvram.content();
    let typed = nvram.filled("type");
    if typed.is_some() && !path.is_empty() {
        return Err(
            nvram.error(XmlErrorKind::Conflict, "'nvram' has both a type with a source and a path as text")
        );
    }
    let source = match typed {
        Some(_) => Some(StorageSource::read_typed(nvram)?),
        None => Some(path).filter(|path| !path.is_empty()).map(|path| StorageSource::file(nvram.node, path)),
    };
    let format = nvram.filled("format");
    Ok(Nvram {
        source: source.map(|source| StorageSource { format: format.clone(), ..source }),
        template: nvram.filled("template"),
        template_format: nvram.filled("templateFormat"),
        format,
    })
}

fn read_boot_menu(menu: Element<'_>) -> Result<BootMenu, XmlError> {
    Ok(BootMenu { enable: menu.yes_no("enable")?.unwrap_or(false), timeout_ms: menu.number("timeout")? })
}

fn read_bios(bios: Element<'_>) -> Result<Bios, XmlError> {
    let timeout = bios.signed("rebootTimeout")?;
    if timeout.is_some_and(|timeout| !(-1..=65535).contains(&timeout)) {
        let message = "attribute 'rebootTimeout' of 'bios' is not between -1 and 65535".to_owned();
        return Err(bios.fault(Some("rebootTimeout"), XmlErrorKind::OutOfRange, message));
    }
    Ok(Bios {
        use_serial: bios.yes_no("useserial")?,
        reboot_timeout_ms: timeout.and_then(|timeout| i32::try_from(timeout).ok()),
    })
}

fn read_slic(acpi: Element<'_>) -> Result<Option<String>, XmlError> {
    let Some(table) = acpi.child("table") else { return Ok(None) };
    match table.need("type")? {
        "slic" => Ok(Some(table.content())),
        other => Err(table.unknown(Some("type"), other, &["slic"])),
    }
}
