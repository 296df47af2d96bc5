//! What a block driver of QEMU is told about where bytes are, as the JSON that may stand in an image.

use hostler_domain::storage_source::{Location, Properties, Property, SourceFault};

use super::{BackingSource, Json, Profile};

/// The members of a protocol node (QAPI `BlockdevOptions`) that say where the bytes are. Credentials and
/// certificates are never among them; cookies are only in the compatible profile, which libvirt 8.5 wrote there.
///
/// # Errors
/// A location that is no source by itself, such as a volume of a pool; a server without what its protocol needs.
pub fn target_properties(source: &BackingSource, profile: Profile) -> Result<Json, SourceFault> {
    let described =
        Json::from(source.location.describe()?).with_some("user", source.ssh.user.as_deref()).with_some(
            "host-key-check",
            source.ssh.host_key_unchecked.then(|| Json::Object(Vec::new()).with("mode", "none")),
        );
    let cookies = match &source.location {
        Location::Network(network) if profile == Profile::Compatible => network.cookie_text(),
        _ => None,
    };
    Ok(described.with_some("cookie", cookies))
}

impl From<Properties> for Json {
    fn from(properties: Properties) -> Self {
        Self::Object(properties.into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}

impl From<Property> for Json {
    fn from(value: Property) -> Self {
        match value {
            Property::Boolean(value) => value.into(),
            Property::Number(number) => number.into(),
            Property::Text(text) => text.into(),
            Property::List(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Property::Group(members) => members.into(),
        }
    }
}
