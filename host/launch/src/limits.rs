//! Every limit of this crate, in one place.

use std::time::Duration;

/// Most levels in a value.
pub const VALUE_DEPTH_MAX: usize = 64;
/// Most nodes in all values of a plan.
pub const PLAN_NODES_MAX: usize = 65_536;
/// Most bytes of text in all values of a plan.
pub const PLAN_TEXT_MAX_BYTES: usize = 4 << 20;
/// Most handles that travel with a plan.
pub const HANDLES_MAX: usize = 1_024;
/// Most descriptors that a program inherits.
pub const PROGRAM_FDS_MAX: usize = 480;
/// Companions of one launch: helpers of a handful of kinds, and some file systems.
pub const COMPANIONS_MAX: usize = 32;
/// Longest line from a hypervisor or between client and shim, in bytes.
pub const LINE_MAX_BYTES: usize = 16 << 20;
/// Most levels in a message from a hypervisor.
pub const MESSAGE_DEPTH_MAX: usize = 64;
/// Events a shim remembers.
pub const EVENTS_KEPT: usize = 1_024;
/// Largest event that is remembered, in bytes; a larger one keeps its name and loses its data.
pub const EVENT_MAX_BYTES: usize = 64 << 10;
/// Events in one second before the shim stops remembering them one by one.
pub const EVENTS_PER_SECOND: u32 = 1_000;
/// Size at which a console's or the program's log is rolled over (one previous is kept), in bytes.
pub const LOG_MAX_BYTES: u64 = 2 << 20;
/// What a console replays to a client that asks, in bytes.
pub const REPLAY_BYTES: usize = 64 << 10;
/// What the shim keeps for a slow console client before dropping it, in bytes.
pub const CONSOLE_BACKLOG_BYTES: usize = 256 << 10;
/// Last words of the program that a client can ask for, in bytes.
pub const OUTPUT_TAIL_BYTES: usize = 16 << 10;
/// Clients connected to one shim at once, consoles included.
pub const CLIENTS_MAX: usize = 32;
/// Most consoles of one domain, with those that come while it runs.
pub const CONSOLES_MAX: usize = 256;
/// What the answers to commands that were sent at once may have together, in bytes: room for one of the longest.
pub const ANSWERS_MAX_BYTES: usize = LINE_MAX_BYTES + (1 << 20);
/// Descriptors in one message.
pub const MESSAGE_FDS_MAX: usize = 16;
/// Commands of one client waiting for their answers.
pub const COMMANDS_MAX: usize = 256;
/// Commands without an answer, of clients and reactions together, at which a reaction is left out: twice what all
/// clients can have under way.
pub const REACTIONS_STOP_AT: usize = 2 * CLIENTS_MAX * COMMANDS_MAX;
/// Time for calls to the shim itself, which never wait for the hypervisor.
pub const SHIM_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest alias or socket name, in bytes.
pub const NAME_MAX_BYTES: usize = 64;
/// What a shim keeps for a client that does not read its answers, in bytes, before dropping it.
pub const CLIENT_BACKLOG_BYTES: usize = 2 * LINE_MAX_BYTES;
/// Memory that remembered events may take, in bytes.
pub const EVENTS_BYTES: usize = 2 << 20;
/// Time for clients to take the news of the end before the shim goes.
pub const FAREWELL: Duration = Duration::from_secs(1);
