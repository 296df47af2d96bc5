//! The text of a VMDK: keys, extents, and nothing that could be read in two ways.

use super::{ONE_FILE, SECTOR, bytes_of};
use crate::error::{ErrorKind, ImageError};
use crate::formats::{MAX_REFERENCE_BYTES, text};
use crate::windows::{Halt, Windows, malformed, unsupported};

/// Longest descriptor in bytes; VMware itself sets aside 10 KiB.
pub(super) const MAX_DESCRIPTOR_BYTES: u64 = 64 << 10;
/// Most extents of a disk: 128 GiB in the pieces of 2 GiB that VMware makes.
const MAX_EXTENTS: usize = 64;
/// Versions of the text, from the first on.
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=3;
/// What qemu-img leaves behind the NUL byte of a text that it writes anew with a shorter content identifier, which has one digit
/// to eight. No line that means something has room there.
const LEFT_BEHIND_BYTES: usize = 6;
/// The `parentCID` of a disk without a parent.
const NO_PARENT: u32 = u32::MAX;

/// Types of disks, and words in which an extent line begins and names its kind.
const TYPES: [&str; 17] = [
    "monolithicSparse",
    "monolithicFlat",
    "streamOptimized",
    "twoGbMaxExtentSparse",
    "twoGbMaxExtentFlat",
    "2GbMaxExtentSparse",
    "2GbMaxExtentFlat",
    "fullDevice",
    "partitionedDevice",
    "vmfs",
    "vmfsSparse",
    "vmfsThin",
    "vmfsRaw",
    "vmfsRawDeviceMap",
    "vmfsPassthroughRawDeviceMap",
    "seSparse",
    "custom",
];
/// Stands for a type that is none of them.
const OTHER_TYPE: &str = "other";
const ACCESSES: [&str; 3] = ["RW", "RDONLY", "NOACCESS"];
const SPARSE: &str = "SPARSE";
const ZERO: &str = "ZERO";
const KINDS: [&str; 8] = [SPARSE, "FLAT", ZERO, "VMFS", "VMFSSPARSE", "VMFSRDM", "VMFSRAW", "SESPARSE"];

/// Keys that decide something; each at most once.
const VERSION: &str = "version";
const PARENT_CID: &str = "parentCID";
const CREATE_TYPE: &str = "createType";
const PARENT_HINT: &str = "parentFileNameHint";
const KEYS: [&str; 5] = [VERSION, "CID", PARENT_CID, CREATE_TYPE, PARENT_HINT];
/// Keys that some readers look for anywhere in the text, whatever stands around them.
const SOUGHT: [&str; 3] = [PARENT_CID, CREATE_TYPE, PARENT_HINT];

/// What the text says.
pub(super) struct Descriptor {
    pub(super) create_type: &'static str,
    pub(super) parent: Option<String>,
    pub(super) extents: Vec<Extent>,
    /// What the extents come to, in bytes.
    pub(super) virtual_size: u64,
}

/// Keys whose values QEMU searches for by their quotes.
const MUST_BE_QUOTED: [&str; 2] = [CREATE_TYPE, PARENT_HINT];
/// How much QEMU reads of a descriptor inside an extent: 20 sectors.
const QEMU_READS_BYTES: u64 = 20 * SECTOR;

/// A piece of the disk.
pub(super) struct Extent {
    pub(super) kind: &'static str,
    /// None for a piece that is zeros.
    pub(super) name: Option<String>,
    bytes: u64,
}

impl Descriptor {
    /// Reads the text that lies from `start` to `end`.
    pub(super) fn read(image: &Windows, start: u64, end: u64) -> Result<Self, Halt> {
        let length = end.saturating_sub(start);
        let area = image.bytes(start, usize::try_from(length).unwrap_or(usize::MAX))?;
        let used = area.iter().position(|byte| *byte == 0).unwrap_or(area.len());
        let (used, padding) = area.split_at_checked(used).unwrap_or((area, &[]));
        let left = padding.iter().rposition(|byte| *byte != 0).unwrap_or(0);
        if left > LEFT_BEHIND_BYTES {
            return Err(malformed(start, "the descriptor goes on behind the NUL byte that ends it"));
        }
        // Inside an extent QEMU reads this much whatever the header says, up to a NUL byte.
        if start > 0 && padding.is_empty() && length < QEMU_READS_BYTES {
            return Err(malformed(start, "the descriptor is not ended by a NUL byte in the room it has"));
        }
        Lines::of(text(used, start, "descriptor")?, start)?.descriptor()
    }

    /// Whether it describes the file that it lies in: one sparse extent, whose name means nothing.
    pub(super) fn is_one_file(&self) -> bool {
        ONE_FILE.contains(&self.create_type) && matches!(&self.extents[..], [Extent { kind: SPARSE, .. }])
    }
}

/// The text in its parts.
struct Lines {
    keys: Vec<(&'static str, String)>,
    extents: Vec<Extent>,
    start: u64,
}

impl Lines {
    fn of(text: String, start: u64) -> Result<Self, Halt> {
        let mut lines = Self { keys: Vec::new(), extents: Vec::new(), start };
        let mut at = start;
        for line in text.split_inclusive('\n') {
            let content = line.trim();
            if !content.is_empty() && !content.starts_with('#') {
                lines.take(content, at)?;
            }
            at = at.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        }
        lines.check_hidden(&text.to_ascii_lowercase())?;
        Ok(lines)
    }

    fn take(&mut self, line: &str, at: u64) -> Result<(), Halt> {
        let first = line.split_whitespace().next().unwrap_or_default();
        if ACCESSES.contains(&first) {
            self.extents.push(Extent::parse(line).map_err(|why| malformed(at, why))?);
            if self.extents.len() > MAX_EXTENTS {
                let message = format!("the descriptor lists more than {MAX_EXTENTS} extents");
                return Err(ImageError::new(ErrorKind::TooComplex, message).at(at).into());
            }
            return Ok(());
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(malformed(at, "a line of the descriptor is no key, no extent and no comment"));
        };
        let Some(known) = KEYS.iter().find(|known| known.eq_ignore_ascii_case(key.trim())) else {
            return Ok(());
        };
        if *known != key {
            return Err(malformed(at, format!("the key {known} of the descriptor is spelt differently")));
        }
        if self.keys.iter().any(|(taken, _)| taken == known) {
            return Err(malformed(at, format!("the descriptor has the key {known} twice")));
        }
        // QEMU takes what stands between the next two quotes, on whatever line they are.
        let quoted = value.starts_with('"') || !MUST_BE_QUOTED.contains(known);
        let Some(value) = unquoted(value).filter(|_| quoted) else {
            return Err(malformed(
                at,
                format!("the value of {known} in the descriptor is not quoted properly"),
            ));
        };
        self.keys.push((known, value.to_owned()));
        Ok(())
    }

    /// Readers that search instead of parse must find each key where it stands, and nowhere else.
    fn check_hidden(&self, lowercase: &str) -> Result<(), Halt> {
        for key in SOUGHT {
            let stands = usize::from(self.value(key).is_some());
            if lowercase.matches(&key.to_ascii_lowercase()).count() != stands {
                let message = format!("the descriptor names the key {key} inside something else");
                return Err(malformed(self.start, message));
            }
        }
        Ok(())
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.keys.iter().find(|(known, _)| *known == key).map(|(_, value)| value.as_str())
    }

    fn required(&self, key: &str) -> Result<&str, Halt> {
        self.value(key).ok_or_else(|| malformed(self.start, format!("the descriptor has no {key}")))
    }

    fn descriptor(self) -> Result<Descriptor, Halt> {
        let parent = self.parent()?;
        if self.extents.is_empty() {
            return Err(malformed(self.start, "the descriptor lists no extents"));
        }
        let sum = self.extents.iter().try_fold(0_u64, |sum, extent| sum.checked_add(extent.bytes));
        let Some(virtual_size) = sum.filter(|size| i64::try_from(*size).is_ok()) else {
            return Err(malformed(
                self.start,
                "the extents of the descriptor come to more than a disk can have",
            ));
        };
        let version = self.required(VERSION)?;
        let name = self.required(CREATE_TYPE)?;
        let create_type = TYPES.iter().find(|known| **known == name).copied().unwrap_or(OTHER_TYPE);
        if !version.parse().is_ok_and(|version| VERSIONS.contains(&version)) {
            return Err(unsupported(self.start, "the version of its descriptor is not known"));
        }
        Ok(Descriptor { create_type, parent, virtual_size, extents: self.extents })
    }

    /// The name of the parent, which some readers follow by the name and others by the identifier.
    fn parent(&self) -> Result<Option<String>, Halt> {
        let hint = self.value(PARENT_HINT).filter(|hint| !hint.is_empty());
        let cid = self.value(PARENT_CID).map_or(Some(NO_PARENT), |cid| u32::from_str_radix(cid, 16).ok());
        let Some(cid) = cid else {
            return Err(malformed(self.start, "the parentCID of the descriptor is no hexadecimal number"));
        };
        match hint {
            Some(hint) if hint.len() > MAX_REFERENCE_BYTES => {
                Err(malformed(self.start, format!("the name of the parent has {} bytes", hint.len())))
            }
            Some(hint) if cid != NO_PARENT => Ok(Some(hint.to_owned())),
            Some(_) => {
                Err(malformed(self.start, "the descriptor names a parent, but its parentCID says none"))
            }
            None if cid == NO_PARENT => Ok(None),
            None => Err(malformed(self.start, "the descriptor has a parentCID, but names no parent")),
        }
    }
}

impl Extent {
    /// `ACCESS SECTORS KIND "NAME" OFFSET`; zeros have no name, and only some kinds have an offset.
    fn parse(line: &str) -> Result<Self, String> {
        let (head, name, tail) = match line.split_once('"') {
            None => (line, None, ""),
            Some((head, rest)) => match rest.split_once('"') {
                Some((name, tail)) => (head, Some(name), tail),
                None => return Err("the name of an extent does not end".to_owned()),
            },
        };
        let words: Vec<_> = head.split_whitespace().collect();
        let [_, sectors, kind] = words[..] else {
            return Err("an extent is not of the form ACCESS SECTORS KIND \"NAME\" OFFSET".to_owned());
        };
        let Some(kind) = KINDS.iter().find(|known| **known == kind) else {
            return Err("the kind of an extent is not known".to_owned());
        };
        let number = |text: &str| text.parse().ok().and_then(bytes_of);
        let Some(bytes) = number(sectors) else {
            return Err("the size of an extent is not a number of sectors that a disk can have".to_owned());
        };
        if !tail.trim().is_empty() && number(tail.trim()).is_none() {
            return Err("the offset of an extent is not a number of sectors that a file can have".to_owned());
        }
        match name {
            None if *kind != ZERO => Err(format!("an extent of the kind {kind} names no file")),
            Some(_) if *kind == ZERO => Err("an extent of zeros names a file".to_owned()),
            Some(name) if name.is_empty() || name.len() > MAX_REFERENCE_BYTES => Err(format!(
                "the name of an extent has {} bytes, allowed are 1 to {MAX_REFERENCE_BYTES}",
                name.len()
            )),
            name => Ok(Self { kind, name: name.map(str::to_owned), bytes }),
        }
    }
}

/// A value as it stands behind the sign: a bare word, or any text in quotes.
fn unquoted(value: &str) -> Option<&str> {
    let inner = match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => Some(value).filter(|value| !value.starts_with(char::is_whitespace))?,
    };
    (!inner.contains('"')).then_some(inner)
}
