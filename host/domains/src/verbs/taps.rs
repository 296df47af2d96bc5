//! The devices of this host that the network interfaces of a running guest are connected by, and what they count.

use std::fs;

use hostler_domain::Domain;
use hostler_domain::interface::MacAddress;
use hostler_network::{HostDevice, Traffic};
use hostler_state::Definition;
use serde::Serialize;

use crate::error::Error;
use crate::host::Host;
use crate::process;
use crate::reference::DomainRef;

/// A network interface of a guest that a device of this host connects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InterfaceDevice {
    /// The guest's address.
    pub mac: String,
    /// The device.
    pub device: String,
    /// What has come to the guest: bytes, packets, errors, packets that were dropped.
    pub received: [u64; 4],
    /// What has come from it.
    pub sent: [u64; 4],
}

impl Host {
    /// The devices that the interfaces of a running guest are connected by, in the order of its document. Interfaces without one
    /// are left out: what goes through them the host does not see. Takes no lock.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`]; what reading says.
    pub async fn interface_devices(&self, wanted: &DomainRef) -> Result<Vec<InterfaceDevice>, Error> {
        let definition = self.find(wanted)?;
        let domain = Domain::parse(&self.current_xml(&definition)?)?;
        self.devices_connecting(&definition, &domain).await
    }

    /// The same, of the document that the guest runs with.
    pub(crate) async fn devices_connecting(
        &self,
        definition: &Definition,
        domain: &Domain,
    ) -> Result<Vec<InterfaceDevice>, Error> {
        let macs: Vec<String> =
            domain.devices.interfaces.iter().filter_map(|one| Some(one.mac.as_ref()?.to_string())).collect();
        if macs.is_empty() {
            return Ok(Vec::new());
        }
        let Some(pid) = process::number(self, definition)? else { return Ok(Vec::new()) };
        process::blocking(move || connected(&macs, &devices_of(pid))).await?
    }
}

/// The devices that a process has open (proc(5), `fdinfo`).
fn devices_of(pid: u32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return Vec::new() };
    let device = |text: String| {
        text.lines().find_map(|line| line.strip_prefix("iff:").map(|name| name.trim().to_owned()))
    };
    let mut found: Vec<String> =
        entries.flatten().filter_map(|entry| device(fs::read_to_string(entry.path()).ok()?)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn connected(macs: &[String], devices: &[String]) -> Result<Vec<InterfaceDevice>, Error> {
    let found = hostler_network::devices_named(devices)?;
    let of = |mac: &String| found.iter().find(|device| is_of(&device.mac, mac));
    Ok(macs.iter().filter_map(|mac| Some(counted(mac, of(mac)?))).collect())
}

/// Whether a device is that of a guest's address: it has the same, but for the first byte.
fn is_of(address: &[u8], mac: &str) -> bool {
    let guest = MacAddress::parse(mac).map(|mac| mac.0);
    address
        .get(1..)
        .zip(guest.as_ref().and_then(|guest| guest.get(1..)))
        .is_some_and(|(own, guest)| own == guest)
}

/// What comes to the guest goes out of the device.
fn counted(mac: &str, device: &HostDevice) -> InterfaceDevice {
    let all = |Traffic { bytes, packets, errors, dropped }| [bytes, packets, errors, dropped];
    InterfaceDevice {
        mac: mac.to_owned(),
        device: device.name.clone(),
        received: all(device.sent),
        sent: all(device.received),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_has_the_address_of_its_guest_but_for_the_first_byte() {
        let address = [0xfe, 0x54, 0, 0xaa, 0xbb, 1];
        assert!(is_of(&address, "52:54:00:AA:bb:01"));
        assert!(!is_of(&address, "52:54:00:aa:bb:02"));
        assert!(!is_of(&[], "52") && !is_of(&[], "52:54:00:aa:bb:01"));
    }

    #[test]
    fn process_without_devices_has_none() {
        assert!(devices_of(std::process::id()).is_empty());
        let names = ["lo".to_owned(), "no-such-device".to_owned()];
        assert!(connected(&["52:54:00:aa:bb:01".to_owned()], &names).unwrap().is_empty());
    }
}
