//! Whole chains, resolved from the headers of recorded images.

use super::Outcome;
use super::records::{copy_tree, read};
use anyhow::{Context, Result, bail, ensure};
use hostler_domain::storage_source::Location;
use hostler_image::{COMPATIBLE_WINDOW, CompatibleLayer, Format, Looked, resolve_compatible};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::process::Command;

/// Stands for the directory of the images.
const IMAGES: &str = "@IMAGES@";
/// Stands for a directory of the case's own.
const SCRATCH: &str = "@TMP@";

#[derive(Deserialize)]
struct Case {
    name: String,
    start: String,
    declared_format: String,
    max_depth: usize,
    /// `ok` or `error`.
    expect: String,
    chain: Option<Vec<Value>>,
    /// Command lines that make the images first.
    setup: Option<Vec<Vec<String>>>,
}

pub(super) fn judge(directory: &Path) -> Result<Vec<Outcome>> {
    let cases: Vec<Case> = read(&directory.join("chain/chain.jsonl"))?;
    let home = tempfile::tempdir()?;
    let images = home.path().join("images");
    copy_tree(&directory.join("images"), &images)?;
    let scratch = home.path().join("scratch");
    fs::create_dir(&scratch)?;
    let placed = |text: &str| {
        text.replace(IMAGES, &images.display().to_string()).replace(SCRATCH, &scratch.display().to_string())
    };
    cases.into_iter().map(|case| Ok((case.name.clone(), compare(&case, &scratch, &placed)?))).collect()
}

fn compare(case: &Case, scratch: &Path, placed: &dyn Fn(&str) -> String) -> Result<Result<(), String>> {
    for words in case.setup.iter().flatten() {
        run(words, scratch, placed)?;
    }
    let declared = match case.declared_format.as_str() {
        "auto" | "none" => None,
        name => Some(Format::from_xml_name(name).with_context(|| format!("no format is called '{name}'"))?),
    };
    let found = resolve_compatible(&mut look, &placed(&case.start), declared, case.max_depth);
    Ok(match (found, &case.chain, case.expect.as_str()) {
        (Err(_), _, "error") => Ok(()),
        (Err(error), ..) => Err(format!("is refused: {error}")),
        (Ok(layers), _, "error") => {
            Err(format!("is resolved to {} layers, recorded is an error", layers.len()))
        }
        (Ok(layers), recorded, _) => compare_layers(&layers, recorded.as_deref().unwrap_or_default(), placed),
    })
}

fn run(words: &[String], scratch: &Path, placed: &dyn Fn(&str) -> String) -> Result<()> {
    let Some((program, arguments)) = words.split_first() else { bail!("an empty command line") };
    ensure!(program == "qemu-img", "'{program}' is not run");
    let mut command = Command::new(program);
    let status = command.args(arguments.iter().map(|word| placed(word))).current_dir(scratch).status()?;
    ensure!(status.success(), "{words:?} fails");
    Ok(())
}

fn look(path: &str) -> io::Result<Looked> {
    let file = File::open(path)?;
    let facts = file.metadata()?;
    if facts.is_dir() {
        return Ok(Looked::Directory);
    }
    let mut start = Vec::new();
    file.take(COMPATIBLE_WINDOW as u64).read_to_end(&mut start)?;
    Ok(Looked::File { length: facts.len(), start })
}

fn compare_layers(
    layers: &[CompatibleLayer],
    recorded: &[Value],
    placed: &dyn Fn(&str) -> String,
) -> Result<(), String> {
    let found: Vec<Value> = layers.iter().map(described).collect();
    let expected: Vec<Value> = recorded
        .iter()
        .map(|layer| {
            let mut layer = layer.clone();
            if let Some(Value::String(path)) = layer.get_mut("path") {
                *path = placed(path);
            }
            layer
        })
        .collect();
    let (found, expected) = (Value::from(found), Value::from(expected));
    if found == expected { Ok(()) } else { Err(format!("is {found}, recorded is {expected}")) }
}

fn described(layer: &CompatibleLayer) -> Value {
    let path = match &layer.location {
        Location::File(path) | Location::Block(path) | Location::Dir(path) => Some(path.as_str()),
        Location::Network(source) => source.name.as_deref(),
        _ => None,
    };
    let hostname = layer.host().and_then(|host| host.name.as_deref());
    json!({
        "path": path,
        "backing_raw": layer.backing,
        "capacity": layer.capacity,
        "encrypted": layer.encrypted,
        "rel_path": layer.relative,
        "type": layer.location.type_name(),
        "format": layer.format.xml_name(),
        "protocol": layer.network().map(|source| source.protocol.to_string()),
        "hostname": hostname,
    })
}
