//! The data of one call: its resources, limits and subject. It lives as long as the call's store.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Instrument as _;
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;

use crate::activity::CallActivity;
use crate::answer;
use crate::bindings::wit::types::Error;
use crate::driver::Shared;
use crate::interfaces::domain::{Subject, Tense};
use crate::interfaces::storage::Layers;
use crate::limits::{EVENTS, InstanceLimits, MEMORIES};
use crate::linked::Limited;
use crate::operation::Operation;
use crate::recorded::Recorded;

/// What a host call leaves for the host to answer in, before the whole operation's time is over.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);

/// See the module.
pub(crate) struct CallState {
    pub(crate) table: ResourceTable,
    pub(crate) memory: MemoryLimit,
    pub(crate) driver: Arc<Shared>,
    pub(crate) subject: Option<Arc<Subject>>,
    pub(crate) operation: Operation,
    /// When the operation's wall time is over.
    pub(crate) deadline: Instant,
    /// The chains that were resolved, by document and target name.
    pub(crate) chains: HashMap<(Tense, String), Arc<Layers>>,
    /// How many events it may still emit.
    events_left: usize,
    /// What it asked of the host.
    pub(crate) activity: CallActivity,
    /// What `launch` recorded instead of starting it.
    pub(crate) recorded: Option<Recorded>,
}

impl CallState {
    pub(crate) fn new(
        driver: Arc<Shared>,
        subject: Option<Arc<Subject>>,
        operation: Operation,
        limits: InstanceLimits,
        deadline: Instant,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        Self {
            table,
            memory: MemoryLimit::new(limits),
            driver,
            subject,
            operation,
            deadline,
            chains: HashMap::new(),
            events_left: EVENTS,
            activity: CallActivity::default(),
            recorded: None,
        }
    }

    /// Counts one host call; every one of them begins with this.
    ///
    /// # Errors
    /// [`TooManyHostCalls`], which ends the operation: a loop of cheap calls would cost the host more than the guest.
    pub(crate) fn enter(&mut self, call: &'static str) -> wasmtime::Result<()> {
        if !self.driver.rates.take_host_call() {
            return Err(TooManyHostCalls.into());
        }
        self.activity.count(call);
        Ok(())
    }

    /// Whether the driver may emit one more event: in this operation, and at the rate of its tenant.
    pub(crate) fn take_event(&mut self) -> bool {
        let Some(left) = self.events_left.checked_sub(1) else { return false };
        self.events_left = left;
        self.driver.rates.take_event()
    }

    /// How long a host call may take that is allowed `own` time.
    pub(crate) fn allowance(&self, own: Duration) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        own.min(left.saturating_sub(ANSWER_MARGIN))
    }

    /// Runs blocking work on a thread for it, for at most `own` time. The work is told how long it has.
    ///
    /// A file system that hangs keeps its thread; the call ends all the same. (`&mut`, because a shared
    /// reference to the table could not cross an await between threads.)
    ///
    /// # Errors
    /// Outer: [`HostFault`], which ends the operation. Inner: what the driver is told.
    pub(crate) async fn blocking<T: Send + 'static>(
        &mut self,
        call: &'static str,
        own: Duration,
        work: impl FnOnce(Duration) -> Result<T, Error> + Send + 'static,
    ) -> wasmtime::Result<Result<T, Error>> {
        let allowed = self.allowance(own);
        let span = tracing::debug_span!("host_call", call);
        let inner = span.clone();
        let begun = Instant::now();
        let running = tokio::task::spawn_blocking(move || inner.in_scope(|| work(allowed)));
        let finished = tokio::time::timeout(allowed, running).instrument(span).await;
        self.activity.waited(call, begun.elapsed(), !matches!(finished, Ok(Ok(Ok(_)))));
        match finished {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(HostFault(format!("{call}: {error}")).into()),
            Err(_) => Ok(Err(answer::timed_out(call, allowed))),
        }
    }
}

/// The reason for ending an operation: the host's own code failed, not the driver.
#[derive(Debug)]
pub(crate) struct HostFault(pub(crate) String);

impl fmt::Display for HostFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the host failed in {}", self.0)
    }
}

impl std::error::Error for HostFault {}

/// The reason for ending an operation: its tenant's drivers call the host more often than they may.
#[derive(Debug)]
pub(crate) struct TooManyHostCalls;

impl fmt::Display for TooManyHostCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more host calls than the rate of its tenant allows")
    }
}

impl std::error::Error for TooManyHostCalls {}

/// The reason for a trap: the driver broke a rule that the contract states in words.
#[derive(Debug)]
pub(crate) struct ContractViolation(pub(crate) String);

impl fmt::Display for ContractViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "against the contract: {}", self.0)
    }
}

impl std::error::Error for ContractViolation {}

/// Counts all memories of an instance together; a limit for each alone would be passed by having many.
pub(crate) struct MemoryLimit {
    /// What the instance may have, of memories and everything else.
    pub(crate) limits: InstanceLimits,
    used: usize,
    /// What was refused first.
    pub(crate) refused: Option<String>,
}

impl Limited for CallState {
    fn memory(&mut self) -> &mut MemoryLimit {
        &mut self.memory
    }
}

impl MemoryLimit {
    /// Nothing used yet.
    pub(crate) fn new(limits: InstanceLimits) -> Self {
        Self { limits, used: 0, refused: None }
    }

    fn refuse(&mut self, what: String) -> bool {
        tracing::debug!(what, "a limit of the sandbox refuses");
        self.refused.get_or_insert(what);
        false
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.used.saturating_sub(current).saturating_add(desired);
        let most = self.limits.memory_bytes;
        if wanted > most {
            return Ok(self.refuse(format!("{wanted} bytes of memory, may have {most}")));
        }
        self.used = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let most = self.limits.table_elements;
        if desired > most {
            return Ok(self.refuse(format!("a table of {desired} elements, may have {most}")));
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.core_instances
    }

    fn tables(&self) -> usize {
        self.limits.tables
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_counted_together() {
        let limits = InstanceLimits { memory_bytes: 100, table_elements: 7, ..InstanceLimits::default() };
        let mut memory = MemoryLimit::new(limits);
        assert!(memory.memory_growing(0, 60, None).unwrap());
        assert!(memory.memory_growing(0, 40, None).unwrap());
        assert!(!memory.memory_growing(40, 41, None).unwrap());
        assert!(memory.refused.as_deref().unwrap().contains("101 bytes"));
        assert!(memory.table_growing(0, 7, None).unwrap());
        assert!(!memory.table_growing(0, 8, None).unwrap());
    }
}
