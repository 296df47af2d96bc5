//! The sockets that clients connect to: opened here, or by the service manager.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use tokio::net::UnixListener;

use crate::server::ServeError;

/// Longest path of a socket, in bytes: what an address holds.
const PATH_MAX_BYTES: usize = 107;
/// The variable with what the service manager calls its sockets, separated by colons (sd_listen_fds(3)).
const NAMES: &str = "LISTEN_FDNAMES";
/// The variable with the process that its sockets are for.
const RECEIVER: &str = "LISTEN_PID";
/// What it calls one for everything.
const FULL: &str = "full";
/// What it calls one for reading.
const READ_ONLY: &str = "read-only";
/// Who may connect to a socket that is opened here: its owner.
const MODE: u32 = 0o600;
/// The same where others are served too, or asked who they are.
const OPEN_MODE: u32 = 0o666;

/// Where clients of this machine connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    /// The socket for everything.
    pub full: PathBuf,
    /// The socket for reading; none for no such socket.
    pub read_only: Option<PathBuf>,
    /// Who may connect to them, as a file's mode says it, and then may everything, or what an access file says. When it is
    /// not said, the owner; where there are tenants, an access file or polkit everybody, whom that gives nothing by itself.
    pub mode: Option<u32>,
}

impl Sockets {
    /// Where clients come, in words: these sockets, unless the service manager has opened some for this process.
    #[must_use]
    pub fn in_words(&self) -> String {
        let own = std::process::id().to_string();
        let handed = std::env::var(RECEIVER).is_ok_and(|receiver| receiver == own);
        match handed {
            true => "the sockets of the service manager".to_owned(),
            false => format!("'{}'", self.full.display()),
        }
    }
}

/// A socket that is listened on. Its file goes with it, unless the service manager has made it.
pub(crate) struct Listener {
    pub(crate) listener: UnixListener,
    pub(crate) read_only: bool,
    /// Whether who may connect was decided by who made it.
    pub(crate) lets_in: bool,
    path: Option<PathBuf>,
}

impl Listener {
    /// How a client of this machine gets here, as a URI of libvirt; nothing for a socket without a name.
    pub(crate) fn address(&self) -> Option<String> {
        let bound = self.listener.local_addr().ok();
        // Of one that was made under another name, that is what the system knows.
        let path = self.path.as_deref().or_else(|| bound.as_ref()?.as_pathname())?;
        let kind = if rustix::process::geteuid().is_root() { "system" } else { "session" };
        Some(format!("hostler:///{kind}?socket={}", path.display()))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // A name that stays is taken over by whoever listens next.
            std::fs::remove_file(path).ok();
        }
    }
}

/// The sockets of the service manager if there are any: those that are called `full` are for everything and those called
/// `read-only` for reading; of others the first is for everything.
/// Else those that are named.
pub(crate) fn open(sockets: &Sockets, serves_others: bool) -> Result<Vec<Listener>, ServeError> {
    // Before they are taken over, which forgets it.
    let names = std::env::var(NAMES).unwrap_or_default();
    let mut handed = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..handed.len() {
        let read_only = names.split(':').nth(index).map_or(index > 0, |name| match name {
            READ_ONLY => true,
            FULL => false,
            _ => index > 0,
        });
        let socket = handed.take_unix_listener(index);
        let socket =
            socket.map_err(|error| ServeError::socket("take over", Path::new("LISTEN_FDS"), error))?;
        if let Some(socket) = socket {
            // Nothing that is started from here is to have it.
            rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)
                .map_err(|error| ServeError::socket("take over", Path::new("LISTEN_FDS"), error.into()))?;
            listeners.push(listener(socket, read_only, true, None)?);
        }
    }
    if !listeners.is_empty() {
        // The one for everything first: it is the one that is announced.
        listeners.sort_by_key(|listener| listener.read_only);
        return Ok(listeners);
    }
    let mode = sockets.mode.unwrap_or(if serves_others { OPEN_MODE } else { MODE });
    let named = [(Some(&sockets.full), false), (sockets.read_only.as_ref(), true)];
    for (path, read_only) in named {
        if let Some(path) = path {
            let socket = bind(path, mode).map_err(|error| ServeError::socket("listen on", path, error))?;
            listeners.push(listener(socket, read_only, sockets.mode.is_some(), Some(path.clone()))?);
        }
    }
    Ok(listeners)
}

fn listener(
    socket: StdListener,
    read_only: bool,
    lets_in: bool,
    path: Option<PathBuf>,
) -> Result<Listener, ServeError> {
    let shown = path.clone().unwrap_or_else(|| PathBuf::from("LISTEN_FDS"));
    let made = socket.set_nonblocking(true).and_then(|()| UnixListener::from_std(socket));
    let listener = made.map_err(|error| ServeError::socket("listen on", &shown, error))?;
    Ok(Listener { listener, read_only, lets_in, path })
}

fn bind(path: &Path, mode: u32) -> io::Result<StdListener> {
    if path.as_os_str().len() > PATH_MAX_BYTES {
        let message =
            format!("its path has more than {PATH_MAX_BYTES} bytes, which no address of a socket holds");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    remove_stale(path)?;
    // Nobody else gets between a name and its mode in a directory that is nobody else's, and elsewhere not either: it is made
    // under another name first.
    let draft = path.with_extension("new");
    std::fs::remove_file(&draft).or_else(absent_is_fine)?;
    let socket = StdListener::bind(&draft)?;
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(mode))?;
    std::fs::rename(&draft, path)?;
    Ok(socket)
}

/// Removes the name of a socket on which nobody listens any more; anything else stays, and keeps us from its name.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Err(error) => return absent_is_fine(error),
        Ok(found) => found,
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file of that name that is no socket",
        ));
    }
    match StdStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
        Err(_) => std::fs::remove_file(path).or_else(absent_is_fine),
    }
}

fn absent_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_is_its_owners_and_takes_the_place_of_one_that_is_dead() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("serve.sock");
        let first = bind(&path, MODE).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(bind(&path, MODE).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        bind(&path, MODE).unwrap();
    }

    #[test]
    fn what_is_no_socket_is_left_alone_and_a_long_path_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert_eq!(bind(&file, MODE).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&file).unwrap(), b"x");
        let long = place.path().join("x".repeat(PATH_MAX_BYTES));
        assert_eq!(bind(&long, MODE).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
