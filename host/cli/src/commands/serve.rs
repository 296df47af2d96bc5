//! `hostler serve`: the daemon.

use std::path::{Path, PathBuf};

use clap::Args;
use hostler_domains::{Config, Workers};
use hostler_serve::{ServeError, Sockets};

use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::output::Reply;
use crate::session::{Session, Signals};

/// Serve libvirt's clients until told to end
///
/// virsh and every other client of libvirt works against the socket: virsh -c 'hostler:///system?socket=PATH'. The daemon
/// owns the state directory as long as it runs; commands that only read work beside it. On SIGTERM or SIGINT it finishes
/// what was begun and ends; guests go on. Drivers run in processes of their own unless '--workers off' is given. Where a
/// service manager has opened sockets, the first one is for everything and the second one for reading.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Listen on PATH [default: serve.sock in the state directory]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Listen on PATH for clients that may only read [default: serve-ro.sock in the state directory]
    #[arg(long, value_name = "PATH")]
    read_only_socket: Option<PathBuf>,
}

impl Serve {
    /// Serves until a signal comes.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let mut config = session.config_with(Workers::On)?;
        let sockets = self.sockets(&config)?;
        config.announced = Some(uri(&sockets.full));
        session.service_loop(async {
            let mut signals = Signals::new().map_err(|error| Failure::io("listen for signals", &error))?;
            session.output().note(&format!("serving on '{}'", sockets.full.display()));
            let served = hostler_serve::serve(config, &sockets, async { signals.received().await }).await;
            served.map(|()| Reply::streamed()).map_err(failed)
        })
    }

    fn sockets(self, config: &Config) -> Result<Sockets, Stop> {
        let named = |name: &str| match &config.tenant {
            Some(tenant) => config.state_dir.join(format!("{name}-{}.sock", tenant.name)),
            None => config.state_dir.join(format!("{name}.sock")),
        };
        Ok(Sockets {
            full: absolute(self.socket.unwrap_or_else(|| named("serve")))?,
            read_only: Some(absolute(self.read_only_socket.unwrap_or_else(|| named("serve-ro")))?),
        })
    }
}

fn absolute(path: PathBuf) -> Result<PathBuf, Stop> {
    std::path::absolute(&path).map_err(|error| Failure::io("find the socket's place", &error).into())
}

/// How a client gets here.
fn uri(socket: &Path) -> String {
    let path = if rustix::process::geteuid().is_root() { "system" } else { "session" };
    format!("hostler:///{path}?socket={}", socket.display())
}

fn failed(error: ServeError) -> Stop {
    match error {
        ServeError::Host(error) => error.into(),
        ServeError::Socket { action, path, source } => {
            let failure =
                Failure::io(format!("{action} the socket '{path}'"), &source).about("socket", &path);
            failure.hint("name another place with --socket and --read-only-socket", None).into()
        }
        error => Failure::new("serve.events", Exit::Failed, error.to_string()).cause(&error).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_what_a_client_takes() {
        let uri = uri(Path::new("/run/x.sock"));
        assert!(uri.starts_with("hostler:///s") && uri.ends_with("?socket=/run/x.sock"), "{uri}");
    }
}
