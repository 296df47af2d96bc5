//! What the shim does for its clients.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::console::Console;
use super::log::RollingLog;
use super::monitor::{Monitor, Owner};
use super::once::TooMany;
use super::peer::{Waiter, Wanted, answer_line, value};
use super::protocol::{Call, Failure, FailureCode, Request, StatusAnswer};
use super::server::Server;
use crate::limits::{CLIENTS_MAX, CONSOLES_MAX, LOG_MAX_BYTES};

impl Server {
    /// Takes the calls that a client made; lets the client go when it breaks the protocol.
    pub(crate) fn serve(&mut self, key: u64) {
        loop {
            let Some(peer) = self.peers.iter_mut().find(|peer| peer.key == key) else { return };
            match peer.next() {
                Ok(Some((request, fds))) => self.take_call(key, request, fds),
                Ok(None) => return,
                Err(()) => return self.drop_peer(key),
            }
        }
    }

    fn take_call(&mut self, key: u64, Request { id, call }: Request, fds: Vec<OwnedFd>) {
        let result = match call {
            Call::Status => value(&self.status()),
            Call::OutputTail => value(&self.tail.text()),
            Call::Events { after } => match self.ring.since(after) {
                Ok(events) => value(&events.collect::<Vec<_>>()),
                Err(_) => Err(events_lost(after)),
            },
            Call::Execute { command, arguments } => {
                return self.execute(key, id, &command, arguments.as_deref(), fds);
            }
            Call::WaitEvent { after, names, timeout_ms } => {
                let waiter = Waiter {
                    peer: key,
                    id,
                    wanted: Wanted::Event { after, names },
                    until: later(timeout_ms),
                };
                return self.wait_or_answer(waiter);
            }
            Call::AnswerOnce { event, commands, unless } => match self.once.put(event, commands, unless) {
                Ok(()) => value(&()),
                Err(TooMany) => {
                    let message = "too many events are answered once already".to_owned();
                    Err(Failure { code: FailureCode::Protocol, message })
                }
            },
            Call::OpenDoor { door } => self.open_door(*door, fds).and_then(|()| value(&())),
            Call::Connect { alias, trusted } => {
                return match self.connection(&alias, fds) {
                    Ok((door, connection)) => {
                        self.hand_over(&door, connection, trusted, Owner::Peer { key, id });
                    }
                    Err(failure) => self.answer(key, id, Err(failure)),
                };
            }
            Call::KeepConsole { alias } => self.keep_console(alias, fds).and_then(|()| value(&())),
            Call::Wait { timeout_ms } => {
                let waiter = Waiter { peer: key, id, wanted: Wanted::End, until: later(timeout_ms) };
                return self.wait_or_answer(waiter);
            }
            Call::End { graceful, timeout_ms } => {
                self.end_program(graceful, timeout_ms);
                return self.waiters.push(Waiter { peer: key, id, wanted: Wanted::End, until: None });
            }
            Call::Console { alias, replay } => return self.attach_console(key, id, &alias, replay),
        };
        self.answer(key, id, result);
    }

    fn status(&self) -> StatusAnswer {
        StatusAnswer {
            pid: self.identity.program.pid,
            started_unix_ms: self.identity.started_unix_ms,
            cursor: self.ring.cursor(),
            ended: self.ended.as_ref().map(|record| record.ending),
            monitored: self.monitor.as_ref().is_some_and(Monitor::ready),
        }
    }

    fn execute(
        &mut self,
        key: u64,
        id: u64,
        command: &str,
        arguments: Option<&serde_json::value::RawValue>,
        fds: Vec<OwnedFd>,
    ) {
        let owner = Owner::Peer { key, id };
        match self.monitor.as_mut().filter(|monitor| monitor.ready()) {
            Some(monitor) => {
                if let Err(broken) = monitor.send(command, arguments, fds, owner) {
                    self.lose_monitor(&broken);
                }
            }
            None => self.answer(key, id, Err(closed())),
        }
    }

    /// Asks or kills. Called again, the earlier moment of the kill counts.
    fn end_program(&mut self, graceful: bool, timeout_ms: u64) {
        self.end_wanted = true;
        if graceful {
            self.program.signal(Signal::TERM);
            let kill_at = later(timeout_ms);
            self.kill_at = match (self.kill_at, kill_at) {
                (Some(earlier), Some(later)) => Some(earlier.min(later)),
                (earlier, later) => earlier.or(later),
            };
        } else {
            self.program.signal(Signal::KILL);
        }
    }

    /// One that was there before by that alias, and that the program has closed, makes room.
    fn keep_console(&mut self, alias: String, fds: Vec<OwnedFd>) -> Result<(), Failure> {
        let refused = |message: String| Failure { code: FailureCode::Console, message };
        let socket = fds.into_iter().next().ok_or_else(|| refused("its descriptor was lost".into()))?;
        let mut buffer = std::mem::take(&mut self.buffer);
        let before = self.consoles.iter_mut().filter(|console| console.alias == alias);
        before.for_each(|console| console.drain(&mut buffer));
        self.buffer = buffer;
        self.consoles.retain(|console| console.alias != alias || console.guest().is_some());
        if self.consoles.iter().any(|console| console.alias == alias) {
            return Err(refused("the domain has a console of this alias".into()));
        }
        if self.consoles.len() >= CONSOLES_MAX {
            return Err(refused("the domain has too many consoles".into()));
        }
        let path = self.run.console_log_path(&alias).map_err(|error| refused(error.to_string()))?;
        let log = RollingLog::open(path, LOG_MAX_BYTES).map_err(|error| refused(error.to_string()))?;
        self.consoles.push(Console::new(alias, socket, log));
        Ok(())
    }

    fn attach_console(&mut self, key: u64, id: u64, alias: &str, replay: bool) {
        let refused =
            |message: &str| Err(Failure { code: FailureCode::Console, message: message.to_owned() });
        let attached: usize = self.consoles.iter().map(Console::client_count).sum();
        let Some(console) = self.consoles.iter_mut().find(|console| console.alias == alias) else {
            return self.answer(key, id, refused("the domain has no console of this alias"));
        };
        if attached >= CLIENTS_MAX {
            return self.answer(key, id, refused("too many clients are attached to the domain's consoles"));
        }
        if let Some(at) = self.peers.iter().position(|peer| peer.key == key) {
            let peer = self.peers.swap_remove(at);
            console.attach(peer.into_socket(), answer_line(id, value(&true)), replay);
        }
    }

    fn wait_or_answer(&mut self, waiter: Waiter) {
        if let Some(result) = self.outcome(&waiter) {
            return self.answer(waiter.peer, waiter.id, result);
        }
        self.waiters.push(waiter);
    }

    /// What a waiter gets now, if it has come.
    fn outcome(&self, waiter: &Waiter) -> Option<Result<Box<serde_json::value::RawValue>, Failure>> {
        match &waiter.wanted {
            Wanted::End => self.ended.as_ref().map(|record| value(&record.ending)),
            Wanted::Event { after, names } => match self.ring.first(*after, names) {
                Err(_) => Some(Err(events_lost(*after))),
                Ok(Some(event)) => Some(value(event)),
                Ok(None) if self.ended.is_some() => Some(value(&())),
                Ok(None) => None,
            },
        }
    }

    /// Answers all waiters whose time or event has come.
    pub(crate) fn wake(&mut self, now: Instant) {
        for waiter in std::mem::take(&mut self.waiters) {
            match self.outcome(&waiter) {
                Some(result) => self.answer(waiter.peer, waiter.id, result),
                None if waiter.until.is_some_and(|until| until <= now) => {
                    self.answer(waiter.peer, waiter.id, value(&()));
                }
                None => self.waiters.push(waiter),
            }
        }
    }
}

/// The moment after so many milliseconds; nothing when that is beyond all clocks.
fn later(timeout_ms: u64) -> Option<Instant> {
    Instant::now().checked_add(Duration::from_millis(timeout_ms))
}

pub(crate) fn closed() -> Failure {
    Failure {
        code: FailureCode::Closed,
        message: "the hypervisor has ended, or its monitor is closed".into(),
    }
}

fn events_lost(after: u64) -> Failure {
    let message = format!("events after {after} are gone; ask for the state and take a new cursor");
    Failure { code: FailureCode::EventsLost, message }
}
