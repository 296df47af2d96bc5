//! Where a guest is sent to: a socket of this machine, or a port.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::channel::Stream;
use crate::error::{Error, Kind};

/// How long a connection may take to come to be.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// Longest name of a unix socket, in bytes: what the kernel takes.
const SOCKET_NAME_BYTES: usize = 107;

/// Where a guest is sent to, or waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MigrationAddress {
    /// A unix socket.
    Unix(PathBuf),
    /// A TCP port.
    Tcp {
        /// Name or number of the host.
        host: String,
        /// The port.
        port: u16,
    },
}

impl FromStr for MigrationAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(path.into()));
        }
        let place = text.strip_prefix("tcp:").and_then(|rest| rest.rsplit_once(':'));
        let Some((host, port)) = place.filter(|(host, _)| !host.is_empty()) else {
            return Err("expected unix:PATH or tcp:HOST:PORT".to_owned());
        };
        let port = port.parse().map_err(|_| format!("'{port}' is no port: expected 0 to 65535"))?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

impl fmt::Display for MigrationAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
        }
    }
}

impl MigrationAddress {
    /// Connects to whoever waits there.
    pub(crate) async fn connect(&self, insecure: bool) -> Result<Stream, Error> {
        let connecting = async {
            Ok(match self {
                Self::Unix(path) => Stream::Unix(UnixStream::connect(socket_path(path)?).await?),
                Self::Tcp { .. } => {
                    let places = self.resolve(insecure).await?;
                    let stream = TcpStream::connect(places.as_slice()).await?;
                    stream.set_nodelay(true)?;
                    Stream::Tcp(stream)
                }
            })
        };
        let outcome: Result<Stream, Failure> = match tokio::time::timeout(CONNECT_WAIT, connecting).await {
            Ok(outcome) => outcome,
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        };
        outcome.map_err(|failure| match failure {
            Failure::Told(error) => *error,
            Failure::Io(error) => Error::new(
                Kind::NotFound,
                "migration.no-destination",
                format!("nobody waits for a guest at {self}"),
            )
            .caused_by(error)
            .hint_command("let the destination wait for it", format!("hostler receive {self}")),
        })
    }

    /// The addresses that it stands for. Beyond this machine it takes consent.
    async fn resolve(&self, insecure: bool) -> Result<Vec<SocketAddr>, Failure> {
        let Self::Tcp { host, port } = self else { return Ok(Vec::new()) };
        let places: Vec<_> = tokio::net::lookup_host((host.as_str(), *port)).await?.collect();
        if !insecure && places.iter().any(|place| !place.ip().is_loopback()) {
            let message = format!(
                "'{self}' is beyond this machine, and the guest's memory would go there readable and changeable by anybody between"
            );
            return Err(Error::new(Kind::Denied, "migration.network", message)
                .hint("let ssh carry it: 'ssh -L /tmp/there.sock:/path/of/receiver.sock HOST', and migrate to unix:/tmp/there.sock")
                .hint("on a network that you trust: --insecure-network")
                .into());
        }
        Ok(places)
    }
}

/// Why there is no connection.
enum Failure {
    /// It is told already.
    Told(Box<Error>),
    /// The operating system says.
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Told(Box::new(error))
    }
}

fn socket_path(path: &Path) -> Result<&Path, Failure> {
    if path.as_os_str().len() <= SOCKET_NAME_BYTES {
        return Ok(path);
    }
    let message = format!("'{}' is too long for a socket: {SOCKET_NAME_BYTES} bytes at most", path.display());
    Err(Error::new(Kind::Invalid, "migration.socket-name", message).into())
}

/// A place where guests are waited for. A socket of this machine goes when this is dropped.
#[derive(Debug)]
pub struct MigrationListener {
    address: MigrationAddress,
    socket: Listening,
    insecure: bool,
}

#[derive(Debug)]
enum Listening {
    Unix { socket: UnixListener, path: PathBuf, identity: (u64, u64) },
    Tcp(TcpListener),
}

impl MigrationListener {
    /// Begins to wait there.
    ///
    /// # Errors
    /// [`Kind::Exists`] when somebody waits there already; [`Kind::Denied`] for a port that other machines reach, without
    /// consent; [`Kind::NotFound`] when there is no such directory.
    pub async fn open(address: &MigrationAddress, insecure: bool) -> Result<Self, Error> {
        let (socket, address) = match Self::listen(address, insecure).await {
            Ok(listening) => listening,
            Err(Failure::Told(error)) => return Err(*error),
            Err(Failure::Io(error)) => {
                let kind = match error.kind() {
                    io::ErrorKind::NotFound => Kind::NotFound,
                    io::ErrorKind::AddrInUse => Kind::Exists,
                    _ => Kind::Host,
                };
                let message = format!("cannot wait for a guest at {address}");
                return Err(Error::new(kind, "migration.listen", message).caused_by(error));
            }
        };
        Ok(Self { address, socket, insecure })
    }

    async fn listen(
        address: &MigrationAddress,
        insecure: bool,
    ) -> Result<(Listening, MigrationAddress), Failure> {
        match address {
            MigrationAddress::Unix(path) => {
                remove_abandoned(socket_path(path)?).await?;
                let socket = UnixListener::bind(path)?;
                // Who connects is looked at as well: see `accept`.
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
                let there = std::fs::symlink_metadata(path)?;
                let identity = (there.dev(), there.ino());
                Ok((Listening::Unix { socket, path: path.clone(), identity }, address.clone()))
            }
            MigrationAddress::Tcp { host, .. } => {
                let places = address.resolve(insecure).await?;
                let socket = TcpListener::bind(places.as_slice()).await?;
                let port = socket.local_addr()?.port();
                Ok((Listening::Tcp(socket), MigrationAddress::Tcp { host: host.clone(), port }))
            }
        }
    }

    /// Where it waits; with the port that was chosen, if that was left open.
    #[must_use]
    pub fn address(&self) -> &MigrationAddress {
        &self.address
    }

    /// The next connection of somebody who may send guests here: on a unix socket that is the same user, or root.
    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        loop {
            match &self.socket {
                Listening::Unix { socket, .. } => {
                    let stream = socket.accept().await?.0;
                    let uid = stream.peer_cred()?.uid();
                    if uid == 0 || uid == rustix::process::geteuid().as_raw() {
                        return Ok(Stream::Unix(stream));
                    }
                    tracing::warn!(uid, "a user who may not send guests here has tried to");
                }
                Listening::Tcp(socket) => {
                    let (stream, from) = socket.accept().await?;
                    if self.insecure || from.ip().is_loopback() {
                        stream.set_nodelay(true)?;
                        return Ok(Stream::Tcp(stream));
                    }
                    tracing::warn!(%from, "a machine from which no guest is taken has tried to send one");
                }
            }
        }
    }
}

impl Drop for MigrationListener {
    fn drop(&mut self) {
        if let Listening::Unix { path, identity, .. } = &self.socket
            && std::fs::symlink_metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == *identity)
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::debug!(path = %path.display(), %error, "a socket stays");
        }
    }
}

/// Removes a socket that nobody listens at any more; anything else of that name is somebody's.
async fn remove_abandoned(path: &Path) -> Result<(), Failure> {
    let there = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        there => there?,
    };
    let abandoned = there.file_type().is_socket()
        && UnixStream::connect(path)
            .await
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    if abandoned {
        return Ok(std::fs::remove_file(path)?);
    }
    let message = format!("there is something called '{}' already", path.display());
    Err(Error::new(Kind::Exists, "migration.socket-exists", message)
        .hint("name a socket that is not there yet, in a directory of your own")
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["unix:/run/a.sock", "unix:a", "tcp:localhost:7", "tcp:[::1]:49152"] {
            assert_eq!(text.parse::<MigrationAddress>().unwrap().to_string(), text);
        }
        for wrong in
            ["", "unix:", "tcp:", "tcp:host", "tcp::7", "tcp:h:70000", "exec:id", "/run/a.sock", "tcp:h:"]
        {
            assert!(wrong.parse::<MigrationAddress>().is_err(), "{wrong}");
        }
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn port_that_others_reach_takes_consent() {
        let open = |text: &str, insecure| {
            block_on(MigrationListener::open(&text.parse().unwrap(), insecure))
                .map(|found| found.address.clone())
        };
        assert_eq!(open("tcp:0.0.0.0:0", false).unwrap_err().code(), "migration.network");
        assert!(open("tcp:0.0.0.0:0", true).is_ok());
        let chosen = open("tcp:127.0.0.1:0", false).unwrap();
        assert!(matches!(chosen, MigrationAddress::Tcp { port, .. } if port > 0));
    }

    #[test]
    fn socket_that_is_somebodys_is_left_and_an_abandoned_one_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let address = MigrationAddress::Unix(directory.path().join("s"));
        let open = || block_on(MigrationListener::open(&address, false));
        drop(std::os::unix::net::UnixListener::bind(directory.path().join("s")).unwrap());
        let held = open().unwrap();
        assert_eq!(open().unwrap_err().code(), "migration.socket-exists");
        drop(held);
        assert!(!directory.path().join("s").exists());
        std::fs::write(directory.path().join("s"), b"mine").unwrap();
        assert_eq!(open().unwrap_err().code(), "migration.socket-exists");
        let lost = MigrationAddress::Unix(directory.path().join("no/s"));
        assert_eq!(block_on(MigrationListener::open(&lost, false)).unwrap_err().kind, Kind::NotFound);
        let nobody = block_on(lost.connect(false)).err().unwrap();
        assert_eq!(nobody.code(), "migration.no-destination");
    }
}
