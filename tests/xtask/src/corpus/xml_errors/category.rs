//! What kind of reason each of our codes stands for, in the words of the corpus.
//!
//! The corpus was sorted by libvirt's sentences, ours are sorted by subject: where the two divide things in another
//! way, a code stands for more than one category.

const SYNTAX: &str = "xml-syntax-or-value";
const OTHER: &str = "other-semantic";
const NUMA: &str = "memory-numa";
const PCI: &str = "pci-address";
const CONFLICT: &str = "address-conflict";
const USB: &str = "usb-topology";
const MACHINE: &str = "machine-or-arch";
const CAPABILITY: &str = "capability-missing";

/// The categories of a code, for an element at this path; none for a code that refuses no document.
pub(super) fn of(code: &str, element: &str) -> &'static [&'static str] {
    match code.split_once('.') {
        Some(("xml", kind)) => of_model(kind, element),
        Some(("qemu", rule)) => of_driver(rule, element),
        _ => &[],
    }
}

fn is_numa(element: &str) -> bool {
    ["/numa", "/memoryBacking"].iter().any(|part| element.contains(part))
}

/// The document model: what a value may be, and what contradicts itself whatever the hypervisor.
fn of_model(kind: &str, element: &str) -> &'static [&'static str] {
    let is_disk = element.contains("/disk");
    match kind {
        "only-one" => &["limit-one"],
        // Names, places and the order in which devices are booted from.
        "duplicate" => &[CONFLICT, OTHER],
        "conflict" if is_disk && !element.ends_with("/boot") => &["disk", OTHER],
        "conflict" if is_numa(element) => &[NUMA],
        "conflict" => &[OTHER],
        _ if element.contains("/address") => &[PCI, SYNTAX],
        _ if is_numa(element) => &[SYNTAX, NUMA],
        "out-of-range" => &[SYNTAX, OTHER],
        _ => &[SYNTAX],
    }
}

/// The driver: by the first word of the rule, except where the corpus goes by something else.
fn of_driver(rule: &str, element: &str) -> &'static [&'static str] {
    let is_controller = element.contains("/controller");
    match rule {
        "arch" | "arch-unsupported" | "capability-missing" => return &[CAPABILITY],
        "only-one" => return &["limit-one"],
        "address-in-use" => return &[PCI, CONFLICT, USB],
        "address-no-bus" | "address-no-port" => return &[PCI, USB],
        "address-type" if element.contains("/disk") => return &["disk"],
        "address-type" if element.contains("/hostdev") => return &[OTHER],
        "numa-cell" if is_controller => return &[PCI],
        "controller-model" | "graphics-pair" => return &[MACHINE, OTHER],
        // How many ports a model has is its own business, how they are reached is the topology's.
        "usb-ports" => return &[OTHER, USB],
        "controller-duplicate" => return &[CONFLICT],
        "cpu-vectors" | "cpu-plugging" => return &["cpu", OTHER],
        _ => {}
    }
    match rule.split_once('-').map_or(rule, |(first, _)| first) {
        "machine" => &[MACHINE],
        "address" | "pci" | "bus" => &[PCI],
        "usb" => &[USB],
        "storage" | "disk" | "iotune" | "target" => &["disk"],
        "numa" | "memory" | "nodeset" => &[NUMA],
        "cpu" | "cpuset" => &["cpu"],
        "net" | "interface" => &["net"],
        _ => &[OTHER],
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_code_stands_for_what_its_subject_is() {
        assert_eq!(of("qemu.machine-tseg", "domain/features"), ["machine-or-arch"]);
        assert_eq!(of("qemu.address-type", "domain/devices/disk[2]"), ["disk"]);
        assert_eq!(of("qemu.address-type", "domain/devices/iommu"), ["pci-address"]);
        assert_eq!(of("xml.only-one", "domain/devices/tpm[2]"), ["limit-one"]);
        assert_eq!(of("xml.unknown-value", "domain/features/gic"), ["xml-syntax-or-value"]);
        assert!(of("image.missing", "").is_empty());
    }
}
