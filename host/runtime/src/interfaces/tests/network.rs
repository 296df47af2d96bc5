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
    <interface type='user'/>";

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
