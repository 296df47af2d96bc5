//! Whole command lines: against the recorded corpus, and against goldens of our own.

mod corpus;
mod golden;
mod render;

use hostler_sdk::domain::Domain;
use hostler_sdk::domain::disk::DiskDevice;
use hostler_sdk::domain::os::{Firmware, LoaderType};
use hostler_sdk::{Error, Launch};

use crate::argv::{self, Inputs};
use crate::chains::{Chains, FirmwareFacts, declared};
use crate::facts::Facts;
use crate::{alias, complete};

/// A completed document and the launch that it means.
struct Case {
    domain: Domain,
    launch: Launch,
}

impl Case {
    /// Completes a document and builds its launch, with images as the document declares them.
    fn of(xml: &str, facts: &Facts) -> Result<Self, Error> {
        let domain = complete::complete(Domain::parse(xml)?, |bytes| bytes.fill(0x5a))?;
        let aliases = alias::assign(&domain);
        let mut chains = Chains::default();
        for disk in domain.devices.disks.iter().filter(|disk| disk.device != DiskDevice::Lun || has_image(disk)) {
            chains.insert(disk.target.as_str(), declared(disk));
        }
        let firmware = firmware(&domain);
        let inputs = Inputs { domain: &domain, aliases: &aliases, chains: &chains, firmware: firmware.as_ref(), facts };
        let launch = argv::command_line(inputs)?;
        Ok(Case { domain, launch })
    }
}

fn has_image(disk: &hostler_sdk::domain::disk::Disk) -> bool {
    crate::blockdev::has_nodes(disk)
}

/// The firmware that the host would choose, as far as the document says.
fn firmware(domain: &Domain) -> Option<FirmwareFacts> {
    let os = &domain.os;
    let efi = os.firmware == Some(Firmware::Efi);
    let loader = os.loader.as_ref().filter(|loader| loader.path.is_some());
    let is_flash = efi || loader?.kind == Some(LoaderType::Pflash);
    let secure = os.loader.as_ref().and_then(|loader| loader.secure) == Some(true);
    let format = |named: Option<&String>| named.cloned().unwrap_or_else(|| "raw".to_owned());
    Some(FirmwareFacts {
        is_flash,
        code_format: format(os.loader.as_ref().and_then(|loader| loader.format.as_ref())),
        store_format: (is_flash && (efi || os.nvram.is_some()))
            .then(|| format(os.nvram.as_ref().and_then(|store| store.format.as_ref()))),
        needs_smm: efi && !secure_boot_is_refused(domain) || secure,
    })
}

/// Secure boot is what installed firmware offers, unless the document says no.
fn secure_boot_is_refused(domain: &Domain) -> bool {
    domain.os.firmware_features.iter().any(|feature| !feature.enabled)
}
