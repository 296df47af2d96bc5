//! Aliases in documents of guests that run: what hypervisors call devices, which is true for one run only.

use crate::document::{Document, NodeId};
use crate::error::XmlError;

/// What aliases that authors choose begin with; they are the same in each run.
pub const CHOSEN_PREFIX: &str = "ua-";

/// Longest alias that is a name for more than its device.
const WORD_BYTES: usize = 64;

/// Whether an alias can be part of the name of a file: letters, digits, `-`, `_` and `.`, and not dots alone.
#[must_use]
pub fn is_word(alias: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    !alias.is_empty() && alias.len() <= WORD_BYTES && alias.chars().all(plain) && !alias.starts_with('.')
}

impl Document {
    /// Removes the aliases beneath an element's children that no author has chosen. Whether there were any.
    pub(crate) fn forget_aliases(&mut self, devices: NodeId) -> Result<bool, XmlError> {
        let given: Vec<_> = self.elements(devices).filter_map(|device| self.given_alias(device)).collect();
        given.iter().try_for_each(|alias| self.remove(*alias))?;
        Ok(!given.is_empty())
    }

    /// Gives a device this alias, in place of the one that it may have.
    ///
    /// # Errors
    /// For a name that no attribute can have.
    pub fn give_alias(&mut self, device: NodeId, name: &str) -> Result<(), XmlError> {
        let alias = match (self.child(device, "alias"), self.child(device, "address")) {
            (Some(alias), _) => alias,
            (None, Some(address)) => self.insert_before(address, "<alias/>")?,
            (None, None) => self.append_child(device, "<alias/>")?,
        };
        self.set_attribute(alias, "name", name)
    }

    /// The alias of a device that no author has chosen.
    #[must_use]
    pub fn given_alias(&self, device: NodeId) -> Option<NodeId> {
        let alias = self.child(device, "alias")?;
        let chosen = self.attribute(alias, "name").is_some_and(|name| name.starts_with(CHOSEN_PREFIX));
        (!chosen).then_some(alias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_of_authors_stay() {
        let text = "<devices>\n  <rng>\n    <alias name='rng0'/>\n  </rng>\n  <rng>\n    <alias name='ua-mine'/>\n  </rng>\n</devices>";
        let mut document = Document::parse(text).unwrap();
        assert!(document.forget_run(document.root()).unwrap());
        let xml = document.to_xml();
        assert!(!xml.contains("rng0") && xml.contains("ua-mine"), "{xml}");
        assert!(!document.forget_run(document.root()).unwrap());
    }

    #[test]
    fn words_are_no_paths() {
        assert!(is_word("channel0") && is_word("ua-my_line.2"));
        for other in ["", "..", "ua-../x", "a/b", "a b", &"x".repeat(65)] {
            assert!(!is_word(other), "{other}");
        }
    }
}
