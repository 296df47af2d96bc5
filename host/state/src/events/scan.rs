//! Reading the log from a cursor, and noticing what is not there any more.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use super::{Event, EventLog, LINE_MAX_BYTES};
use crate::error::StateError;

/// How every line begins, so that lines before the cursor are passed over without parsing them.
const LINE_START: &[u8] = b"{\"seq\":";

/// What a reader missed: the events after `cursor` and before `resumes_at` are not in the log any more.
/// When `resumes_at` is not beyond `cursor`, the log itself was lost and begins anew there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last event that the reader has seen.
    pub cursor: u64,
    /// The next event there is, or will be.
    pub resumes_at: u64,
}

/// Events after a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The events, in order.
    pub events: Vec<Event>,
    /// What is missing before or between them; usually empty.
    pub gaps: Vec<Gap>,
    /// The cursor to continue from.
    pub next: u64,
}

/// How far one open log file has been read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) file: File,
    pub(super) offset: u64,
}

impl EventLog {
    /// The events after `cursor`, which is the `seq` of the last event seen, or 0 for all there are.
    ///
    /// # Errors
    /// [`crate::Kind::Busy`] when the log stays locked for 5 s, or [`crate::Kind::Io`].
    pub fn read_since(&self, cursor: u64) -> Result<Batch, StateError> {
        Ok(self.snapshot(cursor)?.0)
    }

    /// Reads both files from their start; also returns the current one, to be read on.
    pub(super) fn snapshot(&self, cursor: u64) -> Result<(Batch, Option<Reading>), StateError> {
        let failed = |error| StateError::io(&self.current(), "read the event log", error);
        // Opened together under the lock, so that no rotation comes between; read after it.
        let guard = self.lock_to_read()?;
        let files = [self.previous(), self.current()].map(File::open);
        drop(guard);
        let mut batch = Batch { next: cursor, ..Batch::default() };
        let (mut last, mut current) = (0, None);
        for file in files {
            current = match file {
                Ok(file) => {
                    let mut reading = Reading { file, offset: 0 };
                    last = last.max(reading.advance(&mut batch).map_err(failed)?);
                    Some(reading)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(failed(error)),
            };
        }
        if last < cursor {
            batch.gaps.push(Gap { cursor, resumes_at: last + 1 });
            batch.next = last;
        }
        Ok((batch, current))
    }
}

impl Reading {
    /// Adds the complete lines that were not read yet; returns the last number seen, 0 for none.
    pub(super) fn advance(&mut self, batch: &mut Batch) -> io::Result<u64> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(self.offset))?;
        // Other writers may append while this reads: what is one file's worth is enough, the rest comes next.
        let limit = super::ROTATE_AT_BYTES + LINE_MAX_BYTES as u64;
        (&self.file).take(limit).read_to_end(&mut bytes)?;
        let Some(complete) = bytes.iter().rposition(|byte| *byte == b'\n') else { return Ok(0) };
        self.offset += complete as u64 + 1;
        let mut last = 0;
        for line in bytes.get(..complete).unwrap_or_default().split(|byte| *byte == b'\n') {
            let Some(seq) = seq_of(line) else { continue };
            if seq <= batch.next {
                last = last.max(seq);
            } else if let Some(event) = event_of(line) {
                last = last.max(seq);
                batch.push(event);
            }
        }
        Ok(last)
    }
}

impl Batch {
    fn push(&mut self, event: Event) {
        // Cursor 0 asks for what there is: nothing is missing before the first.
        if self.next != 0 && event.seq != self.next + 1 {
            self.gaps.push(Gap { cursor: self.next, resumes_at: event.seq });
        }
        self.next = event.seq;
        self.events.push(event);
    }
}

/// The event in a line, unless the line is damaged.
pub(super) fn event_of(line: &[u8]) -> Option<Event> {
    let event: Event = serde_json::from_slice(line).ok()?;
    (Some(event.seq) == seq_of(line)).then_some(event)
}

fn seq_of(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(LINE_START)?;
    let digits = rest.split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|seq| *seq < u64::MAX)
}
