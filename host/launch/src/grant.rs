//! Handles as open descriptors for a start: what the program inherits, and what the shim keeps.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fstat, open};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socketpair};

use crate::error::{LaunchError, LaunchErrorKind};
use crate::handle::{EndpointKind, EndpointSpec, Handle, Role};
use crate::listen::{connect_unix, listen_unix};
use crate::shim::wire::connect_within;

/// The descriptors of one launch.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    /// For each handle, what the program inherits, the main one first.
    pub(crate) program: Vec<Vec<OwnedFd>>,
    /// The shim's end of the control connection.
    pub(crate) monitor: Option<OwnedFd>,
    /// The shim's ends of consoles, with their aliases.
    pub(crate) consoles: Vec<(String, OwnedFd)>,
}

/// The name of the socket by which a link to a companion that listens is made; it is gone before either program begins.
const LINK_SOCKET: &str = "link.sock";

/// The ends of links that one of their two programs has yet to be given.
#[derive(Debug)]
pub(crate) struct Links {
    /// By the handle.
    ends: HashMap<usize, OwnedFd>,
    /// The handles of those whose companions listen, and accept one connection.
    listening: HashSet<usize>,
    /// A directory that nobody else may enter.
    directory: PathBuf,
}

impl Links {
    /// No link yet. `listening` are the handles of those whose companions accept a connection.
    pub(crate) fn new(directory: &Path, listening: HashSet<usize>) -> Self {
        Self { ends: HashMap::new(), listening, directory: directory.to_owned() }
    }

    /// One end of a link: the program's at first, the companion's then.
    fn end(&mut self, index: usize, until: Instant) -> io::Result<OwnedFd> {
        if let Some(other) = self.ends.remove(&index) {
            return Ok(other);
        }
        let listens = self.listening.contains(&index);
        let (one, other) = if listens { waiting_pair(&self.directory, until) } else { pair() }?;
        self.ends.insert(index, other);
        Ok(one)
    }
}

/// A connected socket, and the one that it waits on to be accepted. The name by which they met is gone: nobody else can come.
fn waiting_pair(directory: &Path, until: Instant) -> io::Result<(OwnedFd, OwnedFd)> {
    let path = directory.join(LINK_SOCKET);
    let listener = listen_unix(&path)?;
    let connected = connect_unix(&path, left(until));
    std::fs::remove_file(&path)?;
    Ok((connected?.into(), listener.into()))
}

/// Opens what the handles need that the plan names; the others are not for the program. What waits for somebody
/// else waits until `until` at most.
pub(crate) fn open_all(
    handles: &[Handle],
    named: &HashSet<usize>,
    links: &mut Links,
    until: Instant,
) -> Result<Opened, LaunchError> {
    let mut opened = Opened::default();
    for (index, handle) in handles.iter().enumerate() {
        let fds = match handle {
            _ if !named.contains(&index) => Vec::new(),
            Handle::Descriptor { .. } => of_descriptor(handle)?,
            Handle::Endpoint(spec) => {
                let (fd, console) = of_endpoint(spec, until)?;
                opened.consoles.extend(console.map(|ours| (spec.alias.clone(), ours)));
                fd.into_iter().collect()
            }
            Handle::Monitor => {
                let (ours, theirs) =
                    pair().map_err(|error| LaunchError::io("make the control connection", error))?;
                opened.monitor = Some(ours);
                vec![theirs]
            }
            Handle::Link(name) => {
                let failed = |error| LaunchError::io("connect a companion", error).at(name.as_str());
                vec![links.end(index, until).map_err(failed)?]
            }
            Handle::Tap { fds, name, .. } => of_tap(fds, name)?,
            Handle::Socket(_) | Handle::Viewers { .. } | Handle::Ports { .. } => Vec::new(),
        };
        opened.program.push(fds);
    }
    Ok(opened)
}

/// The descriptors that stand for one file. A writable one has a read-only twin, for a program that opens for
/// reading and writes only when a guest does; a set gives out what matches the wanted mode exactly.
pub(crate) fn of_descriptor(handle: &Handle) -> Result<Vec<OwnedFd>, LaunchError> {
    let Handle::Descriptor { fd, writable, path, role, .. } = handle else { return Ok(Vec::new()) };
    let place = path.display().to_string();
    let Some(fd) = fd else {
        let message = "the handle is only for showing: its file was not opened";
        return Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message).at(place));
    };
    let failed = |error: io::Error| LaunchError::io("pass an open file on", error).at(place.as_str());
    let mode = fcntl_getfl(fd).map_err(|error| failed(error.into()))? & OFlags::ACCMODE;
    let wanted = match (role, writable) {
        (Role::Output, _) => OFlags::WRONLY,
        // A directory is opened for reading whatever is done in it.
        (Role::Directory | Role::Folder, _) => OFlags::RDONLY,
        (_, true) => OFlags::RDWR,
        (_, false) => OFlags::RDONLY,
    };
    // A socket has no access mode: the host has closed the direction that is not wanted.
    let one_way = matches!(role, Role::Output | Role::Input) && is_socket(fd).map_err(failed)?;
    if mode != wanted && !one_way {
        let message = "the open file's access mode is not the one its handle states";
        return Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message).at(place));
    }
    let mut fds = vec![fd.try_clone().map_err(failed)?];
    if wanted == OFlags::RDWR && *role != Role::Listener {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let twin = open(format!("/proc/self/fd/{}", fd.as_raw_fd()), flags, Mode::empty());
        fds.push(twin.map_err(|error| failed(error.into()))?);
    }
    Ok(fds)
}

/// The descriptors of a tap device, one for each of its queues.
pub(crate) fn of_tap(fds: &[OwnedFd], name: &str) -> Result<Vec<OwnedFd>, LaunchError> {
    if fds.is_empty() {
        let message = "the handle is only for showing: no tap device was made";
        return Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message).at(name));
    }
    let cloned: io::Result<_> = fds.iter().map(OwnedFd::try_clone).collect();
    cloned.map_err(|error| LaunchError::io("pass a tap device on", error).at(name))
}

fn is_socket(fd: &OwnedFd) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Socket)
}

/// The program's end of a character device, for one that needs a descriptor; and the end that the shim keeps, for a terminal.
pub(crate) fn of_endpoint(
    spec: &EndpointSpec,
    until: Instant,
) -> Result<(Option<OwnedFd>, Option<OwnedFd>), LaunchError> {
    let failed = |error: io::Error| {
        let late = error.kind() == io::ErrorKind::TimedOut;
        let what = format!("open the far end of a character device ({})", spec.kind.name());
        let mut failed = LaunchError::io(what, error).at(spec.alias.as_str());
        if late {
            failed.kind = LaunchErrorKind::TimedOut;
        }
        failed
    };
    let fd: OwnedFd = match &spec.kind {
        EndpointKind::Pty => {
            let (ours, theirs) = pair().map_err(failed)?;
            return Ok((Some(theirs), Some(ours)));
        }
        EndpointKind::File { fd: Some(fd), .. } => write_only(fd, &spec.alias)?,
        EndpointKind::File { fd: None, .. } => {
            let message = "the handle is only for showing: its file was not opened";
            return Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message).at(spec.alias.as_str()));
        }
        EndpointKind::Unix { path, listen: true, .. } => listen_unix(path).map_err(failed)?.into(),
        EndpointKind::Unix { path, .. } => SocketAddrUnix::new(path.as_path())
            .map_err(io::Error::from)
            .and_then(|address| connect_within(&address, left(until)))
            .map_err(failed)?,
        EndpointKind::Tcp { host, service, listen: true, .. } => {
            TcpListener::bind(address(host, service)).map_err(failed)?.into()
        }
        EndpointKind::Tcp { host, service, .. } => {
            connect_tcp(&address(host, service), until).map_err(failed)?.into()
        }
        EndpointKind::Null | EndpointKind::Udp { .. } | EndpointKind::Other { .. } => {
            return Ok((None, None));
        }
    };
    Ok((Some(fd), None))
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// Connects to the first of the host's addresses that answers.
fn connect_tcp(address: &str, until: Instant) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(until)) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn write_only(fd: &OwnedFd, alias: &str) -> Result<OwnedFd, LaunchError> {
    let failed = |error: io::Error| LaunchError::io("pass an open file on", error).at(alias);
    let mode = fcntl_getfl(fd).map_err(|error| failed(error.into()))? & OFlags::ACCMODE;
    if mode != OFlags::WRONLY {
        let message = "the file of a character device must be opened for writing only";
        return Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message).at(alias));
    }
    fd.try_clone().map_err(failed)
}

fn address(host: &str, service: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{service}")
    } else {
        format!("{host}:{service}")
    }
}

/// Two connected stream sockets, closed on exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// All descriptors of a launch in the order in which they travel to the shim.
pub(crate) fn in_order<'a>(opened: &'a Opened, companions: &'a [Opened]) -> Vec<BorrowedFd<'a>> {
    use std::os::fd::AsFd as _;
    let kept = opened.monitor.iter().chain(opened.consoles.iter().map(|(_, fd)| fd));
    let companions = companions.iter().flat_map(|companion| companion.program.iter().flatten());
    opened.program.iter().flatten().chain(companions).chain(kept).map(OwnedFd::as_fd).collect()
}
