//! What a new volume is to be, checked against what its format can be.

use std::path::PathBuf;

use hostler_domain::StorageName;
use hostler_domain::permissions::Permissions;
use hostler_domain::volume::{Compat, StorageVolume, VolumeType};
use hostler_image::Format;

use super::draft::is_draft;
use super::encryption::NewEncryption;
use crate::error::{ErrorKind, StorageError};
use crate::root::refused_name;

/// Formats that qemu-img makes.
const WRITABLE: [Format; 9] = [
    Format::Raw,
    Format::Qcow2,
    Format::Qcow,
    Format::Qed,
    Format::Vmdk,
    Format::Vpc,
    Format::Vdi,
    Format::Vhdx,
    Format::Parallels,
];
/// Largest size of a volume, in bytes: what a file offset can reach.
const SIZE_MAX: u64 = i64::MAX as u64;
/// Mode of a volume that is a directory.
const DIRECTORY_MODE: u32 = 0o700;
/// A disk is whole sectors of this many bytes.
pub(crate) const SECTOR: u64 = 512;

/// How much of a volume is set aside at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preallocation {
    /// As little as possible.
    #[default]
    Off,
    /// The tables of the format.
    Metadata,
    /// The tables, and room for all data.
    Falloc,
}

/// What a new volume stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackingRequest {
    /// A volume of the same pool by its name, or an image by its absolute path.
    pub path: PathBuf,
    /// Its format, declared: it is recorded in the new image.
    pub format: Format,
}

/// What a new volume is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateRequest {
    /// Its name.
    pub name: StorageName,
    /// Whether it is a directory.
    pub directory: bool,
    /// Its format.
    pub format: Format,
    /// Bytes that a guest sees; 0 with something below means as many as that has.
    pub capacity: u64,
    /// Bytes of a raw volume that are set aside at once; none when not given.
    pub allocation: Option<u64>,
    /// How much is set aside of a volume with a format.
    pub preallocation: Preallocation,
    /// What it stands on.
    pub backing: Option<BackingRequest>,
    /// Level of qcow2; the newer when not given.
    pub compat: Option<Compat>,
    /// Bytes of a cluster.
    pub cluster_size: Option<u64>,
    /// Reference counts of qcow2 may lag behind.
    pub lazy_refcounts: bool,
    /// Subclusters of qcow2.
    pub extended_l2: bool,
    /// The file system is asked to write it in place (btrfs).
    pub nocow: bool,
    /// How it is encrypted, if it is.
    pub encryption: Option<NewEncryption>,
    /// Who may use it.
    pub permissions: Permissions,
}

impl CreateRequest {
    /// A volume of this name, format and size, and nothing else said.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a name that is no plain file name, or that of an unfinished volume.
    pub fn new(name: &str, format: Format, capacity: u64) -> Result<Self, StorageError> {
        let name = StorageName::parse(name).map_err(|wrong| refused_name(name, wrong))?;
        require_listed(name.as_str())?;
        Ok(Self {
            name,
            directory: false,
            format,
            capacity,
            allocation: None,
            preallocation: Preallocation::Off,
            backing: None,
            compat: None,
            cluster_size: None,
            lazy_refcounts: false,
            extended_l2: false,
            nocow: false,
            encryption: None,
            permissions: Permissions::default(),
        })
    }

    /// What a document asks for. `preallocation` stands beside it, as an option of the command does.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] or [`ErrorKind::Unsupported`] for what this version does not make.
    pub fn from_document(volume: &StorageVolume, preallocation: Preallocation) -> Result<Self, StorageError> {
        let target = &volume.target;
        let name = volume.name.as_str();
        let encryption =
            target.encryption.as_ref().map(|asked| NewEncryption::of(name, asked)).transpose()?;
        let directory = match volume.kind {
            None | Some(VolumeType::File) => false,
            Some(VolumeType::Dir) => true,
            Some(other) => return Err(no_type(name, other)),
        };
        let backing = match &volume.backing {
            None => None,
            Some(backing) => Some(BackingRequest {
                path: backing.path.clone().into(),
                format: backing_format(name, backing.format.as_deref())?,
            }),
        };
        let features = target.features.unwrap_or_default();
        let request = Self {
            directory,
            allocation: volume.allocation.map(|bytes| bytes.0),
            preallocation,
            backing,
            // An element for features asks for the level that has them.
            compat: target.compat.or(target.features.map(|_| Compat::V3)),
            cluster_size: target.cluster_size.map(|bytes| bytes.0),
            lazy_refcounts: features.lazy_refcounts,
            extended_l2: features.extended_l2,
            nocow: target.nocow,
            encryption,
            permissions: target.permissions.clone(),
            ..Self::new(
                name,
                format_named(name, target.format.as_deref().unwrap_or("raw"))?,
                volume.capacity.0,
            )?
        };
        request.check_directory().map(|()| request)
    }

    /// Refuses what the format cannot be, before anything is made.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] or [`ErrorKind::Unsupported`], naming the option and the format.
    pub fn check(&self) -> Result<(), StorageError> {
        let (name, format) = (self.name.as_str(), self.format);
        if self.directory {
            return self.check_directory();
        }
        let invalid = |code, message: String| {
            Err(StorageError::new(ErrorKind::Invalid, code, message).about("volume", name))
        };
        require_writable(format).map_err(|error| error.about("volume", name))?;
        if self.capacity > SIZE_MAX {
            return invalid(
                "volume.size",
                format!("a volume of {} bytes is larger than any file", self.capacity),
            );
        }
        if self.backing.is_some() && !format.can_have_backing() {
            return invalid(
                "volume.backing",
                format!("a volume of format '{format}' cannot stand on another one"),
            );
        }
        if self.backing.is_some() && self.preallocation != Preallocation::Off {
            return invalid(
                "volume.preallocation",
                "a volume that stands on another one sets nothing aside: its data is below".to_owned(),
            );
        }
        if let Some(encryption) = &self.encryption {
            encryption.check(name, format)?;
            if self.nocow && format == Format::Raw {
                return invalid("volume.option", "nocow does not go with an encrypted raw volume".to_owned());
            }
        }
        self.check_qcow2()
    }

    /// A directory has nothing of an image, and is private to who makes it.
    fn check_directory(&self) -> Result<(), StorageError> {
        let given = &self.permissions;
        let asked = [
            ("a format", self.format != Format::Raw),
            ("something below it", self.backing.is_some()),
            ("preallocation", self.preallocation != Preallocation::Off),
            ("compat or features", self.compat.is_some() || self.lazy_refcounts || self.extended_l2),
            ("a cluster size", self.cluster_size.is_some()),
            ("nocow", self.nocow),
            ("encryption", self.encryption.is_some()),
            ("another mode than 0700", given.mode.is_some_and(|mode| mode != DIRECTORY_MODE)),
            ("an owner or a group", given.owner.is_some() || given.group.is_some()),
            ("a label", given.label.is_some()),
        ];
        match asked.iter().find(|(_, asked)| *asked && self.directory) {
            None => Ok(()),
            Some((what, _)) => {
                let message =
                    format!("'{}' is to be a directory, and is not made with {what}", self.name.as_str());
                Err(StorageError::new(ErrorKind::Unsupported, "volume.directory-option", message)
                    .about("volume", self.name.as_str())
                    .hint("leave it out; who owns the directory can change it afterwards"))
            }
        }
    }

    fn check_qcow2(&self) -> Result<(), StorageError> {
        let qcow2 = self.format == Format::Qcow2;
        let asked = [
            ("compat", self.compat.is_some()),
            ("lazy_refcounts", self.lazy_refcounts),
            ("extended_l2", self.extended_l2),
            ("preallocation of metadata", self.preallocation == Preallocation::Metadata),
        ];
        let invalid = |code, message: String| {
            Err(StorageError::new(ErrorKind::Invalid, code, message).about("volume", self.name.as_str()))
        };
        if let Some((what, _)) = asked.iter().find(|(_, asked)| *asked && !qcow2) {
            return invalid("volume.option", format!("{what} goes with qcow2, not with '{}'", self.format));
        }
        if self.compat == Some(Compat::V2) && (self.lazy_refcounts || self.extended_l2) {
            return invalid(
                "volume.option",
                "features of qcow2 need compat 1.1, and 0.10 is asked for".to_owned(),
            );
        }
        if self.cluster_size.is_some() && !matches!(self.format, Format::Qcow2 | Format::Qed) {
            return invalid(
                "volume.option",
                format!("a cluster size goes with qcow2 and qed, not with '{}'", self.format),
            );
        }
        if self.nocow && !matches!(self.format, Format::Qcow2 | Format::Raw) {
            return invalid(
                "volume.option",
                format!("nocow goes with raw and qcow2, not with '{}'", self.format),
            );
        }
        match self.cluster_size {
            Some(size) if !size.is_power_of_two() || !(512..=2 << 20).contains(&size) => invalid(
                "volume.cluster-size",
                format!("a cluster of {size} bytes is not a power of two between 512 bytes and 2 MiB"),
            ),
            _ => Ok(()),
        }
    }
}

/// Refuses the name of an unfinished volume, which no listing shows and the next owner may remove.
pub(super) fn require_listed(name: &str) -> Result<(), StorageError> {
    if is_draft(name) {
        return Err(refused_name(name, "is one of volumes that are being made, which no listing shows"));
    }
    Ok(())
}

/// Refuses a format that qemu-img does not make, or makes as another one.
pub(super) fn require_writable(format: Format) -> Result<(), StorageError> {
    if WRITABLE.contains(&format) {
        return Ok(());
    }
    let message = format!("volumes of format '{format}' cannot be made");
    let known: Vec<_> = WRITABLE.iter().map(|format| format.xml_name()).collect();
    Err(StorageError::new(ErrorKind::Unsupported, "volume.format-unwritable", message)
        .hint(format!("formats that can be made: {}", known.join(", "))))
}

/// A format by its name in documents. The formats of listings that are no formats of images become raw.
fn format_named(volume: &str, name: &str) -> Result<Format, StorageError> {
    match name {
        "iso" | "unknown" | "auto" => return Ok(Format::Raw),
        // QEMU's own names are what many have in their fingers.
        "vhdx" => return Ok(Format::Vhdx),
        _ => {}
    }
    Format::from_xml_name(name).ok_or_else(|| {
        let names: Vec<_> = WRITABLE.iter().map(|format| format.xml_name()).collect();
        let error = StorageError::new(
            ErrorKind::Invalid,
            "volume.format-unknown",
            format!("there is no image format '{}'", name.escape_debug()),
        )
        .about("volume", volume);
        match hostler_domain::nearest(name, names.iter().copied()) {
            Some(near) => error.hint(format!("did you mean '{near}'?")),
            None => error.hint(format!("formats that can be made: {}", names.join(", "))),
        }
    })
}

fn backing_format(volume: &str, format: Option<&str>) -> Result<Format, StorageError> {
    match format {
        Some(name) => format_named(volume, name),
        None => Err(StorageError::new(
            ErrorKind::Invalid,
            "volume.backing-format",
            format!(
                "the volume '{volume}' is to stand on an image whose format is not said; it is never guessed"
            ),
        )
        .about("volume", volume)
        .hint("say it: <format type='…'/> in <backingStore>")),
    }
}

fn no_type(name: &str, kind: VolumeType) -> StorageError {
    let message = format!("volumes of type '{kind}' are not made by this version");
    StorageError::new(ErrorKind::Unsupported, "volume.type-unsupported", message).about("volume", name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(inside: &str) -> Result<CreateRequest, StorageError> {
        let xml = format!("<volume><name>a</name><capacity unit='MiB'>1</capacity>{inside}</volume>");
        let volume = StorageVolume::parse(&xml).unwrap();
        let request = CreateRequest::from_document(&volume, Preallocation::Off)?;
        request.check().map(|()| request)
    }

    #[test]
    fn documents_become_requests() {
        let request = document(
            "<target><format type='qcow2'/><clusterSize unit='KiB'>128</clusterSize>\
             <features><lazy_refcounts/></features></target>",
        )
        .unwrap();
        assert_eq!((request.format, request.compat), (Format::Qcow2, Some(Compat::V3)));
        assert_eq!((request.cluster_size, request.lazy_refcounts), (Some(128 << 10), true));
        assert_eq!(document("<target><format type='iso'/></target>").unwrap().format, Format::Raw);
    }

    #[test]
    fn nothing_asked_for_a_directory_is_ignored() {
        let directory = |target: &str| {
            let xml = format!(
                "<volume type='dir'><name>a</name><capacity>0</capacity><target>{target}</target></volume>"
            );
            CreateRequest::from_document(&StorageVolume::parse(&xml).unwrap(), Preallocation::Off)
        };
        directory("<permissions><mode>0700</mode></permissions>").unwrap();
        for target in [
            "<permissions><mode>0755</mode></permissions>",
            "<permissions><owner>7</owner></permissions>",
            "<permissions><label>x</label></permissions>",
            "<format type='qcow2'/>",
            "<compat>1.1</compat>",
            "<nocow/>",
        ] {
            assert_eq!(directory(target).unwrap_err().code(), "volume.directory-option", "{target}");
        }
    }

    #[test]
    fn what_a_format_cannot_be_is_refused() {
        let backing = "<backingStore><path>b</path><format type='raw'/></backingStore>";
        for (inside, code) in [
            ("<target><format type='raw'/><compat>1.1</compat></target>", "volume.option"),
            ("<target><format type='vdi'/><features><extended_l2/></features></target>", "volume.option"),
            (
                "<target><format type='qcow2'/><compat>0.10</compat><features><extended_l2/></features></target>",
                "volume.option",
            ),
            ("<target><format type='raw'/><clusterSize>512</clusterSize></target>", "volume.option"),
            ("<target><format type='vdi'/><nocow/></target>", "volume.option"),
            ("<target><format type='qcow2'/><clusterSize>256</clusterSize></target>", "volume.cluster-size"),
            ("<target><format type='dmg'/></target>", "volume.format-unwritable"),
            ("<target><format type='qcwo2'/></target>", "volume.format-unknown"),
            ("<backingStore><path>b</path></backingStore>", "volume.backing-format"),
            (backing, "volume.backing"),
            (
                "<target><format type='vdi'/><encryption format='luks'><secret type='passphrase' uuid='x'/></encryption></target>",
                "volume.encryption",
            ),
            (
                "<target><encryption format='luks'><secret type='passphrase' uuid='x'/></encryption><nocow/></target>",
                "volume.option",
            ),
        ] {
            assert_eq!(document(inside).unwrap_err().code(), code, "{inside}");
        }
        let qcow2 = CreateRequest {
            preallocation: Preallocation::Metadata,
            backing: Some(BackingRequest { path: "b".into(), format: Format::Raw }),
            ..CreateRequest::new("a", Format::Qcow2, 1).unwrap()
        };
        assert_eq!(qcow2.check().unwrap_err().code(), "volume.preallocation");
        let huge = CreateRequest::new("a", Format::Raw, u64::MAX).unwrap();
        assert_eq!(huge.check().unwrap_err().code(), "volume.size");
        for name in ["../a", "a/b", "-o", "", "..", ".hostler-7.part"] {
            assert_eq!(CreateRequest::new(name, Format::Raw, 1).unwrap_err().code(), "volume.name", "{name}");
        }
    }
}
