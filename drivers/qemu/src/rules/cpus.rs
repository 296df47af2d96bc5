//! Processors: topology, plugging and modes.

use hostler_sdk::domain::cpu::{CacheSource, CpuMode, FeaturePolicy, PhysicalBitsMode};

use super::{Broken, Rule, Subject, broken};
use crate::machine::MachineKind;

pub(super) const RULES: &[Rule] =
    &[counts, topology, plugging, orders, address_width, caches, migration, vector_lengths];

/// Most processors of a machine type, and from how many on interrupts need more than eight bits for a processor.
const PC_PROCESSORS: u32 = 255;
const Q35_PROCESSORS: u32 = 288;

fn counts(subject: &Subject<'_>) -> Option<Broken> {
    let count = subject.domain.vcpus.maximum;
    let most = match subject.machine.kind {
        MachineKind::I440fx => PC_PROCESSORS,
        MachineKind::Q35 => Q35_PROCESSORS,
        _ => return None,
    };
    let node = subject.element(&["vcpu"]);
    if count > most {
        let what = format!("machine type '{}' has {most} processors at most", subject.machine_name);
        return broken(node, "qemu.cpu-count", what, "lower <vcpu>");
    }
    let wide = subject.domain.devices.iommu.as_ref().is_some_and(|iommu| iommu.eim == Some(true));
    (count > PC_PROCESSORS && !wide).then_some(())?;
    let what = "interrupts reach more than 255 processors through an IOMMU only";
    broken(node, "qemu.cpu-count", what, "add <iommu model='intel'><driver intremap='on' eim='on'/></iommu>")
}

fn topology(subject: &Subject<'_>) -> Option<Broken> {
    let topology = subject.domain.cpu.as_ref()?.topology?;
    let all =
        [topology.sockets, topology.dies, topology.clusters.unwrap_or(1), topology.cores, topology.threads];
    let product = all.into_iter().map(u64::from).fold(1_u64, u64::saturating_mul);
    let processors = subject.domain.vcpus.maximum;
    (product != u64::from(processors)).then_some(())?;
    let what = format!("the topology has {product} processors, and the domain {processors}");
    let remedy = "make sockets × dies × cores × threads the number in <vcpu>";
    broken(subject.element(&["cpu", "topology"]), "qemu.cpu-topology", what, remedy)
}

fn plugging(subject: &Subject<'_>) -> Option<Broken> {
    let vcpus = &subject.domain.vcpus;
    let document = subject.document();
    let list = subject.element(&["vcpus"]);
    let place = |id: u32| {
        let number = id.to_string();
        let mut all = document.elements(list);
        all.find(|node| document.attribute(*node, "id") == Some(number.as_str())).unwrap_or(list)
    };
    let enabled = vcpus.each.iter().filter(|vcpu| vcpu.enabled).count();
    for vcpu in &vcpus.each {
        let what = if vcpu.id >= vcpus.maximum {
            format!(
                "the domain has {} processors, counted from 0, and no processor {}",
                vcpus.maximum, vcpu.id
            )
        } else if vcpu.id == 0 && !vcpu.enabled {
            "processor 0 is always there".to_owned()
        } else if vcpu.id == 0 && vcpu.hotpluggable == Some(true) {
            "processor 0 cannot be plugged".to_owned()
        } else if !vcpu.enabled && vcpu.hotpluggable == Some(false) {
            format!("processor {} is neither there nor can it be plugged", vcpu.id)
        } else {
            continue;
        };
        let remedy = "correct its id, 'enabled' or 'hotpluggable'";
        return broken(place(vcpu.id), "qemu.cpu-plugging", what, remedy);
    }
    let all_listed = vcpus.each.len() == usize::try_from(vcpus.maximum).unwrap_or(usize::MAX);
    let current = usize::try_from(vcpus.at_start()).unwrap_or(usize::MAX);
    (all_listed && vcpus.current.is_some() && enabled != current).then_some(())?;
    let what = format!("{enabled} processors are enabled one by one, and {current} in <vcpu current>");
    broken(list, "qemu.cpu-plugging", what, "leave 'current' out")
}

/// Either every processor says when it is plugged, or none does.
fn orders(subject: &Subject<'_>) -> Option<Broken> {
    let vcpus = &subject.domain.vcpus.each;
    let node = subject.element(&["vcpus"]);
    let plugged = || vcpus.iter().filter(|vcpu| vcpu.enabled);
    if let Some(absent) = vcpus.iter().find(|vcpu| !vcpu.enabled && vcpu.order.is_some()) {
        let what = format!("processor {} has a place in the order and is not there", absent.id);
        return broken(node, "qemu.cpu-plugging", what, "remove 'order', or write enabled='yes'");
    }
    let ordered = plugged().filter(|vcpu| vcpu.order.is_some()).count();
    (ordered > 0 && ordered < plugged().count()).then_some(())?;
    let what = "some processors have a place in the order in which they are plugged, and others have not";
    broken(node, "qemu.cpu-plugging", what, "write 'order' for all that are enabled, or for none")
}

fn caches(subject: &Subject<'_>) -> Option<Broken> {
    let cpu = subject.domain.cpu.as_ref()?;
    let cache = cpu.cache.as_ref()?;
    let of_host = matches!(cpu.mode, Some(CpuMode::HostPassthrough | CpuMode::Maximum));
    let (what, remedy) = match cache.mode {
        CacheSource::Emulate if cache.level != Some(3) => {
            ("only a cache of level 3 is emulated", "write level='3'")
        }
        CacheSource::Passthrough if !of_host => {
            ("the host's cache goes with the host's processor", "write mode='host-passthrough'")
        }
        CacheSource::Passthrough | CacheSource::Disable if cache.level.is_some() => {
            ("all levels of a cache are passed through or left out", "remove 'level'")
        }
        _ => return None,
    };
    broken(subject.element(&["cpu", "cache"]), "qemu.cpu-cache", what, remedy)
}

fn migration(subject: &Subject<'_>) -> Option<Broken> {
    let cpu = subject.domain.cpu.as_ref()?;
    let of_host = matches!(cpu.mode, Some(CpuMode::HostPassthrough | CpuMode::Maximum));
    (cpu.migratable.is_some() && !of_host).then_some(())?;
    let what = "only a processor of mode 'host-passthrough' or 'maximum' says whether it is 'migratable'";
    broken(subject.element(&["cpu"]), "qemu.cpu-migratable", what, "remove 'migratable'")
}

fn address_width(subject: &Subject<'_>) -> Option<Broken> {
    let cpu = subject.domain.cpu.as_ref()?;
    let width = cpu.max_phys_addr?;
    let what = match width.mode {
        PhysicalBitsMode::Emulate if width.bits.is_none() => "a width that is emulated needs 'bits'",
        PhysicalBitsMode::Emulate if width.limit.is_some() => "a width that is emulated has no 'limit'",
        PhysicalBitsMode::Passthrough if width.bits.is_some() => "the width of the host has no 'bits'",
        PhysicalBitsMode::Passthrough
            if !matches!(cpu.mode, Some(CpuMode::HostPassthrough | CpuMode::Maximum)) =>
        {
            "the width of the host goes with mode='host-passthrough' or mode='maximum'"
        }
        _ => return None,
    };
    let remedy = "write <maxphysaddr mode='emulate' bits='…'/>, or remove it";
    broken(subject.element(&["cpu", "maxphysaddr"]), "qemu.cpu-address-width", what, remedy)
}

/// On ARM: lengths of vectors without vectors.
fn vector_lengths(subject: &Subject<'_>) -> Option<Broken> {
    let features = &subject.domain.cpu.as_ref()?.features;
    let is_off = |policy| matches!(policy, FeaturePolicy::Disable | FeaturePolicy::Forbid);
    let off = features.iter().any(|feature| feature.name == "sve" && is_off(feature.policy));
    let mut wanted = features.iter().filter(|feature| !is_off(feature.policy));
    let length = wanted.find(|feature| {
        feature
            .name
            .strip_prefix("sve")
            .is_some_and(|bits| !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit()))
    })?;
    (off && subject.is_arm()).then_some(())?;
    let what = format!("feature 'sve' is switched off, and '{}' on", length.name);
    broken(subject.element(&["cpu"]), "qemu.cpu-vectors", what, "remove the lengths, or switch 'sve' on")
}
