//! Variable stores: a firmware volume with records, right in its checksum, wrong where a case says so.

use arbitrary::Arbitrary;

/// Length of a volume's header.
pub const HEADER: usize = 72;
/// Length of the header of the variable area.
const AREA_HEADER: usize = 28;
/// Kinds of variable area: with time stamps (records of 60 bytes) and without (32 bytes).
const KINDS: [([u8; 16], usize, usize); 2] = [
    (
        [0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92],
        60,
        36,
    ),
    ([0x16, 0x36, 0xcf, 0xdd, 0x75, 0x32, 0x64, 0x41, 0x98, 0xb6, 0xfe, 0x85, 0x70, 0x7f, 0xfe, 0x7d], 32, 8),
];

/// A store as the fuzzer makes it.
#[derive(Debug, Arbitrary)]
pub enum StoreCase<'a> {
    /// Any bytes.
    Bytes(&'a [u8]),
    /// A volume.
    Volume {
        /// Which kind of variable area.
        plain: bool,
        /// Length of name (in UTF-16 units) and data of each variable.
        variables: Vec<(u8, u8)>,
        /// Bytes changed after everything, the checksum included if `repair` is false.
        patches: Vec<(u16, u8)>,
        /// Whether the checksum is computed after the patches.
        repair: bool,
        /// Bytes behind the volume.
        behind: u8,
    },
}

impl StoreCase<'_> {
    /// The file's bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Volume { plain, variables, patches, repair, behind } => {
                let mut bytes = volume(*plain, variables);
                for (at, byte) in patches {
                    let at = usize::from(*at) % bytes.len();
                    bytes[at] = *byte;
                }
                if *repair {
                    checksum(&mut bytes);
                }
                bytes.resize(bytes.len() + usize::from(*behind), 0);
                bytes
            }
        }
    }

    /// Number of variables, when the store is certainly sound.
    #[must_use]
    pub fn sound(&self) -> Option<usize> {
        match self {
            Self::Volume { variables, patches, .. } if patches.is_empty() => Some(variables.len()),
            _ => None,
        }
    }
}

fn volume(plain: bool, variables: &[(u8, u8)]) -> Vec<u8> {
    let (kind, record, sizes) = KINDS[usize::from(plain)];
    let mut area = Vec::new();
    for (name, data) in variables {
        let mut header = vec![0; record];
        header[..3].copy_from_slice(&[0xaa, 0x55, 0x3f]);
        header[sizes..sizes + 4].copy_from_slice(&(2 * u32::from(*name)).to_le_bytes());
        header[sizes + 4..sizes + 8].copy_from_slice(&u32::from(*data).to_le_bytes());
        area.extend(header);
        area.extend(vec![b'n'; 2 * usize::from(*name) + usize::from(*data)]);
        area.resize(area.len().next_multiple_of(4), 0xff);
    }
    area.extend([0xff; 64]);
    let store = u32::try_from(AREA_HEADER + area.len()).expect("a case is small");
    let mut bytes = vec![0; HEADER];
    bytes[40..44].copy_from_slice(b"_FVH");
    bytes[48..50].copy_from_slice(&72_u16.to_le_bytes());
    bytes.extend(kind);
    bytes.extend(store.to_le_bytes());
    bytes.extend([0x5a, 0xfe, 0, 0, 0, 0, 0, 0]);
    bytes.extend(area);
    let length = u64::try_from(bytes.len()).expect("a case is small");
    bytes[32..40].copy_from_slice(&length.to_le_bytes());
    checksum(&mut bytes);
    bytes
}

/// Makes the header's 16-bit words add up to nothing.
fn checksum(bytes: &mut [u8]) {
    bytes[50..52].fill(0);
    let words = bytes[..HEADER].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let sum = words.fold(0_u16, u16::wrapping_add);
    bytes[50..52].copy_from_slice(&sum.wrapping_neg().to_le_bytes());
}
