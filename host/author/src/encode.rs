//! From a core module to a component with its manifest at the top level.

use std::fs;
use std::path::Path;

use hostler_grant::{MANIFEST_MAX_BYTES, Manifest};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::contract;
use crate::error::{AuthorError, Kind};
use crate::manifest_section;

/// Largest core module that is read, in bytes: with everything that a compiler adds for debugging.
const MODULE_MAX_BYTES: u64 = 128 << 20;
/// How the sections begin in which toolchains say what world a module was made for.
const WORLD_SECTION: &str = "component-type";
/// How the exports of a driver begin. The interface follows, its version after an `@`, and the function.
const EXPORT: &str = "hostler:driver/";

/// Makes a component of a core module. The manifest is the module's own section, or the one given.
///
/// A module that does not say what world it was made for, as one from a plain C compiler, is taken to be made for the
/// contract that this program carries.
///
/// # Errors
/// [`Kind::Module`] when it is no core module, imports what no host offers or lacks an export; [`Kind::Manifest`] when
/// there is no manifest, are two, or the one there is is not valid. What a host has against it in addition,
/// [`hostler_package::judge`] says.
pub fn encode(core: &[u8], manifest: Option<&[u8]>) -> Result<Vec<u8>, AuthorError> {
    require_core(core)?;
    let manifest = choose(manifest_section::find(core)?, manifest)?;
    let seen = look(core)?;
    let mut module = core.to_vec();
    if !seen.says_its_world {
        let (resolve, world) = contract::world(&seen.interfaces)?;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .map_err(|error| not_encodable(&format!("{error:#}")))?;
    }
    let mut component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| not_encodable(&format!("{error:#}")))?;
    manifest_section::append(&mut component, manifest);
    Ok(component)
}

/// The same for files: reads module and manifest, writes the component whole or not at all.
///
/// # Errors
/// As [`encode`]; [`Kind::NotFound`] and [`Kind::Io`] for the files.
pub fn encode_files(core: &Path, manifest: Option<&Path>, out: &Path) -> Result<u64, AuthorError> {
    let manifest = manifest.map(|path| read(path, "manifest", MANIFEST_MAX_BYTES as u64)).transpose()?;
    let component = encode(&read(core, "core module", MODULE_MAX_BYTES)?, manifest.as_deref())?;
    write_whole(out, &component)?;
    Ok(component.len() as u64)
}

/// Writes a file beside its place and moves it there.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), AuthorError> {
    let failed = |error| AuthorError::io("write the component", path, error);
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    fs::write(&draft, bytes).and_then(|()| fs::rename(&draft, path)).map_err(failed)
}

fn read(path: &Path, what: &str, limit: u64) -> Result<Vec<u8>, AuthorError> {
    let failed = |error| AuthorError::io(&format!("read the {what}"), path, error);
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() || metadata.len() > limit {
        let why = if metadata.is_file() {
            format!("is larger than {limit} bytes")
        } else {
            "is not a file".to_owned()
        };
        return Err(AuthorError::new(Kind::Module, format!("the {what} '{}' {why}", path.display())));
    }
    fs::read(path).map_err(failed)
}

fn require_core(bytes: &[u8]) -> Result<(), AuthorError> {
    if Parser::is_core_wasm(bytes) {
        return Ok(());
    }
    if Parser::is_component(bytes) {
        return Err(AuthorError::new(Kind::Module, "the file is a component already, not a core module")
            .command("see what a host makes of it", "hostler driver check FILE"));
    }
    Err(AuthorError::new(Kind::Module, "the file is not WebAssembly")
        .hint("name the module that the compiler has linked, such as target/wasm32-unknown-unknown/release/NAME.wasm"))
}

/// The one manifest, known to be valid.
fn choose<'a>(own: Option<&'a [u8]>, given: Option<&'a [u8]>) -> Result<&'a [u8], AuthorError> {
    let manifest = match (own, given) {
        (Some(_), Some(_)) => {
            return Err(AuthorError::new(
                Kind::Manifest,
                "the core module has a manifest of its own, and another one was given",
            )
            .hint("leave the manifest out: the module's own is used"));
        }
        (None, None) => {
            return Err(AuthorError::new(Kind::Manifest, "the core module has no manifest")
                .hint("call hostler_sdk::driver! in the driver, or give a manifest: --manifest FILE"));
        }
        (Some(own), None) => own,
        (None, Some(given)) => given,
    };
    Manifest::parse(manifest).map_err(|error| {
        let refused = AuthorError::new(Kind::Manifest, error.to_string());
        error.hints.iter().fold(refused, |refused, hint| refused.hint(hint))
    })?;
    Ok(manifest)
}

/// What a module says of itself.
#[derive(Default)]
struct Seen {
    says_its_world: bool,
    /// The interfaces that it exports, each once.
    interfaces: Vec<String>,
}

fn look(core: &[u8]) -> Result<Seen, AuthorError> {
    let damaged = |error: wasmparser::BinaryReaderError| not_encodable(error.message());
    let mut seen = Seen::default();
    for payload in Parser::new(0).parse_all(core) {
        match payload.map_err(damaged)? {
            Payload::CustomSection(section) => {
                seen.says_its_world |= section.name().starts_with(WORLD_SECTION)
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let interface = export.map_err(damaged)?.name.strip_prefix(EXPORT);
                    let interface = interface.and_then(|rest| rest.split('@').next()).map(str::to_owned);
                    seen.interfaces
                        .extend(interface.filter(|interface| !seen.interfaces.contains(interface)));
                }
            }
            _ => {}
        }
    }
    Ok(seen)
}

/// The reasons come from the encoder, and name what the module imports or lacks.
fn not_encodable(why: &str) -> AuthorError {
    let error = AuthorError::new(Kind::Module, format!("the core module cannot be made a component: {why}"));
    if why.contains("wasi") {
        return error
            .hint("build for wasm32-unknown-unknown: a driver has no system interface, so nothing of WASI");
    }
    if why.contains("env") {
        return error.hint("a function is declared and nowhere defined: link what has it, or do without");
    }
    error.hint("a driver exports all of hostler:driver/about and hostler:driver/lifecycle, and imports hostler:host alone")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &[u8] = br#"{"name":"acme","version":"1","contract":"0.1.0","domain-types":["acme"]}"#;

    fn module(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn what_cannot_be_encoded_says_why_and_what_to_do() {
        let wasi = module(
            r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)) (memory (export "memory") 1))"#,
        );
        let undefined = module(r#"(module (import "env" "printf" (func)) (memory (export "memory") 1))"#);
        let empty = module("(module)");
        let component = module("(component)");
        for (bytes, manifest, kind, reason) in [
            (&b"#!/bin/sh"[..], Some(MANIFEST), Kind::Module, "not WebAssembly"),
            (&component, Some(MANIFEST), Kind::Module, "component already"),
            (&empty, None, Kind::Manifest, "no manifest"),
            (&empty, Some(&b"{}"[..]), Kind::Manifest, "manifest cannot be read"),
            (&empty, Some(MANIFEST), Kind::Module, "cannot be made a component"),
            (&wasi, Some(MANIFEST), Kind::Module, "wasi_snapshot_preview1"),
            (&undefined, Some(MANIFEST), Kind::Module, "env"),
        ] {
            let error = encode(bytes, manifest).unwrap_err();
            assert!(error.kind == kind && error.to_string().contains(reason), "{reason}: {error}");
            assert!(!error.hints.is_empty(), "{error}");
        }
    }

    #[test]
    fn two_manifests_are_one_too_many() {
        let mut core = module("(module)");
        manifest_section::append(&mut core, MANIFEST);
        assert_eq!(encode(&core, Some(MANIFEST)).unwrap_err().kind, Kind::Manifest);
    }

    #[test]
    fn file_that_is_not_there_is_not_found_and_nothing_is_written() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("out.wasm");
        let error = encode_files(&place.path().join("none.wasm"), None, &out).unwrap_err();
        assert_eq!(error.kind, Kind::NotFound);
        assert!(!out.exists());
    }
}
