//! Policy for programs as data: what they are called, what they may be told, and how it is written.
//!
//! The shipped files lie in `templates/`; an operator's directory adds to them or replaces them by name.

#[cfg(test)]
mod abuses;
pub mod check;
pub mod companions;
#[cfg(test)]
mod corpus;
pub(crate) mod data;
#[cfg(test)]
mod file_server;
pub(crate) mod matching;
#[cfg(test)]
mod packets;
pub(crate) mod shape;
#[cfg(test)]
mod storage_daemon;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data::{EndpointRule, NamedWriting, TemplateData};

use crate::error::{LaunchError, LaunchErrorKind};

/// The templates that ship with hostler: file name and content.
const BUILTIN: [(&str, &str); 5] = [
    ("qemu-system-x86_64.json", include_str!("../../templates/qemu-system-x86_64.json")),
    ("qemu-storage-daemon.json", include_str!("../../templates/qemu-storage-daemon.json")),
    ("passt.json", include_str!("../../templates/passt.json")),
    ("swtpm.json", include_str!("../../templates/swtpm.json")),
    ("virtiofsd.json", include_str!("../../templates/virtiofsd.json")),
];
/// Largest template file, in bytes.
const FILE_MAX_BYTES: u64 = 4 << 20;
/// Most template files in an operator's directory.
const FILES_MAX: usize = 256;

/// One program's policy.
#[derive(Debug)]
pub struct Template {
    pub(crate) data: TemplateData,
}

impl Template {
    /// Reads a template. `origin` says where the text is from, for messages.
    ///
    /// # Errors
    /// [`LaunchErrorKind::TemplateInvalid`] saying what is wrong and where.
    pub fn parse(text: &str, origin: &str) -> Result<Self, LaunchError> {
        let invalid = |what: String| {
            LaunchError::new(LaunchErrorKind::TemplateInvalid, format!("template '{origin}': {what}"))
                .hint("compare it with the shipped host/launch/templates/qemu-system-x86_64.json")
        };
        let data: TemplateData = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        if data.programs.iter().any(|path| !path.is_absolute()) || data.programs.is_empty() {
            return Err(invalid("'programs' must be absolute paths, at least one".into()));
        }
        let set = |rule: &EndpointRule| rule.launch.iter().any(|(_, value)| value == "{set}");
        if data.writing.sets.is_none()
            && let Some((name, _)) = data.endpoints.iter().find(|(_, rule)| set(rule))
        {
            return Err(invalid(format!("endpoint '{name}' is written with a set, and there are none")));
        }
        let mut references = Vec::new();
        let options = data.options.values().filter_map(|option| option.shape.as_ref());
        let shapes = options.chain(data.shapes.values()).chain(data.commands.typed.values());
        shapes.for_each(|shape| shape.references(&mut references));
        match references.into_iter().find(|name| !data.shapes.contains_key(*name)) {
            Some(missing) => Err(invalid(format!("shape '{missing}' is referred to and not there"))),
            None => Ok(Self { data }),
        }
    }

    /// The name that plans and grants use.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.data.name
    }

    /// The one of this name that ships with the host.
    #[cfg(test)]
    pub(crate) fn shipped(name: &str) -> Arc<Self> {
        Arc::clone(TemplateSet::builtin().unwrap().get(name).unwrap())
    }

    /// Whether the program puts descriptors together to sets, which it can be given more of while it runs.
    #[must_use]
    pub fn has_sets(&self) -> bool {
        self.data.writing.sets.is_some()
    }

    /// The command that takes a set away from the program again.
    #[must_use]
    pub fn remove_set_command(&self) -> Option<&str> {
        self.data.writing.sets.as_ref().map(|sets| sets.remove_command.as_str())
    }

    /// What closes the far end of a character device that somebody gave the program and did not come to use: until then its
    /// place is taken. Nothing for commands that add none.
    #[must_use]
    pub fn close_unused(&self, command: &str) -> Option<(String, serde_json::Value)> {
        let named = self.data.writing.named.as_ref()?;
        let adds = named.endpoints.iter().any(|listed| listed == command);
        adds.then(|| (named.close.clone(), named.naming(&NamedWriting::far_end(command))))
    }

    /// The program that would be started: the first candidate that is a file.
    ///
    /// # Errors
    /// [`LaunchErrorKind::ProgramMissing`] naming the candidates.
    pub fn program(&self) -> Result<&Path, LaunchError> {
        let found = self.data.programs.iter().find(|path| path.is_file());
        found.map(PathBuf::as_path).ok_or_else(|| {
            let candidates: Vec<_> =
                self.data.programs.iter().map(|path| path.display().to_string()).collect();
            let error = LaunchError::new(
                LaunchErrorKind::ProgramMissing,
                format!("no program for template '{}'; looked at {}", self.name(), candidates.join(", ")),
            );
            match &self.data.package {
                Some(package) => error.hint(format!("install the program (Debian: apt install {package})")),
                None => error,
            }
            .hint("or name it in a template of yours")
        })
    }
}

/// The templates of this host.
#[derive(Clone, Debug, Default)]
pub struct TemplateSet {
    templates: Vec<Arc<Template>>,
}

impl TemplateSet {
    /// The templates that ship with hostler.
    ///
    /// # Errors
    /// None in a build that passed its tests.
    pub fn builtin() -> Result<Self, LaunchError> {
        let mut set = Self::default();
        for (name, text) in BUILTIN {
            set.put(Template::parse(text, name)?);
        }
        Ok(set)
    }

    /// The shipped templates, with the `*.json` files of the operator's directory added or, by name, put in
    /// their place. A directory that does not exist adds nothing.
    ///
    /// # Errors
    /// [`LaunchErrorKind::TemplateInvalid`] naming the file and what is wrong in it.
    pub fn load(directory: &Path) -> Result<Self, LaunchError> {
        let mut set = Self::builtin()?;
        for path in template_files(directory)? {
            set.put(Template::parse(&read(&path)?, &path.display().to_string())?);
        }
        Ok(set)
    }

    /// All templates, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Template> {
        self.templates.iter().map(Arc::as_ref)
    }

    /// The template of this name.
    ///
    /// # Errors
    /// [`LaunchErrorKind::TemplateUnknown`] naming those that are there.
    pub fn get(&self, name: &str) -> Result<&Arc<Template>, LaunchError> {
        self.templates.iter().find(|template| template.name() == name).ok_or_else(|| {
            let known: Vec<_> = self.templates.iter().map(|template| template.name()).collect();
            let message = format!("no template is called '{}'", name.escape_debug());
            LaunchError::new(LaunchErrorKind::TemplateUnknown, message)
                .hint(format!("known templates: {}", known.join(", ")))
        })
    }

    /// Adds a template; one of the same name makes room.
    pub fn put(&mut self, template: Template) {
        self.templates.retain(|other| other.name() != template.name());
        self.templates.push(Arc::new(template));
    }
}

/// The template files of a directory, sorted, so that the outcome does not depend on its order.
fn template_files(directory: &Path) -> Result<Vec<PathBuf>, LaunchError> {
    let failed = |error| unreadable(directory, error);
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries.take(FILES_MAX) {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn read(path: &Path) -> Result<String, LaunchError> {
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    let mut text = String::new();
    file.take(FILE_MAX_BYTES).read_to_string(&mut text).map_err(|error| unreadable(path, error))?;
    Ok(text)
}

fn unreadable(path: &Path, error: std::io::Error) -> LaunchError {
    LaunchError::new(
        LaunchErrorKind::TemplateInvalid,
        format!("cannot read templates at '{}'", path.display()),
    )
    .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_templates_are_whole() {
        let set = TemplateSet::builtin().unwrap();
        let qemu = set.get("qemu-system-x86_64").unwrap();
        assert!(qemu.data.options.len() > 60 && qemu.data.commands.pass.len() >= 100);
        assert!(qemu.data.writing.sets.is_some());
        assert!(set.get("qemu-storage-daemon").unwrap().data.writing.sets.is_none());
        let unknown = set.get("bhyve").unwrap_err();
        assert_eq!(unknown.code(), "launch.template-unknown");
        assert!(unknown.hints.iter().any(|hint| hint.contains("qemu-system-x86_64")));
    }

    #[test]
    fn operators_file_replaces_by_name_and_errors_name_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let text = BUILTIN[0].1.replacen("/usr/bin/qemu-system-x86_64", "/opt/q", 1);
        std::fs::write(directory.path().join("mine.json"), text).unwrap();
        let set = TemplateSet::load(directory.path()).unwrap();
        assert_eq!(set.templates.len(), BUILTIN.len());
        assert_eq!(set.get("qemu-system-x86_64").unwrap().data.programs[0], Path::new("/opt/q"));
        std::fs::write(directory.path().join("bad.json"), "{\"name\": 7}").unwrap();
        let error = TemplateSet::load(directory.path()).unwrap_err();
        assert!(
            error.code() == "launch.template-invalid" && error.to_string().contains("bad.json"),
            "{error}"
        );
        assert!(TemplateSet::load(Path::new("/nonexistent/x")).is_ok());
    }

    #[test]
    fn unknown_members_and_dangling_shapes_are_refused() {
        let text = BUILTIN[0].1;
        let dangling = text.replacen("\"ref\": \"node\"", "\"ref\": \"gone\"", 1);
        assert!(Template::parse(&dangling, "x").unwrap_err().to_string().contains("'gone'"));
        let misspelt = text.replacen("\"single\": true", "\"singel\": true", 1);
        assert!(Template::parse(&misspelt, "x").unwrap_err().to_string().contains("singel"));
        let without = text.replacen("\"sets\"", "\"gone\"", 1);
        assert!(Template::parse(&without, "x").unwrap_err().to_string().contains("gone"));
        let (before, after) = text.split_once("\"sets\": {").unwrap();
        let without = format!("{before}\"sets\": null{}", after.split_once("\n    }").unwrap().1);
        assert!(Template::parse(&without, "x").unwrap_err().to_string().contains("endpoint 'file'"));
        let relative = text.replacen("/usr/bin/qemu-system-x86_64", "qemu", 1);
        assert!(Template::parse(&relative, "x").unwrap_err().to_string().contains("absolute"));
    }
}
