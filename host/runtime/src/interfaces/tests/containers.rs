//! LUKS containers around raw disks: what a driver is told of them, and what keeps it from being told anything.

use std::os::unix::fs::FileExt as _;

use super::*;

/// Where version 1 has the number of iterations for the digest, big endian.
const DIGEST_WORK_OFFSET: u64 = 164;

/// A raw disk that is declared to be encrypted.
fn disk(encryption: &str) -> String {
    format!(
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='HERE/disk.luks'>\
         <encryption format='{encryption}'><secret type='passphrase' usage='x'/></encryption></source>\
         <target dev='vda' bus='virtio'/></disk>"
    )
}

/// A container around a disk of 1 MiB.
fn scene(encryption: &str) -> Scene {
    let scene = Scene::new(Purpose::Operate, "qemu", &disk(encryption));
    // With the default digest QEMU does its first measurement within one tick of the kernel's clock, and gives up.
    let options = "key-secret=s,iter-time=10,hash-alg=sha512";
    let secret = ["--object", "secret,id=s,data=x", "-o", options];
    scene.qemu_img(&[&["create", "-q", "-f", "luks"], &secret[..], &["disk.luks", "1M"]].concat());
    scene
}

#[tokio::test]
async fn container_is_a_raw_layer_as_large_as_the_disk_in_it() {
    let mut scene = scene("luks");
    let me = scene.me();
    let chain = scene.state.disk(me, "vda".into()).await.unwrap().unwrap();
    let layers = scene.state.layers(chain).await.unwrap();
    let [layer] = layers.as_slice() else { panic!("{layers:?}") };
    assert_eq!((layer.format.as_str(), layer.virtual_size), ("raw", 1 << 20), "{layer:?}");
    assert!(layer.facts.iter().any(|fact| fact.key == "encryption" && fact.value == "luks"), "{layer:?}");
    assert!(std::fs::metadata(scene.path("disk.luks")).unwrap().len() > layer.virtual_size);
}

#[tokio::test]
async fn container_of_absurd_costs_and_one_that_is_none_are_refused() {
    let mut costly = scene("luks");
    let file = std::fs::OpenOptions::new().write(true).open(costly.path("disk.luks")).unwrap();
    file.write_all_at(&u32::MAX.to_be_bytes(), DIGEST_WORK_OFFSET).unwrap();
    let mut plain = scene("luks");
    std::fs::write(plain.path("disk.luks"), [0; 1 << 20]).unwrap();
    for scene in [&mut costly, &mut plain] {
        let me = scene.me();
        let error = scene.state.disk(me, "vda".into()).await.unwrap().err().unwrap();
        let Error::Invalid(problem) = error else { panic!("{error:?}") };
        assert_eq!(problem.code, "image.malformed");
    }
}

#[tokio::test]
async fn other_encryption_of_raw_bytes_is_not_offered() {
    let mut scene = scene("luks2");
    let me = scene.me();
    let error = scene.state.disk(me, "vda".into()).await.unwrap().err().unwrap();
    let Error::Unsupported(problem) = error else { panic!("{error:?}") };
    assert_eq!(problem.code, "storage.unsupported");
}
