//! `cargo xtask corpus storage [DIR]`: what the storage-chain core makes of recorded references, sources and chains.
//!
//! In the compatible profile: the records are of libvirt 8.5.

mod backing_parse;
mod blockdev;
mod chain;
mod conforms;
mod documents;
mod image_create;
mod nodes;
mod records;
mod walk;

use anyhow::{Result, bail};
use std::path::Path;

/// What became of one case: nothing, or how it differs.
type Outcome = (String, Result<(), String>);

/// A corpus: its name and how its cases are judged.
type Corpus = (&'static str, fn(&Path) -> Result<Vec<Outcome>>);

const CORPORA: [Corpus; 11] = [
    ("backing-parse", backing_parse::judge),
    ("blockdev/xml-json-xml", blockdev::round_trips),
    ("blockdev/json2json", blockdev::descriptions),
    ("blockdev/xml2json (target)", blockdev::targets),
    ("blockdev/xml2json", nodes::judge),
    ("imagecreate", image_create::judge),
    ("blockdev/schema", conforms::judge),
    ("blockdev/started", |_| crate::samples::open_all()),
    ("chain/chain", walk::judge),
    ("chain/lookup", chain::lookups),
    ("chain/relative-path", chain::relative_paths),
];

/// Judges every corpus below a directory, and fails when one has a difference.
pub(super) fn run(directory: &Path, verbose: bool) -> Result<()> {
    let mut different = 0_usize;
    for (name, judge) in CORPORA {
        let outcomes = judge(directory)?;
        let passed = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).count();
        different += outcomes.len() - passed;
        for (case, outcome) in &outcomes {
            match outcome {
                Err(why) => println!("  {case}: {why}"),
                Ok(()) if verbose => println!("  {case}: as recorded"),
                Ok(()) => {}
            }
        }
        println!("{name} passed {passed} of {}", outcomes.len());
    }
    if different > 0 {
        bail!("{different} cases are not as recorded");
    }
    Ok(())
}
