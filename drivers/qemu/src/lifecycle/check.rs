//! Checking a document, and completing it for good.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::{Below, Domain, Error, Level, Problem, log};

use super::hotplug;
use super::plan::{self, Completed};
use crate::argv::comparison;
use crate::blockdev::{has_nodes, in_order};
use crate::chains::{Chains, declared};
use crate::facts::Facts;

/// Codes of what a document may ask for and this host does not hand to drivers. That can change, and another host may:
/// so such a document is stored, and refused with the same words when it is started here.
const NOT_OFFERED: [&str; 4] = ["qemu.not-offered", "qemu.interface-type", "qemu.secret", "qemu.source-tls"];

/// The completed document.
///
/// The command line is built as a trial, from images as the document declares them: so what can never be run is
/// refused now, with its place, and not at the first start. What only this host does not offer is a warning.
///
/// # Errors
/// What is wrong, or cannot be had, with line, column, element and remedy.
pub(crate) fn check(domain: &Domain) -> Result<String, Error> {
    let facts = plan::facts(domain);
    let completed = plan::document(domain, &facts)?;
    if let Some(lacking) = try_out(&completed, &facts)? {
        log::write(Level::Warn, &format!("cannot be started here: {}", lacking.message), &lacking.details);
    }
    let document = match facts.numeric_id {
        // It is that of a guest that runs, or is to be.
        Some(run) if run != 0 => hotplug::named(domain, &completed.domain)?,
        _ => completed.domain,
    };
    for thing in document.unmodelled() {
        log::write(Level::Info, &format!("kept, and of no effect: {thing}"), &[]);
    }
    Ok(document.to_xml())
}

/// What this host does not offer; none when the domain can be started here, as far as can be seen.
fn try_out(completed: &Completed, facts: &Facts) -> Result<Option<Problem>, Error> {
    // Whether KVM works is decided where the domain is started, and may change before that.
    let here = Facts { kvm: Some("yes".to_owned()), ..facts.clone() };
    let firmware = comparison::firmware(&completed.domain);
    let launch =
        |facts: &Facts| plan::launch(completed, &assumed(&completed.domain), firmware.as_ref(), facts);
    match launch(&here) {
        Ok(_) => Ok(None),
        Err(Error::Unsupported(problem)) if NOT_OFFERED.contains(&problem.code.as_str()) => {
            // What stands behind it is looked at as on a host that offers everything.
            launch(&Facts { comparison: true, ..here })?;
            Ok(Some(problem))
        }
        Err(error) => Err(error),
    }
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
#[expect(clippy::print_stderr, reason = "a skipped set and the figures must be visible")]
mod tests {
    use super::*;

    fn tried(devices: &str) -> Result<Option<Problem>, Error> {
        let xml = format!(
            "<domain type='qemu'><name>n</name><memory>65536</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>\
             <devices>{devices}</devices></domain>"
        );
        judge(&xml)
    }

    fn judge(xml: &str) -> Result<Option<Problem>, Error> {
        let facts = Facts::default();
        let completed = plan::settle(Document::parse(xml)?, &facts, |bytes| bytes.fill(0x5a))?;
        try_out(&completed, &facts)
    }

    /// What libvirt refuses whatever the version of its QEMU. Raise the floor when there is more; it never falls.
    #[test]
    fn what_libvirt_refuses_is_refused() {
        const FLOOR: usize = 79;
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus/xml_errors");
        let Ok(entries) = std::fs::read_dir(corpus) else {
            eprintln!("SKIPPED: no recorded refusals at {corpus}");
            return;
        };
        let mut accepted = Vec::new();
        let mut refused = 0;
        for entry in entries {
            let case = entry.unwrap().path();
            let Ok(expected) = std::fs::read_to_string(case.join("expected.json")) else { continue };
            let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
            if expected["version_dependent"] == true {
                continue;
            }
            match judge(&std::fs::read_to_string(case.join("domain.xml")).unwrap()) {
                Ok(_) => accepted.push(case.file_name().unwrap().to_string_lossy().into_owned()),
                Err(_) => refused += 1,
            }
        }
        eprintln!("xml_errors: {refused} refused, accepted: {accepted:?}");
        assert!(refused >= FLOOR, "{refused} are refused; the floor is {FLOOR}");
    }

    #[test]
    fn what_this_host_does_not_offer_is_told_with_its_place() {
        for devices in [
            "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev>",
            "<interface type='direct'><source dev='eth0'/></interface>",
            "<interface type='bridge'><source bridge='br0'/><driver name='vhost'/></interface>",
            "<tpm model='tpm-crb'><backend type='emulator'><encryption secret='6dd3e4a5-1d76-44ce-961f-f119f5aad935'/></backend></tpm>",
            "<tpm><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>",
            "<serial type='dev'><source path='/dev/ttyS0'/></serial>",
            "<vsock model='virtio'><cid auto='yes'/></vsock>",
            "<graphics type='spice' tlsPort='5901'/>",
            "<graphics type='spice' autoport='yes' defaultMode='secure'/>",
            "<graphics type='spice'><gl enable='yes'/></graphics>",
        ] {
            let problem = tried(devices).unwrap().unwrap_or_else(|| panic!("{devices}"));
            assert!(problem.code.starts_with("qemu."), "{}", problem.code);
            assert!(!problem.hints.is_empty(), "{devices}");
            let line = problem.details.iter().find(|fact| fact.key == "line");
            assert_eq!(line.unwrap().value, "1", "{devices}: the author's line");
        }
        assert!(tried("<video><model type='vga'/></video>").unwrap().is_none());
        assert!(tried("<graphics type='vnc' passwd='x'/>").unwrap().is_none());
        let spice = "<graphics type='spice' autoport='yes' passwd='x'><channel name='main' mode='insecure'/></graphics>";
        assert!(tried(spice).unwrap().is_none());
        assert!(tried("<interface type='bridge'><source bridge='br0'/></interface>").unwrap().is_none());
        assert!(
            tried("<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>").unwrap().is_none()
        );
    }

    #[test]
    fn what_no_host_has_is_refused_behind_what_this_one_does_not_offer() {
        let devices = "<interface type='direct'><source dev='eth0'/></interface><sound model='gus'/>";
        let Err(Error::Unsupported(problem)) = tried(devices) else { panic!("accepted") };
        assert_eq!(problem.code, "qemu.unsupported");
    }
}
