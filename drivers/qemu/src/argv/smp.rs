//! `-smp` and I/O threads.

use std::collections::BTreeSet;

use hostler_sdk::domain::vcpu::ThreadPool;
use hostler_sdk::{Error, ProblemExt, Value, problem};

use super::builder::{Builder, set_some};

/// `-smp`: processors that are there at start, the most there can be, and how they are arranged.
pub(super) fn smp(builder: &mut Builder<'_>) -> Result<(), Error> {
    let vcpus = &builder.domain.vcpus;
    let plugged = vcpus.each.iter().any(|vcpu| vcpu.enabled && vcpu.hotpluggable == Some(true));
    if plugged && !builder.inputs.facts.comparison {
        return Err(problem(
            "qemu.vcpu-hotplug",
            "processors that can be unplugged must be plugged in, which this driver does not do yet",
        )
        .hint("write hotpluggable='no' for every enabled <vcpu>")
        .unsupported());
    }
    let listed = vcpus.each.iter().filter(|vcpu| vcpu.enabled && vcpu.hotpluggable != Some(true)).count();
    let enabled = u32::try_from(listed).ok().filter(|listed| *listed > 0);
    let online = enabled.or(vcpus.current).unwrap_or(vcpus.maximum);
    let mut value = Value::mapping().with("cpus", online);
    set_some(&mut value, "maxcpus", (online != vcpus.maximum).then_some(vcpus.maximum));
    match builder.domain.cpu.as_ref().and_then(|cpu| cpu.topology.as_ref()) {
        Some(topology) => {
            value.set("sockets", topology.sockets);
            value.set("dies", topology.dies);
            set_some(&mut value, "clusters", topology.clusters.filter(|clusters| *clusters > 1));
            value.set("cores", topology.cores);
            value.set("threads", topology.threads);
        }
        None => {
            value.set("sockets", vcpus.maximum);
            value.set("cores", 1_u32);
            value.set("threads", 1_u32);
        }
    }
    builder.option("smp", value);
    Ok(())
}

/// Threads that serve disks and controllers. Ids that the document does not choose are the lowest free.
pub(super) fn iothreads(builder: &mut Builder<'_>) -> Result<(), Error> {
    let threads = &builder.domain.iothreads;
    let taken: BTreeSet<u32> = threads.listed.iter().map(|thread| thread.id).collect();
    let missing = usize::try_from(threads.count).unwrap_or(usize::MAX).saturating_sub(threads.listed.len());
    let free = (1..).filter(|id| !taken.contains(id)).take(missing.min(MOST_IOTHREADS)).map(|id| (id, None));
    let listed = threads.listed.iter().map(|thread| (thread.id, Some(&thread.pool)));
    for (id, pool) in listed.chain(free) {
        let mut object = Value::mapping().with("qom-type", "iothread").with("id", format!("iothread{id}"));
        add_pool(&mut object, pool);
        builder.option("object", object);
    }
    if let Some(pool) = &threads.default {
        let mut object = Value::mapping().with("qom-type", "main-loop").with("id", "main-loop");
        add_pool(&mut object, Some(pool));
        builder.option("object", object);
    }
    Ok(())
}

/// The most threads that one domain gets; a document cannot ask for more work than that.
const MOST_IOTHREADS: usize = 1024;

fn add_pool(object: &mut Value, pool: Option<&ThreadPool>) {
    set_some(object, "thread-pool-min", pool.and_then(|pool| pool.min));
    set_some(object, "thread-pool-max", pool.and_then(|pool| pool.max));
}
