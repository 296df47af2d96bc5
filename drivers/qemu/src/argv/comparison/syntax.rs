//! Options that libvirt 8.5 wrote in another syntax than the one that QEMU prefers now.

use hostler_sdk::Value;

/// Whether an option of `<qemu:commandline>` is shown as the document has it, and not as JSON.
pub(in crate::argv) fn keeps_text(option: &str) -> bool {
    matches!(option, "device" | "object" | "netdev" | "blockdev" | "audiodev")
}

/// A network back end as `type,key=value,…`.
pub(in crate::argv) fn netdev(value: &Value) -> Value {
    let Value::Mapping(entries) = value else { return value.clone() };
    let mut parts = Vec::new();
    for (key, value) in entries {
        match value {
            _ if key == "type" => parts.extend(text(value)),
            Value::Sequence(items) => {
                parts.extend(
                    items.iter().filter_map(|item| Some(format!("{key}={}", text(item.get("str")?)?))),
                );
            }
            value => parts.extend(text(value).map(|text| format!("{key}={text}"))),
        }
    }
    Value::from(parts.join(","))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Boolean(on) => Some(if *on { "on" } else { "off" }.to_owned()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.replace(',', ",,")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_ends_are_written_with_keys() {
        let forward = Value::mapping().with("str", "tcp:10.0.2.1:4600-chardev:c");
        let value = Value::mapping().with("type", "user").with("guestfwd", vec![forward]).with("id", "a,b");
        assert_eq!(netdev(&value), Value::from("user,guestfwd=tcp:10.0.2.1:4600-chardev:c,id=a,,b"));
    }
}
