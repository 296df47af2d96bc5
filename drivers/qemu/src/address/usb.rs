//! Ports of USB buses; hubs are added when there are more devices than ports.

use std::collections::BTreeMap;

use hostler_sdk::domain::NodeId;
use hostler_sdk::domain::address::Address;
use hostler_sdk::{Error, ProblemExt};

use super::drive;
use super::usb_ports::{HUB_PORTS, PortRefusal, Ports, parse, text};
use crate::complete::controllers::{self, Controller};
use crate::complete::draft::Draft;

/// Most ports of an xHCI controller.
const MAX_XHCI_PORTS: u32 = 15;
/// Ports of an xHCI controller that does not say how many it has.
const XHCI_PORTS: u32 = 4;

/// Gives every USB device and hub a port.
pub(crate) fn assign(draft: &mut Draft) -> Result<(), Error> {
    let mut buses = Buses(read_buses(draft)?);
    let devices = devices(draft);
    let mut hubs = draft.devices("hub");
    if let Some(device) = devices.iter().chain(&hubs).next().filter(|_| buses.0.is_empty()) {
        return Err(draft
            .refuse(
                *device,
                "qemu.usb-disabled",
                "this is a USB device, but the domain has no USB controller",
            )
            .hint("add a controller with type='usb', or remove the one with model='none'")
            .unsupported());
    }
    // A hub must be there before what is plugged into it, whatever their order in the document.
    hubs.sort_by_key(|hub| given_path(draft, *hub).map_or(0, |(_, path)| path.len()));
    for hub in &hubs {
        buses.claim(draft, *hub, true)?;
    }
    for device in &devices {
        buses.claim(draft, *device, false)?;
    }
    add_hubs(draft, &buses, &devices)?;
    for hub in draft.devices("hub") {
        buses.settle(draft, hub, true)?;
    }
    for device in devices {
        buses.settle(draft, device, false)?;
    }
    Ok(())
}

/// The USB devices that are no hubs, in the order in which they are served.
fn devices(draft: &Draft) -> Vec<NodeId> {
    let with = |name: &str, wanted: &dyn Fn(NodeId) -> bool| {
        let mut found = draft.devices(name);
        found.retain(|node| wanted(*node));
        found
    };
    let mut all = with("hostdev", &|node| draft.says(node, "type", "usb"));
    all.extend(drive::in_target_order(draft, "usb"));
    all.extend(with("interface", &|node| draft.child_get(node, "model", "type") == Some("usb-net")));
    all.extend(with("controller", &|node| draft.says(node, "type", "ccid")));
    all.extend(with("input", &|node| draft.says(node, "bus", "usb")));
    all.extend(with("serial", &|node| draft.child_get(node, "target", "type") == Some("usb-serial")));
    all.extend(with("sound", &|node| draft.says(node, "model", "usb")));
    all.extend(with("redirdev", &|node| draft.says(node, "bus", "usb")));
    all
}

fn read_buses(draft: &Draft) -> Result<BTreeMap<u32, Ports>, Error> {
    let mut buses: BTreeMap<u32, Ports> = BTreeMap::new();
    for controller in controllers::of_kind(draft, "usb") {
        if controller.model == "none" {
            continue;
        }
        let count = usize::try_from(port_count(draft, &controller)?).unwrap_or(usize::MAX);
        let index = controller.index.unwrap_or(0);
        // Companions serve ports of their master: the group has as many as its largest member.
        if buses.get(&index).is_none_or(|known| known.len() < count) {
            buses.insert(index, Ports::new(count));
        }
    }
    Ok(buses)
}

fn port_count(draft: &Draft, controller: &Controller) -> Result<u32, Error> {
    let said = draft.number(controller.node, "ports");
    let xhci = matches!(controller.model.as_str(), "qemu-xhci" | "nec-xhci");
    if let Some(said) = said.filter(|said| xhci && *said > MAX_XHCI_PORTS) {
        let message =
            format!("a '{}' controller has at most {MAX_XHCI_PORTS} ports, not {said}", controller.model);
        return Err(draft
            .refuse(controller.node, "qemu.usb-ports", message)
            .hint(format!("write ports='{MAX_XHCI_PORTS}' or less"))
            .unsupported());
    }
    Ok(match controller.model.as_str() {
        "qemu-xhci" | "nec-xhci" => said.unwrap_or(XHCI_PORTS),
        "ehci" | "ich9-ehci1" => 6,
        "pci-ohci" => 3,
        _ => 2,
    })
}

/// Adds as many hubs as the devices without a port need, unless there is no port for a hub either.
fn add_hubs(draft: &mut Draft, buses: &Buses, devices: &[NodeId]) -> Result<(), Error> {
    let hubs = draft.devices("hub");
    let open = devices.iter().chain(&hubs).filter(|node| given_path(draft, **node).is_none()).count();
    let ports: usize = buses.0.values().map(Ports::len).sum();
    let ports = ports + hubs.len() * HUB_PORTS;
    if open <= ports || buses.0.values().all(|bus| bus.first_free().is_none()) {
        return Ok(());
    }
    // A hub takes a port and brings eight.
    let needed = (open - ports + 1).div_ceil(HUB_PORTS - 1);
    for _ in 0..needed {
        draft.add_device("hub", "<hub type='usb'/>")?;
    }
    Ok(())
}

/// Bus and port of a device whose port is settled.
fn given_path(draft: &Draft, node: NodeId) -> Option<(u32, Vec<usize>)> {
    match draft.place(node)? {
        Address::Usb { bus, port } if !port.is_empty() => Some((bus, parse(&port))),
        _ => None,
    }
}

/// The buses by index of their controller.
struct Buses(BTreeMap<u32, Ports>);

impl Buses {
    /// Takes the port that the document gives.
    fn claim(&mut self, draft: &Draft, node: NodeId, hub: bool) -> Result<(), Error> {
        let Some((bus, path)) = given_path(draft, node) else { return Ok(()) };
        let Some(ports) = self.0.get_mut(&bus) else { return Err(no_bus(draft, node, bus)) };
        ports.take(&path, hub).map_err(|refusal| {
            let port = text(&path);
            let (code, message, hint) = match refusal {
                PortRefusal::Taken => {
                    let message = format!("port {port} of USB bus {bus} is already taken");
                    ("qemu.address-in-use", message, "give one of the devices another port, or leave it out")
                }
                PortRefusal::Absent => {
                    let message = format!("USB bus {bus} has no port {port}");
                    ("qemu.address-no-port", message, "use a lower port, or a controller with more")
                }
                PortRefusal::NoHub(at) => {
                    let message = format!("port {port} of USB bus {bus} leads through {at}, where no hub is");
                    ("qemu.usb-hub-missing", message, "add a hub with type='usb' at that port")
                }
            };
            draft.refuse(node, code, message).hint(hint).invalid()
        })
    }

    /// Gives a port to a device that has none.
    fn settle(&mut self, draft: &mut Draft, node: NodeId, hub: bool) -> Result<(), Error> {
        if given_path(draft, node).is_some() {
            return Ok(());
        }
        let only = match draft.place(node) {
            Some(Address::Usb { bus, .. }) => Some(bus),
            Some(_) => return Ok(()),
            None => None,
        };
        if let Some(bus) = only.filter(|bus| !self.0.contains_key(bus)) {
            return Err(no_bus(draft, node, bus));
        }
        let suited = self.0.iter_mut().filter(|(index, _)| only.is_none_or(|only| only == **index));
        let found = suited.into_iter().find_map(|(index, ports)| {
            let path = ports.first_free()?;
            ports.take(&path, hub).ok()?;
            Some((*index, path))
        });
        let Some((bus, path)) = found else {
            return Err(draft
                .refuse(node, "qemu.address-full", "no USB port is left for this device")
                .hint("add a USB controller, or a hub")
                .invalid());
        };
        draft.set_place(node, &Address::Usb { bus, port: text(&path) })
    }
}

fn no_bus(draft: &Draft, node: NodeId, bus: u32) -> Error {
    draft
        .refuse(
            node,
            "qemu.address-no-bus",
            format!("the device is on USB bus {bus}, which no controller makes"),
        )
        .hint(format!("add a controller with type='usb' and index='{bus}'"))
        .invalid()
}
