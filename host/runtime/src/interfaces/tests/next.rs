//! What an operation that changes a running guest sees beside the document that it runs with.

use hostler_network::Attachments;
use hostler_storage::Translations;
use wasmtime::component::Resource;

use super::Scene;
use crate::bindings::wit::domain::HostDomain;
use crate::bindings::wit::storage::HostChain;
use crate::bindings::wit::types::Error;
use crate::context::{DomainContext, Next, Purpose};

fn disk(file: &str) -> String {
    format!(
        "<disk type='file'><driver name='qemu' type='qcow2'/><source file='HERE/{file}'/>\
         <target dev='vda' bus='virtio'/></disk>"
    )
}

/// A domain whose disk has another image in the next document.
fn scene() -> Scene {
    let scene = Scene::made("qemu", "", &disk("now.img"), |context| {
        let xml = context.xml.replace("now.img", "next.img");
        let next = Next { xml, volumes: Translations::default(), networks: Attachments::default() };
        DomainContext { purpose: Purpose::Examine, next: Some(next), ..context }
    });
    scene.qemu_img(&["create", "-q", "-f", "qcow2", "now.img", "3M"]);
    scene.qemu_img(&["create", "-q", "-f", "qcow2", "next.img", "5M"]);
    scene
}

async fn size(scene: &mut Scene, chain: &Resource<crate::interfaces::storage::Chain>) -> u64 {
    scene.state.layers(Resource::new_borrow(chain.rep())).await.unwrap()[0].virtual_size
}

#[tokio::test]
async fn each_document_has_its_own_disk() {
    let mut scene = scene();
    let me = scene.me();
    let now = scene.state.disk(me, "vda".into()).await.unwrap().unwrap();
    let me = scene.me();
    let next = scene.state.next_disk(me, "vda".into()).await.unwrap().unwrap();
    assert_eq!((size(&mut scene, &now).await, size(&mut scene, &next).await), (3 << 20, 5 << 20));
    let me = scene.me();
    let again = scene.state.next_disk(me, "vda".into()).await.unwrap().unwrap();
    assert_eq!(size(&mut scene, &again).await, 5 << 20);
    let me = scene.me();
    assert!(scene.state.next_config(me).await.unwrap().unwrap().contains("next.img"));
}

#[tokio::test]
async fn disk_that_the_next_document_lacks_is_not_found() {
    let mut scene = scene();
    let me = scene.me();
    let error = scene.state.next_disk(me, "vdb".into()).await.unwrap().err().unwrap();
    assert!(matches!(error, Error::NotFound(problem) if problem.code == "storage.no-disk"));
}

#[tokio::test]
async fn operation_that_changes_nothing_has_no_next_disk() {
    let mut scene = Scene::new(Purpose::Operate, "qemu", &disk("now.img"));
    let me = scene.me();
    let error = scene.state.next_disk(me, "vda".into()).await.unwrap().err().unwrap();
    assert!(matches!(error, Error::Conflict(problem) if problem.code == "domain.no-next"));
}
