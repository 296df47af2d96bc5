//! The verbs: define, start, shutdown and the rest, one file each; jobs, events, recovery.
