//! `<disk>`: what the guest sees as a disk, and the storage below it.

use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;
use crate::storage_source::{Auth, Encryption, StorageSource, read_metadata_cache};
use crate::target::TargetName;

mod driver;
mod tune;

pub use driver::{CacheMode, DetectZeroes, Discard, DiskDriver, ErrorPolicy, IoMode, ReadErrorPolicy};
pub use tune::{BlockIo, Geometry, GeometryTranslation, IoLimits, IoTune};

keywords! {
    /// What kind of drive the guest sees.
    DiskDevice { Disk = "disk", Cdrom = "cdrom", Floppy = "floppy", Lun = "lun" }
}
keywords! {
    /// The bus a disk sits on.
    DiskBus {
        Ide = "ide", Fdc = "fdc", Scsi = "scsi", Virtio = "virtio", Xen = "xen", Usb = "usb", Uml = "uml",
        Sata = "sata", Sd = "sd", Nvme = "nvme",
    }
}
keywords! {
    /// Whether the drive's tray is open.
    Tray { Closed = "closed", Open = "open" }
}
keywords! {
    /// What a domain snapshot does with the disk.
    DiskSnapshot { No = "no", Internal = "internal", External = "external", Manual = "manual" }
}
keywords! {
    /// How raw SCSI commands are allowed.
    SgIo { Filtered = "filtered", Unfiltered = "unfiltered" }
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The element.
    pub node: NodeId,
    /// What kind of drive the guest sees.
    pub device: DiskDevice,
    /// The bus; when the document is silent, what the target name says.
    pub bus: DiskBus,
    /// The target name.
    pub target: TargetName,
    /// Flavour, such as `virtio-non-transitional`; open, because drivers differ.
    pub model: Option<String>,
    /// Whether the tray is open.
    pub tray: Option<Tray>,
    /// Whether a USB disk says that it is removable.
    pub removable: Option<bool>,
    /// Rotations per minute; 1 stands for a drive that does not rotate.
    pub rotation_rate: Option<u16>,
    /// How it is driven.
    pub driver: DiskDriver,
    /// The active layer, with the chain below it as far as the document says.
    pub source: StorageSource,
    /// The block job that mirrors it, in a running domain.
    pub mirror: Option<Mirror>,
    /// Limits on its I/O.
    pub iotune: Option<IoTune>,
    /// Forced geometry.
    pub geometry: Option<Geometry>,
    /// Forced block sizes.
    pub block_io: Option<BlockIo>,
    /// Serial number.
    pub serial: Option<String>,
    /// World wide name, 16 hexadecimal digits.
    pub wwn: Option<String>,
    /// SCSI vendor.
    pub vendor: Option<String>,
    /// SCSI product.
    pub product: Option<String>,
    /// Whether the guest cannot write; a cdrom never can.
    pub readonly: bool,
    /// Whether other domains write to it too.
    pub shareable: bool,
    /// Whether what the guest writes is thrown away; says whether the backing is shared.
    pub transient: Option<Transient>,
    /// What a domain snapshot does with it.
    pub snapshot: Option<DiskSnapshot>,
    /// Whether it may send any SCSI command.
    pub raw_io: Option<bool>,
    /// How raw SCSI commands are allowed.
    pub sg_io: Option<SgIo>,
    /// Alias, address, boot order.
    pub info: DeviceInfo,
}

/// `<transient/>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transient {
    /// Whether several domains run over the same layer below.
    pub share_backing: bool,
}

keywords! {
    /// Which block job mirrors a disk.
    MirrorJob { Copy = "copy", ActiveCommit = "active-commit" }
}
keywords! {
    /// How far a mirror is.
    MirrorReady { Yes = "yes", Abort = "abort", Pivot = "pivot" }
}

/// `<mirror>`: where a running block job copies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The job.
    pub job: MirrorJob,
    /// How far it is.
    pub ready: Option<MirrorReady>,
    /// Where it copies to.
    pub destination: StorageSource,
}

impl Disk {
    /// Whether a medium can be taken out.
    pub fn is_removable_medium(&self) -> bool {
        matches!(self.device, DiskDevice::Cdrom | DiskDevice::Floppy)
    }

    pub(crate) fn read(disk: Element<'_>) -> Result<Self, XmlError> {
        let device = disk.keyword("device")?.unwrap_or(DiskDevice::Disk);
        let target = disk.need_child("target")?;
        let name = target.need("dev")?;
        let name = TargetName::parse(name)
            .ok_or_else(|| target.invalid(Some("dev"), name, "a target name such as 'vda'"))?;
        let driver = disk.maybe("driver", DiskDriver::read)?.unwrap_or_default();
        disk.keep("privateData");
        Ok(Self {
            node: disk.node,
            device,
            bus: read_bus(target, device, &name)?,
            target: name,
            model: disk.filled("model"),
            tray: target.keyword("tray")?,
            removable: target.on_off("removable")?,
            rotation_rate: target.number("rotation_rate")?,
            source: read_source(disk, &driver)?,
            driver,
            mirror: disk.maybe("mirror", read_mirror)?,
            iotune: disk.maybe("iotune", IoTune::read)?,
            geometry: disk.maybe("geometry", Geometry::read)?,
            block_io: disk.maybe("blockio", BlockIo::read)?,
            serial: disk.text_of("serial"),
            wwn: disk.maybe("wwn", read_wwn)?,
            vendor: disk.text_of("vendor"),
            product: disk.text_of("product"),
            readonly: disk.has("readonly") || device == DiskDevice::Cdrom,
            shareable: disk.has("shareable"),
            transient: disk.maybe("transient", |transient| {
                Ok(Transient { share_backing: transient.yes_no("shareBacking")?.unwrap_or(false) })
            })?,
            snapshot: disk.keyword("snapshot")?,
            raw_io: disk.yes_no("rawio")?,
            sg_io: disk.keyword("sgio")?,
            info: DeviceInfo::read(disk)?,
        })
    }
}

fn read_bus(target: Element<'_>, device: DiskDevice, name: &TargetName) -> Result<DiskBus, XmlError> {
    if let Some(bus) = target.keyword("bus")? {
        return Ok(bus);
    }
    if device == DiskDevice::Floppy {
        return Ok(DiskBus::Fdc);
    }
    Ok(match name.prefix() {
        Some("fd") => DiskBus::Fdc,
        Some("sd") => DiskBus::Scsi,
        Some("vd") => DiskBus::Virtio,
        Some("xvd") => DiskBus::Xen,
        Some("ubd") => DiskBus::Uml,
        _ => DiskBus::Ide,
    })
}

fn read_source(disk: Element<'_>, driver: &DiskDriver) -> Result<StorageSource, XmlError> {
    let mut source = StorageSource::read_typed(disk)?;
    // Credentials may stand in the disk (the old place) or in the source, never in both.
    source.auth = one_place(disk, "auth", source.auth, disk.maybe("auth", Auth::read)?)?;
    let encryption = disk.maybe("encryption", Encryption::read)?;
    source.encryption = one_place(disk, "encryption", source.encryption, encryption)?;
    source.format.clone_from(&driver.format);
    source.metadata_cache = disk.maybe("driver", read_metadata_cache)?.flatten();
    source.backing = StorageSource::read_backing(disk)?;
    Ok(source)
}

fn one_place<T>(
    disk: Element<'_>,
    what: &str,
    inner: Option<T>,
    outer: Option<T>,
) -> Result<Option<T>, XmlError> {
    if inner.is_some() && outer.is_some() {
        let message = format!("'{what}' stands both in the disk and in its source");
        return Err(disk.error(XmlErrorKind::Conflict, message).hint("keep the one inside 'source'"));
    }
    Ok(inner.or(outer))
}

fn read_mirror(mirror: Element<'_>) -> Result<Mirror, XmlError> {
    let mut destination = match mirror.filled("file") {
        Some(path) if mirror.child("source").is_none() => StorageSource::file(mirror.node, path),
        _ => StorageSource::read_typed(mirror)?,
    };
    let format = mirror.child("format");
    destination.format = format.and_then(|format| format.filled("type")).or(mirror.filled("format"));
    if let Some(format) = format {
        destination.metadata_cache = read_metadata_cache(format)?;
    }
    destination.backing = StorageSource::read_backing(mirror)?;
    let job = mirror.keyword("job")?.unwrap_or(MirrorJob::Copy);
    Ok(Mirror { job, ready: mirror.keyword("ready")?, destination })
}

fn read_wwn(wwn: Element<'_>) -> Result<String, XmlError> {
    let text = wwn.word();
    let digits = text.strip_prefix("0x").unwrap_or(&text);
    if digits.len() != 16 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(wwn.invalid(None, &text, "a world wide name of 16 hexadecimal digits"));
    }
    Ok(text)
}
