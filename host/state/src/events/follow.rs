//! Following the log as it grows, woken by the kernel.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Instant;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use super::scan::{Batch, Gap, Reading};
use super::{Event, EventLog};
use crate::error::StateError;

/// Room for the notifications taken at once, in bytes; what does not fit is taken with the next call.
const NOTICE_BYTES: usize = 4096;

/// What a follower sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// The next event.
    Event(Event),
    /// Events were missed.
    Gap(Gap),
}

/// A blocking iterator over the events after a cursor. Ends at its deadline or when cancelled, and an error
/// is its last item. [`Follow::cursor`] then says where to continue.
#[derive(Debug)]
pub struct Follow {
    log: EventLog,
    cursor: u64,
    deadline: Option<Instant>,
    ready: VecDeque<Followed>,
    reading: Option<Reading>,
    notices: OwnedFd,
    cancel: Arc<OwnedFd>,
    ended: bool,
}

/// Ends a [`Follow`] from another thread, for good.
#[derive(Clone, Debug)]
pub struct Cancel(Arc<OwnedFd>);

impl Cancel {
    /// Ends it now, also when it is waiting.
    ///
    /// # Errors
    /// Whatever the operating system answers.
    pub fn cancel(&self) -> io::Result<()> {
        rustix::io::write(&*self.0, &1_u64.to_ne_bytes())?;
        Ok(())
    }
}

impl EventLog {
    /// Follows the log from `cursor` (the last `seq` seen, or 0 for all there are) until `deadline`, if any.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`] when there is no state directory; [`crate::Kind::Io`].
    pub fn follow(&self, cursor: u64, deadline: Option<Instant>) -> Result<Follow, StateError> {
        let failed = |error: Errno| StateError::io(&self.root, "watch the state directory", error.into());
        let notices = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(failed)?;
        // The directory, not the file: rotation puts another file in its place.
        let changes = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        inotify::add_watch(&notices, &self.root, changes).map_err(failed)?;
        let cancel = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed)?);
        let (ready, reading, log) = (VecDeque::new(), None, self.clone());
        Ok(Follow { log, cursor, deadline, ready, reading, notices, cancel, ended: false })
    }
}

impl Follow {
    /// What ends this from another thread.
    #[must_use]
    pub fn canceller(&self) -> Cancel {
        Cancel(self.cancel.clone())
    }

    /// The cursor behind the last item returned.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        match self.ready.front() {
            Some(Followed::Event(event)) => event.seq - 1,
            Some(Followed::Gap(gap)) => gap.cursor,
            None => self.cursor,
        }
    }

    fn next_item(&mut self) -> Result<Option<Followed>, StateError> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            self.fill()?;
            if self.ready.is_empty() && !self.wait()? {
                return Ok(None);
            }
        }
    }

    fn fill(&mut self) -> Result<(), StateError> {
        let mut batch = Batch { next: self.cursor, ..Batch::default() };
        if let Some(reading) = &mut self.reading {
            let failed = |error| StateError::io(&self.log.current(), "read the event log", error);
            reading.advance(&mut batch).map_err(failed)?;
            let here = reading.file.metadata().map_err(failed)?;
            let current = std::fs::metadata(self.log.current()).ok();
            if batch.events.is_empty()
                && current.map(|now| (now.dev(), now.ino())) != Some((here.dev(), here.ino()))
            {
                self.reading = None;
            }
        }
        if self.reading.is_none() {
            (batch, self.reading) = self.log.snapshot(self.cursor)?;
        }
        self.cursor = batch.next;
        self.ready = in_order(batch);
        Ok(())
    }

    /// Waits for a change; `false` at the deadline and when cancelled.
    fn wait(&self) -> Result<bool, StateError> {
        let failed = |error: Errno| StateError::io(&self.log.root, "wait for events", error.into());
        loop {
            let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let mut fds =
                [PollFd::new(&self.notices, PollFlags::IN), PollFd::new(&*self.cancel, PollFlags::IN)];
            match poll(&mut fds, timeout.as_ref()) {
                Ok(0) => return Ok(false),
                Err(Errno::INTR) => continue,
                polled => polled.map_err(failed)?,
            };
            let [_, cancel] = &fds;
            if !cancel.revents().is_empty() {
                return Ok(false);
            }
            // What they say does not matter: the log is read to its end in any case.
            let mut notice = [0_u8; NOTICE_BYTES];
            return match rustix::io::read(&self.notices, &mut notice) {
                Ok(_) | Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(true),
                Err(error) => Err(failed(error)),
            };
        }
    }
}

impl Iterator for Follow {
    type Item = Result<Followed, StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.next_item();
        self.ended = !matches!(item, Ok(Some(_)));
        item.transpose()
    }
}

/// Each gap before the event it ends at; a gap at the end of the log comes last.
fn in_order(batch: Batch) -> VecDeque<Followed> {
    let mut gaps = batch.gaps.into_iter().peekable();
    let mut items = VecDeque::new();
    for event in batch.events {
        items.extend(gaps.next_if(|gap| gap.resumes_at == event.seq).map(Followed::Gap));
        items.push_back(Followed::Event(event));
    }
    items.extend(gaps.map(Followed::Gap));
    items
}
