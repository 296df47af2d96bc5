//! What a permission is asked on, and which of them a rule is about.

use uuid::Uuid;

use super::glob;

/// An attribute: not known, or known to be this, or known not to be there.
type Attribute<T> = Option<Option<T>>;

/// What is known of an object. Nothing, at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Object<'a> {
    pub(crate) name: Attribute<&'a str>,
    pub(crate) uuid: Attribute<Uuid>,
    /// The driver of a domain.
    pub(crate) driver: Attribute<&'a str>,
    /// The pool of a volume.
    pub(crate) pool: Attribute<&'a str>,
    /// What a secret is for.
    pub(crate) usage: Attribute<&'a str>,
}

impl<'a> Object<'a> {
    /// What is no object with a name: the host itself.
    pub(crate) const fn none() -> Self {
        Self { name: Some(None), uuid: Some(None), driver: Some(None), pool: Some(None), usage: Some(None) }
    }

    /// Something that has a name, and maybe an identifier, and nothing else.
    pub(crate) const fn named(name: &'a str, uuid: Option<Uuid>) -> Self {
        Self { name: Some(Some(name)), uuid: Some(uuid), ..Self::none() }
    }

    /// A domain.
    pub(crate) const fn domain(name: &'a str, uuid: Uuid, driver: &'a str) -> Self {
        Self { driver: Some(Some(driver)), ..Self::named(name, Some(uuid)) }
    }

    /// A secret, which has no name, and what it is for.
    pub(crate) const fn secret(uuid: Uuid, usage: &'a str) -> Self {
        Self { uuid: Some(Some(uuid)), usage: Some(Some(usage)), ..Self::none() }
    }

    /// A volume of a pool.
    pub(crate) const fn volume(name: &'a str, pool: &'a str) -> Self {
        Self { pool: Some(Some(pool)), ..Self::named(name, None) }
    }
}

/// Whether an object is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Yes,
    No,
    /// It depends on what is not known.
    Unknown,
}

/// Which objects a rule is about: patterns, all of which have to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Objects {
    pub(crate) name: Option<String>,
    pub(crate) uuid: Option<String>,
    pub(crate) driver: Option<String>,
    pub(crate) pool: Option<String>,
    pub(crate) usage: Option<String>,
}

impl Objects {
    /// Whether an object is meant.
    pub(crate) fn fit(&self, object: &Object<'_>) -> Fit {
        let uuid = object.uuid.map(|uuid| uuid.map(|uuid| uuid.to_string()));
        let fits = [
            fit(self.name.as_deref(), object.name),
            fit(self.uuid.as_deref(), uuid.as_ref().map(|uuid| uuid.as_deref())),
            fit(self.driver.as_deref(), object.driver),
            fit(self.pool.as_deref(), object.pool),
            fit(self.usage.as_deref(), object.usage),
        ];
        match () {
            () if fits.contains(&Fit::No) => Fit::No,
            () if fits.contains(&Fit::Unknown) => Fit::Unknown,
            () => Fit::Yes,
        }
    }
}

fn fit(pattern: Option<&str>, attribute: Attribute<&str>) -> Fit {
    match (pattern, attribute) {
        (None, _) => Fit::Yes,
        (Some(_), None) => Fit::Unknown,
        (Some(pattern), Some(Some(value))) if glob::matches(pattern, value) => Fit::Yes,
        (Some(_), Some(_)) => Fit::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_patterns_have_to_fit_and_what_is_not_there_fits_none() {
        let uuid = Uuid::from_u128(0xabcd << 112);
        let on =
            Objects { name: Some("web-*".to_owned()), uuid: Some("abcd*".to_owned()), ..Objects::default() };
        assert_eq!(on.fit(&Object::domain("web-1", uuid, "qemu")), Fit::Yes);
        assert_eq!(on.fit(&Object::domain("db", uuid, "qemu")), Fit::No);
        assert_eq!(on.fit(&Object::domain("web-1", Uuid::nil(), "qemu")), Fit::No);
        assert_eq!(on.fit(&Object::named("web-1", None)), Fit::No);
        assert_eq!(on.fit(&Object { uuid: None, ..Object::named("web-1", None) }), Fit::Unknown);
        assert_eq!(on.fit(&Object { uuid: None, ..Object::named("db", None) }), Fit::No);
        assert_eq!(on.fit(&Object::none()), Fit::No);
        assert_eq!(Objects::default().fit(&Object::default()), Fit::Yes);
        let on = Objects { pool: Some("images".to_owned()), ..Objects::default() };
        assert_eq!(on.fit(&Object::volume("a.qcow2", "images")), Fit::Yes);
        assert_eq!(on.fit(&Object::named("images", None)), Fit::No);
        let on = Objects { usage: Some("/srv/*".to_owned()), ..Objects::default() };
        assert_eq!(on.fit(&Object { usage: Some(Some("/srv/a")), ..Object::none() }), Fit::Yes);
    }
}
