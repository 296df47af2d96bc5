//! Sockets that the host listens on for a program: bound here, so that the program needs no network and no directory.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use crate::shim::wire::{address_in, connect_within, open_directory};

/// Listens at a path, which may be longer than a socket's address. A socket that an earlier run left makes room; anything
/// else stays. Only the socket's owner can connect.
///
/// # Errors
/// What the operating system says: `AddrInUse` when somebody listens there, or something else lies there.
pub fn listen_unix(path: &Path) -> io::Result<UnixListener> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no socket"));
    };
    let directory = open_directory(parent)?;
    let near = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    if std::fs::symlink_metadata(&near).is_ok_and(|found| found.file_type().is_socket())
        && UnixStream::connect(&near).is_err()
    {
        std::fs::remove_file(&near)?;
    }
    let listener = UnixListener::bind(&near)?;
    std::fs::set_permissions(&near, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Connects to a socket at a path, which may be longer than a socket's address.
///
/// # Errors
/// What the operating system says; `TimedOut` when too many wait there.
pub fn connect_unix(path: &Path, wait: Duration) -> io::Result<UnixStream> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str)) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no socket"));
    };
    let directory = open_directory(parent)?;
    connect_within(&address_in(&directory, name)?, wait).map(UnixStream::from)
}

/// Listens on a port of this host.
///
/// # Errors
/// `AddrInUse` when the port is somebody's.
pub fn listen_tcp(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::new(address, port))
}

/// Listens on the first port of this host, from this one up, that nobody has. Nobody can take it between the choice and the
/// use, for the choice is the use.
///
/// # Errors
/// `AddrInUse` when all are somebody's.
pub fn listen_tcp_from(address: IpAddr, first: u16) -> io::Result<TcpListener> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for port in first..=u16::MAX {
        match listen_tcp(address, port) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
            listening => return listening,
        }
    }
    Err(last)
}

/// An address that only users of this host reach: the one that the text names.
#[must_use]
pub fn loopback(address: &str) -> Option<IpAddr> {
    match address {
        "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        address => address.parse().ok().filter(IpAddr::is_loopback),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn next_free_port_is_taken_and_never_given_twice() {
        let taken = listen_tcp_from(HERE, 40_000).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_eq!(listen_tcp(HERE, port).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let mut given: Vec<_> = std::thread::scope(|scope| {
            let listen = || listen_tcp_from(HERE, port).unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(listen)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        given.sort_by_key(|listener| listener.local_addr().unwrap().port());
        given.dedup_by_key(|listener| listener.local_addr().unwrap().port());
        assert_eq!(given.len(), 8);
        assert!(given.iter().all(|listener| listener.local_addr().unwrap().port() > port));
    }

    #[test]
    fn socket_of_an_earlier_run_makes_room_and_nothing_else_does() {
        let place = tempfile::tempdir().unwrap();
        let deep = place.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let path = deep.join("graphics0.sock");
        let first = listen_unix(&path).unwrap();
        assert_eq!(listen_unix(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        let _second = listen_unix(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let file = place.path().join("file");
        std::fs::write(&file, "somebody's").unwrap();
        assert_eq!(listen_unix(&file).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(std::fs::read(&file).unwrap(), b"somebody's");
    }

    #[test]
    fn only_addresses_of_this_host_are_loopback() {
        for address in ["127.0.0.1", "127.8.9.1", "::1", "localhost"] {
            assert!(loopback(address).is_some(), "{address}");
        }
        for address in ["0.0.0.0", "::", "192.0.2.1", "example.org", ""] {
            assert_eq!(loopback(address), None, "{address}");
        }
    }
}
