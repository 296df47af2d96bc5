//! Network interfaces of this machine, as the kernel tells of them. Nothing here changes any.

use std::path::Path;

use hostler_domain::Fragment;
use hostler_network::{HostAddress, host_addresses};

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::node_devices::SYS;
use crate::node_devices::sysfs::{devices, fact, number};
use crate::process;

/// The flag of a device that is up.
const UP: u64 = 1;

/// A network interface of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostInterface {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: String,
    /// Whether it is up.
    pub active: bool,
    /// Its document.
    pub xml: String,
}

impl Host {
    /// Every network interface of this machine but those of guests, by name.
    ///
    /// # Errors
    /// [`Kind::Host`] when the kernel does not tell.
    pub async fn host_interfaces(&self) -> Result<Vec<HostInterface>, Error> {
        let addresses = process::blocking(host_addresses).await??;
        process::blocking(move || all(Path::new(SYS), &addresses)).await
    }

    /// One of them.
    ///
    /// # Errors
    /// [`Kind::NotFound`].
    pub async fn host_interface(&self, name: &str) -> Result<HostInterface, Error> {
        let found = self.host_interfaces().await?.into_iter().find(|interface| interface.name == name);
        found.ok_or_else(|| {
            let message = format!("couldn't find interface named '{name}'");
            Error::new(Kind::NotFound, "interface.not-found", message).about("interface", name)
        })
    }
}

fn all(sys: &Path, addresses: &[HostAddress]) -> Vec<HostInterface> {
    let mut found: Vec<_> = devices(&sys.join("class/net"))
        .into_iter()
        // Taps are of guests that run here.
        .filter(|(_, path)| !path.join("tun_flags").exists())
        .map(|(name, path)| one(name, &path, addresses))
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn one(name: String, path: &Path, addresses: &[HostAddress]) -> HostInterface {
    let mac = fact(path, "address").unwrap_or_default();
    let active = number(path, "flags").is_some_and(|flags| flags & UP != 0);
    let state = fact(path, "operstate").unwrap_or_else(|| "unknown".to_owned());
    let speed = number(path, "speed").filter(|speed| *speed > 0 && state == "up");
    let bridge = path.join("bridge").is_dir().then(|| bridge(path));
    let root = Fragment::new("interface")
        .attribute("type", if bridge.is_some() { "bridge" } else { "ethernet" })
        .attribute("name", &name)
        .maybe_child(number(path, "mtu").map(|mtu| Fragment::new("mtu").attribute("size", mtu)));
    let root = ["ipv4", "ipv6"].into_iter().fold(root, |root, family| {
        root.maybe_child(protocol(family, addresses.iter().filter(|one| one.device == name)))
    });
    let root = root
        .child(Fragment::new("link").maybe_attribute("speed", speed).attribute("state", state))
        .child(Fragment::new("mac").attribute("address", &mac))
        .maybe_child(bridge);
    HostInterface { name, mac, active, xml: format!("{}\n", root.to_xml()) }
}

/// The addresses of one kind; nothing where there is none.
fn protocol<'a>(family: &str, addresses: impl Iterator<Item = &'a HostAddress>) -> Option<Fragment> {
    let own = addresses.filter(|one| one.address.is_ipv4() == (family == "ipv4"));
    let ips: Vec<_> = own
        .map(|one| Fragment::new("ip").attribute("address", one.address).attribute("prefix", one.prefix))
        .collect();
    let protocol = Fragment::new("protocol").attribute("family", family);
    (!ips.is_empty()).then(|| ips.into_iter().fold(protocol, Fragment::child))
}

fn bridge(path: &Path) -> Fragment {
    let stp = number(path, "bridge/stp_state").is_some_and(|state| state != 0);
    let mut ports: Vec<_> = devices(&path.join("brif")).into_iter().map(|(name, _)| name).collect();
    ports.sort_unstable();
    let port =
        |name: &String| Fragment::new("interface").attribute("type", "ethernet").attribute("name", name);
    let bridge = Fragment::new("bridge").attribute("stp", if stp { "on" } else { "off" });
    ports.iter().map(port).fold(bridge, Fragment::child)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn interfaces_have_their_addresses_and_ports() {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let file = root.path().join("class/net").join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("eth0/flags", "0x1003\n");
        write("eth0/address", "52:54:00:00:00:01\n");
        write("br0/bridge/stp_state", "1\n");
        write("br0/brif/eth0/x", "");
        write("br0/flags", "0x1002\n");
        write("vnet0/tun_flags", "0x1002\n");
        let address = |device: &str, address: &str, prefix| HostAddress {
            device: device.to_owned(),
            address: address.parse().unwrap(),
            prefix,
        };
        let addresses = [address("eth0", "10.0.0.2", 24), address("lo", "127.0.0.1", 8)];
        let found = all(root.path(), &addresses);
        let [bridge, eth] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((eth.name.as_str(), eth.active, bridge.active), ("eth0", true, false));
        assert!(
            eth.xml.contains("<ip address='10.0.0.2' prefix='24'/>") && !eth.xml.contains("127"),
            "{}",
            eth.xml
        );
        assert!(
            bridge.xml.contains("<bridge stp='on'>") && bridge.xml.contains("name='eth0'"),
            "{}",
            bridge.xml
        );
    }
}
