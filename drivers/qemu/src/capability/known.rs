//! The capabilities that documents ask for.

use super::Capability;
use super::Sign::{Has, Is, Says, Twice};

const fn since(name: &'static str, major: u32, minor: u32, signs: &'static [super::Sign]) -> Capability {
    Capability { name, since: (major, minor), signs }
}

/// All that are known, by subject.
pub const KNOWN: &[Capability] = &[
    // Memory.
    since(
        "memory-backend-file",
        2,
        1,
        &[
            Is(&["cpu", "numa", "cell"], "memAccess", "shared"),
            Says(&["memoryBacking", "hugepages", "page"], "nodeset"),
            Is(&["devices", "memory"], "model", "nvdimm"),
        ],
    ),
    since("memory-backend-ram", 2, 1, &[Has(&["numatune", "memnode"])]),
    since("memory-backend-memfd", 2, 12, &[Is(&["memoryBacking", "source"], "type", "memfd")]),
    since("pc-dimm", 2, 1, &[Is(&["devices", "memory"], "model", "dimm")]),
    since("nvdimm", 2, 6, &[Is(&["devices", "memory"], "model", "nvdimm")]),
    since("virtio-pmem-pci", 4, 1, &[Is(&["devices", "memory"], "model", "virtio-pmem")]),
    since("virtio-mem-pci", 5, 1, &[Is(&["devices", "memory"], "model", "virtio-mem")]),
    since("sgx-epc", 6, 2, &[Is(&["devices", "memory"], "model", "sgx-epc")]),
    since("numa.dist", 2, 10, &[Has(&["cpu", "numa", "cell", "distances"])]),
    since("numa.hmat", 5, 0, &[Has(&["cpu", "numa", "interconnects"])]),
    since("machine.dump-guest-core", 1, 3, &[Says(&["memory"], "dumpCore")]),
    // Switches of virtio devices.
    since("virtio-packed", 4, 2, &[Says(&["devices", "*", "driver"], "packed")]),
    since("virtio-iommu-platform", 2, 9, &[Says(&["devices", "*", "driver"], "iommu")]),
    since("virtio-ats", 2, 9, &[Says(&["devices", "*", "driver"], "ats")]),
    since("virtio-page-per-vq", 2, 9, &[Says(&["devices", "*", "driver"], "page_per_vq")]),
    since("iothread", 2, 0, &[Has(&["iothreads"])]),
    // Interfaces.
    since("virtio-net.failover", 4, 2, &[Has(&["devices", "interface", "teaming"])]),
    since("virtio-net.host_mtu", 2, 9, &[Has(&["devices", "interface", "mtu"])]),
    since("virtio-net.rx_queue_size", 2, 8, &[Says(&["devices", "interface", "driver"], "rx_queue_size")]),
    since("virtio-net.tx_queue_size", 2, 10, &[Says(&["devices", "interface", "driver"], "tx_queue_size")]),
    since(
        "virtio-net.rss",
        5,
        2,
        &[
            Says(&["devices", "interface", "driver"], "rss"),
            Says(&["devices", "interface", "driver"], "rss_hash_report"),
        ],
    ),
    since("netdev.vhost-vdpa", 5, 1, &[Is(&["devices", "interface"], "type", "vdpa")]),
    // Disks.
    since(
        "rbd-encryption",
        6,
        1,
        &[
            Is(&["devices", "disk", "source", "encryption"], "engine", "librbd"),
            Is(&["devices", "disk", "encryption"], "engine", "librbd"),
        ],
    ),
    since("blockdev.nvme", 2, 12, &[Is(&["devices", "disk"], "type", "nvme")]),
    since("vhost-user-blk", 3, 0, &[Is(&["devices", "disk"], "type", "vhostuser")]),
    since("disk.rotation_rate", 2, 11, &[Says(&["devices", "disk", "target"], "rotation_rate")]),
    since("virtio-blk.queue-size", 2, 12, &[Says(&["devices", "disk", "driver"], "queue_size")]),
    since("pr-manager-helper", 3, 0, &[Has(&["devices", "disk", "source", "reservations"])]),
    // Shared memory and files.
    since("ivshmem-plain", 2, 6, &[Is(&["devices", "shmem", "model"], "type", "ivshmem-plain")]),
    since("ivshmem-doorbell", 2, 6, &[Is(&["devices", "shmem", "model"], "type", "ivshmem-doorbell")]),
    since("vhost-user-fs-device", 4, 2, &[Is(&["devices", "filesystem", "driver"], "type", "virtiofs")]),
    since("fsdev.multidevs", 4, 2, &[Says(&["devices", "filesystem"], "multidevs")]),
    since(
        "fsdev.createmode",
        2,
        9,
        &[Says(&["devices", "filesystem"], "fmode"), Says(&["devices", "filesystem"], "dmode")],
    ),
    // Power, firmware and what the guest is told.
    since("disable-s3", 1, 2, &[Has(&["pm", "suspend-to-mem"])]),
    since("disable-s4", 1, 2, &[Has(&["pm", "suspend-to-disk"])]),
    since("vmgenid", 2, 9, &[Has(&["genid"])]),
    since("vmcoreinfo", 2, 11, &[Has(&["features", "vmcoreinfo"])]),
    since("boot-menu.splash-time", 1, 7, &[Says(&["os", "bootmenu"], "timeout")]),
    since("reboot-timeout", 1, 3, &[Says(&["os", "bios"], "rebootTimeout")]),
    since("kvm-dirty-ring", 6, 1, &[Has(&["features", "kvm", "dirty-ring"])]),
    since("mch.extended-tseg-mbytes", 2, 10, &[Has(&["features", "smm", "tseg"])]),
    since("acpi-index", 6, 1, &[Says(&["devices", "*", "acpi"], "index")]),
    // Sound and pictures. libvirt hands all of `-audiodev` over from 4.2 on.
    since(
        "audiodev",
        4,
        2,
        &[
            Twice(&["devices", "audio"]),
            Is(&["devices", "audio"], "type", "jack"),
            Says(&["devices", "audio", "input"], "bufferLength"),
            Says(&["devices", "audio", "output"], "bufferLength"),
            Says(&["devices", "audio", "input"], "mixingEngine"),
            Says(&["devices", "audio", "output"], "mixingEngine"),
        ],
    ),
    since("egl-headless.rendernode", 3, 1, &[Says(&["devices", "graphics", "gl"], "rendernode")]),
    since("egl-headless", 2, 10, &[Is(&["devices", "graphics"], "type", "egl-headless")]),
    since("display-dbus", 7, 0, &[Is(&["devices", "graphics"], "type", "dbus")]),
    since("vnc-power-control", 6, 0, &[Says(&["devices", "graphics"], "powerControl")]),
    since("virtio-gpu.blob", 6, 1, &[Says(&["devices", "video", "model"], "blob")]),
    since("virtio-gpu.virgl", 2, 5, &[Is(&["devices", "video", "model", "acceleration"], "accel3d", "yes")]),
    since("bochs-display", 3, 0, &[Is(&["devices", "video", "model"], "type", "bochs")]),
    since(
        "ramfb",
        2,
        12,
        &[Is(&["devices", "video", "model"], "type", "ramfb"), Is(&["devices", "hostdev"], "ramfb", "on")],
    ),
    // Other devices.
    since("rng-builtin", 4, 2, &[Is(&["devices", "rng", "backend"], "model", "builtin")]),
    since("intel-iommu", 2, 2, &[Is(&["devices", "iommu"], "model", "intel")]),
    since("intel-iommu.intremap", 2, 5, &[Says(&["devices", "iommu", "driver"], "intremap")]),
    since("intel-iommu.caching-mode", 2, 9, &[Says(&["devices", "iommu", "driver"], "caching_mode")]),
    since("intel-iommu.eim", 2, 7, &[Says(&["devices", "iommu", "driver"], "eim")]),
    since("intel-iommu.device-iotlb", 2, 8, &[Says(&["devices", "iommu", "driver"], "iotlb")]),
    since("intel-iommu.aw-bits", 2, 12, &[Says(&["devices", "iommu", "driver"], "aw_bits")]),
    since("virtio-iommu.boot-bypass", 7, 0, &[Is(&["devices", "iommu"], "model", "virtio")]),
    since("vhost-vsock", 2, 8, &[Has(&["devices", "vsock"])]),
    since("tpm-emulator", 2, 11, &[Is(&["devices", "tpm", "backend"], "type", "emulator")]),
    since("tpm-crb", 2, 12, &[Is(&["devices", "tpm"], "model", "tpm-crb")]),
    since("usb-host.guest-resets-all", 6, 0, &[Says(&["devices", "hostdev", "source"], "guestReset")]),
    since("pcie-root-port.hotplug", 5, 0, &[Says(&["devices", "controller", "target"], "hotplug")]),
    since(
        "virtio-balloon.free-page-reporting",
        5,
        1,
        &[Says(&["devices", "memballoon"], "freePageReporting")],
    ),
    since("virtio-balloon.deflate-on-oom", 2, 1, &[Says(&["devices", "memballoon"], "autodeflate")]),
    // Character devices.
    since("chardev.logfile", 2, 6, &[Has(&["devices", "*", "log"])]),
    since("chardev.reconnect", 2, 0, &[Has(&["devices", "*", "source", "reconnect"])]),
    since("chardev.qemu-vdagent", 6, 1, &[Is(&["devices", "channel"], "type", "qemu-vdagent")]),
    since("input-linux", 2, 6, &[Is(&["devices", "input"], "type", "evdev")]),
];
