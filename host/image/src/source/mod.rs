//! What a reference in an image describes, as a source of the domain model.
//!
//! Reading one follows nothing: only plain names of files are ever followed ([`crate::parse_reference`]), and
//! everything else has to be declared by the domain. This is for whoever shows a reference, words the remedy,
//! or writes one ([`reference_text`]).

mod colon;
mod json;
mod model;
mod properties;
mod uri;
mod write;

pub use json::Json;
pub use model::{BackingSource, SshOptions};
pub use properties::target_properties;
pub use write::reference_text;

use hostler_domain::storage_source::Location;

/// How strictly a reference is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Whatever could not be passed on is an outcome of its own; contradictions are malformed.
    Strict,
    /// As libvirt 8.5 reads it: what it does not know it ignores.
    Compatible,
}

/// What reading a reference came to: three outcomes, never two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceReading {
    /// It describes this source and nothing else.
    Usable(BackingSource),
    /// It describes this source, and carries something that cannot be passed on.
    WithUnsupported {
        /// The source without it; safe to show.
        source: BackingSource,
        /// What it is, by name: never its value.
        what: String,
    },
    /// It cannot be understood.
    Malformed {
        /// The rule that it breaks; safe to show.
        why: String,
    },
}

/// Why reading ended early: the rule that is broken.
type Fault = String;

/// What a reader found so far.
#[derive(Debug)]
struct Found {
    source: BackingSource,
    /// Names of what cannot be passed on.
    unsupported: Vec<String>,
}

impl Found {
    fn clean(source: BackingSource) -> Self {
        Self { source, unsupported: Vec::new() }
    }
}

/// Reads a reference as it stands in an image. Relative names of files stay relative.
#[must_use]
pub fn read_source(text: &str, profile: Profile) -> SourceReading {
    if profile == Profile::Strict
        && let Some(why) = crate::reference::unreadable(text)
    {
        return SourceReading::Malformed { why };
    }
    match read(text, profile) {
        Err(why) => SourceReading::Malformed { why },
        Ok(Found { source, .. }) if profile == Profile::Strict && !is_writable(&source) => {
            SourceReading::Malformed { why: "it contains control characters once decoded".to_owned() }
        }
        Ok(Found { source, unsupported }) if unsupported.is_empty() => SourceReading::Usable(source),
        Ok(Found { source, unsupported }) => {
            SourceReading::WithUnsupported { source, what: unsupported.join(", ") }
        }
    }
}

/// Whether the source has no control character in it: a document cannot hold most of them, and no host, file or image
/// is called by one.
fn is_writable(source: &BackingSource) -> bool {
    let xml = source.to_xml();
    // Those that a document can hold are written as numbers.
    let numbered = ["&#9;", "&#10;", "&#13;"].iter().any(|number| xml.contains(number));
    !numbered && !xml.chars().any(|character| character.is_control() && character != '\n')
}

fn read(text: &str, profile: Profile) -> Result<Found, Fault> {
    if crate::reference::prefix(text).is_none() {
        return Ok(Found::clean(BackingSource::new(Location::File(text.to_owned()))));
    }
    if let Some(directory) = text.strip_prefix("fat:") {
        return Ok(Found::clean(BackingSource::new(Location::Dir(directory.to_owned()))));
    }
    if let Some(description) = text.strip_prefix("json:") {
        return json::read(description, profile);
    }
    if text.contains("://") {
        return uri::read(text, profile);
    }
    colon::read(text, profile)
}

#[cfg(test)]
mod tests;
