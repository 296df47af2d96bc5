//! QEMU's `a=b,c=d` option values: commas doubled to be literal, and a first bare word with an implied key.

use serde_json::{Map, Value};

/// What the value of an option means to QEMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// Nothing is known about the option; its value is key=value text only when it looks like it.
    Unknown,
    /// A plain string, never split at commas.
    Plain,
    /// Key=value text; a first bare word is the value of this key (none when empty).
    Keyed(&'static str),
}

/// The syntax of an option's value.
pub(crate) fn syntax(option: &str) -> Syntax {
    let key = match option {
        "-set" | "-global" | "-vga" | "-k" | "-uuid" | "-bios" | "-kernel" | "-initrd" | "-append"
        | "-dtb" | "-pidfile" | "-incoming" | "-D" | "-serial" | "-monitor" | "-parallel" | "-qmp"
        | "-loadvm" => {
            return Syntax::Plain;
        }
        "-machine" | "-M" | "-netdev" | "-netdevs" | "-net" | "-display" | "-tpmdev" | "-numa" => "type",
        "-device" | "-blockdev" | "-audiodev" => "driver",
        "-fsdev" | "-virtfs" => "fsdriver",
        "-cpu" | "-nic" => "model",
        "-accel" => "accel",
        "-object" => "qom-type",
        "-chardev" => "backend",
        "-m" => "size",
        "-smp" => "cpus",
        "-name" => "guest",
        "-vnc" => "vnc",
        "-mon" => "chardev",
        "-sandbox" => "enable",
        "-boot" => "order",
        "-watchdog-action" => "action",
        "-fw_cfg" => "name",
        "-icount" => "shift",
        "-action" | "-compat" | "-spice" | "-drive" | "-rtc" | "-overcommit" | "-msg" | "-add-fd"
        | "-smbios" | "-acpitable" | "-run-with" => "",
        _ => return Syntax::Unknown,
    };
    Syntax::Keyed(key)
}

/// Keys whose repetition makes a list even when given once.
fn is_list(option: &str, key: &str) -> bool {
    matches!(
        (option, key),
        ("-spice", "tls-channel" | "plaintext-channel")
            | ("-numa", "cpus")
            | ("-netdev", "hostfwd" | "guestfwd" | "dnssearch")
            | ("-smbios", "value")
    )
}

/// Splits at single commas; a doubled comma is one literal comma.
pub(crate) fn split_commas(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != ',' {
            part.push(c);
        } else if chars.next_if_eq(&',').is_some() {
            part.push(',');
        } else {
            parts.push(std::mem::take(&mut part));
        }
    }
    parts.push(part);
    parts
}

/// Parses the value of `option` to an object of strings, and of lists where a key came more than once.
pub(crate) fn parse(option: &str, text: &str) -> Value {
    let implied = match syntax(option) {
        Syntax::Keyed(key) => key,
        Syntax::Plain | Syntax::Unknown => "",
    };
    let mut object = Map::new();
    for (index, part) in split_commas(text).into_iter().enumerate() {
        if let Some((key, value)) = part.split_once('=') {
            put(&mut object, option, key, value);
        } else if index == 0 && !implied.is_empty() {
            put(&mut object, option, implied, &part);
        } else if let Some((name, switch)) = cpu_flag(option, &part) {
            put(&mut object, option, name, switch);
        } else if !part.is_empty() {
            put(&mut object, option, &part, "on");
        }
    }
    Value::Object(object)
}

/// The old spelling of a CPU feature, `+x2apic` or `-vmx`.
fn cpu_flag<'a>(option: &str, part: &'a str) -> Option<(&'a str, &'static str)> {
    if option != "-cpu" {
        return None;
    }
    let on = part.strip_prefix('+').map(|name| (name, "on"));
    on.or_else(|| part.strip_prefix('-').map(|name| (name, "off")))
}

fn put(object: &mut Map<String, Value>, option: &str, key: &str, value: &str) {
    let value = Value::from(value);
    match object.get_mut(key) {
        Some(Value::Array(list)) => list.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
        None if is_list(option, key) => {
            object.insert(key.to_owned(), Value::Array(vec![value]));
        }
        None => {
            object.insert(key.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, split_commas};
    use serde_json::json;

    #[test]
    fn doubled_comma_is_literal() {
        assert_eq!(split_commas("a,,b,c"), ["a,b", "c"]);
        assert_eq!(split_commas("a,,,b"), ["a,", "b"]);
        assert_eq!(split_commas(""), [""]);
    }

    #[test]
    fn first_bare_word_has_the_implied_key_and_later_ones_mean_on() {
        assert_eq!(parse("-machine", "q35,usb=off,dump"), json!({"type": "q35", "usb": "off", "dump": "on"}));
        assert_eq!(parse("-overcommit", "mem-lock=off"), json!({"mem-lock": "off"}));
    }

    #[test]
    fn cpu_features_have_two_spellings() {
        assert_eq!(parse("-cpu", "qemu64,+x2apic,-vmx"), parse("-cpu", "qemu64,x2apic=on,vmx=off"));
    }

    #[test]
    fn repeated_keys_become_lists() {
        assert_eq!(parse("-numa", "node,cpus=0"), json!({"type": "node", "cpus": ["0"]}));
        assert_eq!(parse("-device", "x,a=1,a=2,a=3"), json!({"driver": "x", "a": ["1", "2", "3"]}));
    }
}
