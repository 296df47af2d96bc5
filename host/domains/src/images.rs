//! Images outside pools as the verbs that write them see them: a directory and a name, a declared format, who uses it.

use std::path::{Path, PathBuf};

use hostler_image::{Format, redact};
use hostler_runtime::{Roots, inspect_header};
use hostler_storage::PoolRoot;

use crate::chain;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::image_summary::ImageWritten;
use crate::pools::is_same_file;
use crate::verbs::known_format;

/// An image by its directory, opened, and its name in it.
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) root: PoolRoot,
    pub(crate) name: String,
}

impl Place {
    /// The place that a path on a command line means. Its image may name what one may name at a start: what lies in its
    /// own directory, or beneath one of `image_roots`.
    pub(crate) fn of(path: &Path, image_roots: &[PathBuf]) -> Result<Self, Error> {
        let path = chain::full_path(path)?;
        let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
        else {
            let message = format!("'{}' is not the name of a file", path.display());
            return Err(Error::new(Kind::Invalid, "image.name", message).hint("give the path of an image"));
        };
        let root = PoolRoot::open_devices(directory)?.with_image_roots(image_roots);
        let name = name.to_owned();
        Ok(Self { path, root, name })
    }

    /// Refuses where something is already.
    pub(crate) fn require_free(&self) -> Result<(), Error> {
        if !self.root.contains(&self.name) {
            return Ok(());
        }
        let message = format!("there is something at '{}' already", self.path.display());
        Err(Error::new(Kind::Exists, "image.exists", message)
            .about("image", self.path.display().to_string())
            .hint("give another name, or remove that file first"))
    }

    /// Refuses what would take the ground from under other images of the directory. What stands on it from elsewhere is
    /// not known.
    pub(crate) fn require_nothing_above(&self) -> Result<(), Error> {
        let directory = self.path.parent().unwrap_or(&self.path);
        let failed = |error| {
            let message = format!("what else is in '{}' cannot be read", directory.display());
            Error::new(Kind::Host, "image.directory", message).caused_by(error)
        };
        for entry in std::fs::read_dir(directory).map_err(failed)? {
            let other = entry.map_err(failed)?.path();
            if other != self.path && stands_on(&other, &self.path) {
                let message = format!("the image '{}' stands on '{}'", other.display(), self.path.display());
                return Err(Error::new(Kind::Conflict, "image.has-overlays", message)
                    .hint("remove what stands on it first, or flatten it with 'hostler image convert'"));
            }
        }
        Ok(())
    }

    /// The image as it is now.
    pub(crate) fn written(&self, format: Format) -> Result<ImageWritten, Error> {
        let facts = inspect_header(&self.path, Some(format.xml_name()), &Roots::of_operator(Vec::new()))?;
        Ok(ImageWritten {
            path: self.path.clone(),
            format: format.xml_name(),
            virtual_size: facts.header.virtual_size,
            allocated: facts.physical_bytes,
            backing: facts.header.backing.as_ref().map(|backing| redact(&backing.name)),
        })
    }
}

/// Whether the header of an image names another below it, or as the place of its data. What is no image stands on nothing.
fn stands_on(image: &Path, base: &Path) -> bool {
    let Ok(facts) = inspect_header(image, None, &Roots::of_operator(Vec::new())) else { return false };
    let backing = facts.header.backing.iter().map(|record| &record.name);
    let mut names = backing.chain(facts.header.data_file.iter().map(|record| &record.name));
    names.any(|name| is_same_file(&image.with_file_name(name), base))
}

/// The format that an image is worked with as: what the user says, else raw for what looks like nothing else. What an
/// image claims to be decides nothing; `option` is how the user says it.
pub(crate) fn declared_format(path: &Path, said: Option<&str>, option: &str) -> Result<Format, Error> {
    let shown = path.display().to_string();
    if let Some(name) = said {
        return known_format(&shown, name);
    }
    // Read as raw, every file has a header, and its content is looked at beside that.
    let facts = inspect_header(path, Some("raw"), &Roots::of_operator(Vec::new()))?;
    let Some(found) = facts.file.content else { return Ok(Format::Raw) };
    let message = format!("nobody says what format '{shown}' has, and formats are never guessed");
    Err(Error::new(Kind::Denied, "image.format-undeclared", message).about("image", shown).hint(format!(
        "it looks like {found}; if you know that it is, say so with {option} {found}, otherwise with {option} raw"
    )))
}

impl Host {
    /// Refuses while a guest runs that has the image open; with `writers_only`, while one may write to it.
    pub(crate) fn require_idle(&self, path: &Path, writers_only: bool, why: &str) -> Result<(), Error> {
        let uses = self.image_uses(path)?;
        let Some(using) = uses.iter().find(|one| one.running && (one.writes || !writers_only)) else {
            return Ok(());
        };
        let message = format!(
            "the image '{}' is in use by disk {} of the domain '{}', which runs; {why}",
            path.display(),
            using.disk,
            using.domain
        );
        Err(Error::new(Kind::Conflict, "image.in-use", message)
            .about("domain", &using.domain)
            .hint_command("end the domain first", crate::error::command("shutdown", &using.domain)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_advises_and_never_decides() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        std::fs::write(at("data"), [7; 4096]).unwrap();
        std::fs::write(at("header"), [b"QFI\xfb\0\0\0\x03".as_slice(), &[0; 600]].concat()).unwrap();
        assert_eq!(declared_format(&at("data"), None, "--format").unwrap(), Format::Raw);
        assert_eq!(declared_format(&at("header"), Some("raw"), "--format").unwrap(), Format::Raw);
        let error = declared_format(&at("header"), None, "--format").unwrap_err();
        assert_eq!(error.code(), "image.format-undeclared");
        assert!(error.hints[0].text.contains("--format qcow2"), "{:?}", error.hints);
        assert_eq!(declared_format(&at("data"), Some("qcow3"), "--format").unwrap_err().kind, Kind::Invalid);
    }

    #[test]
    fn places_are_named_by_directory_and_name() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::of(&home.path().join("new.raw"), &[]).unwrap();
        assert_eq!(place.name, "new.raw");
        place.require_free().unwrap();
        std::fs::write(home.path().join("new.raw"), "").unwrap();
        assert_eq!(place.require_free().unwrap_err().code(), "image.exists");
        assert!(Place::of(&home.path().join("none/new.raw"), &[]).is_err());
    }
}
