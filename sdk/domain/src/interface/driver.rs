//! `<driver>` of an interface.

use crate::error::XmlError;
use crate::read::Element;
use crate::virtio::VirtioOptions;

keywords! {
    /// Who moves the packets.
    InterfaceBackend { Qemu = "qemu", Vhost = "vhost", Vfio = "vfio", Kvm = "kvm" }
}
keywords! {
    /// When packets are sent.
    TxMode { Iothread = "iothread", Timer = "timer" }
}

/// How an interface is driven; none where the document is silent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InterfaceDriver {
    /// Who moves the packets.
    pub name: Option<InterfaceBackend>,
    /// When packets are sent.
    pub txmode: Option<TxMode>,
    /// Whether the host takes notifications asynchronously.
    pub ioeventfd: Option<bool>,
    /// Whether guest and host tell each other which notification they want.
    pub event_idx: Option<bool>,
    /// Number of queue pairs.
    pub queues: Option<u32>,
    /// Entries of a receive queue.
    pub rx_queue_size: Option<u32>,
    /// Entries of a send queue.
    pub tx_queue_size: Option<u32>,
    /// Receive side scaling.
    pub rss: Option<bool>,
    /// Whether the hash is told to the guest.
    pub rss_hash_report: Option<bool>,
    /// What the host does for the guest.
    pub host: Offloads,
    /// What the guest takes over.
    pub guest: Offloads,
    /// The switches that any virtio device can carry.
    pub virtio: VirtioOptions,
}

/// `<host>` and `<guest>`: work that one side leaves to the other; none where the document is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offloads {
    /// Checksums.
    pub csum: Option<bool>,
    /// Generic segmentation (host only).
    pub gso: Option<bool>,
    /// TCP segmentation over IPv4.
    pub tso4: Option<bool>,
    /// TCP segmentation over IPv6.
    pub tso6: Option<bool>,
    /// Congestion notification.
    pub ecn: Option<bool>,
    /// UDP fragmentation.
    pub ufo: Option<bool>,
    /// Merged receive buffers (host only).
    pub mrg_rxbuf: Option<bool>,
}

impl Offloads {
    fn read(side: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self {
            csum: side.on_off("csum")?,
            gso: side.on_off("gso")?,
            tso4: side.on_off("tso4")?,
            tso6: side.on_off("tso6")?,
            ecn: side.on_off("ecn")?,
            ufo: side.on_off("ufo")?,
            mrg_rxbuf: side.on_off("mrg_rxbuf")?,
        })
    }
}

impl InterfaceDriver {
    pub(super) fn read(driver: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self {
            name: driver.keyword("name")?,
            txmode: driver.keyword("txmode")?,
            ioeventfd: driver.on_off("ioeventfd")?,
            event_idx: driver.on_off("event_idx")?,
            queues: driver.number("queues")?,
            rx_queue_size: driver.number("rx_queue_size")?,
            tx_queue_size: driver.number("tx_queue_size")?,
            rss: driver.on_off("rss")?,
            rss_hash_report: driver.on_off("rss_hash_report")?,
            host: driver.maybe("host", Offloads::read)?.unwrap_or_default(),
            guest: driver.maybe("guest", Offloads::read)?.unwrap_or_default(),
            virtio: VirtioOptions::read(driver)?,
        })
    }
}
