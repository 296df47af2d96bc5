//! QED: like qcow2 with fewer parts. Whether the image below may be probed is a bit here, and is not believed.

use super::{
    BackingRecord, FeatureBits, Features, Header, MAX_REFERENCE_BYTES, RecordedFormat, not_of_format, text,
};
use crate::format::Format;
use crate::windows::{Halt, Windows, malformed, unsupported};

const MAGIC: &[u8] = b"QED\0";
const HEADER_BYTES: u64 = 64;

const OFFSET_CLUSTER_SIZE: u64 = 4;
const OFFSET_TABLE_CLUSTERS: u64 = 8;
const OFFSET_HEADER_CLUSTERS: u64 = 12;
const OFFSET_FEATURES: u64 = 16;
const OFFSET_COMPATIBLE: u64 = 24;
const OFFSET_AUTOCLEAR: u64 = 32;
const OFFSET_L1: u64 = 40;
const OFFSET_SIZE: u64 = 48;
const OFFSET_BACKING: u64 = 56;
const OFFSET_BACKING_LENGTH: u64 = 60;

/// What QEMU accepts: clusters of 4 KiB to 64 MiB, tables of 1 to 16 clusters.
const CLUSTER_SIZES: std::ops::RangeInclusive<u32> = 4 << 10..=64 << 20;
const TABLE_CLUSTERS: std::ops::RangeInclusive<u32> = 1..=16;
const TABLE_ENTRY_BYTES: u64 = 8;
const SECTOR: u64 = 512;

const FEATURE_BACKING: u64 = 1 << 0;
const FEATURE_NEEDS_CHECK: u64 = 1 << 1;
const FEATURE_BACKING_IS_RAW: u64 = 1 << 2;
const FEATURES_KNOWN: u64 = 0b111;

/// Sizes of an image, in bytes.
struct Geometry {
    cluster: u64,
    table: u64,
    header: u64,
}

pub(super) fn parse(image: &Windows) -> Result<Header, Halt> {
    if image.bytes(0, MAGIC.len())? != MAGIC {
        return Err(not_of_format("qed", 0));
    }
    let bits = FeatureBits {
        incompatible: image.u64_le(OFFSET_FEATURES)?,
        compatible: image.u64_le(OFFSET_COMPATIBLE)?,
        autoclear: image.u64_le(OFFSET_AUTOCLEAR)?,
    };
    let geometry = Geometry::read(image)?;
    geometry.check_l1(image)?;
    let size = geometry.size(image)?;
    let backing = backing(image, bits.incompatible, &geometry)?;
    let unknown = bits.incompatible & !FEATURES_KNOWN;
    if unknown != 0 {
        let message = format!("feature bit {} is not known", unknown.trailing_zeros());
        return Err(unsupported(OFFSET_FEATURES, message));
    }
    Ok(Header {
        cluster_size: Some(geometry.cluster),
        backing,
        features: Features {
            dirty: bits.incompatible & FEATURE_NEEDS_CHECK != 0,
            bits,
            ..Features::default()
        },
        ..Header::of_size(size)
    })
}

impl Geometry {
    fn read(image: &Windows) -> Result<Self, Halt> {
        let cluster = image.u32_le(OFFSET_CLUSTER_SIZE)?;
        if !CLUSTER_SIZES.contains(&cluster) || !cluster.is_power_of_two() {
            let message =
                format!("clusters have {cluster} bytes, allowed are powers of two from 4 KiB to 64 MiB");
            return Err(malformed(OFFSET_CLUSTER_SIZE, message));
        }
        let table = image.u32_le(OFFSET_TABLE_CLUSTERS)?;
        if !TABLE_CLUSTERS.contains(&table) || !table.is_power_of_two() {
            let message = format!("tables have {table} clusters, allowed are powers of two up to 16");
            return Err(malformed(OFFSET_TABLE_CLUSTERS, message));
        }
        let header = u64::from(image.u32_le(OFFSET_HEADER_CLUSTERS)?);
        let cluster = u64::from(cluster);
        let geometry =
            Self { cluster, table: cluster * u64::from(table), header: cluster.saturating_mul(header) };
        if geometry.header == 0 || geometry.header > image.length() {
            let message = format!("the header has {header} clusters, which the image does not have");
            return Err(malformed(OFFSET_HEADER_CLUSTERS, message));
        }
        Ok(geometry)
    }

    fn check_l1(&self, image: &Windows) -> Result<(), Halt> {
        let offset = image.u64_le(OFFSET_L1)?;
        let inside = offset.checked_add(self.table).is_some_and(|end| end <= image.length());
        if offset >= self.header && offset.is_multiple_of(self.cluster) && inside {
            return Ok(());
        }
        let message =
            format!("the L1 table ({} bytes at byte {offset}) does not lie inside the image", self.table);
        Err(malformed(OFFSET_L1, message))
    }

    fn size(&self, image: &Windows) -> Result<u64, Halt> {
        let size = image.u64_le(OFFSET_SIZE)?;
        let entries = self.table / TABLE_ENTRY_BYTES;
        let most = entries.saturating_mul(entries).saturating_mul(self.cluster);
        let addressable = size <= most && i64::try_from(size).is_ok();
        if size != 0 && size.is_multiple_of(SECTOR) && addressable {
            return Ok(size);
        }
        Err(malformed(OFFSET_SIZE, format!("the virtual size is {size} bytes, the tables hold {most}")))
    }
}

fn backing(image: &Windows, features: u64, geometry: &Geometry) -> Result<Option<BackingRecord>, Halt> {
    if features & FEATURE_BACKING == 0 {
        return Ok(None);
    }
    let (offset, length) = (image.u32_le(OFFSET_BACKING)?, image.u32_le(OFFSET_BACKING_LENGTH)?);
    let (start, bytes) = (u64::from(offset), usize::try_from(length).unwrap_or(usize::MAX));
    let end = start.saturating_add(u64::from(length));
    if start < HEADER_BYTES || bytes == 0 || bytes > MAX_REFERENCE_BYTES || end > geometry.header {
        let message = format!(
            "the backing name is {length} bytes at byte {offset}, which is not its place in the header"
        );
        return Err(malformed(OFFSET_BACKING, message));
    }
    let name = text(image.bytes(start, bytes)?, start, "backing name")?;
    // Without the bit QEMU would probe the image below, which counts as no format here as everywhere.
    let format = if features & FEATURE_BACKING_IS_RAW == 0 {
        RecordedFormat::Absent
    } else {
        RecordedFormat::Known(Format::Raw)
    };
    Ok(Some(BackingRecord { name, format }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorKind;
    use crate::sample::{self, Bytes};
    use crate::windows::READ_BUDGET;

    /// 1 MiB in clusters of 4 KiB, on `base.img`, which is raw.
    fn sample() -> Bytes {
        Bytes::zeros(8 * 4096)
            .put(0, b"QED\0")
            .le32(4, 4096)
            .le32(8, 4)
            .le32(12, 1)
            .le64(16, 0b101)
            .le64(40, 4096)
            .le64(48, 1 << 20)
            .le32(56, 64)
            .le32(60, 8)
            .put(64, b"base.img")
    }

    fn header(image: &Bytes) -> Header {
        sample::facts(Format::Qed, image).unwrap()
    }

    #[test]
    fn the_format_below_is_raw_or_not_recorded() {
        let recorded = header(&sample());
        assert_eq!((recorded.virtual_size, recorded.cluster_size), (1 << 20, Some(4096)));
        let backing = recorded.backing.unwrap();
        assert_eq!((backing.name.as_str(), backing.format), ("base.img", RecordedFormat::Known(Format::Raw)));
        assert_eq!(header(&sample().le64(16, 1)).backing.unwrap().format, RecordedFormat::Absent);
        assert_eq!(header(&sample().le64(16, 0)).backing, None);
    }

    #[test]
    fn marks_are_reported_and_unknown_features_refused() {
        let marked = header(&sample().le64(16, 2).le64(24, 1 << 40).le64(32, 7)).features;
        assert!(marked.dirty);
        assert_eq!((marked.bits.compatible, marked.bits.autoclear), (1 << 40, 7));
        let unknown = sample::facts(Format::Qed, &sample().le64(16, 8)).unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn every_field_is_checked() {
        for (what, image) in [
            ("magic", sample().put(3, b"X")),
            ("cluster size", sample().le32(4, 5000)),
            ("cluster size small", sample().le32(4, 2048)),
            ("table size", sample().le32(8, 3)),
            ("table size large", sample().le32(8, 32)),
            ("header size", sample().le32(12, 0)),
            ("header larger than the file", sample().le32(12, u32::MAX)),
            ("L1 not aligned", sample().le64(40, 4097)),
            ("L1 in the header", sample().le64(40, 0)),
            ("L1 beyond the end", sample().le64(40, 1 << 40)),
            ("L1 wraps", sample().le64(40, u64::MAX - 4095)),
            ("size zero", sample().le64(48, 0)),
            ("size odd", sample().le64(48, 1000)),
            ("size beyond the tables", sample().le64(48, 1 << 62)),
            ("name outside the header", sample().le32(56, 4090)),
            ("name in the fields", sample().le32(56, 16)),
            ("name long", sample().le32(60, 1024)),
            ("name empty", sample().le32(60, 0)),
            ("name with NUL", sample().put(66, b"\0")),
            ("broken and unknown", sample().le64(16, 9).le32(60, 0)),
        ] {
            let error = sample::facts(Format::Qed, &image).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed, "{what}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn changed_headers_never_panic(changes in proptest::collection::vec((4usize..80, any::<u8>()), 0..8), cut in 0usize..32_768) {
            let image = changes.into_iter().fold(sample(), |image, (at, byte)| image.put(at, &[byte]));
            for bytes in [&image.0[..], &image.0[..cut]] {
                prop_assert!(sample::inspect(Format::Qed, bytes).1 <= READ_BUDGET);
            }
        }
    }
}
