//! What would have no effect, and must not have none in silence: what a document asks for and neither QEMU
//! nor this host does for a driver. A network filter that nobody applies is worse than an error.

use hostler_sdk::domain::disk::Disk;
use hostler_sdk::domain::features::HyperVMode;
use hostler_sdk::domain::interface::{Interface, InterfaceSource};
use hostler_sdk::domain::watchdog::WatchdogAction;
use hostler_sdk::domain::{Domain, NodeId};
use hostler_sdk::{Error, ProblemExt, problem};

/// Refuses it, with its place.
///
/// # Errors
/// `unsupported`, for the first such thing.
pub(super) fn refuse(domain: &Domain) -> Result<(), Error> {
    if let Some(node) = domain.devices.interfaces.iter().find_map(tap_without_tap) {
        return Err(at(
            domain,
            node,
            "qemu.net-tap",
            "has a tap device, which an interface of type 'vhostuser' does not use",
        ));
    }
    let found = general(domain)
        .or_else(|| domain.devices.disks.iter().find_map(disk))
        .or_else(|| domain.devices.interfaces.iter().find_map(interface))
        .or_else(|| watchdog(domain));
    match found {
        Some((node, what)) => Err(at(domain, node, "qemu.no-effect", what)),
        None => Ok(()),
    }
}

/// An element, and what is wrong with it.
type Found = Option<(NodeId, &'static str)>;

fn general(domain: &Domain) -> Found {
    let root = domain.document().root();
    let hyperv = domain.features.hyperv.as_ref().and_then(|hyperv| hyperv.mode);
    let what = if domain.os.kind != "hvm" {
        "runs another <os><type> than 'hvm', which QEMU does not"
    } else if hyperv == Some(HyperVMode::HostModel) {
        "has <hyperv mode='host-model'>; list the enlightenments with mode='custom'"
    } else if domain.features.async_teardown == Some(true) {
        "asks for <async-teardown>, which needs a newer QEMU"
    } else if !domain.qemu.capabilities_add.is_empty() {
        "has <qemu:add>: QEMU cannot be given an ability that it does not have"
    } else {
        return None;
    };
    Some((root, what))
}

fn disk(disk: &Disk) -> Found {
    let what = if disk.driver.discard_no_unref == Some(true) {
        "asks for discard_no_unref, which needs a newer QEMU"
    } else if disk.source.fd_group.is_some() {
        "has an image by descriptor (fdgroup), which only libvirt's own clients can hand on"
    } else {
        return None;
    };
    Some((disk.node, what))
}

fn interface(interface: &Interface) -> Found {
    let what = if interface.filter.is_some() {
        "has a <filterref>, and nobody here would filter"
    } else if interface.port_isolated == Some(true) {
        "asks for an isolated port, which needs a bridge of the host"
    } else if interface.vlan.is_some() {
        "has a <vlan>, which needs a switch of the host"
    } else if interface.script.is_some() {
        "has a <script>, which a driver may not have run"
    } else if interface
        .backend_type
        .as_deref()
        .is_some_and(|backend| backend != "default" && !interface.is_passt())
    {
        "names a back end that this host does not start"
    } else if interface.coalesce_rx_frames.is_some() {
        "asks to <coalesce>, which needs a device of the host"
    } else {
        return None;
    };
    Some((interface.node, what))
}

fn watchdog(domain: &Domain) -> Found {
    let dumping = domain.devices.watchdogs.iter().find(|watchdog| watchdog.action == WatchdogAction::Dump)?;
    Some((dumping.node, "wants the guest's memory written out, which this driver does not do yet"))
}

/// Packets that another process takes from shared memory pass no device of the host.
fn tap_without_tap(interface: &Interface) -> Option<NodeId> {
    let shared = matches!(interface.source, InterfaceSource::VhostUser { .. });
    (shared && interface.tap_path.is_some()).then_some(interface.node)
}

fn at(domain: &Domain, node: NodeId, code: &str, what: &str) -> Error {
    let document = domain.document();
    let position = document.position(node);
    problem(code, format!("<{}> {what}", document.name(node)))
        .hint("remove it: it would have no effect")
        .detail("line", position.line.to_string())
        .detail("column", position.column.to_string())
        .detail("element", document.path(node))
        .unsupported()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_nobody_applies_is_refused() {
        let xml = "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os><devices>\
                   <interface type='user'><filterref filter='clean-traffic'/></interface></devices></domain>";
        let Err(Error::Unsupported(problem)) = refuse(&Domain::parse(xml).unwrap()) else {
            panic!("accepted")
        };
        assert_eq!(problem.code, "qemu.no-effect");
        assert!(problem.details.iter().any(|fact| fact.key == "line"));
        let tap = "<interface type='vhostuser'><source type='unix' path='/s' mode='server'/><model type='virtio'/>\
                   <backend tap='/dev/t'/><filterref filter='f'/></interface>";
        let (before, _) = xml.split_once("<interface").unwrap();
        let Err(Error::Unsupported(problem)) =
            refuse(&Domain::parse(&format!("{before}{tap}</devices></domain>")).unwrap())
        else {
            panic!("accepted")
        };
        assert_eq!(problem.code, "qemu.net-tap", "what can never be comes before what is not done here");
        assert!(
            refuse(&Domain::parse(&xml.replace("<filterref filter='clean-traffic'/>", "")).unwrap()).is_ok()
        );
    }
}
