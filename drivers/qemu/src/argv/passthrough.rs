//! What the document says in QEMU's own words.

use hostler_sdk::{Error, ProblemExt, Value, problem};

use super::builder::Builder;

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

/// An option's value as the document writes it: `first,key=value,…`, commas in values doubled.
fn parse_argument(name: &str, text: &str) -> Value {
    if TEXT_OPTIONS.contains(&name) || text.starts_with('{') {
        return Value::from(text);
    }
    let mut value = Value::mapping();
    for (position, part) in split_at_single_commas(text).into_iter().enumerate() {
        match part.split_once('=') {
            Some((key, part)) => value.set(key, part),
            None if position == 0 => value.set(implied_key(name), part.as_str()),
            None => value.set(&part, true),
        }
    }
    value
}

fn implied_key(option: &str) -> &'static str {
    match option {
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
        _ => "value",
    }
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
    }
}
