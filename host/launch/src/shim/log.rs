//! Logs that cannot fill a disk: rolled over at a size, one previous kept.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// A log file of bounded size.
#[derive(Debug)]
pub(crate) struct RollingLog {
    path: PathBuf,
    file: File,
    size: u64,
    max: u64,
    /// Bytes taken since it was opened, written or not.
    taken: u64,
}

impl RollingLog {
    /// Opens the log to add to it.
    pub(crate) fn open(path: PathBuf, max: u64) -> io::Result<Self> {
        let file = open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size, max, taken: 0 })
    }

    /// Adds bytes. What cannot be written (a full disk) is left out: the guest must not notice.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.taken += bytes.len() as u64;
        if self.size.saturating_add(bytes.len() as u64) > self.max && self.size > 0 {
            self.roll();
        }
        if self.file.write_all(bytes).is_ok() {
            self.size += bytes.len() as u64;
        }
    }

    /// How many bytes were given to it.
    pub(crate) fn written(&self) -> u64 {
        self.taken
    }

    fn roll(&mut self) {
        let mut previous = self.path.clone().into_os_string();
        previous.push(".1");
        if std::fs::rename(&self.path, previous).is_ok()
            && let Ok(file) = open(&self.path)
        {
            (self.file, self.size) = (file, 0);
        }
    }
}

fn open(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// The last bytes of a stream.
#[derive(Debug)]
pub(crate) struct Tail {
    bytes: VecDeque<u8>,
    max: usize,
}

impl Tail {
    pub(crate) fn new(max: usize) -> Self {
        Self { bytes: VecDeque::new(), max }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let bytes = bytes.get(bytes.len().saturating_sub(self.max)..).unwrap_or_default();
        let excess = (self.bytes.len() + bytes.len()).saturating_sub(self.max);
        self.bytes.drain(..excess);
        self.bytes.extend(bytes);
    }

    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.bytes.iter().copied().collect()
    }

    /// As text: what is not UTF-8 is replaced.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.to_vec()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_rolls_over_and_keeps_one_previous() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut log = RollingLog::open(path.clone(), 10).unwrap();
        for text in ["123456", "abcdef", "ABCDEF"] {
            log.write(text.as_bytes());
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "ABCDEF");
        assert_eq!(std::fs::read_to_string(directory.path().join("log.1")).unwrap(), "abcdef");
        let mut again = RollingLog::open(path.clone(), 10).unwrap();
        again.write(b"12345");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "12345");
    }

    #[test]
    fn tail_keeps_the_end() {
        let mut tail = Tail::new(4);
        tail.push(b"ab");
        tail.push(b"cde");
        assert_eq!(tail.text(), "bcde");
        tail.push(b"0123456789");
        assert_eq!(tail.text(), "6789");
    }
}
