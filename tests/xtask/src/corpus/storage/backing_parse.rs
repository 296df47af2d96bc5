//! References as they stand in images, and the sources that they describe.

use super::Outcome;
use super::records::{plain_xml, read, same};
use anyhow::Result;
use hostler_image::{Profile, SourceReading, read_source};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
struct Case {
    name: String,
    input: String,
    /// `ok`, `unsupported-auth` or `error`.
    expect: String,
    xml: Option<String>,
}

pub(super) fn judge(directory: &Path) -> Result<Vec<Outcome>> {
    let cases: Vec<Case> = read(&directory.join("backing-parse.jsonl"))?;
    Ok(cases.into_iter().map(|case| (case.name.clone(), one(&case))).collect())
}

fn one(case: &Case) -> Result<(), String> {
    let (outcome, source) = match read_source(&case.input, Profile::Compatible) {
        SourceReading::Usable(source) => ("ok", Some(source)),
        SourceReading::WithUnsupported { source, .. } => ("unsupported-auth", Some(source)),
        SourceReading::Malformed { .. } => ("error", None),
    };
    same(&outcome, &case.expect.as_str())?;
    let found = source.map(|source| plain_xml(&source.to_xml())).unwrap_or_default();
    same(&found, &case.xml.as_deref().map(plain_xml).unwrap_or_default())
}
