//! Files of keys and signatures, for authors: a private key that only its owner can read, signatures beside a driver.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hostler_grant::{PrivateKey, Signatures};

use crate::error::{Kind, PackageError};
use crate::file::{self, Wanted};
use crate::package::{Package, beside};

/// What is added to the name of a private key's file for its public key.
const PUBLIC_ENDING: &str = ".pub";
/// A private key, as it is read: 61 bytes and what an editor may add.
const KEY: Wanted = Wanted { what: "key", limit: 256 };
/// Permission bits that let others read or change the key.
const OTHERS: u32 = 0o077;
/// Bytes of a seed.
const SEED_BYTES: usize = 32;

/// Makes a key pair: the private key in a new file (mode 0600), the public one beside it as `FILE.pub`.
///
/// # Errors
/// [`Kind::Key`] when one of the files is there already, [`Kind::Io`].
pub fn generate(path: &Path) -> Result<PrivateKey, PackageError> {
    let mut seed = [0; SEED_BYTES];
    let random = Path::new("/dev/urandom");
    File::open(random)
        .and_then(|mut source| source.read_exact(&mut seed))
        .map_err(|error| PackageError::io("read", random, error))?;
    let key = PrivateKey::from_seed(&seed);
    write_new(path, 0o600, &key.text())?;
    write_new(&public_path(path), 0o644, &format!("{}\n", key.public()))?;
    Ok(key)
}

/// Where the public key of a private key's file is.
#[must_use]
pub fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PUBLIC_ENDING);
    name.into()
}

/// Reads a private key that nobody else can read.
///
/// # Errors
/// [`Kind::Key`] when others may read it or it holds no key, and as every file.
pub fn read(path: &Path) -> Result<PrivateKey, PackageError> {
    let bytes = file::read(path, KEY)?;
    let metadata =
        std::fs::metadata(path).map_err(|error| PackageError::io("look at the key", path, error))?;
    if metadata.mode() & OTHERS != 0 {
        let mode = metadata.mode() & 0o777;
        let message = format!("others may read the private key '{}' (mode {mode:04o})", path.display());
        return Err(PackageError::new(Kind::Key, message).hint(format!(
            "if nobody has read it: chmod 600 '{}'; otherwise make a new key",
            path.display()
        )));
    }
    let text = String::from_utf8(bytes).unwrap_or_default();
    PrivateKey::parse(&text).map_err(|error| PackageError::from(error).within(path))
}

/// Signs a component's file: adds the key's signature to those beside it. Gives the file of signatures.
///
/// # Errors
/// What is wrong with the component, with the signatures that are there, or [`Kind::Io`].
pub fn sign(component: &Path, key: &PrivateKey) -> Result<PathBuf, PackageError> {
    let package = Package::from_file(component)?;
    let manifest = package.judge().into_manifest().map_err(|error| error.within(component))?;
    let mut signatures: Signatures = package.signatures()?;
    signatures.add(key.sign(&manifest, &package.digest));
    let path = beside(component);
    replace(&path, &signatures.text())?;
    Ok(path)
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), PackageError> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => PackageError::new(
            Kind::Key,
            format!("'{}' is there already; a key is never overwritten", path.display()),
        )
        .hint("name another file"),
        _ => PackageError::io("write", path, error),
    })
}

/// Whole or not at all: a torn text of signatures would make the driver one that is refused.
fn replace(path: &Path, text: &str) -> Result<(), PackageError> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".draft-{}", std::process::id()));
    let draft = PathBuf::from(draft);
    let written =
        OpenOptions::new().write(true).create_new(true).mode(0o644).open(&draft).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&draft, path)
        });
    written.map_err(|error| {
        // Only tidiness: the draft is never read.
        std::fs::remove_file(&draft).ok();
        PackageError::io("write the signatures", path, error)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::judgement::samples;

    #[test]
    fn made_key_is_private_and_never_overwritten() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("key");
        let made = generate(&path).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path) & OTHERS, 0);
        assert_eq!(read(&path).unwrap().public(), made.public());
        let public = std::fs::read_to_string(public_path(&path)).unwrap();
        assert_eq!(public.trim_end(), made.public().to_string());
        assert_eq!(generate(&path).err().unwrap().kind, Kind::Key);
        assert_eq!(read(&path).unwrap().public(), made.public());
    }

    #[test]
    fn key_that_others_may_read_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("key");
        generate(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = read(&path).err().unwrap();
        assert_eq!(error.kind, Kind::Key);
        assert!(error.hints[0].contains("chmod 600"), "{error:?}");
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("key");
        write_new(&path, 0o600, "secret of another kind").unwrap();
        let error = read(&path).err().unwrap();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert_eq!(read(place.path()).err().unwrap().kind, Kind::NotAFile);
    }

    #[test]
    fn signing_adds_to_the_signatures_that_are_there() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("acme.wasm");
        std::fs::write(&path, samples::driver("acme", "1.0")).unwrap();
        let keys = ["a", "b"].map(|name| generate(&place.path().join(name)).unwrap());
        for key in [&keys[0], &keys[1], &keys[0]] {
            sign(&path, key).unwrap();
        }
        let package = Package::open(&path, None).unwrap();
        let signatures = package.signatures().unwrap();
        assert_eq!(signatures.iter().count(), 2);
        assert!(signatures.iter().all(|one| one.is_over("acme", "1.0", &package.digest)));
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 6, "no drafts stay");
    }

    #[test]
    fn what_is_no_driver_is_not_signed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.wasm");
        std::fs::write(&path, "#!/bin/sh").unwrap();
        let key = generate(&place.path().join("key")).unwrap();
        assert_eq!(sign(&path, &key).unwrap_err().kind, Kind::Component);
    }
}
