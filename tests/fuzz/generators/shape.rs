//! Values by a template's own rules: what the policy allows, and now and then what it does not.

use arbitrary::{Result, Unstructured};
use hostler_launch::{Handle, Value};
use serde_json::Value as Json;

/// Deepest value that is made on purpose.
const LEVELS: usize = 12;
/// Longest text that is made where the rules give no words.
const TEXT_MAX: u64 = 12;

/// What values are made from.
pub struct Maker<'a> {
    /// The template's shapes by name.
    pub shapes: &'a Json,
    /// The handles of the plan.
    pub handles: &'a [Handle],
    /// Handles that were named already: those that may be named once are not named again.
    pub used: Vec<usize>,
}

impl Maker<'_> {
    /// A value for a shape; one in 32 is any value at all.
    ///
    /// # Errors
    /// When the fuzzer's bytes are used up.
    pub fn value(&mut self, u: &mut Unstructured<'_>, shape: &Json, level: usize) -> Result<Value> {
        if level > LEVELS || u.ratio(1_u8, 32_u8)? {
            return self.anything(u, level);
        }
        let rule = shape.as_object().and_then(|shape| shape.iter().next());
        Ok(match (shape.as_str(), rule.map(|(kind, rule)| (kind.as_str(), rule))) {
            (Some("boolean"), _) => Value::Boolean(u.arbitrary()?),
            (Some("integer"), _) => Value::Integer(u.arbitrary()?),
            (_, Some(("is", rule))) => literal(rule),
            (_, Some(("text", rule))) => Value::Text(text(u, rule)?),
            (_, Some(("handle", kinds))) => self.handle(u, kinds)?,
            (_, Some(("any", shapes))) => match shapes.as_array() {
                Some(shapes) if !shapes.is_empty() => {
                    let at = u.choose_index(shapes.len())?;
                    self.value(u, &shapes[at], level + 1)?
                }
                _ => Value::Null,
            },
            (_, Some(("list", inner))) => {
                let count = u.int_in_range(0..=3_u8)?;
                let items = (0..count).map(|_| self.value(u, inner, level + 1)).collect::<Result<_>>()?;
                Value::Sequence(items)
            }
            (_, Some(("map", rule))) => self.mapping(u, rule, level)?,
            (_, Some(("ref", name))) => {
                let shape = &self.shapes[name.as_str().unwrap_or_default()];
                self.value(u, shape, level + 1)?
            }
            _ => Value::Null,
        })
    }

    fn handle(&mut self, u: &mut Unstructured<'_>, kinds: &Json) -> Result<Value> {
        let wanted = |handle: &Handle| {
            kinds.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == handle.kind()))
        };
        let fresh =
            |at: &usize| !self.used.contains(at) || matches!(self.handles[*at], Handle::Descriptor { .. });
        let fitting: Vec<usize> =
            (0..self.handles.len()).filter(|at| wanted(&self.handles[*at])).filter(fresh).collect();
        if fitting.is_empty() {
            return Ok(Value::Null);
        }
        let at = *u.choose(&fitting)?;
        self.used.push(at);
        Ok(Value::Handle(at))
    }

    /// Required members, some of the others, in any order; the deciding member first decides.
    fn mapping(&mut self, u: &mut Unstructured<'_>, rule: &Json, level: usize) -> Result<Value> {
        let mut pairs: Vec<(String, Value)> = Vec::new();
        let mut case = &Json::Null;
        if let (Some(key), Some(cases)) = (rule["by"]["key"].as_str(), rule["by"]["cases"].as_array()) {
            case = u.choose(cases)?;
            if let Some(words) = case["values"].as_array().filter(|words| !words.is_empty()) {
                pairs.push((key.to_owned(), literal(u.choose(words)?)));
            }
        }
        let required = [&rule["required"], &case["required"]];
        let required: Vec<&str> =
            required.into_iter().filter_map(Json::as_array).flatten().filter_map(Json::as_str).collect();
        for (key, shape) in [&case["keys"], &rule["keys"]].into_iter().filter_map(Json::as_object).flatten() {
            let wanted = required.contains(&key.as_str()) || u.ratio(1_u8, 6_u8)?;
            if wanted && pairs.iter().all(|(other, _)| other != key) {
                let value = self.value(u, shape, level + 1)?;
                pairs.push((key.clone(), value));
            }
        }
        for (prefix, shape) in rule["prefixes"].as_object().into_iter().flatten() {
            if u.ratio(1_u8, 4_u8)? {
                let value = self.value(u, shape, level + 1)?;
                pairs.push((format!("{prefix}{}", key(u)?), value));
            }
        }
        if !rule["other"].is_null() && u.arbitrary()? {
            let value = self.value(u, &rule["other"], level + 1)?;
            pairs.push((key(u)?, value));
        }
        let turn = u.int_in_range(0..=pairs.len())?;
        pairs.rotate_left(turn);
        Ok(Value::Mapping(pairs))
    }

    /// Any value, rules or not.
    fn anything(&mut self, u: &mut Unstructured<'_>, level: usize) -> Result<Value> {
        Ok(match u.int_in_range(0..=6_u8)? {
            0 => Value::Null,
            1 => Value::Boolean(u.arbitrary()?),
            2 => Value::Integer(u.arbitrary()?),
            3 => Value::Text(u.arbitrary()?),
            4 => Value::Handle(u.arbitrary::<u8>()?.into()),
            5 if level <= LEVELS => {
                let count = u.int_in_range(0..=2_u8)?;
                Value::Sequence((0..count).map(|_| self.anything(u, level + 1)).collect::<Result<_>>()?)
            }
            6 if level <= LEVELS => {
                let count = u.int_in_range(0..=2_u8)?;
                let mut pair = |_| Ok((u.arbitrary()?, self.anything(u, level + 1)?));
                Value::Mapping((0..count).map(&mut pair).collect::<Result<_>>()?)
            }
            // Deeper than any limit allows.
            _ => (0..u.int_in_range(0..=80_u8)?).fold(Value::Null, |inner, _| Value::Sequence(vec![inner])),
        })
    }
}

/// The name of a member that rules leave open; one in eight has letters that no name should have.
fn key(u: &mut Unstructured<'_>) -> Result<String> {
    if u.ratio(1_u8, 8_u8)? {
        return u.arbitrary();
    }
    Ok((*u.choose(&["x", "hv-y", "PIIX4_PM.z", "a.0.b", "driver", "id"])?).to_owned())
}

fn literal(json: &Json) -> Value {
    match json {
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => Value::Integer(number.as_i64().unwrap_or_default()),
        Json::String(text) => Value::text(text.as_str()),
        _ => Value::Null,
    }
}

/// Text that keeps a rule, unless two of its parts exclude each other.
fn text(u: &mut Unstructured<'_>, rule: &Json) -> Result<String> {
    if let Some(words) = rule["one-of"].as_array() {
        return Ok(u.choose(words)?.as_str().unwrap_or_default().to_owned());
    }
    let letters = letters(rule["chars"].as_str().unwrap_or(" -~"));
    let least = rule["min"].as_u64().unwrap_or(1);
    let most = rule["max"].as_u64().unwrap_or(256).min(least + TEXT_MAX);
    let start = match rule["starts"].as_array() {
        Some(starts) => u.choose(starts)?.as_str().unwrap_or_default(),
        None => "",
    };
    let mut text = start.to_owned() + rule["contains"].as_str().unwrap_or_default();
    for _ in 0..u.int_in_range(least..=most.max(least))? {
        text.push(*u.choose(&letters)?);
    }
    Ok(text)
}

/// The characters of a set such as `A-Za-z0-9._-`.
fn letters(set: &str) -> Vec<char> {
    let set: Vec<char> = set.chars().collect();
    let (mut letters, mut at) = (Vec::new(), 0);
    while let Some(first) = set.get(at) {
        match set.get(at + 1..at + 3) {
            Some(['-', last]) => {
                letters.extend(*first..=*last);
                at += 3;
            }
            _ => {
                letters.push(*first);
                at += 1;
            }
        }
    }
    if letters.is_empty() { vec!['a'] } else { letters }
}
