//! What an interface of a guest is connected to, and the tap device that connects it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use hostler_domain::network::is_device_name;
use hostler_domain::of_a_run::is_system_tap;

use crate::error::{ErrorKind, NetworkError};
use crate::forward::Forward;
use crate::links::{self, Joining};
use crate::tap;

/// What tap devices are called that are given no name: the first number that is free.
const NAMES: &str = "vnet%d";
/// Most queues of a tap device.
const QUEUES_MAX: u32 = 256;
/// First byte of a tap's own address: larger than that of any guest's, so that no bridge takes its address from it.
const FIRST_BYTE: u8 = 0xfe;

/// What one interface of a guest is connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The bridge; none for a device that stands alone.
    pub bridge: Option<String>,
    /// The name that its tap is to have; the system chooses one where none is given.
    pub device: Option<String>,
    /// Whether the tap is there already, and only used.
    pub existing: bool,
    /// The guest's address.
    pub mac: Option<[u8; 6]>,
    /// Largest packet; that of the bridge where none is given.
    pub mtu: Option<u32>,
    /// How many queues it has.
    pub queues: u32,
}

/// What the interfaces of a document are connected to, by their positions among its interfaces, and the ports of the host that
/// lead to them. Those that need nothing of the host are not in it.
#[derive(Clone, Debug, Default)]
pub struct Attachments {
    attached: Vec<(usize, Result<Attachment, Arc<NetworkError>>)>,
    /// By the positions of interfaces, and of forwards in them.
    forwards: Vec<(usize, usize, Result<Forward, Arc<NetworkError>>)>,
}

impl Attachments {
    /// Notes what an interface is connected to, or why it cannot be: only who wants it is told.
    pub fn insert(&mut self, position: usize, found: Result<Attachment, NetworkError>) {
        self.attached.push((position, found.map_err(Arc::new)));
    }

    /// Notes which ports a forward of an interface has, or why it cannot have them: only who wants them is told.
    pub fn insert_forward(&mut self, interface: usize, forward: usize, found: Result<Forward, NetworkError>) {
        self.forwards.push((interface, forward, found.map_err(Arc::new)));
    }

    /// The ports of the forward at this position of the interface at that one.
    #[must_use]
    pub fn forward(&self, interface: usize, forward: usize) -> Option<&Result<Forward, Arc<NetworkError>>> {
        let known = self.forwards.iter().find(|known| (known.0, known.1) == (interface, forward));
        known.map(|(_, _, found)| found)
    }

    /// What the interface at this position is connected to.
    #[must_use]
    pub fn get(&self, position: usize) -> Option<&Result<Attachment, Arc<NetworkError>>> {
        self.attached.iter().find(|(known, _)| *known == position).map(|(_, found)| found)
    }
}

/// A tap device: there for as long as somebody has one of its descriptors.
#[derive(Debug)]
pub struct Taps {
    /// Its name.
    pub name: String,
    /// A descriptor for each of its queues.
    pub fds: Vec<OwnedFd>,
}

/// Makes the tap device of an interface and joins it to its bridge, or takes up the one that is there.
///
/// # Errors
/// A bridge that is not there, a device that is, or that this user may not make network devices. Nothing is left then.
pub fn connect(attachment: &Attachment) -> Result<Taps, NetworkError> {
    let queues = attachment.queues.clamp(1, QUEUES_MAX);
    let given = attachment.device.as_deref();
    if let Some(name) = given {
        let hint = "a name has 1 to 15 letters, digits, '-', '_' or '.'; leave <target dev> out to get one";
        require_device_name(name, hint)?;
    }
    if attachment.existing {
        return existing(given, queues);
    }
    let given = given.filter(|name| !is_system_tap(name));
    if let Some(name) = given
        && links::find(name)?.is_some()
    {
        let message = format!("the host has a network device '{name}' already");
        return Err(NetworkError::new(ErrorKind::Conflict, "network.device-exists", message)
            .about("device", name)
            .hint("give the interface another <target dev>, or leave it out")
            .hint(
                "<target dev='…' managed='no'/> of an interface of type 'ethernet' uses a tap that is there",
            ));
    }
    let name = given.unwrap_or(NAMES);
    let (name, fds) = tap::open_tap(name, queues).map_err(|error| unopened(name, error))?;
    let mac = attachment.mac.map(address_of_tap);
    let joining = Joining { bridge: attachment.bridge.as_deref(), mac, mtu: attachment.mtu };
    // The tap goes with its descriptors when that fails.
    links::join(&name, &joining)?;
    Ok(Taps { name, fds })
}

/// Refuses what is no name for a network device.
pub(crate) fn require_device_name(name: &str, hint: &str) -> Result<(), NetworkError> {
    if is_device_name(name) {
        return Ok(());
    }
    let message = format!("'{}' is no name for a network device", name.escape_debug());
    Err(NetworkError::new(ErrorKind::Invalid, "network.device-name", message).hint(hint))
}

/// The address of the tap of a guest that has this one.
pub(crate) fn address_of_tap([_, a, b, c, d, e]: [u8; 6]) -> [u8; 6] {
    [FIRST_BYTE, a, b, c, d, e]
}

/// Joins the taps of guests with these addresses to a bridge, those that are on none: the bridge that they were on was taken
/// away. Their names. One of several taps with the same address is left alone, for whose it is cannot be told.
///
/// # Errors
/// The bridge is not there, or the kernel refuses; those that were joined stay joined.
pub fn rejoin(bridge: &str, macs: &[[u8; 6]]) -> Result<Vec<String>, NetworkError> {
    let free: Vec<_> = links::taps()?.into_iter().filter(|tap| tap.controller.is_none()).collect();
    let mut joined = Vec::new();
    for mac in macs {
        let wanted = address_of_tap(*mac);
        let mut own = free.iter().filter(|tap| tap.mac == wanted);
        let (Some(tap), None) = (own.next(), own.next()) else { continue };
        links::join(&tap.name, &Joining { bridge: Some(bridge), mac: None, mtu: Some(tap.mtu) })?;
        joined.push(tap.name.clone());
    }
    Ok(joined)
}

/// A tap that somebody else has made, as it is: its settings are theirs.
fn existing(name: Option<&str>, queues: u32) -> Result<Taps, NetworkError> {
    let Some(name) = name else {
        let message = "an interface that uses a tap device of the host does not say which";
        return Err(NetworkError::new(ErrorKind::Invalid, "network.device-name", message)
            .hint("write <target dev='NAME' managed='no'/>"));
    };
    match links::find(name)? {
        Some(device) if device.is_tap => {}
        found => {
            let what = if found.is_some() { "is no tap" } else { "is not there" };
            let message = format!("the network device '{name}' of this host {what}");
            return Err(NetworkError::new(ErrorKind::NotFound, "network.no-device", message)
                .about("device", name)
                .hint_command("make it", format!("ip tuntap add {name} mode tap")));
        }
    }
    let (name, fds) = tap::open_tap(name, queues).map_err(|error| unopened(name, error))?;
    Ok(Taps { name, fds })
}

fn unopened(name: &str, error: std::io::Error) -> NetworkError {
    let code = error.raw_os_error();
    let failed = NetworkError::io("open the tap device", name, error);
    if code == Some(rustix::io::Errno::BUSY.raw_os_error()) {
        return failed.about("device", name).hint("another program has it: a tap is one guest's");
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_or_no_device_is_refused_before_anything_is_made() {
        let code = |attachment: &Attachment| connect(attachment).unwrap_err().code();
        let named = |name: &str, existing| Attachment {
            device: Some(name.into()),
            existing,
            ..Attachment::default()
        };
        assert_eq!(code(&named("a%d", false)), "network.device-name");
        assert_eq!(code(&named("../x", true)), "network.device-name");
        assert_eq!(code(&Attachment { existing: true, ..Attachment::default() }), "network.device-name");
        assert_eq!(code(&named("lo", true)), "network.no-device");
        assert_eq!(code(&named("lo", false)), "network.device-exists");
    }
}
