//! Gaps of streams: zeros that are told of and not sent.

use std::io::{self, Write};

use hostler_rpc::xdr::{decode, encode};

use super::Written;

/// Zeros that are worth a gap, in bytes: a frame has a header of its own.
const GAP_BYTES: usize = 64 << 10;

/// A gap as it is sent: how long it is, and flags of which there are none.
pub(super) fn hole(length: u64) -> Vec<u8> {
    let words = encode(&length).and_then(|mut bytes| {
        bytes.extend(encode(&0_u32)?);
        Ok(bytes)
    });
    words.unwrap_or_default()
}

/// How long a gap is that has come; nothing where it says so wrongly.
pub(super) fn read_hole(payload: &[u8]) -> Option<u64> {
    let length: i64 = decode(payload).ok()?;
    u64::try_from(length).ok()
}

/// A place to write to that tells zeros from other bytes.
pub(super) struct Outgoing {
    to: super::Outgoing,
    /// Zeros that have not been told of.
    zeros: u64,
}

impl Outgoing {
    pub(super) fn new(to: super::Outgoing) -> Self {
        Self { to, zeros: 0 }
    }
}

impl Write for Outgoing {
    /// Takes one piece at a time: all zeros, or none of them worth a gap.
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let piece = data.get(..data.len().min(GAP_BYTES)).unwrap_or_default();
        if piece.iter().all(|byte| *byte == 0) {
            self.zeros = self.zeros.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            return Ok(piece.len());
        }
        self.flush()?;
        self.to.write(piece)
    }

    fn flush(&mut self) -> io::Result<()> {
        match std::mem::take(&mut self.zeros) {
            0 => Ok(()),
            zeros => self.to.send(Written::Hole(zeros)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[test]
    fn zeros_become_gaps_and_other_bytes_are_sent() {
        let (sender, mut written) = mpsc::channel(8);
        let mut outgoing = Outgoing::new(super::super::Outgoing { sender });
        let zeros = vec![0; 3 * GAP_BYTES];
        outgoing.write_all(&zeros).unwrap();
        outgoing.write_all(b"abc").unwrap();
        outgoing.write_all(&zeros).unwrap();
        outgoing.flush().unwrap();
        outgoing.flush().unwrap();
        drop(outgoing);
        let whole = u64::try_from(zeros.len()).unwrap();
        let pieces: Vec<_> = std::iter::from_fn(|| written.blocking_recv()).collect();
        assert_eq!(pieces, [Written::Hole(whole), Written::Data(b"abc".to_vec()), Written::Hole(whole)]);
    }

    #[test]
    fn gaps_come_back_and_none_is_less_than_nothing() {
        assert_eq!(read_hole(&hole(7)), Some(7));
        assert_eq!(hole(7).len(), 12);
        assert_eq!(read_hole(&encode(&-1_i64).unwrap()), None);
        assert_eq!(read_hole(&[0, 0]), None);
    }
}
