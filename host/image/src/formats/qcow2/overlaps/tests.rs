//! Tests of the screening: every kind of entry against every kind of metadata, ends of the file, what is too large.

use proptest::prelude::*;

use crate::error::ErrorKind;
use crate::format::Format;
use crate::inspection::{Inspection, Progress};
use crate::sample::{self, CLUSTER, Sample};
use crate::{Declared, Verdict, assess};

const REFCOUNT_TABLE: usize = 1;
const REFCOUNT_BLOCK: usize = 2;
const L1: usize = 3;
const L2: usize = 4;
const DATA: usize = 5;
const SNAPSHOTS: usize = 6;
const SNAPSHOT_L1: usize = 7;
const SNAPSHOT_L2: usize = 8;
const DIRECTORY: usize = 9;
const BITMAP: usize = 10;
const BITS: usize = 11;
const LUKS: usize = 12;
/// The container ends in the middle of its last cluster.
const LUKS_END: usize = LUKS + 32;
const FREE: usize = LUKS_END + 1;
const LAST: usize = FREE + 1;
/// What is in the last cluster of the file.
const CUT: usize = 100;

const COMPRESSED: u64 = 1 << 62;

fn place(cluster: usize) -> u64 {
    (cluster * CLUSTER) as u64
}

/// An image with all that there is: a snapshot, a bitmap, a LUKS container, and a last cluster that is cut off.
fn image() -> Sample {
    let container = sample::luks1().0;
    let pointer = [place(LUKS), container.len() as u64].map(u64::to_be_bytes).concat();
    let bitmaps = [1 << 32, 32, place(DIRECTORY)].map(u64::to_be_bytes).concat();
    let mut image =
        Sample::new().with32(32, 2).extension(0x0537_BE77, &pointer).extension(0x2385_2875, &bitmaps);
    image.bytes.resize(LAST * CLUSTER + CUT, 0);
    image.put(LUKS * CLUSTER, &container);
    let mut image = image.with64(88, 1).with32(60, 1).with64(64, place(SNAPSHOTS));
    image.put64(SNAPSHOTS * CLUSTER, place(SNAPSHOT_L1));
    image.put32(SNAPSHOTS * CLUSTER + 8, 1);
    image.put64(DIRECTORY * CLUSTER, place(BITMAP));
    image.put32(DIRECTORY * CLUSTER + 8, 1);
    image.put(DIRECTORY * CLUSTER + 18, &[0, 1]);
    for (table, target) in [
        (REFCOUNT_TABLE, REFCOUNT_BLOCK),
        (L1, L2),
        (L2, DATA),
        (SNAPSHOT_L1, SNAPSHOT_L2),
        (SNAPSHOT_L2, DATA),
        (BITMAP, BITS),
    ] {
        image.put64(table * CLUSTER, place(target));
    }
    image
}

/// What screening refuses; none if it does not.
fn screened(image: &Sample) -> Option<ErrorKind> {
    let inspection = Inspection::new(Format::Qcow2, image.bytes.len() as u64).screened();
    sample::drive(inspection, &image.bytes).0.err().map(|error| error.kind())
}

/// The same for an image from elsewhere.
fn assessed(image: &Sample) -> Option<ErrorKind> {
    let mut assessment = assess(Some(Declared::Image(Format::Qcow2)), image.bytes.len() as u64);
    loop {
        match assessment.advance() {
            Progress::Done(found) => match found.verdict {
                Verdict::Safe => return None,
                Verdict::MustRefuse(error) | Verdict::Unsupported(error) => return Some(error.kind()),
            },
            Progress::Need(range) => {
                let from = usize::try_from(range.offset).unwrap();
                assessment.supply(image.bytes[from..from + range.length].to_vec()).unwrap();
            }
        }
    }
}

#[test]
fn an_image_with_everything_in_its_place_is_sound() {
    assert_eq!(screened(&image()), None);
    assert_eq!(assessed(&image()), None);
}

#[test]
fn no_entry_of_any_table_may_point_to_metadata() {
    let fixed = [REFCOUNT_TABLE, L1, SNAPSHOTS, SNAPSHOT_L1, DIRECTORY, BITMAP, LUKS, LUKS + 9, LUKS_END];
    for table in [REFCOUNT_TABLE, L1, L2, SNAPSHOT_L1, SNAPSHOT_L2, BITMAP] {
        // Second entries, so that what the first point to is still metadata.
        let at = table * CLUSTER + 8;
        let image = if matches!(table, L1 | SNAPSHOT_L1 | BITMAP) { grown(table) } else { image() };
        let pointed = |target: usize| screened(&image.clone().with64(at, place(target)));
        for target in fixed {
            assert_eq!(pointed(target), Some(ErrorKind::Malformed), "{table} to {target}");
        }
        for (target, owners) in [
            (REFCOUNT_BLOCK, &[REFCOUNT_TABLE][..]),
            (L2, &[L1, SNAPSHOT_L1]),
            (SNAPSHOT_L2, &[L1, SNAPSHOT_L1]),
            (BITS, &[]),
            (FREE, &[REFCOUNT_TABLE, L1, L2, SNAPSHOT_L1, SNAPSHOT_L2, BITMAP]),
        ] {
            let wanted = (!owners.contains(&table)).then_some(ErrorKind::Malformed);
            assert_eq!(pointed(target), wanted, "{table} to {target}");
        }
    }
}

/// The image with room for two entries in a table whose length is said somewhere.
fn grown(table: usize) -> Sample {
    match table {
        L1 => image().with32(36, 2),
        SNAPSHOT_L1 => image().with32(SNAPSHOTS * CLUSTER + 8, 2),
        _ => image().with32(DIRECTORY * CLUSTER + 8, 2),
    }
}

#[test]
fn tables_may_not_lie_in_one_another() {
    for (field, target) in [
        (40, REFCOUNT_TABLE),
        (64, L1),
        (48, LUKS),
        (SNAPSHOTS * CLUSTER, L1),
        (SNAPSHOTS * CLUSTER, 0),
        (DIRECTORY * CLUSTER, SNAPSHOT_L1),
        (DIRECTORY * CLUSTER, DIRECTORY),
    ] {
        assert_eq!(screened(&image().with64(field, place(target))), Some(ErrorKind::Malformed), "{field}");
    }
    assert_eq!(screened(&image().with64(DIRECTORY * CLUSTER, place(BITMAP) + 8)), Some(ErrorKind::Malformed));
    assert_eq!(screened(&image().with32(DIRECTORY * CLUSTER + 20, 64)), Some(ErrorKind::Malformed));
}

#[test]
fn the_last_cluster_may_be_cut_off_for_data_only() {
    for (table, last) in [
        (L2, None),
        (SNAPSHOT_L2, None),
        (REFCOUNT_TABLE, Some(ErrorKind::Malformed)),
        (L1, Some(ErrorKind::Malformed)),
    ] {
        assert_eq!(screened(&image().with64(table * CLUSTER, place(LAST))), last, "{table}");
        let behind = screened(&image().with64(table * CLUSTER, place(LAST + 1)));
        assert_eq!(behind, Some(ErrorKind::Malformed), "{table}");
    }
}

#[test]
fn compressed_data_is_checked_up_to_its_end() {
    let ending =
        |start: u64, more: u64| screened(&image().with64(L2 * CLUSTER, COMPRESSED | more << 54 | start));
    let before = place(SNAPSHOTS);
    assert_eq!(ending(before - 700, 1), None);
    assert_eq!(ending(before - 700, 2), Some(ErrorKind::Malformed));
    assert_eq!(ending(place(DATA) - 1, 0), Some(ErrorKind::Malformed));
    assert_eq!(ending(place(LAST), 127), None, "less than a cluster behind the end");
    assert_eq!(ending(place(LAST) + 512, 127), Some(ErrorKind::Malformed));
}

#[test]
fn bitmaps_that_another_program_outdated_own_nothing() {
    let outdated = image().with64(88, 0);
    for target in [DIRECTORY, BITMAP, BITS] {
        assert_eq!(screened(&outdated.clone().with64(L2 * CLUSTER, place(target))), None);
    }
}

#[test]
fn what_is_too_large_to_be_looked_at_is_refused_from_elsewhere_only() {
    let mut large_l1 = Sample::new().with32(36, 300_000);
    large_l1.bytes.resize(3 * CLUSTER + 300_000 * 8, 0);
    let snapshots = image().with32(60, 129);
    let bitmaps = image().with32(104 + 24 + 8, 65);
    for (what, image) in [("L1", large_l1), ("snapshots", snapshots), ("bitmaps", bitmaps)] {
        assert_eq!(screened(&image), None, "{what}");
        assert_eq!(assessed(&image), Some(ErrorKind::TooComplex), "{what}");
    }
}

#[test]
fn the_beginning_of_large_tables_is_looked_at() {
    let large = 2_usize << 20;
    let mut image = Sample::new().with32(20, 21).with64(40, 2 * large as u64).with64(48, large as u64);
    image.bytes.resize(6 * large, 0);
    image.put64(2 * large, 4 * large as u64);
    image.put64(4 * large, 5 * large as u64);
    assert_eq!(assessed(&image), None);
    image.put64(4 * large, 2 * large as u64);
    assert_eq!(assessed(&image), Some(ErrorKind::Malformed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever an entry says: what screening accepts is clear of metadata and in the file, by another reading.
    #[test]
    fn accepted_entries_are_clear_of_metadata(
        sector in 0..(128 * (LAST as u64 + 3)),
        more in 0_u64..256,
        is_compressed in any::<bool>(),
        flags in 0_u64..512,
        table in prop_oneof![Just(L2), Just(SNAPSHOT_L2)],
    ) {
        let start = sector * 512;
        let entry = start | if is_compressed { COMPRESSED | more << 54 } else { flags };
        let end = if is_compressed { start + (more + 1) * 512 } else { start + CLUSTER as u64 };
        let first = start / CLUSTER as u64;
        let last = (end - 1) / CLUSTER as u64;
        let metadata = (first..=last).any(|cluster| !matches!(usize::try_from(cluster).unwrap(), DATA | FREE..));
        let outside = end >= place(LAST) + (CUT + CLUSTER) as u64;
        let crooked = !is_compressed && !start.is_multiple_of(CLUSTER as u64);
        let empty = !is_compressed && start == 0;
        let wanted = !empty && (metadata || outside || crooked);
        let entry = if is_compressed { entry } else { entry & !COMPRESSED };
        let refused = screened(&image().with64(table * CLUSTER, entry)).is_some();
        prop_assert_eq!(refused, wanted, "{:#x}", entry);
    }

    #[test]
    fn any_tables_are_read_within_the_budget(
        changes in proptest::collection::vec((0_usize..LUKS, 0_usize..64, any::<u8>()), 1..6),
        cluster_bits in 9_u32..=17,
    ) {
        let mut image = image().with32(20, cluster_bits);
        for (cluster, offset, value) in changes {
            image.put(cluster * CLUSTER + offset, &[value]);
        }
        let inspection = Inspection::new(Format::Qcow2, image.bytes.len() as u64).screened();
        let (_, asked) = sample::drive(inspection, &image.bytes);
        prop_assert!(asked <= crate::READ_BUDGET);
    }
}
