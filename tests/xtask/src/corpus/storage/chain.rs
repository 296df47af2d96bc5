//! Layers of a chain: found by name, and named by one another.

use super::Outcome;
use super::records::{copy_tree, read, same};
use anyhow::{Context, Result};
use hostler_image::{LayerQuery, NamedLayer, find_layer, relative_name};
use serde::Deserialize;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Stands for the tree of files in which names are looked up.
const TREE: &str = "@LOOKUP@";

#[derive(Deserialize)]
struct Layer {
    path: String,
    rel_path: Option<String>,
    #[serde(default)]
    id: u32,
}

#[derive(Deserialize)]
struct Lookup {
    name: String,
    chain: Vec<Layer>,
    disk_target: Option<String>,
    start_from: Option<usize>,
    query: Option<String>,
    /// `ok` or `error`.
    expect: String,
    expect_element: Option<usize>,
    expect_parent: Option<usize>,
}

pub(super) fn lookups(directory: &Path) -> Result<Vec<Outcome>> {
    let cases: Vec<Lookup> = read(&directory.join("chain/lookup.jsonl"))?;
    let home = tempfile::tempdir()?;
    let tree = home.path().join("tree");
    copy_tree(&directory.join("chain/lookup-tree"), &tree)?;
    Ok(cases.into_iter().map(|case| (case.name.clone(), lookup(&case, &tree))).collect())
}

fn lookup(case: &Lookup, tree: &Path) -> Result<(), String> {
    let placed = |text: &str| text.replace(TREE, &tree.display().to_string());
    let paths: Vec<String> = case.chain.iter().map(|layer| placed(&layer.path)).collect();
    let layers: Vec<NamedLayer<'_>> = case
        .chain
        .iter()
        .zip(&paths)
        .map(|(layer, path)| NamedLayer { number: layer.id, path, recorded: layer.rel_path.as_deref() })
        .collect();
    let name = case.query.as_deref().map(placed);
    let query =
        LayerQuery { name: name.as_deref(), disk: case.disk_target.as_deref(), below: case.start_from };
    // As recorded: relative to the directory of the layer above, and for the active layer to the working directory.
    let found = find_layer(&layers, query, |above, name, place| {
        let above = above.and_then(|above| Some(Path::new(paths.get(above)?).parent()?.to_owned()));
        let named = tree.join(above.unwrap_or_default()).join(name);
        paths.get(place).is_some_and(|path| is_same_file(&named, &tree.join(path)))
    });
    same(&if found.is_ok() { "ok" } else { "error" }, &case.expect.as_str())?;
    let Ok(found) = found else { return Ok(()) };
    same(&format!("{:?}", Some(found)), &format!("{:?}", case.expect_element))?;
    same(&format!("{:?}", found.checked_sub(1)), &format!("{:?}", case.expect_parent))
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|facts| (facts.dev(), facts.ino()));
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

#[derive(Deserialize)]
struct Span {
    name: String,
    top: usize,
    base: usize,
    /// `None` where the layers do not all have relative names.
    expect: Option<String>,
}

pub(super) fn relative_paths(directory: &Path) -> Result<Vec<Outcome>> {
    let spans: Vec<Span> = read(&directory.join("chain/relative-path.jsonl"))?;
    let file = directory.join("chain/relative-path-chain.json");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let chain: Vec<Layer> = serde_json::from_str(&text)?;
    Ok(spans.into_iter().map(|span| (span.name.clone(), relative(&chain, &span))).collect())
}

fn relative(chain: &[Layer], span: &Span) -> Result<(), String> {
    // A base above the top is never met: the names of all layers below are what there is.
    let end = if span.base < span.top { chain.len() } else { span.base.saturating_add(1) };
    let layers = chain.get(span.top..end).unwrap_or_default();
    let found = relative_name(layers.iter().map(|layer| layer.rel_path.as_deref()));
    same(&format!("{found:?}"), &format!("{:?}", span.expect))
}
