//! Reading `<address>` from a document that is being edited.

use hostler_sdk::domain::address::{Address, DriveAddress, PciAddress};
use hostler_sdk::domain::{Document, NodeId};

/// A decimal or (`0x`) hexadecimal number.
pub(crate) fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The place that an `<address>` gives; none for types that this driver does not lay out.
pub(crate) fn read(document: &Document, address: NodeId) -> Option<Address> {
    let get = |name: &str| document.attribute(address, name).and_then(number);
    let small = |name: &str| get(name).unwrap_or(0);
    match document.attribute(address, "type")? {
        "pci" => Some(Address::Pci(PciAddress {
            domain: u16::try_from(small("domain")).ok()?,
            bus: u8::try_from(small("bus")).ok()?,
            slot: u8::try_from(small("slot")).ok()?,
            function: u8::try_from(small("function")).ok()?,
            multifunction: document.attribute(address, "multifunction").map(|word| word == "on"),
        })),
        "drive" => Some(Address::Drive(DriveAddress {
            controller: small("controller"),
            bus: small("bus"),
            target: small("target"),
            unit: small("unit"),
        })),
        "usb" => {
            let port = document.attribute(address, "port").unwrap_or_default().to_owned();
            Some(Address::Usb { bus: small("bus"), port })
        }
        "virtio-serial" => Some(Address::VirtioSerial {
            controller: small("controller"),
            bus: small("bus"),
            port: get("port"),
        }),
        "ccid" => Some(Address::Ccid { controller: small("controller"), slot: small("slot") }),
        "dimm" => Some(Address::Dimm { slot: get("slot"), base: None }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let pci = PciAddress { multifunction: Some(true), ..PciAddress::new(3, 0x1f, 2) };
        for address in [
            Address::Pci(pci),
            Address::Drive(DriveAddress { controller: 1, bus: 0, target: 2, unit: 3 }),
            Address::Usb { bus: 1, port: "1.2".to_owned() },
            Address::VirtioSerial { controller: 0, bus: 0, port: Some(4) },
            Address::Ccid { controller: 0, slot: 1 },
            Address::Dimm { slot: Some(2), base: None },
        ] {
            let document = Document::parse(&address.to_fragment().to_xml()).unwrap();
            assert_eq!(read(&document, document.root()), Some(address));
        }
    }
}
