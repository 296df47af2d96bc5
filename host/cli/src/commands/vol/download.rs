//! `hostler vol download`: writes a volume to a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use hostler_domains::Window;
use serde_json::json;

use super::VolumeTarget;
use crate::commands::{size, view};
use crate::failure::{Failure, Stop};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Write a volume to a file
///
/// The bytes are those of the volume: of a qcow2 volume, the qcow2 image. A file that is there already is
/// not overwritten, and one that could not be finished does not stay.
#[derive(Debug, Args)]
pub(super) struct Download {
    #[command(flatten)]
    target: VolumeTarget,
    /// New file; '-' writes standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where in the volume to begin
    #[arg(long, value_name = "SIZE", value_parser = size::parse, default_value = "0")]
    offset: u64,
    /// How much to read
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    length: Option<u64>,
}

impl Download {
    /// Writes it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let to_stdout = self.file == Path::new("-");
        let file = if to_stdout { None } else { Some(new_file(&self.file)?) };
        let to: Box<dyn Write + Send> = match &file {
            Some(file) => Box::new(file.try_clone().map_err(|error| unfinished(&self.file, &error))?),
            None => session.output().streams().output(),
        };
        let window = Window { offset: self.offset, length: self.length };
        let progress = session.output().progress(&format!("reading '{}'", self.target.volume));
        let moved = session.block_on(async {
            let host = session.reader().await?;
            let (pool, volume) = (self.target.pool(), &self.target.volume);
            Ok(host.vol_download(&pool, volume, to, window, progress.teller()).await?)
        });
        drop(progress);
        let moved: Result<_, Stop> = moved.and_then(|moved| match &file {
            Some(file) => make_durable(file, &self.file).map(|()| moved),
            None => Ok(moved),
        });
        if moved.is_err()
            && !to_stdout
            && let Err(error) = std::fs::remove_file(&self.file)
        {
            session.output().warning(&format!("'{}' stays unfinished: {error}", self.file.display()));
        }
        let moved = moved?;
        if to_stdout {
            return Ok(Reply::streamed());
        }
        let line = format!("{} written to '{}'", quantity::size(moved.bytes), self.file.display());
        let json = json!({"moved": view::to_json(&moved)?, "file": self.file});
        Ok(Reply::confirmation(json, vec![Block::Line(line)]))
    }
}

/// What was acknowledged is there after a power cut: the bytes, and the name in its directory.
fn make_durable(file: &File, path: &Path) -> Result<(), Stop> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = file.sync_all().and_then(|()| File::open(directory)?.sync_all());
    synced.map_err(|error| unfinished(path, &error))
}

fn unfinished(path: &Path, error: &io::Error) -> Stop {
    Failure::io(format!("make '{}' durable", path.display()), error).about("path", path.display()).into()
}

fn new_file(path: &Path) -> Result<File, Stop> {
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    opened.map_err(|error| {
        let failure = Failure::io(format!("make '{}'", path.display()), &error).about("path", path.display());
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                failure.users().hint("name a new file, or move the one that is there away", None).into()
            }
            _ => Stop::from(failure),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_made_durable_and_what_cannot_be_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new");
        let file = new_file(&path).unwrap();
        assert!(make_durable(&file, &path).is_ok());
        let (_reader, writer) = io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(writer));
        assert!(make_durable(&pipe, &path).is_err(), "a pipe is never on a disk");
        assert!(make_durable(&file, &directory.path().join("gone/new")).is_err());
    }
}
