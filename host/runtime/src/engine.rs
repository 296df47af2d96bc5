//! The engine's settings, and the ticker that lets a deadline reach a guest that never calls the host.
//!
//! A command allocates instances on demand. In the prototype (release) an engine costs 2 µs instead of the 110 µs of a
//! pool with ten slots, and an instance 35 µs instead of 22 µs; this engine showed the same relation (8 µs against
//! 131 µs for two slots and 169 µs for ten, unoptimised). A command makes one engine and one to three instances, so
//! a pool would have to be used nine times before it pays. A process that lives long has a [pool](Allocation::Pool), whose
//! memory stays mapped between calls. Compiled code is the same for both.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Strategy};

use crate::limits;

/// Address space kept for a memory, in bytes: all that a 32-bit index can say, so that no access needs a check of its
/// index. How much of it can be used is for the limits. Checks made the code half as large again.
const MEMORY_SPACE_BYTES: u64 = 4 << 30;
/// Address space kept around a memory, in bytes, for the constants that are added to an index.
const MEMORY_GUARD_BYTES: u64 = 32 << 20;

/// Calls that a pool has room for at once; others wait. Each takes 33 GiB of addresses and no memory until it is used.
const POOL_CALLS: u32 = 16;
/// Memory of a pool's slot that stays mapped between calls, in bytes: what a call with a large document touches. It is
/// cleared after each call.
const POOL_RESIDENT_BYTES: usize = 512 << 10;

/// Where the memory of instances comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Allocation {
    /// From the kernel at each call, and back after it: for a command.
    #[default]
    OnDemand,
    /// From a pool that is kept: for a process that lives long. At most 16 calls run at once, others wait.
    Pool,
    /// From a pool for one call: for a worker.
    PoolOfOne,
}

impl Allocation {
    /// Calls that there is room for at once; none: for any number.
    pub(crate) fn calls(self) -> Option<u32> {
        match self {
            Self::OnDemand => None,
            Self::Pool => Some(POOL_CALLS),
            Self::PoolOfOne => Some(1),
        }
    }
}

/// An engine with everything off that a driver does not need. Its guests have a stack of so many bytes, at most
/// [`limits::STACK_BYTES`]; the code that it runs is the same for each size.
///
/// # Errors
/// When this processor cannot run what Cranelift makes for it.
pub(crate) fn engine(allocation: Allocation, stack_bytes: usize) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    let stack_bytes = stack_bytes.min(limits::STACK_BYTES);
    config.strategy(Strategy::Cranelift);
    config.allocation_strategy(match allocation.calls() {
        None => InstanceAllocationStrategy::OnDemand,
        Some(calls) => InstanceAllocationStrategy::Pooling(pool(calls)),
    });
    config.epoch_interruption(true);
    config.max_wasm_stack(stack_bytes).async_stack_size(limits::FIBER_STACK_BYTES);
    config.memory_reservation(MEMORY_SPACE_BYTES).memory_guard_size(MEMORY_GUARD_BYTES);
    config.memory_reservation_for_growth(0);
    // Compiled code carries what a call needs and no more: places in the component's bytes and tables for other
    // unwinders make it a third larger, and every load verifies all of it. Functions keep their names.
    config.generate_address_map(false).native_unwind_info(false);
    switch_features_off(&mut config);
    Engine::new(&config)
}

/// Room for what the limits allow to each of so many calls.
fn pool(calls: u32) -> PoolingAllocationConfig {
    let each = |limit: usize| u32::try_from(limit).unwrap_or(u32::MAX);
    let all = |limit: usize| each(limit).saturating_mul(calls);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls).total_stacks(calls);
    pool.total_core_instances(all(limits::CORE_INSTANCES));
    pool.max_core_instances_per_component(each(limits::CORE_INSTANCES));
    pool.total_memories(all(limits::MEMORIES)).max_memories_per_component(each(limits::MEMORIES));
    pool.max_memories_per_module(each(limits::MEMORIES)).max_memory_size(limits::MEMORY_BYTES);
    pool.total_tables(all(limits::TABLES)).max_tables_per_component(each(limits::TABLES));
    pool.max_tables_per_module(each(limits::TABLES)).table_elements(limits::TABLE_ELEMENTS);
    pool.linear_memory_keep_resident(POOL_RESIDENT_BYTES).table_keep_resident(limits::TABLE_ELEMENTS);
    // A worker's filter of system calls has no scan, and it has no file open but those that it was handed.
    pool.pagemap_scan(if calls == 1 { Enabled::No } else { Enabled::Auto });
    pool
}

/// Proposals that no driver needs and that have been where sandboxes broke. Those behind a cargo feature
/// that this build does not have (gc, exceptions, component-model async) cannot be switched on at all.
fn switch_features_off(config: &mut Config) {
    config.concurrency_support(false);
    config.gc_support(false);
    config.shared_memory(false);
    config.wasm_memory64(false);
    config.wasm_stack_switching(false);
    config.wasm_relaxed_simd(false);
    config.wasm_tail_call(false);
    config.wasm_wide_arithmetic(false);
    config.wasm_custom_page_sizes(false);
}

/// Advances an engine's epoch every [`limits::EPOCH_TICK`], while at least one call runs.
///
/// A thread of its own, because a guest that loops may hold the only thread of an async runtime. It starts
/// with the first call and ends itself at the first tick that finds no call.
#[derive(Clone)]
pub(crate) struct Ticker {
    engine: Engine,
    calls: Arc<Mutex<Calls>>,
}

#[derive(Default)]
struct Calls {
    running: usize,
    thread: bool,
}

/// Keeps the ticker going until it is dropped.
pub(crate) struct Ticking(Ticker);

impl Ticker {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, calls: Arc::default() }
    }

    /// # Errors
    /// When the ticker's thread cannot be made; without it no guest may run.
    pub(crate) fn tick(&self) -> std::io::Result<Ticking> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if !calls.thread {
            let ticker = self.clone();
            std::thread::Builder::new().name("hostler-epoch".to_owned()).spawn(move || ticker.run())?;
            calls.thread = true;
        }
        calls.running += 1;
        Ok(Ticking(self.clone()))
    }

    fn run(&self) {
        loop {
            std::thread::sleep(limits::EPOCH_TICK);
            self.engine.increment_epoch();
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            if calls.running == 0 {
                calls.thread = false;
                return;
            }
        }
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        let mut calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.running = calls.running.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticker_ends_after_the_last_call_and_starts_again() {
        let ticker = Ticker::new(engine(Allocation::default(), limits::STACK_BYTES).unwrap());
        for _ in 0..2 {
            let (first, second) = (ticker.tick().unwrap(), ticker.tick().unwrap());
            drop(first);
            assert!(ticker.calls.lock().unwrap().thread);
            drop(second);
            while ticker.calls.lock().unwrap().thread {
                std::thread::yield_now();
            }
        }
        assert_eq!(ticker.calls.lock().unwrap().running, 0);
    }

    #[test]
    fn code_is_the_same_for_all_allocations_and_stacks() {
        let hash = |allocation, stack_bytes| {
            let mut hasher = std::hash::DefaultHasher::new();
            let engine = engine(allocation, stack_bytes).unwrap();
            std::hash::Hash::hash(&engine.precompile_compatibility_hash(), &mut hasher);
            std::hash::Hasher::finish(&hasher)
        };
        let expected = hash(Allocation::OnDemand, limits::STACK_BYTES);
        assert_eq!(hash(Allocation::Pool, limits::STACK_BYTES), expected);
        assert_eq!(hash(Allocation::PoolOfOne, limits::STACK_BYTES / 8), expected);
    }
}
