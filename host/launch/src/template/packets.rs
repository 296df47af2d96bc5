//! What passt is told and what it is not.

use std::path::PathBuf;

use super::Template;
use super::check::check;
use crate::command::command_line;
use crate::command::leaf::Grants;
use crate::error::LaunchErrorKind;
use crate::handle::{Handle, Transport};
use crate::plan::{OptionEntry, Plan};
use crate::value::Value;

/// A link, and ports of both kinds.
fn handles() -> Vec<Handle> {
    vec![
        Handle::Link("net0".into()),
        Handle::Ports { transport: Transport::Tcp, ports: "127.0.0.1/2222:22".into() },
        Handle::Ports { transport: Transport::Udp, ports: "53".into() },
    ]
}

/// The plan that the driver makes, without these options and with those.
fn plan(without: &[&str], more: Vec<OptionEntry>) -> Plan {
    let mut options = vec![
        OptionEntry::flag("foreground"),
        OptionEntry::flag("no-map-gw"),
        OptionEntry::new("fd", Value::Handle(0)),
    ];
    options.retain(|option| !without.contains(&option.name.as_str()));
    options.extend(more);
    Plan { template: "passt".into(), options, environment: vec![], reactions: vec![] }
}

#[test]
fn ports_and_the_link_are_the_hosts_words() {
    let more = vec![
        OptionEntry::new("interface", "up0"),
        OptionEntry::new("address", "fd00::2"),
        OptionEntry::new("netmask", Value::Integer(24)),
        OptionEntry::new("tcp-ports", Value::Handle(1)),
        OptionEntry::new("udp-ports", Value::Handle(2)),
    ];
    let (plan, template) = (plan(&[], more), Template::shipped("passt"));
    check(&plan, &handles(), &template).unwrap();
    let numbers = vec![vec![64], vec![], vec![]];
    let grants = Grants { numbers, sets: vec![0, 1, 2], sockets: PathBuf::new(), folders: None };
    let line = command_line(&plan, &handles(), &template, Some(&grants)).unwrap();
    let expected = "--foreground --no-map-gw --fd 64 --interface up0 --address fd00::2 --netmask 24 \
                    --tcp-ports 127.0.0.1/2222:22 --udp-ports 53";
    assert_eq!(line.argv[1..].join(" "), expected);
}

#[test]
fn program_is_told_nothing_that_names_the_host_or_opens_it() {
    for (name, value) in [
        ("tcp-ports", Some(Value::text("all"))),
        ("udp-ports", Some(Value::text("53"))),
        // Streams are not datagrams: who may have the one need not have the other.
        ("tcp-ports", Some(Value::Handle(2))),
        ("socket", Some(Value::text("/tmp/s"))),
        ("log-file", Some(Value::text("/etc/passwd"))),
        ("pcap", Some(Value::text("/tmp/p"))),
        ("pid", Some(Value::text("/tmp/p"))),
        ("runas", Some(Value::text("root"))),
        ("outbound", Some(Value::text("192.0.2.9"))),
        ("interface", Some(Value::text("eth0 --pcap"))),
        ("address", Some(Value::text("--pcap=/tmp/x"))),
        ("fd", Some(Value::text("0"))),
        ("trace", None),
        ("dns-forward", Some(Value::text("192.0.2.9"))),
        ("unheard-of", None),
    ] {
        let more = vec![OptionEntry { name: name.into(), value }];
        let without = if name == "fd" { vec!["fd"] } else { vec![] };
        let error = check(&plan(&without, more), &handles(), &Template::shipped("passt")).unwrap_err();
        assert_eq!(error.kind, LaunchErrorKind::Denied, "{name}: {error}");
    }
    for required in ["foreground", "no-map-gw", "fd"] {
        let error = check(&plan(&[required], vec![]), &handles(), &Template::shipped("passt")).unwrap_err();
        assert_eq!(error.option, required);
    }
}

#[test]
fn hypervisor_has_its_end_of_the_link_by_number() {
    let address = Value::mapping([("type", "fd".into()), ("str", Value::Handle(0))]);
    let netdev = |address: Value| {
        let stream = [("type", "stream".into()), ("addr", address), ("server", Value::Boolean(false))];
        let mut plan = super::abuses::plan(&[]);
        let value = stream.into_iter().chain([("id", Value::text("hostnet0"))]);
        plan.options.push(OptionEntry::new("netdev", Value::mapping(value)));
        plan
    };
    let mut all = handles();
    all.insert(1, Handle::Monitor);
    let template = Template::shipped("qemu-system-x86_64");
    let plan = netdev(address);
    let shown = command_line(&plan, &all, &template, None).unwrap();
    assert!(shown.argv.iter().any(|text| text.contains(r#""addr":{"type":"fd","str":"net0"}"#)), "{shown:?}");
    for address in [
        Value::mapping([("type", "fd".into()), ("str", "3".into())]),
        Value::mapping([("type", "unix".into()), ("path", "/run/s".into())]),
        Value::mapping([("type", "inet".into()), ("host", "192.0.2.9".into()), ("port", "1".into())]),
    ] {
        assert_eq!(check(&netdev(address), &all, &template).unwrap_err().kind, LaunchErrorKind::Denied);
    }
}
