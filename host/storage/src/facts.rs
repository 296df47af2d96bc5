//! What is known about one volume, measured now.

use std::path::PathBuf;

use hostler_domain::volume::VolumeType;
use hostler_image::{Format, Header, RecordedFormat, redact};

use crate::identity::FileIdentity;

/// What is known about one volume, measured now. Nothing in it decides anything for a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeFacts {
    /// Its name in the pool.
    pub name: String,
    /// What it is on this host.
    pub kind: VolumeType,
    /// Its path.
    pub path: PathBuf,
    /// The format that its content looks like; none for a directory.
    pub found_format: Option<Format>,
    /// Which file it is; nothing for what is no file.
    pub identity: Option<FileIdentity>,
    /// Bytes that a guest sees; what the header claims, which may be a lie.
    pub capacity: u64,
    /// Bytes that it occupies.
    pub allocation: u64,
    /// Bytes up to its end: of a file its length, of a device its size.
    pub physical: u64,
    /// The image that its header says it stands on.
    pub backing: Option<BackingName>,
    /// The file that its header says its data lies in, without what is secret in the name.
    pub data_file: Option<String>,
    /// Bytes of one cluster, for formats that have them.
    pub cluster_size: Option<u64>,
    /// Level of the format, as `1.1` of qcow2.
    pub compat: Option<&'static str>,
    /// How it is encrypted, if it is.
    pub encryption: Option<&'static str>,
    /// Why its header could not be read: it is listed all the same.
    pub problem: Option<String>,
}

/// The image below, as a header names it, without what is secret in the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackingName {
    /// The name, for display.
    pub name: String,
    /// The format recorded beside it, for display.
    pub format: Option<String>,
}

impl VolumeFacts {
    /// A file or device about which nothing but its size is known: capacity is its length.
    pub(crate) fn sized(
        name: String,
        kind: VolumeType,
        path: PathBuf,
        allocation: u64,
        physical: u64,
    ) -> Self {
        Self {
            name,
            kind,
            path,
            found_format: Some(Format::Raw),
            identity: None,
            capacity: physical,
            allocation,
            physical,
            backing: None,
            data_file: None,
            cluster_size: None,
            compat: None,
            encryption: None,
            problem: None,
        }
    }

    /// A directory: it has no size of its own.
    pub(crate) fn directory(name: String, kind: VolumeType, path: PathBuf) -> Self {
        Self { found_format: None, ..Self::sized(name, kind, path, 0, 0) }
    }

    /// The same with what its header says. A header without a size leaves the physical one.
    pub(crate) fn with_header(mut self, format: Format, header: &Header) -> Self {
        self.found_format = Some(format);
        if header.virtual_size > 0 {
            self.capacity = header.virtual_size;
        }
        self.backing = header.backing.as_ref().map(|record| BackingName {
            name: redact(&record.name).to_string(),
            format: match &record.format {
                RecordedFormat::Absent => None,
                RecordedFormat::Known(format) => Some(format.xml_name().to_owned()),
                RecordedFormat::Unknown(name) => Some(name.clone()),
            },
        });
        self.data_file = header.data_file.as_ref().map(|record| redact(&record.name).to_string());
        self.cluster_size = header.cluster_size;
        self.compat = header.compat;
        self.encryption = header.encryption.as_ref().map(hostler_image::Encryption::name);
        self
    }
}
