//! From a core module to a checked component.

use super::manifest;
use anyhow::{Context, Result, bail};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// The only package a driver may import from.
const HOST_PACKAGE: &str = "hostler:host/";

/// Encodes a core module as a component that says its manifest at the top level.
///
/// # Errors
/// When the module was not made for a world, lacks a proper manifest, or imports what no host offers.
pub(super) fn component(core: &[u8]) -> Result<Vec<u8>> {
    let mut component = ComponentEncoder::default()
        .validate(true)
        .module(core)
        .and_then(|encoder| encoder.encode())
        .context("cannot be encoded as a component: is the driver's main macro missing?")?;
    refuse_foreign_imports(&component)?;
    manifest::append(&mut component, manifest::find(core)?);
    Ok(component)
}

/// Refuses anything imported from elsewhere than the host's package: WASI above all.
fn refuse_foreign_imports(component: &[u8]) -> Result<()> {
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    let name = import?.name.name;
                    if !name.starts_with(HOST_PACKAGE) {
                        bail!("imports {name}: a driver may import only from {HOST_PACKAGE}*, no WASI");
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}
