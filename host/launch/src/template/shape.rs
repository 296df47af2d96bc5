//! The rule language: what a value may look like, as data.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What a value must be.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shape {
    Null,
    Boolean,
    Integer,
    /// Exactly this (null, boolean, whole number or text).
    Is(serde_json::Value),
    /// Text of limited length and letters.
    Text(TextRule),
    /// A name that the host has given to this operation, to be written into a header.
    Reference,
    /// A handle of one of these kinds: `image`, `code`, `variable-store`, `file`, `output`, `input`, `endpoint`,
    /// `listener`, `monitor`, `socket`, `link`, `tap`, `viewers`, `directory`, `folder`, `secret`, `tcp-ports`, `udp-ports`.
    Handle(Vec<String>),
    /// What one of these allows.
    Any(Vec<Shape>),
    /// A sequence of what this allows.
    List(Box<Shape>),
    /// Named values.
    Map(Box<MapRule>),
    /// The template's shape of this name.
    Ref(String),
}

/// What text may be. Every rule given must hold.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct TextRule {
    /// One of these, literally.
    #[serde(default)]
    pub(crate) one_of: Vec<String>,
    /// None of these, literally.
    #[serde(default)]
    pub(crate) none_of: Vec<String>,
    /// Only these characters: `A-Z` is a range, anything else stands for itself.
    pub(crate) chars: Option<CharSet>,
    /// Begins with one of these.
    #[serde(default)]
    pub(crate) starts: Vec<String>,
    /// Has this in it.
    pub(crate) contains: Option<String>,
    /// Only these characters stand before the first of what it contains.
    pub(crate) before: Option<CharSet>,
    /// Fewest bytes.
    #[serde(default = "one")]
    pub(crate) min: usize,
    /// Most bytes.
    #[serde(default = "text_max")]
    pub(crate) max: usize,
}

fn one() -> usize {
    1
}

/// Most bytes of text where a template gives no number.
fn text_max() -> usize {
    256
}

/// A set of characters, written as in `A-Za-z0-9._-`.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
pub(crate) struct CharSet {
    ranges: Vec<(char, char)>,
    text: String,
}

/// What a mapping may have.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct MapRule {
    /// Members that may be there.
    #[serde(default)]
    pub(crate) keys: BTreeMap<String, Shape>,
    /// Members whose names begin so.
    #[serde(default)]
    pub(crate) prefixes: BTreeMap<String, Shape>,
    /// Any other member; refused when absent.
    pub(crate) other: Option<Shape>,
    /// Members that must be there.
    #[serde(default)]
    pub(crate) required: Vec<String>,
    /// Members that may be there more than once.
    #[serde(default)]
    pub(crate) repeat: Vec<String>,
    /// Members that are refused, and why.
    #[serde(default)]
    pub(crate) refused: BTreeMap<String, String>,
    /// More rules, chosen by one member's value.
    pub(crate) by: Option<Choice>,
}

/// Rules that depend on one member.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    /// The member; its text must be among some case's values.
    pub(crate) key: String,
    pub(crate) cases: Vec<Case>,
}

/// Rules for some values of the deciding member.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) values: Vec<String>,
    #[serde(default)]
    pub(crate) keys: BTreeMap<String, Shape>,
    #[serde(default)]
    pub(crate) required: Vec<String>,
    /// Exactly one of these members must be there.
    #[serde(default)]
    pub(crate) either: Vec<String>,
    /// The member that is read as the format that the deciding member names: every handle in it must be of a file that
    /// the host has checked to be of that format.
    pub(crate) reads: Option<String>,
    /// The member that says where the data is when it is not in the file that is read: it must be there exactly when
    /// the host has found the header of that file to say so.
    pub(crate) apart: Option<String>,
}

impl From<String> for CharSet {
    fn from(text: String) -> Self {
        let letters: Vec<char> = text.chars().collect();
        let (mut ranges, mut rest) = (Vec::new(), letters.as_slice());
        while let [first, after @ ..] = rest {
            if let ['-', last, beyond @ ..] = after {
                ranges.push((*first, *last));
                rest = beyond;
            } else {
                ranges.push((*first, *first));
                rest = after;
            }
        }
        Self { ranges, text }
    }
}

impl CharSet {
    fn has(&self, letter: char) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&letter))
    }
}

impl TextRule {
    /// Which rule `text` breaks, in words.
    pub(crate) fn broken_by(&self, text: &str) -> Option<String> {
        if !self.one_of.is_empty() && !self.one_of.iter().any(|allowed| allowed == text) {
            return Some(format!("it must be one of {}", quoted(&self.one_of)));
        }
        if self.none_of.iter().any(|denied| denied == text) {
            return Some(format!("it must not be {}", quoted(&self.none_of)));
        }
        if text.len() < self.min || text.len() > self.max {
            return Some(format!("it must have {} to {} bytes, it has {}", self.min, self.max, text.len()));
        }
        if let Some(chars) = &self.chars
            && !text.chars().all(|letter| chars.has(letter))
        {
            return Some(format!("it must only have the characters {}", chars.text));
        }
        if !self.starts.is_empty() && !self.starts.iter().any(|start| text.starts_with(start.as_str())) {
            return Some(format!("it must begin with one of {}", quoted(&self.starts)));
        }
        let part = self.contains.as_deref()?;
        let Some((before, _)) = text.split_once(part) else {
            return Some(format!("it must contain '{part}'"));
        };
        let chars = self.before.as_ref().filter(|chars| !before.chars().all(|letter| chars.has(letter)))?;
        Some(format!("it must only have the characters {} before '{part}'", chars.text))
    }
}

fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ")
}

impl Shape {
    /// The names of all shapes referred to from here.
    pub(crate) fn references<'a>(&'a self, found: &mut Vec<&'a str>) {
        match self {
            Self::Ref(name) => found.push(name),
            Self::List(inner) => inner.references(found),
            Self::Any(shapes) => shapes.iter().for_each(|shape| shape.references(found)),
            Self::Map(rule) => rule.shapes().for_each(|shape| shape.references(found)),
            _ => {}
        }
    }

    /// What is wanted, for messages.
    pub(crate) fn wanted(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Boolean => "a boolean".into(),
            Self::Integer => "a whole number".into(),
            Self::Is(value) => value.to_string(),
            Self::Text(rule) if !rule.one_of.is_empty() => format!("one of {}", quoted(&rule.one_of)),
            Self::Text(_) => "text".into(),
            Self::Reference => "a name that the host has given to this operation".into(),
            Self::Handle(kinds) => format!("a handle ({})", kinds.join(", ")),
            Self::Any(shapes) => shapes.iter().map(Self::wanted).collect::<Vec<_>>().join(" or "),
            Self::List(_) => "a sequence".into(),
            Self::Map(_) => "a mapping".into(),
            Self::Ref(name) => format!("'{name}'"),
        }
    }
}

impl MapRule {
    fn shapes(&self) -> impl Iterator<Item = &Shape> {
        let cases = self.by.iter().flat_map(|choice| &choice.cases).flat_map(|case| case.keys.values());
        self.keys.values().chain(self.prefixes.values()).chain(&self.other).chain(cases)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn character_sets_know_ranges_and_a_last_dash() {
        let set = CharSet::from("a-c.9-".to_owned());
        assert!("abc.9-".chars().all(|letter| set.has(letter)));
        assert!(!set.has('d') && !set.has('0'));
        let printable = CharSet::from(" -~".to_owned());
        assert!(printable.has('A') && printable.has('-') && !printable.has('\n'));
    }

    #[test]
    fn text_rules_all_hold() {
        let rule: TextRule = serde_json::from_str(
            r#"{"chars":"a-z:","max":6,"starts":["a"],"contains":":","none-of":["a:b"]}"#,
        )
        .unwrap();
        assert_eq!(rule.broken_by("a:c"), None);
        for text in ["a:b", "b:c", "abc", "a:A", "a:bcdef", ""] {
            assert!(rule.broken_by(text).is_some(), "{text}");
        }
        let rule: TextRule = serde_json::from_str(r#"{"contains":"-x:","before":"a-z"}"#).unwrap();
        assert_eq!((rule.broken_by("ab-x:c-d-x:e"), rule.broken_by("-x:")), (None, None));
        for text in ["a-b-x:c", "ab", "A-x:b"] {
            assert!(rule.broken_by(text).is_some(), "{text}");
        }
    }
}
