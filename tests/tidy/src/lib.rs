//! The architecture and style rules, as tests: `cargo test -p hostler-tidy`.
//!
//! A rule is a function from what it looks at to a list of violations; each violation says where, what, and
//! why the rule is there. `tests/tidy.rs` runs every rule on this repository; the unit tests beside each rule
//! show that it can fail.

pub mod architecture;
pub mod contract;
pub mod dependencies;
pub mod floors;
pub mod frozen;
pub mod guests;
pub mod markers;
pub mod names;
pub mod repository;
pub mod since;
pub mod sizes;
pub mod source;
pub mod test_habits;
pub mod unsafety;

/// One broken rule at one place, ready to be shown.
pub type Violation = String;
