//! The shim's loop: one `poll` over the hypervisor, its monitor, its consoles and all clients.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use hostler_state::{RunDir, RunLock};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{SocketFlags, accept_with};
use rustix::process::{Signal, geteuid};
use serde_json::value::RawValue;

use super::calls::closed;
use super::companion::Companion;
use super::console::Console;
use super::door::OpenDoor;
use super::kept::{KeptFile, raw};
use super::log::{RollingLog, Tail};
use super::monitor::{Broken, Monitor, Owner};
use super::once::AnswersOnce;
use super::peer::{Peer, Waiter};
use super::program::Program;
use super::protocol::{Failure, FailureCode};
use super::record::{ExitRecord, ProcessRecord};
use super::request::{StartAnswer, StartFailure, StartRequest};
use super::ring::Ring;
use super::wire::{READ_BYTES, Wire};
use crate::limits::CLIENTS_MAX;
use crate::qmp::session::{Incoming, Refusal};

/// Time to tell the launcher, which is waiting and does nothing else.
const TELL: Duration = Duration::from_secs(5);

/// Everything a shim holds.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) run: RunDir,
    pub(crate) request: StartRequest,
    pub(crate) lock: Option<RunLock>,
    pub(crate) identity: ProcessRecord,
    pub(crate) listener: OwnedFd,
    pub(crate) launcher: Option<Wire>,
    pub(crate) program: Program,
    pub(crate) companions: Vec<Companion>,
    /// The end of a companion, of which the start failed.
    pub(crate) companion_failed: Option<String>,
    pub(crate) monitor: Option<Monitor>,
    pub(crate) consoles: Vec<Console>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) next_peer: u64,
    pub(crate) waiters: Vec<Waiter>,
    /// How connections to displays reach the program.
    pub(crate) doors: Vec<OpenDoor>,
    /// How many connections the program has not taken yet.
    pub(crate) handed_over: usize,
    pub(crate) ring: Ring,
    pub(crate) log: RollingLog,
    pub(crate) tail: Tail,
    /// Events that are answered in another way the next time.
    pub(crate) once: AnswersOnce,
    /// Until when the monitor must have answered; nothing once it has.
    pub(crate) ready_by: Option<Instant>,
    pub(crate) was_ready: bool,
    /// The monitor did not answer in time, so the program was killed.
    pub(crate) timed_out: bool,
    /// Somebody asked for the end.
    pub(crate) end_wanted: bool,
    pub(crate) kill_at: Option<Instant>,
    /// The data of `SHUTDOWN` events: the guest's own, else the last.
    pub(crate) shutdown: Option<serde_json::Value>,
    pub(crate) ended: Option<ExitRecord>,
    pub(crate) buffer: Vec<u8>,
}

/// What has something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Whoever waits for the start: it says nothing more, so this is its end.
    Launcher,
    Listener,
    Program,
    Output,
    Companion(usize),
    CompanionOutput(usize),
    Monitor,
    Console(usize),
    Door(usize),
    Peer(u64),
}

impl Server {
    /// Serves until the program has ended, and leaves everything in order.
    pub(crate) fn run(mut self) -> io::Result<()> {
        if self.monitor.is_none() {
            self.become_ready();
        }
        while self.ended.is_none() {
            for source in self.wait()? {
                self.handle(source);
            }
            self.pass_time(Instant::now());
        }
        self.farewell();
        Ok(())
    }

    /// Waits for something to do, or for the next moment at which something is due.
    fn wait(&self) -> io::Result<Vec<Source>> {
        let sources = self.sources();
        let mut watched: Vec<PollFd<'_>> =
            sources.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        let timeout = self.next_moment().map(|moment| {
            let left = moment.saturating_duration_since(Instant::now());
            Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::from(i32::MAX), tv_nsec: 0 })
        });
        match poll(&mut watched, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready: Vec<Source> = Vec::new();
        for ((source, _, _), watched) in sources.iter().zip(&watched) {
            if !watched.revents().is_empty() && ready.last() != Some(source) {
                ready.push(*source);
            }
        }
        Ok(ready)
    }

    fn sources(&self) -> Vec<(Source, BorrowedFd<'_>, PollFlags)> {
        let (input, output) = (PollFlags::IN, PollFlags::OUT);
        let flags = |read: bool, write: bool| {
            let none = PollFlags::empty();
            (if read { input } else { none }) | (if write { output } else { none })
        };
        let mut sources = vec![(Source::Program, self.program.pidfd.as_fd(), input)];
        if self.peers.len() < CLIENTS_MAX {
            sources.push((Source::Listener, self.listener.as_fd(), input));
        }
        sources.extend(self.launcher.iter().map(|launcher| (Source::Launcher, launcher.as_fd(), input)));
        sources.extend(self.program.output.iter().map(|fd| (Source::Output, fd.as_fd(), input)));
        for (index, companion) in self.companions.iter().enumerate() {
            sources.extend(companion.alive().map(|fd| (Source::Companion(index), fd, input)));
            let output = companion.program.output.iter();
            sources.extend(output.map(|fd| (Source::CompanionOutput(index), fd.as_fd(), input)));
        }
        if let Some((fd, waiting)) = self.monitor.as_ref().map(Monitor::side) {
            sources.push((Source::Monitor, fd, flags(true, waiting)));
        }
        for (index, console) in self.consoles.iter().enumerate() {
            let source = Source::Console(index);
            sources.extend(console.guest().map(|(fd, waiting)| (source, fd, flags(true, waiting))));
            sources.extend(console.sides().map(|(fd, read, waiting)| (source, fd, flags(read, waiting))));
        }
        let doors = self.doors.iter().enumerate().filter(|_| self.doors_are_open());
        sources.extend(doors.filter_map(|(index, open)| Some((Source::Door(index), open.socket()?, input))));
        for peer in &self.peers {
            let (fd, read, waiting) = peer.side();
            sources.push((Source::Peer(peer.key), fd, flags(read, waiting)));
        }
        // One that is neither read nor written would wake us for nothing when its other side is gone.
        sources.retain(|(_, _, flags)| !flags.is_empty());
        sources
    }

    fn next_moment(&self) -> Option<Instant> {
        let waiting = self.waiters.iter().filter_map(|waiter| waiter.until);
        let companions = self.companions.iter().filter_map(Companion::tell_at);
        waiting.chain(companions).chain(self.ready_by).chain(self.kill_at).min()
    }

    fn handle(&mut self, source: Source) {
        match source {
            Source::Program => self.reap(),
            Source::Launcher => self.lose_launcher(),
            Source::Listener => self.accept(),
            Source::Output => self.read_output(),
            Source::Companion(index) => self.reap_companion(index),
            Source::CompanionOutput(index) => {
                self.read_companion(index);
            }
            Source::Monitor => {
                self.read_monitor();
            }
            Source::Console(index) => {
                let mut buffer = std::mem::take(&mut self.buffer);
                if let Some(console) = self.consoles.get_mut(index) {
                    console.pump(&mut buffer);
                }
                self.buffer = buffer;
            }
            Source::Door(index) => self.admit(index),
            Source::Peer(key) => self.read_peer(key),
        }
    }

    fn pass_time(&mut self, now: Instant) {
        if self.ready_by.is_some_and(|moment| moment <= now) {
            self.ready_by = None;
            self.timed_out = true;
            self.program.signal(Signal::KILL);
        }
        if self.kill_at.is_some_and(|moment| moment <= now) {
            self.kill_at = None;
            self.program.signal(Signal::KILL);
        }
        self.tell_companions(now);
        self.wake(now);
        let gone: Vec<u64> =
            self.peers.iter_mut().filter_map(|peer| (!peer.flush()).then_some(peer.key)).collect();
        gone.into_iter().for_each(|key| self.drop_peer(key));
    }

    fn accept(&mut self) {
        // A client that is gone already, or no descriptor left: the next turn tries again.
        let Ok(socket) = accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) else {
            return;
        };
        let ours = geteuid();
        if socket_peercred(&socket).is_ok_and(|peer| peer.uid == ours || peer.uid.is_root()) {
            self.next_peer += 1;
            self.peers.push(Peer::new(self.next_peer, socket));
        }
    }

    fn read_peer(&mut self, key: u64) {
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.key == key) else { return };
        if peer.side().1 && !peer.fill(&mut self.buffer) {
            return self.drop_peer(key);
        }
        self.serve(key);
    }

    /// Forgets a client, and what it waited for.
    pub(crate) fn drop_peer(&mut self, key: u64) {
        self.peers.retain(|peer| peer.key != key);
        self.waiters.retain(|waiter| waiter.peer != key);
    }

    /// Queues an answer; a client that is gone gets none. Calls that had to wait are looked at again.
    pub(crate) fn answer(&mut self, key: u64, id: u64, result: Result<Box<RawValue>, Failure>) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.key == key) {
            peer.answer(id, result);
        }
    }

    pub(crate) fn read_output(&mut self) {
        let Some(output) = &self.program.output else { return };
        match rustix::io::read(output, self.buffer.as_mut_slice()) {
            Ok(0) => self.program.output = None,
            Ok(count) => {
                let bytes = self.buffer.get(..count).unwrap_or_default();
                self.log.write(bytes);
                self.tail.push(bytes);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.program.output = None,
        }
    }

    /// Reads once from the monitor and takes all that came; `true` when there may be more.
    pub(crate) fn read_monitor(&mut self) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        let read =
            self.monitor.as_mut().map(|monitor| monitor.flush().and_then(|()| monitor.fill(&mut buffer)));
        self.buffer = buffer;
        match read {
            None => false,
            Some(Err(broken)) => {
                self.lose_monitor(&broken);
                false
            }
            Some(Ok(more)) => {
                self.take_incoming();
                more && self.monitor.is_some()
            }
        }
    }

    fn take_incoming(&mut self) {
        while let Some(monitor) = &mut self.monitor {
            match monitor.take_next() {
                Ok(Some(incoming)) => self.incoming(incoming),
                Ok(None) => return,
                Err(broken) => return self.lose_monitor(&broken),
            }
        }
    }

    fn incoming(&mut self, incoming: Incoming<Owner>) {
        match incoming {
            Incoming::Ready => self.become_ready(),
            Incoming::Answer { tag: Owner::Peer { key, id }, result } => {
                let result = result.map_err(|Refusal { class, text }| Failure {
                    code: FailureCode::Hypervisor(class),
                    message: text,
                });
                self.answer(key, id, result);
                self.serve(key);
            }
            Incoming::Answer { tag: Owner::Reaction(command), result } => {
                if let Err(Refusal { text, .. }) = result {
                    self.note(&format!("reaction '{command}' was refused: {text}"));
                }
            }
            Incoming::Answer { tag: Owner::HandedOver(command), result } => {
                self.handed_over = self.handed_over.saturating_sub(1);
                if let Err(Refusal { text, .. }) = result {
                    self.note(&format!("a connection to a display was not taken ('{command}'): {text}"));
                }
            }
            Incoming::Answer { tag: Owner::Kept(command, begun), result } => {
                let ended = match result {
                    Ok(_) => begun.finish().map(|path| format!("'{command}' wrote {}", path.display())),
                    Err(Refusal { text, .. }) => {
                        begun.give_up().map(|()| format!("reaction '{command}' was refused: {text}"))
                    }
                };
                let told = ended.unwrap_or_else(|error| format!("the file of '{command}' stays: {error}"));
                self.note(&told);
            }
            Incoming::Event { name, data } => self.event(name, data.as_deref()),
            // The monitor negotiates by itself.
            Incoming::Negotiate(_) => {}
        }
    }

    fn event(&mut self, name: String, data: Option<&RawValue>) {
        let commands = self.once.take(&name).unwrap_or_else(|| {
            let reactions = self.request.reactions.iter().filter(|reaction| reaction.event == name);
            reactions.flat_map(|reaction| reaction.commands.iter().cloned()).collect()
        });
        if name == "SHUTDOWN" {
            self.remember_shutdown(data);
        }
        self.ring.push(name, data, Instant::now());
        for command in commands {
            if self.monitor.as_ref().is_some_and(Monitor::overloaded) {
                // A storm of events, or reactions that feed each other: memory must not grow with it.
                return self.note("the hypervisor answers too slowly, so a reaction was left out");
            }
            if let Some(kept) = self.request.kept.get(&command).cloned() {
                self.write_kept(command, &kept);
            } else {
                let owner = Owner::Reaction(command.clone());
                self.send(&command, None, Vec::new(), owner);
            }
        }
    }

    pub(crate) fn send(
        &mut self,
        command: &str,
        arguments: Option<&RawValue>,
        fds: Vec<OwnedFd>,
        owner: Owner,
    ) {
        let sent = self.monitor.as_mut().map(|monitor| monitor.send(command, arguments, fds, owner));
        if let Some(Err(broken)) = sent {
            self.lose_monitor(&broken);
        }
    }

    /// Has the program write a file. Without one, what follows the event follows all the same.
    fn write_kept(&mut self, command: String, kept: &KeptFile) {
        let (file, begun) = match kept.begin() {
            Ok(begun) => begun,
            Err(error) => return self.note(&format!("there is no file for '{command}': {error}")),
        };
        let owner = Owner::Reaction(kept.give.clone());
        self.send(&kept.give, raw(&kept.given).as_deref(), vec![file], owner);
        let owner = Owner::Kept(command.clone(), begun);
        self.send(&command, raw(&kept.arguments).as_deref(), Vec::new(), owner);
    }

    /// The guest's own wish is not overwritten by the host's `quit` that follows it.
    fn remember_shutdown(&mut self, data: Option<&RawValue>) {
        let guests =
            |data: &serde_json::Value| data.get("guest").and_then(serde_json::Value::as_bool) == Some(true);
        if !self.shutdown.as_ref().is_some_and(guests) {
            let data = data.and_then(|data| serde_json::from_str(data.get()).ok());
            self.shutdown = Some(data.unwrap_or(serde_json::Value::Null));
        }
    }

    fn become_ready(&mut self) {
        self.ready_by = None;
        self.was_ready = true;
        self.send_answer(&StartAnswer::Ready);
    }

    /// Tells the launcher that the start failed; the program's last words go along.
    pub(crate) fn tell(&mut self, kind: StartFailure, message: &str) {
        let answer = StartAnswer::Failed { kind, message: message.to_owned(), tail: self.tail.text() };
        self.send_answer(&answer);
    }

    fn send_answer(&mut self, answer: &StartAnswer) {
        if let (Some(mut launcher), Ok(line)) = (self.launcher.take(), serde_json::to_vec(answer)) {
            // A launcher that died meanwhile is no reason to end the guest: the next owner reattaches.
            launcher.send(&line, &[], Instant::now() + TELL).ok();
        }
    }

    /// A start that nobody waits for any more is no start: the next owner may have settled already that there is none.
    fn lose_launcher(&mut self) {
        self.launcher = None;
        self.note("whoever started this is gone, before it was ready");
        self.program.signal(Signal::KILL);
    }

    /// Lets the monitor go. Before it was ready, that is the end of the start.
    pub(crate) fn lose_monitor(&mut self, broken: &Broken) {
        let Some(monitor) = self.monitor.take() else { return };
        self.doors.clear();
        if let Broken::Breach(breach) = broken {
            self.note(&format!("the monitor broke the protocol ({breach:?}) and was closed"));
        }
        for owner in monitor.abandon() {
            if let Owner::Peer { key, id } = owner {
                self.answer(key, id, Err(closed()));
            }
        }
        if !self.was_ready {
            // It is ending, or of no use: its exit status and last words are worth more than this.
            self.program.signal(Signal::KILL);
        }
    }

    /// A line of the shim's own in the program's log.
    pub(crate) fn note(&mut self, text: &str) {
        let line = format!("hostler-shim: {}\n", text.escape_debug());
        self.log.write(line.as_bytes());
    }
}

/// Room for one read.
pub(crate) fn new_buffer() -> Vec<u8> {
    vec![0; READ_BYTES]
}
