//! The catalogue of hostile images: as images from elsewhere, and as layers of a chain.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use hostler_image::{Assessed, Declared, Format, Progress, READ_BUDGET, ReferencePolicy, Verdict, assess};
use serde_json::Value;
use tempfile::TempDir;

use crate::disk::{resolve, say, shared};

/// Families whose verdict follows from the header and the policy alone.
const FAMILIES: [&str; 9] =
    ["control", "backing", "chain", "data-file", "qcow2-header", "vmdk", "vhd", "vhdx", "vdi"];

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

/// What an assessment of an image comes to, and how many bytes it took.
pub(crate) fn assessed(file: &Path, declared: Option<Declared>) -> (Assessed, u64) {
    let image = File::open(file).unwrap();
    let mut assessment = assess(declared, image.metadata().unwrap().len());
    let mut asked = 0;
    loop {
        match assessment.advance() {
            Progress::Done(assessed) => return (*assessed, asked),
            Progress::Need(range) => {
                asked += range.length as u64;
                let mut bytes = vec![0; range.length];
                image.read_exact_at(&mut bytes, range.offset).unwrap();
                assessment.supply(bytes).unwrap();
            }
        }
    }
}

/// Whether the verdict follows from the content of the image.
fn of_content(image: &Value) -> bool {
    image["tier"] != "fs" && image["declared"] != "nvram"
}

#[test]
fn images_from_elsewhere_get_the_verdict_they_deserve() {
    let Some((home, expected)) = catalogue() else { return };
    let (mut judged, mut wrong) = (0, Vec::new());
    for image in expected["images"].as_array().unwrap().iter().filter(|image| of_content(image)) {
        let declared =
            image["declared"].as_str().map(|word| Declared::from_word(word).expect("a word for a format"));
        judged += 1;
        let file = home.path().join("images").join(image["file"].as_str().unwrap());
        let (found, asked) = assessed(&file, declared);
        if asked > READ_BUDGET {
            wrong.push(format!("{}: {asked} bytes read", image["id"]));
        }
        wrong.extend(difference(image, &found));
    }
    say(&format!("assessed images passed {} of {judged}", judged - wrong.len()));
    assert!(wrong.is_empty() && judged > 200, "{judged} judged, wrong: {wrong:#?}");
}

/// The same images said to be raw, or said to be nothing: only data is safe then.
#[test]
fn other_declarations_are_no_way_around() {
    let Some((home, expected)) = catalogue() else { return };
    let (mut judged, mut wrong) = (0, Vec::new());
    for image in expected["images"].as_array().unwrap() {
        let file = home.path().join("images").join(image["file"].as_str().unwrap());
        for case in image["cases"].as_array().unwrap() {
            let declared = match case["context"].as_str().unwrap() {
                "probe" => None,
                "declared-raw-import" => Some(Declared::Image(Format::Raw)),
                _ => continue,
            };
            judged += 1;
            let (found, _) = assessed(&file, declared);
            if matches!(found.verdict, Verdict::Safe) != (case["verdict"] == "safe") {
                wrong.push(format!("{}: {:?}, want {}", image["id"], found.verdict, case["verdict"]));
            }
        }
    }
    say(&format!("other declarations passed {} of {judged}", judged - wrong.len()));
    assert!(wrong.is_empty() && judged > 20, "{judged} judged, wrong: {wrong:#?}");
}

/// How an outcome differs from the recorded one: by the rules of the catalogue's own judge.
fn difference(image: &Value, found: &Assessed) -> Option<String> {
    let verdict = match &found.verdict {
        Verdict::Safe => "safe",
        Verdict::MustRefuse(_) => "must-refuse",
        Verdict::Unsupported(_) => "unsupported",
    };
    if image["verdict"] != verdict {
        return Some(format!(
            "{}: {:?}, want {}: {}",
            image["id"], found.verdict, image["verdict"], image["reason"]
        ));
    }
    let safe = verdict == "safe";
    let size = image["virtual_size"].as_u64().filter(|size| safe && found.virtual_size != Some(*size));
    if let Some(size) = size {
        return Some(format!("{}: size {:?}, want {size}", image["id"], found.virtual_size));
    }
    (safe && !found.references.is_empty()).then(|| format!("{}: names {:?}", image["id"], found.references))
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
        let declared = image["declared"].as_str().and_then(Declared::from_word);
        let Some(Declared::Image(format)) = declared else { continue };
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
