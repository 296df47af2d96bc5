//! `update-device` of a definition: another element in the place of the device that it is about.

use hostler_domain::Domain;

use super::detach::not_found;
use super::{Changed, Scope};
use crate::devices::{self, Device};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::DomainRef;

impl Host {
    /// Puts an element in the place of the device that it is about in the stored definition: the disk with its target, the
    /// network interface with its address, the display of its type. A guest that runs is as it was until its next start.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such device; [`Kind::Unsupported`] for another kind of device; whatever `define`
    /// refuses. Nothing has changed then.
    pub async fn replace_device(&self, wanted: &DomainRef, element: &str) -> Result<Changed, Error> {
        let kind = devices::kind_of(element)?;
        let given = devices::alone(element)?;
        let named = named(&given, &kind)?;
        let scope = Scope { live: false, config: true };
        self.edit_device((wanted, &named), scope, false, |definition, xml| {
            let domain = Domain::parse(xml)?;
            let device = matching(&domain, &kind, &named)
                .ok_or_else(|| not_found(definition, Some(&domain), &named))?;
            Ok((device.clone(), devices::with_other(xml, &device, element)?))
        })
        .await
    }
}

/// What the device is found by that an element is about.
fn named(given: &Domain, kind: &str) -> Result<String, Error> {
    let unnamed = |what: &str| {
        let message = format!("nothing says which <{kind}> is meant");
        Error::new(Kind::Invalid, "device.unnamed", message).hint(format!("name its {what}"))
    };
    match kind {
        "disk" | "interface" | "graphics" => {
            let device = devices::last(given, kind).filter(|device| !device.name.is_empty());
            let what = if kind == "graphics" { "type" } else { "<target> or <mac>" };
            device.map(|device| device.name).ok_or_else(|| unnamed(what))
        }
        _ => {
            let message = format!("persistent update of device '{kind}' is not supported");
            Err(Error::new(Kind::Unsupported, "device.stays", message)
                .hint("change the definition as a whole: define it anew"))
        }
    }
}

/// The device of a kind with this name.
pub(super) fn matching(domain: &Domain, kind: &str, named: &str) -> Option<Device> {
    let mut of_kind = devices::all(domain).into_iter().filter(|device| device.kind == kind);
    of_kind.find(|device| device.name.eq_ignore_ascii_case(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: &str = "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os><devices>\
                          <disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/>\
                          <address type='pci' domain='0x0000' bus='0x00' slot='0x05' function='0x0'/></disk>\
                          <disk type='file'><source file='/b'/><target dev='vdb' bus='virtio'/></disk>\
                          <graphics type='vnc'/></devices></domain>";

    fn with(element: &str) -> String {
        let kind = devices::kind_of(element).unwrap();
        let named = named(&devices::alone(element).unwrap(), &kind).unwrap();
        let domain = Domain::parse(STORED).unwrap();
        devices::with_other(STORED, &matching(&domain, &kind, &named).unwrap(), element).unwrap()
    }

    #[test]
    fn element_takes_the_place_and_the_address_of_the_one_before() {
        let xml = with("<disk type='file'><source file='/c'/><target dev='vda' bus='virtio'/></disk>");
        assert!(!xml.contains("'/a'"), "{xml}");
        assert!(xml.find("'/c'") < xml.find("'/b'") && xml.contains("slot='0x05'"), "{xml}");
        let xml = with("<disk type='file'><source file='/c'/><target dev='vda' bus='sata'/></disk>");
        assert!(!xml.contains("slot='0x05'"), "another bus has other places: {xml}");
        assert!(with("<graphics type='vnc' passwd='secret'/>").contains("passwd='secret'"));
    }

    #[test]
    fn element_that_is_about_nothing_that_is_found_is_refused() {
        let code = |element: &str| {
            let kind = devices::kind_of(element).unwrap();
            named(&devices::alone(element).unwrap(), &kind).map_err(|error| error.code().to_owned())
        };
        assert_eq!(code("<sound model='ich6'/>"), Err("device.stays".to_owned()));
        assert_eq!(code("<interface type='user'/>"), Err("device.unnamed".to_owned()));
        let domain = Domain::parse(STORED).unwrap();
        assert_eq!(matching(&domain, "graphics", "spice"), None);
    }
}
