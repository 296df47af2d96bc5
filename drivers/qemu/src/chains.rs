//! Disk chains and firmware as plain data: what the host found out, without the handles.

use std::collections::BTreeMap;

use hostler_sdk::domain::disk::{Disk, DiskDevice};
use hostler_sdk::domain::storage_source::{Backing, Location, StorageSource};
use hostler_sdk::{Attachment, Below, Firmware, Layer};

use crate::blockdev::names_nothing;

/// The layers of every disk that has an image, by target name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chains(BTreeMap<String, Vec<Layer>>);

impl Chains {
    /// Adds the layers of one disk, the active one first.
    pub(crate) fn insert(&mut self, target: &str, layers: Vec<Layer>) {
        self.0.insert(target.to_owned(), layers);
    }

    /// The layers of the disk with this target; none when it was not resolved.
    pub(crate) fn layers(&self, target: &str) -> Option<&[Layer]> {
        self.0.get(target).map(Vec::as_slice)
    }
}

/// The layers as the document declares them, for images that nobody looks at: where the document
/// does not end the chain, what lies below is unexamined.
#[must_use]
pub fn declared(disk: &Disk) -> Vec<Layer> {
    let writable = !disk.readonly && disk.device != DiskDevice::Cdrom;
    let mut layers: Vec<Layer> = Vec::new();
    let mut source = &disk.source;
    loop {
        let index = u32::try_from(layers.len()).unwrap_or(u32::MAX);
        let named = source.format.clone().or_else(|| disk.driver.format.clone().filter(|_| index == 0));
        let format = named.unwrap_or_else(|| "raw".to_owned());
        let (below, next) = match &source.backing {
            Backing::Layer(next) => (Below::Layer(index.saturating_add(1)), Some(next)),
            Backing::Nothing => (Below::Nothing, None),
            // Neither raw bytes nor these formats can name anything.
            Backing::Unknown if names_nothing(&format) => (Below::Nothing, None),
            Backing::Unknown => (Below::Unexamined, None),
        };
        layers.push(Layer {
            format,
            kind: kind(source).to_owned(),
            description: String::new(),
            virtual_size: 0,
            read_only: index > 0 || !writable,
            below,
            data_file: None,
            facts: Vec::new(),
        });
        match next {
            Some(next) => source = next,
            None => return layers,
        }
    }
}

fn kind(source: &StorageSource) -> &'static str {
    match source.location {
        Location::Block(_) => "block",
        Location::Network(_) => "network",
        Location::Dir(_) => "dir",
        Location::Nvme { .. } => "nvme",
        Location::VhostVdpa(_) => "vhostvdpa",
        _ => "file",
    }
}

/// One domain's firmware, without its handles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FirmwareFacts {
    /// Whether it is a pair of flash devices; else a ROM image.
    pub(crate) is_flash: bool,
    /// Image format of the code.
    pub(crate) code_format: String,
    /// Image format of the variable store; none when there is no store.
    pub(crate) store_format: Option<String>,
    /// It only runs where the machine has system management mode.
    pub(crate) needs_smm: bool,
}

impl From<&Firmware> for FirmwareFacts {
    fn from(firmware: &Firmware) -> Self {
        FirmwareFacts {
            is_flash: firmware.attachment == Attachment::Flash,
            code_format: firmware.code_format.clone(),
            store_format: firmware.store.as_ref().map(|_| firmware.store_format.clone()),
            needs_smm: firmware.needs_smm,
        }
    }
}
