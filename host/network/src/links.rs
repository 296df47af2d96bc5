//! Network devices of the host, by netlink.

use std::future::Future;
use std::io;
use std::net::IpAddr;

use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{
    BridgeStpState, InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::{Error as Refusal, Handle, LinkBridge, LinkUnspec};
use rustix::io::Errno;

use crate::device::{Device, HostDevice, Traffic};
use crate::error::{ErrorKind, NetworkError};
use crate::plan::BridgePlan;

/// Hundredths of a second, in which the kernel counts the delay of a bridge.
const DELAY_UNITS: u32 = 100;

/// An address that a device of the host has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAddress {
    /// The device.
    pub device: String,
    /// The address.
    pub address: IpAddr,
    /// How many bits of it are the network's.
    pub prefix: u8,
}

/// How a tap is joined to what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joining<'a> {
    pub(crate) bridge: Option<&'a str>,
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) mtu: Option<u32>,
}

/// Does some work with a connection to the kernel, in the network namespace of this thread.
fn with<T, F: Future<Output = Result<T, Refusal>>>(work: impl FnOnce(Handle) -> F) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let connection = tokio::spawn(connection);
        let done = work(handle).await;
        connection.abort();
        done.map_err(refused)
    })
}

fn refused(error: Refusal) -> io::Error {
    match error {
        Refusal::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other.to_string()),
    }
}

/// Every network device of the host, by name.
///
/// # Errors
/// The kernel does not answer.
pub fn host_devices() -> Result<Vec<String>, NetworkError> {
    Ok(devices()?.into_iter().map(|device| device.name).collect())
}

/// Every address that a device of the host has.
///
/// # Errors
/// The kernel does not answer.
pub fn host_addresses() -> Result<Vec<HostAddress>, NetworkError> {
    with(|handle| async move {
        let devices = all(&handle).await?;
        let mut found = Vec::new();
        let mut addresses = handle.address().get().execute();
        while let Some(message) = addresses.try_next().await? {
            let own = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(address) => Some(*address),
                _ => None,
            });
            let shared = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Address(address) => Some(*address),
                _ => None,
            });
            let device = devices.iter().find(|device| device.index == message.header.index);
            if let (Some(address), Some(device)) = (own.or(shared), device) {
                let prefix = message.header.prefix_len;
                found.push(HostAddress { device: device.name.clone(), address, prefix });
            }
        }
        Ok(found)
    })
    .map_err(|error| NetworkError::io("list", "addresses of the host", error))
}

/// Those of the devices with these names that there are, in the network namespace of the caller, whatever `/sys` shows.
///
/// # Errors
/// The kernel does not answer.
pub fn devices_named(names: &[String]) -> Result<Vec<HostDevice>, NetworkError> {
    let found = with(|handle| async move {
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            match one(&handle, name).await {
                Err(Refusal::NetlinkError(told)) if told.raw_code() == -Errno::NODEV.raw_os_error() => {}
                other => found.push(other?),
            }
        }
        Ok(found)
    });
    let found = found.map_err(|error| NetworkError::io("list", "network devices", error))?;
    let shown =
        |Device { name, mac, counted: [received, sent], .. }| HostDevice { name, mac, received, sent };
    Ok(found.into_iter().map(shown).collect())
}

/// The device of this name; nothing when there is none.
pub(crate) fn find(name: &str) -> Result<Option<Device>, NetworkError> {
    match with(|handle| async move { one(&handle, name).await }) {
        Ok(device) => Ok(Some(device)),
        Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => Ok(None),
        Err(error) => Err(NetworkError::io("look at", name, error)),
    }
}

/// The devices that are ports of a bridge.
pub(crate) fn ports(bridge: u32) -> Result<Vec<String>, NetworkError> {
    let ports = devices()?.into_iter().filter(|device| device.controller == Some(bridge));
    Ok(ports.map(|device| device.name).collect())
}

/// Every network device of the host.
pub(crate) fn devices() -> Result<Vec<Device>, NetworkError> {
    with(|handle| async move { all(&handle).await })
        .map_err(|error| NetworkError::io("list", "network devices", error))
}

/// Every tap of the host.
pub(crate) fn taps() -> Result<Vec<Device>, NetworkError> {
    Ok(devices()?.into_iter().filter(|device| device.is_tap).collect())
}

/// Makes a bridge with its mark and addresses, or completes one that has that mark. It is not up yet.
pub(crate) fn make_bridge(plan: &BridgePlan, mark: &str) -> Result<(), NetworkError> {
    let failed = |error| NetworkError::io("make the bridge", &plan.name, error);
    let found = find(&plan.name)?;
    if found.as_ref().is_some_and(|device| !device.is_of(mark, plan.mac)) {
        return Err(NetworkError::new(
            ErrorKind::Conflict,
            "network.bridge-taken",
            format!("the host has a device '{}' already, which is none of this network", plan.name),
        )
        .about("bridge", &plan.name)
        .hint("give the network another bridge: <bridge name='…'/>")
        .hint_command("see what it is", format!("ip -d link show {}", plan.name)));
    }
    with(|handle| async move {
        if found.is_none() {
            handle.link().add(described(plan)).execute().await?;
        }
        let device = one(&handle, &plan.name).await?;
        let index = device.index;
        handle.link().change(LinkUnspec::new_with_index(index).alias(mark).build()).execute().await?;
        for (address, prefix) in &plan.addresses {
            match handle.address().add(index, *address, *prefix).execute().await {
                Err(Refusal::NetlinkError(told)) if told.raw_code() == -Errno::EXIST.raw_os_error() => {}
                other => other?,
            }
        }
        Ok(())
    })
    .map_err(failed)
}

fn described(plan: &BridgePlan) -> LinkMessage {
    let stp = if plan.stp { BridgeStpState::KernelStp } else { BridgeStpState::Disabled };
    let mut link = LinkBridge::new(&plan.name)
        .down()
        .stp_state(stp)
        .forward_delay(plan.delay_s.saturating_mul(DELAY_UNITS));
    if let Some(mtu) = plan.mtu {
        link = link.mtu(mtu);
    }
    if let Some(mac) = plan.mac {
        link = link.address(mac.to_vec());
    }
    link.build()
}

/// Lets packets pass through a device.
pub(crate) fn bring_up(name: &str) -> Result<(), NetworkError> {
    with(|handle| async move {
        let index = one(&handle, name).await?.index;
        handle.link().change(LinkUnspec::new_with_index(index).up().build()).execute().await
    })
    .map_err(|error| NetworkError::io("bring up", name, error))
}

/// Takes a bridge away; one that is gone is gone, and one that is somebody else's stays.
pub(crate) fn remove_bridge(plan: &BridgePlan, mark: &str) -> Result<(), NetworkError> {
    let Some(device) = find(&plan.name)?.filter(|device| device.is_of(mark, plan.mac)) else { return Ok(()) };
    with(|handle| async move { handle.link().del(device.index).execute().await })
        .map_err(|error| NetworkError::io("remove the bridge", &plan.name, error))
}

/// Joins a tap to its bridge, with its address and largest packet, and lets packets pass.
pub(crate) fn join(tap: &str, joining: &Joining<'_>) -> Result<(), NetworkError> {
    let bridge = joining.bridge.map(bridge).transpose()?;
    with(|handle| async move {
        let index = one(&handle, tap).await?.index;
        let mut link = LinkUnspec::new_with_index(index).up();
        if let Some(mac) = joining.mac {
            link = link.address(mac.to_vec());
        }
        // Of a smaller one the bridge would take its own from.
        if let Some(mtu) = joining.mtu.or(bridge.as_ref().map(|bridge| bridge.mtu)) {
            link = link.mtu(mtu);
        }
        if let Some(bridge) = &bridge {
            link = link.controller(bridge.index);
        }
        handle.link().change(link.build()).execute().await
    })
    .map_err(|error| {
        let failed = NetworkError::io("set up the tap device", tap, error);
        joining.bridge.into_iter().fold(failed, |failed, bridge| failed.about("bridge", bridge))
    })
}

/// The bridge of this name.
fn bridge(name: &str) -> Result<Device, NetworkError> {
    let missing = |message: String| {
        NetworkError::new(ErrorKind::NotFound, "network.no-bridge", message)
            .about("bridge", name)
            .hint_command("see which bridges there are", "ip link show type bridge")
    };
    match find(name)? {
        Some(device) if device.is_bridge => Ok(device),
        Some(_) => Err(missing(format!("the device '{name}' of this host is no bridge"))),
        None => Err(missing(format!("this host has no bridge '{name}'"))),
    }
}

async fn one(handle: &Handle, name: &str) -> Result<Device, Refusal> {
    let found = handle.link().get().match_name(name.to_owned()).execute().try_next().await?;
    found.as_ref().map(read).ok_or(Refusal::RequestFailed)
}

async fn all(handle: &Handle) -> Result<Vec<Device>, Refusal> {
    let messages: Vec<LinkMessage> = handle.link().get().execute().try_collect().await?;
    Ok(messages.iter().map(read).collect())
}

fn read(message: &LinkMessage) -> Device {
    let mut device = Device {
        index: message.header.index,
        is_up: message.header.flags.contains(LinkFlags::Up),
        ..Device::default()
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => device.name.clone_from(name),
            LinkAttribute::IfAlias(alias) => device.alias.clone_from(alias),
            LinkAttribute::Address(address) => device.mac.clone_from(address),
            LinkAttribute::Mtu(mtu) => device.mtu = *mtu,
            LinkAttribute::Controller(index) => device.controller = Some(*index),
            LinkAttribute::Stats64(stats) => {
                let (bytes, packets) = (stats.rx_bytes, stats.rx_packets);
                let received = Traffic { bytes, packets, errors: stats.rx_errors, dropped: stats.rx_dropped };
                let (bytes, packets) = (stats.tx_bytes, stats.tx_packets);
                let sent = Traffic { bytes, packets, errors: stats.tx_errors, dropped: stats.tx_dropped };
                device.counted = [received, sent];
            }
            LinkAttribute::LinkInfo(infos) => {
                device.is_bridge = infos.iter().any(|info| matches!(info, LinkInfo::Kind(InfoKind::Bridge)));
                device.is_tap = infos.iter().any(|info| matches!(info, LinkInfo::Kind(InfoKind::Tun)));
            }
            _ => {}
        }
    }
    device
}
