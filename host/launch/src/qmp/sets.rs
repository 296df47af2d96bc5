//! The descriptor sets of a running program: which file each is for, and what its descriptors may do.
//!
//! A set keeps its number for as long as the program has a file open by it. What the program may do to the file is what
//! the descriptors in the set were opened for: so write access is lent by putting others in, and taken back the same way.

use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::fstat;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{QmpError, QmpErrorKind, ShimError};
use crate::limits::COMMANDS_MAX;
use crate::shim::client::ShimClient;
use crate::template::Template;
use crate::template::data::SetWriting;

/// The command that lists the sets.
const LIST: &str = "query-fdsets";

/// What a descriptor is called that is there to be given back at once.
const SWEEP: &str = "hostler-sweep";

/// A file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file behind a descriptor.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn of(file: impl AsFd) -> std::io::Result<Self> {
        let facts = fstat(file)?;
        Ok(Self { device: facts.st_dev, inode: facts.st_ino })
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.device, self.inode)
    }
}

/// What stands between what a set is for and its file.
const FILE: char = '@';

/// What a descriptor is called in the program: what its set is for, and where that can be told its file.
pub(crate) fn label(owner: Option<&str>, set: u64, file: Option<FileId>) -> String {
    let owner = owner.map_or_else(|| format!("hostler-{set}"), str::to_owned);
    file.map_or_else(|| owner.clone(), |file| format!("{owner}{FILE}{file}"))
}

/// What the set of a descriptor with this label is for.
#[must_use]
pub fn owner_of(label: &str) -> &str {
    label.rsplit_once(FILE).map_or(label, |(owner, _)| owner)
}

/// The file that a label names: untrusted text, for it comes back from the program.
fn labelled(text: &str) -> Option<FileId> {
    let (_, file) = text.strip_prefix("hostler-")?.rsplit_once(FILE)?;
    let (device, inode) = file.split_once('-')?;
    let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
    Some(FileId { device: number(device)?, inode: number(inode)? })
}

/// One set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Set {
    number: u64,
    /// What it is for, as its descriptors say.
    owner: Option<String>,
    files: Vec<FileId>,
    descriptors: Vec<i64>,
}

/// All sets that a program has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    next: u64,
    sets: Vec<Set>,
}

impl Sets {
    /// None yet; numbers are given from here on.
    #[must_use]
    pub fn from(next: u64) -> Self {
        Self { next, sets: Vec::new() }
    }

    /// Asks the program.
    ///
    /// # Errors
    /// What the shim or the program answers.
    pub fn of(client: &ShimClient, timeout: Duration) -> Result<Self, QmpError> {
        Ok(Self::read(&client.execute(LIST, None, &[], timeout)?))
    }

    fn read(answer: &Value) -> Self {
        let mut found = Self::default();
        for set in answer.as_array().into_iter().flatten() {
            let Some(number) = set.get("fdset-id").and_then(Value::as_u64) else { continue };
            let fds = || set.get("fds").and_then(Value::as_array).into_iter().flatten();
            let labels: Vec<_> = fds().filter_map(|fd| fd.get("opaque")?.as_str()).collect();
            let descriptors = fds().filter_map(|fd| fd.get("fd")?.as_i64()).collect();
            let owner = labels.first().map(|label| owner_of(label).to_owned());
            let files = labels.iter().filter_map(|label| labelled(label)).collect();
            found.sets.push(Set { number, owner, files, descriptors });
            found.next = found.next.max(number.saturating_add(1));
        }
        found
    }

    /// A number that no set has.
    pub(crate) fn new_number(&mut self) -> u64 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }

    /// The number of the next set.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The set by which the program has this file.
    pub(crate) fn of_file(&self, file: FileId) -> Option<u64> {
        self.having(file).next().map(|set| set.number)
    }

    /// How many descriptors the program has for this file, in the set with the most: those too that it was told to give back
    /// and has not.
    #[must_use]
    pub fn count(&self, file: FileId) -> usize {
        self.having(file).map(|set| set.descriptors.len()).max().unwrap_or_default()
    }

    fn having(&self, file: FileId) -> impl Iterator<Item = &Set> {
        self.sets.iter().filter(move |set| set.files.contains(&file))
    }

    /// Puts these descriptors in the place of all that the program has for the file, in each of its sets; none take the
    /// file away from it. What it has open stays open. Whether there was such a set.
    ///
    /// The new ones carry no locks: those of a descriptor stay with it for as long as it is open anywhere, and are in
    /// the way when the program wants to write.
    ///
    /// # Errors
    /// What the shim or the program answers, or that the program takes no sets.
    pub fn replace(
        &self,
        client: &ShimClient,
        template: &Template,
        (file, descriptors): (FileId, &[OwnedFd]),
        timeout: Duration,
    ) -> Result<bool, QmpError> {
        let found = self.replace_all(client, template, &[(file, descriptors)], timeout)?;
        Ok(found.contains(&true))
    }

    /// The same for several files, all of them at once: no file is without descriptors meanwhile.
    ///
    /// # Errors
    /// As for [`Sets::replace`].
    pub fn replace_all(
        &self,
        client: &ShimClient,
        template: &Template,
        files: &[(FileId, &[OwnedFd])],
        timeout: Duration,
    ) -> Result<Vec<bool>, QmpError> {
        let Some(writing) = template.data.writing.sets.as_ref() else {
            return Err(QmpError::new(QmpErrorKind::Denied, "the program takes no descriptors once it runs"));
        };
        let dealings = Dealings { client, writing, timeout };
        let (mut given, mut taken) = (Vec::new(), Vec::new());
        for (file, descriptors) in files {
            for set in self.having(*file) {
                let opaque = label(set.owner.as_deref(), set.number, Some(*file));
                given.extend(descriptors.iter().map(|fd| (set.number, opaque.clone(), fd.as_fd())));
                taken.extend(set.descriptors.iter().map(|fd| (set.number, *fd)));
            }
        }
        dealings.add_all(&given)?;
        let refused = dealings.remove_all(&taken)?;
        if !refused.is_empty() {
            let now = Self::of(client, timeout)?;
            let kept = refused.into_iter().find(|((number, fd), _)| now.has(*number, *fd));
            kept.map_or(Ok(()), |(_, error)| Err(error))?;
        }
        Ok(files.iter().map(|(file, _)| self.having(*file).next().is_some()).collect())
    }

    fn has(&self, number: u64, fd: i64) -> bool {
        self.sets.iter().any(|set| set.number == number && set.descriptors.contains(&fd))
    }

    /// Has a program give back what it was told to give back while its guest stood still. QEMU does so with the next
    /// descriptor of the same set that it is told to give back while its guest runs (`monitor_fdset_cleanup` in 7.2): it is
    /// given one that it has no use for. A program without sets has nothing to give back.
    ///
    /// # Errors
    /// What the shim or the program answers.
    pub fn sweep(client: &ShimClient, template: &Template, timeout: Duration) -> Result<(), QmpError> {
        if template.data.writing.sets.is_none() {
            return Ok(());
        }
        Self::of(client, timeout)?.sweep_where(client, template, |_| true, timeout)
    }

    /// The same for the sets of these files alone.
    ///
    /// # Errors
    /// As for [`Sets::sweep`].
    pub fn sweep_files(
        &self,
        client: &ShimClient,
        template: &Template,
        files: &[FileId],
        timeout: Duration,
    ) -> Result<(), QmpError> {
        let is_one = |set: &Set| set.files.iter().any(|file| files.contains(file));
        self.sweep_where(client, template, is_one, timeout)
    }

    fn sweep_where(
        &self,
        client: &ShimClient,
        template: &Template,
        wanted: impl Fn(&Set) -> bool,
        timeout: Duration,
    ) -> Result<(), QmpError> {
        let Some(writing) = template.data.writing.sets.as_ref() else { return Ok(()) };
        let failed = |error| QmpError::from(ShimError::io("open /dev/null", error));
        // Nothing is opened for writing alone, so that nobody is handed it meanwhile.
        let nothing = File::options().write(true).open("/dev/null").map_err(failed)?;
        let dealings = Dealings { client, writing, timeout };
        let sets = || self.sets.iter().filter(|set| wanted(set)).map(|set| set.number);
        let given: Vec<_> = sets().map(|set| (set, SWEEP.to_owned(), nothing.as_fd())).collect();
        let added = dealings.add_all(&given)?;
        let number = |added: &Value| added.get("fd").and_then(Value::as_i64);
        let taken: Vec<_> =
            sets().zip(&added).filter_map(|(set, added)| Some((set, number(added)?))).collect();
        dealings.remove_all(&taken)?.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
    }
}

/// What is said to a running program about single descriptors of its sets.
struct Dealings<'a> {
    client: &'a ShimClient,
    writing: &'a SetWriting,
    timeout: Duration,
}

/// A descriptor of a set, by its number in the program.
type Member = (u64, i64);

impl Dealings<'_> {
    /// Adds descriptors to sets, each under a name; what the program says of them. They are all sent before the first
    /// answer is waited for: each is as good without the others.
    fn add_all(&self, given: &[(u64, String, BorrowedFd<'_>)]) -> Result<Vec<Value>, QmpError> {
        let mut added = Vec::new();
        for some in given.chunks(COMMANDS_MAX) {
            let commands: Vec<_> = some
                .iter()
                .map(|(set, opaque, fd)| {
                    let add = json!({"fdset-id": set, "opaque": opaque});
                    (self.writing.add_command.as_str(), add, *fd)
                })
                .collect();
            added.extend(self.client.give_all(&commands, self.timeout)?);
        }
        added.into_iter().collect()
    }

    /// Takes descriptors from sets, all at once. Those that the program did not take, and why.
    fn remove_all(&self, taken: &[Member]) -> Result<Vec<(Member, QmpError)>, QmpError> {
        let mut refused = Vec::new();
        for some in taken.chunks(COMMANDS_MAX) {
            let remove = |(set, fd): &Member| {
                (self.writing.remove_command.clone(), Some(json!({"fdset-id": set, "fd": fd})))
            };
            let answers = self.client.execute_all(some.iter().map(remove).collect(), self.timeout)?;
            let failed =
                some.iter().zip(answers).filter_map(|(member, answer)| Some((*member, answer.err()?)));
            refused.extend(failed);
        }
        Ok(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_labels_and_nothing_else_is() {
        let file = FileId { device: 0xfd00, inode: 77 };
        let answer = json!([
            {"fdset-id": 3, "fds": [{"fd": 9, "opaque": label(Some("hostler-of-a.b"), 3, Some(file))}, {"fd": 10, "opaque": "x"}]},
            {"fdset-id": 1, "fds": [{"fd": 11}]},
            {"fds": []},
        ]);
        let mut sets = Sets::read(&answer);
        assert_eq!((sets.of_file(file), sets.new_number(), sets.next()), (Some(3), 4, 5));
        assert_eq!(sets.having(file).next().unwrap().descriptors, [9, 10]);
        assert_eq!(sets.of_file(FileId { inode: 78, ..file }), None);
        assert_eq!(sets.having(file).next().unwrap().owner.as_deref(), Some("hostler-of-a.b"));
        for text in ["", "hostler-3", "hostler-3@", "hostler-3@x-y", "other-3@fd00-4d", "hostler-3@fd00"] {
            assert_eq!(labelled(text), None, "{text}");
        }
        assert_eq!(Sets::read(&json!({"a": 1})), Sets::default());
    }

    #[test]
    fn file_is_the_same_by_each_of_its_names() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (directory.path().join("one"), directory.path().join("two"));
        std::fs::write(&one, "x").unwrap();
        std::fs::hard_link(&one, &two).unwrap();
        let id = |path| FileId::of(File::open(path).unwrap()).unwrap();
        assert_eq!(id(&one), id(&two));
        assert_eq!(labelled(&label(None, 7, Some(id(&one)))), Some(id(&one)));
    }
}
