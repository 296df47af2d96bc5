//! What one client may do: the rules that are about it, in order, and what holds where none of them says anything.

use std::sync::Arc;

use hostler_rpc::procedure;

use super::glob;
use super::object::{Fit, Object, Objects};

/// Who somebody is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The user; none for somebody who came over the network and whom no line of the file makes a user.
    pub(crate) uid: Option<u32>,
    /// The groups, the main one among them.
    pub(crate) gids: Vec<u32>,
    /// The name in the certificate of somebody who came by TLS.
    pub(crate) dn: Option<String>,
}

/// Whom a rule is about. All that is said has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) uids: Option<Vec<u32>>,
    pub(crate) gids: Option<Vec<u32>>,
    pub(crate) names: Option<Vec<String>>,
}

impl Who {
    /// Whether somebody is meant.
    pub(crate) fn is(&self, somebody: &Identity) -> bool {
        let uid = |uids: &Vec<u32>| somebody.uid.is_some_and(|uid| uids.contains(&uid));
        let gid = |gids: &Vec<u32>| somebody.gids.iter().any(|gid| gids.contains(gid));
        let name = |patterns: &Vec<String>| {
            let fits = |name: &str| patterns.iter().any(|pattern| glob::matches(pattern, name));
            somebody.dn.as_deref().is_some_and(fits)
        };
        self.uids.as_ref().is_none_or(uid)
            && self.gids.as_ref().is_none_or(gid)
            && self.names.as_ref().is_none_or(name)
    }
}

/// One rule: who may, or may not, do what with which objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) who: Who,
    /// Patterns of permissions.
    pub(crate) what: Vec<String>,
    /// Which objects; all of them without.
    pub(crate) on: Option<Objects>,
    pub(crate) allows: bool,
}

impl Rule {
    /// What it says of a permission on an object; nothing when it is not about that. Of what is not known it allows
    /// nothing and denies everything.
    fn says(&self, permission: &str, object: &Object<'_>) -> Option<bool> {
        let meant = self.what.iter().any(|pattern| glob::matches(pattern, permission));
        let fit = self.on.as_ref().map_or(Fit::Yes, |on| on.fit(object));
        match (meant, fit) {
            (false, _) | (_, Fit::No) => None,
            (true, Fit::Yes) => Some(self.allows),
            (true, Fit::Unknown) => (!self.allows).then_some(false),
        }
    }
}

/// What holds where no rule says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// Everything is allowed: for who owns what is served.
    Everything,
    /// What everybody may: looking, as libvirt has it.
    Defaults,
}

/// What one client may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    rules: Vec<Arc<Rule>>,
    otherwise: Otherwise,
}

impl Rights {
    /// The rights that rules give to whom they are about.
    pub(crate) fn new(rules: Vec<Arc<Rule>>, otherwise: Otherwise) -> Self {
        // Rules that allow what is allowed in any case would only be looked at.
        let needless = otherwise == Otherwise::Everything && rules.iter().all(|rule| rule.allows);
        Self { rules: if needless { Vec::new() } else { rules }, otherwise }
    }

    /// Whether there is nothing to look at.
    pub(crate) fn is_everything(&self) -> bool {
        self.rules.is_empty() && self.otherwise == Otherwise::Everything
    }

    /// Whether it depends on what an object is called.
    pub(crate) fn looks_at_objects(&self) -> bool {
        self.rules.iter().any(|rule| rule.on.is_some())
    }

    /// Whether a permission on an object is given: the first rule that is about it decides.
    pub(crate) fn may(&self, permission: &str, object: &Object<'_>) -> bool {
        let said = self.rules.iter().find_map(|rule| rule.says(permission, object));
        said.unwrap_or_else(|| self.otherwise == Otherwise::Everything || is_default(permission))
    }
}

fn is_default(permission: &str) -> bool {
    procedure::permissions().iter().any(|known| known.by_default && known.name == permission)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(what: &str, name: Option<&str>, allows: bool) -> Arc<Rule> {
        let on = name.map(|name| Objects { name: Some(name.to_owned()), ..Objects::default() });
        Arc::new(Rule { who: Who::default(), what: vec![what.to_owned()], on, allows })
    }

    #[test]
    fn first_rule_that_is_about_it_decides_and_then_what_everybody_may() {
        let rules = vec![
            rule("domain.stop", Some("web-1"), false),
            rule("domain.*", Some("web-*"), true),
            rule("domain.read", None, false),
        ];
        let rights = Rights::new(rules, Otherwise::Defaults);
        let named = |name| Object { name: Some(Some(name)), ..Object::default() };
        assert!(!rights.may("domain.stop", &named("web-1")));
        assert!(rights.may("domain.start", &named("web-1")));
        assert!(rights.may("domain.stop", &named("web-2")));
        assert!(!rights.may("domain.start", &named("db")));
        assert!(!rights.may("domain.read", &named("db")));
        // Nobody said anything of these: looking is allowed, changing is not.
        assert!(rights.may("domain.getattr", &named("db")));
        assert!(rights.may("connect.read", &Object::none()));
        assert!(!rights.may("connect.write", &Object::none()));
    }

    #[test]
    fn what_is_not_known_is_allowed_nothing_and_denied_everything() {
        let allows = Rights::new(vec![rule("domain.start", Some("web-*"), true)], Otherwise::Defaults);
        assert!(!allows.may("domain.start", &Object::default()));
        let denies = Rights::new(vec![rule("domain.start", Some("web-*"), false)], Otherwise::Everything);
        assert!(!denies.may("domain.start", &Object::default()));
        assert!(denies.may("domain.stop", &Object::default()));
    }

    #[test]
    fn who_has_everything_is_not_looked_at() {
        assert!(Rights::new(vec![rule("*", None, true)], Otherwise::Everything).is_everything());
        assert!(!Rights::new(vec![rule("*", None, false)], Otherwise::Everything).is_everything());
        assert!(!Rights::new(Vec::new(), Otherwise::Defaults).is_everything());
    }

    #[test]
    fn everything_that_is_said_of_somebody_has_to_hold() {
        let who = Who { uids: Some(vec![7]), gids: Some(vec![8, 9]), names: None };
        let somebody = |uid, gid| Identity { uid: Some(uid), gids: vec![gid], dn: None };
        assert!(who.is(&somebody(7, 9)) && !who.is(&somebody(7, 7)) && !who.is(&somebody(8, 9)));
        let who = Who { names: Some(vec!["CN=a*".to_owned()]), ..Who::default() };
        let named = |name: &str| Identity { dn: Some(name.to_owned()), ..Identity::default() };
        assert!(who.is(&named("CN=alice")) && !who.is(&named("CN=bob")) && !who.is(&somebody(0, 0)));
        assert!(Who::default().is(&Identity::default()));
    }
}
