//! The helpers of a hypervisor: started before it, watched while it runs, ended with it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use super::entry::Failed;
use super::finish::words;
use super::program::{NotStarted, Program};
use super::record::{CompanionRecord, Ending};
use super::request::CompanionRequest;
use super::server::Server;
use crate::process;

/// The kind of event that the shim appends to the state directory's log when a helper has ended before its guest.
pub const COMPANION_ENDED: &str = "companion-ended";
/// How long a helper may be gone before its hypervisor: as a rule both end at once, and that is no event.
const APART: Duration = Duration::from_secs(1);
/// Time for helpers to put in order what they keep, once their hypervisor has ended.
const LEAVE: Duration = Duration::from_secs(2);

/// One helper.
#[derive(Debug)]
pub(crate) struct Companion {
    name: String,
    template: String,
    pub(crate) program: Program,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Runs,
    /// Nobody was told yet: the hypervisor may be ending too.
    Ended {
        how: Ending,
        tell_at: Instant,
    },
    Told,
}

/// Why nothing was started: a companion was not.
pub(crate) fn not_started(name: &str, error: NotStarted) -> Failed {
    match error {
        NotStarted::Io(error) => {
            Failed::shim("start a companion")(io::Error::other(format!("'{name}': {error}")))
        }
        NotStarted::NoCage(mut failure) => {
            failure.message = format!("for the companion '{name}': {}", failure.message);
            Failed::NoCage(failure)
        }
    }
}

impl Companion {
    pub(crate) fn new(request: &CompanionRequest, program: Program) -> Self {
        let CompanionRequest { name, template, .. } = request;
        Self { name: name.clone(), template: template.clone(), program, state: State::Runs }
    }

    pub(crate) fn record(&self) -> io::Result<CompanionRecord> {
        Ok(CompanionRecord {
            name: self.name.clone(),
            template: self.template.clone(),
            process: process::identify(self.program.pid)?,
            cage: self.program.cage.clone(),
        })
    }

    /// What is watched while it runs.
    pub(crate) fn alive(&self) -> Option<BorrowedFd<'_>> {
        matches!(self.state, State::Runs).then(|| self.program.pidfd.as_fd())
    }

    /// When its end is to be told.
    pub(crate) fn tell_at(&self) -> Option<Instant> {
        match self.state {
            State::Ended { tell_at, .. } => Some(tell_at),
            State::Runs | State::Told => None,
        }
    }
}

impl Server {
    /// Takes a companion's exit status, if it has one. Before the hypervisor answers, that is the end of the start.
    pub(crate) fn reap_companion(&mut self, index: usize) {
        let Some(companion) = self.companions.get_mut(index) else { return };
        let how = match companion.program.reap() {
            Ok(None) => return,
            Ok(Some(ending)) => ending,
            // Reaped by nobody else, so this says that it is gone unseen.
            Err(_) => Ending::Unknown,
        };
        companion.state = State::Ended { how, tell_at: Instant::now() + APART };
        let Companion { name, template, .. } = &*companion;
        let text = format!("the companion '{name}' ({template}) ended ({})", words(how));
        self.read_companion(index);
        if !self.was_ready {
            self.companion_failed.get_or_insert(text);
            self.program.signal(Signal::KILL);
        }
    }

    /// Tells of companions that have ended while their hypervisor goes on.
    pub(crate) fn tell_companions(&mut self, now: Instant) {
        let (mut notes, mut events) = (Vec::new(), Vec::new());
        for companion in &mut self.companions {
            let State::Ended { how, tell_at } = companion.state else { continue };
            if tell_at > now {
                continue;
            }
            companion.state = State::Told;
            let mut detail = BTreeMap::from([
                ("companion".to_owned(), companion.name.clone()),
                ("program".to_owned(), companion.template.clone()),
                ("guest".to_owned(), "runs on without it".to_owned()),
            ]);
            match how {
                Ending::Exited(status) => drop(detail.insert("exit-status".into(), status.to_string())),
                Ending::Killed(signal) => drop(detail.insert("signal".into(), signal.to_string())),
                Ending::Unknown => {}
            }
            let Companion { name, template, .. } = &*companion;
            notes.push(format!(
                "the companion '{name}' ({template}) ended before its hypervisor ({})",
                words(how)
            ));
            events.push(detail);
        }
        notes.iter().for_each(|text| self.note(text));
        for detail in events {
            if let Err(error) = self.append_event(COMPANION_ENDED, detail) {
                self.note(&format!("the event of a companion's end: {error}"));
            }
        }
    }

    /// Reads once from a companion's output, into the same log as the program's; `true` when something came.
    pub(crate) fn read_companion(&mut self, index: usize) -> bool {
        let Some(companion) = self.companions.get_mut(index) else { return false };
        let Some(output) = &companion.program.output else { return false };
        match rustix::io::read(output, self.buffer.as_mut_slice()) {
            Ok(0) => companion.program.output = None,
            Ok(count) => {
                let bytes = self.buffer.get(..count).unwrap_or_default();
                self.log.write(bytes);
                self.tail.push(bytes);
                return true;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => companion.program.output = None,
        }
        false
    }

    /// Asks those that still run to end, and gives them a moment. Whoever does not go is killed with all strays.
    pub(crate) fn end_companions(&mut self) {
        for companion in &self.companions {
            if companion.alive().is_some() {
                companion.program.signal(Signal::TERM);
            }
        }
        let until = Instant::now() + LEAVE;
        loop {
            for companion in &mut self.companions {
                if matches!(companion.state, State::Runs) && !matches!(companion.program.reap(), Ok(None)) {
                    companion.state = State::Told;
                }
            }
            let mut watched: Vec<PollFd<'_>> = self
                .companions
                .iter()
                .filter_map(Companion::alive)
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
                .collect();
            let left = until.saturating_duration_since(Instant::now());
            if watched.is_empty() || left.is_zero() {
                return;
            }
            let timeout = Timespec::try_from(left).unwrap_or_default();
            match poll(&mut watched, Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}
