//! The fixed fields of a qcow2 header and the rules that each must meet alone.

use crate::formats::{Compression, FeatureBits, not_of_format};
use crate::windows::{Halt, Windows, malformed, unsupported};

pub(super) const MAGIC: u32 = 0x5146_49FB;
const OFFSET_VERSION: u64 = 4;
const OFFSET_CLUSTER_BITS: u64 = 20;
const OFFSET_SIZE: u64 = 24;
pub(super) const OFFSET_CRYPT: u64 = 32;
pub(super) const OFFSET_INCOMPATIBLE: u64 = 72;
pub(super) const OFFSET_AUTOCLEAR: u64 = 88;
const OFFSET_REFCOUNT_ORDER: u64 = 96;
const OFFSET_HEADER_LENGTH: u64 = 100;
const OFFSET_COMPRESSION: u64 = 104;

const LATER_VERSIONS: std::ops::RangeInclusive<u32> = 4..=255;
const V2_HEADER_LENGTH: u32 = 72;
const V3_HEADER_LENGTH: u32 = 104;
/// Version 2 has 16-bit reference counts throughout.
const V2_REFCOUNT_ORDER: u32 = 4;

/// Cluster sizes from 512 bytes to 2 MiB: what QEMU itself accepts.
pub(super) const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;
/// Subclusters need clusters of at least 16 KiB.
pub(super) const EXTENDED_L2_MIN_CLUSTER_BITS: u32 = 14;
const MAX_REFCOUNT_ORDER: u32 = 6;

const INCOMPATIBLE_DIRTY: u64 = 1 << 0;
const INCOMPATIBLE_CORRUPT: u64 = 1 << 1;
const INCOMPATIBLE_DATA_FILE: u64 = 1 << 2;
const INCOMPATIBLE_COMPRESSION: u64 = 1 << 3;
pub(super) const INCOMPATIBLE_EXTENDED_L2: u64 = 1 << 4;
const INCOMPATIBLE_KNOWN: u64 = 0x1f;
pub(super) const COMPATIBLE_LAZY_REFCOUNTS: u64 = 1 << 0;
const AUTOCLEAR_BITMAPS: u64 = 1 << 0;
const AUTOCLEAR_RAW_DATA_FILE: u64 = 1 << 1;

const CRYPT_NONE: u32 = 0;
pub(super) const CRYPT_AES: u32 = 1;
pub(super) const CRYPT_LUKS: u32 = 2;

/// The fixed part of a header, in host byte order.
pub(super) struct Fields {
    pub(super) version: u32,
    pub(super) backing_offset: u64,
    pub(super) backing_length: u32,
    pub(super) cluster_bits: u32,
    pub(super) size: u64,
    pub(super) crypt_method: u32,
    pub(super) l1_entries: u32,
    pub(super) l1_offset: u64,
    pub(super) refcount_table_offset: u64,
    pub(super) refcount_table_clusters: u32,
    pub(super) snapshots: u32,
    pub(super) snapshots_offset: u64,
    pub(super) bits: FeatureBits,
    refcount_order: u32,
    pub(super) header_length: u32,
    compression: u8,
}

impl Fields {
    pub(super) fn read(image: &Windows) -> Result<Self, Halt> {
        if image.u32_be(0)? != MAGIC {
            return Err(not_of_format("qcow2", 0));
        }
        let version = image.u32_be(OFFSET_VERSION)?;
        if !(2..=3).contains(&version) {
            let message = format!("qcow2 version {version} is not supported, 2 and 3 are");
            // A small number may be a version to come; version 1 is another format, and the rest is none.
            let refusal = if LATER_VERSIONS.contains(&version) { unsupported } else { malformed };
            return Err(refusal(OFFSET_VERSION, message));
        }
        let mut fields = Self::read_v2(image, version)?;
        if version == 3 {
            fields.read_v3(image)?;
        }
        Ok(fields)
    }

    fn read_v2(image: &Windows, version: u32) -> Result<Self, Halt> {
        Ok(Self {
            version,
            backing_offset: image.u64_be(8)?,
            backing_length: image.u32_be(16)?,
            cluster_bits: image.u32_be(OFFSET_CLUSTER_BITS)?,
            size: image.u64_be(OFFSET_SIZE)?,
            crypt_method: image.u32_be(OFFSET_CRYPT)?,
            l1_entries: image.u32_be(36)?,
            l1_offset: image.u64_be(40)?,
            refcount_table_offset: image.u64_be(48)?,
            refcount_table_clusters: image.u32_be(56)?,
            snapshots: image.u32_be(60)?,
            snapshots_offset: image.u64_be(64)?,
            bits: FeatureBits::default(),
            refcount_order: V2_REFCOUNT_ORDER,
            header_length: V2_HEADER_LENGTH,
            compression: 0,
        })
    }

    fn read_v3(&mut self, image: &Windows) -> Result<(), Halt> {
        self.bits.incompatible = image.u64_be(OFFSET_INCOMPATIBLE)?;
        self.bits.compatible = image.u64_be(80)?;
        self.bits.autoclear = image.u64_be(OFFSET_AUTOCLEAR)?;
        self.refcount_order = image.u32_be(OFFSET_REFCOUNT_ORDER)?;
        self.header_length = image.u32_be(OFFSET_HEADER_LENGTH)?;
        if self.header_length > V3_HEADER_LENGTH {
            self.compression = image.u8(OFFSET_COMPRESSION)?;
        }
        Ok(())
    }

    /// The rules that need no other part of the image.
    pub(super) fn check(&self) -> Result<(), Halt> {
        if !CLUSTER_BITS.contains(&self.cluster_bits) {
            let message = format!("cluster bits are {}, allowed are 9 to 21", self.cluster_bits);
            return Err(malformed(OFFSET_CLUSTER_BITS, message));
        }
        if self.size == 0 || i64::try_from(self.size).is_err() {
            return Err(malformed(OFFSET_SIZE, format!("the virtual size is {} bytes", self.size)));
        }
        if self.refcount_order > MAX_REFCOUNT_ORDER {
            let message = format!("the refcount order is {}, allowed are 0 to 6", self.refcount_order);
            return Err(malformed(OFFSET_REFCOUNT_ORDER, message));
        }
        let length = u64::from(self.header_length);
        let shortest = if self.version == 3 { V3_HEADER_LENGTH } else { V2_HEADER_LENGTH };
        if self.header_length < shortest || !length.is_multiple_of(8) || length > self.cluster_size() {
            return Err(malformed(OFFSET_HEADER_LENGTH, format!("the header length is {length} bytes")));
        }
        self.check_features()
    }

    fn check_features(&self) -> Result<(), Halt> {
        if self.extended_l2() && self.cluster_bits < EXTENDED_L2_MIN_CLUSTER_BITS {
            return Err(malformed(OFFSET_CLUSTER_BITS, "subclusters need clusters of at least 16 KiB"));
        }
        let other_compression = self.bits.incompatible & INCOMPATIBLE_COMPRESSION != 0;
        if other_compression != (self.compression != 0) {
            return Err(malformed(OFFSET_COMPRESSION, "the compression type contradicts its feature bit"));
        }
        if other_compression && self.data_file() {
            return Err(malformed(
                OFFSET_INCOMPATIBLE,
                "an external data file and compression exclude each other",
            ));
        }
        Ok(())
    }

    /// Whether everything that a reader must know to read this image is known here.
    pub(super) fn check_support(&self) -> Result<(), Halt> {
        let unknown = self.bits.incompatible & !INCOMPATIBLE_KNOWN;
        if unknown != 0 {
            let message = format!("incompatible feature bit {} is not known", unknown.trailing_zeros());
            return Err(unsupported(OFFSET_INCOMPATIBLE, message));
        }
        if !matches!(self.crypt_method, CRYPT_NONE | CRYPT_AES | CRYPT_LUKS) {
            let message = format!("encryption method {} is not known", self.crypt_method);
            return Err(unsupported(OFFSET_CRYPT, message));
        }
        self.compression().map(|_| ())
    }

    pub(super) fn compression(&self) -> Result<Compression, Halt> {
        match self.compression {
            0 => Ok(Compression::Zlib),
            1 => Ok(Compression::Zstd),
            other => Err(unsupported(OFFSET_COMPRESSION, format!("compression type {other} is not known"))),
        }
    }

    /// Bytes per cluster; valid once [`Fields::check`] has passed, and never more than 2 MiB.
    pub(super) fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits.min(*CLUSTER_BITS.end())
    }

    /// How many clusters one block of reference counts tells of.
    pub(super) fn refcounts_per_block(&self) -> u64 {
        self.cluster_size().saturating_mul(8) >> self.refcount_order.min(MAX_REFCOUNT_ORDER)
    }

    pub(super) fn dirty(&self) -> bool {
        self.bits.incompatible & INCOMPATIBLE_DIRTY != 0
    }

    pub(super) fn corrupt(&self) -> bool {
        self.bits.incompatible & INCOMPATIBLE_CORRUPT != 0
    }

    pub(super) fn data_file(&self) -> bool {
        self.bits.incompatible & INCOMPATIBLE_DATA_FILE != 0
    }

    pub(super) fn extended_l2(&self) -> bool {
        self.bits.incompatible & INCOMPATIBLE_EXTENDED_L2 != 0
    }

    pub(super) fn lazy_refcounts(&self) -> bool {
        self.bits.compatible & COMPATIBLE_LAZY_REFCOUNTS != 0
    }

    pub(super) fn bitmaps_announced(&self) -> bool {
        self.bits.autoclear & AUTOCLEAR_BITMAPS != 0
    }

    pub(super) fn raw_data_file(&self) -> bool {
        self.bits.autoclear & AUTOCLEAR_RAW_DATA_FILE != 0
    }
}
