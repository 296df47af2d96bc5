//! A driver in a registry, fetched over HTTP: the same artifact as in a layout on disk, and the same limits.
//!
//! What is spoken is described at <https://github.com/opencontainers/distribution-spec>; [`oci_client`] speaks it.
//! Credentials are those of `docker login` or `podman login`, from where those programs keep them.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::str::FromStr as _;
use std::task::{Context, Poll};
use std::time::Duration;

use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::OciDescriptor;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use tokio::io::AsyncWrite;

use crate::artifact::{
    COMPONENT_LAYER, Descriptor, MANIFEST_BLOB, MANIFEST_TYPE, Manifest, SIGNATURES_LAYER, SignaturesPart,
};
use crate::error::{Kind, PackageError, shown};
use crate::file::Wanted;
use crate::package::{Form, Package, REGISTRY_SCHEME};

/// How long a registry may take to take a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long it may say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long all of a driver may take: 16 MiB over a slow line.
const FETCH_MAX: Duration = Duration::from_secs(300);

/// Fetches the driver that a reference names: `oci://HOST[:PORT]/NAME[:TAG][@DIGEST]`.
///
/// # Errors
/// [`Kind::Reference`] for a name that is not valid, [`Kind::Registry`] for what the registry and the way there say;
/// otherwise as [`Package::open`].
pub(crate) async fn fetch(path: &Path) -> Result<Package, PackageError> {
    let reference = parse(path)?;
    let driver = Source {
        client: client(&reference)?,
        auth: credentials::of(reference.resolve_registry())?,
        reference,
        path,
    };
    match tokio::time::timeout(FETCH_MAX, driver.fetch()).await {
        Ok(fetched) => fetched,
        Err(_) => {
            let seconds = FETCH_MAX.as_secs();
            Err(driver.wrong(format!("the driver was not here after {seconds} seconds, the limit")))
        }
    }
}

/// Reads a reference. The registry is always named: none is assumed.
fn parse(path: &Path) -> Result<Reference, PackageError> {
    let wrong = |why: String| {
        PackageError::new(Kind::Reference, format!("'{}' {why}", shown(&path.display().to_string())))
            .hint(format!("write it as {REGISTRY_SCHEME}HOST[:PORT]/NAME[:TAG][@sha256:DIGEST]"))
    };
    let text = path.to_str().and_then(|text| text.strip_prefix(REGISTRY_SCHEME));
    let text = text.ok_or_else(|| wrong("names no registry".to_owned()))?;
    let host = text.split_once('/').map_or("", |(host, _)| host);
    if host != "localhost" && !host.contains(['.', ':']) {
        return Err(wrong("does not begin with the host of a registry".to_owned()));
    }
    Reference::from_str(text).map_err(|error| wrong(format!("is no reference: {error}")))
}

/// Without encryption only a registry on this machine is spoken to.
fn client(reference: &Reference) -> Result<Client, PackageError> {
    // Another part of the program may have chosen it already, which is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
    let config = ClientConfig {
        protocol: if is_here(reference) { ClientProtocol::Http } else { ClientProtocol::Https },
        connect_timeout: Some(CONNECT_MAX),
        read_timeout: Some(SILENCE_MAX),
        user_agent: concat!("hostler/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    Client::try_from(config).map_err(|error| {
        PackageError::new(Kind::Registry, "cannot set up a connection to a registry")
            .because(io::Error::other(error))
    })
}

/// Whether the registry is on this machine, by a name that nothing else can have.
fn is_here(reference: &Reference) -> bool {
    let host = reference.resolve_registry();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1")
}

/// A driver in a registry.
struct Source<'a> {
    client: Client,
    auth: RegistryAuth,
    reference: Reference,
    path: &'a Path,
}

impl Source<'_> {
    async fn fetch(&self) -> Result<Package, PackageError> {
        let within = |error: PackageError| error.within(self.path);
        let manifest = Manifest::parse(&self.manifest().await?).map_err(within)?;
        let parts = manifest.parts().map_err(within)?;
        let bytes = self.blob(parts.component, COMPONENT_LAYER).await?;
        let signatures = match parts.signatures {
            SignaturesPart::None => None,
            SignaturesPart::Layer(layer) => Some(self.blob(layer, SIGNATURES_LAYER).await?),
            SignaturesPart::Annotation(text) => Some(text.as_bytes().to_vec()),
        };
        Ok(Package::new(bytes, signatures, Form::Registry, self.path))
    }

    /// The manifest, which has the digest that the reference names, if it names one.
    async fn manifest(&self) -> Result<Vec<u8>, PackageError> {
        let pulled = self.client.pull_manifest_raw(&self.reference, &self.auth, &[MANIFEST_TYPE]);
        let (bytes, _) = self.answered(pulled).await?;
        if bytes.len() as u64 <= MANIFEST_BLOB.limit {
            return Ok(bytes.to_vec());
        }
        let message =
            format!("the manifest has {} bytes, more than the limit of {}", bytes.len(), MANIFEST_BLOB.limit);
        Err(PackageError::new(Kind::TooLarge, message).within(self.path))
    }

    /// The blob that a descriptor names, with just this size and digest.
    async fn blob(&self, descriptor: &Descriptor, wanted: Wanted) -> Result<Vec<u8>, PackageError> {
        let within = |error: PackageError| error.within(self.path);
        descriptor.check(wanted).map_err(within)?;
        let named = OciDescriptor {
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest.clone(),
            size: i64::try_from(descriptor.size).unwrap_or(i64::MAX),
            ..OciDescriptor::default()
        };
        let mut received = Received { bytes: Vec::new(), limit: descriptor.size };
        self.answered(self.client.pull_blob(&self.reference, &named, &mut received)).await?;
        descriptor.verify(&received.bytes, wanted.what).map_err(within)?;
        Ok(received.bytes)
    }

    async fn answered<T>(
        &self,
        asked: impl Future<Output = Result<T, OciDistributionError>>,
    ) -> Result<T, PackageError> {
        asked.await.map_err(|error| self.failed(error))
    }

    /// What a registry, or the way there, said, in words of ours.
    fn failed(&self, error: OciDistributionError) -> PackageError {
        let host = self.reference.resolve_registry();
        match &error {
            OciDistributionError::DigestError(_) => {
                PackageError::new(Kind::Digest, shown(&error.to_string()))
                    .within(self.path)
                    .hint("the registry gives out something else than was asked for: tell who runs it")
            }
            OciDistributionError::UnauthorizedError { .. }
            | OciDistributionError::AuthenticationFailure(_) => self
                .wrong("the registry wants to know who you are")
                .hint(format!("log in first: docker login {host}, or podman login {host}")),
            OciDistributionError::ImageManifestNotFoundError(_)
            | OciDistributionError::ServerError { code: 404, .. } => self.absent(),
            OciDistributionError::RegistryError { envelope, .. }
                if envelope.errors.iter().all(|error| is_absent(&error.code)) =>
            {
                self.absent()
            }
            OciDistributionError::IoError(source) if source.kind() == io::ErrorKind::FileTooLarge => {
                PackageError::new(Kind::Digest, source.to_string()).within(self.path)
            }
            OciDistributionError::RequestError(source) if source.is_connect() => self
                .wrong(format!("there is no way to '{host}'"))
                .hint("see that the host is right, that it is up, and that its certificate is one that this machine trusts")
                .because(io::Error::other(error)),
            _ => self.wrong("the registry's answer is of no use").because(io::Error::other(error)),
        }
    }

    fn absent(&self) -> PackageError {
        PackageError::new(Kind::NotFound, "the registry has no such driver")
            .within(self.path)
            .hint("see that its name and its tag are right")
    }

    fn wrong(&self, why: impl Into<String>) -> PackageError {
        PackageError::new(Kind::Registry, why).within(self.path)
    }
}

fn is_absent(code: &OciErrorCode) -> bool {
    matches!(code, OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown | OciErrorCode::BlobUnknown)
}

/// The bytes that came, never more than were said to come.
struct Received {
    bytes: Vec<u8>,
    limit: u64,
}

impl AsyncWrite for Received {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, more: &[u8]) -> Poll<io::Result<usize>> {
        let received = self.get_mut();
        if (received.bytes.len() + more.len()) as u64 > received.limit {
            let message = format!("more came than the {} bytes that its manifest says", received.limit);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::FileTooLarge, message)));
        }
        received.bytes.extend_from_slice(more);
        Poll::Ready(Ok(more.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

mod credentials;
#[cfg(test)]
mod tests;
