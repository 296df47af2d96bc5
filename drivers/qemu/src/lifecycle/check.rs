//! Checking a document, and completing it for good.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::{Below, Domain, Error, Level, log};

use super::{plan, refuse, refuse_silent};
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
    let document = plan::document(domain)?;
    let facts = plan::facts(domain);
    refuse::refuse(&document)?;
    if !facts.comparison {
        refuse_silent::refuse(&document)?;
    }
    try_out(&document, &facts)?;
    for thing in document.unmodelled() {
        log::write(Level::Info, &format!("kept, and of no effect: {thing}"), &[]);
    }
    Ok(document.to_xml())
}

fn try_out(document: &Document, facts: &Facts) -> Result<(), Error> {
    // Whether KVM works is decided where the domain is started, and may change before that.
    let facts = Facts { kvm: Some("yes".to_owned()), ..facts.clone() };
    let firmware = comparison::firmware(document);
    plan::launch(document, &assumed(document), firmware.as_ref(), &facts).map(drop)
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
        let document = complete::complete(Document::parse(&xml).unwrap(), |bytes| bytes.fill(0x5a)).unwrap();
        try_out(&document, &Facts::default()).expect_err("it was accepted")
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
            assert!(problem.details.iter().any(|fact| fact.key == "line"), "{devices}");
        }
    }
}
