//! Structured values with handles as leaves: what a driver says instead of command-line text.

use serde::Serialize;

/// One value of an option or of a command's arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// Explicitly nothing, as in `"backing": null`.
    Null,
    /// On or off.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Text without NUL.
    Text(String),
    /// Values in order.
    Sequence(Vec<Value>),
    /// Named values in order; a template says where a name may repeat.
    Mapping(Vec<(String, Value)>),
    /// The handle at this index in the list that travels with the plan.
    Handle(usize),
}

impl Value {
    /// Text, from anything that can become it.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A mapping, in the order given.
    pub fn mapping<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Mapping(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// What the value is, for messages: `text`, `mapping` …
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Text(_) => "text",
            Self::Sequence(_) => "sequence",
            Self::Mapping(_) => "mapping",
            Self::Handle(_) => "handle",
        }
    }

    /// The first member of this name, when the value is a mapping.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Mapping(pairs) => pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text, when the value is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The values directly below this one.
    pub(crate) fn children(&self) -> Box<dyn Iterator<Item = &Self> + '_> {
        match self {
            Self::Sequence(items) => Box::new(items.iter()),
            Self::Mapping(pairs) => Box::new(pairs.iter().map(|(_, value)| value)),
            _ => Box::new(std::iter::empty()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}
