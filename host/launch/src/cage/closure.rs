//! Which files a program needs to run: itself, its loader and libraries, and what its template declares.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::elf;
use super::rule::{CageRule, ModuleRule};
use crate::error::{LaunchError, LaunchErrorKind};

/// Most symbolic links on the way to one file.
const LINKS_MAX: usize = 40;
/// Most files, directories and links in one cage.
const ITEMS_MAX: usize = 4_096;

/// One thing that is made in the cage as it is on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Item {
    /// A symbolic link.
    Link { at: PathBuf, to: PathBuf },
    /// A directory with all that is in it, read-only.
    Directory { path: PathBuf },
    /// A file, read-only; `run` when it may be executed.
    File { path: PathBuf, run: bool },
}

/// Collects what is needed. Paths are reproduced with the symbolic links that lead to them.
#[derive(Debug, Default)]
pub(crate) struct Closure {
    items: Vec<Item>,
    /// Places that were looked at, and where a link there leads.
    seen: HashMap<PathBuf, Option<PathBuf>>,
    /// Files whose libraries were resolved.
    resolved: HashSet<PathBuf>,
}

/// What is needed by a program and by its template.
///
/// # Errors
/// [`LaunchErrorKind::CageFailed`] naming what is missing, who needs it and where it was looked for.
pub(crate) fn resolve(program: &Path, rule: &CageRule) -> Result<Vec<Item>, LaunchError> {
    let mut closure = Closure::default();
    for group in &rule.needed {
        closure.add_any(group)?;
    }
    for path in rule.optional.iter().filter(|path| path.exists()) {
        closure.add(path, false)?;
    }
    closure.add_program(program, rule)?;
    closure.add_modules(&rule.modules, rule)?;
    closure.finish()
}

impl Closure {
    /// All of the group that exist; at least one must.
    fn add_any(&mut self, group: &[PathBuf]) -> Result<(), LaunchError> {
        let mut found = false;
        for path in group.iter().filter(|path| path.exists()) {
            self.add(path, false)?;
            found = true;
        }
        if found {
            return Ok(());
        }
        let names: Vec<_> = group.iter().map(|path| format!("'{}'", path.display())).collect();
        Err(missing(format!("the cage needs {}, which is not there", names.join(" or ")))
            .hint("install what brings it, or say in a template of your own where it is ('cage', 'needed')"))
    }

    fn add_program(&mut self, program: &Path, rule: &CageRule) -> Result<(), LaunchError> {
        let real = self.add(program, true)?;
        let needs = read(&real)?;
        if let Some(interpreter) = needs.as_ref().and_then(|needs| needs.interpreter.as_ref()) {
            self.add(Path::new(interpreter), true)?;
        }
        self.add_libraries(vec![real], rule)
    }

    /// The libraries of these files, and theirs, and so on.
    fn add_libraries(&mut self, files: Vec<PathBuf>, rule: &CageRule) -> Result<(), LaunchError> {
        let mut waiting = files;
        while let Some(file) = waiting.pop() {
            if !self.resolved.insert(file.clone()) {
                continue;
            }
            let Some(needs) = read(&file)? else { continue };
            for library in &needs.libraries {
                let found = find(library, &file, &needs.search, &rule.libraries);
                let path = found.ok_or_else(|| library_missing(library, &file, &rule.libraries))?;
                waiting.push(self.add(&path, false)?);
            }
        }
        Ok(())
    }

    /// Modules that policy has a use for. One whose libraries are not installed is left out: the program says so
    /// itself, when somebody asks for it.
    fn add_modules(&mut self, modules: &ModuleRule, rule: &CageRule) -> Result<(), LaunchError> {
        for directory in &modules.directories {
            let Ok(entries) = std::fs::read_dir(directory) else { continue };
            let mut names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
            names.sort_unstable();
            for name in names {
                let Some(text) = name.to_str().filter(|text| text.ends_with(".so")) else { continue };
                if modules.names.iter().any(|begin| text.starts_with(begin.as_str())) {
                    let real = self.add(&directory.join(&name), false)?;
                    match self.add_libraries(vec![real], rule) {
                        Err(error) if error.kind == LaunchErrorKind::CageFailed => {}
                        done => done?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds one path with the links that lead to it; the real path.
    pub(crate) fn add(&mut self, path: &Path, run: bool) -> Result<PathBuf, LaunchError> {
        let failed = |error: io::Error| {
            missing(format!("the cage needs '{}', which cannot be looked at", path.display()))
                .caused_by(error)
        };
        let real = self.follow(path).map_err(failed)?;
        let kind = std::fs::metadata(&real).map_err(failed)?;
        let item = if kind.is_dir() {
            Item::Directory { path: real.clone() }
        } else if kind.is_file() {
            Item::File { path: real.clone(), run }
        } else {
            return Err(missing(format!("'{}' is neither a file nor a directory", path.display())));
        };
        if !self.items.contains(&item) {
            self.items.push(item);
        }
        if self.items.len() > ITEMS_MAX {
            return Err(missing(format!("the cage would have more than {ITEMS_MAX} files")));
        }
        Ok(real)
    }

    /// Walks a path from the root, and remembers the links on the way.
    fn follow(&mut self, path: &Path) -> io::Result<PathBuf> {
        let mut waiting: VecDeque<OsString> = parts(path).collect();
        let (mut real, mut links) = (PathBuf::from("/"), 0);
        while let Some(part) = waiting.pop_front() {
            if part == ".." {
                real.pop();
                continue;
            }
            let place = real.join(&part);
            let Some(target) = self.look(&place)? else {
                real = place;
                continue;
            };
            links += 1;
            if links > LINKS_MAX {
                return Err(io::Error::other("too many symbolic links"));
            }
            if target.is_absolute() {
                real = PathBuf::from("/");
            }
            for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                waiting.push_front(part);
            }
        }
        Ok(real)
    }

    /// Where the link at this place leads; nothing for what is no link.
    fn look(&mut self, place: &Path) -> io::Result<Option<PathBuf>> {
        if let Some(known) = self.seen.get(place) {
            return Ok(known.clone());
        }
        let found = std::fs::symlink_metadata(place)?;
        let target = if found.is_symlink() { Some(std::fs::read_link(place)?) } else { None };
        if let Some(to) = &target {
            self.items.push(Item::Link { at: place.to_owned(), to: to.clone() });
        }
        self.seen.insert(place.to_owned(), target.clone());
        Ok(target)
    }

    /// What lies in a directory that is bound whole needs no entry of its own, and what runs is said once.
    pub(crate) fn finish(self) -> Result<Vec<Item>, LaunchError> {
        let directories: HashSet<PathBuf> = self
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Directory { path } => Some(path.clone()),
                _ => None,
            })
            .collect();
        let inside = |path: &Path| path.ancestors().skip(1).any(|above| directories.contains(above));
        let runs: HashSet<PathBuf> = self
            .items
            .iter()
            .filter_map(|item| match item {
                Item::File { path, run: true } => Some(path.clone()),
                _ => None,
            })
            .collect();
        let kept = self.items.into_iter().filter(|item| match item {
            Item::Link { at, .. } => !inside(at),
            Item::Directory { path } => !inside(path),
            Item::File { path, run } => *run || (!inside(path) && !runs.contains(path)),
        });
        Ok(kept.collect())
    }
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

fn read(path: &Path) -> Result<Option<elf::Needs>, LaunchError> {
    File::open(path).and_then(|file| elf::read(&file)).map_err(|error| {
        missing(format!("what '{}' needs cannot be read from it", path.display())).caused_by(error)
    })
}

/// As the loader looks: a name with a slash is a path; the object's own directories come before all others.
fn find(name: &str, of: &Path, own: &[String], directories: &[PathBuf]) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    let origin = of.parent().unwrap_or(Path::new("/")).display().to_string();
    let own = own.iter().flat_map(|list| list.split(':')).filter(|directory| !directory.is_empty());
    let own = own.map(|text| PathBuf::from(text.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin)));
    own.chain(directories.iter().cloned()).map(|directory| directory.join(name)).find(|path| path.is_file())
}

fn library_missing(library: &str, of: &Path, directories: &[PathBuf]) -> LaunchError {
    let places: Vec<_> = directories.iter().map(|path| path.display().to_string()).collect();
    let (library, of) = (library.escape_debug(), of.display());
    missing(format!("'{of}' needs the library '{library}', which is in none of {}", places.join(", ")))
        .hint("name its directory in a template of your own ('cage', 'libraries')")
}

fn missing(message: String) -> LaunchError {
    LaunchError::new(LaunchErrorKind::CageFailed, message)
}

#[cfg(test)]
mod tests;
