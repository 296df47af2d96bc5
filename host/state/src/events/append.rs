//! Appending: one lock, the next number, one write.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::{Event, EventLog, LINE_MAX_BYTES, NewEvent};
use crate::clock;
use crate::disk;
use crate::error::{Kind, StateError};
use crate::events::scan;

/// How much of the end of the log is read to find the last number, in bytes; more only when that has none.
const TAIL_BYTES: [u64; 3] = [4 << 10, 4 * LINE_MAX_BYTES as u64, u64::MAX];

/// The end of a log file: the last number in it, and where its last complete line ends.
#[derive(Clone, Copy, Default)]
struct Tail {
    seq: u64,
    end: u64,
}

impl EventLog {
    /// Appends one event and returns it with its number. Any process may, at any time.
    ///
    /// # Errors
    /// [`Kind::TooLarge`] above [`LINE_MAX_BYTES`], [`Kind::Busy`] when the log stays locked for 5 s,
    /// [`Kind::Full`] or [`Kind::Io`]: then nothing was appended.
    pub fn append(&self, event: NewEvent) -> Result<Event, StateError> {
        let path = self.current();
        let failed = |error| StateError::io(&path, "append to the event log", error);
        let guard = self.lock_to_append()?;
        let mut file = disk::open_shared_file(&path).map_err(failed)?;
        let mut tail = tail_of(&file).map_err(failed)?;
        if tail.seq == 0 {
            tail.seq = self.last_of_previous()?;
        }
        let NewEvent { domain, name, kind, detail } = event;
        let event = Event { seq: tail.seq + 1, time_ms: clock::unix_ms(), domain, name, kind, detail };
        let line = line_of(&event, &path)?;
        if tail.end > 0 && tail.end + line.len() as u64 > self.rotate_at {
            std::fs::rename(&path, self.previous()).map_err(failed)?;
            file = disk::open_shared_file(&path).map_err(failed)?;
            tail.end = 0;
        }
        write_line(&file, tail.end, &line).map_err(failed)?;
        drop(guard);
        Ok(event)
    }

    fn last_of_previous(&self) -> Result<u64, StateError> {
        let path = self.previous();
        let failed = |error| StateError::io(&path, "read the previous event log", error);
        match File::open(&path) {
            Ok(file) => Ok(tail_of(&file).map_err(failed)?.seq),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(failed(error)),
        }
    }
}

fn line_of(event: &Event, path: &Path) -> Result<Vec<u8>, StateError> {
    let mut line =
        serde_json::to_vec(event).map_err(|error| StateError::io(path, "encode the event", error.into()))?;
    line.push(b'\n');
    if line.len() <= LINE_MAX_BYTES {
        return Ok(line);
    }
    let detail = format!("event of {} bytes exceeds the limit of {LINE_MAX_BYTES} bytes", line.len());
    Err(StateError::new(Kind::TooLarge, path, detail).hint("put long texts into the log instead"))
}

/// Whatever stands behind `end` is a torn line of a writer that died, or of a full disk.
fn write_line(file: &File, end: u64, line: &[u8]) -> io::Result<()> {
    if file.metadata()?.len() != end {
        file.set_len(end)?;
    }
    let written = file.write_all_at(line, end);
    if written.is_err() {
        // The next writer does the same, should this fail.
        file.set_len(end).ok();
    }
    written
}

fn tail_of(file: &File) -> io::Result<Tail> {
    let length = file.metadata()?.len();
    for take in TAIL_BYTES {
        let start = length.saturating_sub(take);
        let mut bytes = vec![0; usize::try_from(length - start).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, start)?;
        if let Some(tail) = last_line(&bytes, start) {
            return Ok(tail);
        }
        if start == 0 {
            let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
            return Ok(Tail { seq: 0, end: complete });
        }
    }
    Ok(Tail::default())
}

/// The last line with a number in `bytes`, which were read from `start`. A first line that began before is
/// not looked at.
fn last_line(bytes: &[u8], start: u64) -> Option<Tail> {
    let complete = bytes.iter().rposition(|byte| *byte == b'\n')? + 1;
    let mut rest = bytes.get(..complete - 1)?;
    loop {
        let begin = rest.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
        if begin.is_none() && start > 0 {
            return None;
        }
        if let Some(event) = scan::event_of(rest.get(begin.unwrap_or(0)..)?) {
            return Some(Tail { seq: event.seq, end: start + complete as u64 });
        }
        rest = rest.get(..begin?.checked_sub(1)?)?;
    }
}
