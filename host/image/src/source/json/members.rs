//! The members of one object, and which of them were understood.

use std::cell::RefCell;

use super::Json;
use crate::reference::printable;
use crate::source::{Fault, Profile};

/// One object being read. Whatever is asked for counts as understood.
pub(super) struct Members<'a> {
    members: &'a [(String, Json)],
    profile: Profile,
    understood: RefCell<Vec<&'a str>>,
    /// Names of what was not understood in objects that belong to this one.
    within: RefCell<Vec<String>>,
}

impl<'a> Members<'a> {
    pub(super) fn new(members: &'a [(String, Json)], profile: Profile) -> Self {
        Self { members, profile, understood: RefCell::default(), within: RefCell::default() }
    }

    pub(super) fn strict(&self) -> bool {
        self.profile == Profile::Strict
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Json> {
        let (name, value) = self.members.iter().find(|(known, _)| known == name)?;
        self.understood.borrow_mut().push(name);
        Some(value).filter(|value| **value != Json::Null)
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(format!("'{name}' is not a string")),
        }
    }

    pub(super) fn need_text(&self, name: &str) -> Result<&'a str, Fault> {
        self.text(name)?.ok_or_else(|| format!("'{name}' is missing"))
    }

    /// A whole number, written as one or as text.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Json::Number(number)) => u64::try_from(*number).ok(),
            Some(Json::Text(text)) => text.parse().ok(),
            Some(_) => None,
        };
        number.map(Some).ok_or_else(|| format!("'{name}' is not a whole number"))
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Members<'a>>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => self.inner(value).map(Some).map_err(|()| format!("'{name}' is not an object")),
        }
    }

    /// The objects of a list.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Members<'a>>, Fault> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Json::List(items)) => items
                .iter()
                .map(|item| self.inner(item).map_err(|()| format!("'{name}' has an item that is no object")))
                .collect(),
            Some(_) => Err(format!("'{name}' is not a list")),
        }
    }

    fn inner(&self, value: &'a Json) -> Result<Members<'a>, ()> {
        match value {
            Json::Object(members) => Ok(Members::new(members, self.profile)),
            _ => Err(()),
        }
    }

    /// Lets `inner`, which was read as part of this object, account for it.
    pub(super) fn finish_into(&self, inner: &Self) {
        inner.within.borrow_mut().extend(self.unsupported());
    }

    /// Names of the members that were not understood. The compatible profile ignores them.
    pub(super) fn unsupported(&self) -> Vec<String> {
        if !self.strict() {
            return Vec::new();
        }
        let understood = self.understood.borrow();
        let left = self.members.iter().filter(|(name, _)| !understood.contains(&name.as_str()));
        let left = left.map(|(name, _)| format!("member '{}'", printable(name)));
        left.chain(self.within.borrow().iter().cloned()).collect()
    }
}
