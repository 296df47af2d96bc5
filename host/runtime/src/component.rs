//! A driver's file before it runs: read whole, digested, its manifest and contract checked, then compiled.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use hostler_grant::Manifest;
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::{Cache, CacheOutcome};
use crate::contract;
use crate::error::{DriverIdentity, RuntimeError, RuntimeErrorKind};
use crate::limits;
use crate::scan;
use crate::section;

/// The section that holds the manifest.
const MANIFEST_SECTION: &str = "hostler:manifest";

/// A component that this host could run, not compiled yet.
pub(crate) struct ComponentFile {
    bytes: Vec<u8>,
    pub(crate) manifest: Manifest,
    pub(crate) identity: DriverIdentity,
}

impl ComponentFile {
    /// Reads a file once and checks everything that can be checked without compiling it.
    ///
    /// # Errors
    /// [`RuntimeErrorKind::Load`] when it is no driver, [`RuntimeErrorKind::Contract`] when it is one for
    /// another contract.
    pub(crate) fn read(path: &Path) -> Result<Self, RuntimeError> {
        let bytes = read(path)?;
        let manifest = manifest(path, &bytes)?;
        let digest = Sha256::digest(&bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
            // Writing to a string cannot fail.
            write!(text, "{byte:02x}").ok();
            text
        });
        let identity =
            DriverIdentity { name: manifest.name.clone(), version: manifest.version.clone(), digest };
        Ok(Self { bytes, manifest, identity })
    }

    /// The component's machine code, from the cache or made now, its imports and exports checked before.
    ///
    /// # Errors
    /// [`RuntimeErrorKind::Load`] when it does not compile, [`RuntimeErrorKind::Contract`] or
    /// [`RuntimeErrorKind::Denied`] when it wants or offers something else than a driver does.
    pub(crate) fn compile(
        &self,
        engine: &Engine,
        cache: Option<&Cache>,
    ) -> Result<(Component, CacheOutcome), RuntimeError> {
        let digest = &self.identity.digest;
        if let Some(component) = cache.and_then(|cache| cache.find(engine, digest)) {
            return Ok((component, CacheOutcome::Cached));
        }
        let found = scan::component(&self.bytes).map_err(|why| load(why).of(&self.identity))?;
        contract::check_items(&found).map_err(|error| error.of(&self.identity))?;
        let component = Component::from_binary(engine, &self.bytes).map_err(|error| {
            load("the component is not valid, or uses a feature that is switched off")
                .caused_by(error)
                .of(&self.identity)
        })?;
        if let Some(cache) = cache {
            cache.store(engine, digest, &component);
        }
        Ok((component, CacheOutcome::Compiled))
    }

    /// Size of the component, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// Reads what a driver is called, takes and asks for, without looking at the rest of it.
///
/// # Errors
/// [`RuntimeErrorKind::Load`] when it is no driver, [`RuntimeErrorKind::Contract`] when it is one for another
/// contract.
pub fn read_manifest(path: &Path) -> Result<Manifest, RuntimeError> {
    manifest(path, &read(path)?)
}

fn manifest(path: &Path, component: &[u8]) -> Result<Manifest, RuntimeError> {
    let section = section::find(component, MANIFEST_SECTION).map_err(|why| {
        load(format!("'{}': {why}", path.display()))
            .hint("build drivers with hostler_sdk::driver! and `cargo xtask components`")
    })?;
    Manifest::parse(section).map_err(|error| {
        let refused = contract::refused(error);
        let message = format!("'{}': {}", path.display(), refused.message());
        refused.with_message(message)
    })
}

fn load(message: impl Into<String>) -> RuntimeError {
    RuntimeError::new(RuntimeErrorKind::Load, message)
}

/// Reads a regular file of at most [`limits::COMPONENT_BYTES`].
fn read(path: &Path) -> Result<Vec<u8>, RuntimeError> {
    let failed = |error| load(format!("cannot read the driver '{}'", path.display())).caused_by(error);
    // A FIFO under this name must not block.
    let file = OpenOptions::new().read(true).custom_flags(nonblocking()).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(load(format!("the driver '{}' is not a file", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(limits::COMPONENT_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limits::COMPONENT_BYTES {
        let limit = limits::COMPONENT_BYTES >> 20;
        return Err(load(format!("the driver '{}' is larger than {limit} MiB", path.display())));
    }
    Ok(bytes)
}

#[expect(clippy::cast_possible_wrap, reason = "open flags are a bit set; the sign carries nothing")]
fn nonblocking() -> i32 {
    OFlags::NONBLOCK.bits() as i32
}
