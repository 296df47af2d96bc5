//! What all virtio devices have in common.

use hostler_sdk::Value;
use hostler_sdk::domain::address::Address;
use hostler_sdk::domain::device_info::DeviceInfo;
use hostler_sdk::domain::virtio::VirtioOptions;

use super::builder::set_some;

/// The device's name in QEMU: the kind, the transport, and which versions of virtio it speaks.
pub(super) fn driver(kind: &str, info: &DeviceInfo, model: Option<&str>) -> String {
    let transport = if matches!(info.address, Some(Address::VirtioMmio)) { "device" } else { "pci" };
    let generation = match model {
        Some(model) if model.ends_with("virtio-non-transitional") => "-non-transitional",
        Some(model) if model.ends_with("virtio-transitional") => "-transitional",
        _ => "",
    };
    format!("{kind}-{transport}{generation}")
}

/// A new device of this kind, with the switches that any virtio device can carry.
pub(super) fn device(kind: &str, info: &DeviceInfo, model: Option<&str>, options: &VirtioOptions) -> Value {
    let mut value = Value::mapping().with("driver", driver(kind, info, model));
    add_options(&mut value, options);
    value
}

/// Adds the switches that any virtio device can carry.
pub(super) fn add_options(value: &mut Value, options: &VirtioOptions) {
    set_some(value, "iommu_platform", options.iommu);
    set_some(value, "ats", options.ats);
    set_some(value, "packed", options.packed);
    set_some(value, "page-per-vq", options.page_per_vq);
}
