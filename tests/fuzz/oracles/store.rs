//! Variable stores: a sound one is described as it is, and rubbish is not called sound.

use hostler_firmware::check_store;

use super::shown;
use crate::generators::store::StoreCase;

/// Shortest record of a variable, in bytes.
const RECORD_MIN: usize = 32;

/// Asserts what holds of any store.
///
/// # Panics
/// When a promise is broken.
pub fn check(case: &StoreCase<'_>) {
    let bytes = case.bytes();
    let found = check_store(&bytes);
    if let Some(variables) = case.sound() {
        assert_eq!(found.as_ref().map(|layout| layout.variables).ok(), Some(variables), "{found:?}");
    }
    let layout = match found {
        Ok(layout) => layout,
        Err(error) => return shown::safe(&error),
    };
    let (volume, store) = (size(layout.volume_bytes), size(layout.store_bytes.into()));
    assert!(volume <= bytes.len() && store < volume && layout.variables * RECORD_MIN <= store);
    let header = usize::from(u16::from_le_bytes([bytes[48], bytes[49]]));
    let words = bytes[..header].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    assert_eq!(words.fold(0_u16, u16::wrapping_add), 0, "a wrong checksum is accepted");
    assert_eq!(bytes[40..44], *b"_FVH");
    // What stands behind the volume is not looked at; what is missing of it is.
    assert_eq!(check_store(&bytes[..volume]).ok(), Some(layout));
    assert!(check_store(&bytes[..volume - 1]).is_err(), "a volume with a missing end is sound");
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).expect("it is within the file")
}
