//! What can be wrong with a document, where, and what to do about it.

use std::fmt;

/// The kind of an [`XmlError`]; matchable, with a stable dotted code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum XmlErrorKind {
    /// The text is not well-formed XML.
    Syntax,
    /// The text carries a document type declaration, which is never accepted.
    Doctype,
    /// The text is larger, deeper or richer than a limit allows.
    Limit,
    /// The root element is not the expected one.
    WrongRoot,
    /// An element that must be there is not.
    MissingElement,
    /// An attribute that must be there is not.
    MissingAttribute,
    /// An element that nobody knows, close to the name of one that is known.
    UnknownElement,
    /// An attribute that nobody knows, close to the name of one that is known.
    UnknownAttribute,
    /// The value is not one of the closed set of values.
    UnknownValue,
    /// The value does not have the form that is wanted.
    InvalidValue,
    /// The number is outside its range.
    OutOfRange,
    /// Two parts of the document contradict each other.
    Conflict,
    /// Two things of the document have the same name, number or place.
    Duplicate,
    /// There can be one such element, and there are more.
    OnlyOne,
    /// An edit names a node that cannot be edited this way.
    Edit,
}

impl XmlErrorKind {
    /// The stable code of this kind, such as `xml.unknown-value`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Syntax => "xml.syntax",
            Self::Doctype => "xml.doctype",
            Self::Limit => "xml.limit",
            Self::WrongRoot => "xml.wrong-root",
            Self::MissingElement => "xml.missing-element",
            Self::MissingAttribute => "xml.missing-attribute",
            Self::UnknownElement => "xml.unknown-element",
            Self::UnknownAttribute => "xml.unknown-attribute",
            Self::UnknownValue => "xml.unknown-value",
            Self::InvalidValue => "xml.invalid-value",
            Self::OutOfRange => "xml.out-of-range",
            Self::Conflict => "xml.conflict",
            Self::Duplicate => "xml.duplicate",
            Self::OnlyOne => "xml.only-one",
            Self::Edit => "xml.edit",
        }
    }

    /// What helps with any problem of this kind, where nothing more exact was said.
    fn remedy(self) -> &'static str {
        match self {
            Self::Syntax => "look for a tag that is not closed, a quote or an '&' just before that place",
            Self::Doctype => "remove the document type declaration",
            Self::Limit => "leave parts of the document out",
            Self::WrongRoot => "write the element that the message names around the document",
            Self::MissingElement => "add the element",
            Self::MissingAttribute => "add the attribute",
            Self::UnknownElement | Self::UnknownAttribute => "correct the name, or remove it",
            Self::UnknownValue => "write one of the values that are known",
            Self::InvalidValue => "write a value of the form that the message names, or leave it out",
            Self::OutOfRange => "write a value within the range, or leave it out",
            Self::Conflict => "keep one of the two",
            Self::Duplicate => "give one of them another value, or remove it",
            Self::OnlyOne => "remove all but one",
            Self::Edit => "name an element that is there",
        }
    }
}

/// A place in a document: line and column count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Position {
    /// The first character of a document.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The position after `text`, when `text` begins here.
    pub(crate) fn after(mut self, text: &str) -> Self {
        for character in text.chars() {
            if character == '\n' {
                self.line = self.line.saturating_add(1);
                self.column = 1;
            } else {
                self.column = self.column.saturating_add(1);
            }
        }
        self
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A refusal of a document: kind, place, element, what is wrong, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlError {
    /// The kind, for programs.
    pub kind: XmlErrorKind,
    /// Where in the document.
    pub position: Position,
    /// The path of the element, such as `domain/devices/disk[2]`; empty before the root element.
    pub path: String,
    /// What was wanted and what was found; lower case, no final stop.
    pub message: String,
    /// What to do next, most useful first.
    pub hints: Vec<String>,
}

impl XmlError {
    pub(crate) fn new(kind: XmlErrorKind, position: Position, message: impl Into<String>) -> Self {
        Self { kind, position, path: String::new(), message: message.into(), hints: Vec::new() }
    }

    pub(crate) fn at_path(mut self, path: String) -> Self {
        self.path = path;
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds what helps with any problem of its kind, if nobody said what to do.
    pub(crate) fn or_remedy(self) -> Self {
        if self.hints.is_empty() {
            let remedy = self.kind.remedy();
            return self.hint(remedy);
        }
        self
    }

    /// The stable code, such as `xml.unknown-value`.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.position)?;
        if !self.path.is_empty() {
            write!(f, ", in {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for XmlError {}
