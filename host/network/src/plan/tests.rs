//! What documents of networks become, beside what was agreed on.

use std::path::{Path, PathBuf};

use super::*;

const IDENTITY: &str = "0f4d8f629a1e4c578a436a1c0e5b7d11";

fn plan(xml: &str) -> NetworkPlan {
    NetworkPlan::of(&Network::parse(xml).unwrap(), IDENTITY, Path::new("/state/networks/x")).unwrap()
}

/// The plan as a text, to be looked at.
fn shown(plan: &NetworkPlan) -> String {
    let part =
        |name: &str, text: &Option<String>| format!("== {name}\n{}", text.as_deref().unwrap_or("(none)\n"));
    let bridge = &plan.bridge;
    let mut head = format!("== bridge\n{} stp={} delay={}s", bridge.name, bridge.stp, bridge.delay_s);
    head.push_str(&bridge.mtu.map(|mtu| format!(" mtu={mtu}")).unwrap_or_default());
    for (address, prefix) in &bridge.addresses {
        head.push_str(&format!(" {address}/{prefix}"));
    }
    head.push_str(&format!("\nforward v4={} v6={}\n", plan.forward_v4, plan.forward_v6));
    format!("{head}{}{}", part("rules", &plan.rules), part("dnsmasq", &plan.settings))
}

#[test]
fn plans_are_those_that_were_agreed_on() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "xml"));
    assert!(cases.len() >= 5, "the goldens are in {}", folder.display());
    for case in cases {
        let found = shown(&plan(&std::fs::read_to_string(&case).unwrap()));
        let golden = case.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, &found).unwrap();
        }
        assert_eq!(found, std::fs::read_to_string(&golden).unwrap_or_default(), "{}", case.display());
    }
}

#[test]
fn rules_and_settings_are_what_nft_and_dnsmasq_read() {
    let nft = crate::firewall::program("nft", "nftables").expect("cargo xtask setup installs it");
    let dnsmasq = crate::firewall::program("dnsmasq", "dnsmasq-base").expect("cargo xtask setup installs it");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "xml") {
            continue;
        }
        let NetworkPlan { rules, settings, .. } = plan(&std::fs::read_to_string(&path).unwrap());
        let file = tempfile::NamedTempFile::new().unwrap();
        if let Some(settings) = settings {
            std::fs::write(file.path(), settings).unwrap();
            let argument = format!("--conf-file={}", file.path().display());
            let output = std::process::Command::new(&dnsmasq).arg("--test").arg(argument).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {said}", path.display());
        }
        let Some(rules) = rules else { continue };
        std::fs::write(file.path(), rules).unwrap();
        // In a network of its own, so that a test that is wrong changes nothing of the host.
        let mut check = std::process::Command::new("unshare");
        check.args(["--user", "--map-root-user", "--net"]).arg(&nft).arg("-c").arg("-f").arg(file.path());
        let output = check.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", path.display());
    }
}

#[test]
fn texts_of_a_document_stay_in_their_place() {
    let xml = "<network><name>n</name><bridge name='b'/><domain name='a&#10;dhcp-script=/bin/sh'/>\
        <dns><txt name='x,y' value='q&quot;&#10;z'/><host ip='10.0.0.9'><hostname>h,i&#9;j</hostname></host></dns>\
        <ip address='10.0.0.1' prefix='24'><dhcp><host name='k,ignore' mac='52:54:00:00:00:01' ip='10.0.0.5'/>\
        <bootp file='f,x&#10;conf-file=/etc/shadow'/></dhcp></ip></network>";
    let settings = plan(xml).settings.unwrap();
    for key in settings.lines().filter_map(|line| line.split('=').next()) {
        let known = [
            "strict-order",
            "bind-dynamic",
            "except-interface",
            "interface",
            "no-resolv",
            "domain",
            "expand-hosts",
            "domain-needed",
            "host-record",
            "txt-record",
            "dhcp-range",
            "dhcp-authoritative",
            "dhcp-no-override",
            "dhcp-leasefile",
            "dhcp-lease-max",
            "dhcp-option",
            "dhcp-host",
            "dhcp-boot",
        ];
        assert!(key.starts_with('#') || known.contains(&key), "{key}: {settings}");
    }
    assert!(settings.contains("dhcp-host=52:54:00:00:00:01,10.0.0.5,kignore\n"), "{settings}");
    assert!(settings.contains("host-record=hij,10.0.0.9\n"), "{settings}");
}

#[test]
fn what_is_not_made_here_is_refused() {
    for (body, word) in [
        ("<forward mode='bridge'/><bridge name='b'/>", "mode 'bridge'"),
        ("<forward mode='passthrough'><interface dev='eth0'/></forward><bridge name='b'/>", "passthrough"),
        ("<bridge name='b'/><vlan><tag id='4'/></vlan>", "<vlan>"),
        ("<bridge name='b'/><ip address='fd00::1' prefix='64'><dhcp/></ip>", "IPv6"),
        ("", "no name"),
    ] {
        let network = Network::parse(&format!("<network><name>n</name>{body}</network>")).unwrap();
        let error = NetworkPlan::of(&network, IDENTITY, Path::new("/x")).unwrap_err();
        assert!(error.to_string().contains(word), "{body}: {error}");
    }
}
