//! What `hostler -o json` answers when it refuses.

use anyhow::{Context, Result};
use serde_json::Value;
use std::fmt;
use std::process::Output;

/// A refusal, as `hostler -o json` tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
    /// The path of the element; empty when none is named.
    pub(crate) element: String,
    /// Line and column from 1; 0 when none is named.
    pub(crate) line: u64,
    pub(crate) column: u64,
    /// How many hints there are.
    pub(crate) hints: usize,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        if self.element.is_empty() { Ok(()) } else { write!(f, " ({})", self.element) }
    }
}

/// Reads what a command that failed wrote.
///
/// # Errors
/// It is no error in JSON.
pub(super) fn read(output: &Output) -> Result<Refusal> {
    let text = [&output.stderr, &output.stdout].into_iter().find(|text| text.starts_with(b"{"));
    let text = text.with_context(|| format!("no JSON: {}", String::from_utf8_lossy(&output.stderr)))?;
    parse(&serde_json::from_slice(text).context("the error is no JSON")?)
}

fn parse(data: &Value) -> Result<Refusal> {
    let error = data.get("error").context("no error in the answer")?;
    let text = |place: &str| error.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |place: &str| text(place).parse().unwrap_or(0);
    Ok(Refusal {
        code: text("/code"),
        message: text("/message"),
        element: text("/subject/element"),
        line: number("/subject/line"),
        column: number("/subject/column"),
        hints: error.get("hints").and_then(Value::as_array).map_or(0, Vec::len),
    })
}

#[cfg(test)]
mod tests {
    use super::{Refusal, parse};
    use serde_json::json;

    #[test]
    fn a_refusal_is_read_from_the_commands_json() {
        let data = json!({"error": {"code": "xml.conflict", "message": "m", "hints": [{"text": "h"}],
            "subject": {"element": "domain/os", "line": "3", "column": "5"}}});
        let expected = Refusal {
            code: "xml.conflict".to_owned(),
            message: "m".to_owned(),
            element: "domain/os".to_owned(),
            line: 3,
            column: 5,
            hints: 1,
        };
        assert_eq!(parse(&data).unwrap(), expected);
        let placeless = parse(&json!({"error": {"code": "image.missing"}})).unwrap();
        assert_eq!((placeless.line, placeless.hints), (0, 0));
        assert!(parse(&json!({})).is_err());
    }
}
