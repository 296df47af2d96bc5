//! A network device of the host.

/// A network device of the host, as the kernel describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its number.
    pub(crate) index: u32,
    /// Its name.
    pub(crate) name: String,
    /// What somebody has marked it with.
    pub(crate) alias: String,
    /// Its hardware address.
    pub(crate) mac: Vec<u8>,
    /// Largest packet.
    pub(crate) mtu: u32,
    /// The bridge that it is a port of.
    pub(crate) controller: Option<u32>,
    /// Whether packets pass.
    pub(crate) is_up: bool,
    /// Whether it is a bridge.
    pub(crate) is_bridge: bool,
    /// Whether it is a tap.
    pub(crate) is_tap: bool,
    /// What has come in by it, and what has gone out.
    pub(crate) counted: [Traffic; 2],
}

/// What is counted of one way through a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Packets that were broken.
    pub errors: u64,
    /// Packets that were dropped.
    pub dropped: u64,
}

/// A network device of the host, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostDevice {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: Vec<u8>,
    /// What has come in by it.
    pub received: Traffic,
    /// What has gone out by it.
    pub sent: Traffic,
}

impl Device {
    /// Whether it is the bridge with this mark. One that nobody has marked was made by who was killed before that, if it
    /// has the address that was chosen for it.
    pub(crate) fn is_of(&self, mark: &str, mac: Option<[u8; 6]>) -> bool {
        let same_mac = mac.is_some_and(|mac| mac.as_slice() == self.mac);
        self.is_bridge && (self.alias == mark || (self.alias.is_empty() && same_mac))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bridge_is_known_by_its_mark_or_else_by_its_address() {
        let mac = [0x52, 0x54, 0, 1, 2, 3];
        let bridge = Device { alias: "m".into(), mac: mac.to_vec(), is_bridge: true, ..Device::default() };
        assert!(bridge.is_of("m", None) && !bridge.is_of("n", Some(mac)));
        let unmarked = Device { alias: String::new(), ..bridge.clone() };
        assert!(unmarked.is_of("m", Some(mac)));
        assert!(!unmarked.is_of("m", Some([0; 6])) && !unmarked.is_of("m", None));
        assert!(!Device { is_bridge: false, ..bridge }.is_of("m", None));
    }
}
