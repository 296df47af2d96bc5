//! LUKS version 1: a header of fixed fields with eight key slots.

use super::Area;
use crate::formats::Luks;
use crate::windows::{Halt, Windows, malformed, unsupported};

const HEADER_LENGTH: usize = 592;
const HEADER_BYTES: u64 = HEADER_LENGTH as u64; // the same as a position; no way to lose bits
const SECTOR: u64 = 512;

const OFFSET_CIPHER: u64 = 8;
const OFFSET_MODE: u64 = 40;
const OFFSET_HASH: u64 = 72;
const NAME_BYTES: usize = 32;
const OFFSET_PAYLOAD: u64 = 104;
const OFFSET_KEY_BYTES: u64 = 108;
const OFFSET_ITERATIONS: u64 = 164;
const OFFSET_SLOTS: u64 = 208;
const SLOTS: u64 = 8;
const SLOT_BYTES: u64 = 48;

const SLOT_ACTIVE: u32 = 0x00AC_71F3;
const SLOT_FREE: u32 = 0x0000_DEAD;
/// The format has one number of stripes.
const STRIPES: u32 = 4000;
/// 512-bit keys are two of 256 bits, for XTS.
const KEY_BYTES: std::ops::RangeInclusive<u32> = 16..=64;
/// A few seconds of work. More is a way to stop whoever tries a key, not a stronger container.
const MAX_ITERATIONS: u32 = 12_000_000;

const CIPHERS: [&str; 4] = ["aes", "cast5", "serpent", "twofish"];
const MODES: [&str; 4] = ["cbc", "ctr", "ecb", "xts"];
const HASHES: [&str; 7] = ["md5", "ripemd160", "sha1", "sha224", "sha256", "sha384", "sha512"];

/// One key slot, as far as it matters without a key.
struct Slot {
    position: u64,
    active: bool,
    iterations: u32,
    /// Place of the key material in the container, in bytes.
    material: std::ops::Range<u64>,
}

pub(super) fn parse(image: &Windows, area: Area) -> Result<Luks, Halt> {
    if area.length < HEADER_BYTES {
        return Err(malformed(area.start, format!("{} bytes are too few for a LUKS header", area.length)));
    }
    image.bytes(area.start, HEADER_LENGTH)?;
    let name = |offset, what| terminated(image, area.at(offset), what);
    let (cipher, mode, hash) =
        (name(OFFSET_CIPHER, "cipher")?, name(OFFSET_MODE, "cipher mode")?, name(OFFSET_HASH, "hash")?);
    let payload_offset = check_payload(image, area)?;
    let key_bytes = image.u32_be(area.at(OFFSET_KEY_BYTES))?;
    if !KEY_BYTES.contains(&key_bytes) {
        let message = format!("the key has {key_bytes} bytes, allowed are 16 to 64");
        return Err(malformed(area.at(OFFSET_KEY_BYTES), message));
    }
    check_iterations(image.u32_be(area.at(OFFSET_ITERATIONS))?, area.at(OFFSET_ITERATIONS))?;
    let slots = (0..SLOTS)
        .map(|index| Slot::read(image, area.at(OFFSET_SLOTS + index * SLOT_BYTES), key_bytes))
        .collect::<Result<Vec<_>, _>>()?;
    let active_slots = check_slots(&slots, payload_offset, area)?;
    check_algorithms(area, &cipher, &mode, &hash)?;
    Ok(Luks {
        version: 1,
        payload_offset,
        cipher: format!("{cipher}-{mode}"),
        key_bits: key_bytes * 8,
        active_slots,
    })
}

/// A name in a field of fixed width: letters up to the NUL that must end it.
fn terminated(image: &Windows, offset: u64, what: &str) -> Result<String, Halt> {
    let field = image.bytes(offset, NAME_BYTES)?;
    let name = field.iter().position(|byte| *byte == 0).and_then(|end| field.get(..end));
    match name.map(std::str::from_utf8) {
        Some(Ok(name)) if !name.is_empty() && name.chars().all(|letter| letter.is_ascii_graphic()) => {
            Ok(name.to_owned())
        }
        Some(_) => Err(malformed(offset, format!("the name of the {what} is not one"))),
        None => Err(malformed(offset, format!("the name of the {what} does not end"))),
    }
}

fn check_payload(image: &Windows, area: Area) -> Result<u64, Halt> {
    let offset = u64::from(image.u32_be(area.at(OFFSET_PAYLOAD))?) * SECTOR;
    if (HEADER_BYTES..=area.length).contains(&offset) {
        return Ok(offset);
    }
    let message = format!(
        "the encrypted disk starts at byte {offset}, allowed is behind the header and before {}",
        area.length
    );
    Err(malformed(area.at(OFFSET_PAYLOAD), message))
}

fn check_iterations(iterations: u32, offset: u64) -> Result<(), Halt> {
    if (1..=MAX_ITERATIONS).contains(&iterations) {
        return Ok(());
    }
    let message = format!("{iterations} iterations of the key derivation, allowed are 1 to {MAX_ITERATIONS}");
    Err(malformed(offset, message))
}

impl Slot {
    fn read(image: &Windows, position: u64, key_bytes: u32) -> Result<Self, Halt> {
        let field = |offset| image.u32_be(position.saturating_add(offset));
        let active = match field(0)? {
            SLOT_ACTIVE => true,
            SLOT_FREE => false,
            other => {
                return Err(malformed(
                    position,
                    format!("a key slot is marked {other:#010x}, which is no state"),
                ));
            }
        };
        let stripes = field(44)?;
        if stripes != STRIPES {
            return Err(malformed(position, format!("a key slot has {stripes} stripes, not {STRIPES}")));
        }
        let start = u64::from(field(40)?) * SECTOR;
        let length = (u64::from(key_bytes) * u64::from(stripes)).next_multiple_of(SECTOR);
        Ok(Self { position, active, iterations: field(4)?, material: start..start + length })
    }
}

/// Key material lies between header and disk, each slot's apart from the others'; free slots keep their place.
fn check_slots(slots: &[Slot], payload_offset: u64, area: Area) -> Result<u32, Halt> {
    let mut active = 0;
    for (index, slot) in slots.iter().enumerate() {
        let material = &slot.material;
        if material.start < HEADER_BYTES || material.end > payload_offset {
            let message = format!(
                "the key material of a slot (byte {} to {}) lies outside its place, byte {HEADER_BYTES} to {payload_offset}",
                material.start, material.end
            );
            return Err(malformed(slot.position, message));
        }
        let clashes =
            |other: &Slot| material.start < other.material.end && other.material.start < material.end;
        if slots.iter().take(index).any(clashes) {
            return Err(malformed(slot.position, "the key material of two slots overlaps"));
        }
        if slot.active {
            check_iterations(slot.iterations, slot.position)?;
            active += 1;
        }
    }
    if active == 0 {
        return Err(malformed(area.at(OFFSET_SLOTS), "no key slot is in use, so no key can open it"));
    }
    Ok(active)
}

/// Last, for an algorithm may be new where a contradiction is only wrong.
fn check_algorithms(area: Area, cipher: &str, mode: &str, hash: &str) -> Result<(), Halt> {
    let chaining = mode.split('-').next().unwrap_or(mode);
    for (known, name, offset) in [
        (&CIPHERS[..], cipher, OFFSET_CIPHER),
        (&MODES[..], chaining, OFFSET_MODE),
        (&HASHES[..], hash, OFFSET_HASH),
    ] {
        if !known.contains(&name) {
            return Err(unsupported(area.at(offset), format!("the algorithm '{name}' is not known")));
        }
    }
    Ok(())
}
