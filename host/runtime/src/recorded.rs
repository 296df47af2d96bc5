//! A launch that was recorded instead of started, for `native-config`.

use hostler_launch::{Companion, Handle, Plan};

/// The launch that `start` would ask for. Its descriptors are absent: nothing was opened.
#[derive(Debug)]
pub struct Recorded {
    /// The plan as the driver gave it, not checked against the program's policy yet.
    pub plan: Plan,
    /// The programs that it would start beside it.
    pub companions: Vec<Companion>,
    /// What their handle leaves stand for.
    pub handles: Vec<Handle>,
}
