//! What the document says in QEMU's own words.

use hostler_sdk::{Error, ProblemExt, Value, problem};

use super::builder::Builder;
use super::comparison;

/// `-compat`: what QEMU does about deprecated commands.
pub(super) fn compatibility(builder: &mut Builder<'_>) -> Result<(), Error> {
    let (output, input) = match builder.domain.qemu.deprecation.as_deref() {
        None | Some("none") => return Ok(()),
        Some("omit") => ("hide", "accept"),
        Some("reject") => ("hide", "reject"),
        Some("crash") => ("hide", "crash"),
        Some(other) => {
            return Err(problem(
                "qemu.deprecation",
                format!("unknown behaviour '{other}' in <qemu:deprecation>"),
            )
            .hint("use none, omit, reject or crash")
            .invalid());
        }
    };
    builder
        .option("compat", Value::mapping().with("deprecated-output", output).with("deprecated-input", input));
    Ok(())
}

/// `<qemu:commandline>`: options as they are, each with its value if the next argument is one.
/// The host's policy decides about them as about all others.
pub(super) fn arguments(builder: &mut Builder<'_>) -> Result<(), Error> {
    let mut arguments = builder.domain.qemu.arguments.iter().peekable();
    while let Some(argument) = arguments.next() {
        let Some(name) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) else {
            return Err(problem(
                "qemu.argument",
                format!("<qemu:arg value='{argument}'/> is no option, and follows none that takes a value"),
            )
            .hint("write the option in one <qemu:arg>, and its value in the next")
            .invalid());
        };
        match arguments.next_if(|next| !next.starts_with('-')) {
            Some(value) if builder.inputs.facts.comparison && comparison::keeps_text(name) => {
                builder.option(name, value.as_str());
            }
            Some(value) => builder.option(name, parse_argument(name, value)),
            None => builder.launch.flag(name),
        }
    }
    for (key, value) in &builder.domain.qemu.environment {
        builder.launch.environment.push((key.clone(), value.clone()));
    }
    Ok(())
}

/// Options whose value is one text, and not keys and values.
const TEXT_OPTIONS: &[&str] =
    &["k", "uuid", "bios", "kernel", "initrd", "append", "dtb", "vga", "watchdog-action", "incoming"];

/// An option's value as the document writes it: JSON, or `first,key=value,…` with commas in values doubled.
/// What is neither, for an option whose first word has no key that we know, stays text.
fn parse_argument(name: &str, text: &str) -> Value {
    if TEXT_OPTIONS.contains(&name) {
        return Value::from(text);
    }
    if let Ok(json @ serde_json::Value::Object(_)) = serde_json::from_str(text) {
        return from_json(json);
    }
    let implied = implied_key(name);
    let mut value = Value::mapping();
    for (position, part) in split_at_single_commas(text).into_iter().enumerate() {
        match (part.split_once('='), implied) {
            (Some((key, part)), _) => value.set(key, part),
            (None, Some(implied)) if position == 0 => value.set(implied, part.as_str()),
            (None, None) if position == 0 => return Value::from(text),
            (None, _) => value.set(&part, true),
        }
    }
    value
}

/// The parser limits how deep this goes.
fn from_json(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(on) => Value::Boolean(on),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => Value::Text(number.to_string()),
        },
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(items) => Value::Sequence(items.into_iter().map(from_json).collect()),
        serde_json::Value::Object(members) => {
            Value::Mapping(members.into_iter().map(|(key, member)| (key, from_json(member))).collect())
        }
    }
}

/// The key of an option's first word.
fn implied_key(option: &str) -> Option<&'static str> {
    Some(match option {
        "device" => "driver",
        "object" => "qom-type",
        "chardev" => "backend",
        "machine" | "netdev" | "display" | "numa" | "tpmdev" => "type",
        "cpu" => "model",
        "m" => "size",
        "smp" => "cpus",
        "accel" => "accel",
        "fw_cfg" => "name",
        "fsdev" => "fsdriver",
        _ => return None,
    })
}

fn split_at_single_commas(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == ',' && letters.next_if_eq(&',').is_none() {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(letter);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_become_values_that_the_host_can_check() {
        let value = parse_argument("device", "isa-applesmc,osk=a,,b,on");
        let expected = Value::mapping().with("driver", "isa-applesmc").with("osk", "a,b").with("on", true);
        assert_eq!(value, expected);
        assert_eq!(parse_argument("append", "a=b,c"), Value::from("a=b,c"));
        assert_eq!(parse_argument("unknown", "word"), Value::from("word"));
        let json = parse_argument("device", r#"{"driver":"x","on":true,"list":[1,null]}"#);
        let list = vec![Value::Integer(1), Value::Null];
        assert_eq!(json, Value::mapping().with("driver", "x").with("on", true).with("list", list));
    }
}
