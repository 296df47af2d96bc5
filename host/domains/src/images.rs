//! Images outside pools as the verbs that write them see them: a directory and a name, a declared format, who uses it.

use std::path::{Path, PathBuf};

use hostler_image::{Format, redact};
use hostler_runtime::{Roots, inspect_header};
use hostler_storage::{PoolRoot, Reach};

use crate::chain;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::image_summary::ImageWritten;
use crate::pools::is_same_file;
use crate::verbs::known_format;
use crate::within::outside;

/// An image by its directory, opened, and its name in it.
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) root: PoolRoot,
    pub(crate) name: String,
    roots: Roots,
}

/// Where images outside pools may lie, and what they may name.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    pub(crate) reach: Reach,
    pub(crate) roots: Roots,
    image_roots: Vec<PathBuf>,
    tenant: String,
}

impl Area {
    /// The full path of an image that was named on a command line. For a tenant it is the one that was written: no link
    /// on the way is followed, and what lies elsewhere is not looked at, not even for being there.
    pub(crate) fn full_path(&self, path: &Path) -> Result<PathBuf, Error> {
        if self.reach.roots().is_none() {
            return chain::full_path(path);
        }
        let full = std::path::absolute(path).map_err(|error| chain::no_path(path, error))?;
        self.reach.require(&full).map_err(|error| outside(error.into(), &full, &self.tenant))?;
        Ok(full)
    }
}

impl Place {
    /// The place that a path on a command line means. Its image may name what one may name at a start.
    pub(crate) fn of(path: &Path, area: &Area) -> Result<Self, Error> {
        let path = area.full_path(path)?;
        let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
        else {
            let message = format!("'{}' is not the name of a file", path.display());
            return Err(Error::new(Kind::Invalid, "image.name", message).hint("give the path of an image"));
        };
        let root = match area.reach.roots() {
            None => PoolRoot::open_devices(directory)?.with_image_roots(&area.image_roots),
            Some(_) => PoolRoot::open_within(directory, &area.reach)?,
        };
        let (name, roots) = (name.to_owned(), area.roots.clone());
        Ok(Self { path, root, name, roots })
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
            if other != self.path && stands_on(&other, &self.path, &self.roots) {
                let message = format!("the image '{}' stands on '{}'", other.display(), self.path.display());
                return Err(Error::new(Kind::Conflict, "image.has-overlays", message)
                    .hint("remove what stands on it first, or flatten it with 'hostler image convert'"));
            }
        }
        Ok(())
    }

    /// The image as it is now.
    pub(crate) fn written(&self, format: Format) -> Result<ImageWritten, Error> {
        let facts = inspect_header(&self.path, Some(format.xml_name()), &self.roots)?;
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
fn stands_on(image: &Path, base: &Path, roots: &Roots) -> bool {
    let Ok(facts) = inspect_header(image, None, roots) else { return false };
    let backing = facts.header.backing.iter().map(|record| &record.name);
    let mut names = backing.chain(facts.header.data_file.iter().map(|record| &record.name));
    names.any(|name| is_same_file(&image.with_file_name(name), base))
}

/// The format that an image is worked with as: what the user says, else raw for what looks like nothing else. What an
/// image claims to be decides nothing; `option` is how the user says it.
pub(crate) fn declared_format(
    path: &Path,
    said: Option<&str>,
    option: &str,
    roots: &Roots,
) -> Result<Format, Error> {
    let shown = path.display().to_string();
    if let Some(name) = said {
        return known_format(&shown, name);
    }
    // Read as raw, every file has a header, and its content is looked at beside that.
    let facts = inspect_header(path, Some("raw"), roots)?;
    let Some(found) = facts.file.content else { return Ok(Format::Raw) };
    let message = format!("nobody says what format '{shown}' has, and formats are never guessed");
    Err(Error::new(Kind::Denied, "image.format-undeclared", message).about("image", shown).hint(format!(
        "it looks like {found}; if you know that it is, say so with {option} {found}, otherwise with {option} raw"
    )))
}

impl Host {
    /// Where images outside pools may lie.
    pub(crate) fn area(&self) -> Area {
        Area {
            reach: self.reach(),
            roots: self.roots(),
            image_roots: self.config.image_roots.clone(),
            tenant: self.tenant().map_or_else(String::new, |tenant| tenant.name.clone()),
        }
    }

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

    fn area() -> Area {
        Area {
            reach: Reach::anywhere(),
            roots: Roots::of_operator(Vec::new()),
            image_roots: Vec::new(),
            tenant: String::new(),
        }
    }

    #[test]
    fn content_advises_and_never_decides() {
        let home = tempfile::tempdir().unwrap();
        let (at, roots) = (|name: &str| home.path().join(name), Roots::of_operator(Vec::new()));
        std::fs::write(at("data"), [7; 4096]).unwrap();
        std::fs::write(at("header"), [b"QFI\xfb\0\0\0\x03".as_slice(), &[0; 600]].concat()).unwrap();
        assert_eq!(declared_format(&at("data"), None, "--format", &roots).unwrap(), Format::Raw);
        assert_eq!(declared_format(&at("header"), Some("raw"), "--format", &roots).unwrap(), Format::Raw);
        let error = declared_format(&at("header"), None, "--format", &roots).unwrap_err();
        assert_eq!(error.code(), "image.format-undeclared");
        assert!(error.hints[0].text.contains("--format qcow2"), "{:?}", error.hints);
        assert_eq!(
            declared_format(&at("data"), Some("qcow3"), "--format", &roots).unwrap_err().kind,
            Kind::Invalid
        );
    }

    #[test]
    fn places_are_named_by_directory_and_name() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::of(&home.path().join("new.raw"), &area()).unwrap();
        assert_eq!(place.name, "new.raw");
        place.require_free().unwrap();
        std::fs::write(home.path().join("new.raw"), "").unwrap();
        assert_eq!(place.require_free().unwrap_err().code(), "image.exists");
        assert!(Place::of(&home.path().join("none/new.raw"), &area()).is_err());
    }

    #[test]
    fn places_of_a_tenant_lie_beneath_its_roots_and_nothing_else_is_looked_at() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(home.path().join("foreign"), "").unwrap();
        std::os::unix::fs::symlink("..", root.join("link")).unwrap();
        let reach = Reach::only(vec![root.clone()]);
        let area =
            Area { reach, roots: Roots::only(vec![root.clone()]), tenant: "blue".to_owned(), ..area() };
        Place::of(&root.join("new.raw"), &area).unwrap().require_free().unwrap();
        for (path, code) in [
            (home.path().join("foreign"), "storage.outside-roots"),
            (home.path().join("none/foreign"), "storage.outside-roots"),
            (root.join("../foreign"), "storage.outside-roots"),
            (root.join("link/foreign"), "storage.link"),
        ] {
            assert_eq!(Place::of(&path, &area).map(drop).unwrap_err().code(), code, "{}", path.display());
        }
    }
}
