//! `hostler serve`: the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use hostler_domains::{Config, Workers};
use hostler_serve::{AccessSettings, Auth, ServeError, Settings, Sockets, TlsSettings};

use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::output::Reply;
use crate::sent::Around;
use crate::session::Session;
use crate::settings::{self, parse_mode};

/// Serve libvirt's clients until told to end
///
/// virsh and every other client of libvirt works against the socket: virsh -c 'hostler:///system?socket=PATH'. The daemon
/// owns the state directory as long as it runs; commands that only read work beside it, all others are sent to it and
/// carried out there. On SIGTERM or SIGINT it finishes what was begun and ends; guests go on. On SIGHUP it reads its settings,
/// the access file and certificates again. Drivers run in processes of their own unless told otherwise. Where a service
/// manager has opened sockets, the first one is for everything and the second one for reading. Users whom a tenant admits are
/// served what is that tenant's, and nothing else; root and the daemon's own user get to it by hostler:///system?tenant=NAME.
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
    /// Let users connect to the sockets that this file mode names; who may connect may then do everything, or what the access
    /// file says if there is one [default: 0600; where there are tenants, an access file or polkit 0666, which gives nobody
    /// anything by itself]
    #[arg(long, value_name = "MODE", value_parser = parse_mode)]
    socket_mode: Option<u32>,
    /// What users are asked for who are not root, not the daemon's own and not a tenant's: nothing; nothing, and they may look
    /// unless the access file says more; or polkit, by the actions that rules for libvirt name
    #[arg(long, value_name = "none|policy|polkit")]
    auth: Option<Auth>,
    /// Who may do what [default: access.toml in the state directory, if it is there]
    #[arg(long, value_name = "FILE")]
    access: Option<PathBuf>,
    /// Listen for TLS on ADDR, with port 16514 unless it names another
    #[arg(long, value_name = "ADDR", value_parser = TlsSettings::parse_address)]
    tls: Option<SocketAddr>,
    /// The certificates of who signs those of clients [default: /etc/pki/CA/cacert.pem]
    #[arg(long, value_name = "FILE", requires = "tls")]
    tls_ca: Option<PathBuf>,
    /// The list of certificates that are withdrawn
    #[arg(long, value_name = "FILE", requires = "tls")]
    tls_crl: Option<PathBuf>,
    /// This host's certificate [default: /etc/pki/libvirt/servercert.pem]
    #[arg(long, value_name = "FILE", requires = "tls")]
    tls_cert: Option<PathBuf>,
    /// The key of this host's certificate [default: /etc/pki/libvirt/private/serverkey.pem]
    #[arg(long, value_name = "FILE", requires = "tls")]
    tls_key: Option<PathBuf>,
    /// Let clients in whose certificate has this name, such as 'C=GB,O=Lab,CN=*'; what they may says the access file, and
    /// without one they may look. Can be given again; nobody is let in without
    #[arg(long, value_name = "PATTERN", requires = "tls")]
    tls_allow: Vec<String>,
}

impl Serve {
    /// Serves until a signal comes.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let file = session.settings()?;
        let around = Arc::new(Around::new(session.globals().clone(), file.clone()));
        let config = session.config_with(&file, Some(Workers::On))?;
        let settings = self.over(file, &config)?;
        session.service_loop(async {
            let mut signals = session.signals()?;
            session.output().note(&format!("serving on {}", settings.sockets.in_words()));
            let served = hostler_serve::serve(config, &settings, around, signals.received());
            Box::pin(served).await.map(|()| Reply::streamed()).map_err(failed)
        })
    }

    /// What the options say, over what the settings of the host say.
    fn over(self, file: settings::Settings, config: &Config) -> Result<Settings, Stop> {
        let named = |name: &str| match &config.tenant {
            Some(tenant) => config.state_dir.join(format!("{name}-{}.sock", tenant.name)),
            None => config.state_dir.join(format!("{name}.sock")),
        };
        let settings::Settings { serve, tls, .. } = file;
        let sockets = Sockets {
            full: absolute(self.socket.or(serve.socket).unwrap_or_else(|| named("serve")))?,
            read_only: Some(absolute(
                self.read_only_socket.or(serve.read_only_socket).unwrap_or_else(|| named("serve-ro")),
            )?),
            mode: self.socket_mode.or(serve.socket_mode),
        };
        let usual = TlsSettings::default();
        let tls = TlsSettings {
            address: self.tls.or(tls.listen),
            authority: self.tls_ca.or(tls.ca).unwrap_or(usual.authority),
            revoked: self.tls_crl.or(tls.crl),
            certificate: self.tls_cert.or(tls.cert).unwrap_or(usual.certificate),
            key: self.tls_key.or(tls.key).unwrap_or(usual.key),
            allow: if self.tls_allow.is_empty() { tls.allow } else { self.tls_allow },
        };
        let access = AccessSettings { file: self.access.or(serve.access), auth: self.auth.or(serve.auth) };
        Ok(Settings { sockets, tls, access, metrics: self.metrics.or(serve.metrics) })
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
