//! How the typed readers look at one element: every question is typed, noted, and fails with a position.

use crate::document::{Document, NodeId};
use crate::error::{XmlError, XmlErrorKind};
use crate::keyword::Keyword;
use crate::suggest::nearest;
use crate::trace::Trace;
use crate::units::Bytes;

/// One element under the eyes of a typed reader.
#[derive(Clone, Copy)]
pub(crate) struct Element<'d> {
    document: &'d Document,
    trace: &'d Trace,
    pub(crate) node: NodeId,
}

impl<'d> Element<'d> {
    pub(crate) fn new(document: &'d Document, trace: &'d Trace, node: NodeId) -> Self {
        trace.touch(node);
        Self { document, trace, node }
    }

    pub(crate) fn name(self) -> &'d str {
        self.document.name(self.node)
    }

    // ---- children -------------------------------------------------------------------------

    pub(crate) fn child(self, name: &'static str) -> Option<Self> {
        self.children(name).next()
    }

    pub(crate) fn need_child(self, name: &'static str) -> Result<Self, XmlError> {
        self.child(name).ok_or_else(|| {
            self.error(
                XmlErrorKind::MissingElement,
                format!("element '{name}' is missing in '{}'", self.name()),
            )
        })
    }

    pub(crate) fn children(self, name: &'static str) -> impl Iterator<Item = Self> {
        self.trace.children(self.node, name);
        let all = self.document.elements(self.node).filter(move |child| self.document.name(*child) == name);
        all.map(move |node| Self::new(self.document, self.trace, node))
    }

    /// The first child of this local name in a namespace; the prefix is the author's choice.
    pub(crate) fn child_in(self, namespace: &'static str, local: &'static str) -> Option<Self> {
        self.children_in(namespace, local).next()
    }

    /// The children of this local name in a namespace.
    pub(crate) fn children_in(
        self,
        namespace: &'static str,
        local: &'static str,
    ) -> impl Iterator<Item = Self> {
        let Self { document, trace, node } = self;
        let all = document.elements(node).filter(move |child| {
            document.local_name(*child) == local && document.namespace(*child) == Some(namespace)
        });
        all.map(move |child| {
            trace.namespaced(child);
            Self::new(document, trace, child)
        })
    }

    /// Reads every child of this name, in order.
    pub(crate) fn each<T>(
        self,
        name: &'static str,
        read: impl Fn(Self) -> Result<T, XmlError>,
    ) -> Result<Vec<T>, XmlError> {
        self.children(name).map(read).collect()
    }

    /// Reads the first child of this name, if there is one.
    pub(crate) fn maybe<T>(
        self,
        name: &'static str,
        read: impl Fn(Self) -> Result<T, XmlError>,
    ) -> Result<Option<T>, XmlError> {
        self.child(name).map(read).transpose()
    }

    pub(crate) fn has(self, name: &'static str) -> bool {
        self.child(name).is_some()
    }

    /// Marks children of this name as known although nothing here reads them.
    pub(crate) fn keep(self, name: &'static str) {
        self.trace.kept(self.node, name);
    }

    /// Marks an attribute as known although nothing here reads it.
    pub(crate) fn keep_attribute(self, name: &'static str) {
        self.trace.attribute(self.node, name);
    }

    // ---- attributes -----------------------------------------------------------------------

    pub(crate) fn get(self, name: &'static str) -> Option<&'d str> {
        self.trace.attribute(self.node, name);
        self.document.attribute(self.node, name)
    }

    pub(crate) fn string(self, name: &'static str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// An attribute whose empty value means that it is not given.
    pub(crate) fn filled(self, name: &'static str) -> Option<String> {
        self.string(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn need(self, name: &'static str) -> Result<&'d str, XmlError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| self.missing(name))
    }

    pub(crate) fn need_string(self, name: &'static str) -> Result<String, XmlError> {
        self.need(name).map(str::to_owned)
    }

    pub(crate) fn keyword<K: Keyword>(self, name: &'static str) -> Result<Option<K>, XmlError> {
        self.get(name).map(|word| self.find_word(Some(name), word)).transpose()
    }

    pub(crate) fn need_keyword<K: Keyword>(self, name: &'static str) -> Result<K, XmlError> {
        let word = self.need(name)?;
        self.find_word(Some(name), word)
    }

    pub(crate) fn yes_no(self, name: &'static str) -> Result<Option<bool>, XmlError> {
        self.flag(name, "yes", "no")
    }

    pub(crate) fn on_off(self, name: &'static str) -> Result<Option<bool>, XmlError> {
        self.flag(name, "on", "off")
    }

    fn flag(self, name: &'static str, yes: &'static str, no: &'static str) -> Result<Option<bool>, XmlError> {
        match self.get(name) {
            None => Ok(None),
            Some(word) if word == yes => Ok(Some(true)),
            Some(word) if word == no => Ok(Some(false)),
            Some(word) => Err(self.unknown(Some(name), word, &[yes, no])),
        }
    }

    /// A decimal number that fits its type.
    pub(crate) fn number<T: TryFrom<u64>>(self, name: &'static str) -> Result<Option<T>, XmlError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = parse_decimal(text);
        self.fit(Some(name), text, number).map(Some)
    }

    pub(crate) fn need_number<T: TryFrom<u64>>(self, name: &'static str) -> Result<T, XmlError> {
        self.number(name)?.ok_or_else(|| self.missing(name))
    }

    /// A number as C writes it: decimal, `0x` hexadecimal or `0` octal; at most `most`.
    pub(crate) fn c_number(self, name: &'static str, most: u64) -> Result<Option<u64>, XmlError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = match parse_c_number(text) {
            Number::Fits(number) if number > most => Number::Large,
            other => other,
        };
        match number {
            Number::Large => Err(self.fault(Some(name), XmlErrorKind::OutOfRange, {
                format!("{} '{text}' is too large; at most {most:#x} is allowed", self.subject(Some(name)))
            })),
            other => self.fit(Some(name), text, other).map(Some),
        }
    }

    pub(crate) fn signed(self, name: &'static str) -> Result<Option<i64>, XmlError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.invalid(Some(name), text, "a number"))
    }

    // ---- content --------------------------------------------------------------------------

    /// The text inside as it stands; empty when it is nothing but white space.
    pub(crate) fn content(self) -> String {
        let text = self.document.text(self.node);
        if text.trim().is_empty() { String::new() } else { text }
    }

    /// The text inside without the white space around it, for words and numbers.
    pub(crate) fn word(self) -> String {
        self.document.text(self.node).trim().to_owned()
    }

    /// The text of the first child of this name; none when it is absent or empty.
    pub(crate) fn text_of(self, name: &'static str) -> Option<String> {
        self.child(name).map(Self::content).filter(|text| !text.is_empty())
    }

    pub(crate) fn content_number<T: TryFrom<u64>>(self) -> Result<T, XmlError> {
        let text = self.word();
        let number = parse_decimal(&text);
        self.fit(None, &text, number)
    }

    pub(crate) fn content_keyword<K: Keyword>(self) -> Result<K, XmlError> {
        let word = self.word();
        self.find_word(None, &word)
    }

    /// The text inside as a size in the unit of the attribute `unit`, or in `default` units.
    pub(crate) fn size(self, default: &str) -> Result<Bytes, XmlError> {
        let text = self.word();
        let unit = self.get("unit").unwrap_or(default);
        self.scaled(None, &text, unit)
    }

    /// An attribute as a size in the unit of the attribute `unit`, or in `default` units.
    pub(crate) fn size_of(self, name: &'static str, default: &str) -> Result<Option<Bytes>, XmlError> {
        let unit = self.get("unit").unwrap_or(default);
        self.get(name).map(|text| self.scaled(Some(name), text, unit)).transpose()
    }

    fn scaled(self, name: Option<&str>, text: &str, unit: &str) -> Result<Bytes, XmlError> {
        let Some(scale) = Bytes::unit(unit) else {
            return Err(self.unknown(Some("unit"), unit, Bytes::UNITS));
        };
        let number = match parse_decimal(text) {
            Number::Fits(number) => number.checked_mul(scale).map_or(Number::Large, Number::Fits),
            other => other,
        };
        self.fit(name, text, number).map(Bytes)
    }

    // ---- errors ---------------------------------------------------------------------------

    /// Refuses a document whose root is another element.
    pub(crate) fn require_root(self, name: &str) -> Result<(), XmlError> {
        if self.name() == name {
            return Ok(());
        }
        Err(self
            .error(XmlErrorKind::WrongRoot, format!("the root element is '{}', not '{name}'", self.name())))
    }

    pub(crate) fn error(self, kind: XmlErrorKind, message: impl Into<String>) -> XmlError {
        XmlError::new(kind, self.document.position(self.node), message).at_path(self.document.path(self.node))
    }

    pub(crate) fn missing(self, name: &str) -> XmlError {
        let message = format!("attribute '{name}' is missing in '{}'", self.name());
        self.error(XmlErrorKind::MissingAttribute, message)
    }

    /// An error at an attribute, or at the element itself.
    pub(crate) fn fault(self, name: Option<&str>, kind: XmlErrorKind, message: String) -> XmlError {
        let mut error = self.error(kind, message);
        let attributes = self.document.attributes(self.node).iter();
        let at = name.and_then(|name| attributes.into_iter().find(|attribute| attribute.name == name));
        error.position = at.map_or(error.position, |attribute| attribute.position);
        error
    }

    pub(crate) fn invalid(self, name: Option<&str>, text: &str, wanted: &str) -> XmlError {
        let message = format!("{} is '{}', which is not {wanted}", self.subject(name), shorten(text));
        self.fault(name, XmlErrorKind::InvalidValue, message)
    }

    fn subject(self, name: Option<&str>) -> String {
        match name {
            Some(name) => format!("attribute '{name}' of '{}'", self.name()),
            None => format!("the text of '{}'", self.name()),
        }
    }

    fn find_word<K: Keyword>(self, name: Option<&str>, word: &str) -> Result<K, XmlError> {
        let found = K::WORDS.iter().find(|(known, _)| *known == word);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&str> = K::WORDS.iter().map(|(known, _)| *known).collect();
            self.unknown(name, word, &words)
        })
    }

    pub(crate) fn unknown(self, name: Option<&str>, word: &str, known: &[&str]) -> XmlError {
        let message = format!("{} is '{}', which is not known", self.subject(name), shorten(word));
        let error = self.fault(name, XmlErrorKind::UnknownValue, message);
        let error = match nearest(word, known.iter().copied()) {
            Some(near) => error.hint(format!("did you mean '{near}'?")),
            None => error,
        };
        error.hint(format!("known values: {}", known.join(", ")))
    }

    fn fit<T: TryFrom<u64>>(self, name: Option<&str>, text: &str, number: Number) -> Result<T, XmlError> {
        match number {
            Number::Fits(number) => T::try_from(number).map_err(|_| self.too_large(name, text)),
            Number::Large => Err(self.too_large(name, text)),
            Number::Malformed => Err(self.invalid(name, text, "a non-negative number")),
        }
    }

    fn too_large(self, name: Option<&str>, text: &str) -> XmlError {
        let message = format!("{} is '{}', which is too large", self.subject(name), shorten(text));
        self.fault(name, XmlErrorKind::OutOfRange, message)
    }
}

/// What a text means as a number.
#[derive(Clone, Copy)]
enum Number {
    Fits(u64),
    Large,
    Malformed,
}

fn parse_radix(digits: &str, radix: u32) -> Number {
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Number::Malformed;
    }
    u64::from_str_radix(digits, radix).map_or(Number::Large, Number::Fits)
}

fn parse_decimal(text: &str) -> Number {
    parse_radix(text.trim(), 10)
}

fn parse_c_number(text: &str) -> Number {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return parse_radix(hex, 16);
    }
    match text.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => parse_radix(octal, 8),
        _ => parse_radix(text, 10),
    }
}

/// Most characters of a bad value that a message repeats.
const SHOWN_CHARACTERS: usize = 80;

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or(text).escape_debug()),
        None => text.escape_debug().to_string(),
    }
}
