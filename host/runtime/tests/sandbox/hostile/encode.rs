//! From a guest's text to the bytes of a component: the text joined with the exports of a driver, encoded for our world.

use std::path::{Path, PathBuf};

use wasm_encoder::{ComponentSection as _, CustomSection, Encode as _};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

/// What a hostile driver says of itself: it asks for everything.
const MANIFEST: &str = r#"{"name":"hostile","version":"6.6.6","contract":"0.1.1","domain-types":["hostile"],
    "grants":["storage","endpoint","qmp","process:sh"]}"#;
/// Between the parts of `driver.wat`.
const LINE: &str = "\n;; ---\n";
/// What a guest may bring itself: how its definition begins.
const OWN: [&str; 5] =
    ["(memory (export", "(func $start (", "(func $end (", "(func $realloc (", "(func $post ("];

/// How a guest differs from an ordinary driver, beside its fields.
#[derive(Clone, Copy)]
pub(super) struct Contract<'a> {
    /// Replacements in the text of the contract and of the guest.
    pub(super) changed: &'a [(&'a str, &'a str)],
    /// A package of its own, and what the world imports of it.
    pub(super) foreign: Option<(&'a str, &'a str)>,
    /// How it writes texts.
    pub(super) encoding: StringEncoding,
}

/// The contract as it is.
pub(super) const OURS: Contract<'static> =
    Contract { changed: &[], foreign: None, encoding: StringEncoding::UTF8 };

/// The folder of the guests.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/hostile")
}

/// The text of the guest with this name.
pub(super) fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{name}.wat"))).unwrap()
}

/// A driver made of a guest's fields.
pub(super) fn driver(fields: &str, contract: Contract<'_>) -> Vec<u8> {
    let mut module = wat::parse_str(replaced(&joined(fields), contract.changed)).unwrap();
    let (resolve, world) = world(contract);
    embed_component_metadata(&mut module, &resolve, world, contract.encoding, false).unwrap();
    let component = ComponentEncoder::default().module(&module).and_then(|encoder| encoder.encode());
    with_manifest(component.unwrap())
}

/// A component that is written out whole.
pub(super) fn component(text: &str) -> Vec<u8> {
    with_manifest(wat::parse_str(text).unwrap())
}

/// Adds what a driver says of itself.
pub(super) fn with_manifest(mut component: Vec<u8>) -> Vec<u8> {
    let section = CustomSection { name: "hostler:manifest".into(), data: MANIFEST.as_bytes().into() };
    component.push(section.id());
    section.encode(&mut component);
    component
}

fn joined(fields: &str) -> String {
    let driver = text("driver");
    let [before, defaults, after] = driver.split(LINE).collect::<Vec<_>>()[..] else {
        panic!("driver.wat has three parts")
    };
    // Each default begins a line with its bracket; `$realloc` comes with the variable it counts in.
    let defaults = defaults.split("\n(").map(|field| format!("({}", field.trim_start_matches('(')));
    let needed =
        defaults.filter(|field| !OWN.iter().any(|own| field.starts_with(own) && fields.contains(own)));
    let needed: String = needed.collect::<Vec<_>>().join("\n");
    let (imports, rest): (Vec<_>, Vec<_>) = fields.lines().partition(|line| line.starts_with("(import"));
    format!("(module {before}\n{}\n{needed}\n{}\n{after})", imports.join("\n"), rest.join("\n"))
}

fn world(contract: Contract<'_>) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    if let Some((package, _)) = contract.foreign {
        resolve.push_str("foreign.wit", package).unwrap();
    }
    resolve.push_str("host.wit", &package(&wit.join("host"), contract)).unwrap();
    let driver = package(&wit.join("driver"), contract);
    let driver = match contract.foreign {
        Some((_, import)) => driver.replace("world driver {", &format!("world driver {{ import {import};")),
        None => driver,
    };
    let driver = resolve.push_str("driver.wit", &driver).unwrap();
    let world = resolve.select_world(&[driver], Some("driver")).unwrap();
    (resolve, world)
}

/// All files of a package as one text.
fn package(folder: &Path, contract: Contract<'_>) -> String {
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut head = None;
    let mut bodies = String::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        for line in text.lines() {
            if line.starts_with("package ") {
                head.get_or_insert_with(|| line.to_owned());
            } else {
                bodies.push_str(line);
                bodies.push('\n');
            }
        }
    }
    // A comment before the package's name would be taken for its documentation twice.
    replaced(&format!("{}\n{bodies}", head.unwrap()), contract.changed)
}

fn replaced(text: &str, changed: &[(&str, &str)]) -> String {
    changed.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}
