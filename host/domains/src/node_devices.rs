//! Devices of this machine, as the kernel tells of them in `/sys`. They are looked at each time, and nothing is changed.

mod block;
mod net;
mod pci;
pub(crate) mod sysfs;
mod system;
mod usb;

use std::path::{Path, PathBuf};

use hostler_domain::Fragment;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::process;

/// Where the kernel tells of devices.
pub(crate) const SYS: &str = "/sys";
/// The device that is the machine.
const COMPUTER: &str = "computer";

/// A device of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeDevice {
    /// What it is called, here as in libvirt.
    pub name: String,
    /// The device that it is connected to; none for the machine.
    pub parent: Option<String>,
    /// What it is, in the words of documents: `system`, `pci`, `net`, `storage`, `usb_device` or `usb`.
    pub capabilities: Vec<String>,
    /// Its document.
    pub xml: String,
}

/// A device before it is known what it is connected to.
struct Found {
    name: String,
    /// Where it is in `/sys/devices`.
    path: PathBuf,
    /// The driver that has it.
    driver: Option<String>,
    /// Its node in `/dev`.
    node: Option<String>,
    /// What it is.
    kind: &'static str,
    capability: Fragment,
}

impl Host {
    /// Every device of this machine that documents can tell of: itself, those on PCI and USB, network devices and disks.
    ///
    /// # Errors
    /// [`Kind::Host`] when what the kernel tells cannot be read at all.
    pub async fn node_devices(&self) -> Result<Vec<NodeDevice>, Error> {
        process::blocking(|| all(Path::new(SYS))).await
    }

    /// One of them.
    ///
    /// # Errors
    /// [`Kind::NotFound`].
    pub async fn node_device(&self, name: &str) -> Result<NodeDevice, Error> {
        let found = self.node_devices().await?.into_iter().find(|device| device.name == name);
        found.ok_or_else(|| {
            let message = format!("no node device with matching name '{name}'");
            Error::new(Kind::NotFound, "node-device.not-found", message).about("device", name)
        })
    }
}

fn all(sys: &Path) -> Vec<NodeDevice> {
    let mut found = vec![system::found(sys)];
    found.extend(pci::found(sys));
    found.extend(usb::found(sys));
    found.extend(net::found(sys));
    found.extend(block::found(sys));
    // A device may be told of twice, as a bridge of two names.
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    found.iter().map(|device| described(device, &found)).collect()
}

fn described(device: &Found, all: &[Found]) -> NodeDevice {
    let parent = (device.kind != "system").then(|| parent(device, all));
    let named = |name: &str, text: &str| Fragment::new(name).text(text);
    let root = Fragment::new("device")
        .child(named("name", &device.name))
        .maybe_child(parent.as_ref().map(|_| named("path", &device.path.to_string_lossy())))
        .maybe_child(device.node.as_deref().map(|node| named("devnode", node).attribute("type", "dev")))
        .maybe_child(parent.as_deref().map(|parent| named("parent", parent)))
        .maybe_child(device.driver.as_deref().map(|name| Fragment::new("driver").child(named("name", name))))
        .child(device.capability.clone());
    NodeDevice {
        name: device.name.clone(),
        parent,
        capabilities: vec![device.kind.to_owned()],
        xml: format!("{}\n", root.to_xml()),
    }
}

/// The nearest device above one; the machine where there is none.
fn parent(device: &Found, all: &[Found]) -> String {
    let above = device.path.ancestors().skip(1);
    let nearest = above.filter_map(|path| all.iter().find(|other| other.path == path)).next();
    nearest.map_or(COMPUTER, |other| other.name.as_str()).to_owned()
}

#[cfg(test)]
mod tests;
