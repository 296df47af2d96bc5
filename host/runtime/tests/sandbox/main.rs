//! Drivers as the host runs them: ordinary ones and hostile ones, their faults, limits and manifests.
//!
//! The components come from `cargo xtask components`, and from the folder `tests/guests/hostile`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed test is all that can come of it"
)]

mod driver;
mod guide;
mod hostile;
mod setting;
mod since;
