//! Where memory comes from and which processors go with it.

use hostler_sdk::domain::NodeId;
use hostler_sdk::domain::numatune::Placement;

use super::{Broken, Rule, Subject, broken};
use hostler_sdk::domain::number_set;

pub(super) const RULES: &[Rule] = &[placement, sets, cells, pages];

fn placement(subject: &Subject<'_>) -> Option<Broken> {
    let tune = &subject.domain.numatune;
    let memory = tune.memory.as_ref()?;
    let node = subject.element(&["numatune", "memory"]);
    if memory.placement == Some(Placement::Static) && memory.nodeset.is_none() {
        let what = "memory with placement='static' needs a nodeset";
        return broken(node, "qemu.numa-placement", what, "add nodeset='…', or leave 'placement' out");
    }
    let automatic = memory.placement == Some(Placement::Auto)
        || (memory.placement.is_none()
            && memory.nodeset.is_none()
            && subject.domain.vcpus.placement == Some(Placement::Auto));
    if automatic && !tune.cells.is_empty() {
        let what = "memory of cells cannot be bound where the placement is automatic";
        let node = subject.element(&["numatune", "memnode"]);
        return broken(node, "qemu.numa-placement", what, "remove 'memnode', or write a nodeset in 'memory'");
    }
    None
}

/// All sets of nodes and processors, with the elements that hold them.
fn written_sets<'a>(subject: &Subject<'a>) -> Vec<(NodeId, &'static str, &'a str)> {
    let document = subject.document();
    let root = document.root();
    let mut sets = Vec::new();
    let mut add = |parents: &[&str], name: &str, attribute: &'static str| {
        let parent = parents.iter().try_fold(root, |node, name| document.child(node, name));
        let all = parent.into_iter().flat_map(|parent| document.elements(parent));
        for node in all.filter(|node| document.name(*node) == name) {
            if let Some(text) = document.attribute(node, attribute).filter(|text| !text.is_empty()) {
                sets.push((node, attribute, text));
            }
        }
    };
    add(&["numatune"], "memory", "nodeset");
    add(&["numatune"], "memnode", "nodeset");
    add(&["memoryBacking", "hugepages"], "page", "nodeset");
    add(&["cpu", "numa"], "cell", "cpus");
    add(&[], "vcpu", "cpuset");
    for pin in ["vcpupin", "emulatorpin", "iothreadpin"] {
        add(&["cputune"], pin, "cpuset");
    }
    sets
}

fn sets(subject: &Subject<'_>) -> Option<Broken> {
    written_sets(subject).into_iter().find_map(|(node, attribute, text)| {
        // A cell may have no processors; anything else is a set of at least one.
        let fine = number_set(text).is_some_and(|set| !set.is_empty() || attribute == "cpus");
        (!fine).then_some(())?;
        let what = format!("attribute '{attribute}' is '{text}', which is no set, or an empty one");
        broken(node, "qemu.numa-set", what, "write it like '0-3,^2,8'")
    })
}

/// Processors of cells: each is there, and in one cell.
fn cells(subject: &Subject<'_>) -> Option<Broken> {
    let cells = &subject.domain.cpu.as_ref()?.numa;
    let numa = subject.element(&["cpu", "numa"]);
    let document = subject.document();
    let places: Vec<_> = document.elements(numa).filter(|node| document.name(*node) == "cell").collect();
    let mut seen: Vec<u32> = Vec::new();
    for (place, cell) in cells.iter().enumerate() {
        let node = places.get(place).copied().unwrap_or(numa);
        let processors = cell.cpus.as_deref().and_then(number_set).unwrap_or_default();
        if let Some(twice) = processors.iter().find(|id| seen.contains(id)) {
            let what = format!("processor {twice} is in two NUMA cells");
            return broken(node, "qemu.numa-processors", what, "leave it in one of them");
        }
        seen.extend(processors);
        if u32::try_from(seen.len()).unwrap_or(u32::MAX) > subject.domain.vcpus.maximum {
            let what = format!(
                "the NUMA cells have more processors than the {} of the domain",
                subject.domain.vcpus.maximum
            );
            return broken(
                node,
                "qemu.numa-processors",
                what,
                "raise the number in <vcpu>, or remove processors",
            );
        }
    }
    devices(subject)
}

/// Memory that is plugged goes into a cell that is there.
fn devices(subject: &Subject<'_>) -> Option<Broken> {
    let cells = &subject.domain.cpu.as_ref()?.numa;
    let stranger = subject
        .domain
        .devices
        .memories
        .iter()
        .find(|memory| memory.cell.is_some_and(|wanted| cells.iter().all(|cell| cell.id != wanted)))?;
    let what =
        format!("memory goes into NUMA cell {}, which the guest does not have", stranger.cell.unwrap_or(0));
    broken(
        subject.within(stranger.node, "target"),
        "qemu.numa-cell",
        what,
        "add the cell to 'cpu/numa', or correct 'node'",
    )
}

/// Huge pages are for cells that are there, and one size for each.
fn pages(subject: &Subject<'_>) -> Option<Broken> {
    let pages = subject.domain.memory_backing.huge_pages.as_ref()?;
    let cells = subject.domain.cpu.as_ref().map_or(0, |cpu| cpu.numa.len());
    let document = subject.document();
    let list = subject.element(&["memoryBacking", "hugepages"]);
    let places: Vec<_> = document.elements(list).filter(|node| document.name(*node) == "page").collect();
    let mut seen: Vec<u32> = Vec::new();
    let mut defaults = 0;
    for (place, page) in pages.iter().enumerate() {
        let node = places.get(place).copied().unwrap_or(list);
        let Some(wanted) = page.nodeset.as_deref().and_then(number_set) else {
            defaults += 1;
            if defaults > 1 {
                let what = "two page sizes are for all cells";
                return broken(node, "qemu.numa-pages", what, "give one of them a nodeset");
            }
            continue;
        };
        // Without cells the guest is one, number 0.
        let most = u32::try_from(cells.max(1)).unwrap_or(u32::MAX);
        if let Some(absent) = wanted.iter().find(|cell| **cell >= most) {
            let what = format!("huge pages are for NUMA cell {absent}, which the guest does not have");
            return broken(
                node,
                "qemu.numa-pages",
                what,
                "correct the nodeset, or add the cell to 'cpu/numa'",
            );
        }
        if let Some(twice) = wanted.iter().find(|cell| seen.contains(cell)) {
            let what = format!("two page sizes are for NUMA cell {twice}");
            return broken(node, "qemu.numa-pages", what, "keep one of them");
        }
        seen.extend(wanted);
    }
    None
}
