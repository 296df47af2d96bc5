//! Notes to oneself: an issue or nothing.

use crate::Violation;
use crate::source::{Source, word_positions};

/// Words that mark unfinished work.
const MARKERS: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];
/// Macros that stand for code not written.
const STUBS: &[&str] = &["todo!", "unimplemented!"];

/// Every marker without an issue number, and every stub.
#[must_use]
pub fn violations(sources: &[Source]) -> Vec<Violation> {
    sources.iter().flat_map(check).collect()
}

fn check(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    for marker in MARKERS {
        for at in word_positions(&source.comments, marker) {
            let after = source.comments.get(at + marker.len()..).unwrap_or_default();
            if !has_issue(after) {
                let line = source.line_of(at);
                found.push(format!(
                    "{}:{line}: {marker} without an issue: write {marker}(#123), or do it; notes rot",
                    source.path
                ));
            }
        }
    }
    for stub in STUBS {
        for (at, _) in source.code.match_indices(stub) {
            found.push(format!(
                "{}:{}: {stub} is a promise to a user that fails",
                source.path,
                source.line_of(at)
            ));
        }
    }
    found
}

/// Whether `(#123)` follows.
fn has_issue(after: &str) -> bool {
    let number = after.strip_prefix("(#").and_then(|rest| rest.split_once(')'));
    number.is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::violations;
    use crate::source::Source;

    #[test]
    fn markers_need_an_issue_and_stubs_are_refused() {
        let good = Source::new("a.rs", "// TODO(#12): x\nlet a = \"TODO\";");
        assert!(violations(&[good]).is_empty());
        for text in ["// TODO: x", "/* FIXME (#1) */", "fn a() { todo!() }"] {
            assert_eq!(violations(&[Source::new("a.rs", text)]).len(), 1, "{text}");
        }
    }
}
