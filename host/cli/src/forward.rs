//! Lets the daemon that owns the state directory carry a command out, with the streams of this process.

mod connection;
mod words;

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use clap::{ArgMatches, Command};
use hostler_rpc::own::{CommandRun, EnvironmentVariable};
use hostler_rpc::xdr::List;
use rustix::fs::{MemfdFlags, memfd_create};
use zeroize::Zeroizing;

use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::session::Session;
use connection::Connection;

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
    unserved: Box<Failure>,
    (definition, matches): (&Command, &ArgMatches),
) -> Result<u8, Box<Failure>> {
    let Some((name, socket)) = parts(address) else { return Err(unserved) };
    let words = words::to_send(definition, matches)?;
    let environment = VARIABLES.iter().filter_map(|name| {
        let value = std::env::var(name).ok()?;
        Some(EnvironmentVariable { name: (*name).to_owned(), value })
    });
    let said = List(session.output().said());
    let call = CommandRun { words: List(words), environment: List(environment.collect()), said };
    let streams = streams(session.kept_input())?;
    let patience = session.lock_timeout();
    let answered = session.block_on(async move {
        let exchange = move || Connection::open(&socket, patience)?.run(&name, &call, &streams, unserved);
        let done = tokio::task::spawn_blocking(exchange).await;
        let done =
            done.map_err(|_| Failure::new("serve.exchange", Exit::Failed, "the exchange broke down"))?;
        done.map_err(Stop::Failed)
    });
    match answered {
        Ok(status) => Ok(u8::try_from(status).unwrap_or(Exit::Failed.status())),
        Err(Stop::Failed(failure)) if failure.exit == Exit::Interrupted => {
            Err(failure.hint("what was begun goes on in the daemon", None).into())
        }
        Err(Stop::Failed(failure) | Stop::Served(_, failure)) => Err(failure),
        Err(Stop::PipeClosed) => Ok(Exit::Success.status()),
    }
}

/// What is to be opened, and the socket where, of an address as daemons announce it.
fn parts(address: &str) -> Option<(String, PathBuf)> {
    let (place, query) = address.split_once('?')?;
    let socket = query.split('&').find_map(|part| part.strip_prefix("socket="))?;
    let rest: Vec<&str> = query.split('&').filter(|part| !part.starts_with("socket=")).collect();
    let name = if rest.is_empty() { place.to_owned() } else { format!("{place}?{}", rest.join("&")) };
    Some((name, PathBuf::from(socket)))
}

/// Standard input, with what was read from it already in its place, output and error.
fn streams(read: Option<Zeroizing<Vec<u8>>>) -> Result<[OwnedFd; 3], Box<Failure>> {
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
    fn address_has_a_name_and_a_socket() {
        let of = |address| parts(address).map(|(name, socket)| (name, socket.display().to_string()));
        let found = |name: &str| Some((name.to_owned(), "/run/x.sock".to_owned()));
        assert_eq!(of("hostler:///system?socket=/run/x.sock"), found("hostler:///system"));
        assert_eq!(of("hostler:///system?socket=/run/x.sock&tenant=a"), found("hostler:///system?tenant=a"));
        assert_eq!(of("hostler:///system"), None);
    }

    #[test]
    fn what_was_read_can_be_read_again() {
        let mut text = String::new();
        File::from(kept(b"<domain/>").unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "<domain/>");
    }
}
