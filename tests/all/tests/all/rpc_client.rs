//! A client of our own that outlives its daemon: what it called last is then known to be unanswered.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use hostler_rpc::error::RpcError;
use hostler_rpc::frame::{Assembler, Frame, FrameKind, Header, Status};
use hostler_rpc::procedure::{Call, program};
use hostler_rpc::wire::{ConnectOpen, DomainHandle, DomainLookupByName};
use hostler_rpc::xdr::{Xdr, decode, encode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long an answer may take on a loaded machine.
const ANSWER_WAIT: Duration = Duration::from_secs(120);

/// One connection.
pub(crate) struct RpcClient {
    socket: UnixStream,
    assembler: Assembler,
    serial: u32,
}

/// What came of a call.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    Answered(T),
    Refused(RpcError),
    /// The daemon is gone, and nobody knows how far it came.
    Gone,
}

impl<T> Outcome<T> {
    /// The answer of a call that has to succeed.
    pub(crate) fn unwrap(self) -> T {
        match self {
            Self::Answered(answer) => answer,
            Self::Refused(error) => panic!("refused: {error:?}"),
            Self::Gone => panic!("the daemon is gone"),
        }
    }
}

impl RpcClient {
    /// Connects and opens the host; nothing when nobody is there.
    pub(crate) fn open(socket: &Path) -> Option<Self> {
        let socket = UnixStream::connect(socket).ok()?;
        socket.set_read_timeout(Some(ANSWER_WAIT)).unwrap();
        let mut client = Self { socket, assembler: Assembler::default(), serial: 0 };
        match client.call(ConnectOpen::NUMBER, &ConnectOpen { name: None, flags: 0 }) {
            Outcome::Gone => None,
            opened => {
                opened.unwrap();
                Some(client)
            }
        }
    }

    /// Calls, and waits for what comes of it.
    pub(crate) fn call<C: Call>(&mut self, number: i32, call: &C) -> Outcome<C::Answer> {
        self.send(number, call);
        self.answer()
    }

    /// Calls, and waits for nothing. Who is gone is seen where an answer is waited for.
    pub(crate) fn send(&mut self, procedure: i32, call: &impl Xdr) {
        self.frame(procedure, FrameKind::Call, Status::Good, encode(call).unwrap());
    }

    /// Whether nothing has come since the last answer that was waited for.
    pub(crate) fn is_unanswered(&self) -> bool {
        let mut polled = [PollFd::new(&self.socket, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 0
    }

    /// Sends a frame of the last call, or of the next for a call.
    pub(crate) fn frame(&mut self, procedure: i32, kind: FrameKind, status: Status, payload: Vec<u8>) {
        if kind == FrameKind::Call {
            self.serial += 1;
        }
        let (program, version) = (program::REMOTE, program::VERSION);
        let header = Header { program, version, procedure, kind, serial: self.serial, status };
        let bytes = Frame::new(header, payload).to_bytes().unwrap();
        self.socket.write_all(&bytes).ok();
    }

    /// The answer to the last call, or how its stream ended.
    pub(crate) fn answer<A: Xdr>(&mut self) -> Outcome<A> {
        match self.next() {
            None => Outcome::Gone,
            Some(frame) if frame.header.status == Status::Failed => {
                Outcome::Refused(decode(&frame.payload).unwrap())
            }
            Some(frame) => Outcome::Answered(decode(&frame.payload).unwrap()),
        }
    }

    fn next(&mut self) -> Option<Frame> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            while let Some(frame) = self.assembler.next_frame().unwrap() {
                if matches!(frame.header.kind, FrameKind::Reply | FrameKind::Stream) {
                    return Some(frame);
                }
            }
            match self.socket.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => self.assembler.push(&buffer[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no answer: {error}"),
            }
        }
    }

    pub(crate) fn domain(&mut self, name: &str) -> Outcome<DomainHandle> {
        let call = DomainLookupByName { name: name.to_owned() };
        match self.call(DomainLookupByName::NUMBER, &call) {
            Outcome::Answered(found) => Outcome::Answered(found.dom),
            Outcome::Refused(error) => Outcome::Refused(error),
            Outcome::Gone => Outcome::Gone,
        }
    }
}
