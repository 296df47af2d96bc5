//! Guests too long or too broken to be written out: made here, the same each time.

use std::fmt::Write as _;

use wasm_encoder::{ComponentSection as _, Encode as _, InstanceSection, Module, ModuleSection};
use wasmparser::{Parser, Payload};

use super::encode::{OURS, driver, text, with_manifest};

/// Identifier of a section that holds a component.
const NESTED_COMPONENT: u8 = 4;

/// 49,999 variables in one function: one less than the limit of the format.
pub(super) fn many_locals() -> Vec<u8> {
    driver(&format!("(func {})", "(local i64)".repeat(49_999)), OURS)
}

/// 20,000 functions: what they cost is the compiler's time.
pub(super) fn many_functions() -> Vec<u8> {
    let mut fields = String::new();
    for number in 0..20_000 {
        writeln!(
            fields,
            "(func (param i32) (result i32) (i32.add (local.get 0) (i32.const {number}))\
             (i32.xor (local.get 0) (i32.const {})) i32.mul)",
            number * 7
        )
        .unwrap();
    }
    driver(&fields, OURS)
}

/// 5,000 blocks, each within the one before.
pub(super) fn deep_blocks() -> Vec<u8> {
    driver(&format!("(func {}{})", "(block ".repeat(5_000), ")".repeat(5_000)), OURS)
}

/// 1,000 components, each within the one before.
pub(super) fn nested_components() -> Vec<u8> {
    // The sections of the innermost first: a text of such depth no parser reads.
    let mut inner = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 0..1_000 {
        let mut outer = b"\0asm\x0d\0\x01\0\x04".to_vec();
        inner.as_slice().encode(&mut outer);
        inner = outer;
    }
    with_manifest(inner)
}

/// A type of 8 to the power of 12 parts, written in a few hundred bytes.
pub(super) fn type_bomb() -> Vec<u8> {
    let mut types = "(type $t0 (tuple u8 u8 u8 u8 u8 u8 u8 u8))".to_owned();
    for level in 1..12 {
        let parts = format!("$t{} ", level - 1).repeat(8);
        write!(types, "(type $t{level} (tuple {parts}))").unwrap();
    }
    with_component(&format!("(component {types} (import \"f\" (func (param \"x\" $t11))))"))
}

/// An ordinary driver that has this component within it.
pub(super) fn with_component(inner: &str) -> Vec<u8> {
    let mut bytes = driver(&text("ordinary"), OURS);
    bytes.push(NESTED_COMPONENT);
    wat::parse_str(inner).unwrap().as_slice().encode(&mut bytes);
    bytes
}

/// An ordinary driver that has 900 instances of a module more.
pub(super) fn many_instances() -> Vec<u8> {
    let mut bytes = driver(&text("ordinary"), OURS);
    let modules = top_level_modules(&bytes);
    let module = Module::new();
    let mut instances = InstanceSection::new();
    for _ in 0..900 {
        instances.instantiate(modules, std::iter::empty::<(&str, wasm_encoder::ModuleArg)>());
    }
    let section = ModuleSection(&module);
    bytes.push(section.id());
    section.encode(&mut bytes);
    bytes.push(instances.id());
    instances.encode(&mut bytes);
    bytes
}

/// How many core modules a component defines itself.
fn top_level_modules(component: &[u8]) -> u32 {
    let (mut depth, mut modules) = (0_u32, 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } => {
                modules += u32::from(depth == 0);
                depth += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    modules
}
