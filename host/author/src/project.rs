//! New projects: written whole or not at all, and renewed when the SDK is.

use std::fs;
use std::path::{Path, PathBuf};

use hostler_grant::{NAME_MAX_BYTES, is_driver_name};
use serde::Serialize;

use crate::bindings;
use crate::error::{AuthorError, Kind};
use crate::sdk;
use crate::template::{C_LIBRARY, Template};

/// Names that drivers of hostler have, or that they take as domain types.
pub const RESERVED: [&str; 5] = ["qemu", "kvm", "test", "fault", "hostler"];

/// A project of a driver that has been written.
#[derive(Clone, Debug, Serialize)]
pub struct Project {
    /// The driver's name.
    pub name: String,
    /// The project's directory.
    pub path: PathBuf,
    /// The word of its template.
    pub template: String,
}

impl Project {
    /// Writes a project for the driver `name` into a directory that is not there yet, or empty.
    ///
    /// # Errors
    /// [`Kind::Name`], [`Kind::NotEmpty`], or what the operating system says. Nothing is left behind then.
    pub fn create(name: &str, directory: &Path, template: Template) -> Result<Self, AuthorError> {
        check_name(name)?;
        check_place(directory)?;
        let draft = draft_of(directory, name)?;
        let written = write(name, &draft, template).and_then(|()| {
            fs::rename(&draft, directory)
                .map_err(|error| AuthorError::io("make the project", directory, error))
        });
        if let Err(error) = written {
            // The first failure is the one to tell.
            fs::remove_dir_all(&draft).ok();
            return Err(error);
        }
        let path = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
        Ok(Self { name: name.to_owned(), path, template: template.word().to_owned() })
    }
}

/// Writes what is hostler's in a project anew, as this program has it: SDK, contract, bindings.
///
/// # Errors
/// [`Kind::NoProject`] when there is no project; what the operating system says.
pub fn renew_sdk(directory: &Path) -> Result<Template, AuthorError> {
    let place = directory.join(sdk::DIRECTORY);
    let template = template_of(directory).ok_or_else(|| no_project(directory))?;
    let fresh = directory.join(".hostler.new");
    let old = directory.join(".hostler.old");
    let failed = |error| AuthorError::io("renew", &place, error);
    for left in [&fresh, &old] {
        if left.exists() {
            fs::remove_dir_all(left).map_err(failed)?;
        }
    }
    write_sdk(&fresh, template)?;
    fs::rename(&place, &old).and_then(|()| fs::rename(&fresh, &place)).map_err(failed)?;
    fs::remove_dir_all(&old).map_err(failed)?;
    Ok(template)
}

/// The template that the project in a directory was made from; none when there is no project.
pub(crate) fn template_of(directory: &Path) -> Option<Template> {
    let mark = fs::read_to_string(directory.join(sdk::DIRECTORY).join(sdk::MARK)).ok()?;
    Template::named(mark.trim())
}

/// That a directory holds no project of a driver.
pub(crate) fn no_project(directory: &Path) -> AuthorError {
    AuthorError::new(Kind::NoProject, format!("'{}' holds no project of a driver", directory.display()))
        .command("make one", "hostler driver new NAME")
}

fn write(name: &str, draft: &Path, template: Template) -> Result<(), AuthorError> {
    for (path, text) in template.files(name) {
        sdk::write(&draft.join(path), text)?;
    }
    if template == Template::Minimal {
        sdk::write(&draft.join("Cargo.lock"), sdk::lock_file(&format!("hostler-driver-{name}")))?;
    }
    write_sdk(&draft.join(sdk::DIRECTORY), template)
}

fn write_sdk(directory: &Path, template: Template) -> Result<(), AuthorError> {
    sdk::write(&directory.join(sdk::MARK), format!("{}\n", template.word()))?;
    match template {
        Template::Minimal => sdk::write_crates(directory),
        Template::C => {
            for (path, text) in C_LIBRARY {
                sdk::write(&directory.join(path), text)?;
            }
            bindings::write_c(&directory.join("bindings"))?;
            sdk::write_contract(directory)
        }
    }
}

fn check_name(name: &str) -> Result<(), AuthorError> {
    if !is_driver_name(name) {
        let message = format!(
            "'{}' cannot be the name of a driver: 1 to {NAME_MAX_BYTES} lower-case letters, digits and '-', beginning with a letter",
            name.escape_debug()
        );
        let error = AuthorError::new(Kind::Name, message);
        return Err(match proposal(name) {
            Some(better) => error.command("this would do", format!("hostler driver new {better}")),
            None => error,
        });
    }
    if RESERVED.contains(&name) {
        let message =
            format!("the name '{name}' is reserved: hostler has a driver or a domain type of that name");
        return Err(AuthorError::new(Kind::Name, message)
            .command("put another word to it", format!("hostler driver new my-{name}")));
    }
    Ok(())
}

/// The nearest name that would do.
fn proposal(name: &str) -> Option<String> {
    let kept = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let better: String = name.chars().map(kept).take(NAME_MAX_BYTES).collect();
    let better =
        better.trim_matches('-').trim_start_matches(|c: char| c.is_ascii_digit() || c == '-').to_owned();
    (is_driver_name(&better) && !RESERVED.contains(&better.as_str())).then_some(better)
}

fn check_place(directory: &Path) -> Result<(), AuthorError> {
    let metadata = match fs::symlink_metadata(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(AuthorError::io("look at", directory, error)),
        Ok(metadata) => metadata,
    };
    let shown = directory.display();
    let another = |message: String| {
        AuthorError::new(Kind::NotEmpty, message)
            .hint("name a directory that is not there yet, or empty: --path DIR")
    };
    if !metadata.is_dir() {
        return Err(another(format!("'{shown}' is there already, and no directory")));
    }
    let mut entries =
        fs::read_dir(directory).map_err(|error| AuthorError::io("look into", directory, error))?;
    if entries.next().is_some() {
        return Err(another(format!("the directory '{shown}' is not empty")));
    }
    Ok(())
}

/// Where a project is written before it gets its place: beside it, on the same file system.
fn draft_of(directory: &Path, name: &str) -> Result<PathBuf, AuthorError> {
    let absolute =
        std::path::absolute(directory).map_err(|error| AuthorError::io("find", directory, error))?;
    let parent = absolute.parent().unwrap_or(&absolute).to_owned();
    fs::create_dir_all(&parent).map_err(|error| AuthorError::io("make the directory", &parent, error))?;
    let draft = parent.join(format!(".{name}.new-{}", std::process::id()));
    fs::create_dir(&draft).map_err(|error| AuthorError::io("make the directory", &draft, error))?;
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_is_whole_and_leaves_no_draft() {
        let place = tempfile::tempdir().unwrap();
        for template in Template::ALL {
            let directory = place.path().join(template.word());
            let made = Project::create("acme", &directory, template).unwrap();
            assert_eq!(made.path, directory.canonicalize().unwrap());
            assert!(directory.join("hostler").is_dir() && directory.join("README.md").is_file());
        }
        let names: Vec<_> =
            fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(place.path().join("minimal/hostler/sdk/rust/src/lib.rs").is_file());
        assert!(place.path().join("c/hostler/bindings/driver.h").is_file());
    }

    #[test]
    fn wrong_names_are_refused_with_a_better_one() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("x");
        for (name, better) in [
            ("Acme VMM", Some("acme-vmm")),
            ("acme_vmm", Some("acme-vmm")),
            ("9lives", Some("lives")),
            ("../../etc", Some("etc")),
            ("", None),
            ("\u{1b}[2J", None),
            ("qemu", Some("my-qemu")),
            ("test", Some("my-test")),
        ] {
            let error = Project::create(name, &directory, Template::Minimal).unwrap_err();
            assert_eq!(error.kind, Kind::Name, "{name:?}");
            assert!(!error.to_string().contains('\u{1b}'));
            let command = error.hints.iter().find_map(|(_, command)| command.clone());
            if let Some(better) = better {
                assert_eq!(command, Some(format!("hostler driver new {better}")), "{name:?}");
            }
        }
        assert!(fs::read_dir(place.path()).unwrap().next().is_none());
    }

    #[test]
    fn only_an_empty_place_is_written_to() {
        let place = tempfile::tempdir().unwrap();
        let (full, file) = (place.path().join("full"), place.path().join("file"));
        fs::create_dir_all(full.join("mine")).unwrap();
        fs::write(&file, "mine").unwrap();
        for taken in [&full, &file] {
            let error = Project::create("acme", taken, Template::C).unwrap_err();
            assert_eq!(error.kind, Kind::NotEmpty, "{error}");
        }
        let empty = place.path().join("empty");
        fs::create_dir(&empty).unwrap();
        Project::create("acme", &empty, Template::C).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn sdk_is_renewed_and_the_authors_files_stay() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("acme");
        assert_eq!(renew_sdk(&directory).unwrap_err().kind, Kind::NoProject);
        Project::create("acme", &directory, Template::Minimal).unwrap();
        let (own, lib) = (directory.join("src/lib.rs"), directory.join("hostler/sdk/rust/src/lib.rs"));
        fs::write(&own, "mine").unwrap();
        fs::write(&lib, "old").unwrap();
        assert_eq!(renew_sdk(&directory).unwrap(), Template::Minimal);
        assert_eq!(fs::read_to_string(own).unwrap(), "mine");
        assert!(fs::read_to_string(lib).unwrap().starts_with("//! "));
    }
}
