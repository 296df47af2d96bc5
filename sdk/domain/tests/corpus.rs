//! Every document of the corpus: parsed, written back byte for byte, edited without disturbing the rest.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test reports by panicking and printing"
)]

use std::path::{Path, PathBuf};

use hostler_domain::address::{Address, PciAddress};
use hostler_domain::{Document, Domain, Fragment};

fn corpus() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if root.is_dir() {
        return Some(root);
    }
    eprintln!("skipped: no corpus at {}", root.display());
    None
}

/// The domain documents of one directory of the corpus, with their text.
fn documents(directory: &str) -> Vec<(String, String)> {
    let Some(root) = corpus() else { return Vec::new() };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root.join(directory)).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(&path).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|extension| extension == "xml") {
                found.push((file.display().to_string(), std::fs::read_to_string(&file).unwrap()));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no documents in {directory}");
    found
}

fn good() -> Vec<(String, String)> {
    let mut all = Vec::new();
    if corpus().is_some() {
        for directory in ["argv", "realistic", "oracle90"] {
            all.extend(documents(directory));
        }
    }
    all
}

#[test]
fn every_document_is_written_back_byte_for_byte() {
    let mut count = 0;
    for (name, text) in good() {
        let document = Document::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(document.to_xml(), text, "{name}");
        count += 1;
    }
    println!("{count} documents");
}

#[test]
fn every_domain_parses() {
    let mut failed = Vec::new();
    for (name, text) in good() {
        let document = Document::parse(&text).unwrap();
        if document.name(document.root()) != "domain" {
            continue;
        }
        match Domain::parse(&text) {
            Ok(domain) => {
                assert_eq!(domain.to_xml(), text, "{name}");
                for thing in domain.unmodelled() {
                    println!("unmodelled {}", thing.path);
                }
            }
            Err(error) => failed.push(format!("{name}: {error} {:?}", error.hints)),
        }
    }
    assert!(failed.is_empty(), "{}\n{} failed", failed.join("\n"), failed.len());
}

/// The edited text is the original with something inserted at one place, and nothing else.
fn assert_one_insertion(text: &str, edited: &str, name: &str) {
    let same = |pairs: &mut dyn Iterator<Item = (u8, u8)>| pairs.take_while(|(a, b)| a == b).count();
    let head = same(&mut text.bytes().zip(edited.bytes()));
    let tail = same(&mut text.bytes().rev().zip(edited.bytes().rev()));
    assert!(head + tail >= text.len() && edited.len() > text.len(), "{name}: {edited}");
}

#[test]
fn an_edit_disturbs_nothing_else() {
    for (name, text) in good() {
        let Ok(mut domain) = Domain::parse(&text) else { continue };
        let device = Fragment::new("rng").attribute("model", "virtio");
        let device = device.child(Fragment::new("backend").attribute("model", "random").text("/dev/urandom"));
        let before = domain.devices.clone();
        let node = domain.append_device(&device).unwrap();
        let address = Address::Pci(PciAddress::new(0, 0x1e, 7));
        domain.set_address(node, &address).unwrap();
        domain.set_alias(node, "ua-new").unwrap();
        domain.refresh().unwrap_or_else(|error| panic!("{name}: {error}"));
        let last = domain.devices.rngs.last().unwrap();
        assert_eq!(last.info.address.as_ref(), Some(&address), "{name}");
        assert_eq!(last.info.alias.as_deref(), Some("ua-new"), "{name}");
        let kept: Vec<_> = domain.devices.rngs.iter().take(before.rngs.len()).cloned().collect();
        assert_eq!(kept, before.rngs, "{name}");
        assert_eq!(domain.devices.disks, before.disks, "{name}");
        assert_eq!(domain.devices.interfaces, before.interfaces, "{name}");
        if text.contains("</devices>") {
            assert_one_insertion(&text, &domain.to_xml(), &name);
        }
        domain.document_mut().remove(node).unwrap();
        let devices = domain.devices.node.unwrap();
        // A `<devices>` that held nothing but white space comes back without it.
        if domain.document().elements(devices).next().is_some() {
            assert_eq!(domain.to_xml(), text, "{name}");
        }
    }
}

#[test]
fn wrong_documents_are_refused_with_a_position() {
    if corpus().is_none() {
        return;
    }
    let mut refused = 0;
    for (name, text) in documents("xml_errors") {
        let expected = std::fs::read_to_string(Path::new(&name).with_file_name("expected.json")).unwrap();
        match Domain::parse(&text) {
            Err(error) => {
                refused += 1;
                println!("{name}: [{}] {error} {:?}", error.code(), error.hints);
                assert!(error.position.line as usize <= text.lines().count(), "{name}");
                assert!(error.path.starts_with("domain"), "{name}: {error}");
            }
            Ok(_) => assert!(!expected.contains("\"xml-syntax-or-value\""), "{name} was taken"),
        }
    }
    // The others need to know the hypervisor: they are refused by its driver.
    assert!(refused >= 22, "only {refused} refused");
}
