//! Records on disk: crash-safe files, the journal of operations, the event log, locks.
