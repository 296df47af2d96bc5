//! Values in the syntaxes that programs read.

use serde_json::{Map, Value as Json};

use super::leaf::{Leaves, escape_keyed, push_pair};
use crate::error::{LaunchError, LaunchErrorKind};
use crate::template::data::{OptionRule, Syntax};
use crate::value::Value;

/// One option's value as text; nothing for an option without one.
pub(crate) fn write_value(
    value: Option<&Value>,
    rule: Option<&OptionRule>,
    leaves: &mut Leaves<'_>,
) -> Result<Option<String>, LaunchError> {
    let Some(value) = value else { return Ok(None) };
    let syntax = rule.map_or(Syntax::Keyed, |rule| rule.syntax);
    match (syntax, value) {
        (Syntax::Json, Value::Mapping(_) | Value::Sequence(_)) => {
            Ok(Some(write_json(value, rule, leaves)?.to_string()))
        }
        // An option that nobody knows is shown as it was given.
        (Syntax::Keyed, Value::Text(text)) if rule.is_none() => Ok(Some(text.clone())),
        (Syntax::Keyed, _) => write_keyed(value, rule, leaves).map(Some),
        _ => scalar(value, rule, leaves).map(Some),
    }
}

/// A value as JSON.
pub(crate) fn write_json(
    value: &Value,
    rule: Option<&OptionRule>,
    leaves: &mut Leaves<'_>,
) -> Result<Json, LaunchError> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Boolean(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Handle(index) => leaves.text(*index, rule)?.into(),
        Value::Sequence(items) => {
            let mut written = Vec::with_capacity(items.len());
            for item in items {
                written.push(write_json(item, rule, leaves)?);
            }
            Json::Array(written)
        }
        Value::Mapping(pairs) => {
            let mut written = Map::new();
            let mut put = |key: &str, value: Json| match written.insert(key.to_owned(), value) {
                None => Ok(()),
                Some(_) => Err(twice(key)),
            };
            for (key, value) in pairs {
                match value {
                    Value::Handle(index) => match leaves.pairs(*index, rule)? {
                        Some(pairs) => {
                            pairs.into_iter().try_for_each(|(key, value)| put(&key, value.into()))?
                        }
                        None => put(key, leaves.text(*index, rule)?.into())?,
                    },
                    _ => put(key, write_json(value, rule, leaves)?)?,
                }
            }
            Json::Object(written)
        }
    })
}

fn twice(key: &str) -> LaunchError {
    let message = format!("member '{}' is there more than once", key.escape_debug());
    LaunchError::new(LaunchErrorKind::PlanInvalid, message)
}

/// Pairs of a keyed option, flattened; a value of nothing is a key alone.
type Pairs = Vec<(String, Option<String>)>;

fn write_keyed(
    value: &Value,
    rule: Option<&OptionRule>,
    leaves: &mut Leaves<'_>,
) -> Result<String, LaunchError> {
    let implied = rule.and_then(|rule| rule.implied.as_deref());
    let mut pairs = Pairs::new();
    match value {
        Value::Mapping(_) => flatten("", value, rule, leaves, &mut pairs)?,
        _ => pairs.push((implied.unwrap_or_default().to_owned(), Some(scalar(value, rule, leaves)?))),
    }
    let mut text = String::new();
    // The key that goes without saying must come first, wherever it was given.
    let first = pairs.iter().position(|(key, value)| Some(key.as_str()) == implied && value.is_some());
    let lone = !matches!(value, Value::Mapping(_));
    if let Some((key, Some(value))) = first.or(lone.then_some(0)).map(|at| pairs.remove(at)) {
        // A first value with "=" in it would be read as a pair of the driver's own.
        if value.is_empty() || value.contains('=') {
            push_pair(&mut text, &key, Some(&value));
        } else {
            escape_keyed(&value, &mut text);
        }
    }
    for (key, value) in &pairs {
        push_pair(&mut text, key, value.as_deref());
    }
    Ok(text)
}

fn flatten(
    prefix: &str,
    value: &Value,
    rule: Option<&OptionRule>,
    leaves: &mut Leaves<'_>,
    pairs: &mut Pairs,
) -> Result<(), LaunchError> {
    let below = |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
    match value {
        Value::Mapping(members) => {
            for (key, value) in members {
                let expanded = match value {
                    Value::Handle(index) => leaves.pairs(*index, rule)?,
                    _ => None,
                };
                match expanded {
                    Some(own) => pairs.extend(own.into_iter().map(|(key, value)| (below(&key), Some(value)))),
                    None => flatten(&below(key), value, rule, leaves, pairs)?,
                }
            }
        }
        Value::Sequence(items) => {
            for (at, item) in items.iter().enumerate() {
                flatten(&below(&at.to_string()), item, rule, leaves, pairs)?;
            }
        }
        Value::Null => pairs.push((prefix.to_owned(), None)),
        _ => pairs.push((prefix.to_owned(), Some(scalar(value, rule, leaves)?))),
    }
    Ok(())
}

fn scalar(value: &Value, rule: Option<&OptionRule>, leaves: &mut Leaves<'_>) -> Result<String, LaunchError> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        Value::Boolean(true) => Ok("on".into()),
        Value::Boolean(false) => Ok("off".into()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Handle(index) => leaves.text(*index, rule),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) => Err(LaunchError::new(
            LaunchErrorKind::PlanInvalid,
            format!("a {} cannot be written where one text is wanted", value.kind()),
        )),
    }
}
