//! Lets the daemon that owns the state directory carry a command out, with the streams of this process.

mod connection;
mod words;

use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use hostler_rpc::own::{CommandRun, EnvironmentVariable};
use hostler_rpc::xdr::List;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::session::Session;
use connection::Connection;

pub(crate) use words::domain;

/// The variables that say how output is to look. Everything else that a command takes from its environment, the daemon has
/// from its own.
const VARIABLES: [&str; 4] = ["NO_COLOR", "CLICOLOR_FORCE", "TERM", "COLUMNS"];

/// Sends a command to the daemon that has announced this address, and returns the status that it has ended with.
///
/// # Errors
/// `unserved`, for an address that leads to no socket, and a daemon that takes no commands; that the daemon cannot be
/// reached, refuses, or ends meanwhile; that the user does not want to wait any more.
pub(crate) fn forward(
    session: &Session,
    address: &str,
    unserved: Failure,
    words: &[OsString],
) -> Result<u8, Failure> {
    let Some(socket) = socket(address) else { return Err(unserved) };
    let words = words::to_send(words)?;
    let environment = VARIABLES.iter().filter_map(|name| {
        let value = std::env::var(name).ok()?;
        Some(EnvironmentVariable { name: (*name).to_owned(), value })
    });
    let call = CommandRun { words: List(words), environment: List(environment.collect()) };
    let streams = streams(session.kept_input())?;
    let patience = session.lock_timeout();
    let answered = session.block_on(async move {
        let exchange = move || Connection::open(&socket, patience)?.run(&call, &streams, unserved);
        let done = tokio::task::spawn_blocking(exchange).await;
        let done =
            done.map_err(|_| Failure::new("serve.exchange", Exit::Failed, "the exchange broke down"))?;
        Ok(done?)
    });
    match answered {
        Ok(status) => Ok(u8::try_from(status).unwrap_or(Exit::Failed.status())),
        Err(Stop::Failed(failure)) if failure.exit == Exit::Interrupted => {
            Err(failure.hint("what was begun goes on in the daemon", None))
        }
        Err(Stop::Failed(failure) | Stop::Served(_, failure)) => Err(*failure),
        Err(Stop::PipeClosed) => Ok(Exit::Success.status()),
    }
}

/// The socket in an address as daemons announce it.
fn socket(address: &str) -> Option<PathBuf> {
    let (_, query) = address.split_once('?')?;
    query.split('&').find_map(|part| part.strip_prefix("socket=")).map(PathBuf::from)
}

/// Standard input, with what was read from it already in its place, output and error.
fn streams(read: Option<Vec<u8>>) -> Result<[OwnedFd; 3], Failure> {
    let failed = |error: std::io::Error| Failure::io("hand the standard streams over", &error);
    let input = match read {
        None => std::io::stdin().as_fd().try_clone_to_owned().map_err(failed)?,
        Some(read) => kept(&read).map_err(failed)?,
    };
    let output = std::io::stdout().as_fd().try_clone_to_owned().map_err(failed)?;
    let errors = std::io::stderr().as_fd().try_clone_to_owned().map_err(failed)?;
    Ok([input, output, errors])
}

/// A file in memory with this in it.
fn kept(read: &[u8]) -> std::io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("hostler-input", MemfdFlags::CLOEXEC)?);
    file.write_all(read)?;
    file.rewind()?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn socket_is_found_in_an_address() {
        assert_eq!(socket("hostler:///system?socket=/run/x.sock"), Some("/run/x.sock".into()));
        assert_eq!(socket("hostler:///system?a=b&socket=/x"), Some("/x".into()));
        assert_eq!(socket("hostler:///system"), None);
    }

    #[test]
    fn what_was_read_can_be_read_again() {
        let mut text = String::new();
        File::from(kept(b"<domain/>").unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "<domain/>");
    }
}
