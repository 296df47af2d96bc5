//! Lists of what is allowed, as operators write them: `"qmp"`, `"process:qemu-system-*"`, `"*"`.

use serde::{Deserialize, Deserializer, de};

use crate::capability::{Capability, Grant};

/// What may be had. An empty list allows nothing but what every driver has.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AllowList {
    everything: bool,
    entries: Vec<Grant>,
}

impl AllowList {
    /// The list that allows everything.
    #[must_use]
    pub fn everything() -> Self {
        Self { everything: true, entries: Vec::new() }
    }

    /// A list from its written entries.
    ///
    /// # Errors
    /// The first entry that is not valid, and why.
    pub fn parse<T: AsRef<str>>(entries: &[T]) -> Result<Self, String> {
        let mut list = Self::default();
        for entry in entries {
            match entry.as_ref() {
                "*" => list.everything = true,
                written => list.entries.push(Grant::parse(written, true)?),
            }
        }
        Ok(list)
    }

    /// Whether the capability may be had for this scope (empty for one that has none).
    #[must_use]
    pub fn allows(&self, capability: Capability, scope: &str) -> bool {
        let matches = |entry: &Grant| {
            entry.capability == capability
                && match entry.scope.strip_suffix('*') {
                    Some(start) => scope.starts_with(start),
                    None => entry.scope == scope,
                }
        };
        capability.is_basic() || self.everything || self.entries.iter().any(matches)
    }
}

impl<'de> Deserialize<'de> for AllowList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Vec::<String>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_match_exactly_or_by_their_start() {
        let list = AllowList::parse(&["qmp", "process:qemu-system-*", "process:swtpm"]).unwrap();
        assert!(list.allows(Capability::Qmp, ""));
        assert!(list.allows(Capability::Process, "qemu-system-x86_64"));
        assert!(list.allows(Capability::Process, "swtpm"));
        assert!(!list.allows(Capability::Process, "swtpm2"));
        assert!(!list.allows(Capability::Process, "sh"));
        assert!(!list.allows(Capability::Storage, ""));
    }

    #[test]
    fn empty_list_allows_only_what_all_have_and_star_everything() {
        for capability in Capability::ALL {
            assert_eq!(AllowList::default().allows(capability, "x"), capability.is_basic());
            assert!(AllowList::everything().allows(capability, "x"));
        }
        assert_eq!(AllowList::parse(&["*"]).unwrap(), AllowList::everything());
    }

    #[test]
    fn star_inside_a_scope_is_refused() {
        assert!(AllowList::parse(&["process:q*u"]).is_err());
        assert!(AllowList::parse(&["process"]).unwrap_err().contains("needs a scope"));
    }
}
