//! Documents for this driver.

use hostler_sdk::domain::Domain;
use hostler_sdk::domain::disk::DiskDevice;
use hostler_sdk::domain::document::NodeId;
use hostler_sdk::domain::storage_source::Location;
use hostler_sdk::{Error, Problem, ProblemExt, problem};

use crate::StorageDaemon;

/// Elements of `<devices>` that a domain without guest can have.
const DEVICES: &[&str] = &["disk", "emulator"];

/// Reads a document, and refuses what a daemon cannot have, so that nothing in it is of no effect in silence.
///
/// # Errors
/// What is wrong, with its place and a remedy.
pub(crate) fn read(config: &str) -> Result<Domain, Error> {
    let domain = Domain::parse(config)?;
    let document = domain.document();
    if !StorageDaemon::takes(domain.kind.as_str()) {
        let message = format!("<domain type='{}'> is for another driver", domain.kind.as_str());
        return Err(at(problem("storage-daemon.domain-type", message), &domain, document.root())
            .hint("use <domain type='storage-daemon'>")
            .unsupported());
    }
    if let Some(devices) = domain.devices.node {
        let other = document.elements(devices).find(|node| !DEVICES.contains(&document.name(*node)));
        if let Some(node) = other {
            let message = format!("a storage daemon has no guest, and so no <{}>", document.name(node));
            return Err(at(problem("storage-daemon.device", message), &domain, node)
                .hint("remove it: only disks are served")
                .unsupported());
        }
    }
    check_disks(&domain)?;
    Ok(domain)
}

fn check_disks(domain: &Domain) -> Result<(), Error> {
    for disk in &domain.devices.disks {
        let target = disk.target.as_str();
        let wrong = if disk.device != DiskDevice::Disk {
            Some(("is no plain disk", "write device='disk'; with <readonly/> it is only read"))
        } else if disk.source.encryption.is_some() {
            Some(("is encrypted", "serve it as it is, with type='raw', and decrypt it where it is used"))
        } else if !matches!(disk.source.location, Location::File(_) | Location::Volume { .. }) {
            Some(("is no file", "serve a file, or a volume of a pool that keeps files"))
        } else if disk.iotune.is_some() {
            Some(("has <iotune>", "limit what reads it instead"))
        } else {
            None
        };
        if let Some((what, remedy)) = wrong {
            let message = format!("disk '{target}' {what}, and cannot be served");
            return Err(at(problem("storage-daemon.disk", message), domain, disk.node)
                .detail("disk", target)
                .hint(remedy)
                .unsupported());
        }
    }
    Ok(())
}

/// Says where in the document a problem is.
fn at(problem: Problem, domain: &Domain, node: NodeId) -> Problem {
    let position = domain.document().position(node);
    problem
        .detail("line", position.line.to_string())
        .detail("column", position.column.to_string())
        .detail("element", domain.document().path(node))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(kind: &str, devices: &str) -> Problem {
        let xml = format!(
            "<domain type='{kind}'><name>n</name><memory>1024</memory><os><type>hvm</type></os>\n\
             <devices>{devices}</devices></domain>"
        );
        match read(&xml) {
            Err(Error::Unsupported(problem)) => problem,
            other => panic!("{devices}: {other:?}"),
        }
    }

    #[test]
    fn what_has_no_meaning_without_a_guest_is_refused_with_its_place() {
        let file = "<source file='/x'/><target dev='vda'/>";
        for (kind, devices, code) in [
            ("qemu", String::new(), "storage-daemon.domain-type"),
            ("storage-daemon", "<interface type='user'/>".to_owned(), "storage-daemon.device"),
            ("storage-daemon", "<serial type='pty'/>".to_owned(), "storage-daemon.device"),
            ("storage-daemon", "<gadget/>".to_owned(), "storage-daemon.device"),
            (
                "storage-daemon",
                format!("<disk type='file' device='cdrom'>{file}</disk>"),
                "storage-daemon.disk",
            ),
            (
                "storage-daemon",
                "<disk type='block'><source dev='/dev/sda'/><target dev='vda'/></disk>".to_owned(),
                "storage-daemon.disk",
            ),
            (
                "storage-daemon",
                format!(
                    "<disk type='file'>{file}<iotune><total_bytes_sec>1</total_bytes_sec></iotune></disk>"
                ),
                "storage-daemon.disk",
            ),
        ] {
            let problem = refused(kind, &devices);
            assert_eq!(problem.code, code, "{devices}");
            assert!(!problem.hints.is_empty() && problem.details.iter().any(|fact| fact.key == "line"));
        }
    }

    #[test]
    fn files_and_volumes_are_taken() {
        let xml = "<domain type='storage-daemon'><name>n</name><memory>1024</memory><os><type>hvm</type></os><devices>\
            <emulator>/usr/bin/qemu-storage-daemon</emulator>\
            <disk type='file'><source file='/x'/><target dev='vda'/></disk>\
            <disk type='volume'><source pool='p' volume='v'/><target dev='vdb'/></disk></devices></domain>";
        assert_eq!(read(xml).unwrap().devices.disks.len(), 2);
    }
}
