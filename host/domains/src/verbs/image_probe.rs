//! `image probe`: the verdict on one file that somebody hands over.

use std::path::Path;

use hostler_image::redact;

use crate::chain;
use crate::error::Error;
use crate::image_summary::{ImageProbe, NamedFileReport};

/// Judges an image from elsewhere before anything opens it: is it what it is declared to be, and nothing else?
///
/// Stricter than a start, which trusts what is defined: no other file may be named, and what looks like another
/// format is refused. `root` is the directory that the file must lie in, by default the one it is named in. Needs
/// no state and no driver, opens nothing but the file, and blocks on small reads.
///
/// # Errors
/// A file that is not there or not beneath `root`, a word that is not known. What is wrong with the image is in
/// the answer.
pub fn probe_image(root: Option<&Path>, file: &Path, declared: Option<&str>) -> Result<ImageProbe, Error> {
    let full = |path: &Path| std::path::absolute(path).map_err(|error| chain::no_path(path, error));
    let file = full(file)?;
    let root = match root {
        Some(root) => full(root)?,
        None => file.parent().unwrap_or(&file).to_owned(),
    };
    let probe = hostler_runtime::probe_image(&root, &file, declared)?;
    let refs = probe.references.into_iter().map(|named| NamedFileReport {
        kind: named.kind.word(),
        target: redact(&named.target),
        format: named.format,
    });
    Ok(ImageProbe {
        verdict: probe.verdict.word(),
        format: probe.format,
        virtual_size: probe.virtual_size,
        refs: refs.collect(),
        refusal: probe.refusal.map(Error::from),
    })
}
