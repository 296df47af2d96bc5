//! `clock`: time and randomness.

use std::fs::File;
use std::io::Read as _;
use std::sync::LazyLock;
use std::time::Instant;

use crate::bindings::wit::clock::Host;
use crate::call::{CallState, HostFault};
use crate::limits;

/// The start that `monotonic-ms` counts from; the same for all drivers, of no meaning outside this process.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Host for CallState {
    async fn monotonic_ms(&mut self) -> wasmtime::Result<u64> {
        self.enter("clock.monotonic-ms")?;
        Ok(u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    async fn unix_seconds(&mut self) -> wasmtime::Result<u64> {
        self.enter("clock.unix-seconds")?;
        Ok(hostler_state::unix_ms() / 1_000)
    }

    async fn random(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.enter("clock.random")?;
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(limits::RANDOM_BYTES);
        let mut bytes = vec![0; length];
        // Never waits: the generator is seeded long before any domain runs.
        File::open("/dev/urandom")
            .and_then(|mut generator| generator.read_exact(&mut bytes))
            .map_err(|error| HostFault(format!("clock.random: {error}")))?;
        Ok(bytes)
    }
}
