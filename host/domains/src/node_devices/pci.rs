//! Devices on PCI.

use std::path::Path;

use hostler_domain::Fragment;

use super::Found;
use super::sysfs::{devices, link, number, plain};

pub(super) fn found(sys: &Path) -> Vec<Found> {
    let all = devices(&sys.join("bus/pci/devices"));
    all.into_iter().filter_map(|(name, path)| one(&name, &path)).collect()
}

fn one(name: &str, path: &Path) -> Option<Found> {
    let [domain, bus, slot, function] = address(name)?;
    let text = |name: &str, value: u64| Fragment::new(name).text(value);
    let id = |element: &str, file: &str| {
        number(path, file).map(|id| Fragment::new(element).attribute("id", format!("0x{id:04x}")))
    };
    let functions = number(path, "sriov_totalvfs").filter(|most| *most > 0).map(|most| {
        Fragment::new("capability").attribute("type", "virt_functions").attribute("maxCount", most)
    });
    let capability = Fragment::new("capability")
        .attribute("type", "pci")
        .maybe_child(number(path, "class").map(|class| Fragment::new("class").text(format!("0x{class:06x}"))))
        .child(text("domain", domain))
        .child(text("bus", bus))
        .child(text("slot", slot))
        .child(text("function", function))
        .maybe_child(id("product", "device"))
        .maybe_child(id("vendor", "vendor"))
        .maybe_child(functions)
        .maybe_child(group(path))
        .maybe_child(number(path, "numa_node").map(|node| Fragment::new("numa").attribute("node", node)));
    Some(Found {
        name: format!("pci_{}", plain(name)),
        path: path.to_owned(),
        driver: link(path, "driver"),
        node: None,
        kind: "pci",
        capability,
    })
}

/// The devices that are given away together.
fn group(path: &Path) -> Option<Fragment> {
    let number = link(path, "iommu_group")?;
    let mut members: Vec<_> =
        devices(&path.join("iommu_group/devices")).into_iter().map(|(name, _)| name).collect();
    members.sort_unstable();
    let group = Fragment::new("iommuGroup").attribute("number", number);
    Some(members.iter().filter_map(|name| address(name)).fold(
        group,
        |group, [domain, bus, slot, function]| {
            group.child(
                Fragment::new("address")
                    .attribute("domain", format!("0x{domain:04x}"))
                    .attribute("bus", format!("0x{bus:02x}"))
                    .attribute("slot", format!("0x{slot:02x}"))
                    .attribute("function", format!("0x{function:x}")),
            )
        },
    ))
}

/// Domain, bus, slot and function of a name such as `0000:00:1f.2`.
fn address(name: &str) -> Option<[u64; 4]> {
    let (rest, function) = name.rsplit_once('.')?;
    let mut parts = rest.split(':').map(|part| u64::from_str_radix(part, 16).ok());
    let address = [parts.next()??, parts.next()??, parts.next()??, u64::from_str_radix(function, 16).ok()?];
    parts.next().is_none().then_some(address)
}
