//! The end of a program: its last words, the record, and the news to all.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use hostler_state::{EventLog, NewEvent, RunRecord, unix_ms};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::console::Console;
use super::peer::Peer;
use super::program::end_strays;
use super::record::{Ending, ExitRecord, StopReason};
use super::request::StartFailure;
use super::server::Server;
use crate::control_group::remove;
use crate::limits::FAREWELL;

/// The kind of event that the shim appends to the state directory's log.
pub const STOPPED: &str = "stopped";
/// Reads of a dying program's outputs; what is beyond is a flood.
const LAST_READS: usize = 1_024;

impl Server {
    /// Takes the program's exit status, if it has one.
    pub(crate) fn reap(&mut self) {
        match self.program.reap() {
            Ok(Some(ending)) => self.end(ending),
            Ok(None) => {}
            // Reaped by nobody else, so this says that it is gone unseen.
            Err(_) => self.end(Ending::Unknown),
        }
    }

    /// Everything in its order: whoever hears of the end finds the records written and the lock free.
    fn end(&mut self, ending: Ending) {
        self.end_companions();
        if let Err(error) = end_strays() {
            self.note(&format!("processes that the program left behind: {error}"));
        }
        let own = self.request.group.iter().map(|seat| &seat.group);
        let groups = own.chain(&self.request.later_groups);
        for error in groups.filter_map(|group| remove(group).err()).collect::<Vec<_>>() {
            self.note(&format!("the control group: {error}"));
        }
        self.drain();
        let record = ExitRecord {
            ending,
            reason: self.reason(ending),
            shutdown: self.shutdown.take(),
            ended_unix_ms: unix_ms(),
            tail: self.tail.text(),
        };
        if let Err(error) = self.run.write(RunRecord::Exit, &record) {
            self.note(&format!("the record of the end: {error}"));
        }
        if let Err(error) = self.append_event(STOPPED, details(&record)) {
            self.note(&format!("the event of the end: {error}"));
        }
        if let Err(error) = std::fs::remove_file(self.run.socket_path())
            && error.kind() != io::ErrorKind::NotFound
        {
            self.note(&format!("the shim's socket: {error}"));
        }
        self.ended = Some(record);
        self.lock = None;
        if !self.was_ready {
            self.tell_failure(ending);
        }
    }

    fn tell_failure(&mut self, ending: Ending) {
        if self.timed_out {
            return self.tell(StartFailure::TimedOut, "the hypervisor's monitor did not answer in time");
        }
        if let Some(message) = self.companion_failed.take() {
            return self.tell(StartFailure::Hypervisor, &message);
        }
        let message = format!("the hypervisor ended before its monitor answered ({})", words(ending));
        self.tell(StartFailure::Hypervisor, &message);
    }

    /// Takes what was written before the end: it holds the reason.
    fn drain(&mut self) {
        for _ in 0..LAST_READS {
            if !self.read_monitor() {
                break;
            }
        }
        for _ in 0..LAST_READS {
            let before = self.log.written();
            self.read_output();
            if self.program.output.is_none() || self.log.written() == before {
                break;
            }
        }
        for index in 0..self.companions.len() {
            for _ in 0..LAST_READS {
                if !self.read_companion(index) {
                    break;
                }
            }
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        self.consoles.iter_mut().for_each(|console| console.drain(&mut buffer));
        self.buffer = buffer;
    }

    fn reason(&self, ending: Ending) -> StopReason {
        let guests =
            self.shutdown.as_ref().map(|data| data.get("guest").and_then(serde_json::Value::as_bool));
        match (self.was_ready, self.end_wanted, guests, ending) {
            (false, ..) => StopReason::Failed,
            (_, true, ..) => StopReason::Destroyed,
            (_, _, Some(Some(true)), Ending::Exited(0)) => StopReason::Shutdown,
            (_, _, Some(_), Ending::Exited(0)) => StopReason::Destroyed,
            // A program without a monitor says by its status alone how it went.
            (_, _, None, Ending::Exited(0)) if !self.request.monitor => StopReason::Shutdown,
            _ => StopReason::Crashed,
        }
    }

    /// Appends to the log of the state directory.
    pub(crate) fn append_event(
        &self,
        kind: &str,
        detail: BTreeMap<String, String>,
    ) -> Result<(), hostler_state::StateError> {
        // The run directory is `<root>/run/<uuid>`.
        let Some(root) = self.run.path().parent().and_then(|run| run.parent()) else { return Ok(()) };
        let (domain, name) = (self.run.domain(), self.request.domain_name.clone());
        EventLog::at(root).append(NewEvent { domain, name, kind: kind.to_owned(), detail }).map(drop)
    }

    /// Gives everybody who is still connected the news, and the rest of the consoles' bytes, within a second.
    pub(crate) fn farewell(&mut self) {
        let until = Instant::now() + FAREWELL;
        self.wake(until);
        loop {
            self.peers.retain_mut(|peer| peer.flush() && !peer.sent());
            self.consoles.iter_mut().for_each(Console::flush);
            let waiting: Vec<BorrowedFd<'_>> = self.unsent().collect();
            let left = until.saturating_duration_since(Instant::now());
            if waiting.is_empty() || left.is_zero() {
                return;
            }
            let mut watched: Vec<PollFd<'_>> =
                waiting.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::OUT)).collect();
            let timeout = Timespec::try_from(left).unwrap_or_default();
            if poll(&mut watched, Some(&timeout)).is_err() {
                return;
            }
        }
    }

    /// The connections of those who have not taken everything yet.
    fn unsent(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let peers = self.peers.iter().map(Peer::side);
        let sides = peers.chain(self.consoles.iter().flat_map(Console::sides));
        sides.filter(|(_, _, waiting)| *waiting).map(|(fd, _, _)| fd)
    }
}

/// What the event of the end says.
fn details(record: &ExitRecord) -> BTreeMap<String, String> {
    let mut detail = BTreeMap::from([("reason".to_owned(), record.reason.word().to_owned())]);
    match record.ending {
        Ending::Exited(status) => drop(detail.insert("exit-status".into(), status.to_string())),
        Ending::Killed(signal) => drop(detail.insert("signal".into(), signal.to_string())),
        Ending::Unknown => {}
    }
    detail
}

pub(crate) fn words(ending: Ending) -> String {
    match ending {
        Ending::Exited(status) => format!("exit status {status}"),
        Ending::Killed(signal) => format!("killed by signal {signal}"),
        Ending::Unknown => "unseen".into(),
    }
}
