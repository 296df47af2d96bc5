//! The facts, as they are kept.

use super::shapes;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A field: its name and its shape.
pub(super) type Field = (String, Value);

/// A procedure or an event.
#[derive(Debug, Deserialize)]
pub(super) struct Procedure {
    pub(super) program: String,
    pub(super) number: i32,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) args: Option<Vec<Field>>,
    pub(super) ret: Option<Vec<Field>>,
    pub(super) msg: Option<Vec<Field>>,
    pub(super) priority: Option<String>,
    #[serde(default)]
    pub(super) acl: Vec<Permission>,
    #[serde(default)]
    pub(super) acl_result_filter: Vec<Permission>,
    pub(super) readonly_conn: Option<Value>,
    pub(super) stream: Option<Value>,
    #[serde(default)]
    pub(super) pre_auth: bool,
}

/// A permission.
#[derive(Debug, Deserialize)]
pub(super) struct Permission {
    object: String,
    perm: String,
    #[serde(default)]
    pub(super) only_if_flag: Option<String>,
}

impl Permission {
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.object, self.perm)
    }
}

impl Procedure {
    pub(super) fn type_name(&self) -> String {
        let program = if self.program == "remote" { String::new() } else { format!("{}_", self.program) };
        shapes::type_name(&format!("{program}{}", self.name))
    }

    pub(super) fn program_name(&self) -> String {
        self.program.to_uppercase()
    }
}

/// All that is read.
pub(super) struct Corpus {
    procedures: Vec<Procedure>,
    types: BTreeMap<String, Value>,
    constants: BTreeMap<String, Value>,
    errors: BTreeMap<String, Value>,
    permissions: BTreeMap<String, BTreeMap<String, PermissionFacts>>,
}

#[derive(Deserialize)]
struct ProcedureFile {
    procedures: Vec<Procedure>,
    types: BTreeMap<String, Value>,
    acl_permissions: BTreeMap<String, BTreeMap<String, PermissionFacts>>,
}

#[derive(Deserialize)]
struct PermissionFacts {
    default_allow: bool,
}

impl Corpus {
    pub(super) fn load(directory: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let file: ProcedureFile = serde_json::from_str(&read("procedures.json")?)?;
        let constants = serde_json::from_str(&read("constants.json")?)?;
        let errors = serde_json::from_str(&read("errors.json")?)?;
        let (procedures, types, permissions) = (file.procedures, file.types, file.acl_permissions);
        Ok(Self { procedures, types, constants, errors, permissions })
    }

    /// The procedures of the programs that a client of domains speaks.
    pub(super) fn served(&self) -> impl Iterator<Item = &Procedure> {
        self.procedures
            .iter()
            .filter(|procedure| matches!(procedure.program.as_str(), "remote" | "qemu" | "lxc"))
    }

    fn type_of(&self, name: &str) -> Result<&Value> {
        self.types.get(name).with_context(|| format!("nothing is called {name}"))
    }

    /// The names of all that a shape is made of.
    pub(super) fn referenced(&self, shape: &Value, names: &mut BTreeSet<String>) -> Result<()> {
        for part in ["option", "list", "vector", "alias"] {
            if let Some(inner) = shape.get(part) {
                self.referenced(inner, names)?;
            }
        }
        let Some(name) = shape.get("ref").and_then(Value::as_str) else { return Ok(()) };
        if names.insert(name.to_owned()) {
            let found = self.type_of(name)?;
            self.referenced(found, names)?;
            for (_, inner) in self.record(name)?.unwrap_or_default() {
                self.referenced(&inner, names)?;
            }
        }
        Ok(())
    }

    /// The fields of a record; nothing for a name of something else.
    pub(super) fn record(&self, name: &str) -> Result<Option<Vec<Field>>> {
        let found = self.type_of(name)?.get("struct");
        Ok(found.map(|fields| serde_json::from_value(fields.clone())).transpose()?)
    }

    /// Fields as they are written in a table.
    pub(super) fn fields(&self, fields: &[Field]) -> Result<String> {
        let written: Result<Vec<_>> = fields
            .iter()
            .map(|(name, shape)| Ok(format!("{}: {}", shapes::field_name(name), self.shape(shape)?)))
            .collect();
        Ok(written?.join(", "))
    }

    fn shape(&self, shape: &Value) -> Result<String> {
        if let Some(scalar) = shape.as_str() {
            return shapes::scalar(scalar);
        }
        let number = |name: &str| shape.get(name).and_then(Value::as_u64);
        if let Some(name) = shape.get("ref").and_then(Value::as_str) {
            return self.named(name);
        }
        if let Some(inner) = shape.get("option") {
            return Ok(format!("Option<{}>", self.shape(inner)?));
        }
        if let (Some(inner), Some(most)) = (shape.get("list"), number("max")) {
            return Ok(format!("List<{}, {most}>", self.shape(inner)?));
        }
        if let (Some(_), Some(count)) = (shape.get("vector"), number("n")) {
            return Ok(format!("Characters<{count}>"));
        }
        if let Some(most) = number("opaque_var") {
            return Ok(format!("Opaque<{most}>"));
        }
        Ok(match () {
            () if number("opaque") == Some(16) => "[u8; 16]".to_owned(),
            () if number("string").is_some() => "String".to_owned(),
            () if number("uchar").is_some() => "u8".to_owned(),
            // A character of a text is eight bits; one alone is a small number with a sign.
            () if number("char").is_some() => "u8".to_owned(),
            () if shape.get("enum").is_some() => "i32".to_owned(),
            () => bail!("a shape that is not known: {shape}"),
        })
    }

    fn named(&self, name: &str) -> Result<String> {
        let found = self.type_of(name)?;
        match found.get("alias") {
            Some(alias) => self.shape(alias),
            None if found.get("union").is_some() => Ok("TypedValue".to_owned()),
            None => Ok(shapes::record_name(name)),
        }
    }

    /// The value of flags that are joined with `|`.
    pub(super) fn flags(&self, names: &str) -> Result<u64> {
        names.split('|').try_fold(0, |all, name| Ok(all | self.constant(name)?))
    }

    fn constant(&self, name: &str) -> Result<u64> {
        let found = self.constants.values().find_map(|group| group.get(name)?.as_u64());
        found.with_context(|| format!("no constant is called {name}"))
    }

    /// Every permission by its name, and whether everybody has it.
    pub(super) fn permissions(&self) -> impl Iterator<Item = (String, bool)> {
        self.permissions.iter().flat_map(|(object, permissions)| {
            permissions.iter().map(move |(name, facts)| (format!("{object}.{name}"), facts.default_allow))
        })
    }

    /// The numbers of errors and of their origins, by number.
    pub(super) fn codes(&self) -> Vec<(String, i64)> {
        let group =
            |name: &str| self.errors.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        let mut codes = Vec::new();
        for name in ["codes", "domains"] {
            let mut numbers: Vec<_> = group(name)
                .into_iter()
                .filter_map(|(number, name)| {
                    Some((name.as_str()?.trim_start_matches("VIR_").to_owned(), number.parse().ok()?))
                })
                .collect();
            numbers.sort_by_key(|(_, number)| *number);
            codes.extend(numbers);
        }
        codes
    }
}
