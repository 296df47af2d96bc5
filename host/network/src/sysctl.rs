//! Settings of the kernel's network stack, in the network namespace of the caller.

use std::io;

use crate::error::NetworkError;

/// Lets the host forward packets. It stays so: others may rely on it by the time that a network stops.
pub(crate) fn forward(v4: bool, v6: bool) -> Result<(), NetworkError> {
    if v4 {
        set("net/ipv4/ip_forward", "1")?;
    }
    if v6 {
        set("net/ipv6/conf/all/forwarding", "1")?;
    }
    Ok(())
}

/// Whether a device has addresses of IPv6: without any of the network's own the host takes none on it, so that guests
/// reach it at no address that nobody gave it. A kernel without IPv6 has nothing to be set.
pub(crate) fn take_ipv6(device: &str, wanted: bool) -> Result<(), NetworkError> {
    let each = [("disable_ipv6", if wanted { "0" } else { "1" }), ("accept_ra", "0")];
    for (setting, value) in each {
        match set(&format!("net/ipv6/conf/{device}/{setting}"), value) {
            Err(error) if error.code() == "network.missing" => {}
            done => done?,
        }
    }
    Ok(())
}

/// Written only where it is something else: a host may have it so and let nobody write.
fn set(setting: &str, value: &str) -> Result<(), NetworkError> {
    let path = format!("/proc/sys/{setting}");
    let done = || -> io::Result<()> {
        if std::fs::read_to_string(&path)?.trim() != value {
            std::fs::write(&path, value)?;
        }
        Ok(())
    };
    done().map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::ROFS.raw_os_error() => {
            NetworkError::io("set", &path, io::Error::from(io::ErrorKind::PermissionDenied)).hint(
                "the settings of the kernel are read-only here: start hostler outside of that container",
            )
        }
        _ => NetworkError::io("set", &path, error),
    })
}
