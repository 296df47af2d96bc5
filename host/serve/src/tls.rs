//! The way in from other machines: TLS, with a certificate on both sides and a list of names that are let in.

mod name;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hostler_domains::{Error, Kind};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::access::glob;
use crate::connection::{self, Arrival};
use crate::daemon::Daemon;
use crate::peer::Peer;
use crate::seats::Origin;
use crate::server::ServeError;
use crate::source::Remote;
use crate::transmit::RemoteSink;

/// Where libvirt's clients come when they are told no port.
const PORT: u16 = 16_514;
/// How long a handshake may take: what it says is a few kilobytes.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
/// What a client waits for behind the handshake: that its name is let in.
const LET_IN: &[u8] = &[1];

/// The way in from other machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Where to listen; nowhere when it is not said.
    pub address: Option<SocketAddr>,
    /// The certificates of who signs those of clients.
    pub authority: PathBuf,
    /// Certificates of theirs that are withdrawn, if there is such a list.
    pub revoked: Option<PathBuf>,
    /// This host's own certificate, with those between it and the authority.
    pub certificate: PathBuf,
    /// The key of this host's own certificate.
    pub key: PathBuf,
    /// The names that are let in, as patterns of `C=GB,O=Lab,CN=alice`. Without any, nobody is.
    pub allow: Vec<String>,
}

/// The places that libvirt has for them.
impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            address: None,
            authority: PathBuf::from("/etc/pki/CA/cacert.pem"),
            revoked: None,
            certificate: PathBuf::from("/etc/pki/libvirt/servercert.pem"),
            key: PathBuf::from("/etc/pki/libvirt/private/serverkey.pem"),
            allow: Vec::new(),
        }
    }
}

/// What makes connections of what comes.
#[derive(Clone)]
pub(crate) struct Acceptor {
    tls: TlsAcceptor,
    allow: Arc<[String]>,
}

impl TlsSettings {
    /// Understands an address, with libvirt's port where none is given.
    ///
    /// # Errors
    /// What it should be.
    pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let with_port = || bare.parse::<IpAddr>().map(|address| SocketAddr::new(address, PORT));
        text.parse().or_else(|_| with_port()).map_err(|_| {
            format!("'{}' is no address of this host: 0.0.0.0, [::]:16514 or the like", text.escape_debug())
        })
    }

    /// Reads certificates and key; nothing when nobody is to come this way.
    ///
    /// # Errors
    /// What keeps them from being of use.
    pub(crate) fn acceptor(&self) -> Result<Option<Acceptor>, Error> {
        if self.address.is_none() {
            return Ok(None);
        }
        if self.allow.is_empty() {
            tracing::warn!("no name is let in by TLS: say which with --tls-allow");
        }
        let wrong = |path: &Path, error: Box<dyn std::error::Error + Send + Sync>| {
            let message = format!("'{}' cannot be used for TLS", path.display());
            Error::new(Kind::Invalid, "tls.unusable", message)
                .about("file", path.display().to_string())
                .caused_by(error)
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.authority)? {
            roots.add(certificate).map_err(|error| wrong(&self.authority, error.into()))?;
        }
        let provider = Arc::new(ring::default_provider());
        let mut verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        if let Some(path) = &self.revoked {
            let lists = CertificateRevocationListDer::pem_file_iter(path);
            let lists = lists.and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let lists = lists.map_err(|error| wrong(path, error.into()))?;
            // Without any, nobody would be known to be withdrawn.
            if lists.is_empty() {
                return Err(wrong(path, "there is no list of withdrawn certificates in it".into()));
            }
            verifier = verifier.with_crls(lists);
        }
        let verifier = verifier.build().map_err(|error| wrong(&self.authority, error.into()))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| wrong(&self.key, error.into()))?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(&self.certificate, error.into()))?;
        let mut config = config
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates(&self.certificate)?, key)
            .map_err(|error| wrong(&self.certificate, error.into()))?;
        // libvirt's clients take a ticket for an end; and who comes again is to be looked at again.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Some(Acceptor { tls: TlsAcceptor::from(Arc::new(config)), allow: self.allow.clone().into() }))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let failed = || {
        let message = format!("'{}' holds no certificates that can be read", path.display());
        Error::new(Kind::Invalid, "tls.certificates", message).about("file", path.display().to_string())
    };
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.map_err(|error| failed().caused_by(error))?;
    if found.is_empty() { Err(failed()) } else { Ok(found) }
}

/// Listens for other machines.
///
/// # Errors
/// What the system says.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| ServeError::socket("listen on", Path::new(&address.to_string()), error))
}

/// Takes clients until the daemon ends, each by what the newest certificates say, and waits for those that are there.
pub(crate) async fn accept(daemon: Arc<Daemon>, listener: TcpListener, newest: watch::Receiver<Acceptor>) {
    let mut clients = JoinSet::new();
    loop {
        let came = tokio::select! {
            came = listener.accept() => came,
            () = daemon.operator.stopping() => break,
        };
        while clients.try_join_next().is_some() {}
        match came {
            Ok((socket, from)) => {
                let (daemon, acceptor) = (Arc::clone(&daemon), newest.borrow().clone());
                clients.spawn(async move {
                    let stopping = Arc::clone(&daemon);
                    tokio::select! {
                        () = take(daemon, socket, from, acceptor) => {}
                        () = stopping.operator.stopping() => {}
                    }
                });
            }
            Err(error) => {
                // No descriptors left, as a rule: others have to close theirs first.
                tracing::warn!(%error, "no client can be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    while clients.join_next().await.is_some() {}
}

async fn take(daemon: Arc<Daemon>, socket: TcpStream, from: SocketAddr, acceptor: Acceptor) {
    let Some(seat) = daemon.seats.take(Origin::Address(from.ip())).await else {
        return tracing::warn!(%from, "too many clients are connected; one more is turned away");
    };
    let (stream, dn) = match tokio::time::timeout(HANDSHAKE_WAIT, let_in(socket, &acceptor)).await {
        Ok(Ok(let_in)) => let_in,
        Ok(Err(error)) => return tracing::info!(%from, %error, "a client is not let in"),
        Err(_) => return tracing::info!(%from, "a client does not come to the end of its handshake"),
    };
    let peer = match daemon.policy() {
        Some(policy) => Peer::remote(dn).mapped(&policy),
        None => Peer::remote(dn),
    };
    tracing::info!(%from, %peer, "a client is let in");
    let (reading, writing) = tokio::io::split(stream);
    let arrival = Arrival { peer, reads_only: false, lets_in: false, is_remote: true, seat };
    connection::serve(daemon, arrival, Remote(reading), RemoteSink(writing)).await;
}

/// Shakes hands, looks at the name, and says that it is let in.
async fn let_in(socket: TcpStream, acceptor: &Acceptor) -> io::Result<(TlsStream<TcpStream>, String)> {
    socket.set_nodelay(true)?;
    let mut stream = acceptor.tls.accept(socket).await?;
    let own = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let own = own.ok_or_else(|| io::Error::other("it has no certificate"))?;
    let name = name::of(own).ok_or_else(|| io::Error::other("its certificate has no name"))?;
    if !acceptor.allow.iter().any(|pattern| glob::matches(pattern, &name)) {
        stream.shutdown().await?;
        return Err(io::Error::other(format!("'{}' is not among the names that are", name.escape_debug())));
    }
    stream.write_all(LET_IN).await?;
    stream.flush().await?;
    Ok((stream, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_may_leave_the_port_out() {
        let parsed = |text| TlsSettings::parse_address(text).map(|address| address.to_string());
        assert_eq!(parsed("0.0.0.0").unwrap(), "0.0.0.0:16514");
        assert_eq!(parsed("[::1]").unwrap(), "[::1]:16514");
        assert_eq!(parsed("::1").unwrap(), "[::1]:16514");
        assert_eq!(parsed("127.0.0.1:1").unwrap(), "127.0.0.1:1");
        assert!(parsed("localhost").unwrap_err().contains("0.0.0.0"));
    }

    #[test]
    fn files_that_are_of_no_use_are_named() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("empty.pem");
        std::fs::write(&path, "").unwrap();
        for authority in [path.clone(), place.path().join("absent.pem")] {
            let address = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
            let settings = TlsSettings { address, authority: authority.clone(), ..TlsSettings::default() };
            let error = settings.acceptor().map(drop).unwrap_err();
            assert!(error.message.contains(authority.to_str().unwrap()), "{error}");
        }
        assert!(TlsSettings::default().acceptor().unwrap().is_none());
    }
}
