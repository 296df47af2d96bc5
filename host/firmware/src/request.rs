//! What a document asks of its firmware.

use std::path::PathBuf;

use hostler_domain::Domain as Document;
use hostler_domain::os::{Firmware, FirmwareFeatureName};

use crate::select::{FirmwareRequest, Interface};

/// Architecture of a document that is silent about it: this host's.
const ARCHITECTURE: &str = std::env::consts::ARCH;
/// Machine of a document that is silent about it; drivers complete it in `check`.
const MACHINE: &str = "pc";

/// The wishes of a document that lets firmware be chosen. `smm_available` says whether this host can run system
/// management mode for it.
pub(crate) fn of(document: &Document, firmware: Firmware, smm_available: bool) -> FirmwareRequest {
    let os = &document.os;
    let interface = match firmware {
        Firmware::Efi => Interface::Efi,
        Firmware::Bios => Interface::Bios,
    };
    let wanted = |name: FirmwareFeatureName| {
        os.firmware_features.iter().find(|feature| feature.name == name).map(|feature| feature.enabled)
    };
    let loader = os.loader.clone().unwrap_or_default();
    FirmwareRequest {
        loader: loader.path.map(PathBuf::from),
        code_format: loader.format,
        secure: loader.secure,
        secure_boot: wanted(FirmwareFeatureName::SecureBoot),
        enrolled_keys: wanted(FirmwareFeatureName::EnrolledKeys),
        acpi_s3: document.pm.suspend_to_mem == Some(true),
        acpi_s4: document.pm.suspend_to_disk == Some(true),
        stateless: loader.stateless == Some(true),
        smm_off: has_smm_off(document),
        smm_available,
        ..FirmwareRequest::new(
            interface,
            os.arch.as_deref().unwrap_or(ARCHITECTURE),
            os.machine.as_deref().unwrap_or(MACHINE),
        )
    }
}

/// Whether the document's machine is to have no system management mode.
pub(crate) fn has_smm_off(document: &Document) -> bool {
    document.features.smm.as_ref().is_some_and(|smm| !smm.state)
}
