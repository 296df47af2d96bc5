//! A qcow2 image in which nothing is written yet: the fixed parts of a new image, without a program that makes it.

use super::extensions::{BACKING_FORMAT, END};
use super::fields::{self, MAGIC};
use crate::formats::MAX_REFERENCE_BYTES;

/// Sectors are what QEMU rounds sizes to.
const SECTOR_BYTES: u64 = 512;
/// The header of version 3 with the type of compression and what pads it.
const V3_HEADER_BYTES: usize = 112;
const V2_HEADER_BYTES: usize = 72;
/// The largest table of the first level that QEMU reads, in bytes.
const MAX_L1_BYTES: u64 = 32 << 20;
/// Header, table of reference counts, one block of those: a cluster each.
const CLUSTERS_BEFORE_L1: u64 = 3;
/// 16 bits each, of which every version knows what they are.
const REFCOUNT_ORDER: u32 = 4;
const REFCOUNT_BYTES: u64 = 2;

/// What a new image is to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmptyQcow2<'a> {
    /// Bytes that a guest sees; rounded up to sectors of 512.
    pub size: u64,
    /// Bytes of a cluster, a power of two from 512 to 2 MiB.
    pub cluster_size: u64,
    /// Level 1.1 (version 3) of the format; otherwise 0.10 (version 2).
    pub version3: bool,
    /// Reference counts may lag behind; version 3.
    pub lazy_refcounts: bool,
    /// Subclusters; version 3, and clusters of 16 KiB or more.
    pub extended_l2: bool,
    /// The name and QEMU's name of the format of what it stands on, recorded as they are.
    pub backing: Option<(&'a str, &'a str)>,
}

/// The parts of a new image that are not zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewImage {
    /// Offsets, in bytes, and what is there.
    pub parts: Vec<(u64, Vec<u8>)>,
    /// Length of the file, in bytes.
    pub length: u64,
}

impl EmptyQcow2<'_> {
    /// The new image; none for what does not fit into the simplest layout, or what the format does not allow: whoever makes
    /// images of every kind makes or refuses that.
    #[must_use]
    pub fn image(&self) -> Option<NewImage> {
        let size = self.size.checked_next_multiple_of(SECTOR_BYTES)?;
        let cluster_bits = self.cluster_bits()?;
        let l1_entries = self.l1_entries(size)?;
        let l1_clusters = l1_entries.checked_mul(8)?.div_ceil(self.cluster_size);
        let clusters = CLUSTERS_BEFORE_L1.checked_add(l1_clusters)?;
        if clusters.checked_mul(REFCOUNT_BYTES)? > self.cluster_size {
            return None;
        }
        let header = self.header(size, cluster_bits, u32::try_from(l1_entries).ok()?)?;
        if u64::try_from(header.len()).ok()? > self.cluster_size {
            return None;
        }
        let block = self.cluster_size.checked_mul(2)?;
        let counts = 1u16.to_be_bytes().repeat(usize::try_from(clusters).ok()?);
        let parts = vec![(0, header), (self.cluster_size, block.to_be_bytes().to_vec()), (block, counts)];
        Some(NewImage { parts, length: clusters.checked_mul(self.cluster_size)? })
    }

    fn cluster_bits(&self) -> Option<u32> {
        let bits = self.cluster_size.trailing_zeros();
        let allowed = self.cluster_size.is_power_of_two() && fields::CLUSTER_BITS.contains(&bits);
        let features = match self.version3 {
            true => !self.extended_l2 || bits >= fields::EXTENDED_L2_MIN_CLUSTER_BITS,
            false => !self.extended_l2 && !self.lazy_refcounts,
        };
        (allowed && features).then_some(bits)
    }

    /// One entry for each table of the second level, which is a cluster.
    fn l1_entries(&self, size: u64) -> Option<u64> {
        let entry_bytes = if self.extended_l2 { 16 } else { 8 };
        let covered = self.cluster_size.checked_mul(self.cluster_size / entry_bytes)?;
        let entries = size.div_ceil(covered);
        (entries > 0 && entries.checked_mul(8)? <= MAX_L1_BYTES).then_some(entries)
    }

    /// The first cluster, without the zeros at its end.
    fn header(&self, size: u64, cluster_bits: u32, l1_entries: u32) -> Option<Vec<u8>> {
        let extensions = self.extensions()?;
        let header_bytes = if self.version3 { V3_HEADER_BYTES } else { V2_HEADER_BYTES };
        let name = self.backing.map_or("", |(name, _)| name);
        if name.len() > MAX_REFERENCE_BYTES || (self.backing.is_some() && name.is_empty()) {
            return None;
        }
        let name_offset = match name.is_empty() {
            true => 0,
            false => u64::try_from(header_bytes.checked_add(extensions.len())?).ok()?,
        };
        let l1_offset = self.cluster_size.checked_mul(CLUSTERS_BEFORE_L1)?;
        let mut header = Vec::with_capacity(header_bytes);
        let words = |header: &mut Vec<u8>, words: &[u32]| {
            words.iter().for_each(|word| header.extend_from_slice(&word.to_be_bytes()));
        };
        words(&mut header, &[MAGIC, if self.version3 { 3 } else { 2 }]);
        header.extend_from_slice(&name_offset.to_be_bytes());
        words(&mut header, &[u32::try_from(name.len()).ok()?, cluster_bits]);
        header.extend_from_slice(&size.to_be_bytes());
        words(&mut header, &[0, l1_entries]);
        header.extend_from_slice(&l1_offset.to_be_bytes());
        header.extend_from_slice(&self.cluster_size.to_be_bytes());
        // One cluster of reference counts' table; no snapshots, nowhere.
        words(&mut header, &[1, 0, 0, 0]);
        if self.version3 {
            let incompatible = if self.extended_l2 { fields::INCOMPATIBLE_EXTENDED_L2 } else { 0 };
            let compatible = if self.lazy_refcounts { fields::COMPATIBLE_LAZY_REFCOUNTS } else { 0 };
            for bits in [incompatible, compatible, 0] {
                header.extend_from_slice(&bits.to_be_bytes());
            }
            words(&mut header, &[REFCOUNT_ORDER, u32::try_from(V3_HEADER_BYTES).ok()?]);
        }
        header.resize(header_bytes, 0);
        header.extend_from_slice(&extensions);
        header.extend_from_slice(name.as_bytes());
        Some(header)
    }

    fn extensions(&self) -> Option<Vec<u8>> {
        let mut extensions = Vec::new();
        if let Some((_, format)) = self.backing {
            extensions.extend_from_slice(&BACKING_FORMAT.to_be_bytes());
            extensions.extend_from_slice(&u32::try_from(format.len()).ok()?.to_be_bytes());
            extensions.extend_from_slice(format.as_bytes());
            extensions.resize(extensions.len().checked_next_multiple_of(8)?, 0);
        }
        extensions.extend_from_slice(&END.to_be_bytes());
        extensions.extend_from_slice(&[0; 4]);
        Some(extensions)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::formats::RecordedFormat;
    use crate::sample;
    use crate::{Format, Inspection};

    const PLAIN: EmptyQcow2<'_> = EmptyQcow2 {
        size: 64 << 20,
        cluster_size: 1 << 16,
        version3: true,
        lazy_refcounts: false,
        extended_l2: false,
        backing: None,
    };

    fn bytes(image: &NewImage) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(image.length).unwrap()];
        for (offset, part) in &image.parts {
            let start = usize::try_from(*offset).unwrap();
            bytes[start..start + part.len()].copy_from_slice(part);
        }
        bytes
    }

    proptest! {
        #[test]
        fn parser_reads_what_was_asked_for(
            size in 1u64..=1 << 44, bits in 9u32..=21, version3: bool, lazy: bool, extended: bool,
            name in proptest::option::of("[a-z/ü]{1,700}"),
        ) {
            let asked = EmptyQcow2 {
                size, cluster_size: 1 << bits, version3, lazy_refcounts: lazy, extended_l2: extended,
                backing: name.as_deref().map(|name| (name, "raw")),
            };
            // What does not fit is left to others.
            if let Some(image) = asked.image() {
                let inspection = Inspection::new(Format::Qcow2, image.length).screened();
                let header = sample::drive(inspection, &bytes(&image)).0.unwrap();
                prop_assert_eq!(header.virtual_size, size.next_multiple_of(512));
                prop_assert_eq!(header.cluster_size, Some(1 << bits));
                prop_assert_eq!(header.compat, Some(if version3 { "1.1" } else { "0.10" }));
                prop_assert_eq!(header.features.lazy_refcounts, lazy);
                prop_assert_eq!(header.features.extended_l2, extended);
                let backing = header.backing.map(|backing| (backing.name, backing.format));
                prop_assert_eq!(backing, name.map(|name| (name, RecordedFormat::Known(Format::Raw))));
            }
        }
    }

    #[test]
    fn ordinary_sizes_fit_and_what_the_format_forbids_does_not() {
        assert_eq!(PLAIN.image().unwrap().length, 4 << 16);
        for size in [1, 1 << 40, 8 << 40] {
            assert!(EmptyQcow2 { size, ..PLAIN }.image().is_some(), "{size}");
        }
        let long = "x".repeat(MAX_REFERENCE_BYTES + 1);
        for wrong in [
            EmptyQcow2 { size: 0, ..PLAIN },
            EmptyQcow2 { size: u64::MAX, ..PLAIN },
            EmptyQcow2 { size: 1 << 60, ..PLAIN },
            EmptyQcow2 { cluster_size: 0, ..PLAIN },
            EmptyQcow2 { cluster_size: 65_535, ..PLAIN },
            EmptyQcow2 { cluster_size: 256, ..PLAIN },
            EmptyQcow2 { cluster_size: 4 << 20, ..PLAIN },
            EmptyQcow2 { version3: false, lazy_refcounts: true, ..PLAIN },
            EmptyQcow2 { version3: false, extended_l2: true, ..PLAIN },
            EmptyQcow2 { cluster_size: 8 << 10, extended_l2: true, ..PLAIN },
            EmptyQcow2 { backing: Some(("", "raw")), ..PLAIN },
            EmptyQcow2 { backing: Some((&long, "raw")), ..PLAIN },
            EmptyQcow2 { cluster_size: 512, backing: Some((&long[..500], "raw")), ..PLAIN },
        ] {
            assert_eq!(wrong.image(), None, "{wrong:?}");
        }
    }
}
