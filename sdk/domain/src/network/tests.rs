//! What documents of networks say.

use super::*;

const NAT: &str = "<network connections='2'>\n  <name>default</name>\n  <!-- as it was -->\n  <forward mode='nat'>\n    \
    <nat><port start='1024' end='65535'/></nat>\n  </forward>\n  <bridge name='virbr0' stp='on' delay='0'/>\n  \
    <mac address='52:54:00:0a:cd:21'/>\n  <domain name='lan' localOnly='yes'/>\n  \
    <dns><forwarder addr='8.8.8.8'/><host ip='192.168.122.9'><hostname>a</hostname><hostname>b</hostname></host>\
    <txt name='t' value='v'/></dns>\n  <ip address='192.168.122.1' netmask='255.255.255.0'>\n    <dhcp>\n      \
    <range start='192.168.122.2' end='192.168.122.254'><lease expiry='1' unit='hours'/></range>\n      \
    <host mac='52:54:00:00:00:01' name='x' ip='192.168.122.10'/>\n    </dhcp>\n  </ip>\n  <portgroup name='p'/>\n</network>\n";

fn of(body: &str) -> Result<Network, XmlError> {
    Network::parse(&format!("<network><name>n</name>{body}</network>"))
}

#[test]
fn network_is_read_and_written_as_it_was() {
    let network = Network::parse(NAT).unwrap();
    assert_eq!(network.to_xml(), NAT);
    assert_eq!((network.name.as_str(), network.mode()), ("default", Some(ForwardMode::Nat)));
    assert_eq!(network.bridge.name.as_deref(), Some("virbr0"));
    assert_eq!(network.forward.as_ref().unwrap().nat.ports, Some((1024, 65_535)));
    assert!(network.domain.as_ref().unwrap().local_only && network.makes_bridge());
    let ip = &network.ips[0];
    assert_eq!((ip.prefix, ip.first().to_string(), ip.last().to_string()), {
        (24, "192.168.122.0".to_owned(), "192.168.122.255".to_owned())
    });
    let dhcp = ip.dhcp.as_ref().unwrap();
    assert_eq!((dhcp.ranges[0].lease_s, dhcp.hosts.len()), (Some(3600), 1));
    assert_eq!(network.dns.hosts[0].1, ["a", "b"]);
    let ignored: Vec<_> = network.unmodelled().iter().map(ToString::to_string).collect();
    assert_eq!(ignored.len(), 1, "{ignored:?}");
}

#[test]
fn what_is_chosen_goes_where_libvirt_writes_it() {
    let mut network = of("<ip address='10.0.0.1'/>").unwrap();
    network.set_bridge("br9").unwrap();
    network.set_mac(MacAddress::parse("52:54:00:00:00:09").unwrap()).unwrap();
    network.set_uuid(&DomainUuid::parse("5f2e6c3a-8a3e-4f0b-9a55-0d3c1a7f4e10").unwrap()).unwrap();
    let xml = network.to_xml();
    let order = ["<name>", "<uuid>", "<bridge name=\"br9\"", "<mac address=\"52:54:00:00:00:09\"", "<ip "];
    let found: Vec<_> = order.iter().map(|part| xml.replace('\'', "\"").find(part)).collect();
    assert!(found.iter().all(Option::is_some) && found.is_sorted(), "{xml}");
    assert_eq!(Network::parse(&xml).unwrap().bridge.name.as_deref(), Some("br9"));
    assert_eq!(network.ips[0].prefix, 8, "the class, where nothing else is said");
}

#[test]
fn kinds_of_networks_are_told_apart() {
    assert_eq!(of("").unwrap().mode(), None);
    assert_eq!(of("<forward mode='none'/>").unwrap().mode(), None);
    assert_eq!(of("<forward/><ip address='10.0.0.1' prefix='24'/>").unwrap().mode(), Some(ForwardMode::Nat));
    let bridged = of("<forward mode='bridge'/><bridge name='br0'/>").unwrap();
    assert!(!bridged.makes_bridge());
    assert_eq!(of("<port isolated='yes'/>").unwrap().needs_switch, Some("<port isolated='yes'/>"));
    let six = of("<ip family='ipv6' address='fd00::1' prefix='64'/>").unwrap();
    assert_eq!(six.ips[0].last().to_string(), "fd00::ffff:ffff:ffff:ffff");
}

#[test]
fn contradictions_are_refused_with_their_place() {
    let dhcp = |inner: &str| format!("<ip address='10.0.0.1' prefix='24'><dhcp>{inner}</dhcp></ip>");
    for (body, place, word) in [
        ("<forward mode='nat'/>".to_owned(), "forward", "needs an <ip>"),
        ("<forward mode='route'/>".to_owned(), "forward", "needs an <ip>"),
        ("<forward mode='brigde'/>".to_owned(), "forward", "not known"),
        ("<forward mode='bridge'/><ip address='10.0.0.1'/>".to_owned(), "ip", "no <ip> of its own"),
        ("<bridge name='a/b'/>".to_owned(), "bridge", "a/b"),
        ("<bridge name='sixteen-letters-'/>".to_owned(), "bridge", "sixteen"),
        ("<mtu size='10'/>".to_owned(), "mtu", "MTU of 10"),
        ("<mac address='53:00:00:00:00:00'/>".to_owned(), "mac", "hardware address"),
        ("<ip address='10.0.0.256'/>".to_owned(), "ip", "10.0.0.256"),
        ("<ip address='10.0.0.1' netmask='255.0.255.0'/>".to_owned(), "ip", "255.0.255.0"),
        ("<ip address='10.0.0.1' prefix='33'/>".to_owned(), "ip", "33"),
        ("<ip family='ipv6' address='10.0.0.1'/>".to_owned(), "ip", "family"),
        ("<ip address='10.0.0.1'/><ip address='10.9.0.1'/>".to_owned(), "ip[2]", "10.0.0.1 too"),
        (dhcp("<range start='10.0.0.9' end='10.0.0.2'/>"), "range", "before it begins"),
        (dhcp("<range start='10.0.0.9' end='10.0.1.2'/>"), "range", "10.0.1.2 is not in"),
        (dhcp("<range start='10.0.0.0' end='10.0.0.2'/>"), "range", "address of the network"),
        (dhcp("<range start='10.0.0.2' end='10.0.0.9'><lease expiry='1'/></range>"), "lease", "2 minutes"),
        (dhcp("<host ip='10.0.0.7'/>"), "host", "mac"),
        (dhcp("<host name='a' ip='10.0.0.1'/>"), "host", "no address for others"),
        (dhcp("<host name='a' ip='10.0.0.7'/><host name='a' ip='10.0.0.8'/>"), "host", "another one"),
        (format!("{}{}", dhcp(""), dhcp("").replace("10.0.0", "10.0.1")), "ip", "only one"),
        (
            "<forward><nat><port start='9' end='8'/></nat></forward><ip address='10.0.0.1'/>".to_owned(),
            "forward",
            "before it begins",
        ),
    ] {
        let error = of(&body).unwrap_err();
        assert!(error.message.contains(word) && error.path.contains(place), "{body}: {error:?}");
        assert!(error.position.line == 1 && error.position.column > 1, "{body}");
    }
    assert!(Network::parse("<pool/>").is_err());
    assert!(Network::parse("<network><name>a/b</name></network>").is_err());
}
