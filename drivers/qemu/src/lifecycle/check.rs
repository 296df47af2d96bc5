//! Checking a document, and completing it for good.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::{Below, Domain, Error, Level, log};

use super::plan::{self, Completed};
use crate::argv::comparison;
use crate::blockdev::{has_nodes, in_order};
use crate::chains::{Chains, declared};
use crate::facts::Facts;

/// The completed document.
///
/// The command line is built as a trial, from images as the document declares them: so what cannot be run
/// is refused now, with its place, and not at the first start.
///
/// # Errors
/// What is wrong, or cannot be had, with line, column, element and remedy.
pub(crate) fn check(domain: &Domain) -> Result<String, Error> {
    let facts = plan::facts(domain);
    let completed = plan::document(domain, &facts)?;
    try_out(&completed, &facts)?;
    let document = completed.domain;
    for thing in document.unmodelled() {
        log::write(Level::Info, &format!("kept, and of no effect: {thing}"), &[]);
    }
    Ok(document.to_xml())
}

fn try_out(completed: &Completed, facts: &Facts) -> Result<(), Error> {
    // Whether KVM works is decided where the domain is started, and may change before that.
    let facts = Facts { kvm: Some("yes".to_owned()), ..facts.clone() };
    let firmware = comparison::firmware(&completed.domain);
    plan::launch(completed, &assumed(&completed.domain), firmware.as_ref(), &facts).map(drop)
}

/// Chains as the document declares them; where it does not end one, nothing is assumed to follow.
fn assumed(document: &Document) -> Chains {
    let mut chains = Chains::default();
    for disk in in_order(&document.devices.disks).into_iter().filter(|disk| has_nodes(disk)) {
        let mut layers = declared(disk);
        for layer in &mut layers {
            if matches!(layer.below, Below::Unexamined) {
                layer.below = Below::Nothing;
            }
        }
        chains.insert(disk.target.as_str(), layers);
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::complete;

    fn refused(devices: &str) -> Error {
        let xml = format!(
            "<domain type='qemu'><name>n</name><memory>65536</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>\
             <devices>{devices}</devices></domain>"
        );
        let written = Document::parse(&xml).unwrap();
        let author = written.document().clone();
        let domain = complete::complete(written, |bytes| bytes.fill(0x5a)).unwrap();
        try_out(&Completed { domain, author }, &Facts::default()).expect_err("it was accepted")
    }

    #[test]
    fn devices_that_a_launch_cannot_have_are_refused_with_their_place() {
        for devices in [
            "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev>",
            "<interface type='bridge'><source bridge='br0'/></interface>",
            "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>",
            "<serial type='dev'><source path='/dev/ttyS0'/></serial>",
            "<vsock model='virtio'><cid auto='yes'/></vsock>",
            "<graphics type='vnc' passwd='x'/>",
        ] {
            let Error::Unsupported(problem) = refused(devices) else { panic!("{devices}") };
            assert!(problem.code.starts_with("qemu."), "{}", problem.code);
            assert!(!problem.hints.is_empty(), "{devices}");
            let line = problem.details.iter().find(|fact| fact.key == "line");
            assert_eq!(line.unwrap().value, "1", "{devices}: the author's line");
        }
    }
}
