//! Values as JSON text, for tools and tests that look at them. What starts a hypervisor is written by the host.

use crate::{Symbol, Value};

impl Value {
    /// The value as JSON on one line; `name` says what is shown in the place of a handle.
    pub fn to_json(&self, name: &dyn Fn(&Symbol) -> String) -> String {
        match self {
            Value::Null => "null".to_owned(),
            Value::Boolean(on) => on.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Text(text) => quoted(text),
            Value::Handle(symbol) => quoted(&name(symbol)),
            Value::Sequence(items) => {
                let items: Vec<_> = items.iter().map(|item| item.to_json(name)).collect();
                format!("[{}]", items.join(","))
            }
            Value::Mapping(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| format!("{}:{}", quoted(key), value.to_json(name)))
                    .collect();
                format!("{{{}}}", entries.join(","))
            }
        }
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_is_shown_and_text_is_escaped() {
        let value = Value::mapping()
            .with("a\"b", "c\\d\n")
            .with("list", vec![Value::Null, Value::Integer(-1), Value::Boolean(true)])
            .with("image", Symbol::Code);
        assert_eq!(
            value.to_json(&|symbol| format!("<{symbol:?}>")),
            r#"{"a\"b":"c\\d\u000a","list":[null,-1,true],"image":"<Code>"}"#
        );
    }
}
