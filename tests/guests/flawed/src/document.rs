//! Documents: checked as the contract wants it, but for the rule that is broken.

use hostler_sdk::domain::{Document, Domain as Parsed};
use hostler_sdk::{Domain, Error, ProblemExt, problem};

use crate::flaw::has;

/// How large a document is that makes this one hang, in bytes.
const LARGE_BYTES: usize = 900 << 10;
/// How many elements end in a document that makes this one slow: as many as there are in one of 64 KiB.
const MANY: core::ops::Range<usize> = 500..5_000;
/// How long a title is that this one drops, in bytes.
const LONG_BYTES: usize = 8 << 10;

pub(crate) fn check(domain: &Domain) -> Result<String, Error> {
    let config = domain.config();
    break_down(&config);
    if has("check-emits") {
        domain.emit("checked", &[]);
    }
    if has("check-notes") {
        // Refused while a document is checked: asking is what is wrong.
        domain.put_state(b"checked").ok();
    }
    parse(&config)?;
    if has("check-wants-images") && config.contains("<disk") {
        return Err(problem("flawed.image", "the image is not there").detail("element", "disk").invalid());
    }
    Ok(complete(config))
}

/// The document's model.
pub(crate) fn parse(config: &str) -> Result<(), Error> {
    let parsed = match Parsed::parse(config) {
        Ok(parsed) => parsed,
        Err(_) if has("input-traps") => std::process::abort(),
        Err(_) if has("input-no-place") => return Err(problem("flawed.input", "it is wrong").invalid()),
        Err(error) => return Err(error.into()),
    };
    let kind = parsed.kind.as_str();
    let spoilt = has("check-other-type") && kind == "other";
    if kind != "flawed" && !has("input-wrong-type") && !spoilt {
        let message = format!("<domain type='{kind}'> is for another driver");
        return Err(problem("flawed.type", message).unsupported());
    }
    Ok(())
}

fn complete(config: String) -> String {
    if has("check-other-type") {
        return config.replacen("type='flawed'", "type='other'", 1);
    }
    if has("check-grows") {
        return config.replacen("</domain>", "<!-- checked --></domain>", 1);
    }
    if has("check-spoils-names") {
        return config.replacen("&amp; b", "and b", 1);
    }
    if has("check-drops-comments") {
        return without(config, "<!--", "-->");
    }
    if has("check-drops-unknown") {
        return without(config, "<conformance-element", "</conformance-element>");
    }
    if has("check-drops-uuid") {
        return without(config, "<uuid>", "</uuid>");
    }
    if has("limits-cuts") && title_bytes(&config) > LONG_BYTES {
        return without(config, "<title>", "</title>");
    }
    config
}

fn title_bytes(config: &str) -> usize {
    let Ok(document) = Document::parse(config) else { return 0 };
    document.child(document.root(), "title").map_or(0, |title| document.text(title).len())
}

/// A text without everything that stands between two marks, these included.
fn without(text: String, begin: &str, end: &str) -> String {
    let mut kept = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once(begin) {
        kept.push_str(before);
        rest = after.split_once(end).map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept
}

fn break_down(config: &str) {
    let large = config.len() > LARGE_BYTES;
    if (has("input-hangs") && large) || (has("limits-slow") && MANY.contains(&config.matches("</").count())) {
        let mut turns = 0_u64;
        while core::hint::black_box(turns) != u64::MAX {
            turns += 1;
        }
    }
    if has("input-hoards") && large {
        let mut hoard: Vec<Vec<u8>> = Vec::new();
        loop {
            hoard.push(core::hint::black_box(vec![1; 1 << 20]));
        }
    }
    if has("input-recurses") {
        core::hint::black_box(depth(config.as_bytes(), 0));
    }
}

/// How deep elements nest here, by a call for each.
fn depth(text: &[u8], level: u64) -> u64 {
    let frame = core::hint::black_box([level; 16]);
    match text.windows(3).position(|window| window == b"<a>") {
        Some(at) => {
            depth(text.get(at + 3..).unwrap_or_default(), level + 1) + core::hint::black_box(frame)[0] - level
        }
        None => level,
    }
}
