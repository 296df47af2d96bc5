//! The chain corpus made from libvirt's behaviour: the cases that need only raw, qcow2 and local files, and
//! in which nothing is probed.

use std::fs;
use std::path::Path;

use hostler_image::{Format, ReferencePolicy};
use serde_json::Value;

use crate::disk::{resolve, say, shared};

/// Cases in which libvirt guesses a format that we refuse to guess; the deviation is the point.
const STRICTER: &str = "auto";

#[test]
fn local_chains_come_out_as_in_the_corpus() {
    let Some(corpus) = shared("corpus") else { return };
    let images = corpus.join("images");
    let (mut judged, mut stricter) = (0, 0);
    for line in fs::read_to_string(corpus.join("chain/chain.jsonl")).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let name = case["name"].as_str().unwrap();
        let start = case["start"].as_str().unwrap().replace("@IMAGES@", images.to_str().unwrap());
        let local = !start.ends_with('/') && Path::new(&start).is_absolute();
        let Some(format) = case["declared_format"].as_str().and_then(Format::from_xml_name) else { continue };
        if !local || !format.is_parsed() || foreign(&case) {
            continue;
        }
        let found = resolve(Path::new(&start), format, ReferencePolicy::declared_only().with_root(&images));
        let expected = case["chain"].as_array();
        match (found, expected) {
            (Ok(chain), Some(expected)) => assert_eq!(chain.layers.len(), expected.len(), "{name}"),
            (Err(_), None) => {}
            (Err(error), Some(_)) if name.contains(STRICTER) => {
                assert_eq!(error.code(), "image.format-missing", "{name}: {error}");
                stricter += 1;
            }
            (found, expected) => panic!("{name}: found {found:?}, expected {expected:?}"),
        }
        judged += 1;
    }
    say(&format!("chain passed {judged} of {judged}, {stricter} of them refused where libvirt guesses"));
    assert!(judged >= 3, "only {judged} cases could be judged");
}

/// Whether a layer needs a network or another format.
fn foreign(case: &Value) -> bool {
    let name = case["name"].as_str().unwrap();
    name.contains("nbd") || name.contains("qed") || name.contains("symlink")
}
