//! Devices on USB, and their interfaces.

use std::path::Path;

use hostler_domain::Fragment;

use super::Found;
use super::sysfs::{devices, fact, link, number, plain};

pub(super) fn found(sys: &Path) -> Vec<Found> {
    let all = devices(&sys.join("bus/usb/devices"));
    all.into_iter().filter_map(|(name, path)| one(&name, &path)).collect()
}

fn one(name: &str, path: &Path) -> Option<Found> {
    // Interfaces have a colon, devices have none.
    let (kind, capability) =
        if name.contains(':') { ("usb", interface(path)?) } else { ("usb_device", device(path)?) };
    Some(Found {
        name: format!("usb_{}", plain(name)),
        path: path.to_owned(),
        driver: link(path, "driver"),
        node: None,
        kind,
        capability: capability.attribute("type", kind),
    })
}

fn device(path: &Path) -> Option<Fragment> {
    let text = |name: &str, value: u64| Fragment::new(name).text(value);
    let named = |element: &str, id: &str, name: &str| {
        let id = fact(path, id)?;
        let element = Fragment::new(element).attribute("id", format!("0x{id}"));
        Some(match fact(path, name) {
            Some(name) => element.text(name),
            None => element,
        })
    };
    Some(
        Fragment::new("capability")
            .child(text("bus", number(path, "busnum")?))
            .child(text("device", number(path, "devnum")?))
            .maybe_child(named("product", "idProduct", "product"))
            .maybe_child(named("vendor", "idVendor", "manufacturer")),
    )
}

fn interface(path: &Path) -> Option<Fragment> {
    let hexadecimal = |name: &str| u64::from_str_radix(&fact(path, name)?, 16).ok();
    let parts = [
        ("number", "bInterfaceNumber"),
        ("class", "bInterfaceClass"),
        ("subclass", "bInterfaceSubClass"),
        ("protocol", "bInterfaceProtocol"),
    ];
    parts.iter().try_fold(Fragment::new("capability"), |capability, (element, name)| {
        Some(capability.child(Fragment::new(element).text(hexadecimal(name)?)))
    })
}
