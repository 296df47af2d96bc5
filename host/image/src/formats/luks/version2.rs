//! LUKS version 2: a binary header, then a JSON document that says where everything lies.

use serde_json::{Map, Value};

use super::Area;
use crate::formats::Luks;
use crate::windows::{Halt, READ_BUDGET, Windows, malformed, unsupported};

const OFFSET_HEADER_SIZE: u64 = 8;
const OFFSET_OWN_OFFSET: u64 = 256;
/// The binary header; the document follows it.
const BINARY_BYTES: u64 = 4096;
/// The header sizes of the format are the powers of two in between.
const HEADER_SIZES: std::ops::RangeInclusive<u64> = 16 << 10..=4 << 20;
const MAX_KEY_SLOTS: usize = 32;
/// As for version 1.
const MAX_ITERATIONS: u64 = 12_000_000;
/// What cryptsetup itself sets at most: 4 GiB, in KiB.
const MAX_KDF_MEMORY_KIB: u64 = 4 << 20;
const MAX_KDF_PASSES: u64 = 1000;

/// What the header says, and the size of the encrypted disk unless it fills the container.
pub(super) fn parse(image: &Windows, area: Area) -> Result<(Luks, Option<u64>), Halt> {
    let header_size = image.u64_be(area.at(OFFSET_HEADER_SIZE))?;
    if !HEADER_SIZES.contains(&header_size) || !header_size.is_power_of_two() {
        let message =
            format!("the header has {header_size} bytes, allowed are powers of two from 16 KiB to 4 MiB");
        return Err(malformed(area.at(OFFSET_HEADER_SIZE), message));
    }
    if image.u64_be(area.at(OFFSET_OWN_OFFSET))? != 0 {
        let message = "the header says that it is not the first of the two";
        return Err(malformed(area.at(OFFSET_OWN_OFFSET), message));
    }
    if header_size > READ_BUDGET / 2 {
        return Err(unsupported(
            area.at(OFFSET_HEADER_SIZE),
            format!("a LUKS2 header of {header_size} bytes is not looked into"),
        ));
    }
    let document = Document::read(image, area, header_size)?;
    let disk = document.segment()?;
    let (key_bits, active_slots) = document.check_slots(header_size.saturating_mul(2)..disk.offset)?;
    document.check_requirements()?;
    let luks = Luks { version: 2, payload_offset: disk.offset, cipher: disk.cipher, key_bits, active_slots };
    Ok((luks, disk.size))
}

/// The encrypted disk as the document places it.
struct Segment {
    offset: u64,
    /// None where it fills the container.
    size: Option<u64>,
    cipher: String,
}

/// The JSON document, with its position in the image for blame.
struct Document {
    root: Value,
    position: u64,
}

impl Document {
    fn read(image: &Windows, area: Area, header_size: u64) -> Result<Self, Halt> {
        let position = area.at(BINARY_BYTES);
        let length = usize::try_from(header_size.saturating_sub(BINARY_BYTES)).unwrap_or(usize::MAX);
        let bytes = image.bytes(position, length)?;
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        let root = serde_json::from_slice(text).map_err(|error| {
            malformed(position, format!("the document in the header is not JSON: {error}"))
        })?;
        Ok(Self { root, position })
    }

    fn fault(&self, message: impl Into<String>) -> Halt {
        malformed(self.position, message)
    }

    fn object(&self, name: &str) -> Result<&Map<String, Value>, Halt> {
        let object = self.root.get(name).and_then(Value::as_object);
        object.ok_or_else(|| self.fault(format!("the document in the header has no '{name}'")))
    }

    /// A number that the format writes as a string, because JSON numbers lose bits.
    fn number(&self, of: &Value, name: &str) -> Result<u64, Halt> {
        let number = of.get(name).and_then(Value::as_str).and_then(|text| text.parse().ok());
        number.ok_or_else(|| self.fault(format!("'{name}' in the document of the header is not a number")))
    }

    fn segment(&self) -> Result<Segment, Halt> {
        let mut segments = self.object("segments")?.values();
        let (Some(segment), None) = (segments.next(), segments.next()) else {
            return Err(unsupported(
                self.position,
                "it has not exactly one segment; a re-encryption is under way",
            ));
        };
        let text = |name: &str| segment.get(name).and_then(Value::as_str);
        if text("type") != Some("crypt") {
            return Err(unsupported(self.position, "its segment is not an encrypted disk"));
        }
        let cipher =
            text("encryption").filter(|cipher| cipher.chars().all(|letter| letter.is_ascii_graphic()));
        let Some(cipher) = cipher.filter(|cipher| !cipher.is_empty()) else {
            return Err(self.fault("its segment names no cipher"));
        };
        let size = if text("size") == Some("dynamic") { None } else { Some(self.number(segment, "size")?) };
        Ok(Segment { offset: self.number(segment, "offset")?, size, cipher: cipher.to_owned() })
    }

    /// Key material lies in `place`, between the two headers and the disk. Returns the bits of the key and the
    /// number of slots.
    fn check_slots(&self, place: std::ops::Range<u64>) -> Result<(u32, u32), Halt> {
        let slots = self.object("keyslots")?;
        if slots.is_empty() || slots.len() > MAX_KEY_SLOTS {
            return Err(self.fault(format!("{} key slots, allowed are 1 to {MAX_KEY_SLOTS}", slots.len())));
        }
        let mut key_bytes = 0;
        let mut taken: Vec<std::ops::Range<u64>> = Vec::new();
        for slot in slots.values() {
            let area = slot.get("area").unwrap_or(&Value::Null);
            let start = self.number(area, "offset")?;
            let end = start.checked_add(self.number(area, "size")?);
            let Some(end) = end.filter(|end| start >= place.start && start < *end && *end <= place.end)
            else {
                let message = format!(
                    "the key material of a slot lies outside its place, byte {} to {}",
                    place.start, place.end
                );
                return Err(self.fault(message));
            };
            if taken.iter().any(|other| start < other.end && other.start < end) {
                return Err(self.fault("the key material of two slots overlaps"));
            }
            taken.push(start..end);
            self.check_work(slot.get("kdf").unwrap_or(&Value::Null))?;
            key_bytes = slot.get("key_size").and_then(Value::as_u64).unwrap_or(0);
        }
        let key_bits =
            u32::try_from(key_bytes.saturating_mul(8)).ok().filter(|bits| (128..=1024).contains(bits));
        let key_bits = key_bits
            .ok_or_else(|| self.fault(format!("the key has {key_bytes} bytes, allowed are 16 to 128")))?;
        Ok((key_bits, u32::try_from(slots.len()).unwrap_or(u32::MAX)))
    }

    /// How much work and memory one try of a key costs is the image's choice, so it is bounded.
    fn check_work(&self, kdf: &Value) -> Result<(), Halt> {
        let number = |name: &str| kdf.get(name).and_then(Value::as_u64).unwrap_or(0);
        let bounded = match kdf.get("type").and_then(Value::as_str) {
            Some("pbkdf2") => (1..=MAX_ITERATIONS).contains(&number("iterations")),
            Some("argon2i" | "argon2id") => {
                (1..=MAX_KDF_PASSES).contains(&number("time"))
                    && (1..=MAX_KDF_MEMORY_KIB).contains(&number("memory"))
            }
            _ => return Err(unsupported(self.position, "the key derivation of a slot is not known")),
        };
        if bounded { Ok(()) } else { Err(self.fault("the key derivation of a slot asks for too much work")) }
    }

    fn check_requirements(&self) -> Result<(), Halt> {
        let required = self.root.pointer("/config/requirements/mandatory").and_then(Value::as_array);
        if required.is_some_and(|required| !required.is_empty()) {
            return Err(unsupported(self.position, "it requires features that are not known"));
        }
        Ok(())
    }
}
