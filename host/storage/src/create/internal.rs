//! Snapshots within an image: taken, gone back to, removed and listed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use hostler_image::Format;

use super::{arguments, qemu_img, source};
use crate::error::{ErrorKind, StorageError};
use crate::programs::Programs;
use crate::root::PoolRoot;

/// Where the header has the number of snapshots (four bytes), and where their table lies (eight bytes).
const COUNT_AT: u64 = 60;
const TABLE_AT: u64 = 64;
/// The fixed part of an entry in bytes, and where it has the lengths of its identifier, its name and its extra data.
const ENTRY_BYTES: u64 = 40;
const ID_LENGTH_AT: u64 = 12;
const NAME_LENGTH_AT: u64 = 14;
const EXTRA_LENGTH_AT: u64 = 36;
/// Snapshots that are listed; an image with more is refused before it comes to that.
const MOST: u32 = 128;

/// What is done about a snapshot within an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InternalStep {
    /// The disk as it is now is kept under the name.
    Take,
    /// The disk becomes what it was; what it is now is lost.
    GoBack,
    /// The name and what only it keeps are removed.
    Remove,
}

/// Does it to the qcow2 image `name`, which nobody may have open.
///
/// # Errors
/// What the rules for images refuse; [`ErrorKind::Exists`] for a name that is taken, [`ErrorKind::NotFound`] for one that is
/// not there; [`ErrorKind::Conflict`] while anybody has the image open; [`ErrorKind::Full`]; what qemu-img says.
pub fn internal_snapshot(
    root: &PoolRoot,
    name: &str,
    step: InternalStep,
    tag: &str,
    programs: &Programs,
) -> Result<(), StorageError> {
    let chain = source::chain_of(root, name, Format::Qcow2)?;
    let file = root.open_volume(name, true)?;
    let there = tags(&file, name)?.iter().any(|found| found == tag);
    match (step, there) {
        (InternalStep::Take, true) => {
            let message = format!("the image '{name}' has a snapshot '{tag}' already");
            return Err(StorageError::new(ErrorKind::Exists, "image.snapshot-exists", message)
                .about("volume", name)
                .hint("choose another name"));
        }
        (InternalStep::GoBack | InternalStep::Remove, false) => {
            let message = format!("the image '{name}' has no snapshot '{tag}'");
            return Err(StorageError::new(ErrorKind::NotFound, "image.snapshot-not-found", message)
                .about("volume", name));
        }
        _ => {}
    }
    let (switch, what) = match step {
        InternalStep::Take => ("-c", format!("take a snapshot of '{name}'")),
        InternalStep::GoBack => ("-a", format!("take '{name}' back to a snapshot")),
        InternalStep::Remove => ("-d", format!("remove a snapshot of '{name}'")),
    };
    let words = arguments::snapshot_arguments(switch, tag, &source::described(&chain)?);
    qemu_img::run(programs.qemu_img()?, &words, &what, &mut |_| {})
        .map_err(|error| error.about("volume", name))?;
    file.sync_all().map_err(|error| StorageError::io("make durable", name, error))
}

/// The names of the snapshots within the qcow2 image `name`.
///
/// # Errors
/// What the rules for images refuse; what the operating system says.
pub fn internal_snapshots(root: &PoolRoot, name: &str) -> Result<Vec<String>, StorageError> {
    // Whether it is a sound image is looked at where every image is.
    source::alone(root, name, Format::Qcow2)?;
    tags(&root.open_volume(name, false)?, name)
}

fn tags(file: &File, name: &str) -> Result<Vec<String>, StorageError> {
    read_tags(file)
        .map_err(|error| StorageError::io("read the snapshots of", name, error).about("volume", name))
}

/// Reads the table, whose bounds were checked with the image.
fn read_tags(file: &File) -> io::Result<Vec<String>> {
    let count = u32::try_from(number(file, COUNT_AT, 4)?).unwrap_or(u32::MAX);
    if count > MOST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it has too many"));
    }
    let mut at = number(file, TABLE_AT, 8)?;
    let mut tags = Vec::new();
    for _ in 0..count {
        let id = number(file, at.saturating_add(ID_LENGTH_AT), 2)?;
        let length = number(file, at.saturating_add(NAME_LENGTH_AT), 2)?;
        let extra = number(file, at.saturating_add(EXTRA_LENGTH_AT), 4)?;
        let begins = at.saturating_add(ENTRY_BYTES).saturating_add(extra).saturating_add(id);
        let mut tag = vec![0; usize::try_from(length).unwrap_or_default()];
        file.read_exact_at(&mut tag, begins)?;
        tags.push(String::from_utf8_lossy(&tag).into_owned());
        at = begins.saturating_add(length).checked_next_multiple_of(8).unwrap_or(u64::MAX);
    }
    Ok(tags)
}

/// A number of up to eight bytes, the most significant first.
fn number(file: &File, at: u64, bytes: usize) -> io::Result<u64> {
    let mut buffer = [0; 8];
    let Some(part) = buffer.get_mut(8 - bytes..) else { return Err(io::ErrorKind::InvalidInput.into()) };
    file.read_exact_at(part, at)?;
    Ok(u64::from_be_bytes(buffer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn disk_goes_back_to_what_was_kept_under_a_name_until_that_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let at = home.path();
        let tool = |program: &str, words: &[&str]| {
            let output = Command::new(program).args(words).current_dir(at).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        let write = |pattern: &str| {
            tool("qemu-io", &["-f", "qcow2", "-c", &format!("write -q -P {pattern} 0 64k"), "a"])
        };
        tool("qemu-img", &["create", "-q", "-f", "raw", "base", "1M"]);
        tool("qemu-img", &["create", "-q", "-f", "qcow2", "-b", "base", "-F", "raw", "a"]);
        let root = PoolRoot::open_at(at).unwrap();
        let programs = Programs::found(std::ffi::OsStr::new("/usr/bin"));
        let step = |step, tag| internal_snapshot(&root, "a", step, tag, &programs);
        let first_byte = || {
            tool("qemu-img", &["convert", "-f", "qcow2", "-O", "raw", "a", "flat"]);
            std::fs::read(at.join("flat")).unwrap()[0]
        };
        write("1");
        step(InternalStep::Take, "-d 'one'").unwrap();
        write("2");
        step(InternalStep::Take, "two").unwrap();
        assert_eq!(internal_snapshots(&root, "a").unwrap(), ["-d 'one'", "two"]);
        assert_eq!(step(InternalStep::Take, "two").unwrap_err().code(), "image.snapshot-exists");
        write("3");
        step(InternalStep::GoBack, "-d 'one'").unwrap();
        assert_eq!(first_byte(), 1);
        step(InternalStep::GoBack, "two").unwrap();
        assert_eq!(first_byte(), 2);
        step(InternalStep::Remove, "-d 'one'").unwrap();
        assert_eq!(internal_snapshots(&root, "a").unwrap(), ["two"]);
        let gone = step(InternalStep::GoBack, "-d 'one'").unwrap_err();
        assert_eq!((gone.kind, gone.code()), (ErrorKind::NotFound, "image.snapshot-not-found"));
    }

    #[test]
    fn table_that_leads_nowhere_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        let (count_at, table_at) = (usize::try_from(COUNT_AT).unwrap(), usize::try_from(TABLE_AT).unwrap());
        let mut header = vec![0; 80];
        header[count_at + 3] = 1;
        header[table_at] = 0xff;
        file.write_all_at(&header, 0).unwrap();
        read_tags(&file).unwrap_err();
        header[count_at] = 1;
        file.write_all_at(&header, 0).unwrap();
        assert_eq!(read_tags(&file).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
