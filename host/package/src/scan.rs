//! Looks through a component before it is compiled: what it imports and exports, and what is refused unseen by a compiler.
//!
//! Compiling is where a hostile component costs most, so everything that can be known from its sections is known first.

use wasmparser_host::{CanonicalFunction, CanonicalOption, Parser, Payload};

use crate::error::shown;

/// Imports and exports of a component that are looked at; a driver has about ten.
const ITEMS_MAX: usize = 256;
/// Components and modules within each other. Toolchains make two levels; adapters one more.
const DEPTH_MAX: usize = 32;

/// What a component says at its top level.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Names of its imports, in their order.
    pub(crate) imports: Vec<String>,
    /// Names of its exports, in their order.
    pub(crate) exports: Vec<String>,
}

/// Reads the sections of a component.
///
/// # Errors
/// One sentence: it is damaged, too deep, has too many imports and exports, or does not write texts as UTF-8.
pub(crate) fn component(bytes: &[u8]) -> Result<Scan, String> {
    let damaged = |error: wasmparser_host::BinaryReaderError| {
        format!("the component is damaged: {}", shown(error.message()))
    };
    let mut found = Scan::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth = depth.saturating_add(1);
                if depth > DEPTH_MAX {
                    return Err(format!("the component nests deeper than {} levels", DEPTH_MAX));
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    found.imports.push(import.map_err(damaged)?.name.name.to_owned());
                    within_limits(&found)?;
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    found.exports.push(export.map_err(damaged)?.name.name.to_owned());
                    within_limits(&found)?;
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                for function in functions {
                    writes_utf8(&function.map_err(damaged)?)?;
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn within_limits(found: &Scan) -> Result<(), String> {
    if found.imports.len().saturating_add(found.exports.len()) > ITEMS_MAX {
        return Err(format!("the component has more than {} imports and exports", ITEMS_MAX));
    }
    Ok(())
}

/// The other encodings have been where sandboxes broke (RUSTSEC-2026-0091 to -0093), and no toolchain needs them.
fn writes_utf8(function: &CanonicalFunction) -> Result<(), String> {
    let (CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. }) = function
    else {
        return Ok(());
    };
    let other =
        |option: &CanonicalOption| matches!(option, CanonicalOption::UTF16 | CanonicalOption::CompactUTF16);
    if options.iter().any(other) {
        return Err("the component hands over texts in another encoding than UTF-8".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn only_the_top_level_counts() {
        let bytes = encoded(
            r#"(component
                (import "hostler:host/log@0.1.0" (instance))
                (component (import "inner" (func)) (export "inner-too" (func 0)))
                (export "a:b/c@1.0.0" (instance 0)))"#,
        );
        let found = component(&bytes).unwrap();
        assert_eq!(
            (found.imports, found.exports),
            (vec!["hostler:host/log@0.1.0".to_owned()], vec!["a:b/c@1.0.0".to_owned()])
        );
    }

    #[test]
    fn what_is_refused_says_why() {
        let nested = "(component ".repeat(40) + &")".repeat(40);
        let many: String = (0..300).map(|number| format!("(import \"i{number}\" (func))")).collect();
        let utf16 = r#"(component (import "f" (func $f (param "t" string)))
            (core module $m (memory (export "m") 1)) (core instance $i (instantiate $m))
            (core func (canon lower (func $f) (memory (core memory $i "m")) string-encoding=utf16)))"#;
        for (text, reason) in [
            (nested.as_str(), "deeper than"),
            (&format!("(component {many})"), "more than 256 imports"),
            (utf16, "another encoding than UTF-8"),
        ] {
            let error = component(&encoded(text)).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        assert!(component(b"\0asm\x0d\0\x01\0\x07\xff\xff\xff\xff\x0f").unwrap_err().contains("damaged"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

        #[test]
        fn any_bytes_after_the_header_are_handled(tail in prop::collection::vec(any::<u8>(), 0..300)) {
            let bytes = [b"\0asm\x0d\0\x01\0".as_slice(), &tail].concat();
            if let Ok(found) = component(&bytes) {
                prop_assert!(found.imports.len() + found.exports.len() <= ITEMS_MAX);
            }
        }
    }
}
