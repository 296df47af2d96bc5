//! Disks that name a volume of a pool: given as what the host found before, refused as it found them.

use hostler_storage::{ErrorKind, StorageError, Translated, TranslatedPlace, Translations, VolumeReference};
use wasmtime::component::Resource;

use super::Scene;
use crate::bindings::wit::domain::HostDomain;
use crate::bindings::wit::storage::HostChain;
use crate::bindings::wit::types::Error;
use crate::context::{DomainContext, Purpose};

const DISK: &str = "<disk type='volume'><source pool='p' volume='v'/><target dev='vda' bus='virtio'/></disk>";

/// A scene in which this became of the volume; the place is made from the directory of the scene.
fn scene(purpose: Purpose, outcome: impl Fn(&str) -> Result<Translated, StorageError>) -> Scene {
    Scene::made("qemu", "", DISK, |context| {
        let here = context.state.directory().root().parent().unwrap().display().to_string();
        let mut volumes = Translations::default();
        let reference = VolumeReference { pool: "p".into(), volume: "v".into(), mode: None };
        volumes.insert(reference, outcome(&here));
        DomainContext { purpose, volumes, ..context }
    })
}

fn file(here: &str) -> Result<Translated, StorageError> {
    let place = TranslatedPlace::File(format!("{here}/v.img"));
    Ok(Translated { place, format: Some("qcow2".into()), looks_like: None, secret: None })
}

#[tokio::test]
async fn volume_is_opened_where_it_was_found_with_its_recorded_format() {
    let mut scene = scene(Purpose::Examine, file);
    scene.qemu_img(&["create", "-q", "-f", "qcow2", "v.img", "3M"]);
    let me = scene.me();
    let chain = scene.state.disk(me, "vda".into()).await.unwrap().unwrap();
    let layers = scene.state.layers(Resource::new_borrow(chain.rep())).await.unwrap();
    assert_eq!(layers.len(), 1);
    assert_eq!((layers[0].format.as_str(), layers[0].virtual_size), ("qcow2", 3 << 20));
    assert_eq!(layers[0].description, scene.path("v.img").display().to_string());
}

#[tokio::test]
async fn volume_that_cannot_be_used_says_why_and_only_when_it_is_opened() {
    let inactive = |_: &str| {
        Err(StorageError::new(ErrorKind::Conflict, "pool.inactive", "the pool is not started")
            .hint_command("start it", "hostler pool start p"))
    };
    let mut examined = scene(Purpose::Examine, inactive);
    let me = examined.me();
    let error = examined.state.disk(me, "vda".into()).await.unwrap().err().unwrap();
    let Error::Conflict(problem) = error else { panic!("{error:?}") };
    assert_eq!(
        (problem.code.as_str(), problem.hints[0].as_str()),
        ("pool.inactive", "start it: hostler pool start p")
    );
    let mut described = scene(Purpose::Describe, inactive);
    let me = described.me();
    assert!(described.state.disk(me, "vda".into()).await.unwrap().is_ok());
}
