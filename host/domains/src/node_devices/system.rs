//! The machine.

use std::path::Path;

use hostler_domain::Fragment;

use super::sysfs::fact;
use super::{COMPUTER, Found};

pub(super) fn found(sys: &Path) -> Found {
    let dmi = sys.join("class/dmi/id");
    let told = |element: &str, name: &str| fact(&dmi, name).map(|text| Fragment::new(element).text(text));
    let hardware = [
        ("vendor", "sys_vendor"),
        ("version", "product_version"),
        ("serial", "product_serial"),
        ("uuid", "product_uuid"),
    ];
    let firmware = [("vendor", "bios_vendor"), ("version", "bios_version"), ("release_date", "bios_date")];
    let group = |name: &str, facts: &[(&str, &str)]| {
        facts
            .iter()
            .fold(Fragment::new(name), |group, (element, file)| group.maybe_child(told(element, file)))
    };
    Found {
        name: COMPUTER.to_owned(),
        path: sys.join("devices"),
        driver: None,
        node: None,
        kind: "system",
        capability: Fragment::new("capability")
            .attribute("type", "system")
            .maybe_child(told("product", "product_name"))
            .child(group("hardware", &hardware))
            .child(group("firmware", &firmware)),
    }
}
