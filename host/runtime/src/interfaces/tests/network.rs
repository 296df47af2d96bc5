//! Network interfaces: connected as the host has looked up, told of when that cannot be, and made of nothing when a domain
//! is only described.

use hostler_network::{Attachments, ErrorKind, NetworkError};
use wasmtime::component::Resource;

use super::Scene;
use crate::bindings::wit::domain::HostDomain;
use crate::bindings::wit::endpoint::HostEndpoint;
use crate::bindings::wit::types::Error;
use crate::context::{DomainContext, Purpose};

const DEVICES: &str = "<interface type='network'><source network='lab'/><driver queues='4'/></interface>\
    <interface type='user'><backend type='passt'/><portForward proto='udp' address='::1'><range start='53'/></portForward>\
    </interface>";

#[tokio::test]
async fn described_interface_has_its_facts_and_no_device() {
    let mut scene = Scene::new(Purpose::Describe, "qemu", DEVICES);
    let me = scene.me();
    let tap = scene.state.network_interface(me, 0).await.unwrap().unwrap();
    let facts = HostEndpoint::facts(&mut scene.state, Resource::new_borrow(tap.rep())).await.unwrap();
    let facts: Vec<_> = facts.iter().map(|fact| (fact.key.as_str(), fact.value.as_str())).collect();
    assert_eq!(facts, [("kind", "tap"), ("queues", "4")]);
}

#[tokio::test]
async fn what_cannot_be_connected_says_why() {
    let mut scene = Scene::made("qemu", "", DEVICES, |context| {
        let mut networks = Attachments::default();
        let refused =
            NetworkError::new(ErrorKind::Conflict, "network.inactive", "the network is not started")
                .hint_command("start it", "hostler net start lab");
        networks.insert(0, Err(refused));
        DomainContext { networks, ..context }
    });
    let me = scene.me();
    let error = scene.state.network_interface(me, 0).await.unwrap().err().unwrap();
    let Error::Conflict(problem) = error else { panic!("{error:?}") };
    assert_eq!((problem.code.as_str(), problem.hints[0].as_str()), {
        ("network.inactive", "start it: hostler net start lab")
    });
    for (position, code) in
        [(1, "network.nothing-needed"), (2, "network.not-found"), (u32::MAX, "network.not-found")]
    {
        let me = scene.me();
        let error = scene.state.network_interface(me, position).await.unwrap().err().unwrap();
        let Error::NotFound(problem) = error else { panic!("{error:?}") };
        assert_eq!(problem.code, code, "{position}");
    }
    let me = scene.me();
    let error = scene.state.next_network_interface(me, 0).await.unwrap().err().unwrap();
    assert!(matches!(&error, Error::Conflict(problem) if problem.code == "domain.no-next"), "{error:?}");
}

#[tokio::test]
async fn driver_without_the_grant_gets_no_device() {
    let mut scene = Scene::new(Purpose::Operate, "test", DEVICES);
    let me = scene.me();
    let error = scene.state.network_interface(me, 0).await.unwrap().err().unwrap();
    assert!(matches!(error, Error::Denied(_)), "{error:?}");
}

#[tokio::test]
async fn ports_are_those_of_the_document_or_refused_with_the_reason() {
    let mut described = Scene::new(Purpose::Describe, "qemu", DEVICES);
    let me = described.me();
    let ports = described.state.forwarded_ports(me, 1, 0).await.unwrap().unwrap();
    let facts = HostEndpoint::facts(&mut described.state, Resource::new_borrow(ports.rep())).await.unwrap();
    assert_eq!((facts[0].key.as_str(), facts[0].value.as_str()), ("kind", "udp-ports"));
    for (interface, forward) in [(0, 0), (1, 1), (2, 0)] {
        let me = described.me();
        let error = described.state.forwarded_ports(me, interface, forward).await.unwrap().err().unwrap();
        assert!(matches!(error, Error::NotFound(_)), "{error:?}");
    }
    let mut refused = Scene::made("qemu", "", DEVICES, |context| {
        let mut networks = Attachments::default();
        let tenants = NetworkError::new(ErrorKind::Denied, "tenant.network", "not these");
        networks.insert_forward(1, 0, Err(tenants));
        DomainContext { networks, ..context }
    });
    let me = refused.me();
    let error = refused.state.forwarded_ports(me, 1, 0).await.unwrap().err().unwrap();
    assert!(matches!(&error, Error::Denied(problem) if problem.code == "tenant.network"), "{error:?}");
    let mut ungranted = Scene::new(Purpose::Operate, "test", DEVICES);
    let me = ungranted.me();
    let error = ungranted.state.forwarded_ports(me, 1, 0).await.unwrap().err().unwrap();
    assert!(matches!(error, Error::Denied(_)), "{error:?}");
}
