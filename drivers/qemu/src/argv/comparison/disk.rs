//! Objects of disks that a launch is not offered: certificates of clients, helpers for reservations.

use hostler_sdk::domain::disk::Disk;
use hostler_sdk::domain::storage_source::{Protocol, Reservations};
use hostler_sdk::{Error, ProblemExt, Value};

use super::domain_path;
use crate::argv::builder::{Builder, set_some};
use crate::blockdev::OWN_RESERVATIONS;

/// The certificates of a client. Outside a comparison there are none: drivers are not offered certificates.
///
/// # Errors
/// Always, outside a comparison.
pub(in crate::argv) fn certificates(
    builder: &mut Builder<'_>,
    id: &str,
    key: Option<&str>,
    protocol: Protocol,
    disk: &Disk,
) -> Result<(), Error> {
    if !builder.inputs.facts.comparison {
        return Err(builder
            .at(
                disk.node,
                "qemu.source-tls",
                "has a source with TLS, for which this host offers no certificates",
            )
            .hint("use <source tls='no'> over a trusted network")
            .unsupported());
    }
    let mut object = Value::mapping()
        .with("qom-type", "tls-creds-x509")
        .with("id", id)
        .with("dir", format!("/etc/pki/libvirt-{protocol}/dummy,path"))
        .with("endpoint", "client")
        .with("verify-peer", true);
    set_some(&mut object, "passwordid", key);
    builder.option("object", object);
    Ok(())
}

/// A helper for persistent reservations that somebody else runs.
pub(in crate::argv) fn reservations(builder: &mut Builder<'_>, id: &str, socket: String) {
    builder.option("object", helper(id, socket));
}

/// The helper that libvirt would start with the domain, once for all disks that want it.
pub(in crate::argv) fn own_reservations(builder: &mut Builder<'_>) -> Result<(), Error> {
    let wanted =
        |disk: &&Disk| disk.source.layers().any(|layer| layer.reservations == Some(Reservations::Managed));
    if builder.inputs.facts.comparison && builder.disks.iter().any(wanted) {
        let socket = domain_path(builder.domain, &format!("{OWN_RESERVATIONS}.sock"));
        builder.option("object", helper(OWN_RESERVATIONS, socket));
    }
    Ok(())
}

fn helper(id: &str, socket: String) -> Value {
    Value::mapping().with("qom-type", "pr-manager-helper").with("id", id).with("path", socket)
}
