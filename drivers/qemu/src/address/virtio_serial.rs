//! Ports of virtio-serial controllers.

use std::collections::{BTreeMap, BTreeSet};

use hostler_sdk::domain::NodeId;
use hostler_sdk::domain::address::Address;
use hostler_sdk::{Error, ProblemExt};

use crate::complete::controllers;
use crate::complete::draft::Draft;

/// Ports of a controller that does not say how many it has.
const DEFAULT_PORTS: u32 = 31;
/// Port 0 is for a console.
const FIRST_CHANNEL_PORT: u32 = 1;

/// Gives every port a place; adds controllers when the ports run out.
pub(crate) fn assign(draft: &mut Draft) -> Result<(), Error> {
    let mut ports = Ports::read(draft);
    let consoles = virtio_ports(draft, "console");
    let channels = virtio_ports(draft, "channel");
    for node in consoles.iter().chain(&channels) {
        ports.claim(draft, *node)?;
    }
    // A console that says nothing about its place is left to QEMU, which counts consoles by itself.
    for node in consoles {
        if draft.address_type(node).is_some() {
            ports.settle(draft, node, 0)?;
        }
    }
    for node in channels {
        ports.settle(draft, node, FIRST_CHANNEL_PORT)?;
    }
    Ok(())
}

fn virtio_ports(draft: &Draft, name: &str) -> Vec<NodeId> {
    let all = draft.devices(name).into_iter();
    all.filter(|node| draft.child_get(*node, "target", "type") == Some("virtio")).collect()
}

/// The ports taken, and how many there are, per controller.
struct Ports {
    taken: BTreeSet<(u32, u32)>,
    counts: BTreeMap<u32, u32>,
}

impl Ports {
    fn read(draft: &Draft) -> Self {
        let counts = controllers::of_kind(draft, "virtio-serial").into_iter().filter_map(|controller| {
            let ports = draft.number(controller.node, "ports").unwrap_or(DEFAULT_PORTS);
            controller.index.map(|index| (index, ports))
        });
        Self { taken: BTreeSet::new(), counts: counts.collect() }
    }

    /// Takes the port that the document gives.
    fn claim(&mut self, draft: &Draft, node: NodeId) -> Result<(), Error> {
        let Some(Address::VirtioSerial { controller, port: Some(port), .. }) = draft.place(node) else {
            return Ok(());
        };
        let count = self.counts.get(&controller).copied().unwrap_or(0);
        if port >= count {
            let message =
                format!("virtio-serial controller {controller} has no port {port}, only {count} ports");
            return Err(draft
                .refuse(node, "qemu.address-no-port", message)
                .hint("use a lower port, or raise 'ports' of the controller")
                .invalid());
        }
        if !self.taken.insert((controller, port)) {
            let message = format!("port {port} of virtio-serial controller {controller} is already taken");
            return Err(draft
                .refuse(node, "qemu.address-in-use", message)
                .hint("give one of the channels another port, or leave its address out")
                .invalid());
        }
        Ok(())
    }

    /// Gives a port to a device that has none.
    fn settle(&mut self, draft: &mut Draft, node: NodeId, first: u32) -> Result<(), Error> {
        let only = match draft.place(node) {
            Some(Address::VirtioSerial { port: Some(_), .. }) => return Ok(()),
            Some(Address::VirtioSerial { controller, .. }) => Some(controller),
            Some(_) => return Ok(()),
            None => None,
        };
        let (controller, port) = match self.first_free(only, first) {
            Some(found) => found,
            None => self.grow(draft, node, only, first)?,
        };
        self.taken.insert((controller, port));
        draft.set_place(node, &Address::VirtioSerial { controller, bus: 0, port: Some(port) })
    }

    fn first_free(&self, only: Option<u32>, first: u32) -> Option<(u32, u32)> {
        let suited = self.counts.iter().filter(|(index, _)| only.is_none_or(|only| only == **index));
        suited
            .flat_map(|(index, count)| (first..*count).map(|port| (*index, port)))
            .find(|place| !self.taken.contains(place))
    }

    fn grow(
        &mut self,
        draft: &mut Draft,
        node: NodeId,
        only: Option<u32>,
        first: u32,
    ) -> Result<(u32, u32), Error> {
        if let Some(only) = only {
            return Err(draft
                .refuse(
                    node,
                    "qemu.address-full",
                    format!("virtio-serial controller {only} has no port left"),
                )
                .hint("raise 'ports' of the controller, or leave the controller open")
                .invalid());
        }
        let index = self.counts.keys().last().map_or(0, |highest| highest.saturating_add(1));
        controllers::add(draft, "virtio-serial", index, None)?;
        self.counts.insert(index, DEFAULT_PORTS);
        Ok((index, first))
    }
}
