//! A launch as data, and its frozen form.

use serde::Serialize;

use crate::value::Value;

/// What a driver wants started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The program's template, by the name that the grant gives it: `qemu-system-x86_64`.
    pub template: String,
    /// The program's options in order.
    pub options: Vec<OptionEntry>,
    /// Variables for the program beyond the template's own; the template lists which may be given.
    pub environment: Vec<(String, String)>,
    /// What the shim does by itself when an event arrives.
    pub reactions: Vec<Reaction>,
}

/// One option of the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OptionEntry {
    /// The option's name without dashes: `device`.
    pub name: String,
    /// Its value; absent for an option that takes none.
    pub value: Option<Value>,
}

impl OptionEntry {
    /// An option without a value.
    pub fn flag(name: impl Into<String>) -> Self {
        Self { name: name.into(), value: None }
    }

    /// An option with a value.
    pub fn new(name: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { name: name.into(), value: Some(value.into()) }
    }
}

/// On this event, these commands without arguments, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Reaction {
    /// The hypervisor's event, by its own name: `SHUTDOWN`.
    pub event: String,
    /// Commands, checked against the same policy as a monitor's.
    pub commands: Vec<String>,
}

/// A second program of a launch: a helper that the hypervisor talks to, which begins before it and ends with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Companion {
    /// Its name among the companions of the launch: `tpm0`. Links name it.
    pub name: String,
    /// What is started: a template and options, as for a hypervisor. There are no reactions without a monitor.
    pub plan: Plan,
}

impl Plan {
    /// The bytes that are frozen: compact JSON, members in a fixed order.
    ///
    /// # Errors
    /// None that a plan can cause; the JSON writer's own error type is passed on.
    pub(crate) fn canonical(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_form_tells_handles_from_members_called_handle() {
        let plan = |value| Plan {
            template: "t".into(),
            options: vec![OptionEntry { name: "o".into(), value: Some(value) }],
            environment: vec![],
            reactions: vec![],
        };
        let handle = plan(Value::Handle(3)).canonical().unwrap();
        let member = plan(Value::mapping([("handle", Value::Integer(3))])).canonical().unwrap();
        assert_ne!(handle, member);
        assert!(String::from_utf8(handle).unwrap().contains(r#"{"handle":3}"#));
    }
}
