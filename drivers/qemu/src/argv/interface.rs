//! Network interfaces.

use hostler_sdk::domain::interface::{Interface, InterfaceSource, Offloads, TxMode};
use hostler_sdk::{Error, Value};

use super::builder::{Builder, set_some};
use super::{netdev, virtio};

/// All interfaces, each after its back end.
pub(super) fn interfaces(builder: &mut Builder<'_>) -> Result<(), Error> {
    for interface in &builder.domain.devices.interfaces {
        if netdev::is_host_device(builder, interface) {
            continue;
        }
        one(builder, interface)?;
    }
    Ok(())
}

/// One interface, after its back end.
///
/// # Errors
/// A back end that this host does not offer; an address that is not there.
pub(super) fn one(builder: &mut Builder<'_>, interface: &Interface) -> Result<(), Error> {
    let id = format!("host{}", builder.id(interface.node)?);
    let back_end = netdev::back_end(builder, interface, &id)?;
    builder.netdev(back_end);
    let device = device(builder, interface, &id)?;
    builder.device(interface.node, device);
    Ok(())
}

fn device(builder: &Builder<'_>, interface: &Interface, netdev: &str) -> Result<Value, Error> {
    let model = interface.model.as_deref().unwrap_or("rtl8139");
    let is_virtio = matches!(model, "virtio" | "virtio-transitional" | "virtio-non-transitional");
    let mut value = if is_virtio {
        virtio_net(interface, model)
    } else {
        // Any other model is a device of that name; the host's policy knows which there are.
        Value::mapping().with("driver", model)
    };
    set_some(&mut value, "host_mtu", interface.mtu.filter(|_| is_virtio));
    set_some(&mut value, "failover", interface.teaming.as_ref().and_then(is_standby));
    value.set("netdev", netdev);
    value.set("id", builder.id(interface.node)?);
    set_some(&mut value, "mac", interface.mac.as_ref().map(ToString::to_string));
    set_some(&mut value, "bootindex", builder.boot_index(interface.node, &interface.info));
    builder.place(&mut value, interface.node, &interface.info)?;
    set_some(&mut value, "mtu", interface.mtu.filter(|_| model == "vmxnet3"));
    Ok(value)
}

fn is_standby(teaming: &hostler_sdk::domain::interface::Teaming) -> Option<bool> {
    matches!(teaming, hostler_sdk::domain::interface::Teaming::Persistent).then_some(true)
}

fn virtio_net(interface: &Interface, model: &str) -> Value {
    let driver = &interface.driver;
    let mut value = virtio::device("virtio-net", &interface.info, Some(model), &driver.virtio);
    let send = driver.txmode.map(|mode| if mode == TxMode::Iothread { "bh" } else { "timer" });
    set_some(&mut value, "tx", send);
    set_some(&mut value, "ioeventfd", driver.ioeventfd);
    set_some(&mut value, "event_idx", driver.event_idx);
    add_offloads(&mut value, &driver.host, "host_", "");
    set_some(&mut value, "mrg_rxbuf", driver.host.mrg_rxbuf);
    add_offloads(&mut value, &driver.guest, "guest_", "guest_");
    let user = matches!(interface.source, InterfaceSource::User { .. });
    if let Some(queues) = driver.queues.filter(|queues| *queues > 1 && !user) {
        value.set("mq", true);
        // One for each direction of each queue, one for control, one for changes of the configuration.
        value.set("vectors", queues.saturating_mul(2).saturating_add(2));
    }
    set_some(&mut value, "rx_queue_size", driver.rx_queue_size);
    set_some(&mut value, "tx_queue_size", driver.tx_queue_size);
    set_some(&mut value, "rss", driver.rss);
    set_some(&mut value, "hash", driver.rss_hash_report);
    value
}

/// Checksums and segmentation have no prefix where it is the host that does them.
fn add_offloads(value: &mut Value, offloads: &Offloads, prefix: &str, general: &str) {
    set_some(value, &format!("{general}csum"), offloads.csum);
    if general.is_empty() {
        set_some(value, "gso", offloads.gso);
    }
    for (name, state) in
        [("tso4", offloads.tso4), ("tso6", offloads.tso6), ("ecn", offloads.ecn), ("ufo", offloads.ufo)]
    {
        set_some(value, &format!("{prefix}{name}"), state);
    }
}
