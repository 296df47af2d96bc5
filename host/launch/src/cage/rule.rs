//! What a template says about its program's cage: which files it needs, and which wishes open a wall.

use std::path::PathBuf;

use serde::Deserialize;

use crate::plan::Plan;
use crate::value::Value;

/// What a program finds in its cage, as an operator writes it. Nothing else is there.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct CageRule {
    /// Where libraries are looked for, in order. Only those that the program needs are bound.
    pub(crate) libraries: Vec<PathBuf>,
    /// Parts that the program loads while it runs.
    #[serde(default)]
    pub(crate) modules: ModuleRule,
    /// Files and directories; of each group at least one must exist, and all that exist are bound.
    #[serde(default)]
    pub(crate) needed: Vec<Vec<PathBuf>>,
    /// Files and directories that are bound where they exist.
    #[serde(default)]
    pub(crate) optional: Vec<PathBuf>,
    #[serde(default)]
    pub(crate) devices: Vec<DeviceRule>,
    /// What asks for the host's network.
    #[serde(default)]
    pub(crate) host_network: NetworkRule,
    /// What asks for io_uring, which is refused otherwise.
    #[serde(default)]
    pub(crate) io_uring: Vec<Condition>,
    /// The program sets the modes of files that it makes: its owner's rights to read and write them, and no others.
    #[serde(default)]
    pub(crate) sets_modes: bool,
    /// The program serves folders of the host to a guest: see `cage/server.rs` for what that is.
    #[serde(default)]
    pub(crate) file_server: bool,
    /// The program makes a cage of its own when it starts, and does not go on without: see `cage/seccomp.rs` for what it is
    /// told.
    #[serde(default)]
    pub(crate) confines_itself: bool,
    /// What asks for memory that is not swapped.
    #[serde(default)]
    pub(crate) lock_memory: Vec<Condition>,
}

/// Shared objects that are loaded by name while the program runs.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct ModuleRule {
    /// Where they may be.
    #[serde(default)]
    pub(crate) directories: Vec<PathBuf>,
    /// How the names of those begin that policy has a use for.
    #[serde(default)]
    pub(crate) names: Vec<String>,
}

/// A device node.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct DeviceRule {
    pub(crate) path: PathBuf,
    /// What asks for it; always there when empty.
    #[serde(default)]
    pub(crate) when: Vec<Condition>,
}

/// When the program stays in the host's network, and what it needs to use it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct NetworkRule {
    /// Whatever the plan says.
    #[serde(default)]
    pub(crate) always: bool,
    #[serde(default)]
    pub(crate) when: Vec<Condition>,
    /// Files that are bound then, where they exist.
    #[serde(default)]
    pub(crate) files: Vec<PathBuf>,
}

/// Something that a plan can say.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Condition {
    /// The option's name.
    pub(crate) option: String,
    /// A member of its value, however deep; the value itself when absent.
    pub(crate) member: Option<String>,
    /// What it says: one of its parts between colons is one of these words. Any text when empty.
    #[serde(default)]
    pub(crate) words: Vec<String>,
}

impl Condition {
    /// Whether the plan says it.
    pub(crate) fn holds(&self, plan: &Plan) -> bool {
        let options = plan.options.iter().filter(|option| option.name == self.option);
        options.filter_map(|option| option.value.as_ref()).any(|value| match &self.member {
            None => self.says(value) || value.children().any(|value| self.says(value)),
            // A value that is no mapping is the option's first member.
            Some(_) if !matches!(value, Value::Mapping(_)) => self.says(value),
            Some(member) => self.found_below(value, member),
        })
    }

    fn found_below(&self, value: &Value, member: &str) -> bool {
        let own = match value {
            Value::Mapping(pairs) => pairs.iter().any(|(key, value)| key == member && self.says(value)),
            _ => false,
        };
        own || value.children().any(|child| self.found_below(child, member))
    }

    fn says(&self, value: &Value) -> bool {
        let text = match value {
            Value::Text(text) => text.clone(),
            Value::Boolean(on) => (if *on { "on" } else { "off" }).to_owned(),
            Value::Integer(number) => number.to_string(),
            _ => return false,
        };
        self.words.is_empty() || text.split(':').any(|part| self.words.iter().any(|word| word == part))
    }
}

/// Whether the plan says any of these.
pub(crate) fn any(conditions: &[Condition], plan: &Plan) -> bool {
    conditions.iter().any(|condition| condition.holds(plan))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::OptionEntry;

    fn plan(name: &str, value: Value) -> Plan {
        let options = vec![OptionEntry { name: name.into(), value: Some(value) }];
        Plan { template: "t".into(), options, environment: vec![], reactions: vec![] }
    }

    fn condition(text: &str) -> Condition {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn words_stand_between_colons_wherever_the_option_has_them() {
        let kvm = condition(r#"{"option": "accel", "words": ["kvm"]}"#);
        for value in [Value::text("kvm"), Value::text("kvm:tcg"), Value::mapping([("accel", "kvm".into())])] {
            assert!(kvm.holds(&plan("accel", value)));
        }
        assert!(!kvm.holds(&plan("accel", "tcg".into())));
        assert!(!kvm.holds(&plan("accel", "nokvm".into())));
        assert!(!kvm.holds(&plan("machine", "kvm".into())));
    }

    #[test]
    fn members_are_found_at_any_depth_and_by_presence_alone() {
        let ring = condition(r#"{"option": "blockdev", "member": "aio", "words": ["io_uring"]}"#);
        let file = Value::mapping([("driver", "file".into()), ("aio", "io_uring".into())]);
        assert!(ring.holds(&plan("blockdev", Value::mapping([("file", file)]))));
        assert!(!ring.holds(&plan("blockdev", Value::mapping([("driver", "io_uring".into())]))));
        let port = condition(r#"{"option": "spice", "member": "port"}"#);
        assert!(port.holds(&plan("spice", Value::mapping([("port", Value::Integer(5900))]))));
        assert!(!port.holds(&plan("spice", Value::mapping([("port", Value::Handle(1))]))));
        let lock = condition(r#"{"option": "overcommit", "member": "mem-lock", "words": ["on"]}"#);
        assert!(lock.holds(&plan("overcommit", Value::mapping([("mem-lock", Value::Boolean(true))]))));
        assert!(!lock.holds(&plan("overcommit", Value::mapping([("mem-lock", Value::Boolean(false))]))));
    }
}
