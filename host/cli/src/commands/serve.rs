//! `hostler serve`: the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use hostler_domains::{Config, Workers};
use hostler_serve::{Options, ServeError, Sockets};

use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::output::Reply;
use crate::sent::Around;
use crate::session::Session;
use crate::settings;

/// Serve libvirt's clients until told to end
///
/// virsh and every other client of libvirt works against the socket: virsh -c 'hostler:///system?socket=PATH'. The daemon
/// owns the state directory as long as it runs; commands that only read work beside it, all others are sent to it and
/// carried out there. On SIGTERM or SIGINT it finishes what was begun and ends; guests go on. On SIGHUP it reads its
/// settings again. Drivers run in processes of their own unless told otherwise. Where a service manager has opened sockets,
/// the first one is for everything and the second one for reading.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Listen on PATH [default: serve.sock in the state directory]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Listen on PATH for clients that may only read [default: serve-ro.sock in the state directory]
    #[arg(long, value_name = "PATH")]
    read_only_socket: Option<PathBuf>,
    /// Let figures be fetched by HTTP at ADDRESS, such as 127.0.0.1:9177, in the text format of OpenMetrics
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
}

impl Serve {
    /// Serves until a signal comes.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let settings = session.settings()?;
        let around = Arc::new(Around::new(session.globals().clone(), settings.clone()));
        let config = session.config_with(Workers::On)?;
        let metrics = self.metrics.or(settings.serve.metrics);
        let options = Options { sockets: self.sockets(&config, settings.serve)?, metrics };
        session.service_loop(async {
            let mut signals = session.signals()?;
            session.output().note(&format!("serving on '{}'", options.sockets.full.display()));
            let served = hostler_serve::serve(config, &options, around, signals.received()).await;
            served.map(|()| Reply::streamed()).map_err(failed)
        })
    }

    fn sockets(self, config: &Config, settings: settings::Serve) -> Result<Sockets, Stop> {
        let named = |name: &str| match &config.tenant {
            Some(tenant) => config.state_dir.join(format!("{name}-{}.sock", tenant.name)),
            None => config.state_dir.join(format!("{name}.sock")),
        };
        Ok(Sockets {
            full: absolute(self.socket.or(settings.socket).unwrap_or_else(|| named("serve")))?,
            read_only: Some(absolute(
                self.read_only_socket.or(settings.read_only_socket).unwrap_or_else(|| named("serve-ro")),
            )?),
        })
    }
}

fn absolute(path: PathBuf) -> Result<PathBuf, Stop> {
    std::path::absolute(&path).map_err(|error| Failure::io("find the socket's place", &error).into())
}

fn failed(error: ServeError) -> Stop {
    match error {
        // Of another daemon as well: this one is not sent there.
        ServeError::Host(error) => Failure::from(error).into(),
        ServeError::Socket { action, path, source } => {
            let failure =
                Failure::io(format!("{action} the socket '{path}'"), &source).about("socket", &path);
            failure.hint("name another place with --socket and --read-only-socket", None).into()
        }
        ServeError::Metrics { address, source } => {
            let what = format!("listen on {address} for those who fetch figures");
            let failure = Failure::io(what, &source).about("address", address);
            failure.hint("name another address with --metrics", None).into()
        }
        error => Failure::new("serve.events", Exit::Failed, error.to_string()).cause(&error).into(),
    }
}
