//! The tables that a qcow2 header points to: aligned, inside the file, of bounded size. They are not read.

use super::fields::Fields;
use crate::error::{ErrorKind, ImageError};
use crate::windows::{Halt, malformed};

/// Largest L1 table in bytes (QEMU's limit).
pub(super) const MAX_L1_BYTES: u64 = 32 << 20;
/// Largest reference count table in bytes (QEMU's limit).
const MAX_REFCOUNT_TABLE_BYTES: u64 = 8 << 20;
/// Most internal snapshots (QEMU's limit).
const MAX_SNAPSHOTS: u32 = 65_536;
/// Shortest entry of the snapshot table in bytes.
const MIN_SNAPSHOT_BYTES: u64 = 40;
/// Bytes of an entry in the L1 table.
const L1_ENTRY_BYTES: u64 = 8;

const OFFSET_L1_ENTRIES: u64 = 36;
const OFFSET_L1: u64 = 40;
const OFFSET_REFCOUNT_TABLE: u64 = 48;
const OFFSET_REFCOUNT_CLUSTERS: u64 = 56;
const OFFSET_SNAPSHOTS: u64 = 60;
const OFFSET_SNAPSHOT_TABLE: u64 = 64;

/// Checks all three tables against a file of `length` bytes.
pub(super) fn check(fields: &Fields, length: u64) -> Result<(), Halt> {
    check_l1(fields, length)?;
    check_refcounts(fields, length)?;
    check_snapshots(fields, length)
}

fn check_l1(fields: &Fields, length: u64) -> Result<(), Halt> {
    let bytes = u64::from(fields.l1_entries).saturating_mul(L1_ENTRY_BYTES);
    let l2_entry_bytes = if fields.extended_l2() { 16 } else { 8 };
    let guest_bytes_per_entry = fields.cluster_size().saturating_mul(fields.cluster_size() / l2_entry_bytes);
    let needed = fields.size.div_ceil(guest_bytes_per_entry.max(1));
    if bytes > MAX_L1_BYTES || u64::from(fields.l1_entries) < needed {
        let message =
            format!("the L1 table has {} entries, the virtual size needs {needed}", fields.l1_entries);
        return Err(malformed(OFFSET_L1_ENTRIES, message));
    }
    check_place("L1 table", fields, (OFFSET_L1, fields.l1_offset), bytes, length)
}

fn check_refcounts(fields: &Fields, length: u64) -> Result<(), Halt> {
    let bytes = u64::from(fields.refcount_table_clusters).saturating_mul(fields.cluster_size());
    if bytes == 0 || bytes > MAX_REFCOUNT_TABLE_BYTES {
        let message = format!("the refcount table has {} clusters", fields.refcount_table_clusters);
        return Err(malformed(OFFSET_REFCOUNT_CLUSTERS, message));
    }
    check_place(
        "refcount table",
        fields,
        (OFFSET_REFCOUNT_TABLE, fields.refcount_table_offset),
        bytes,
        length,
    )
}

fn check_snapshots(fields: &Fields, length: u64) -> Result<(), Halt> {
    if fields.snapshots == 0 {
        return Ok(());
    }
    if fields.snapshots > MAX_SNAPSHOTS {
        let message = format!("{} internal snapshots, allowed are {MAX_SNAPSHOTS}", fields.snapshots);
        return Err(malformed(OFFSET_SNAPSHOTS, message));
    }
    let bytes = u64::from(fields.snapshots).saturating_mul(MIN_SNAPSHOT_BYTES);
    check_place("snapshot table", fields, (OFFSET_SNAPSHOT_TABLE, fields.snapshots_offset), bytes, length)
}

/// `place` is the position of the pointer in the header and the pointer itself.
fn check_place(what: &str, fields: &Fields, place: (u64, u64), bytes: u64, length: u64) -> Result<(), Halt> {
    let (field, offset) = place;
    if offset < fields.cluster_size() || !offset.is_multiple_of(fields.cluster_size()) {
        return Err(malformed(
            field,
            format!("the {what} is at byte {offset}, which is not a cluster of its own"),
        ));
    }
    if offset.checked_add(bytes).is_some_and(|end| end <= length) {
        return Ok(());
    }
    let message =
        format!("the {what} ({bytes} bytes at byte {offset}) runs past the end of the image, {length} bytes");
    Err(ImageError::new(ErrorKind::Truncated, message).at(field).into())
}
