//! What a driver may use, each limit with its reason. Everything a driver can make the host spend is here.

use std::time::Duration;

/// Linear memory of one instance, all its memories together, in bytes. A driver needs 2 to 4 MiB for the
/// largest document; 60 memories of 10 MiB would pass a limit for each memory alone.
pub const MEMORY_BYTES: usize = 64 << 20;
/// Linear memories of one instance. A component built from one crate has one; adapters add one each.
pub const MEMORIES: usize = 8;
/// Tables of one instance: two or three for each core module.
pub const TABLES: usize = 16;
/// Elements of one table, in entries of 16 bytes at most.
pub const TABLE_ELEMENTS: usize = 10_000;
/// Core instances of one component: modules, adapters and shims. Real drivers have 3 to 5.
pub const CORE_INSTANCES: usize = 64;
/// Stack of guest code, in bytes: deep recursion traps instead of reaching the host's own stack.
pub const STACK_BYTES: usize = 512 << 10;
/// Stack of a fiber, in bytes: guest stack, and as much again for host functions called from it.
pub const FIBER_STACK_BYTES: usize = 1 << 20;
/// What one host call may carry from guest to host, in bytes. Without it, a list whose entries all point
/// at the same megabyte makes the host allocate gigabytes.
pub const HOSTCALL_BYTES: usize = 4 << 20;
/// Host objects and handles that are alive at once for one operation.
pub const RESOURCES: usize = 1_024;
/// Processor time of compiling one component. The largest of ours takes 2 s, in an unoptimised host 8 s.
pub const COMPILE_CPU: Duration = Duration::from_secs(60);
/// Address space of compiling one component, in bytes. The largest of ours takes 150 MiB.
pub const COMPILE_MEMORY_BYTES: u64 = 2 << 30;
/// Wall time of compiling one component: a host that is so busy has other worries.
pub const COMPILE_WALL: Duration = Duration::from_secs(300);
/// Size of a compiled component in the cache, in bytes: machine code is two to five times the component.
pub const ARTIFACT_BYTES: u64 = 128 << 20;
/// All compiled components in the cache, in bytes. The ones not used for longest go first.
pub const CACHE_BYTES: u64 = 512 << 20;
/// Compiled components in the cache: some hosts' worth of drivers in two versions each.
pub const CACHE_ENTRIES: usize = 64;
/// How often a running guest is looked at. Also the longest time by which it passes a deadline.
pub const EPOCH_TICK: Duration = Duration::from_millis(10);

/// Workers of one driver of one tenant: operations that it carries out at once. More have to wait.
pub const WORKERS: usize = 32;
/// Workers of one driver of one tenant that are kept for its next operations.
pub const WORKERS_IDLE: usize = 2;
/// Processor time that an operation uses before its worker makes way for everybody else: several times what operations take.
pub const WORKER_BURST: Duration = Duration::from_millis(20);
/// How long workers of a driver make way from the beginning, once an operation was ended that had computed for longer.
pub const WORKER_WARY: Duration = Duration::from_secs(10);
/// Time for a worker to lock itself in. It takes some milliseconds.
pub const WORKER_START: Duration = Duration::from_secs(10);
/// How long host and worker look for the other's next message before they sleep: being woken takes tens of microseconds,
/// most host calls less. Only where there is a second processor for the other.
pub const WORKER_SPIN: Duration = Duration::from_micros(50);
/// Address space of a worker, in bytes: eight memories with all their addresses and guards take 33 GiB. What counts is
/// [`WORKER_MEMORY_BYTES`].
pub const WORKER_SPACE_BYTES: u64 = 40 << 30;
/// Memory that a worker can write to, in bytes: an instance's memories, and a few messages of the largest size.
pub const WORKER_MEMORY_BYTES: u64 = 256 << 20;
/// Threads of a worker: it has two.
pub const WORKER_THREADS: u64 = 8;
/// Open files of a worker: socket, standard streams and machine code.
pub const WORKER_FILES: u64 = 16;
/// One message of a worker, in bytes: what one host call may carry, and the lengths of its parts.
pub const MESSAGE_BYTES: usize = 2 * HOSTCALL_BYTES;
/// What the values in one message of a worker may take, in bytes: three times what they have in a guest.
pub const MESSAGE_MEMORY_BYTES: usize = 4 * HOSTCALL_BYTES;
/// One message to a worker, in bytes: no guest has room for more.
pub const ANSWER_BYTES: usize = MEMORY_BYTES;

/// Longest text that a driver writes into an error, a log line, in bytes.
pub const TEXT_BYTES: usize = 4 << 10;
/// Hints of one error.
pub const HINTS: usize = 16;
/// Details of one error, and facts of one log line or event.
pub const FACTS: usize = 32;
/// What one driver may write to the log in one operation at once, in bytes; see [`LOG_BYTES_PER_SECOND`].
pub const LOG_BURST_BYTES: u64 = 256 << 10;
/// What one driver may write to the log in the long run, in bytes a second.
pub const LOG_BYTES_PER_SECOND: u64 = 64 << 10;
/// Random bytes given out by one call; the contract states it.
pub const RANDOM_BYTES: usize = 1_024;
/// The driver's own notes about a domain, in bytes; the contract states it.
pub const NOTES_BYTES: usize = 1 << 20;
/// Kind of an event that a driver emits, in bytes; the contract states it.
pub const EVENT_KIND_BYTES: usize = 64;
/// Events that a driver may emit in one operation: a start has about five.
pub const EVENTS: usize = 256;
/// Events that the drivers of one tenant may emit at once: a hundred domains that start together.
pub const EVENT_BURST: u64 = 1_024;
/// Events that the drivers of one tenant may emit in the long run, in events a second. Each is a line on the disk.
pub const EVENTS_PER_SECOND: u64 = 100;
/// Host calls that the drivers of one tenant may make at once: a start has about a hundred.
pub const HOST_CALL_BURST: u64 = 50_000;
/// Host calls that the drivers of one tenant may make in the long run, in calls a second. The cheapest costs
/// a microsecond, so this is at most a fiftieth of a processor.
pub const HOST_CALLS_PER_SECOND: u64 = 20_000;
/// Processor time that the drivers of one tenant may use at once: a thousand domains that are recovered together.
pub const CPU_BURST: Duration = Duration::from_secs(10);
/// Processor time that the drivers of one tenant may use in the long run, in each second: a twentieth of the
/// smallest host that makes sense (two processors). Who wants more is made to wait, not refused.
pub const CPU_PER_SECOND: Duration = Duration::from_millis(100);
/// Document that `check` gives back, in bytes. hostler-domain reads at most as much.
pub const DOCUMENT_BYTES: usize = 4 << 20;
/// Nodes of a value tree; the contract states it.
pub const TREE_NODES: usize = 16_384;
/// Levels of a value tree; the contract states it.
pub const TREE_DEPTH: usize = 64;
/// Text of a value tree, names included, in bytes; the contract states it.
pub const TREE_TEXT_BYTES: usize = 1 << 20;
/// Commands of one `execute-all`, and reactions of one launch.
pub const COMMANDS: usize = 1_024;
/// Options of one launch: a machine with 200 disks has about 1,000.
pub const OPTIONS: usize = 4_096;
/// Companions of one launch; the launcher takes as many.
pub const COMPANIONS: usize = 32;
/// Handles that travel with one plan or command; the launcher takes as many.
pub const HANDLES: usize = 1_024;
/// Name of a socket in the domain's directory, in bytes; the contract states it.
pub const SOCKET_NAME_BYTES: usize = 64;

/// Opening one file, or one small read or write of the host's own state.
pub const FILE_DEADLINE: Duration = Duration::from_secs(10);
/// Resolving a whole chain: up to 200 layers, each on a file system that may be slow.
pub const CHAIN_DEADLINE: Duration = Duration::from_secs(30);
/// Starting a hypervisor until its monitor answers.
pub const LAUNCH_DEADLINE: Duration = Duration::from_secs(40);
/// One command of the hypervisor. A monitor that is stopped for longer is stuck.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(10);
/// Longest wait for an event or for the end of a process, however long a driver asks for.
pub const WAIT_DEADLINE: Duration = Duration::from_secs(60);
/// Asking the shim itself (its status, its event ring): it does nothing else.
pub const SHIM_DEADLINE: Duration = Duration::from_secs(5);

/// What one instance may have. An operator may set less than the constants of this module, never more. The stack is not
/// among it: the engine has one size for all that it runs, which the policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceLimits {
    /// See [`MEMORY_BYTES`].
    pub memory_bytes: usize,
    /// See [`TABLES`].
    pub tables: usize,
    /// See [`TABLE_ELEMENTS`].
    pub table_elements: usize,
    /// See [`CORE_INSTANCES`].
    pub core_instances: usize,
    /// See [`RESOURCES`].
    pub handles: usize,
    /// See [`HOSTCALL_BYTES`].
    pub hostcall_bytes: usize,
}

impl Default for InstanceLimits {
    fn default() -> Self {
        Self {
            memory_bytes: MEMORY_BYTES,
            tables: TABLES,
            table_elements: TABLE_ELEMENTS,
            core_instances: CORE_INSTANCES,
            handles: RESOURCES,
            hostcall_bytes: HOSTCALL_BYTES,
        }
    }
}

impl InstanceLimits {
    /// The smaller one of each: nothing that somebody sets is more than `other` has.
    pub(crate) fn within(self, other: &Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.min(other.memory_bytes),
            tables: self.tables.min(other.tables),
            table_elements: self.table_elements.min(other.table_elements),
            core_instances: self.core_instances.min(other.core_instances),
            handles: self.handles.min(other.handles),
            hostcall_bytes: self.hostcall_bytes.min(other.hostcall_bytes),
        }
    }
}

/// The limits that an operator or a test may set otherwise. The rest are constants of this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What an instance may have.
    pub instance: InstanceLimits,
    /// Processor time of guest code in one call. A check of a large document takes about 10 ms.
    pub cpu: Duration,
    /// See [`CPU_BURST`].
    pub cpu_burst: Duration,
    /// See [`CPU_PER_SECOND`].
    pub cpu_per_second: Duration,
    /// See [`HOST_CALL_BURST`].
    pub host_call_burst: u64,
    /// See [`HOST_CALLS_PER_SECOND`].
    pub host_calls_per_second: u64,
    /// See [`EVENT_BURST`].
    pub event_burst: u64,
    /// See [`EVENTS_PER_SECOND`].
    pub events_per_second: u64,
    /// See [`LOG_BURST_BYTES`].
    pub log_burst_bytes: u64,
    /// See [`LOG_BYTES_PER_SECOND`].
    pub log_bytes_per_second: u64,
    /// Wall time of a call that only computes: describe, check, show.
    pub plan: Duration,
    /// Wall time of a start.
    pub start: Duration,
    /// Wall time of a call that asks a running hypervisor something or makes it change.
    pub control: Duration,
    /// Wall time of ending a domain: asking, waiting, killing.
    pub end: Duration,
    /// Wall time of what happens when the host comes back: reattach, events, the end of recovery.
    pub recovery: Duration,
    /// Wall time of moving a guest's memory to a file or from one. A terabyte takes most of an hour on a fast disk.
    pub transfer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            instance: InstanceLimits::default(),
            cpu: Duration::from_millis(500),
            cpu_burst: CPU_BURST,
            cpu_per_second: CPU_PER_SECOND,
            host_call_burst: HOST_CALL_BURST,
            host_calls_per_second: HOST_CALLS_PER_SECOND,
            event_burst: EVENT_BURST,
            events_per_second: EVENTS_PER_SECOND,
            log_burst_bytes: LOG_BURST_BYTES,
            log_bytes_per_second: LOG_BYTES_PER_SECOND,
            plan: Duration::from_secs(10),
            start: Duration::from_secs(60),
            control: Duration::from_secs(20),
            end: Duration::from_secs(30),
            recovery: Duration::from_secs(30),
            transfer: Duration::from_secs(3_600),
        }
    }
}
