//! Tests that run always and wait for events, never for time.

use crate::Violation;
use crate::source::{Source, word_positions};

/// Waits for time, whoever defines it.
const SLEEP: &str = "sleep";

/// Every ignored test, and every sleep in test code.
#[must_use]
pub fn violations(sources: &[Source]) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources {
        for attribute in ["#[ignore]", "#[ignore =", "#[ignore="] {
            found.extend(source.code.match_indices(attribute).map(|(at, _)| {
                let line = source.line_of(at);
                format!("{}:{line}: an ignored test tests nothing; run it or delete it", source.path)
            }));
        }
        for range in source.test_code() {
            let start = range.start;
            let code = source.code.get(range).unwrap_or_default();
            let calls = |at: &usize| code.get(at + SLEEP.len()..).is_some_and(|after| after.starts_with('('));
            found.extend(word_positions(code, SLEEP).into_iter().filter(calls).map(|at| {
                let line = source.line_of(start + at);
                format!(
                    "{}:{line}: a test that sleeps is slow on a fast machine and fails on a slow one; wait for the event",
                    source.path
                )
            }));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::violations;
    use crate::source::Source;

    #[test]
    fn ignored_and_sleeping_tests_are_found() {
        let sleeping =
            "fn a() { sleep(1); }\n#[cfg(test)]\nmod tests {\n fn b() { std::thread::sleep(x); }\n}\n";
        let found = violations(&[Source::new("host/x/src/a.rs", sleeping)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("host/x/src/a.rs:4:"));
        assert_eq!(violations(&[Source::new("tests/all/src/a.rs", "sleep(1);")]).len(), 1);
        assert_eq!(violations(&[Source::new("a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}")]).len(), 1);
    }
}
