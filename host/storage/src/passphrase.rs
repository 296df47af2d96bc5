//! Passphrases of encrypted images, and how a program is given one.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fchmod, fcntl_add_seals, memfd_create, open};
use zeroize::Zeroizing;

/// A passphrase: text, in memory that is overwritten when nobody needs it any more, and that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

impl Passphrase {
    /// Takes the value of a secret; none when it is empty, or no text in UTF-8 without NUL: what QEMU would refuse, or read
    /// up to its first NUL only.
    #[must_use]
    pub fn new(value: Zeroizing<Vec<u8>>) -> Option<Self> {
        let is_text = !value.is_empty() && !value.contains(&0) && std::str::from_utf8(&value).is_ok();
        is_text.then_some(Self(value))
    }

    /// The passphrase as a program reads it: a file that is in no directory and that nobody can change, open for reading.
    ///
    /// # Errors
    /// There is no memory for it, or no descriptor.
    pub fn sealed(&self) -> io::Result<OwnedFd> {
        let fd = memfd_create(c"hostler-secret", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        // A program has a user of its own; nobody else has a name by which to open it.
        fchmod(&fd, Mode::RUSR | Mode::RGRP | Mode::ROTH)?;
        let mut file = File::from(fd);
        file.write_all(&self.0)?;
        fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        let name = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(open(name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn passphrase(bytes: &[u8]) -> Option<Passphrase> {
        Passphrase::new(Zeroizing::new(bytes.to_vec()))
    }

    #[test]
    fn what_a_program_is_given_can_be_read_and_by_nobody_changed() {
        let passphrase = passphrase("open sesame ß".as_bytes()).unwrap();
        assert_eq!(format!("{passphrase:?}"), "Passphrase");
        let sealed = File::from(passphrase.sealed().unwrap());
        let name = format!("/proc/self/fd/{}", sealed.as_raw_fd());
        let written = File::options().write(true).open(name).and_then(|mut file| file.write_all(b"x"));
        assert!(written.is_err());
        let mut text = String::new();
        (&sealed).read_to_string(&mut text).unwrap();
        assert_eq!(text, "open sesame ß");
    }

    #[test]
    fn what_is_no_text_is_no_passphrase() {
        for bytes in [&b""[..], b"a\0b", b"\xff\xfe"] {
            assert_eq!(passphrase(bytes), None, "{bytes:?}");
        }
    }
}
