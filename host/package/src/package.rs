//! A driver package: a component with its signatures, from a file, a folder, an OCI layout or a registry.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use hostler_grant::{Manifest, SIGNATURES_MAX_BYTES, Signatures};
use sha2::{Digest as _, Sha256};

use crate::error::{Kind, PackageError};
use crate::file::{self, Wanted};
use crate::judgement::{self, Judgement};
use crate::{folder, layout};

/// Size of a component, in bytes. Real drivers have 50 KiB to 1 MiB.
pub const COMPONENT_MAX_BYTES: u64 = 16 << 20;
/// What the name of a driver in a registry begins with.
pub const REGISTRY_SCHEME: &str = "oci://";
/// What is added to the name of a component's file for its signatures.
pub const SIGNATURES_ENDING: &str = ".sig";
/// A component, as it is read.
pub(crate) const COMPONENT: Wanted = Wanted { what: "driver", limit: COMPONENT_MAX_BYTES };
/// A text of signatures, as it is read.
pub(crate) const SIGNATURES: Wanted = Wanted { what: "signatures", limit: SIGNATURES_MAX_BYTES as u64 };

/// What a package was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A component's file.
    File,
    /// A folder with one component in it.
    Folder,
    /// An OCI image layout.
    OciLayout,
    /// A registry, over HTTP.
    Registry,
}

impl Form {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Folder => "folder",
            Self::OciLayout => "oci-layout",
            Self::Registry => "registry",
        }
    }
}

/// A driver as somebody hands it over, read once: what is judged, shown, stored and compiled are these very bytes.
#[derive(Clone, Debug)]
pub struct Package {
    /// The component.
    pub bytes: Vec<u8>,
    /// Its digest: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// The text of its signatures, as it came; nothing when none came along.
    pub signatures: Option<Vec<u8>>,
    /// What it was read from.
    pub form: Form,
    /// Where that is.
    pub path: PathBuf,
}

impl Package {
    /// Reads a package that the user names. `tag` chooses one of several in an OCI layout.
    ///
    /// # Errors
    /// What is wrong with it: see [`Kind`].
    pub fn open(path: &Path, tag: Option<&str>) -> Result<Self, PackageError> {
        let metadata =
            std::fs::metadata(path).map_err(|error| PackageError::io("look at the driver", path, error))?;
        if !metadata.is_dir() {
            return no_tag(tag).and_then(|()| Self::from_file(path));
        }
        let directory = file::directory(path)?;
        if layout::is_layout(&directory) {
            return layout::open(&directory, path, tag);
        }
        no_tag(tag).and_then(|()| folder::open(&directory, path))
    }

    /// The same for what may also be in a registry: `oci://HOST[:PORT]/NAME[:TAG][@DIGEST]`. Dropping the future ends it.
    ///
    /// # Errors
    /// [`Kind::Reference`] and [`Kind::Registry`] for what is named there; otherwise as [`Package::open`].
    pub async fn open_or_fetch(path: &Path, tag: Option<&str>) -> Result<Self, PackageError> {
        if !is_in_registry(path) {
            return Self::open(path, tag);
        }
        if tag.is_some() {
            return Err(PackageError::new(Kind::Reference, "a driver in a registry has its tag in its name")
                .hint(format!("write it as {REGISTRY_SCHEME}HOST/NAME:TAG")));
        }
        fetch(path).await
    }

    /// Reads a component's file, and the signatures beside it.
    ///
    /// # Errors
    /// As [`Package::open`].
    pub fn from_file(path: &Path) -> Result<Self, PackageError> {
        Self::from_file_digested(path, digest)
    }

    /// The same with the digest that `digest` gives for its bytes: one that it has computed, or that it knows to be
    /// theirs.
    ///
    /// # Errors
    /// As [`Package::open`].
    pub fn from_file_digested(path: &Path, digest: impl Fn(&[u8]) -> String) -> Result<Self, PackageError> {
        let bytes = file::read(path, COMPONENT)?;
        let signatures = absent_is_none(file::read(&beside(path), SIGNATURES))?;
        let digest = digest(&bytes);
        Ok(Self { bytes, digest, signatures, form: Form::File, path: path.to_owned() })
    }

    /// Reads a component that this host stored, which has to be the one with this digest.
    ///
    /// # Errors
    /// [`Kind::Digest`] when it was changed; otherwise as [`Package::open`].
    pub fn stored(path: &Path, wanted: &str) -> Result<Self, PackageError> {
        Self::stored_digested(path, wanted, digest)
    }

    /// The same with the digest that `digest` gives for its bytes: one that it has computed, or that it knows to be
    /// theirs.
    ///
    /// # Errors
    /// As [`Package::stored`].
    pub fn stored_digested(
        path: &Path,
        wanted: &str,
        digest: impl Fn(&[u8]) -> String,
    ) -> Result<Self, PackageError> {
        let bytes = file::read_stored(path, COMPONENT)?;
        let signatures = absent_is_none(file::read_stored(&beside(path), SIGNATURES))?;
        let digest = digest(&bytes);
        if digest == wanted {
            return Ok(Self { bytes, digest, signatures, form: Form::File, path: path.to_owned() });
        }
        let message = format!(
            "the stored driver '{}' was changed: it has the digest {digest}, and {wanted} was installed",
            path.display(),
        );
        Err(PackageError::new(Kind::Digest, message)
            .hint("find out who changed it; then install the driver again from where it came from"))
    }

    pub(crate) fn new(bytes: Vec<u8>, signatures: Option<Vec<u8>>, form: Form, path: &Path) -> Self {
        Self { digest: digest(&bytes), bytes, signatures, form, path: path.to_owned() }
    }

    /// Everything that can be said of its component without compiling it.
    #[must_use]
    pub fn judge(&self) -> Judgement {
        judgement::judge(&self.bytes)
    }

    /// Its component's manifest alone, for a build that was judged before.
    ///
    /// # Errors
    /// [`Kind::Component`] when there is none, [`Kind::Grant`] when it is not valid or for another contract.
    pub fn manifest(&self) -> Result<Manifest, PackageError> {
        judgement::manifest(&self.bytes)
    }

    /// Its signatures, understood; none when none came along.
    ///
    /// # Errors
    /// [`Kind::Grant`] when their text is not valid.
    pub fn signatures(&self) -> Result<Signatures, PackageError> {
        let Some(text) = &self.signatures else { return Ok(Signatures::default()) };
        Signatures::parse(text).map_err(|error| PackageError::from(error).within(&beside(&self.path)))
    }
}

/// Whether what the user named is in a registry.
#[must_use]
pub fn is_in_registry(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().starts_with(REGISTRY_SCHEME.as_bytes())
}

#[cfg(feature = "registry")]
use crate::registry::fetch;

/// What is said by a hostler that was built without it.
#[cfg(not(feature = "registry"))]
#[expect(clippy::unused_async, reason = "the same signature as the feature's")]
async fn fetch(path: &Path) -> Result<Package, PackageError> {
    Err(PackageError::new(Kind::Registry, "this hostler was built without the feature 'registry'")
        .within(path)
        .hint("fetch an OCI layout with another program (oras, skopeo) and install from that"))
}

/// Where the signatures of a component's file are.
#[must_use]
pub fn beside(component: &Path) -> PathBuf {
    let mut name = component.as_os_str().to_owned();
    name.push(SIGNATURES_ENDING);
    name.into()
}

/// The digest of a component: `sha256:` and 64 hexadecimal digits.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// Reads what a driver is called, takes and asks for, without looking at the rest of it.
///
/// # Errors
/// [`Kind::Component`] when it is no driver, [`Kind::Grant`] when its manifest is not valid or for another contract.
pub fn read_manifest(path: &Path) -> Result<Manifest, PackageError> {
    file::look(path, COMPONENT, judgement::manifest_in)?.map_err(|error| error.within(path))
}

pub(crate) fn absent_is_none(read: Result<Vec<u8>, PackageError>) -> Result<Option<Vec<u8>>, PackageError> {
    match read {
        Err(error) if error.kind == Kind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

fn no_tag(tag: Option<&str>) -> Result<(), PackageError> {
    match tag {
        None => Ok(()),
        Some(_) => Err(PackageError::new(Kind::Layout, "a tag chooses in an OCI layout, and this is none")
            .hint("leave the tag out")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgement::samples;

    #[test]
    fn file_is_read_with_the_signatures_beside_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("any name.wasm");
        std::fs::write(&path, samples::driver("acme", "1.0")).unwrap();
        let package = Package::open(&path, None).unwrap();
        assert_eq!((package.form, package.signatures.as_deref()), (Form::File, None));
        assert_eq!(package.digest, digest(&package.bytes));
        assert!(package.signatures().unwrap().is_empty());
        std::fs::write(beside(&path), "x").unwrap();
        let error = Package::open(&path, None).unwrap().signatures().unwrap_err();
        assert!(error.to_string().contains("any name.wasm.sig"), "{error}");
        assert_eq!(Package::open(&path, Some("1")).unwrap_err().kind, Kind::Layout);
    }

    #[test]
    fn component_over_the_limit_is_refused_before_it_is_read() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("large.wasm");
        std::fs::File::create(&path).unwrap().set_len(17 << 20).unwrap();
        let error = Package::open(&path, None).unwrap_err();
        assert_eq!(error.kind, Kind::TooLarge);
        assert!(error.to_string().contains("larger than 16 MiB"), "{error}");
    }

    #[test]
    fn stored_component_has_to_be_the_one_that_was_stored() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.wasm");
        let bytes = samples::driver("acme", "1.0");
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Package::stored(&path, &digest(&bytes)).unwrap().bytes, bytes);
        std::fs::write(&path, samples::driver("acme", "1.1")).unwrap();
        assert_eq!(Package::stored(&path, &digest(&bytes)).unwrap_err().kind, Kind::Digest);
    }
}
