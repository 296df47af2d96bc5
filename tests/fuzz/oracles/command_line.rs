//! Plans that pass: their command line, read as the program reads it, is the plan again.

use hostler_launch::{Handle, Value, check, describe, describe_unchecked, render_arguments};
use serde_json::Value as Json;

use super::shown;
use crate::generators::handles::Shown;
use crate::generators::plan::{PlanCase, RULES, SHIPPED};

/// Drivers of the block layer that can have something below them.
const ON_SOMETHING: [&str; 4] = ["qcow2", "qcow", "qed", "vmdk"];

/// A keyed option's pairs; a key alone has no value.
type Pairs = Vec<(String, Option<String>)>;

/// Asserts what holds of any plan.
///
/// # Panics
/// When a promise is broken.
pub fn verify(case: &PlanCase, handles: &[Handle], shown_as: &[Shown]) {
    let PlanCase { plan, command: (command, arguments) } = case;
    // Showing needs no permission, and must never panic.
    drop(describe_unchecked(plan, handles, &SHIPPED));
    match check(plan, handles, &SHIPPED) {
        Ok(checked) => {
            assert_eq!(checked.plan(), plan, "the frozen plan is another one");
            let line = describe(&checked, handles).expect("a plan that passed can be written");
            let mut words = line.argv.iter().skip(1).map(String::as_str);
            for option in &plan.options {
                assert_eq!(words.next(), Some(format!("-{}", option.name).as_str()));
                let Some(value) = &option.value else { continue };
                let word = words.next().expect("an option with a value");
                reads_back(word, &option.name, value, shown_as);
                if option.name == "blockdev" {
                    explicit(value);
                }
            }
            assert_eq!(words.next(), None, "the command line says more than the plan");
        }
        Err(error) => shown::safe(&error),
    }
    let mut next_set = 0;
    match render_arguments(&SHIPPED, command, arguments.as_ref(), handles, &mut next_set) {
        Ok(rendered) => {
            assert_eq!(rendered.arguments, arguments.as_ref().map(|value| json(value, shown_as)));
        }
        Err(error) => shown::safe(&error),
    }
}

fn reads_back(word: &str, name: &str, value: &Value, shown_as: &[Shown]) {
    let rule = &RULES["options"][name];
    let prefix = rule["socket-prefix"].as_str().unwrap_or_default();
    let shown_as: &[Shown] = &shown_as.iter().map(|shown| behind(prefix, shown)).collect::<Vec<_>>();
    match (rule["syntax"].as_str(), value) {
        (Some("json"), Value::Mapping(_) | Value::Sequence(_)) => {
            let read: Json = serde_json::from_str(word).expect("it is written as JSON");
            assert_eq!(read, json(value, shown_as), "{name}");
        }
        (Some("keyed"), _) => {
            let implied = rule["implied"].as_str();
            assert_eq!(read_keyed(word, implied), pairs(value, implied, shown_as), "{name}: {word}");
        }
        _ => assert_eq!(word, scalar(value, shown_as), "{name}"),
    }
}

fn behind(prefix: &str, shown: &Shown) -> Shown {
    match shown {
        Shown::Socket(name) => Shown::Text(format!("{prefix}{name}")),
        other => other.clone(),
    }
}

/// Every node says what is below it, and opens nothing but what it was handed.
fn explicit(node: &Value) {
    let Value::Mapping(members) = node else { return };
    // Mappings without a driver are options of a node.
    let stands_on =
        node.get("driver").and_then(Value::as_text).is_some_and(|driver| ON_SOMETHING.contains(&driver));
    assert!(!stands_on || node.get("backing").is_some(), "{node:?} does not say what is below it");
    for (key, value) in members {
        assert!(key != "filename" || matches!(value, Value::Handle(_)), "{node:?} names a file");
        explicit(value);
    }
}

/// The tree with handles as people see them.
fn json(value: &Value, shown_as: &[Shown]) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Text(_) | Value::Handle(_) => scalar(value, shown_as).into(),
        Value::Sequence(items) => items.iter().map(|item| json(item, shown_as)).collect(),
        Value::Mapping(members) => {
            let mut object = serde_json::Map::new();
            for (key, value) in members {
                match expanded(value, shown_as) {
                    Some(pairs) => {
                        object.extend(pairs.iter().map(|(key, value)| (key.clone(), value.as_str().into())));
                    }
                    None => drop(object.insert(key.clone(), json(value, shown_as))),
                }
            }
            Json::Object(object)
        }
    }
}

fn expanded<'a>(value: &Value, shown_as: &'a [Shown]) -> Option<&'a [(String, String)]> {
    match value {
        Value::Handle(index) => match &shown_as[*index] {
            Shown::Pairs(pairs) => Some(pairs),
            Shown::Text(_) | Shown::Socket(_) => None,
        },
        _ => None,
    }
}

fn scalar(value: &Value, shown_as: &[Shown]) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Boolean(on) => if *on { "on" } else { "off" }.to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Handle(index) => match &shown_as[*index] {
            Shown::Text(text) | Shown::Socket(text) => text.clone(),
            Shown::Pairs(_) => panic!("pairs where one text stands"),
        },
        Value::Null | Value::Sequence(_) | Value::Mapping(_) => panic!("{} is not one text", value.kind()),
    }
}

/// What a keyed option says: members by path, the implied one first.
fn pairs(value: &Value, implied: Option<&str>, shown_as: &[Shown]) -> Pairs {
    let mut found = Pairs::new();
    match value {
        Value::Mapping(_) => flatten("", value, shown_as, &mut found),
        _ => found.push((implied.unwrap_or_default().to_owned(), Some(scalar(value, shown_as)))),
    }
    let first = found.iter().position(|(key, value)| Some(key.as_str()) == implied && value.is_some());
    if let Some(at) = first {
        let pair = found.remove(at);
        found.insert(0, pair);
    }
    found
}

fn flatten(path: &str, value: &Value, shown_as: &[Shown], found: &mut Pairs) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Mapping(members) => {
            for (key, value) in members {
                match expanded(value, shown_as) {
                    Some(pairs) => {
                        found.extend(pairs.iter().map(|(key, value)| (below(key), Some(value.clone()))));
                    }
                    None => flatten(&below(key), value, shown_as, found),
                }
            }
        }
        Value::Sequence(items) => {
            for (at, item) in items.iter().enumerate() {
                flatten(&below(&at.to_string()), item, shown_as, found);
            }
        }
        Value::Null => found.push((path.to_owned(), None)),
        _ => found.push((path.to_owned(), Some(scalar(value, shown_as)))),
    }
}

/// Reads as the program does: a comma in a value is doubled, a key ends at the first `=` or comma, and a first
/// piece without `=` is the implied key's value.
fn read_keyed(text: &str, implied: Option<&str>) -> Pairs {
    let mut found = Pairs::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(['=', ',']).unwrap_or(rest.len());
        let named = rest[end..].starts_with('=');
        match implied.filter(|_| found.is_empty() && !named) {
            Some(implied) => found.push((implied.to_owned(), Some(take_value(&mut rest)))),
            None => {
                let key = rest[..end].to_owned();
                rest = &rest[(end + usize::from(end < rest.len()))..];
                let value = named.then(|| take_value(&mut rest));
                found.push((key, value));
            }
        }
    }
    found
}

/// A value up to its single comma, which goes with it.
fn take_value(rest: &mut &str) -> String {
    let mut value = String::new();
    while let Some(letter) = rest.chars().next() {
        *rest = &rest[letter.len_utf8()..];
        if letter == ',' {
            match rest.strip_prefix(',') {
                Some(after) => *rest = after,
                None => return value,
            }
        }
        value.push(letter);
    }
    value
}
