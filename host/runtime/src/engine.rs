//! The engine's settings, and the ticker that lets a deadline reach a guest that never calls the host.
//!
//! Instances are allocated on demand. In the prototype (release) an engine costs 2 µs instead of the 110 µs of a
//! pool with ten slots, and an instance 35 µs instead of 22 µs; this engine showed the same relation (8 µs against
//! 131 µs for two slots and 169 µs for ten, unoptimised). A command makes one engine and one to three instances, so
//! a pool would have to be used nine times before it pays.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{Config, Engine, InstanceAllocationStrategy, Strategy};

use crate::limits;

/// Address space kept around a memory, in bytes: accesses that miss by less fault without a check.
const MEMORY_GUARD_BYTES: u64 = 32 << 20;

/// An engine with everything off that a driver does not need.
///
/// # Errors
/// When this processor cannot run what Cranelift makes for it.
pub(crate) fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.strategy(Strategy::Cranelift);
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    config.epoch_interruption(true);
    config.max_wasm_stack(limits::STACK_BYTES).async_stack_size(limits::FIBER_STACK_BYTES);
    config.memory_reservation(limits::MEMORY_BYTES as u64).memory_guard_size(MEMORY_GUARD_BYTES);
    config.memory_reservation_for_growth(0);
    // Compiled code carries what a call needs and no more: places in the component's bytes and tables for other
    // unwinders make it a third larger, and every load verifies all of it. Functions keep their names.
    config.generate_address_map(false).native_unwind_info(false);
    switch_features_off(&mut config);
    Engine::new(&config)
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
        let ticker = Ticker::new(engine().unwrap());
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
}
