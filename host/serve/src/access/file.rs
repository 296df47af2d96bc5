//! The access file as it is written: TOML, in which every key that is not known is refused with its place.

use std::ops::Range;
use std::path::Path;

use hostler_domains::{Error, Kind};
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use toml::Spanned;

/// Largest access file, in bytes.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// A whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The rules, of which the first that is about something decides.
    #[serde(default)]
    pub(super) rule: Vec<RuleText>,
    /// Who names in certificates are on this host.
    #[serde(default)]
    pub(super) identity: Vec<IdentityText>,
}

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleText {
    pub(super) then: Verdict,
    pub(super) who: Spanned<WhoText>,
    pub(super) what: Spanned<OneOrMany<String>>,
    pub(super) on: Option<OnText>,
}

/// What a rule decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    Allow,
    Deny,
}

/// Whom a rule is about.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhoText {
    #[serde(default)]
    pub(super) anyone: bool,
    pub(super) uid: Option<OneOrMany<u32>>,
    pub(super) user: Option<Spanned<OneOrMany<String>>>,
    pub(super) gid: Option<OneOrMany<u32>>,
    pub(super) group: Option<Spanned<OneOrMany<String>>>,
    pub(super) dn: Option<OneOrMany<String>>,
}

/// Which objects a rule is about.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OnText {
    pub(super) name: Option<String>,
    pub(super) uuid: Option<String>,
    pub(super) driver: Option<String>,
    pub(super) pool: Option<String>,
    pub(super) usage: Option<String>,
}

/// Who somebody with a certificate is on this host.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentityText {
    pub(super) dn: Spanned<String>,
    pub(super) user: Option<Spanned<String>>,
    pub(super) uid: Option<u32>,
    pub(super) tenant: Option<String>,
}

/// One value, or several in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OneOrMany<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Several(std::marker::PhantomData))
    }
}

struct Several<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Several<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("one value or a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        T::deserialize(de::value::StrDeserializer::new(text)).map(|value| OneOrMany(vec![value]))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        T::deserialize(de::value::I64Deserializer::new(number)).map(|value| OneOrMany(vec![value]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(OneOrMany(values))
    }
}

/// A text that is being read, for errors that say where.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// Reads it.
    ///
    /// # Errors
    /// [`Kind::Invalid`] with place and hint.
    pub(super) fn parse(&self) -> Result<File, Error> {
        toml::from_str(self.text).map_err(|error| {
            let place = error.span().unwrap_or_default();
            let wrong = self.wrong("access.syntax", &place, error.message());
            match nearest_key(error.message()) {
                Some(near) => wrong.hint(format!("did you mean '{near}'?")),
                None => wrong,
            }
        })
    }

    /// An error with the place of it.
    pub(super) fn wrong(&self, code: &str, place: &Range<usize>, what: &str) -> Error {
        let before = self.text.get(..place.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let message = format!("the access file '{}' is wrong: {what}", self.path.display());
        Error::new(Kind::Invalid, code, message)
            .about("file", self.path.display().to_string())
            .about("line", line.to_string())
            .about("column", column.to_string())
    }
}

/// The key that comes nearest to one that is not known, of those that the parser of TOML says in its message are.
#[must_use]
pub fn nearest_key(message: &str) -> Option<&str> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next().filter(|_| message.starts_with("unknown"))?;
    hostler_domains::nearest(unknown, quoted)
}

/// Reads a file that says who may what: it has to belong to root or to who asks, and nobody else may write to it.
///
/// # Errors
/// [`Kind::Host`] when it cannot be read, [`Kind::Denied`] when others may write to it, [`Kind::Invalid`] for its size.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    use std::io::Read as _;
    use std::os::unix::fs::MetadataExt as _;
    let failed = |error: std::io::Error| {
        let message = format!("cannot read the access file '{}'", path.display());
        Error::new(Kind::Host, "access.unreadable", message).caused_by(error)
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    let own = rustix::process::geteuid().as_raw();
    if !(found.uid() == 0 || found.uid() == own) || found.mode() & 0o022 != 0 {
        let message = format!("others may write to the access file '{}'", path.display());
        return Err(Error::new(Kind::Denied, "access.writable", message)
            .about("file", path.display().to_string())
            .hint("it has to belong to root or to who runs the daemon, with mode 0644 or less"));
    }
    let mut text = String::new();
    file.take(FILE_MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_MAX_BYTES {
        let message = format!("the access file '{}' has more than {FILE_MAX_BYTES} bytes", path.display());
        return Err(Error::new(Kind::Invalid, "access.size", message));
    }
    Ok(text)
}
