//! The recorded QEMU, made from the one here: what it did not have is taken away from it.
//!
//! A case that depends on a version was recorded with the capabilities of an old QEMU, or with a list made up for it.
//! The document gets a `<qemu:del>` for everything that is known and was not there.

use super::Case;
use anyhow::{Context, Result};
use hostler_driver_qemu::capability::{Capability, KNOWN};
use std::fs;

/// What libvirt's tests call a capability in the lists that they make up; nothing else that is known is in one.
const FLAGS: [(&str, &str); 20] = [
    ("QEMU_CAPS_OBJECT_MEMORY_FILE", "memory-backend-file"),
    ("QEMU_CAPS_OBJECT_MEMORY_RAM", "memory-backend-ram"),
    ("QEMU_CAPS_OBJECT_MEMORY_MEMFD", "memory-backend-memfd"),
    ("QEMU_CAPS_DEVICE_PC_DIMM", "pc-dimm"),
    ("QEMU_CAPS_DEVICE_NVDIMM", "nvdimm"),
    ("QEMU_CAPS_OBJECT_IOTHREAD", "iothread"),
    ("QEMU_CAPS_VIRTIO_PACKED_QUEUES", "virtio-packed"),
    ("QEMU_CAPS_VIRTIO_PCI_IOMMU_PLATFORM", "virtio-iommu-platform"),
    ("QEMU_CAPS_VIRTIO_PCI_ATS", "virtio-ats"),
    ("QEMU_CAPS_VIRTIO_NET_FAILOVER", "virtio-net.failover"),
    ("QEMU_CAPS_VIRTIO_NET_HOST_MTU", "virtio-net.host_mtu"),
    ("QEMU_CAPS_VIRTIO_NET_RX_QUEUE_SIZE", "virtio-net.rx_queue_size"),
    ("QEMU_CAPS_VIRTIO_NET_TX_QUEUE_SIZE", "virtio-net.tx_queue_size"),
    ("QEMU_CAPS_DEVICE_IVSHMEM_PLAIN", "ivshmem-plain"),
    ("QEMU_CAPS_DEVICE_IVSHMEM_DOORBELL", "ivshmem-doorbell"),
    ("QEMU_CAPS_VIRTIO_GPU_VIRGL", "virtio-gpu.virgl"),
    ("QEMU_CAPS_CHARDEV_RECONNECT", "chardev.reconnect"),
    ("QEMU_CAPS_CHARDEV_LOGFILE", "chardev.logfile"),
    ("QEMU_CAPS_DEVICE_INTEL_IOMMU", "intel-iommu"),
    ("QEMU_CAPS_DEVICE_VHOST_VSOCK", "vhost-vsock"),
];

/// The document of a case, for a QEMU like the recorded one.
///
/// # Errors
/// It cannot be read, or is no domain.
pub(super) fn document(case: &Case) -> Result<String> {
    let text = fs::read_to_string(&case.document)
        .with_context(|| format!("cannot read {}", case.document.display()))?;
    let absent = absent(case);
    if absent.is_empty() {
        return Ok(text);
    }
    let (before, after) = text.rsplit_once("</domain>").context("the document ends no domain")?;
    let deleted: String = absent.iter().map(|name| format!("<qemu:del capability='{name}'/>")).collect();
    // Behind everything else, so that every place in the document stays the same.
    Ok(format!(
        "{before}<qemu:capabilities xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>{deleted}</qemu:capabilities></domain>{after}"
    ))
}

fn absent(case: &Case) -> Vec<&'static str> {
    let recorded = &case.recorded;
    if !recorded.version_dependent {
        return Vec::new();
    }
    let listed = |known: &Capability| {
        let flag = FLAGS.iter().find(|(_, name)| *name == known.name).map(|(flag, _)| *flag);
        flag.is_some_and(|flag| recorded.fake_caps.iter().any(|listed| listed == flag))
    };
    let lacks = |known: &&Capability| match version(&recorded.caps) {
        Some(version) => known.since > version,
        None => recorded.caps == "fake list" && !listed(known),
    };
    KNOWN.iter().filter(lacks).map(|known| known.name).collect()
}

fn version(caps: &str) -> Option<(u32, u32)> {
    let mut parts = caps.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{FLAGS, KNOWN, version};

    #[test]
    fn flags_name_what_is_known() {
        for (flag, name) in FLAGS {
            assert!(KNOWN.iter().any(|known| known.name == name), "{flag} {name}");
        }
        assert_eq!(version("4.1.0"), Some((4, 1)));
        assert_eq!(version("latest"), None);
    }
}
