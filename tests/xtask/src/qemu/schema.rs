//! Values against the schema that a QEMU tells of itself (QAPI `SchemaInfo`).

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

use super::Monitor;

/// What an option of a driver, or a command, may be given.
pub(crate) struct Schema {
    types: BTreeMap<String, Value>,
}

impl Schema {
    /// The schema of the installed QEMU.
    ///
    /// # Errors
    /// QEMU cannot be asked.
    pub(crate) fn of_installed() -> Result<Self> {
        let mut monitor = Monitor::start(&[])?;
        Self::of(&monitor.ask("query-qmp-schema", &json!({}))?)
    }

    fn of(answer: &Value) -> Result<Self> {
        let entries = answer.as_array().context("the schema is no list")?;
        let named = entries.iter().filter_map(|entry| Some((text(entry, "name")?.to_owned(), entry.clone())));
        Ok(Self { types: named.collect() })
    }

    /// Checks the arguments of a command.
    ///
    /// # Errors
    /// The first thing that the command would refuse, with its place.
    pub(crate) fn check_command(&self, command: &str, arguments: &Value) -> Result<(), String> {
        let entry = self.named(command)?;
        let kind = text(entry, "arg-type").ok_or_else(|| format!("'{command}' is no command"))?;
        self.check(kind, arguments, "")
    }

    /// Checks one argument of a command.
    ///
    /// # Errors
    /// The first thing that the command would refuse, with its place.
    pub(crate) fn check_argument(&self, command: &str, name: &str, value: &Value) -> Result<(), String> {
        let entry = self.named(command)?;
        let kind = text(entry, "arg-type").ok_or_else(|| format!("'{command}' is no command"))?;
        let member = members(self.named(kind)?).find(|member| text(member, "name") == Some(name));
        let kind = member.and_then(|member| text(member, "type"));
        self.check(kind.ok_or_else(|| format!("'{command}' has no argument '{name}'"))?, value, name)
    }

    /// Whether a block driver is built in, or can be loaded.
    pub(crate) fn has_block_driver(&self, driver: &str) -> bool {
        self.check_tag("blockdev-add", driver).unwrap_or(false)
    }

    fn check_tag(&self, command: &str, driver: &str) -> Option<bool> {
        let kind = text(self.named(command).ok()?, "arg-type")?;
        let member = members(self.named(kind).ok()?).find(|member| text(member, "name") == Some("driver"))?;
        Some(is_word(self.named(text(member, "type")?).ok()?, driver))
    }

    fn named(&self, name: &str) -> Result<&Value, String> {
        self.types.get(name).ok_or_else(|| format!("the schema does not know '{name}'"))
    }

    fn check(&self, kind: &str, value: &Value, place: &str) -> Result<(), String> {
        let entry = self.named(kind)?;
        match text(entry, "meta-type") {
            Some("builtin") => builtin(entry, value, place),
            Some("enum") => {
                let word = value.as_str().filter(|word| is_word(entry, word));
                word.map(|_| ()).ok_or_else(|| format!("{place}: {value} is none of the known words"))
            }
            Some("array") => self.check_items(entry, value, place),
            Some("alternate") => {
                let mut choices = members(entry).filter_map(|member| text(member, "type"));
                let fits = choices.any(|kind| self.check(kind, value, place).is_ok());
                if fits { Ok(()) } else { Err(format!("{place}: {value} is none of the alternatives")) }
            }
            Some("object") => {
                let found = value.as_object().ok_or_else(|| format!("{place}: {value} is no object"))?;
                self.check_members(entry, found, place)
            }
            other => Err(format!("{place}: the schema has a type of kind {other:?}")),
        }
    }

    fn check_items(&self, entry: &Value, value: &Value, place: &str) -> Result<(), String> {
        let items = value.as_array().ok_or_else(|| format!("{place}: {value} is no list"))?;
        let kind = text(entry, "element-type").ok_or_else(|| format!("{place}: a list of nothing"))?;
        items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| self.check(kind, item, &format!("{place}[{index}]")))
    }

    fn check_members(&self, entry: &Value, found: &Map<String, Value>, place: &str) -> Result<(), String> {
        let mut known: Vec<&Value> = members(entry).collect();
        if let Some(tag) = text(entry, "tag") {
            known.extend(self.variant(entry, found.get(tag)));
        }
        for member in &known {
            let (Some(name), Some(kind)) = (text(member, "name"), text(member, "type")) else { continue };
            match found.get(name) {
                Some(value) => self.check(kind, value, &format!("{place}.{name}"))?,
                // A member that has a default, even `null`, may be left out.
                None if member.get("default").is_some() => {}
                None => return Err(format!("{place}: member '{name}' is missing")),
            }
        }
        let stranger =
            found.keys().find(|name| !known.iter().any(|member| text(member, "name") == Some(name)));
        stranger.map_or(Ok(()), |name| Err(format!("{place}: member '{name}' is not known")))
    }

    /// The members that the value of the tag brings with it.
    fn variant(&self, entry: &Value, tag: Option<&Value>) -> Vec<&Value> {
        let cases = entry.get("variants").and_then(Value::as_array);
        let case = cases.into_iter().flatten().find(|case| case.get("case") == tag);
        let kind = case.and_then(|case| text(case, "type")).and_then(|kind| self.named(kind).ok());
        kind.into_iter().flat_map(members).collect()
    }
}

fn text<'a>(entry: &'a Value, name: &str) -> Option<&'a str> {
    entry.get(name).and_then(Value::as_str)
}

fn members(entry: &Value) -> impl Iterator<Item = &Value> {
    entry.get("members").and_then(Value::as_array).into_iter().flatten()
}

fn is_word(entry: &Value, word: &str) -> bool {
    let values = entry.get("values").and_then(Value::as_array);
    let plain = values.into_iter().flatten().any(|value| value == word);
    plain || members(entry).any(|member| text(member, "name") == Some(word))
}

fn builtin(entry: &Value, value: &Value, place: &str) -> Result<(), String> {
    let wanted = text(entry, "json-type").unwrap_or_default();
    let fits = match wanted {
        "string" => value.is_string(),
        "int" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "value" => true,
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("{place}: {value} is no {wanted}")) }
}

#[cfg(test)]
mod tests {
    use super::Schema;
    use serde_json::json;

    fn schema() -> Schema {
        Schema::of(&json!([
            { "name": "add", "meta-type": "command", "arg-type": "0" },
            { "name": "0", "meta-type": "object", "tag": "driver", "members": [
                { "name": "driver", "type": "1" }, { "name": "ro", "type": "bool", "default": null } ],
              "variants": [ { "case": "file", "type": "2" } ] },
            { "name": "1", "meta-type": "enum", "values": ["file", "null"] },
            { "name": "2", "meta-type": "object", "members": [
                { "name": "name", "type": "str" }, { "name": "sizes", "type": "[int]", "default": null },
                { "name": "below", "type": "3", "default": null } ] },
            { "name": "3", "meta-type": "alternate", "members": [ { "type": "str" }, { "type": "null" } ] },
            { "name": "[int]", "meta-type": "array", "element-type": "int" },
            { "name": "str", "meta-type": "builtin", "json-type": "string" },
            { "name": "int", "meta-type": "builtin", "json-type": "int" },
            { "name": "bool", "meta-type": "builtin", "json-type": "boolean" },
            { "name": "null", "meta-type": "builtin", "json-type": "null" },
        ]))
        .unwrap()
    }

    #[test]
    fn what_the_schema_allows_is_accepted() {
        for value in [
            json!({"driver": "null"}),
            json!({"driver": "file", "name": "a", "ro": true}),
            json!({"driver": "file", "name": "a", "sizes": [1, 2], "below": null}),
            json!({"driver": "file", "name": "a", "below": "b"}),
        ] {
            schema().check_command("add", &value).unwrap();
        }
        schema().check_argument("add", "driver", &json!("file")).unwrap();
    }

    #[test]
    fn what_it_does_not_is_refused_with_its_place() {
        for (value, place) in [
            (json!({"driver": "other"}), ".driver"),
            (json!({"driver": "file"}), "'name'"),
            (json!({"driver": "null", "name": "a"}), "'name'"),
            (json!({"driver": "file", "name": 1}), ".name"),
            (json!({"driver": "file", "name": "a", "sizes": ["x"]}), ".sizes[0]"),
            (json!({"driver": "file", "name": "a", "below": 1}), ".below"),
            (json!({"driver": "null", "ro": "yes"}), ".ro"),
            (json!([]), "no object"),
        ] {
            let why = schema().check_command("add", &value).unwrap_err();
            assert!(why.contains(place), "{value}: {why}");
        }
        assert!(schema().check_command("gone", &json!({})).is_err());
        assert!(schema().check_argument("add", "gone", &json!(1)).is_err());
    }
}
