//! How far a completion agrees with a recorded command line.

use hostler_sdk::domain::address::{Address, PciAddress};
use hostler_sdk::domain::disk::DiskBus;
use hostler_sdk::domain::{Domain, NodeId};
use serde_json::Value;

use crate::alias::{Aliases, assign};
use crate::complete::controllers::find;
use crate::complete::draft::Draft;

/// What a recorded `-device` is compared in.
const COMPARED: &[&str] = &[
    "bus",
    "addr",
    "multifunction",
    "unit",
    "scsi-id",
    "lun",
    "channel",
    "port",
    "nr",
    "chassis",
    "chassis_nr",
    "bus_nr",
    "masterbus",
    "firstport",
];

/// One completed domain, ready to be compared.
pub(super) struct Machine {
    domain: Domain,
    draft: Draft,
    aliases: Aliases,
}

/// A recorded device that the completion places elsewhere.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) id: String,
    pub(super) wanted: String,
    pub(super) found: String,
}

/// How many devices were compared, and which differ.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) compared: usize,
    pub(super) matched: usize,
    pub(super) differences: Vec<Difference>,
}

impl Machine {
    pub(super) fn new(domain: Domain) -> Self {
        let draft = Draft::new(domain.document().clone()).unwrap();
        let aliases = assign(&domain);
        Self { domain, draft, aliases }
    }

    /// Compares every recorded device; one that no alias stands for is a difference too.
    pub(super) fn compare(&self, argv: &[String]) -> Report {
        let mut report = Report::default();
        let mut unseen = self.pci_places();
        for pair in argv.windows(2).filter(|pair| pair[0] == "-device") {
            let Ok(device) = serde_json::from_str::<Value>(&pair[1]) else { continue };
            let driver = device["driver"].as_str().unwrap_or_default();
            // Parts of another device, and devices that stand outside <devices>.
            if driver.starts_with("hda-")
                || matches!(driver, "vmgenid" | "vmcoreinfo" | "isa-fdc" | "pvpanic")
            {
                continue;
            }
            let Some(node) = self.node_of(&device, driver) else {
                let found = "no such device".to_owned();
                report.differences.push(Difference {
                    id: text(&device["id"]),
                    wanted: pair[1].clone(),
                    found,
                });
                continue;
            };
            report.compared += 1;
            unseen.retain(|(_, bus, addr)| *bus != text(&device["bus"]) || *addr != text(&device["addr"]));
            let wanted = COMPARED.iter().filter(|key| !ignored(driver, key));
            let wanted: Vec<_> =
                wanted.filter_map(|key| Some(((*key).to_owned(), text(device.get(*key)?)))).collect();
            let mut found = self.found(node);
            found.retain(|(key, _)| !ignored(driver, key));
            if same(&wanted, &found) {
                report.matched += 1;
            } else {
                let id = text(&device["id"]);
                report.differences.push(Difference {
                    id,
                    wanted: format!("{wanted:?}"),
                    found: format!("{found:?}"),
                });
            }
        }
        for (node, bus, addr) in unseen {
            let found = format!("{} at {bus} {addr}", self.domain.document().path(node));
            report.differences.push(Difference {
                id: String::new(),
                wanted: "no such device".to_owned(),
                found,
            });
        }
        report
    }

    /// Every PCI device that is not part of the machine, with bus and slot.
    fn pci_places(&self) -> Vec<(NodeId, String, String)> {
        let place = |(node, alias): (NodeId, &str)| match self.draft.place(node) {
            // Disks that share their backing are plugged in after the launch.
            _ if self.draft.child_get(node, "transient", "shareBacking") == Some("yes") => None,
            Some(Address::Pci(place)) if alias != "ide" => {
                Some((node, self.controller("pci", u32::from(place.bus)), place.slot_function()))
            }
            _ => None,
        };
        self.aliases.iter().filter_map(place).collect()
    }

    fn node_of(&self, device: &Value, driver: &str) -> Option<NodeId> {
        let alias = match device["id"].as_str() {
            Some(alias) => alias.to_owned(),
            None if driver.starts_with("ich9-usb-uhci") => {
                device["masterbus"].as_str()?.trim_end_matches(".0").to_owned()
            }
            None if driver.ends_with("-iommu") => "iommu0".to_owned(),
            None => return None,
        };
        let mut nodes = self.aliases.iter().filter(|(_, known)| *known == alias).map(|(node, _)| node);
        let name = |node: &NodeId| self.domain.document().name(*node).to_owned();
        if driver.starts_with("ich9-usb") {
            let model = driver.replace("-usb", "");
            return nodes.find(|node| self.draft.get(*node, "model") == Some(model.as_str()));
        }
        let found = nodes.find(|node| !(driver == "isa-serial" && name(node) == "console"));
        // The recorder drops the author's aliases of interfaces: there it counted them.
        found.or_else(|| {
            let position: usize = alias.strip_prefix("net")?.parse().ok()?;
            self.draft.devices("interface").get(position).copied()
        })
    }

    /// What the completion says about a device, as QEMU's properties.
    fn found(&self, node: NodeId) -> Vec<(String, String)> {
        let mut found = match self.draft.place(node) {
            Some(Address::Pci(place)) => self.pci(&place),
            Some(Address::Usb { bus, port }) => {
                vec![pair("bus", format!("{}.0", self.controller("usb", bus))), pair("port", port)]
            }
            Some(Address::VirtioSerial { controller, port, .. }) => {
                let bus = format!("{}.0", self.controller("virtio-serial", controller));
                vec![pair("bus", bus), pair("nr", port.unwrap())]
            }
            Some(Address::Drive(_)) => self.drive(node),
            Some(Address::Ccid { controller, .. }) => {
                vec![pair("bus", format!("{}.0", self.controller("ccid", controller)))]
            }
            _ => Vec::new(),
        };
        let get = |child, name| self.draft.child_get(node, child, name).map(str::to_owned);
        let number = |text: String| crate::address::place::number(&text).unwrap();
        let settings = [("target", "chassis", "chassis"), ("target", "port", "port")];
        let more = [
            ("target", "chassisNr", "chassis_nr"),
            ("target", "busNr", "bus_nr"),
            ("master", "startport", "firstport"),
        ];
        if self.domain.document().name(node) == "controller" {
            for (child, name, key) in settings.into_iter().chain(more) {
                found.extend(get(child, name).map(|value| pair(key, number(value))));
            }
            if self.draft.child(node, "master").is_some() {
                found.push(pair("masterbus", format!("{}.0", self.aliases.get(node).unwrap())));
            }
        }
        found
    }

    fn controller(&self, kind: &str, index: u32) -> String {
        let controller = find(&self.draft, kind, index).unwrap();
        self.aliases.get(controller.node).unwrap().to_owned()
    }

    fn pci(&self, place: &PciAddress) -> Vec<(String, String)> {
        let bus = self.controller("pci", u32::from(place.bus));
        let mut found = vec![pair("bus", bus), pair("addr", place.slot_function())];
        found.extend(place.multifunction.map(|on| pair("multifunction", on)));
        found
    }

    fn drive(&self, node: NodeId) -> Vec<(String, String)> {
        let place = self.draft.place(node).unwrap();
        let place = place.drive().unwrap();
        let disk = self.domain.devices.disks.iter().find(|disk| disk.node == node);
        match disk.map_or(DiskBus::Scsi, |disk| disk.bus) {
            DiskBus::Ide => {
                let bus = self.controller("ide", place.controller);
                vec![pair("bus", format!("{bus}.{}", place.bus)), pair("unit", place.unit)]
            }
            DiskBus::Sata => {
                vec![pair("bus", format!("{}.{}", self.controller("sata", place.controller), place.unit))]
            }
            DiskBus::Fdc => {
                vec![pair("unit", place.unit)]
            }
            _ => {
                let controller = find(&self.draft, "scsi", place.controller).unwrap();
                let bus = pair("bus", format!("{}.0", self.aliases.get(controller.node).unwrap()));
                if controller.model == "lsilogic" {
                    return vec![bus, pair("scsi-id", place.unit)];
                }
                let id = pair("scsi-id", place.target);
                vec![bus, pair("channel", place.bus), id, pair("lun", place.unit)]
            }
        }
    }
}

/// Members whose name means something else on this device.
fn ignored(driver: &str, key: &str) -> bool {
    match driver {
        "floppy" => key == "bus",
        _ => false,
    }
}

fn same(wanted: &[(String, String)], found: &[(String, String)]) -> bool {
    let sorted = |list: &[(String, String)]| {
        let mut list = list.to_vec();
        list.sort();
        list
    };
    sorted(wanted) == sorted(found)
}

fn pair(key: &str, value: impl ToString) -> (String, String) {
    (key.to_owned(), value.to_string())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
