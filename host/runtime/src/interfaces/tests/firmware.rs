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

fn scene(purpose: Purpose, prepare: impl FnOnce(&Path)) -> Scene {
    let boot = format!(
        "<loader type='pflash' readonly='yes'>{CODE}</loader><nvram template='{TEMPLATE}'>HERE/vars.fd</nvram>"
    );
    let scene = Scene::made("qemu", &boot, "", |context| DomainContext { purpose, ..context });
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
async fn code_and_store_are_open() {
    let mut scene = scene(Purpose::Operate, |path| {
        std::fs::copy(TEMPLATE, path).unwrap();
    });
    let firmware = firmware(&mut scene).await.unwrap();
    assert_eq!((firmware.attachment, firmware.needs_smm), (Attachment::Flash, false));
    assert_eq!((firmware.code_format.as_str(), firmware.store_format.as_str()), ("raw", "raw"));
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
async fn call_of_a_driver_makes_no_store() {
    let mut scene = scene(Purpose::Operate, |_| {});
    let Err(Error::NotFound(problem)) = firmware(&mut scene).await else { panic!("there is no store") };
    assert_eq!(problem.code, "firmware.store-missing");
    assert!(!store(&scene).exists());
}

#[tokio::test]
async fn description_opens_and_makes_nothing() {
    let mut scene = scene(Purpose::Describe, |_| {});
    let firmware = firmware(&mut scene).await.unwrap();
    assert!(!store(&scene).exists());
    let handles = scene.state.handles(&[Handle::VariableStore(firmware.store.unwrap())]).unwrap();
    let LaunchHandle::Descriptor { fd: None, path, .. } = &handles[0] else { panic!("{handles:?}") };
    assert_eq!(*path, store(&scene));
}
