//! Files that a program writes in answer to an event, whether anybody is attached or not: what is in the memory of a
//! guest that crashes.
//!
//! The shim knows no hypervisor: which command writes, how it is given a file and what else it is told is data of the
//! program's template. The program gets an open file that it can only write.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hostler_state::unix_ms;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::template::Template;

/// Most files of one domain that are kept; the oldest goes. A guest that crashes again and again must not fill the disk.
const FILES_MAX: usize = 4;
/// What the names of files end with.
const WHOLE: &str = ".core";
/// What they end with while they are written.
const UNFINISHED: &str = ".core.part";
/// What the program is told that the file is called.
const NAME: &str = "hostler-kept";

/// A command that writes a file of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptFile {
    /// Where the files are.
    directory: PathBuf,
    /// What their names begin with: the domain's identifier.
    domain: String,
    /// The command that gives the program an open file, and its arguments.
    pub(crate) give: String,
    pub(crate) given: Box<str>,
    /// The arguments of the command that writes.
    pub(crate) arguments: Box<str>,
}

/// A file that is being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    draft: PathBuf,
    whole: PathBuf,
}

impl KeptFile {
    /// How a command writes a file, where the template says that reactions may have it.
    pub(crate) fn of(template: &Template, command: &str, directory: PathBuf, domain: String) -> Option<Self> {
        let rule = template.data.commands.kept.get(command)?;
        let named = template.data.writing.named.as_ref()?;
        let mut arguments: Map<String, Value> = rule.arguments.clone();
        arguments.insert(rule.argument.clone(), named.path.replace("{name}", NAME).into());
        Some(Self {
            directory,
            domain,
            give: named.command.clone(),
            given: named.naming(NAME).to_string().into(),
            arguments: Value::Object(arguments).to_string().into(),
        })
    }

    /// Makes the file. Older ones of the domain go where there are too many.
    pub(crate) fn begin(&self) -> io::Result<(OwnedFd, Begun)> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        self.make_room()?;
        let name = format!("{}-{}", self.domain, unix_ms());
        let begun = Begun {
            draft: self.directory.join(format!("{name}{UNFINISHED}")),
            whole: self.directory.join(format!("{name}{WHOLE}")),
        };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&begun.draft)?;
        Ok((file.into(), begun))
    }

    fn make_room(&self) -> io::Result<()> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with(&self.domain) && (name.ends_with(WHOLE) || name.ends_with(UNFINISHED)) {
                names.push(name);
            }
        }
        // The time in the name has the same number of digits for the next 250 years.
        names.sort_unstable();
        let surplus = (names.len() + 1).saturating_sub(FILES_MAX);
        names.iter().take(surplus).try_for_each(|name| std::fs::remove_file(self.directory.join(name)))
    }
}

impl Begun {
    /// It is all written: it gets its name, which this gives.
    pub(crate) fn finish(&self) -> io::Result<&Path> {
        std::fs::rename(&self.draft, &self.whole)?;
        Ok(&self.whole)
    }

    /// Nothing of use was written.
    pub(crate) fn give_up(&self) -> io::Result<()> {
        std::fs::remove_file(&self.draft)
    }
}

/// Arguments as they are sent.
pub(crate) fn raw(arguments: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(arguments.to_owned()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::template::TemplateSet;

    fn kept(directory: &Path) -> KeptFile {
        let templates = TemplateSet::builtin().unwrap();
        let template = templates.get("qemu-system-x86_64").unwrap();
        KeptFile::of(template, "dump-guest-memory", directory.join("dumps"), "d".into()).unwrap()
    }

    #[test]
    fn template_says_which_command_writes_and_how_it_is_told() {
        let kept = kept(Path::new("/s"));
        assert_eq!((kept.give.as_str(), &*kept.given), ("getfd", r#"{"fdname":"hostler-kept"}"#));
        let arguments: Value = serde_json::from_str(&kept.arguments).unwrap();
        assert_eq!(arguments, json!({"paging": false, "protocol": "fd:hostler-kept"}));
        let templates = TemplateSet::builtin().unwrap();
        let template = templates.get("qemu-system-x86_64").unwrap();
        assert_eq!(KeptFile::of(template, "quit", "/s".into(), "d".into()), None);
    }

    #[test]
    fn file_has_its_name_when_it_is_whole_and_the_oldest_go() {
        let place = tempfile::tempdir().unwrap();
        let kept = kept(place.path());
        let (_file, begun) = kept.begin().unwrap();
        assert!(!begun.whole.exists());
        assert!(begun.finish().unwrap().is_file());
        let directory = place.path().join("dumps");
        for number in 0..6 {
            std::fs::write(directory.join(format!("d-{number}.core")), b"").unwrap();
        }
        std::fs::write(directory.join("other-1.core"), b"").unwrap();
        let (_file, begun) = kept.begin().unwrap();
        begun.give_up().unwrap();
        let left = std::fs::read_dir(&directory).unwrap().count();
        assert_eq!(left, FILES_MAX, "three of this domain, and one of another");
        assert!(directory.join("other-1.core").exists());
    }
}
