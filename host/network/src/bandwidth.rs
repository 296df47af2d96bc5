//! How much may go through the device of an interface or a bridge, each way, kept by the kernel (tc(8)).
//!
//! What goes to the guest is queued at its device. What comes from it is led through a device of its own first (`ifb`), and
//! queued there: a device has a queue in one direction only. That device is found by the number of the guest's, which is given to
//! no other while the system runs.

use std::process::{Command, Stdio};

use hostler_domain::interface::{Bandwidth, Rate};

use crate::device::Device;
use crate::error::{ErrorKind, NetworkError};
use crate::firewall::{program, said};
use crate::links;

/// How the names begin of devices that what comes from guests is led through.
const LED_THROUGH: &str = "hifb";
/// The queue that keeps a rate, and the one that takes what comes in.
const QUEUE: &str = "htb";
const INGRESS: &str = "ingress";
/// Least burst, in bytes: two of the largest packets that a tap takes.
const BURST_MIN: u64 = 128 << 10;

/// Has a device of a guest keep to these rates from now on; a way without one is free.
///
/// # Errors
/// A kernel without the queues or the devices for it; [`ErrorKind::Denied`] for who may not set up networks. What was set before
/// may be gone then.
pub fn limit(device: &str, bandwidth: &Bandwidth) -> Result<(), NetworkError> {
    let devices = links::devices()?;
    sweep(&devices)?;
    match bandwidth.inbound {
        Some(rate) => shape(device, rate)?,
        None if has_queue(device, QUEUE)? => tc(&["qdisc", "del", "dev", device, "root"])?,
        None => {}
    }
    let missing = || {
        let message = format!("the host has no network device '{device}'");
        NetworkError::new(ErrorKind::NotFound, "network.missing", message).about("device", device)
    };
    let find = |name: &str| devices.iter().find(|device| device.name == name);
    let led_through = format!("{LED_THROUGH}{}", find(device).ok_or_else(missing)?.index);
    let there = find(&led_through).is_some();
    match bandwidth.outbound {
        Some(rate) => {
            if !there {
                lead_through(device, &led_through).inspect_err(|_| {
                    // What cannot be undone either is swept at the next limit.
                    remove(&led_through).ok();
                })?;
            }
            shape(&led_through, rate)
        }
        None => {
            if has_queue(device, INGRESS)? {
                tc(&["qdisc", "del", "dev", device, INGRESS])?;
            }
            if there { remove(&led_through) } else { Ok(()) }
        }
    }
}

/// Queues what goes out of a device.
fn shape(device: &str, rate: Rate) -> Result<(), NetworkError> {
    // One that is there takes another rate, and no other settings.
    if !has_queue(device, QUEUE)? {
        tc(&["qdisc", "replace", "dev", device, "root", "handle", "1:", QUEUE, "default", "1"])?;
    }
    let words = class(device, rate);
    tc(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

fn class(device: &str, rate: Rate) -> Vec<String> {
    let bytes = |kilobytes: u32| format!("{}bps", u64::from(kilobytes) * 1_000);
    let burst = rate.burst.map_or(0, |burst| u64::from(burst) << 10).max(BURST_MIN);
    let peak = rate.peak.unwrap_or(rate.average).max(rate.average);
    let words = ["class", "replace", "dev", device, "parent", "1:", "classid", "1:1", QUEUE];
    let mut words: Vec<String> = words.map(str::to_owned).to_vec();
    words.extend(["rate".to_owned(), bytes(rate.average), "ceil".to_owned(), bytes(peak)]);
    words.extend(["burst".to_owned(), format!("{burst}b")]);
    words
}

/// Leads all that comes in by a device through another one.
fn lead_through(device: &str, other: &str) -> Result<(), NetworkError> {
    ip(&["link", "add", "name", other, "type", "ifb"])?;
    ip(&["link", "set", "dev", other, "up"])?;
    tc(&["qdisc", "replace", "dev", device, "handle", "ffff:", INGRESS])?;
    tc(&[
        "filter", "add", "dev", device, "parent", "ffff:", "protocol", "all", "u32", "match", "u32", "0",
        "0", "action", "mirred", "egress", "redirect", "dev", other,
    ])
}

/// Removes the devices that what came from guests was led through which are gone.
fn sweep(devices: &[Device]) -> Result<(), NetworkError> {
    let is_left = |name: &str| {
        let of = name.strip_prefix(LED_THROUGH).and_then(|of| of.parse::<u32>().ok());
        of.is_some_and(|of| devices.iter().all(|device| device.index != of))
    };
    devices.iter().filter(|device| is_left(&device.name)).try_for_each(|device| remove(&device.name))
}

fn remove(device: &str) -> Result<(), NetworkError> {
    let removed = ip(&["link", "del", "dev", device]);
    // Somebody else may have swept it.
    if removed.is_err() && links::find(device)?.is_none() { Ok(()) } else { removed }
}

fn has_queue(device: &str, kind: &str) -> Result<bool, NetworkError> {
    let shown = run("tc", &["qdisc", "show", "dev", device])?;
    Ok(shown.lines().any(|line| line.split_whitespace().nth(1) == Some(kind)))
}

fn tc(words: &[&str]) -> Result<(), NetworkError> {
    run("tc", words).map(drop)
}

fn ip(words: &[&str]) -> Result<(), NetworkError> {
    run("ip", words).map(drop)
}

/// Runs one of iproute2's programs; what it says.
fn run(name: &str, words: &[&str]) -> Result<String, NetworkError> {
    let output = Command::new(program(name, "iproute2")?)
        .args(words)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| NetworkError::io("run", name, error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = said(&output.stderr);
    let denied = said.contains("Operation not permitted");
    let kind = if denied { ErrorKind::Denied } else { ErrorKind::Unsupported };
    let message = format!("the bandwidth cannot be limited: '{name} {}' says: {said}", words.join(" "));
    let error = NetworkError::new(kind, "network.bandwidth", message);
    Err(match kind {
        ErrorKind::Denied => error.hint("networks of the host are root's to change: run hostler as root"),
        _ => error.hint(
            "the kernel needs the queue 'htb', and for what comes from guests 'ingress', 'u32', 'mirred' and 'ifb'; \
             else take <bandwidth> out of the document",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_said_in_bytes() {
        let rate = Rate { average: 1_000, peak: Some(5_000), burst: Some(512) };
        let said = class("vnet0", rate).join(" ");
        let rest = "rate 1000000bps ceil 5000000bps burst 524288b";
        assert_eq!(said, format!("class replace dev vnet0 parent 1: classid 1:1 htb {rest}"));
        let plain = class("vnet0", Rate { average: 7, peak: Some(3), burst: None }).join(" ");
        assert!(plain.ends_with("rate 7000bps ceil 7000bps burst 131072b"), "{plain}");
    }

    #[test]
    fn device_that_is_not_there_is_named() {
        let error = limit("no-such-device", &Bandwidth::default()).unwrap_err();
        assert!(error.to_string().contains("no-such-device"), "{error}");
    }
}
