//! What servers and devices are called to a block driver, and which cannot be.

use super::*;

fn source(protocol: Protocol, name: Option<&str>, hosts: &[Host]) -> NetworkSource {
    let mut source = NetworkSource::new(protocol);
    source.name = name.map(str::to_owned);
    source.hosts = hosts.to_vec();
    source
}

fn member(properties: Properties, name: &str) -> Option<Property> {
    properties.into_iter().find(|(found, _)| found == name).map(|(_, value)| value)
}

fn text(text: &str) -> Option<Property> {
    Some(Property::from(text))
}

#[test]
fn ports_are_text_and_never_missing() {
    let server = |protocol, name| {
        let described = source(protocol, name, &[Host::tcp("h", None)]).describe().unwrap();
        member(described, "server")
    };
    let inet = |port: &str| Properties::new().with("type", "inet").with("host", "h").with("port", port);
    assert_eq!(server(Protocol::Nbd, None), Some(inet("10809").into()));
    assert_eq!(server(Protocol::Gluster, Some("v/p")), Some(vec![Property::from(inet("24007"))].into()));
    let ceph = Properties::new().with("host", "h").with("port", "0");
    assert_eq!(server(Protocol::Rbd, Some("p/i")), Some(vec![Property::from(ceph)].into()));
}

#[test]
fn an_ipv6_address_stands_in_brackets_where_a_port_follows() {
    let hosts = [Host::tcp("::1", None)];
    let iscsi = source(Protocol::Iscsi, Some("iqn.a:b/7"), &hosts).describe().unwrap();
    assert_eq!(member(iscsi.clone(), "portal"), text("[::1]:3260"));
    assert_eq!(member(iscsi, "lun"), Some(Property::Number(7)));
    let url = source(Protocol::Http, Some("/a b"), &hosts).describe().unwrap();
    assert_eq!(member(url, "url"), text("http://[::1]:80/a%20b"));
}

#[test]
fn what_a_protocol_does_not_know_is_refused_with_its_kind() {
    let (tcp, unix) = (Host::tcp("h", None), Host::unix("/s"));
    let rdma = Host { transport: Transport::Rdma, ..Host::tcp("h", None) };
    for (protocol, name, hosts, kind) in [
        (Protocol::Nbd, None, vec![], SourceFaultKind::Hosts),
        (Protocol::Nbd, None, vec![tcp.clone(), tcp.clone()], SourceFaultKind::Hosts),
        (Protocol::Nbd, None, vec![rdma.clone()], SourceFaultKind::Transport),
        (Protocol::Gluster, Some("v/p"), vec![], SourceFaultKind::Hosts),
        (Protocol::Gluster, Some("v/p"), vec![rdma], SourceFaultKind::Transport),
        (Protocol::Gluster, Some("v"), vec![tcp.clone()], SourceFaultKind::Name),
        (Protocol::Rbd, Some("/i"), vec![], SourceFaultKind::Name),
        (Protocol::Rbd, Some("p/i"), vec![unix.clone()], SourceFaultKind::Transport),
        (Protocol::Iscsi, Some("t/x"), vec![tcp.clone()], SourceFaultKind::Name),
        (Protocol::Iscsi, Some("t"), vec![unix.clone()], SourceFaultKind::Transport),
        (Protocol::Https, Some("p"), vec![unix.clone()], SourceFaultKind::Transport),
        (Protocol::Ssh, Some("p"), vec![unix.clone()], SourceFaultKind::Transport),
        (Protocol::Ssh, None, vec![tcp], SourceFaultKind::Name),
        (Protocol::Nfs, Some("p"), vec![unix], SourceFaultKind::Transport),
    ] {
        let fault = source(protocol, name, &hosts).describe().unwrap_err();
        assert_eq!(fault.kind, kind, "{protocol}: {fault}");
        assert!(!fault.kind.remedy().is_empty() && !fault.kind.word().is_empty());
    }
}

#[test]
fn nfs_users_are_numbers() {
    let mut nfs = source(Protocol::Nfs, Some("/e/i"), &[Host::tcp("h", None)]);
    nfs.nfs_user = Some("+1000".to_owned());
    assert_eq!(member(nfs.describe().unwrap(), "user"), Some(Property::Number(1000)));
    nfs.nfs_user = Some("root".to_owned());
    assert_eq!(nfs.describe().unwrap_err().kind, SourceFaultKind::Identity);
}

#[test]
fn what_stands_for_something_else_has_no_name() {
    for location in [
        Location::Empty,
        Location::Volume { pool: "p".to_owned(), volume: "v".to_owned(), mode: None },
        Location::VhostUser { path: "/s".to_owned(), reconnect: None },
    ] {
        assert_eq!(location.describe().unwrap_err().kind, SourceFaultKind::Kind);
    }
    let vdpa = Location::VhostVdpa("/dev/vhost-vdpa-0".to_owned()).describe().unwrap();
    assert_eq!(member(vdpa, "driver"), text("virtio-blk-vhost-vdpa"));
}
