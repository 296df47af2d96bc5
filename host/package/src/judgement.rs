//! What can be said of a component without compiling it: manifest, imports, exports, and everything that is wrong.

use std::fs::File;
use std::io;

use hostler_grant::Manifest;

use crate::contract;
use crate::error::{Kind, PackageError};
use crate::scan::{self, Scan};
use crate::section;

/// The section that holds the manifest.
const MANIFEST_SECTION: &str = "hostler:manifest";

/// A component, looked at and not compiled.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Its manifest, when there is one that can be read; to be relied on only when there are no problems.
    pub manifest: Option<Manifest>,
    /// The names of what it imports.
    pub imports: Vec<String>,
    /// The names of what it exports.
    pub exports: Vec<String>,
    /// The optional interfaces that it exports.
    pub abilities: Vec<String>,
    /// Everything for which a host refuses it.
    pub problems: Vec<PackageError>,
    /// What is odd and no reason to refuse it.
    pub remarks: Vec<String>,
}

/// Judges the bytes of a component.
#[must_use]
pub fn judge(bytes: &[u8]) -> Judgement {
    let mut found = Judgement::default();
    match section::find(bytes, MANIFEST_SECTION) {
        Ok(manifest) => {
            let (manifest, problems) = Manifest::judge(manifest);
            found.manifest = manifest;
            found.problems.extend(problems.into_iter().map(PackageError::from));
        }
        Err(why) => found.problems.push(no_driver(why)),
    }
    match scan::component(bytes) {
        Ok(Scan { imports, exports }) => found.judge_items(imports, exports),
        // What is no component at all has been said once.
        Err(_) if found.manifest.is_none() && !found.problems.is_empty() => {}
        Err(why) => found.problems.push(no_driver(why)),
    }
    found
}

impl Judgement {
    fn judge_items(&mut self, imports: Vec<String>, exports: Vec<String>) {
        self.problems.extend(contract::judge_imports(&imports));
        self.problems.extend(contract::judge_exports(&exports));
        self.abilities = contract::abilities(&exports);
        if let Some(manifest) = &self.manifest {
            self.remarks = contract::remarks(manifest, &imports, &self.abilities);
        }
        (self.imports, self.exports) = (imports, exports);
    }

    /// The manifest of a component with which nothing is wrong.
    ///
    /// # Errors
    /// The first problem.
    pub fn into_manifest(self) -> Result<Manifest, PackageError> {
        match (self.problems.into_iter().next(), self.manifest) {
            (None, Some(manifest)) => Ok(manifest),
            (Some(problem), _) => Err(problem),
            (None, None) => Err(no_driver("the component has no manifest".to_owned())),
        }
    }
}

/// Reads the manifest of a component in a file of so many bytes, and little else of it.
///
/// # Errors
/// The file cannot be read; otherwise as [`manifest`].
pub(crate) fn manifest_in(file: &File, length: u64) -> io::Result<Result<Manifest, PackageError>> {
    let found = section::find_in(file, length, MANIFEST_SECTION)?;
    Ok(found.map_err(no_driver).and_then(|manifest| Ok(Manifest::parse(&manifest)?)))
}

/// Reads the manifest alone, without looking at the rest.
///
/// # Errors
/// [`Kind::Component`] when there is none, or what is wrong with it.
pub(crate) fn manifest(bytes: &[u8]) -> Result<Manifest, PackageError> {
    Ok(Manifest::parse(section::find(bytes, MANIFEST_SECTION).map_err(no_driver)?)?)
}

fn no_driver(why: String) -> PackageError {
    PackageError::new(Kind::Component, why)
        .hint("name a component that `hostler driver build` or `hostler driver encode` made")
}

#[cfg(test)]
pub(crate) mod samples {
    //! Components with as little in them as a judgement looks at.

    /// A component with this manifest, these imports and these exports; nothing in it could be compiled.
    pub(crate) fn component(manifest: &str, imports: &[&str], exports: &[&str]) -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        let title = [&[16][..], b"hostler:manifest", manifest.as_bytes()].concat();
        section(&mut bytes, 0, &title);
        // An import of an instance of type 0; an export of instance 0 without a type.
        section(&mut bytes, 10, &list(imports, &[5, 0]));
        section(&mut bytes, 11, &list(exports, &[5, 0, 0]));
        bytes
    }

    /// A component that is judged to be a driver with this manifest.
    pub(crate) fn driver(name: &str, version: &str) -> Vec<u8> {
        let manifest = format!(
            r#"{{"name":"{name}","version":"{version}","contract":"0.1.0","domain-types":["{name}"]}}"#
        );
        let exports = ["hostler:driver/about@0.1.0", "hostler:driver/lifecycle@0.1.0"];
        component(&manifest, &["hostler:host/domain@0.1.0"], &exports)
    }

    fn list(names: &[&str], tail: &[u8]) -> Vec<u8> {
        let mut bytes = number(names.len()).to_vec();
        for name in names {
            bytes.extend_from_slice(&[0, u8::try_from(name.len()).unwrap()]);
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(tail);
        }
        bytes
    }

    fn section(bytes: &mut Vec<u8>, id: u8, content: &[u8]) {
        bytes.push(id);
        bytes.extend_from_slice(&number(content.len()));
        bytes.extend_from_slice(content);
    }

    /// A number in two bytes of LEB128, as encoders write it that reserve room.
    fn number(number: usize) -> [u8; 2] {
        [u8::try_from(number & 0x7f).unwrap() | 0x80, u8::try_from(number >> 7).unwrap()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn driver_has_no_problems() {
        let found = judge(&samples::driver("acme", "1.0"));
        assert!(found.problems.is_empty() && found.remarks.is_empty(), "{found:?}");
        assert_eq!(found.imports, ["hostler:host/domain@0.1.0"]);
        assert_eq!(found.into_manifest().unwrap().name, "acme");
    }

    #[test]
    fn everything_that_is_wrong_is_found_at_once() {
        let manifest = r#"{"name":"Acme","version":"1","contract":"0.9.0","domain-types":["x"]}"#;
        let imports = ["wasi:cli/environment@0.2.0", "hostler:host/secret@0.1.0", "hostler:host/log@0.1.0"];
        let found = judge(&samples::component(manifest, &imports, &["hostler:driver/about@0.1.0"]));
        let text: Vec<_> = found.problems.iter().map(ToString::to_string).collect();
        for expected in ["needs contract 0.9.0", "'name'", "wasi:cli", "host/secret", "driver/lifecycle"] {
            assert!(text.iter().any(|problem| problem.contains(expected)), "{expected}: {text:?}");
        }
        assert_eq!(text.len(), 5, "{text:?}");
    }

    #[test]
    fn component_that_is_damaged_behind_its_manifest_is_refused_with_the_rest() {
        let manifest = r#"{"name":"acme","version":"1","contract":"0.9.0","domain-types":["x"]}"#;
        let mut bytes = samples::component(manifest, &[], &[]);
        // A section of five imports that has none.
        bytes.extend_from_slice(&[10, 1, 5]);
        let text: Vec<_> = judge(&bytes).problems.iter().map(ToString::to_string).collect();
        assert!(text.len() == 2 && text[0].contains("0.9.0") && text[1].contains("damaged"), "{text:?}");
    }

    #[test]
    fn what_is_no_driver_is_told_apart() {
        for (bytes, expected) in [
            (&b"#!/bin/sh"[..], "not WebAssembly"),
            (b"\0asm\x01\0\0\0", "core module"),
            (b"\0asm\x0d\0\x01\0", "no section 'hostler:manifest'"),
        ] {
            assert!(judge(bytes).problems[0].to_string().contains(expected));
            let error = manifest(bytes).unwrap_err();
            assert!(error.to_string().contains(expected));
            assert!(
                error.hints.iter().any(|hint| hint.contains("hostler driver build")),
                "{:?}",
                error.hints
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

        #[test]
        fn changed_and_torn_components_never_panic(
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<bool>(),
        ) {
            let mut bytes = samples::driver("acme", "1.0");
            let index = at.index(bytes.len());
            bytes[index] = byte;
            if cut {
                bytes.truncate(index);
            }
            for problem in judge(&bytes).problems {
                prop_assert!(!problem.to_string().contains(char::is_control));
            }
        }
    }
}
