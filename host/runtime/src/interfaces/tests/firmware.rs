//! Firmware and the life of a variable store, as a start meets them.

use std::path::{Path, PathBuf};

use hostler_launch::{Handle as LaunchHandle, Role};

use super::Scene;
use crate::bindings::wit::domain::HostDomain;
use crate::bindings::wit::firmware::{Attachment, Firmware};
use crate::bindings::wit::types::Error;
use crate::bindings::wit::value::Handle;
use crate::context::{DomainContext, Purpose};

const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const TEMPLATE: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

fn scene(reset_nvram: bool, purpose: Purpose, prepare: impl FnOnce(&Path)) -> Scene {
    let boot = format!(
        "<loader type='pflash' readonly='yes'>{CODE}</loader><nvram template='{TEMPLATE}'>HERE/vars.fd</nvram>"
    );
    let scene = Scene::made("qemu", &boot, "", |context| DomainContext { reset_nvram, purpose, ..context });
    prepare(&scene.path("vars.fd"));
    scene
}

fn store(scene: &Scene) -> PathBuf {
    scene.path("vars.fd")
}

async fn firmware(scene: &mut Scene) -> Result<Firmware, Error> {
    let me = scene.me();
    scene.state.firmware(me).await.unwrap().map(Option::unwrap)
}

#[tokio::test]
async fn missing_store_is_made_from_its_template_and_both_are_open() {
    let mut scene = scene(false, Purpose::Operate, |_| {});
    let firmware = firmware(&mut scene).await.unwrap();
    assert_eq!((firmware.attachment, firmware.needs_smm), (Attachment::Flash, false));
    assert_eq!((firmware.code_format.as_str(), firmware.store_format.as_str()), ("raw", "raw"));
    assert_eq!(std::fs::read(store(&scene)).unwrap(), std::fs::read(TEMPLATE).unwrap());
    let handles = [Handle::Code(firmware.code), Handle::VariableStore(firmware.store.unwrap())];
    let handles = scene.state.handles(&handles).unwrap();
    for (handle, expected) in handles.iter().zip([(Role::Code, false), (Role::VariableStore, true)]) {
        let LaunchHandle::Descriptor { fd: Some(_), writable, role, .. } = handle else {
            panic!("{handle:?}")
        };
        assert_eq!((*role, *writable), expected);
    }
}

#[tokio::test]
async fn existing_store_is_kept_and_a_reset_makes_it_pristine() {
    let mut changed = std::fs::read(TEMPLATE).unwrap();
    // Behind the firmware volume's variables: a sound store that is not the template.
    let at = changed.len() / 2;
    changed[at] ^= 0x10;
    let mut kept = scene(false, Purpose::Operate, |path| std::fs::write(path, &changed).unwrap());
    firmware(&mut kept).await.unwrap();
    assert_eq!(std::fs::read(store(&kept)).unwrap(), changed);
    let mut reset = scene(true, Purpose::Operate, |path| std::fs::write(path, &changed).unwrap());
    firmware(&mut reset).await.unwrap();
    assert_eq!(std::fs::read(store(&reset)).unwrap(), std::fs::read(TEMPLATE).unwrap());
}

#[tokio::test]
async fn damaged_store_is_refused_with_the_remedy_and_left_alone() {
    let mut scene = scene(false, Purpose::Operate, |path| std::fs::write(path, b"rubbish").unwrap());
    let Err(Error::Conflict(problem)) = firmware(&mut scene).await else {
        panic!("a damaged store was taken")
    };
    assert_eq!(problem.code, "firmware.store-invalid");
    assert!(problem.hints.iter().any(|hint| hint.contains("--reset-nvram")), "{problem:?}");
    assert_eq!(std::fs::read(store(&scene)).unwrap(), b"rubbish");
}

#[tokio::test]
async fn description_makes_no_store() {
    let mut scene = scene(true, Purpose::Describe, |_| {});
    let firmware = firmware(&mut scene).await.unwrap();
    assert!(!store(&scene).exists());
    let handles = scene.state.handles(&[Handle::VariableStore(firmware.store.unwrap())]).unwrap();
    let LaunchHandle::Descriptor { fd: None, path, .. } = &handles[0] else { panic!("{handles:?}") };
    assert_eq!(*path, store(&scene));
}
