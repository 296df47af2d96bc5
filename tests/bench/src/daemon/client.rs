//! A client as small as one can be, the same for both daemons: they speak one protocol.

use anyhow::{Context, Result, bail};
use hostler_rpc::error::RpcError;
use hostler_rpc::frame::{Assembler, Frame, FrameKind, Header, Status};
use hostler_rpc::procedure::{Call, program};
use hostler_rpc::wire::{
    ConnectListAllDomains, ConnectOpen, DomainCreate, DomainDefineXml, DomainDestroy, DomainGetInfo,
    DomainGetState, DomainGetXmlDesc, DomainHandle, DomainLookupByName, DomainLookupByUuid, DomainResume,
    DomainSuspend,
};
use hostler_rpc::xdr::{Xdr, decode, encode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The name that both daemons go by.
const URI: &str = "qemu:///system";
/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;

/// One connection.
pub(super) struct Client {
    socket: UnixStream,
    assembler: Assembler,
    buffer: Vec<u8>,
    serial: u32,
}

impl Client {
    /// Connects, and opens the host.
    pub(super) fn open(socket: &Path) -> Result<Self> {
        let socket = UnixStream::connect(socket).context("cannot connect")?;
        let (assembler, buffer) = (Assembler::default(), vec![0; READ_BYTES]);
        let mut client = Self { socket, assembler, buffer, serial: 0 };
        client.send(ConnectOpen::NUMBER, &ConnectOpen { name: Some(URI.to_owned()), flags: 0 })?;
        client.answer::<()>()?;
        Ok(client)
    }

    pub(super) fn define(&mut self, xml: String) -> Result<DomainHandle> {
        Ok(self.call(DomainDefineXml::NUMBER, &DomainDefineXml { xml })?.dom)
    }

    pub(super) fn by_name(&mut self, name: &str) -> Result<DomainHandle> {
        let call = DomainLookupByName { name: name.to_owned() };
        Ok(self.call(DomainLookupByName::NUMBER, &call)?.dom)
    }

    pub(super) fn by_uuid(&mut self, uuid: [u8; 16]) -> Result<DomainHandle> {
        Ok(self.call(DomainLookupByUuid::NUMBER, &DomainLookupByUuid { uuid })?.dom)
    }

    pub(super) fn list_all(&mut self) -> Result<Vec<DomainHandle>> {
        let call = ConnectListAllDomains { need_results: 1, flags: 0 };
        Ok(self.call(ConnectListAllDomains::NUMBER, &call)?.domains.0)
    }

    pub(super) fn state(&mut self, dom: &DomainHandle) -> Result<i32> {
        Ok(self.call(DomainGetState::NUMBER, &DomainGetState { dom: dom.clone(), flags: 0 })?.state)
    }

    pub(super) fn info(&mut self, dom: &DomainHandle) -> Result<u64> {
        Ok(self.call(DomainGetInfo::NUMBER, &DomainGetInfo { dom: dom.clone() })?.max_mem)
    }

    pub(super) fn xml(&mut self, dom: &DomainHandle) -> Result<String> {
        Ok(self.call(DomainGetXmlDesc::NUMBER, &DomainGetXmlDesc { dom: dom.clone(), flags: 0 })?.xml)
    }

    pub(super) fn create(&mut self, dom: &DomainHandle) -> Result<()> {
        self.call(DomainCreate::NUMBER, &DomainCreate { dom: dom.clone() })
    }

    pub(super) fn destroy(&mut self, dom: &DomainHandle) -> Result<()> {
        self.call(DomainDestroy::NUMBER, &DomainDestroy { dom: dom.clone() })
    }

    pub(super) fn suspend(&mut self, dom: &DomainHandle) -> Result<()> {
        self.call(DomainSuspend::NUMBER, &DomainSuspend { dom: dom.clone() })
    }

    pub(super) fn resume(&mut self, dom: &DomainHandle) -> Result<()> {
        self.call(DomainResume::NUMBER, &DomainResume { dom: dom.clone() })
    }

    /// Asks for a guest to be paused and waits for no answer.
    pub(super) fn send_suspend(&mut self, dom: &DomainHandle) -> Result<()> {
        self.send(DomainSuspend::NUMBER, &DomainSuspend { dom: dom.clone() })
    }

    /// Whether nothing has come since.
    pub(super) fn is_unanswered(&mut self) -> bool {
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready == 0)
    }

    fn call<C: Call>(&mut self, number: i32, call: &C) -> Result<C::Answer> {
        self.send(number, call)?;
        self.answer()
    }

    fn send(&mut self, procedure: i32, call: &impl Xdr) -> Result<()> {
        self.serial = self.serial.wrapping_add(1);
        let header = Header {
            program: program::REMOTE,
            version: program::VERSION,
            procedure,
            kind: FrameKind::Call,
            serial: self.serial,
            status: Status::Good,
        };
        let frame = Frame::new(header, encode(call)?);
        Ok(self.socket.write_all(&frame.to_bytes()?)?)
    }

    fn answer<A: Xdr>(&mut self) -> Result<A> {
        loop {
            while let Some(frame) = self.assembler.next_frame()? {
                if frame.header.kind != FrameKind::Reply {
                    continue;
                }
                if frame.header.status == Status::Failed {
                    bail!("{}", decode::<RpcError>(&frame.payload)?.message);
                }
                return Ok(decode(&frame.payload)?);
            }
            let length = self.socket.read(&mut self.buffer)?;
            if length == 0 {
                bail!("the daemon has ended the connection");
            }
            self.assembler.push(self.buffer.get(..length).unwrap_or_default());
        }
    }
}
