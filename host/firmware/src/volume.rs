//! The inside of an edk2 variable store: enough of it to tell a store from rubbish, every byte distrusted.

use crate::error::{ErrorKind, FirmwareError};

/// Largest variable store in bytes: the flash device of the `virt` machine.
pub const MAX_STORE_BYTES: u64 = 64 << 20;

/// Shortest firmware volume header: the fixed part and the end of the block map.
const MIN_VOLUME_HEADER: usize = 64;
/// Longest believable header; real ones have 72 bytes.
const MAX_VOLUME_HEADER: usize = 4096;
const SIGNATURE: &[u8] = b"_FVH";
const STORE_HEADER: usize = 28;
/// `gEfiAuthenticatedVariableGuid`: variables with time stamps, what OVMF writes.
const AUTHENTICATED: [u8; 16] =
    [0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92];
/// `gEfiVariableGuid`: variables without.
const PLAIN: [u8; 16] =
    [0x16, 0x36, 0xcf, 0xdd, 0x75, 0x32, 0x64, 0x41, 0x98, 0xb6, 0xfe, 0x85, 0x70, 0x7f, 0xfe, 0x7d];
const FORMATTED: u8 = 0x5a;
const HEALTHY: u8 = 0xfe;
/// A variable starts with these bytes; erased flash does not.
const VARIABLE_START: u16 = 0x55aa;
const ERASED: u16 = 0xffff;
/// State of a variable whose header was still being written when power failed.
const HEADER_UNFINISHED: u8 = 0xff;
/// Unit of erasing in bytes.
const BLOCK: usize = 4096;

/// What a sound variable store looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLayout {
    /// Length of the firmware volume in bytes; the file may be longer.
    pub volume_bytes: u64,
    /// Length of the variable area in bytes.
    pub store_bytes: u32,
    /// Number of variable records, deleted ones included.
    pub variables: usize,
}

/// Checks the content of a variable store.
///
/// A record that power failure left half-written is no damage: firmware skips it.
///
/// # Errors
/// [`ErrorKind::StoreInvalid`] with the first rule that is broken; [`ErrorKind::StoreUnsupported`] for a store of
/// another kind.
pub fn check_store(bytes: &[u8]) -> Result<StoreLayout, FirmwareError> {
    check(bytes).map_err(|Flaw { kind, reason }| {
        FirmwareError::new(kind, format!("not a sound variable store: {reason}"))
    })
}

/// The first rule that a store breaks.
struct Flaw {
    kind: ErrorKind,
    reason: String,
}

impl<T: Into<String>> From<T> for Flaw {
    fn from(reason: T) -> Self {
        Self { kind: ErrorKind::StoreInvalid, reason: reason.into() }
    }
}

fn check(bytes: &[u8]) -> Result<StoreLayout, Flaw> {
    let (volume, header_length) = volume(bytes)?;
    let header = volume.get(header_length..).and_then(|rest| rest.get(..STORE_HEADER));
    let header = header.ok_or("it ends before the variable area")?;
    let record_header = record_header(header)?;
    let store_bytes = u32_at(header, 16).ok_or("it ends before the variable area")?;
    if header.get(20..22) != Some(&[FORMATTED, HEALTHY]) {
        return Err("the variable area is not marked as formatted and healthy".into());
    }
    let end = usize::try_from(store_bytes).ok().and_then(|length| length.checked_add(header_length));
    let area = end.and_then(|end| volume.get(header_length.checked_add(STORE_HEADER)?..end));
    let area =
        area.ok_or_else(|| format!("a variable area of {store_bytes} bytes does not fit into the volume"))?;
    let variables = count_variables(area, record_header)?;
    // Flash is erased to ones. Zeros at the very end are what an interrupted copy leaves.
    if volume.len() >= BLOCK
        && volume.rchunks(BLOCK).next().is_some_and(|last| last.iter().all(|byte| *byte == 0))
    {
        return Err("its last block is zeros, as after an interrupted copy".into());
    }
    Ok(StoreLayout { volume_bytes: u64::try_from(volume.len()).unwrap_or(u64::MAX), store_bytes, variables })
}

/// The firmware volume and the length of its header.
fn volume(bytes: &[u8]) -> Result<(&[u8], usize), String> {
    if bytes.get(40..44) != Some(SIGNATURE) {
        return Err("the signature of a firmware volume is missing".to_owned());
    }
    let header_length = usize::from(u16_at(bytes, 48).unwrap_or(0));
    let header = bytes
        .get(..header_length)
        .filter(|_| (MIN_VOLUME_HEADER..=MAX_VOLUME_HEADER).contains(&header_length));
    let header = header.ok_or_else(|| format!("the header length is {header_length} bytes"))?;
    let sum = header.chunks_exact(2).fold(0u16, |sum, pair| sum.wrapping_add(u16_at(pair, 0).unwrap_or(0)));
    if sum != 0 || !header_length.is_multiple_of(2) {
        return Err("the checksum of its header is wrong".to_owned());
    }
    let length = bytes.get(32..40).and_then(|field| field.try_into().ok()).map_or(0, u64::from_le_bytes);
    let volume = usize::try_from(length).ok().and_then(|length| bytes.get(..length));
    let volume = volume.ok_or_else(|| format!("the volume has {length} bytes, the file {}", bytes.len()))?;
    Ok((volume, header_length))
}

/// Shape of the records of a store.
#[derive(Clone, Copy)]
struct RecordHeader {
    length: usize,
    name_size_at: usize,
}

fn record_header(store_header: &[u8]) -> Result<RecordHeader, Flaw> {
    match store_header.get(..16) {
        Some(guid) if guid == AUTHENTICATED => Ok(RecordHeader { length: 60, name_size_at: 36 }),
        Some(guid) if guid == PLAIN => Ok(RecordHeader { length: 32, name_size_at: 8 }),
        _ => Err(Flaw {
            kind: ErrorKind::StoreUnsupported,
            reason: "the variable area is of a kind that is not known".to_owned(),
        }),
    }
}

fn count_variables(area: &[u8], shape: RecordHeader) -> Result<usize, String> {
    let mut rest = area;
    let mut count: usize = 0;
    // Every round consumes at least a record's header.
    while let Some(start) = u16_at(rest, 0) {
        if start != VARIABLE_START {
            let erased = start == ERASED;
            return if erased {
                Ok(count)
            } else {
                Err(format!("record {count} does not start like a variable"))
            };
        }
        let length =
            record_length(rest, shape).ok_or_else(|| format!("record {count} does not fit into its area"))?;
        rest = rest.get(length..).unwrap_or(&[]);
        count = count.saturating_add(1);
    }
    Ok(count)
}

/// Length of the first record with its padding; `None` when it does not fit or its sizes make no sense.
fn record_length(area: &[u8], shape: RecordHeader) -> Option<usize> {
    let header = area.get(..shape.length)?;
    if header.get(2) == Some(&HEADER_UNFINISHED) {
        return Some(shape.length);
    }
    let name = usize::try_from(u32_at(header, shape.name_size_at)?).ok()?;
    let data = usize::try_from(u32_at(header, shape.name_size_at.checked_add(4)?)?).ok()?;
    // Names are UTF-16.
    if !name.is_multiple_of(2) {
        return None;
    }
    let length = shape.length.checked_add(name)?.checked_add(data)?;
    if length > area.len() {
        return None;
    }
    length.checked_next_multiple_of(4)
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().map(|field| u16::from_le_bytes(*field))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|field| u32::from_le_bytes(*field))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A volume of 128 KiB with a variable area of 56 KiB and one variable.
    pub(crate) fn sound() -> Vec<u8> {
        let mut bytes = vec![0xff; 128 << 10];
        bytes[..72].fill(0);
        bytes[32..40].copy_from_slice(&(128u64 << 10).to_le_bytes());
        bytes[40..44].copy_from_slice(SIGNATURE);
        bytes[48..50].copy_from_slice(&72u16.to_le_bytes());
        let sum = bytes[..72]
            .chunks(2)
            .fold(0u16, |sum, pair| sum.wrapping_add(u16::from_le_bytes([pair[0], pair[1]])));
        bytes[50..52].copy_from_slice(&sum.wrapping_neg().to_le_bytes());
        bytes[72..88].copy_from_slice(&AUTHENTICATED);
        bytes[88..92].copy_from_slice(&(56u32 << 10).to_le_bytes());
        bytes[92..100].copy_from_slice(&[FORMATTED, HEALTHY, 0, 0, 0, 0, 0, 0]);
        bytes[100..160].fill(0);
        bytes[100..103].copy_from_slice(&[0xaa, 0x55, 0x3f]);
        bytes[136..140].copy_from_slice(&4u32.to_le_bytes());
        bytes[140..144].copy_from_slice(&2u32.to_le_bytes());
        bytes[160..166].copy_from_slice(b"A\0\0\0xy");
        bytes
    }

    fn reason(change: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut bytes = sound();
        change(&mut bytes);
        check_store(&bytes).unwrap_err().to_string()
    }

    #[test]
    fn a_sound_store_is_described() {
        let layout = StoreLayout { volume_bytes: 128 << 10, store_bytes: 56 << 10, variables: 1 };
        assert_eq!(check_store(&sound()).unwrap(), layout);
        // A power cut while the second record's header was written.
        let mut torn = sound();
        torn[168..170].copy_from_slice(&[0xaa, 0x55]);
        assert_eq!(check_store(&torn).unwrap().variables, 2);
    }

    #[test]
    fn damage_is_named() {
        assert!(reason(|bytes| bytes[40] = 0).contains("signature"));
        assert!(reason(|bytes| bytes[55] ^= 1).contains("checksum"));
        assert!(reason(|bytes| bytes[93] = 0).contains("healthy"));
        assert!(reason(|bytes| bytes[91] = 0xff).contains("does not fit"));
        assert!(reason(|bytes| bytes[136] = 5).contains("record 0"));
        assert!(reason(|bytes| bytes[143] = 0xff).contains("record 0"));
        assert!(reason(|bytes| bytes[168] = 0).contains("record 1"));
        assert!(reason(|bytes| bytes.truncate(40_000)).contains("the file 40000"));
        assert!(reason(|bytes| bytes[65_536..].fill(0)).contains("interrupted copy"));
        assert!(reason(Vec::clear).contains("signature"));
        assert!(reason(|bytes| bytes.fill(0xff)).contains("signature"));
    }

    #[test]
    fn another_kind_of_store_is_no_damage() {
        let mut bytes = sound();
        bytes[72] ^= 1;
        let error = check_store(&bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreUnsupported);
        assert!(error.to_string().contains("not known"), "{error}");
        assert_eq!(check_store(&[0; 4096]).unwrap_err().kind(), ErrorKind::StoreInvalid);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn mutations_never_panic(changes in proptest::collection::vec((0usize..256, any::<u8>()), 0..8), cut in 0usize..131_072) {
            let mut bytes = sound();
            for (offset, value) in changes {
                bytes[offset] = value;
            }
            bytes.truncate(cut);
            if let Ok(layout) = check_store(&bytes) {
                prop_assert!(layout.volume_bytes <= bytes.len() as u64);
            }
        }
    }
}
