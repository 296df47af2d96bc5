//! A source that a reference describes.

use hostler_domain::storage_source::{Location, NetworkSource, Slice};

/// A location and what else a reference can say about it. It never holds a credential of the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackingSource {
    /// Where the bytes are.
    pub location: Location,
    /// The window of the location that holds the image.
    pub slice: Option<Slice>,
    /// What only an ssh reference says.
    pub ssh: SshOptions,
    /// Whether a directory is shown as a floppy, and not as a hard disk.
    pub floppy: bool,
}

/// What a reference to an ssh server says that a document cannot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshOptions {
    /// Who logs in.
    pub user: Option<String>,
    /// Whether the server's key goes unchecked.
    pub host_key_unchecked: bool,
}

impl BackingSource {
    /// A location and nothing else.
    #[must_use]
    pub fn new(location: Location) -> Self {
        Self { location, slice: None, ssh: SshOptions::default(), floppy: false }
    }

    pub(super) fn network(source: NetworkSource) -> Self {
        Self::new(Location::Network(Box::new(source)))
    }

    /// The same source without what may be a secret in it: cookies, and the query of a URL.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        let mut shown = self.clone();
        if let Location::Network(source) = &mut shown.location {
            source.cookies.clear();
            source.query = None;
        }
        shown
    }

    /// The `<source>` element that declares it, children on their own lines. Its cookies and its query are in it: for
    /// whoever only shows it, see [`BackingSource::without_secrets`].
    #[must_use]
    pub fn to_xml(&self) -> String {
        self.location.to_element(self.slice.as_ref()).to_xml()
    }
}
