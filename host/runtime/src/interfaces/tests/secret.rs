//! Passphrases of disks: handed on as memory that nobody reads here, refused where the document, the image or the grant is
//! not for it.

use std::io::Read as _;
use std::sync::Arc;

use hostler_domain::storage_source::SecretReference;
use hostler_launch::{Handle as LaunchHandle, Role};
use hostler_storage::Passphrase;
use wasmtime::component::Resource;
use zeroize::Zeroizing;

use super::{Scene, denied};
use crate::bindings::wit::domain::HostDomain;
use crate::bindings::wit::types::Error;
use crate::bindings::wit::value::Handle;
use crate::context::{DomainContext, Purpose};
use crate::secrets::{SecretRefusal, SecretRefused, Secrets};

const DISK: &str = "<disk type='file'><driver name='qemu' type='qcow2'/><source file='HERE/top.qcow2'>\
    <encryption format='luks'><secret type='passphrase' usage='/top'/></encryption></source>\
    <target dev='vda' bus='virtio'/></disk>";

/// One secret: that of the volume `/top`.
#[derive(Debug)]
struct OfTop;

impl Secrets for OfTop {
    fn passphrase(&self, wanted: &SecretReference) -> Result<Passphrase, SecretRefused> {
        if *wanted == SecretReference::Usage("/top".to_owned()) {
            return Ok(Passphrase::new(Zeroizing::new(b"open sesame".to_vec())).unwrap());
        }
        let (code, message) = ("secret.not-found".to_owned(), "there is no such secret".to_owned());
        Err(SecretRefused { refusal: SecretRefusal::Missing, code, message, hints: vec!["look".to_owned()] })
    }
}

fn scene(driver: &str, devices: &str) -> Scene {
    Scene::made(driver, "", devices, |context| DomainContext { secrets: Arc::new(OfTop), ..context })
}

#[tokio::test]
async fn passphrase_is_a_file_for_the_hypervisor_alone() {
    let mut scene = scene("qemu", DISK);
    let me = scene.me();
    let file = scene.state.disk_secret(me, "vda".into(), 0).await.unwrap().unwrap();
    let handles = scene.state.handles(&[Handle::File(Resource::new_borrow(file.rep()))]).unwrap();
    let LaunchHandle::Descriptor { fd: Some(fd), role: Role::Secret, writable: false, path, .. } =
        &handles[0]
    else {
        panic!("{handles:?}")
    };
    assert_eq!((path.to_str(), handles[0].kind()), (Some("secret-of-vda-0"), "secret"));
    let mut text = String::new();
    std::fs::File::from(fd.try_clone().unwrap()).read_to_string(&mut text).unwrap();
    assert_eq!(text, "open sesame");
}

#[tokio::test]
async fn what_is_not_there_says_so_with_the_disk() {
    let other = DISK.replace("/top'", "/other'").replace("vda", "vdb");
    let plain = "<disk type='file'><source file='HERE/c'/><target dev='vdc'/></disk>";
    let mut scene = scene("qemu", &format!("{DISK}{other}{plain}"));
    for (target, layer, code) in [
        ("vdb", 0, "secret.not-found"),
        ("vda", 1, "secret.not-encrypted"),
        ("vda", u32::MAX, "secret.not-encrypted"),
        ("vdc", 0, "secret.not-encrypted"),
        ("vdx", 0, "storage.no-disk"),
    ] {
        let me = scene.me();
        let error = scene.state.disk_secret(me, target.into(), layer).await.unwrap().err().unwrap();
        let Error::NotFound(problem) = error else { panic!("{error:?}") };
        assert_eq!(problem.code, code, "{target} {layer}");
    }
    let me = scene.me();
    let error = scene.state.next_disk_secret(me, "vda".into(), 0).await.unwrap().err().unwrap();
    assert!(matches!(&error, Error::Conflict(problem) if problem.code == "domain.no-next"), "{error:?}");
}

#[tokio::test]
async fn driver_without_the_grant_gets_no_passphrase() {
    let mut scene = scene("test", DISK);
    let me = scene.me();
    let problem = denied(scene.state.disk_secret(me, "vda".into(), 0).await.unwrap().err().unwrap());
    assert_eq!(problem.code, "grant.denied");
    assert!(problem.hints[0].contains("secret"), "{problem:?}");
}

#[tokio::test]
async fn described_disk_has_no_passphrase_behind_its_handle() {
    let mut scene = Scene::new(Purpose::Describe, "qemu", DISK);
    let me = scene.me();
    let file = scene.state.disk_secret(me, "vda".into(), 0).await.unwrap().unwrap();
    let handles = scene.state.handles(&[Handle::File(file)]).unwrap();
    assert!(matches!(&handles[0], LaunchHandle::Descriptor { fd: None, role: Role::Secret, .. }));
}

/// What the host says about the disk `vda` with this image and these words in its source.
async fn judged(image: &[&str], inside: &str) -> Result<(), String> {
    let disk = format!(
        "<disk type='file'><driver name='qemu' type='qcow2'/><source file='HERE/top.qcow2'>{inside}</source>\
         <target dev='vda' bus='virtio'/></disk>"
    );
    let mut scene = scene("qemu", &disk);
    std::fs::write(scene.path("key"), "open sesame").unwrap();
    let words = [&["create", "-q", "-f", "qcow2"], image, &["top.qcow2", "1M"]].concat();
    // Where the kernel has counted no tick for the derivation of a key, QEMU gives up.
    let made = (0..32).any(|_| {
        let mut program = std::process::Command::new("qemu-img");
        program.args(&words).current_dir(scene.path(".")).output().unwrap().status.success()
    });
    assert!(made, "{words:?}");
    let me = scene.me();
    match scene.state.disk(me, "vda".into()).await.unwrap() {
        Ok(_) => Ok(()),
        Err(Error::Invalid(problem)) => Err(problem.code),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn document_and_header_have_to_agree() {
    let luks: &[&str] = &[
        "--object",
        "secret,id=s,file=key",
        "-o",
        "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10",
    ];
    let said = "<encryption format='luks'><secret type='passphrase' usage='/top'/></encryption>";
    judged(&[], "").await.unwrap();
    judged(luks, said).await.unwrap();
    assert_eq!(judged(luks, "").await.unwrap_err(), "storage.secret-missing");
    assert_eq!(judged(luks, "<encryption format='luks'/>").await.unwrap_err(), "storage.secret-missing");
    assert_eq!(judged(&[], said).await.unwrap_err(), "storage.not-encrypted");
    let other = said.replace("'luks'", "'qcow'");
    assert_eq!(judged(luks, &other).await.unwrap_err(), "storage.encryption-other");
}
