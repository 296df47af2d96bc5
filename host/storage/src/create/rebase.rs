//! Changing what an image stands on.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use hostler_image::{Chain, Format};

use super::make::place;
use super::request::BackingRequest;
use super::{Progress, arguments, qemu_img, source};
use crate::error::{ErrorKind, StorageError};
use crate::image_file::opened_image;
use crate::programs::Programs;
use crate::root::PoolRoot;

/// Write permission of group and others, and the mark that entries of a directory belong to who made them.
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// How an image gets to stand on something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebaseRequest {
    /// The format of the image, declared.
    pub format: Format,
    /// What it stands on from now on; nothing when not given.
    pub onto: Option<BackingRequest>,
    /// Whether only the record is changed: right when what it stands on was moved or renamed, and ruinous when that has
    /// other content than before. Otherwise a guest reads the same as before, for which data is copied into the image.
    pub record_only: bool,
}

/// Changes what the image `name` stands on.
///
/// # Errors
/// What the rules for images refuse about it or about what it is to stand on; [`ErrorKind::Invalid`] for a circle or a
/// format that stands on nothing; [`ErrorKind::Denied`] where others could change names while data is copied.
pub fn rebase_image(
    root: &PoolRoot,
    name: &str,
    request: &RebaseRequest,
    programs: &Programs,
    progress: &mut dyn FnMut(f64),
) -> Result<(), StorageError> {
    if !request.format.can_have_backing() {
        let message = format!("'{name}' is of format '{}', which stands on nothing", request.format);
        return Err(StorageError::new(ErrorKind::Invalid, "volume.backing", message).about("volume", name));
    }
    // Before qemu-img opens it: it opens for writing whatever the header names besides what is below.
    let alone = source::alone(root, name, request.format)?;
    require_one_file(&alone, name)?;
    let recorded = match &request.onto {
        Some(onto) => Some((require_sound(root, name, onto)?, onto.format)),
        None => None,
    };
    let backing = recorded.as_ref().map(|(recorded, format)| (recorded.as_str(), *format));
    if request.record_only {
        let file = root.open_volume(name, true)?;
        let words = arguments::record_arguments(request.format, backing, &qemu_img::name_of(&file));
        run(programs, &words, name, progress)?;
        return file.sync_all().map_err(|error| StorageError::io("make durable", name, error));
    }
    let chain = source::chain_of(root, name, request.format)?;
    source::require_plain(&chain)?;
    require_places(&chain, name)?;
    let words = arguments::rebase_arguments(request.format, backing, &root.path_of(name));
    run(programs, &words, name, progress)?;
    let file = root.open_volume(name, false)?;
    file.sync_all().map_err(|error| StorageError::io("make durable", name, error))
}

fn run(
    programs: &Programs,
    words: &[String],
    name: &str,
    progress: Progress<'_>,
) -> Result<(), StorageError> {
    qemu_img::run(programs.qemu_img()?, words, &format!("rebase '{name}'"), progress)
        .map_err(|error| error.about("volume", name))
}

/// The name to record for a new base, which is resolved as a start would: sound, and not standing on the image.
fn require_sound(root: &PoolRoot, name: &str, onto: &BackingRequest) -> Result<String, StorageError> {
    let (path, recorded) = place(root, &onto.path, name)?;
    let chain = source::resolve(root, path, onto.format, &recorded)?;
    let file = root.open_volume(name, false)?;
    let own = opened_image(file).map_err(|error| StorageError::io("look at", name, error))?.identity;
    if chain.layers.iter().any(|layer| layer.identity == own) {
        let message = format!("'{recorded}' stands on '{name}' itself, so '{name}' cannot stand on it");
        return Err(StorageError::new(ErrorKind::Invalid, "image.loop", message).about("volume", name));
    }
    source::require_plain(&chain)?;
    require_places(&chain, name)?;
    Ok(recorded)
}

/// Refuses an image whose data lies in files that nobody checked, or in one that could be exchanged.
fn require_one_file(alone: &Chain<File>, name: &str) -> Result<(), StorageError> {
    for layer in &alone.layers {
        if !layer.header.extents.is_empty() {
            let message = format!("the data of '{name}' lies in other files, which are not checked");
            return Err(StorageError::new(ErrorKind::Unsupported, "image.extents", message)
                .about("volume", name)
                .hint("copy it into one file with 'hostler image convert', and change that"));
        }
        if let Some(data) = &layer.data_file {
            require_private(data.path.directory(), name)?;
        }
    }
    Ok(())
}

/// Each place of a file that qemu-img opens by its name.
fn require_places(chain: &Chain<File>, name: &str) -> Result<(), StorageError> {
    require_one_file(chain, name)?;
    chain.layers.iter().try_for_each(|layer| require_private(layer.path.directory(), name))
}

/// Refuses where others could put another file in the place of one that was checked, before qemu-img opens it by name.
fn require_private(directory: &Path, name: &str) -> Result<(), StorageError> {
    let own = rustix::process::geteuid().as_raw();
    for directory in directory.ancestors() {
        let facts = std::fs::metadata(directory)
            .map_err(|error| StorageError::io("look at", directory.display(), error))?;
        let shared = facts.mode() & OTHERS_WRITE != 0 && facts.mode() & STICKY == 0;
        if shared || (facts.uid() != 0 && facts.uid() != own) {
            let message = format!(
                "'{}' belongs to others or may be written by them, who could put another file in the place of one \
                 that was checked",
                directory.display()
            );
            return Err(StorageError::new(ErrorKind::Denied, "image.shared-directory", message)
                .about("volume", name)
                .hint("copy it with 'hostler image convert', which reads open files only, or run this as their owner"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    struct Pool {
        home: tempfile::TempDir,
        root: PoolRoot,
    }

    fn tool(program: &str, directory: &Path, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).current_dir(directory).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    impl Pool {
        /// `top` stands on `old`; `old` and `new` differ.
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            for (name, byte) in [("old", "1"), ("new", "2")] {
                tool("qemu-img", home.path(), &["create", "-q", "-f", "raw", name, "1M"]);
                let write = format!("write -q -P {byte} 0 64k");
                tool("qemu-io", home.path(), &["-f", "raw", "-c", &write, name]);
            }
            tool("qemu-img", home.path(), &["create", "-q", "-f", "qcow2", "-b", "old", "-F", "raw", "top"]);
            let root = PoolRoot::open_at(home.path()).unwrap();
            Self { home, root }
        }

        fn rebase(&self, onto: Option<&str>, record_only: bool) -> Result<(), StorageError> {
            let onto = onto.map(|name| BackingRequest { path: name.into(), format: Format::Raw });
            let request = RebaseRequest { format: Format::Qcow2, onto, record_only };
            let programs = Programs::found(std::ffi::OsStr::new("/usr/bin"));
            rebase_image(&self.root, "top", &request, &programs, &mut |_| {})
        }

        fn first_byte(&self) -> u8 {
            tool("qemu-img", self.home.path(), &["convert", "-f", "qcow2", "-O", "raw", "top", "flat"]);
            std::fs::read(self.home.path().join("flat")).unwrap()[0]
        }

        fn recorded(&self) -> Option<String> {
            let info = tool("qemu-img", self.home.path(), &["info", "-f", "qcow2", "--output=json", "top"]);
            let info: serde_json::Value = serde_json::from_str(&info).unwrap();
            info.get("backing-filename").map(|name| name.as_str().unwrap().to_owned())
        }
    }

    #[test]
    fn a_guest_reads_the_same_unless_only_the_record_changes() {
        let pool = Pool::new();
        pool.rebase(Some("new"), false).unwrap();
        assert_eq!((pool.recorded().as_deref(), pool.first_byte()), (Some("new"), 1));
        pool.rebase(None, false).unwrap();
        assert_eq!((pool.recorded(), pool.first_byte()), (None, 1));
        let other = Pool::new();
        other.rebase(Some("new"), true).unwrap();
        assert_eq!((other.recorded().as_deref(), other.first_byte()), (Some("new"), 2));
    }

    #[test]
    fn a_lost_base_is_recorded_anew() {
        let pool = Pool::new();
        std::fs::rename(pool.home.path().join("old"), pool.home.path().join("moved")).unwrap();
        assert_eq!(pool.rebase(Some("moved"), false).unwrap_err().code(), "image.missing");
        pool.rebase(Some("moved"), true).unwrap();
        assert_eq!(pool.first_byte(), 1);
    }

    #[test]
    fn a_data_file_that_no_rule_allows_is_never_opened() {
        let (pool, elsewhere) = (Pool::new(), tempfile::tempdir().unwrap());
        let victim = elsewhere.path().join("victim");
        let options = format!("data_file={}", victim.display());
        std::fs::remove_file(pool.home.path().join("top")).unwrap();
        let top = ["create", "-q", "-f", "qcow2", "-o", &options, "-b", "old", "-F", "raw", "top"];
        tool("qemu-img", pool.home.path(), &top);
        // What qemu-img cannot open it complains about: that nothing is there shows that it was not run.
        std::fs::remove_file(&victim).unwrap();
        for record_only in [true, false] {
            let refused = pool.rebase(Some("new"), record_only).unwrap_err();
            assert_eq!((refused.kind, refused.code()), (ErrorKind::Denied, "image.reference-denied"));
        }
        std::fs::write(&victim, vec![0; 1 << 20]).unwrap();
        set_permissions(elsewhere.path(), Permissions::from_mode(0o777)).unwrap();
        let shared = Pool {
            root: PoolRoot::open_at(pool.home.path())
                .unwrap()
                .with_image_roots([&elsewhere.path().to_owned()]),
            ..pool
        };
        for record_only in [true, false] {
            let refused = shared.rebase(Some("new"), record_only).unwrap_err();
            assert_eq!(refused.code(), "image.shared-directory", "{record_only}");
        }
        set_permissions(elsewhere.path(), Permissions::from_mode(0o700)).unwrap();
        shared.rebase(Some("new"), true).unwrap();
        assert_eq!(shared.recorded().as_deref(), Some("new"));
    }

    #[test]
    fn a_base_that_the_image_could_not_name_at_a_start_is_refused() {
        let (pool, elsewhere) = (Pool::new(), tempfile::tempdir().unwrap());
        let base = elsewhere.path().join("base");
        std::fs::write(&base, vec![0; 1 << 20]).unwrap();
        for record_only in [true, false] {
            let refused = pool.rebase(base.to_str(), record_only).unwrap_err();
            assert_eq!((refused.kind, refused.code()), (ErrorKind::Denied, "image.reference-denied"));
        }
        assert_eq!(pool.recorded().as_deref(), Some("old"));
    }

    #[test]
    fn circles_missing_bases_and_shared_directories_are_refused() {
        let pool = Pool::new();
        let over = ["create", "-q", "-f", "qcow2", "-b", "top", "-F", "qcow2", "over"];
        tool("qemu-img", pool.home.path(), &over);
        let onto = Some(BackingRequest { path: "over".into(), format: Format::Qcow2 });
        let request = RebaseRequest { format: Format::Qcow2, onto, record_only: true };
        let programs = Programs::default();
        let circle = rebase_image(&pool.root, "top", &request, &programs, &mut |_| {}).unwrap_err();
        assert_eq!(circle.code(), "image.loop");
        assert_eq!(pool.rebase(Some("gone"), true).unwrap_err().code(), "image.missing");
        set_permissions(pool.home.path(), Permissions::from_mode(0o777)).unwrap();
        assert_eq!(pool.rebase(Some("new"), false).unwrap_err().code(), "image.shared-directory");
        assert_eq!(pool.recorded().as_deref(), Some("old"), "nothing was changed");
    }
}
