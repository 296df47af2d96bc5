//! The inside of a start tag: name, attributes, white space, all verbatim.

use super::text::{BadText, decode_attribute};
use super::{Attribute, MAX_ATTRIBUTES};
use crate::error::{Position, XmlError, XmlErrorKind};

/// What a start tag says.
pub(super) struct StartTag {
    pub(super) name: String,
    pub(super) attributes: Vec<Attribute>,
    pub(super) space: String,
}

/// Reads the text between `<` and `>` or `/>`; `position` is where the name begins.
pub(super) fn parse_start_tag(inner: &str, position: Position) -> Result<StartTag, XmlError> {
    let (name, mut rest) = split_name(inner);
    check_name(name, position)?;
    let mut at = position.after(name);
    let mut attributes: Vec<Attribute> = Vec::new();
    loop {
        let (space, after_space) = split_space(rest);
        if after_space.is_empty() {
            return Ok(StartTag { name: name.to_owned(), attributes, space: space.to_owned() });
        }
        let begin = at.after(space);
        if space.is_empty() {
            return Err(syntax(begin, "white space is missing before an attribute"));
        }
        let (attribute, after) = parse_attribute(space, after_space, begin)?;
        if attributes.iter().any(|known| known.name == attribute.name) {
            return Err(syntax(begin, format!("attribute '{}' is given twice", attribute.name)));
        }
        if attributes.len() >= MAX_ATTRIBUTES {
            let message = format!("an element has more than {MAX_ATTRIBUTES} attributes");
            return Err(XmlError::new(XmlErrorKind::Limit, begin, message));
        }
        at = at.after(&attribute.verbatim);
        attributes.push(attribute);
        rest = after;
    }
}

fn parse_attribute<'t>(
    space: &str,
    text: &'t str,
    begin: Position,
) -> Result<(Attribute, &'t str), XmlError> {
    let (name, rest) = split_name(text);
    check_name(name, begin)?;
    let equals = split_space(rest).1;
    let Some(after_equals) = equals.strip_prefix('=') else {
        return Err(syntax(begin.after(name), format!("attribute '{name}' has no '=' and value")));
    };
    let quoted = split_space(after_equals).1;
    let value_begin = text.len() - quoted.len();
    let mut characters = quoted.chars();
    let quote = characters.next().filter(|quote| matches!(quote, '\'' | '"'));
    let Some((raw, after)) = quote.and_then(|quote| characters.as_str().split_once(quote)) else {
        return Err(syntax(begin, format!("the value of attribute '{name}' is not in quotes")));
    };
    let value = decode_attribute(raw).map_err(|BadText { offset, message }| {
        let before = text.get(..value_begin + 1 + offset).unwrap_or(text);
        syntax(begin.after(before), message)
    })?;
    let verbatim = format!("{space}{}", text.get(..text.len() - after.len()).unwrap_or(text));
    Ok((Attribute { name: name.to_owned(), value, verbatim, position: begin }, after))
}

fn syntax(position: Position, message: impl Into<String>) -> XmlError {
    XmlError::new(XmlErrorKind::Syntax, position, message)
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

fn split_space(text: &str) -> (&str, &str) {
    text.split_at(text.find(|character| !is_space(character)).unwrap_or(text.len()))
}

fn split_name(text: &str) -> (&str, &str) {
    text.split_at(text.find(|character| is_space(character) || character == '=').unwrap_or(text.len()))
}

/// Whether a text is a name of XML; characters outside ASCII are taken as letters.
pub(super) fn is_name(name: &str) -> bool {
    let letter = |character: char| character.is_alphabetic() || matches!(character, '_' | ':');
    let inside = |character: char| {
        letter(character)
            || character.is_ascii_digit()
            || matches!(character, '-' | '.')
            || !character.is_ascii()
    };
    name.chars().next().is_some_and(letter)
        && name.chars().all(inside)
        && name.chars().filter(|character| *character == ':').count() <= 1
        && !name.starts_with(':')
        && !name.ends_with(':')
}

fn check_name(name: &str, position: Position) -> Result<(), XmlError> {
    if is_name(name) {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    Err(syntax(position, format!("'{}' is not a name", shown.escape_debug())))
}
