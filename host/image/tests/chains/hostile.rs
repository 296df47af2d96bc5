//! The catalogue of hostile images, as far as it concerns raw and qcow2 headers.

use std::fs;
use std::path::Path;
use std::process::Command;

use hostler_image::{Format, ImageError, Inspection, Progress, ReferencePolicy};
use serde_json::Value;
use tempfile::TempDir;

use crate::disk::{resolve, say, shared};

/// Families whose verdict follows from the header and the policy alone.
const FAMILIES: [&str; 5] = ["control", "backing", "chain", "data-file", "qcow2-header"];

/// Needs the tables behind the header, which are not read when a chain is walked.
const BEYOND_THE_HEADER: &str = "deep";

/// The images, made anew, and what is recorded of them.
fn catalogue() -> Option<(TempDir, Value)> {
    let corpus = shared("corpus/hostile-images")?;
    let home = TempDir::new().unwrap();
    for entry in fs::read_dir(&corpus).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), home.path().join(entry.file_name())).unwrap();
    }
    let made = Command::new("python3").args(["make.py", "gen"]).current_dir(home.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let expected = serde_json::from_slice(&fs::read(corpus.join("expected.json")).unwrap()).unwrap();
    Some((home, expected))
}

/// What a screening of a whole image comes to.
fn screened(file: &Path, format: Format) -> Result<(), ImageError> {
    let image = fs::read(file).unwrap();
    let mut inspection = Inspection::new(format, image.len() as u64).screened();
    loop {
        match inspection.advance()? {
            Progress::Done(_) => return Ok(()),
            Progress::Need(range) => {
                let from = usize::try_from(range.offset).unwrap();
                inspection.supply(image[from..from + range.length].to_vec())?;
            }
        }
    }
}

#[test]
fn hostile_tables_are_found_by_screening() {
    let Some((home, expected)) = catalogue() else { return };
    let (mut judged, mut wrong) = (0, Vec::new());
    for image in expected["images"].as_array().unwrap() {
        let file = home.path().join("images").join(image["file"].as_str().unwrap());
        let verdict = image["verdict"].as_str().unwrap();
        let control = image["family"] == "control" && verdict == "safe";
        let deep = image["tier"] == BEYOND_THE_HEADER && verdict == "must-refuse";
        if image["declared"] != "qcow2" || !(control || deep) {
            continue;
        }
        judged += 1;
        if screened(&file, Format::Qcow2).is_ok() != control {
            wrong.push(format!("{}: {}", image["id"], image["reason"]));
        }
    }
    say(&format!("screened images passed {} of {judged}", judged - wrong.len()));
    assert!(wrong.is_empty() && judged > 10, "{judged} judged, wrong: {wrong:#?}");
}

#[test]
fn hostile_headers_get_the_verdict_they_deserve() {
    let Some((home, expected)) = catalogue() else { return };
    let (mut judged, mut wrong) = (0, Vec::new());
    for image in expected["images"].as_array().unwrap() {
        let family = image["family"].as_str().unwrap();
        if !FAMILIES.contains(&family) || image["tier"] == BEYOND_THE_HEADER {
            continue;
        }
        let Some(format) = image["declared"].as_str().and_then(Format::from_xml_name) else { continue };
        if !format.is_parsed() {
            continue;
        }
        judged += 1;
        wrong.extend(judge(&home.path().join("images"), image, format));
    }
    say(&format!("hostile images passed {} of {judged}", judged - wrong.len()));
    assert!(wrong.is_empty() && judged > 170, "{judged} judged, wrong: {wrong:#?}");
}

fn judge(images: &Path, image: &Value, format: Format) -> Option<String> {
    let file = images.join(image["file"].as_str().unwrap());
    let result = resolve(&file, format, ReferencePolicy::default());
    let safe = image["verdict"] == "safe";
    match result {
        // A corrupt image is refused for writing; this resolves for reading, which is its rescue.
        Ok(chain) if chain.layers[0].header.features.corrupt => None,
        Ok(chain) if safe => {
            let size = image["virtual_size"].as_u64();
            let found = chain.layers[0].header.virtual_size;
            size.filter(|size| *size != found)
                .map(|size| format!("{}: size {found} want {size}", image["id"]))
        }
        Ok(_) => Some(format!("{}: accepted, {}", image["id"], image["reason"])),
        Err(error) if safe => Some(format!("{}: refused: {error}", image["id"])),
        Err(_) => None,
    }
}
