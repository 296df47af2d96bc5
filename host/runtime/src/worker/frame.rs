//! The messages between the host and a worker, and how they are told apart in a stream: a length, then a message.
//!
//! One operation: the host sends [`Asked`], the worker any number of calls, each answered unless nobody waits for it,
//! then [`Finished`]. Before the first, [`Setup`] is answered with ready or failed. An operation that the host ends,
//! for whatever reason, ends its worker.

use super::wire::{Malformed, Reader, Wire};
use crate::error::RuntimeErrorKind;
use crate::limits::{self, InstanceLimits};
use crate::request::{Reply, Request};

/// Length of the length in front of a message.
const HEADER_BYTES: usize = 4;
/// Room that is made for what comes next.
const CHUNK_BYTES: usize = 16 << 10;

/// What the host tells a new worker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    /// The version of this host, which is the worker's too.
    pub(crate) version: String,
    /// The user to become; none to stay who it is.
    pub(crate) user: Option<u32>,
    /// What one instance may have.
    pub(crate) instance: InstanceLimits,
    /// Processor time of guest code in one operation, in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Stack of guest code, in bytes.
    pub(crate) stack_bytes: usize,
}

/// What the host asks of a worker.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The domain's place in the host's table.
    pub(crate) domain: Option<u32>,
    pub(crate) request: Request,
}

/// Why a driver gave no answer, as its worker saw it.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) kind: EndedKind,
    pub(crate) message: String,
    pub(crate) cause: String,
}

/// What ends a driver inside a worker. Everything else is decided by the host's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndedKind {
    Trap,
    Timeout,
    Memory,
}

impl EndedKind {
    pub(crate) fn of(kind: RuntimeErrorKind) -> Self {
        match kind {
            RuntimeErrorKind::Timeout => Self::Timeout,
            RuntimeErrorKind::Memory => Self::Memory,
            _ => Self::Trap,
        }
    }

    pub(crate) fn kind(self) -> RuntimeErrorKind {
        match self {
            Self::Trap => RuntimeErrorKind::Trap,
            Self::Timeout => RuntimeErrorKind::Timeout,
            Self::Memory => RuntimeErrorKind::Memory,
        }
    }
}

/// The end of an operation.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Processor time that the driver used, in nanoseconds.
    pub(crate) cpu_ns: u64,
    pub(crate) answer: Result<Reply, Ended>,
}

/// What a worker says.
#[derive(Debug)]
pub(crate) enum Said<'a> {
    /// The room is locked, and the driver is ready.
    Ready,
    /// The room or the driver is not to be had.
    Failed(String),
    /// A host call: its number in [`super::calls`], and its arguments.
    Call(u8, &'a [u8]),
    Finished(Finished),
}

const READY: u8 = 0;
const FAILED: u8 = 1;
const CALL: u8 = 2;
const FINISHED: u8 = 3;

impl<'a> Said<'a> {
    /// Reads what a worker sent.
    ///
    /// # Errors
    /// It is nothing that a worker says.
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let (tag, rest) = message.split_first().ok_or(Malformed("it is empty"))?;
        match *tag {
            READY if rest.is_empty() => Ok(Self::Ready),
            FAILED => arguments(rest).whole().map(Self::Failed),
            CALL => {
                let (number, arguments) = rest.split_first().ok_or(Malformed("a call without number"))?;
                Ok(Self::Call(*number, arguments))
            }
            FINISHED => {
                let (cpu_ns, answer) = arguments(rest).whole()?;
                Ok(Self::Finished(Finished { cpu_ns, answer }))
            }
            _ => Err(Malformed("a message of no kind")),
        }
    }
}

/// Reads values that a worker sent.
pub(crate) fn arguments(bytes: &[u8]) -> Reader<'_> {
    Reader::of_worker(bytes, limits::MESSAGE_MEMORY_BYTES)
}

/// A message with its length, ready to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing(Vec<u8>);

impl Outgoing {
    fn new(message: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut bytes = vec![0; HEADER_BYTES];
        message(&mut bytes);
        let length = u32::try_from(bytes.len().saturating_sub(HEADER_BYTES)).unwrap_or(u32::MAX);
        if let Some(header) = bytes.first_chunk_mut::<HEADER_BYTES>() {
            *header = length.to_le_bytes();
        }
        Self(bytes)
    }

    /// One value as a message.
    pub(crate) fn of(value: &impl Wire) -> Self {
        Self::new(|to| value.encode(to))
    }

    /// The end of the operation, from the worker.
    pub(crate) fn finished(finished: &Finished) -> Self {
        Self::new(|to| {
            to.push(FINISHED);
            finished.cpu_ns.encode(to);
            finished.answer.encode(to);
        })
    }

    pub(crate) fn ready() -> Self {
        Self::new(|to| to.push(READY))
    }

    pub(crate) fn failed(why: &str) -> Self {
        Self::new(|to| {
            to.push(FAILED);
            why.to_owned().encode(to);
        })
    }

    /// A host call, from the worker.
    pub(crate) fn call(number: u8, arguments: &impl Wire) -> Self {
        Self::new(|to| {
            to.extend_from_slice(&[CALL, number]);
            arguments.encode(to);
        })
    }

    /// The bytes to send.
    ///
    /// # Errors
    /// It is longer than a message may be, so the other side would not take it.
    pub(crate) fn bytes(&self) -> Result<&[u8], Malformed> {
        if self.0.len() > limits::ANSWER_BYTES.saturating_add(HEADER_BYTES) {
            return Err(Malformed("it is too long to be sent"));
        }
        Ok(&self.0)
    }
}

/// What has come in and is no whole message yet.
#[derive(Debug)]
pub(crate) struct Incoming {
    bytes: Vec<u8>,
    filled: usize,
    limit: usize,
}

impl Incoming {
    /// Nothing yet; messages of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), filled: 0, limit }
    }

    /// Room for what comes next: never more than twice what has come, and a little.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.bytes.len() < self.filled.saturating_add(CHUNK_BYTES) {
            self.bytes.resize(self.filled.saturating_mul(2).saturating_add(2 * CHUNK_BYTES), 0);
        }
        self.bytes.get_mut(self.filled..).unwrap_or_default()
    }

    /// So many bytes of the room have been filled.
    pub(crate) fn filled(&mut self, more: usize) {
        self.filled = self.filled.saturating_add(more).min(self.bytes.len());
    }

    /// Whether nothing has come in that was not taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// The next whole message.
    ///
    /// # Errors
    /// It says that it is longer than it may be.
    pub(crate) fn message(&mut self) -> Result<Option<Vec<u8>>, Malformed> {
        let come = self.bytes.get(..self.filled).unwrap_or_default();
        let Some((header, rest)) = come.split_first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*header)).unwrap_or(usize::MAX);
        if length > self.limit {
            return Err(Malformed("it is too long"));
        }
        let Some(message) = rest.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
        let used = HEADER_BYTES.saturating_add(length);
        self.bytes.copy_within(used..self.filled, 0);
        self.filled = self.filled.saturating_sub(used);
        Ok(Some(message))
    }
}

impl Wire for Setup {
    fn encode(&self, to: &mut Vec<u8>) {
        let Self { version, user, instance, cpu_ns, stack_bytes } = self;
        version.encode(to);
        user.encode(to);
        instance.encode(to);
        cpu_ns.encode(to);
        (*stack_bytes as u64).encode(to);
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (version, user, instance, cpu_ns) = Wire::decode(from)?;
        let stack_bytes = u64::decode(from)?;
        let stack_bytes = usize::try_from(stack_bytes).map_err(|_| Malformed("a limit too large"))?;
        Ok(Self { version, user, instance, cpu_ns, stack_bytes })
    }
}

impl Wire for InstanceLimits {
    fn encode(&self, to: &mut Vec<u8>) {
        let Self { memory_bytes, tables, table_elements, core_instances, handles, hostcall_bytes } = *self;
        for number in [memory_bytes, tables, table_elements, core_instances, handles, hostcall_bytes] {
            (number as u64).encode(to);
        }
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut next = || {
            u64::decode(from)
                .and_then(|number| usize::try_from(number).map_err(|_| Malformed("a limit too large")))
        };
        Ok(Self {
            memory_bytes: next()?,
            tables: next()?,
            table_elements: next()?,
            core_instances: next()?,
            handles: next()?,
            hostcall_bytes: next()?,
        })
    }
}

impl Wire for Asked {
    fn encode(&self, to: &mut Vec<u8>) {
        self.domain.encode(to);
        self.request.encode(to);
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (domain, request) = Wire::decode(from)?;
        Ok(Self { domain, request })
    }
}

impl Wire for Ended {
    fn encode(&self, to: &mut Vec<u8>) {
        to.push(match self.kind {
            EndedKind::Trap => 0,
            EndedKind::Timeout => 1,
            EndedKind::Memory => 2,
        });
        self.message.encode(to);
        self.cause.encode(to);
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let kind = match u8::decode(from)? {
            0 => EndedKind::Trap,
            1 => EndedKind::Timeout,
            2 => EndedKind::Memory,
            _ => return Err(Malformed("an end of no kind")),
        };
        let (message, cause) = Wire::decode(from)?;
        Ok(Self { kind, message, cause })
    }
}
