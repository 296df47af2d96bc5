//! Telling the service manager how far this is (sd_notify(3)).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The variable with the address that is told.
const ADDRESS: &str = "NOTIFY_SOCKET";

/// That clients can connect.
pub(crate) const READY: &str = "READY=1";
/// That this is about to end.
pub(crate) const STOPPING: &str = "STOPPING=1";

/// Tells that settings are read again, as of now; READY is to follow.
pub(crate) fn tell_reloading() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
}

/// Tells it, if there is anybody to tell. That nobody listens keeps nobody from serving.
pub(crate) fn tell(state: &str) {
    let Some(address) = std::env::var_os(ADDRESS) else { return };
    if let Err(error) = send(&address, state) {
        tracing::warn!(%error, "the service manager cannot be told of {state}");
    }
}

fn send(address: &OsStr, state: &str) -> io::Result<()> {
    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(address)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_comes_as_one_message_whatever_kind_of_address_it_is() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("notify");
        let name = format!("@hostler-notify-{}", std::process::id());
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap()).unwrap();
        for (address, socket) in [(path.as_os_str(), by_path), (OsStr::new(&name), by_name)] {
            send(address, READY).unwrap();
            let mut message = [0; 32];
            let length = socket.recv(&mut message).unwrap();
            assert_eq!(&message[..length], READY.as_bytes());
        }
    }
}
