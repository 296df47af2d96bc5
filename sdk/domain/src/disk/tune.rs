//! Limits and forced properties of a disk.

use crate::error::XmlError;
use crate::read::Element;

/// One set of limits: all requests together, or reads and writes apart. 0 or none is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IoLimits {
    /// Reads and writes together.
    pub total: Option<u64>,
    /// Reads.
    pub read: Option<u64>,
    /// Writes.
    pub write: Option<u64>,
}

/// `<iotune>`: limits on I/O.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IoTune {
    /// Bytes per second.
    pub bytes_sec: IoLimits,
    /// Requests per second.
    pub iops_sec: IoLimits,
    /// Bytes per second in a burst.
    pub bytes_sec_max: IoLimits,
    /// Requests per second in a burst.
    pub iops_sec_max: IoLimits,
    /// How long a burst of bytes may last, in seconds.
    pub bytes_sec_max_length: IoLimits,
    /// How long a burst of requests may last, in seconds.
    pub iops_sec_max_length: IoLimits,
    /// Bytes that count as one request.
    pub size_iops_sec: Option<u64>,
    /// Name of the group that shares the limits.
    pub group_name: Option<String>,
}

impl IoTune {
    pub(super) fn read(tune: Element<'_>) -> Result<Self, XmlError> {
        let one = |name| tune.maybe(name, |limit| limit.content_number::<u64>());
        let limits = |[total, read, write]: [&'static str; 3]| {
            Ok::<_, XmlError>(IoLimits { total: one(total)?, read: one(read)?, write: one(write)? })
        };
        Ok(Self {
            bytes_sec: limits(["total_bytes_sec", "read_bytes_sec", "write_bytes_sec"])?,
            iops_sec: limits(["total_iops_sec", "read_iops_sec", "write_iops_sec"])?,
            bytes_sec_max: limits(["total_bytes_sec_max", "read_bytes_sec_max", "write_bytes_sec_max"])?,
            iops_sec_max: limits(["total_iops_sec_max", "read_iops_sec_max", "write_iops_sec_max"])?,
            bytes_sec_max_length: limits([
                "total_bytes_sec_max_length",
                "read_bytes_sec_max_length",
                "write_bytes_sec_max_length",
            ])?,
            iops_sec_max_length: limits([
                "total_iops_sec_max_length",
                "read_iops_sec_max_length",
                "write_iops_sec_max_length",
            ])?,
            size_iops_sec: one("size_iops_sec")?,
            group_name: tune.text_of("group_name"),
        })
    }
}

keywords! {
    /// How a BIOS translates the geometry.
    GeometryTranslation { Auto = "auto", None = "none", Lba = "lba" }
}

/// `<geometry>`: forced geometry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Cylinders.
    pub cylinders: u32,
    /// Heads.
    pub heads: u32,
    /// Sectors per track.
    pub sectors: u32,
    /// How a BIOS translates it.
    pub translation: Option<GeometryTranslation>,
}

impl Geometry {
    pub(super) fn read(geometry: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self {
            cylinders: geometry.need_number("cyls")?,
            heads: geometry.need_number("heads")?,
            sectors: geometry.need_number("secs")?,
            translation: geometry.keyword("trans")?,
        })
    }
}

/// `<blockio>`: forced block sizes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockIo {
    /// Bytes of a logical block.
    pub logical_block_size: Option<u32>,
    /// Bytes of a physical block.
    pub physical_block_size: Option<u32>,
    /// Bytes that a discard request should cover.
    pub discard_granularity: Option<u32>,
}

impl BlockIo {
    pub(super) fn read(block: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self {
            logical_block_size: block.number("logical_block_size")?,
            physical_block_size: block.number("physical_block_size")?,
            discard_granularity: block.number("discard_granularity")?,
        })
    }
}
