//! What only servers of some protocols have. What other protocols would pass over in silence is refused.

use hostler_sdk::domain::storage_source::{Auth, Location, NetworkSource, Protocol, Transport};

use super::{Broken, Subject, broken};

pub(super) fn rule(subject: &Subject<'_>) -> Option<Broken> {
    let Location::Network(source) = &subject.source.location else { return None };
    if source.protocol == Protocol::Tftp {
        return broken(
            "protocol",
            "is on 'tftp', which QEMU no longer reads from",
            "offer the image by https, nbd or nfs",
        );
    }
    one_of(source)
        .or_else(|| nfs(source))
        .or_else(|| subject.source.auth.as_ref().and_then(|auth| credentials(source, auth)))
        .or_else(|| describable(source))
}

fn is_web(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Http | Protocol::Https)
}

fn is_web_or_ftp(protocol: Protocol) -> bool {
    is_web(protocol) || matches!(protocol, Protocol::Ftp | Protocol::Ftps)
}

/// Members that belong to some protocols.
fn one_of(source: &NetworkSource) -> Option<Broken> {
    use Protocol::{Ftps, Https, Iscsi, Nbd, Nfs, Rbd, Vxhs};
    let protocol = source.protocol;
    let members: [(bool, bool, &str, &str); 11] = [
        (source.ssl_verify.is_some(), matches!(protocol, Https | Ftps), "<ssl>", "https and ftps"),
        (!source.cookies.is_empty(), is_web(protocol), "<cookies>", "http and https"),
        (
            source.readahead_bytes.is_some(),
            is_web_or_ftp(protocol),
            "<readahead>",
            "http, https, ftp and ftps",
        ),
        (source.timeout_s.is_some(), is_web_or_ftp(protocol), "<timeout>", "http, https, ftp and ftps"),
        (source.query.is_some(), is_web(protocol), "a query", "http and https"),
        (source.tls == Some(true), matches!(protocol, Nbd | Vxhs), "tls='yes'", "nbd and vxhs"),
        (source.tls_hostname.is_some(), protocol == Nbd, "tlsHostname", "nbd"),
        (source.snapshot.is_some(), protocol == Rbd, "<snapshot>", "rbd"),
        (source.config_file.is_some(), protocol == Rbd, "<config>", "rbd"),
        (source.initiator_iqn.is_some(), protocol == Iscsi, "<initiator>", "iscsi"),
        (source.nfs_user.is_some() || source.nfs_group.is_some(), protocol == Nfs, "<identity>", "nfs"),
    ];
    let stray = members.into_iter().find(|(said, known, ..)| *said && !*known);
    let delay = source.reconnect_delay_s.is_some() && protocol != Nbd;
    let (name, known) = match stray {
        Some((_, _, name, known)) => (name, known),
        None if delay => ("<reconnect delay>", "nbd"),
        None => return None,
    };
    broken(
        "protocol-member",
        format!("has {name} for a server of '{protocol}'; it is for {known} only"),
        "remove it, or correct the protocol",
    )
}

fn nfs(source: &NetworkSource) -> Option<Broken> {
    if source.protocol != Protocol::Nfs {
        return None;
    }
    match source.hosts.as_slice() {
        [host] if host.transport == Transport::Tcp && host.port.is_none() => None,
        _ => broken(
            "nfs-host",
            "is on NFS, which has one host, by name and without a port",
            "write one <host name='…'/>",
        ),
    }
}

fn credentials(source: &NetworkSource, auth: &Auth) -> Option<Broken> {
    let protocol = source.protocol;
    let known =
        is_web_or_ftp(protocol) || matches!(protocol, Protocol::Iscsi | Protocol::Ssh | Protocol::Rbd);
    if !known {
        return broken(
            "auth",
            format!("has <auth> for a server of '{protocol}', which asks nobody who they are"),
            "remove <auth>",
        );
    }
    let wanted = match protocol {
        Protocol::Iscsi => "iscsi",
        Protocol::Rbd => "ceph",
        _ => return None,
    };
    if auth.secret_type == wanted {
        return None;
    }
    broken(
        "auth-secret",
        format!("has a secret of type '{}' for a server of '{protocol}'", auth.secret_type),
        "use a secret of type 'iscsi' with iscsi, and of type 'ceph' with rbd",
    )
}

/// What is left: hosts and names that the protocol's block driver cannot be told.
fn describable(source: &NetworkSource) -> Option<Broken> {
    let fault = source.describe().err()?;
    broken("source", format!("cannot be reached: {fault}"), fault.kind.remedy())
}
