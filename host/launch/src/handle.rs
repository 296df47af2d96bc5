//! What a value's handle leaves stand for: descriptors, endpoints, the monitor, sockets.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// What a descriptor is to the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// One layer of a disk.
    Image,
    /// Firmware code.
    Code,
    /// A variable store.
    VariableStore,
    /// A file of the document, opened for reading: a kernel, a table.
    File,
    /// What an operation writes, opened for writing only: bytes without a format.
    Output,
    /// What an operation reads, opened for reading only, at the place where its bytes begin.
    Input,
    /// A directory of the domain's own, in which its program keeps files.
    Directory,
    /// A directory of the document, which a companion serves to the guest.
    Folder,
    /// A socket that the host has bound, for the program to accept connections on.
    Listener,
    /// A passphrase, in memory that nobody can change: for the program, and for nobody who tells it what to do.
    Secret,
}

/// What speaks through a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

/// One entry of the list that travels with a plan; [`crate::Value::Handle`] is its index.
#[derive(Debug)]
pub enum Handle {
    /// An opened file.
    Descriptor {
        /// The open file; nothing when the plan is only shown.
        fd: Option<OwnedFd>,
        /// Whether `fd` was opened for reading and writing (otherwise for reading).
        writable: bool,
        /// What it is.
        role: Role,
        /// The format that the host has checked it to be, by the name that templates have for it; `raw` for bytes that
        /// are nobody's but the guest's.
        format: &'static str,
        /// Whether its header says that its data is in another file.
        data_apart: bool,
        /// Where it came from: for display and comparison only, never opened.
        path: PathBuf,
    },
    /// The host's end of a character device.
    Endpoint(EndpointSpec),
    /// The host's end of the control connection.
    Monitor,
    /// A socket that the hypervisor makes in the run directory, by this name.
    Socket(String),
    /// Two connected sockets: one of the program and one of the companion of this name, which has a listening one instead
    /// where its template says so.
    Link(String),
    /// Connections to a display, which the program is handed one at a time: those that come to the socket, where there is
    /// one, and those that the host brings.
    Viewers {
        /// The display's alias: `graphics0`.
        alias: String,
        /// The socket that they come to.
        socket: Option<OwnedFd>,
    },
    /// Ports of the host that lead to the guest, as its document has them: for a companion that carries the guest's packets.
    Ports {
        /// What speaks through them.
        transport: Transport,
        /// Which they are, in the companion's own words: `127.0.0.1/2222:22`.
        ports: String,
    },
    /// A tap device of the host.
    Tap {
        /// A descriptor for each of its queues; none when the plan is only shown.
        fds: Vec<OwnedFd>,
        /// How many queues it has.
        queues: u32,
        /// What it is called on the host: for display only.
        name: String,
    },
}

impl Handle {
    /// The descriptor, when the handle has one.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Descriptor { fd, .. } => fd.as_ref().map(OwnedFd::as_fd),
            Self::Endpoint(EndpointSpec { kind: EndpointKind::File { fd, .. }, .. }) => {
                fd.as_ref().map(OwnedFd::as_fd)
            }
            _ => None,
        }
    }

    /// The format that the host has checked a descriptor's file to be.
    #[must_use]
    pub fn format(&self) -> Option<&'static str> {
        match self {
            Self::Descriptor { format, .. } => Some(format),
            _ => None,
        }
    }

    /// Whether the host has found in a descriptor's file that its data is in another file.
    #[must_use]
    pub fn has_data_apart(&self) -> bool {
        matches!(self, Self::Descriptor { data_apart: true, .. })
    }

    /// What the handle is, as template rules and messages call it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Descriptor { role: Role::Image, .. } => "image",
            Self::Descriptor { role: Role::Code, .. } => "code",
            Self::Descriptor { role: Role::VariableStore, .. } => "variable-store",
            Self::Descriptor { role: Role::File, .. } => "file",
            Self::Descriptor { role: Role::Output, .. } => "output",
            Self::Descriptor { role: Role::Input, .. } => "input",
            Self::Descriptor { role: Role::Directory, .. } => "directory",
            Self::Descriptor { role: Role::Folder, .. } => "folder",
            Self::Descriptor { role: Role::Listener, .. } => "listener",
            Self::Descriptor { role: Role::Secret, .. } => "secret",
            Self::Endpoint(_) => "endpoint",
            Self::Monitor => "monitor",
            Self::Socket(_) => "socket",
            Self::Link(_) => "link",
            Self::Viewers { .. } => "viewers",
            Self::Ports { transport: Transport::Tcp, .. } => "tcp-ports",
            Self::Ports { transport: Transport::Udp, .. } => "udp-ports",
            Self::Tap { .. } => "tap",
        }
    }
}

/// One character device's far end, as the document describes it.
#[derive(Debug)]
pub struct EndpointSpec {
    /// The device's alias: `serial0`, `channel1`. Letters, digits and `-_.`, at most 64 bytes.
    pub alias: String,
    /// Where the bytes go.
    pub kind: EndpointKind,
}

/// Where a character device's bytes go. A launch connects `Pty`, `Null`, `File`, and `Unix` that listens
/// inside the run directory; the other kinds are shown, and refused at launch unless the template allows
/// their addresses.
#[derive(Debug)]
pub enum EndpointKind {
    /// A terminal that the shim keeps: logged, replayed, open to several clients.
    Pty,
    /// Nowhere.
    Null,
    /// A file, opened for writing by the host.
    File {
        /// The open file; nothing when the plan is only shown.
        fd: Option<OwnedFd>,
        /// Whether output is added at the end; `None` when the document does not say.
        append: Option<bool>,
        /// Where it is: for display only.
        path: PathBuf,
    },
    /// A unix socket: `bound` by the host, or connected to.
    Unix {
        /// The socket's path; for a launch a name inside the run directory when `listen`.
        path: PathBuf,
        /// Whether our side listens.
        listen: bool,
        /// Seconds between attempts to connect again.
        reconnect: Option<u32>,
    },
    /// A TCP socket.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        service: String,
        /// Whether our side listens.
        listen: bool,
        /// Whether the telnet protocol is spoken.
        telnet: bool,
        /// Seconds between attempts to connect again.
        reconnect: Option<u32>,
    },
    /// A UDP socket.
    Udp {
        /// Host that is sent to.
        host: Option<String>,
        /// Port that is sent to.
        service: String,
        /// Address that is listened on.
        local_host: Option<String>,
        /// Port that is listened on.
        local_service: Option<String>,
    },
    /// A device node of the host (`dev`, `pipe`, `serial`, `parallel` …): only shown.
    Other {
        /// The program's own name for the back end: `serial`, `pipe`, `spicevmc`.
        backend: String,
        /// The back end's pairs, in order.
        pairs: Vec<(String, String)>,
    },
}

impl EndpointKind {
    /// The document's word for it: `pty`, `file`, `unix` …
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Pty => "pty",
            Self::Null => "null",
            Self::File { .. } => "file",
            Self::Unix { .. } => "unix",
            Self::Tcp { .. } => "tcp",
            Self::Udp { .. } => "udp",
            Self::Other { backend, .. } => backend,
        }
    }
}
