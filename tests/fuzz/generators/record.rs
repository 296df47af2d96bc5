//! Record files: as written, damaged, and made up by somebody who can compute checksums.

use arbitrary::Arbitrary;
use hostler_state::encode;

/// A file as the fuzzer makes it.
#[derive(Debug, Arbitrary)]
pub enum RecordCase<'a> {
    /// Any bytes.
    Bytes(&'a [u8]),
    /// A record with some bytes changed and its end cut or zeroed.
    Damaged {
        /// What was written.
        payload: &'a [u8],
        /// Places and what is put there.
        changes: Vec<(u16, u8)>,
        /// Bytes cut from the end.
        cut: u8,
        /// Whether zeros stand there instead.
        zeros: bool,
    },
    /// A header of somebody's own, with the right checksum.
    Forged {
        /// The line before the checksum; `{}` stands for the payload's length.
        described: &'a str,
        /// The payload.
        payload: &'a [u8],
    },
}

impl RecordCase<'_> {
    /// The file's bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Damaged { payload, changes, cut, zeros } => {
                let mut bytes = encode(payload);
                let whole = bytes.len();
                for (at, byte) in changes {
                    bytes[usize::from(*at) % whole] = *byte;
                }
                bytes.truncate(whole.saturating_sub(usize::from(*cut)));
                if *zeros {
                    bytes.resize(whole, 0);
                }
                bytes
            }
            Self::Forged { described, payload } => {
                let described = described.replace("{}", &payload.len().to_string());
                let mut hasher = blake3::Hasher::new();
                hasher.update(described.as_bytes()).update(b"\n").update(payload);
                [format!("{described} {}\n", hasher.finalize().to_hex()).as_bytes(), payload].concat()
            }
        }
    }
}
