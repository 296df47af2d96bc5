//! A driver's component before it runs: judged as it is, then compiled.

use std::path::Path;

use hostler_grant::Manifest;
use hostler_package::{Kind as PackageErrorKind, Package, PackageError};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::{Cache, CacheOutcome};
use crate::compiler;
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
        compiler: Option<&Path>,
    ) -> Result<(Component, CacheOutcome), RuntimeError> {
        let digest = &self.identity.digest;
        if let Some(component) = cache.and_then(|cache| cache.find(engine, digest)) {
            return Ok((component, CacheOutcome::Cached));
        }
        let judged = self.package.judge().into_manifest();
        judged.map_err(|error| refused(error).of(&self.identity))?;
        let component = match (cache, compiler) {
            (Some(cache), Some(program)) => self.compile_apart(engine, cache, program),
            _ => self.compile_in_place(engine, cache),
        };
        Ok((component.map_err(|error| error.of(&self.identity))?, CacheOutcome::Compiled))
    }

    /// In a bounded process, whose result goes through the cache like any other.
    fn compile_apart(
        &self,
        engine: &Engine,
        cache: &Cache,
        program: &Path,
    ) -> Result<Component, RuntimeError> {
        let artifact = compiler::compile_apart(program, &self.package.bytes)?;
        let digest = &self.identity.digest;
        let unwritten = |error| {
            RuntimeError::new(RuntimeErrorKind::Cache, "the compiled driver cannot be kept").caused_by(error)
        };
        cache.store_artifact(engine, digest, &artifact).map_err(unwritten)?;
        cache.find(engine, digest).ok_or_else(|| {
            RuntimeError::new(RuntimeErrorKind::Cache, "the compiled driver was not found in the cache")
                .hint("look at the log: it says why the entry was refused")
        })
    }

    fn compile_in_place(&self, engine: &Engine, cache: Option<&Cache>) -> Result<Component, RuntimeError> {
        let component = Component::from_binary(engine, &self.package.bytes)
            .map_err(|error| load(compiler::NOT_VALID).caused_by(error))?;
        if let Some(cache) = cache {
            cache.store(engine, &self.identity.digest, &component);
        }
        Ok(component)
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
