//! One option of a command line, parsed and made comparable.

use super::form::Form as Comparison;
use super::keyval::{self, Syntax, syntax};
use super::tokens::Token;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How the value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Flag,
    Json,
    KeyValue,
    Text,
}

/// An option ready to be compared.
#[derive(Debug, Clone)]
pub(crate) struct CliOption {
    /// Its name, aliases resolved.
    pub(crate) name: String,
    /// The value as written.
    pub(crate) raw: Option<String>,
    pub(crate) form: Form,
    /// The parsed value with host-specific parts replaced; null for a flag.
    pub(crate) value: Value,
    /// Position among all options.
    pub(crate) position: usize,
    /// Leaves by dotted path, as text; `None` for a flag or plain text.
    pub(crate) leaves: Option<BTreeMap<String, String>>,
    /// Whether the form does not count.
    loose: bool,
    /// Whether it may have been recorded without some of its members.
    lossy: bool,
}

impl CliOption {
    /// Parses one token.
    pub(crate) fn new(token: Token, position: usize, comparison: &Comparison) -> Self {
        let (form, value) = match &token.value {
            None if token.option == "-enable-kvm" => (Form::KeyValue, json!({"accel": "kvm"})),
            None => (Form::Flag, Value::Null),
            Some(raw) => parse_value(resolve_alias(&token.option), raw),
        };
        let name = resolve_alias(&token.option).to_owned();
        let value = comparison.normalise(&name, value);
        let lossy = comparison.lost_interfaces() && name == "-device" && value.get("netdev").is_some();
        let leaves = matches!(form, Form::Json | Form::KeyValue).then(|| leaves_of(&value));
        Self { name, raw: token.value, form, value, position, leaves, loose: comparison.loose, lossy }
    }

    /// What other options call it by.
    pub(crate) fn id(&self) -> Option<&str> {
        ["id", "node-name"].iter().find_map(|key| self.value.get(key)?.as_str())
    }

    /// Equal in form, and in value: typed for JSON, as text otherwise. In the loose form, two forms with the same
    /// leaves are equal too, and a recording that lost members is equal to what has them.
    pub(crate) fn is_exactly(&self, other: &Self) -> bool {
        if self.lossy && other.lossy {
            let (left, right) = (self.leaves.iter().flatten(), other.leaves.as_ref());
            return right.is_some_and(|right| left.clone().all(|(key, value)| right.get(key) == Some(value)));
        }
        if self.form != other.form {
            return self.loose && self.leaves.is_some() && self.leaves == other.leaves;
        }
        match self.form {
            Form::Flag => true,
            Form::KeyValue => self.leaves == other.leaves,
            Form::Json | Form::Text => self.value == other.value,
        }
    }
}

fn resolve_alias(option: &str) -> &str {
    match option {
        "-M" => "-machine",
        "-enable-kvm" => "-accel",
        other => other,
    }
}

fn parse_value(option: &str, raw: &str) -> (Form, Value) {
    if raw.starts_with('{')
        && let Ok(value) = serde_json::from_str(raw)
    {
        return (Form::Json, value);
    }
    if option == "-global" {
        return (Form::KeyValue, parse_global(raw));
    }
    match syntax(option) {
        Syntax::Plain => (Form::Text, Value::from(raw)),
        Syntax::Keyed(_) => (Form::KeyValue, keyval::parse(option, raw)),
        Syntax::Unknown if looks_keyed(raw) => (Form::KeyValue, keyval::parse(option, raw)),
        Syntax::Unknown => (Form::Text, Value::from(raw)),
    }
}

/// `driver.property=value` is the short spelling of `driver=…,property=…,value=…`.
fn parse_global(raw: &str) -> Value {
    let short = || {
        let (left, value) = raw.split_once('=')?;
        let (driver, property) = left.split_once('.')?;
        let plain = !driver.is_empty() && !driver.contains(',') && !property.is_empty();
        plain.then(|| json!({"driver": driver, "property": property, "value": value}))
    };
    let long = raw.contains("driver=");
    short().filter(|_| !long).unwrap_or_else(|| keyval::parse("-global", raw))
}

/// A word, then an equals sign.
fn looks_keyed(raw: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || "_.+-".contains(c);
    raw.split_once('=').is_some_and(|(key, _)| !key.is_empty() && key.chars().all(word))
}

/// Every leaf of a value by its dotted path.
fn leaves_of(value: &Value) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    // An explicit stack: the depth of a value comes from the outside.
    let mut todo = vec![(String::new(), value)];
    while let Some((path, value)) = todo.pop() {
        match value {
            Value::Object(object) if object.is_empty() && path.is_empty() => {}
            Value::Object(object) if object.is_empty() => {
                leaves.insert(path, "@{}@".to_owned());
            }
            Value::Array(items) if items.is_empty() => {
                leaves.insert(path, "@[]@".to_owned());
            }
            Value::Object(object) => todo.extend(object.iter().map(|(key, item)| (join(&path, key), item))),
            Value::Array(items) => {
                todo.extend(items.iter().enumerate().map(|(n, item)| (join(&path, &n.to_string()), item)));
            }
            leaf => {
                leaves.insert(path, leaf_text(leaf));
            }
        }
    }
    leaves
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The text of a leaf, with the spellings of a switch and of a hexadecimal number made one.
fn leaf_text(leaf: &Value) -> String {
    match leaf {
        Value::Bool(true) => "on".to_owned(),
        Value::Bool(false) => "off".to_owned(),
        Value::Null => "@null@".to_owned(),
        Value::String(text) => match text.as_str() {
            "yes" | "true" => "on".to_owned(),
            "no" | "false" => "off".to_owned(),
            other => hexadecimal(other).map_or_else(|| other.to_owned(), |number| number.to_string()),
        },
        other => other.to_string(),
    }
}

fn hexadecimal(text: &str) -> Option<u128> {
    let digits = text.strip_prefix("0x")?;
    let plain = digits.chars().all(|c| c.is_ascii_hexdigit());
    u128::from_str_radix(digits, 16).ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::{CliOption, Comparison, Form};
    use crate::corpus::tokens::Token;

    fn option(name: &str, value: &str) -> CliOption {
        CliOption::new(
            Token { option: name.to_owned(), value: Some(value.to_owned()) },
            0,
            &Comparison::default(),
        )
    }

    fn equal(name: &str, left: &str, right: &str) -> bool {
        option(name, left).is_exactly(&option(name, right))
    }

    #[test]
    fn json_is_compared_typed_and_without_member_order() {
        assert!(equal("-device", r#"{"driver":"a","id":"b"}"#, r#"{"id":"b","driver":"a"}"#));
        assert!(!equal("-device", r#"{"driver":"a","x":1}"#, r#"{"driver":"a","x":"1"}"#));
        assert!(!equal("-device", r#"{"driver":"a","x":[1,2]}"#, r#"{"driver":"a","x":[2,1]}"#));
    }

    #[test]
    fn json_and_key_value_are_two_forms() {
        assert!(!equal("-device", r#"{"driver":"a","id":"b"}"#, "a,id=b"));
    }

    #[test]
    fn key_value_is_compared_as_text_without_order() {
        assert!(equal("-boot", "menu=on,strict=on", "strict=yes,menu=true"));
        assert!(equal("-device", "a,addr=0x10", "a,addr=16"));
        assert!(!equal("-name", "guest=a,,b", "guest=a,b"));
        assert!(!equal("-append", "-x y", "-x z"));
    }

    #[test]
    fn an_interface_that_lost_members_is_equal_to_one_that_has_them() {
        let directory = tempfile::tempdir().unwrap();
        let text = r#"{"ignore_options": [{"opt": "-netdev"}]}"#;
        std::fs::write(directory.path().join("compare-config.json"), text).unwrap();
        let form = Comparison::of(directory.path(), false).unwrap();
        let device = |value: &str| {
            let token = Token { option: "-device".to_owned(), value: Some(value.to_owned()) };
            CliOption::new(token, 0, &form)
        };
        let (lost, whole) = (device("a,netdev=n,id=x"), device("a,netdev=n,id=x,mq=on"));
        assert!(lost.is_exactly(&whole) && !whole.is_exactly(&lost));
        assert!(!device("a,netdev=n,id=y").is_exactly(&whole));
        assert!(!device("a,id=x").is_exactly(&device("a,id=x,mq=on")));
    }

    #[test]
    fn global_has_two_spellings() {
        assert!(equal("-global", "a.b=c", "driver=a,property=b,value=c"));
    }

    #[test]
    fn aliases_are_one_option() {
        assert_eq!(option("-M", "q35").name, "-machine");
        let flag = CliOption::new(
            Token { option: "-enable-kvm".to_owned(), value: None },
            0,
            &Comparison::default(),
        );
        assert!(flag.is_exactly(&option("-accel", "kvm")));
        assert_eq!(flag.form, Form::KeyValue);
    }

    #[test]
    fn leaves_are_addressed_by_path() {
        let leaves = option("-object", r#"{"a":{"b":[true,{}]},"c":[]}"#).leaves.unwrap();
        let flat: Vec<_> = leaves.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(flat, ["a.b.0=on", "a.b.1=@{}@", "c=@[]@"]);
    }
}
