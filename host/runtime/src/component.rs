//! A driver's component before it runs: judged as it is, then compiled.

use hostler_grant::Manifest;
use hostler_package::{Kind as PackageErrorKind, Package, PackageError};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::{Cache, CacheOutcome};
use crate::contract;
use crate::error::{DriverIdentity, RuntimeError, RuntimeErrorKind};

/// A component that this host could run, not compiled yet.
pub(crate) struct ComponentFile<'a> {
    package: &'a Package,
    pub(crate) manifest: Manifest,
    pub(crate) identity: DriverIdentity,
}

impl<'a> ComponentFile<'a> {
    /// Reads the manifest, and nothing else yet.
    ///
    /// # Errors
    /// [`RuntimeErrorKind::Load`] when it is no driver, [`RuntimeErrorKind::Contract`] when it is one for
    /// another contract.
    pub(crate) fn of(package: &'a Package) -> Result<Self, RuntimeError> {
        let manifest = package.manifest().map_err(|error| refused(error.within(&package.path)))?;
        let (name, version) = (manifest.name.clone(), manifest.version.clone());
        let identity = DriverIdentity { name, version, digest: package.digest.clone() };
        Ok(Self { package, manifest, identity })
    }

    /// The component's machine code: from the cache, or made now, of a component that is found to be in order first.
    /// What is in the cache was judged by this very version of the host.
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
        let judged = self.package.judge().into_manifest();
        judged.map_err(|error| refused(error).of(&self.identity))?;
        let component = Component::from_binary(engine, &self.package.bytes).map_err(|error| {
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
        self.package.bytes.len() as u64
    }
}

/// The error for a package that cannot be loaded.
pub(crate) fn refused(error: PackageError) -> RuntimeError {
    let kind = match error.kind {
        PackageErrorKind::Contract => RuntimeErrorKind::Contract,
        PackageErrorKind::Import | PackageErrorKind::Digest => RuntimeErrorKind::Denied,
        PackageErrorKind::Grant(kind) => contract::kind_of(kind),
        _ => RuntimeErrorKind::Load,
    };
    let refused = RuntimeError::new(kind, error.to_string());
    let refused = error.hints.iter().fold(refused, |refused, hint| refused.hint(hint));
    match error.into_source() {
        Some(source) => refused.caused_by(source),
        None => refused,
    }
}

fn load(message: impl Into<String>) -> RuntimeError {
    RuntimeError::new(RuntimeErrorKind::Load, message)
}
