//! Fuzzing apart from its targets: `generators` make cases, `oracles` hold the product to its promises.
//!
//! A target in `targets/` only joins the two. An oracle panics when a promise is broken; what it expects is
//! worked out here, not by the code that is under test. `cargo xtask fuzz` runs the targets.
//!
//! A finding lies in `artifacts/TARGET/`; `cargo +nightly fuzz run TARGET FILE`, here, shows it again. It is done
//! when the crate at fault has a test of its own for it. `corpus/` holds seeds, `dictionaries/` words.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod generators;
pub mod oracles;
