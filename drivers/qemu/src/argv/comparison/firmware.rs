//! Firmware as libvirt's test host has it.

use hostler_sdk::domain::Domain;
use hostler_sdk::domain::os::{Firmware, LoaderType};
use hostler_sdk::domain::storage_source::Location;
use hostler_sdk::{Error, Value};

use crate::argv::builder::Builder;
use crate::blockdev::{self, FlashImages, Openers};
use crate::chains::FirmwareFacts;

/// The firmware that libvirt would choose, as far as the document says.
pub(crate) fn firmware(domain: &Domain) -> Option<FirmwareFacts> {
    let os = &domain.os;
    let loader = os.loader.as_ref().filter(|loader| loader.path.is_some());
    let is_flash = match os.firmware {
        Some(firmware) => firmware == Firmware::Efi,
        None => loader?.kind == Some(LoaderType::Pflash),
    };
    let has_store = is_flash && (os.firmware.is_some() || os.nvram.is_some());
    let format = |named: Option<&String>| named.cloned().unwrap_or_else(|| "raw".to_owned());
    Some(FirmwareFacts {
        is_flash,
        code_format: format(os.loader.as_ref().and_then(|loader| loader.format.as_ref())),
        store_format: has_store.then(|| format(os.nvram.as_ref().and_then(|store| store.format.as_ref()))),
        needs_smm: is_flash && (is_secure(domain) || os.firmware.is_some() && offers_secure_boot(domain)),
    })
}

fn is_secure(domain: &Domain) -> bool {
    domain.os.loader.as_ref().and_then(|loader| loader.secure) == Some(true)
}

/// Secure boot is what the first of libvirt's descriptors offers, unless the document refuses something.
fn offers_secure_boot(domain: &Domain) -> bool {
    domain.os.firmware_features.iter().all(|feature| feature.enabled)
}

/// The file that holds the code.
pub(in crate::argv) fn code_path(domain: &Domain) -> String {
    let named = domain.os.loader.as_ref().and_then(|loader| loader.path.clone());
    let chosen = match domain.os.firmware {
        Some(Firmware::Bios) => "/usr/share/seabios/bios-256k.bin",
        _ if is_secure(domain) || offers_secure_boot(domain) => "/usr/share/OVMF/OVMF_CODE.secboot.fd",
        _ => "/usr/share/OVMF/OVMF_CODE.fd",
    };
    named.unwrap_or_else(|| chosen.to_owned())
}

/// The id of the secret of a variable store on a server.
const STORE_SECRET: &str = "libvirt-pflash1-storage-auth-secret0";

/// Where both flash devices come from; a store may be on a server, which no launch of ours can have.
///
/// # Errors
/// A server that QEMU has no driver for.
pub(in crate::argv) fn flash_images(builder: &mut Builder<'_>) -> Result<FlashImages, Error> {
    let domain = builder.domain;
    let local = |path: String| Value::mapping().with("driver", "file").with("filename", path);
    let source = domain.os.nvram.as_ref().and_then(|store| store.source.as_ref());
    let store = match source.map(|source| (&source.location, source.auth.as_ref())) {
        Some((Location::Network(network), auth)) => {
            if auth.is_some() {
                super::secret(builder, STORE_SECRET, domain.document().root())?;
            }
            let openers = Openers { auth, secret: Some(STORE_SECRET), ..Openers::default() };
            blockdev::server_properties(network, &openers)?
        }
        Some((Location::File(path), _)) => local(path.clone()),
        Some((Location::Block(path), _)) => {
            Value::mapping().with("driver", "host_device").with("filename", path.as_str())
        }
        _ => local(format!("/var/lib/libvirt/qemu/nvram/{}_VARS.fd", domain.name)),
    };
    Ok(FlashImages { code: local(code_path(domain)), store, comparison: true })
}
