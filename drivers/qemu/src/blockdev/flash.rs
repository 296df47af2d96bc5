//! The flash devices that hold UEFI firmware and its variables.

use hostler_sdk::{Error, Symbol, Value};

use super::format::{Backing, Format, reads_plain_bytes};
use super::options::Options;
use crate::chains::FirmwareFacts;

/// The nodes of both flash devices, each below the one that uses it.
///
/// S0: there is nothing below firmware and variables, and the nodes say so. The store is written by
/// the guest's firmware, so what stands in its header is the guest's word.
///
/// # Errors
/// An image format that QEMU does not read.
pub(crate) fn flash_nodes(
    firmware: &FirmwareFacts,
    read_only: bool,
    images: FlashImages,
) -> Result<Vec<Value>, Error> {
    let FlashImages { code, store, comparison } = images;
    let mut nodes = flash(0, code, &firmware.code_format, read_only, comparison)?;
    if let Some(format) = &firmware.store_format {
        nodes.extend(flash(1, store, format, false, comparison)?);
    }
    Ok(nodes)
}

/// Where the bytes of both flash devices come from: the properties of their protocol nodes.
pub(crate) struct FlashImages {
    /// The code's.
    pub(crate) code: Value,
    /// The variable store's.
    pub(crate) store: Value,
    /// Whether this is only compared.
    pub(crate) comparison: bool,
}

impl FlashImages {
    /// The images that the host opened.
    pub(crate) fn opened() -> Self {
        let local = |image: Symbol| Value::mapping().with("driver", "file").with("filename", image);
        let (code, store) = (local(Symbol::Code), local(Symbol::VariableStore));
        FlashImages { code, store, comparison: false }
    }
}

fn flash(
    unit: u8,
    properties: Value,
    format: &str,
    read_only: bool,
    comparison: bool,
) -> Result<Vec<Value>, Error> {
    let storage = format!("libvirt-pflash{unit}-storage");
    let named = comparison || reads_plain_bytes(format);
    let protocol = properties
        .with_some("node-name", named.then_some(storage.as_str()))
        .with("auto-read-only", true)
        .with("discard", "unmap");
    let (mut nodes, file) = match named {
        true => (vec![protocol], storage.into()),
        false => (Vec::new(), protocol),
    };
    let format = Format {
        format,
        read_only,
        source: None,
        options: Options::default(),
        active: true,
        file,
        data_file: None,
        backing: Backing::Nothing,
        keys: &[],
    };
    nodes.push(format.node(&format_name(unit))?);
    Ok(nodes)
}

/// The name of the node that the machine uses as this flash device.
pub(crate) fn format_name(unit: u8) -> String {
    format!("libvirt-pflash{unit}-format")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firmware(format: &str) -> FirmwareFacts {
        FirmwareFacts {
            is_flash: true,
            code_format: format.to_owned(),
            store_format: Some(format.to_owned()),
            needs_smm: false,
        }
    }

    #[test]
    fn s0_firmware_and_variable_store_have_nothing_below() {
        let nodes = flash_nodes(&firmware("qcow2"), true, FlashImages::opened()).unwrap();
        let formats: Vec<_> = nodes.iter().filter(|node| node.get("file").is_some()).collect();
        assert_eq!(formats.len(), 2);
        assert!(formats.iter().all(|node| node.get("backing") == Some(&Value::Null)));
        let nodes = flash_nodes(&firmware("raw"), true, FlashImages::opened()).unwrap();
        assert!(nodes.iter().all(|node| node.get("backing").is_none()), "QEMU refuses the key on raw");
    }

    #[test]
    fn s1_flash_images_open_read_only_and_the_format_decides() {
        let nodes = flash_nodes(&firmware("raw"), true, FlashImages::opened()).unwrap();
        let [code, code_format, store, store_format] = nodes.as_slice() else { panic!("{nodes:?}") };
        for protocol in [code, store] {
            assert_eq!(protocol.get("auto-read-only"), Some(&Value::from(true)));
            assert_eq!(protocol.get("read-only"), None);
        }
        assert_eq!(code_format.get("read-only"), Some(&Value::from(true)));
        assert_eq!(store_format.get("read-only"), Some(&Value::from(false)));
    }
}
