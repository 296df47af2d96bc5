//! Power cuts: the calls are recorded, and every state that a cut could leave is built again from them.
//!
//! The model is harsher than ext4: a name is durable only after an fsync of its own directory, contents only
//! after their fdatasync; of what was not synced, any first part of the calls may have reached the disk.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostler_state::{Disk, Draft, RealDisk, StateDir};

use super::verbs::{self, View};

/// Which syncs the disk honours.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Syncs {
    Kept,
    WithoutDirectories,
    WithoutData,
}

#[derive(Clone, Debug)]
enum Call {
    MakeDirectory(PathBuf),
    /// A new file, named by its number in the recording.
    Create(PathBuf, usize),
    Write(usize, Vec<u8>),
    SyncData(usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncDirectory(PathBuf),
    /// The verb told its caller that a step is done.
    Acknowledge,
}

type Recording = Arc<Mutex<Vec<Call>>>;

#[derive(Debug)]
struct Recorder(Recording);

struct RecordedDraft(Box<dyn Draft>, usize, Recording);

fn note<T>(recording: &Recording, call: Call, done: io::Result<T>) -> io::Result<T> {
    if done.is_ok() {
        recording.lock().unwrap().push(call);
    }
    done
}

impl Disk for Recorder {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        RealDisk.read(path, limit)
    }
    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        RealDisk.names(directory)
    }
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        note(&self.0, Call::MakeDirectory(path.into()), RealDisk.make_directory(path))
    }
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn Draft>> {
        let number = self.0.lock().unwrap().len();
        let draft = note(&self.0, Call::Create(path.into(), number), RealDisk.create_new(path))?;
        Ok(Box::new(RecordedDraft(draft, number, self.0.clone())))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        note(&self.0, Call::Rename(from.into(), to.into()), RealDisk.rename(from, to))
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        note(&self.0, Call::Remove(path.into()), RealDisk.remove_file(path))
    }
    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        note(&self.0, Call::Remove(path.into()), RealDisk.remove_directory(path))
    }
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        note(&self.0, Call::SyncDirectory(path.into()), RealDisk.sync_directory(path))
    }
}

impl Draft for RecordedDraft {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        note(&self.2, Call::Write(self.1, bytes.to_vec()), self.0.write_all(bytes))
    }
    fn sync_data(&mut self) -> io::Result<()> {
        note(&self.2, Call::SyncData(self.1), self.0.sync_data())
    }
}

/// Every cut of the verb that leaves neither the last acknowledged state nor the next one.
pub(crate) fn violations(name: &str, expected: &[View], syncs: Syncs) -> Vec<String> {
    let (root, recording) = (verbs::scratch(), Recording::default());
    verbs::prepare(root.path());
    let acknowledge = |_| recording.lock().unwrap().push(Call::Acknowledge);
    verbs::run(name, Arc::new(Recorder(recording.clone())), root.path(), acknowledge).unwrap();
    let calls: Vec<_> = recording.lock().unwrap().drain(..).filter(|call| honoured(call, syncs)).collect();
    let mut violations = Vec::new();
    for cut in 0..=calls.len() {
        let done = &calls[..cut];
        let acknowledged = done.iter().filter(|call| matches!(call, Call::Acknowledge)).count();
        let allowed = &expected[acknowledged..(acknowledged + 2).min(expected.len())];
        let pending = (0..cut).filter(|at| changes_names(&done[*at]) && !durable(done, *at)).count();
        for kept in 0..=pending {
            let found = after_cut(root.path(), done, kept);
            if !found.as_ref().is_ok_and(|found| allowed.contains(found)) {
                violations
                    .push(format!("cut after {:?}, {kept} unsynced names kept: {found:?}", done.last()));
            }
        }
    }
    violations
}

fn honoured(call: &Call, syncs: Syncs) -> bool {
    match call {
        Call::SyncDirectory(_) => syncs != Syncs::WithoutDirectories,
        Call::SyncData(_) => syncs != Syncs::WithoutData,
        _ => true,
    }
}

fn changes_names(call: &Call) -> bool {
    matches!(call, Call::MakeDirectory(_) | Call::Create(..) | Call::Rename(..) | Call::Remove(_))
}

/// Whether every directory whose names the call changed was synced after it.
fn durable(calls: &[Call], at: usize) -> bool {
    let paths = match &calls[at] {
        Call::MakeDirectory(path) | Call::Create(path, _) | Call::Remove(path) => vec![path],
        Call::Rename(from, to) => vec![from, to],
        _ => return true,
    };
    let synced = |path: &&PathBuf| {
        calls[at..]
            .iter()
            .any(|call| matches!(call, Call::SyncDirectory(synced) if Some(&**synced) == path.parent()))
    };
    paths.iter().all(synced)
}

/// Builds the state after a cut in a new directory: all durable names, and the first `kept` of the others.
fn after_cut(original: &Path, calls: &[Call], kept: usize) -> Result<View, String> {
    let root = verbs::scratch();
    verbs::prepare(root.path());
    let here = |path: &Path| root.path().join(path.strip_prefix(original).unwrap());
    let mut left = kept;
    for (at, call) in calls.iter().enumerate() {
        if !changes_names(call) {
            continue;
        }
        if !durable(calls, at) {
            if left == 0 {
                continue;
            }
            left -= 1;
        }
        // A call whose predecessor was lost fails here as it would have no effect there.
        match call {
            Call::MakeDirectory(path) => std::fs::create_dir(here(path)).ok(),
            Call::Create(path, number) => std::fs::write(here(path), content(calls, *number)).ok(),
            Call::Rename(from, to) => rename_even_if_lost(&here(from), &here(to), calls, from),
            Call::Remove(path) => {
                std::fs::remove_file(here(path)).or_else(|_| std::fs::remove_dir(here(path))).ok()
            }
            _ => None,
        };
    }
    let opened = StateDir::open_owner(root.path(), Duration::ZERO).map_err(|error| error.to_string());
    drop(opened?);
    Ok(verbs::view(root.path()))
}

/// A synced rename brings its file along, even when the temporary's own name was never synced.
fn rename_even_if_lost(from: &Path, to: &Path, calls: &[Call], name: &Path) -> Option<()> {
    let numbers: HashMap<_, _> = calls
        .iter()
        .filter_map(|call| {
            if let Call::Create(path, number) = call { Some((path.as_path(), *number)) } else { None }
        })
        .collect();
    if let (false, Some(number)) = (from.exists(), numbers.get(name)) {
        std::fs::write(from, content(calls, *number)).ok()?;
    }
    std::fs::rename(from, to).ok()
}

/// What is in a file after the cut: all of it when it was synced, else a torn half.
fn content(calls: &[Call], number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut synced = false;
    for call in calls {
        match call {
            Call::Write(file, more) if *file == number => bytes.extend_from_slice(more),
            Call::SyncData(file) => synced |= *file == number,
            _ => {}
        }
    }
    let keep = if synced { bytes.len() } else { bytes.len() / 2 };
    bytes.truncate(keep);
    bytes
}
