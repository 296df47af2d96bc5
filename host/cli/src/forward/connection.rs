//! A connection to a daemon, for one command.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::frame::{Assembler, Frame, FrameKind, Header, Status};
use hostler_rpc::own::CommandRun;
use hostler_rpc::procedure::{Call, program};
use hostler_rpc::wire::{AuthList, ConnectOpen};
use hostler_rpc::xdr::{decode, encode};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::exit::Exit;
use crate::failure::Failure;

/// Time between two tries to reach a daemon that has the state directory and does not listen yet.
const RETRY: Duration = Duration::from_millis(20);
/// Bytes that are read at once. Answers are short.
const READ_BYTES: usize = 4 << 10;

/// An open connection.
pub(super) struct Connection {
    socket: UnixStream,
    assembler: Assembler,
    serial: u32,
}

/// Why a call has no answer.
enum Unanswered {
    /// The daemon says so.
    Refused(RpcError),
    /// It is gone, or says what cannot be understood.
    Broken(io::Error),
}

impl Connection {
    /// Connects to a daemon that may be about to listen, for as long as this.
    pub(super) fn open(path: &Path, patience: Duration) -> Result<Self, Box<Failure>> {
        let begun = Instant::now();
        loop {
            match UnixStream::connect(path) {
                Ok(socket) => return Ok(Self { socket, assembler: Assembler::default(), serial: 0 }),
                Err(error) if is_not_there_yet(&error) && begun.elapsed() < patience => {
                    std::thread::sleep(RETRY)
                }
                Err(error) => {
                    let what =
                        format!("reach the daemon that owns the state directory at '{}'", path.display());
                    let failure = Failure::io(what, &error).about("socket", path.display());
                    return Err(failure.hint("it may have ended or hang; see its log", None).into());
                }
            }
        }
    }

    /// Opens this and lets a command be carried out there with these streams, and returns the status that it has ended with.
    pub(super) fn run(
        mut self,
        name: &str,
        call: &CommandRun,
        streams: &[OwnedFd],
        unserved: Box<Failure>,
    ) -> Result<i32, Box<Failure>> {
        let answered = self.open_and_call(name, call, streams);
        answered.map_err(|unanswered| match unanswered {
            // A daemon of before there were commands.
            Unanswered::Refused(error) if error.code == codes::ERR_RPC => unserved,
            Unanswered::Refused(error) => {
                let message = format!("the daemon refuses: {}", error.message);
                Failure::new("serve.refused", Exit::Refused, message).into()
            }
            Unanswered::Broken(error) => {
                let message = "the daemon was gone before the command was done";
                let failure = Failure::new("serve.gone", Exit::Failed, message).cause(&error);
                failure.hint("see how things stand", Some("hostler list --all".to_owned())).into()
            }
        })
    }

    fn open_and_call(
        &mut self,
        name: &str,
        call: &CommandRun,
        streams: &[OwnedFd],
    ) -> Result<i32, Unanswered> {
        self.call(program::REMOTE, AuthList::NUMBER, &AuthList {}, &[])?;
        let open = ConnectOpen { name: Some(name.to_owned()), flags: 0 };
        self.call(program::REMOTE, ConnectOpen::NUMBER, &open, &[])?;
        Ok(self.call(program::HOSTLER, CommandRun::NUMBER, call, streams)?.status)
    }

    fn call<C: Call>(
        &mut self,
        of: u32,
        procedure: i32,
        call: &C,
        descriptors: &[OwnedFd],
    ) -> Result<C::Answer, Unanswered> {
        let kind = if descriptors.is_empty() { FrameKind::Call } else { FrameKind::CallWithDescriptors };
        self.serial += 1;
        let (serial, version) = (self.serial, program::VERSION);
        let header = Header { program: of, version, procedure, kind, serial, status: Status::Good };
        let payload = encode(call).map_err(odd)?;
        let frame = Frame { descriptors: descriptors.len(), ..Frame::new(header, payload) };
        self.socket.write_all(&frame.to_bytes().map_err(odd)?)?;
        descriptors.iter().try_for_each(|descriptor| send(&self.socket, descriptor))?;
        let answer = self.answer()?;
        match answer.header.status {
            Status::Good => decode(&answer.payload).map_err(odd),
            _ => Err(Unanswered::Refused(decode(&answer.payload).map_err(odd)?)),
        }
    }

    /// The answer to the last call; there is one at a time.
    fn answer(&mut self) -> Result<Frame, Unanswered> {
        let mut buffer = [0; READ_BYTES];
        loop {
            match self.assembler.next_frame().map_err(odd)? {
                Some(frame)
                    if frame.header.kind == FrameKind::Reply && frame.header.serial == self.serial =>
                {
                    return Ok(frame);
                }
                Some(_) => continue,
                None => {}
            }
            let length = self.socket.read(&mut buffer)?;
            if length == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.assembler.push(buffer.get(..length).unwrap_or_default());
        }
    }
}

impl From<io::Error> for Unanswered {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// What was said cannot be said, or understood.
fn odd(error: impl std::error::Error + Send + Sync + 'static) -> Unanswered {
    Unanswered::Broken(io::Error::other(error))
}

fn is_not_there_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// A descriptor as it is sent: with a byte of its own.
fn send(socket: &UnixStream, descriptor: &OwnedFd) -> io::Result<()> {
    let descriptors = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("there is no room for a descriptor"));
    }
    sendmsg(socket, &[IoSlice::new(&[0])], &mut control, SendFlags::empty())?;
    Ok(())
}
