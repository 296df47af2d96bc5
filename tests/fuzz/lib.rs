//! Fuzzing apart from its targets: `generators` make cases, `oracles` hold the product to its promises.
//!
//! A target in `targets/` only joins the two. An oracle panics when a promise is broken; what it expects is
//! worked out here, not by the code that is under test. `cargo xtask fuzz` runs the targets.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod generators;
pub mod oracles;
