//! Network devices.

use std::path::Path;

use hostler_domain::Fragment;

use super::Found;
use super::sysfs::{devices, fact, link, number, plain};

/// What the kernel calls Ethernet.
const ETHERNET: u64 = 1;

pub(super) fn found(sys: &Path) -> Vec<Found> {
    let all = devices(&sys.join("class/net"));
    // Taps are of guests that run here: they come and go with them.
    let all = all.into_iter().filter(|(_, path)| !path.join("tun_flags").exists());
    all.map(|(name, path)| one(&name, &path)).collect()
}

fn one(name: &str, path: &Path) -> Found {
    let address = fact(path, "address").unwrap_or_default();
    let state = fact(path, "operstate").unwrap_or_else(|| "unknown".to_owned());
    let speed = number(path, "speed").filter(|speed| *speed > 0 && state == "up");
    let link_state = Fragment::new("link").maybe_attribute("speed", speed).attribute("state", state);
    let ethernet = (number(path, "type") == Some(ETHERNET))
        .then(|| Fragment::new("capability").attribute("type", "80203"));
    Found {
        name: format!("net_{}_{}", plain(name), plain(&address)),
        path: path.to_owned(),
        driver: link(path, "device/driver"),
        node: None,
        kind: "net",
        capability: Fragment::new("capability")
            .attribute("type", "net")
            .child(Fragment::new("interface").text(name))
            .child(Fragment::new("address").text(address))
            .child(link_state)
            .maybe_child(ethernet),
    }
}
