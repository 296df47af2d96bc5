//! Who may do what: the access file, and what it makes of somebody.
//!
//! Rules are looked at in their order, and the first that is about somebody, a permission and an object decides. Where none
//! is, who owns what is served may everything and others may what libvirt gives to everybody: looking. What is asked of it is
//! found in the tables of the protocol (`checks`).

pub(crate) mod checks;
mod file;
pub(crate) mod glob;
pub(crate) mod object;
pub(crate) mod rights;
mod subjects;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_domains::{Error, nearest};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::procedure;
use nix::unistd::{Group, User};
use toml::Spanned;

pub use file::nearest_key;
use file::{IdentityText, OnText, OneOrMany, RuleText, Source, Verdict, WhoText};
use object::Objects;
use rights::{Identity, Otherwise, Rights, Rule, Who};

/// What clients are asked for before they are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Nothing: whoever the socket's mode lets in has every right, or what an access file says if there is one.
    None,
    /// Nothing: the access file says what they may, and without one they may look.
    Policy,
    /// That polkit lets them in, root and the daemon's own user excepted.
    Polkit,
}

impl std::str::FromStr for Auth {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "none" => Ok(Self::None),
            "policy" => Ok(Self::Policy),
            "polkit" => Ok(Self::Polkit),
            _ => Err(format!("'{}' is none of none, policy, polkit", word.escape_debug())),
        }
    }
}

/// Who is let in, and who may what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessSettings {
    /// The access file; `access.toml` in the state directory, if it is there, when none is named.
    pub file: Option<PathBuf>,
    /// What clients are asked for. When nothing is said, nothing; what they may says the access file, if there is one.
    pub auth: Option<Auth>,
}

/// The name of the access file in a state directory.
const FILE: &str = "access.toml";

/// What is known of who may what.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    rules: Vec<Arc<Rule>>,
    identities: Vec<Mapped>,
}

/// Who somebody with a certificate is on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mapped {
    name: String,
    uid: Option<u32>,
    tenant: Option<String>,
}

impl AccessSettings {
    /// Reads the file that is named, or that is there; nothing when there is none.
    ///
    /// # Errors
    /// [`Kind::Invalid`] with the place of what is wrong; what keeps it from being read.
    pub(crate) fn policy(&self, state_dir: &Path) -> Result<Option<Policy>, Error> {
        let usual = state_dir.join(FILE);
        let path = match &self.file {
            Some(named) => named,
            None if usual.exists() => &usual,
            None => return Ok(None),
        };
        Policy::parse(path, &file::read(path)?).map(Some)
    }
}

impl Policy {
    /// Understands a file.
    ///
    /// # Errors
    /// [`Kind::Invalid`] with the place of what is wrong.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let source = Source { path, text };
        let file = source.parse()?;
        let rules = file.rule.into_iter().map(|rule| source.rule(rule).map(Arc::new));
        let identities = file.identity.into_iter().map(|identity| source.identity(identity));
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
            identities: identities.collect::<Result<_, _>>()?,
        })
    }

    /// What somebody may.
    pub(crate) fn rights(&self, somebody: &Identity, otherwise: Otherwise) -> Rights {
        let rules = self.rules.iter().filter(|rule| rule.who.is(somebody)).cloned().collect();
        Rights::new(rules, otherwise)
    }

    /// Whether it matters in which groups somebody is.
    pub(crate) fn knows_groups(&self) -> bool {
        self.rules.iter().any(|rule| rule.who.gids.is_some())
    }

    /// The user and the tenant that the name in a certificate stands for: what the first line says that fits.
    pub(crate) fn mapped(&self, name: &str) -> (Option<u32>, Option<&str>) {
        let found = self.identities.iter().find(|mapped| glob::matches(&mapped.name, name));
        found.map_or((None, None), |mapped| (mapped.uid, mapped.tenant.as_deref()))
    }
}

impl Source<'_> {
    fn rule(&self, rule: RuleText) -> Result<Rule, Error> {
        let place = rule.what.span();
        let what = rule.what.into_inner().0;
        for pattern in &what {
            if !procedure::permissions().iter().any(|known| glob::matches(pattern, known.name)) {
                return Err(self.no_permission(&place, pattern));
            }
        }
        let on = rule.on.map(|OnText { name, uuid, driver, pool, usage }| Objects {
            name,
            uuid: uuid.map(|uuid| uuid.to_ascii_lowercase()),
            driver,
            pool,
            usage,
        });
        Ok(Rule { who: self.who(rule.who)?, what, on, allows: rule.then == Verdict::Allow })
    }

    fn no_permission(&self, place: &std::ops::Range<usize>, pattern: &str) -> Error {
        let what = format!("'{}' is no permission, and stands for none", pattern.escape_debug());
        let wrong = self.wrong("access.permission", place, &what);
        match nearest(pattern, procedure::permissions().iter().map(|known| known.name)) {
            Some(near) => wrong.hint(format!("did you mean '{near}'?")),
            None => wrong.hint("permissions are called as in libvirt: domain.start, domain.*, *.getattr"),
        }
    }

    fn who(&self, who: Spanned<WhoText>) -> Result<Who, Error> {
        let place = who.span();
        let WhoText { anyone, uid, user, gid, group, dn } = who.into_inner();
        let named = uid.is_some() || user.is_some() || gid.is_some() || group.is_some() || dn.is_some();
        if named == anyone {
            let what = "a rule has to say whom it is about, or that it is anyone";
            return Err(self
                .wrong("access.who", &place, what)
                .hint("name one of uid, user, gid, group and dn, or write anyone = true"));
        }
        let uids = ids(uid, user, |names| self.uids(&names))?;
        let gids = ids(gid, group, |names| self.gids(&names))?;
        Ok(Who { uids, gids, names: dn.map(|names| names.0) })
    }

    fn uids(&self, names: &Spanned<OneOrMany<String>>) -> Result<Vec<u32>, Error> {
        names.get_ref().0.iter().map(|name| self.uid(&names.span(), name)).collect()
    }

    fn uid(&self, place: &std::ops::Range<usize>, name: &str) -> Result<u32, Error> {
        let found = User::from_name(name).map_err(|error| self.unasked(place, name, error))?;
        let found = found.map(|user| user.uid.as_raw());
        found.ok_or_else(|| self.unknown(place, "user", name))
    }

    fn gids(&self, names: &Spanned<OneOrMany<String>>) -> Result<Vec<u32>, Error> {
        let gid = |name: &String| {
            let found = Group::from_name(name).map_err(|error| self.unasked(&names.span(), name, error))?;
            let found = found.map(|group| group.gid.as_raw());
            found.ok_or_else(|| self.unknown(&names.span(), "group", name))
        };
        names.get_ref().0.iter().map(gid).collect()
    }

    fn unasked(&self, place: &std::ops::Range<usize>, name: &str, error: nix::Error) -> Error {
        let what = format!("who '{}' is cannot be found out", name.escape_debug());
        self.wrong("access.names", place, &what).caused_by(error)
    }

    fn unknown(&self, place: &std::ops::Range<usize>, kind: &str, name: &str) -> Error {
        let what = format!("no {kind} of this host is called '{}'", name.escape_debug());
        self.wrong("access.names", place, &what).hint("write its number, if it is to come")
    }

    fn identity(&self, identity: IdentityText) -> Result<Mapped, Error> {
        let place = identity.dn.span();
        let named = identity.user.map(|user| self.uid(&user.span(), user.get_ref())).transpose()?;
        let uid = match (named, identity.uid) {
            (Some(_), Some(_)) => {
                return Err(self.wrong("access.identity", &place, "user and uid are both given"));
            }
            (named, given) => named.or(given),
        };
        if uid.is_none() && identity.tenant.is_none() {
            let wrong = self.wrong("access.identity", &place, "it is not said who that is");
            return Err(wrong.hint("name a user, a uid or a tenant"));
        }
        Ok(Mapped { name: identity.dn.into_inner(), uid, tenant: identity.tenant })
    }
}

/// Numbers that are given and those of names that are given; nothing when neither are.
fn ids<T>(
    numbers: Option<OneOrMany<u32>>,
    names: Option<T>,
    find: impl FnOnce(T) -> Result<Vec<u32>, Error>,
) -> Result<Option<Vec<u32>>, Error> {
    let found = names.map(find).transpose()?;
    if numbers.is_none() && found.is_none() {
        return Ok(None);
    }
    let numbers = numbers.map(|numbers| numbers.0).unwrap_or_default();
    Ok(Some(numbers.into_iter().chain(found.unwrap_or_default()).collect()))
}

/// The error for something that may not be done, with the words that clients know.
pub(crate) fn denied(detail: &str) -> RpcError {
    RpcError::new(codes::ERR_ACCESS_DENIED, codes::FROM_ACCESS, detail)
}

#[cfg(test)]
mod tests;
