//! `-numa`: the guest's NUMA nodes and how far they are from each other.

use hostler_sdk::domain::cpu::NumaCell;
use hostler_sdk::domain::number_set;
use hostler_sdk::{Error, ProblemExt, Value, problem};

use super::builder::Builder;
use super::memory_backend::{self, Backend};

/// The objects and options of all nodes.
pub(super) fn numa(builder: &mut Builder<'_>) -> Result<(), Error> {
    let Some(cpu) = builder.domain.cpu.as_ref().filter(|cpu| !cpu.numa.is_empty()) else { return Ok(()) };
    if cpu.has_interconnects {
        return Err(problem(
            "qemu.numa-interconnects",
            "<interconnects> between NUMA nodes are not supported by this driver",
        )
        .hint("describe the nodes with <distances> only")
        .unsupported());
    }
    let legacy = memory_backend::legacy_cells(builder);
    let mut cells: Vec<_> = cpu.numa.iter().collect();
    cells.sort_by_key(|cell| cell.id);
    for cell in &cells {
        add_cell(builder, cell, legacy)?;
    }
    add_distances(builder, &cells);
    Ok(())
}

/// How far a node is from itself, and from another that nobody said anything about.
const LOCAL_DISTANCE: u8 = 10;
const REMOTE_DISTANCE: u8 = 20;

/// All distances, as soon as one is given: what is said in one direction holds in the other.
fn add_distances(builder: &mut Builder<'_>, cells: &[&NumaCell]) {
    if cells.iter().all(|cell| cell.distances.is_empty()) {
        return;
    }
    let said = |from: &NumaCell, to: &NumaCell| {
        from.distances.iter().find(|(id, _)| *id == to.id).map(|(_, value)| *value)
    };
    for from in cells {
        for to in cells {
            let default = if from.id == to.id { LOCAL_DISTANCE } else { REMOTE_DISTANCE };
            let distance = said(from, to).or_else(|| said(to, from)).unwrap_or(default);
            let value = Value::mapping()
                .with("type", "dist")
                .with("src", from.id)
                .with("dst", to.id)
                .with("val", u32::from(distance));
            builder.option("numa", value);
        }
    }
}

fn add_cell(builder: &mut Builder<'_>, cell: &NumaCell, legacy: bool) -> Result<(), Error> {
    let id = format!("ram-node{}", cell.id);
    let mut node = Value::mapping().with("type", "node").with("nodeid", cell.id);
    for range in ranges(cell.cpus.as_deref().unwrap_or_default())? {
        node.set("cpus", range);
    }
    if legacy {
        node.set("mem", cell.memory.mib());
    } else if cell.memory.0 > 0 {
        let object = Backend::cell(builder, cell, &id)?.object(&id);
        builder.option("object", object);
        node.set("memdev", id);
    }
    builder.option("numa", node);
    Ok(())
}

/// A set of processors as runs of neighbours, each `3` or `0-5`: the option takes one run a time.
fn ranges(set: &str) -> Result<Vec<String>, Error> {
    if set.is_empty() {
        return Ok(Vec::new());
    }
    let members = number_set(set).ok_or_else(|| {
        problem("qemu.cpuset", format!("'{set}' is no set of processors"))
            .hint("write it like '0-3,^2,8'")
            .invalid()
    })?;
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for member in members {
        match runs.last_mut() {
            Some((_, last)) if last.saturating_add(1) == member => *last = member,
            _ => runs.push((member, member)),
        }
    }
    let written = |(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    Ok(runs.into_iter().map(written).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_given_in_runs() {
        assert_eq!(ranges("1-27,29").unwrap(), ["1-27", "29"]);
        assert_eq!(ranges("").unwrap(), Vec::<String>::new());
        assert!(ranges("x").is_err());
    }
}
