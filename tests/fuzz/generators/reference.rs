//! References with a secret in a place where secrets stand, and any text around it.

use arbitrary::Arbitrary;

/// The secret: it must be in nothing that is shown.
pub const SECRET: &str = "Zq7hunter2Z7q";

const SCHEMES: [&str; 10] =
    ["https", "ssh", "rbd", "nbd", "iscsi", "gluster+tcp", "HTTPS", "unheard-of", "file", "json"];

/// A reference as the fuzzer makes it; `scheme` is a place in the list of schemes.
#[derive(Debug, Arbitrary)]
pub enum ReferenceCase<'a> {
    /// Any text, no secret known.
    Text(&'a str),
    /// The secret in some place.
    Secret {
        /// Which scheme.
        scheme: u8,
        /// Where the secret stands.
        place: Place,
        /// What stands between the scheme and the secret.
        before: &'a str,
        /// What stands behind it.
        after: &'a str,
    },
}

/// Where secrets stand in a reference.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Place {
    /// A password before a host.
    Password,
    /// A value in the query.
    Query,
    /// Something behind `#`.
    Fragment,
    /// An option of a protocol that has no authority.
    Option,
}

impl ReferenceCase<'_> {
    /// The text.
    #[must_use]
    pub fn text(&self) -> String {
        let (scheme, place, before, after) = match self {
            Self::Text(text) => return (*text).to_owned(),
            Self::Secret { scheme, place, before, after } => (scheme, place, before, after),
        };
        let scheme = SCHEMES[usize::from(*scheme) % SCHEMES.len()];
        match place {
            Place::Password => format!("{scheme}://{before}:{SECRET}@{after}"),
            Place::Query => format!("{scheme}://{before}?k={SECRET}{after}"),
            Place::Fragment => format!("{scheme}://{before}#{SECRET}{after}"),
            Place::Option => {
                format!("{scheme}:{}:key={SECRET}:{after}", before.trim_start_matches('/'))
            }
        }
    }

    /// Whether the text has the secret where this product says secrets are: names of files have none.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        let text = self.text();
        let name = text.strip_prefix("file:");
        let of_a_file = name.is_some_and(|name| !name.starts_with("//") || name.starts_with("///"));
        !matches!(self, Self::Text(_)) && !of_a_file
    }
}
