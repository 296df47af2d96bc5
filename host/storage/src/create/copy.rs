//! Copying a volume, flattened: what is copied is what a guest would read.

use std::path::Path;

use hostler_domain::StorageName;
use hostler_domain::permissions::Permissions;
use hostler_domain::volume::Compat;
use hostler_image::Format;

use super::request::{require_listed, require_writable};
use super::{Draft, arguments, draft, qemu_img, source};
use crate::error::StorageError;
use crate::programs::Programs;

/// What is copied, and what it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloneRequest {
    /// Name of the volume that is copied.
    pub source: StorageName,
    /// Its format, declared: it decides what is read.
    pub source_format: Format,
    /// Name of the copy.
    pub name: StorageName,
    /// Format of the copy.
    pub format: Format,
    /// Level of qcow2; the newer when not given.
    pub compat: Option<Compat>,
    /// Who may use the copy.
    pub permissions: Permissions,
}

/// Makes the copy as a draft, finished and durable; the caller gives it its name. Everything below the source is copied
/// too, so the copy stands on nothing.
///
/// # Errors
/// As [`super::create_volume`]; what the rules for images refuse about the source.
pub fn clone_volume(
    draft: &Draft<'_>,
    request: &CloneRequest,
    programs: &Programs,
    progress: &mut dyn FnMut(f64),
) -> Result<(), StorageError> {
    let (from, to) = (request.source.as_str(), request.name.as_str());
    require_listed(to)?;
    if draft.root().has(to) {
        return Err(draft::exists(draft.root(), to));
    }
    let source = draft.root().path_of(from);
    let copy = Copied { format: request.format, compat: request.compat, compressed: false };
    copy_image(draft, (&source, request.source_format), &copy, programs, progress)
        .map_err(|error| error.about("volume", from))?;
    draft.give(&request.permissions)?;
    draft.finish()
}

/// What a copy is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its format.
    pub format: Format,
    /// Level of qcow2; the newer when not given.
    pub compat: Option<Compat>,
    /// Whether its clusters are compressed, for formats that can.
    pub compressed: bool,
}

/// Fills a draft with what a guest would read of the image at an absolute path, whose format is declared. What lies
/// below it is copied too. The caller makes the draft durable.
///
/// # Errors
/// [`crate::ErrorKind::Unsupported`] for a format that cannot be made; what the rules for images refuse about the source;
/// what qemu-img says.
pub fn copy_image(
    draft: &Draft<'_>,
    (source, format): (&Path, Format),
    copy: &Copied,
    programs: &Programs,
    progress: &mut dyn FnMut(f64),
) -> Result<(), StorageError> {
    require_writable(copy.format)?;
    let shown = source.display().to_string();
    let chain = source::resolve(draft.root(), source, format, &shown)?;
    let target = qemu_img::name_of(draft.file());
    let words = arguments::convert_arguments(&source::described(&chain)?, copy, &target);
    qemu_img::run(programs.qemu_img()?, &words, &format!("copy '{shown}'"), progress)
        .map_err(StorageError::in_a_draft)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::PoolRoot;
    use std::path::Path;
    use std::process::Command;

    fn qemu(program: &str, directory: &Path, arguments: &[&str]) {
        let output = Command::new(program).args(arguments).current_dir(directory).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    fn request(source: &str, source_format: Format, format: Format) -> CloneRequest {
        CloneRequest {
            source: StorageName::parse(source).unwrap(),
            source_format,
            name: StorageName::parse("copy").unwrap(),
            format,
            compat: None,
            permissions: Permissions::default(),
        }
    }

    fn copy(root: &PoolRoot, request: &CloneRequest) -> Result<usize, StorageError> {
        let programs = Programs::found(std::ffi::OsStr::new("/usr/bin"));
        let draft = Draft::begin(root, 4)?;
        let mut told = 0;
        clone_volume(&draft, request, &programs, &mut |_| told += 1)?;
        draft.publish("copy")?;
        Ok(told)
    }

    #[test]
    fn copy_has_the_content_of_the_whole_chain_and_stands_on_nothing() {
        let pool = tempfile::tempdir().unwrap();
        let root = PoolRoot::open_at(pool.path()).unwrap();
        qemu("qemu-img", pool.path(), &["create", "-q", "-f", "raw", "base", "8M"]);
        qemu("qemu-io", pool.path(), &["-f", "raw", "-c", "write -P 7 0 1M", "base"]);
        qemu("qemu-img", pool.path(), &["create", "-q", "-f", "qcow2", "-b", "base", "-F", "raw", "top"]);
        qemu("qemu-io", pool.path(), &["-f", "qcow2", "-c", "write -P 9 4M 1M", "top"]);
        let told = copy(&root, &request("top", Format::Qcow2, Format::Raw)).unwrap();
        let copied = std::fs::read(pool.path().join("copy")).unwrap();
        assert_eq!((copied.len(), copied[5], copied[4 << 20], copied[7 << 20]), (8 << 20, 7, 9, 0));
        assert!(told > 0, "progress is told");
        let again = copy(&root, &request("top", Format::Qcow2, Format::Qcow2)).unwrap_err();
        assert_eq!(again.code(), "volume.exists");
    }

    #[test]
    fn a_format_that_cannot_be_made_is_refused_before_anything_is_there() {
        let pool = tempfile::tempdir().unwrap();
        let root = PoolRoot::open_at(pool.path()).unwrap();
        qemu("qemu-img", pool.path(), &["create", "-q", "-f", "raw", "base", "1M"]);
        for format in [Format::Iso, Format::Dmg, Format::Cloop, Format::Bochs] {
            let refused = copy(&root, &request("base", Format::Raw, format)).unwrap_err();
            assert_eq!(refused.code(), "volume.format-unwritable", "{format}");
        }
        let hidden = CloneRequest {
            name: StorageName::parse(".hostler-7.part").unwrap(),
            ..request("base", Format::Raw, Format::Raw)
        };
        assert_eq!(copy(&root, &hidden).unwrap_err().code(), "volume.name");
        assert_eq!(std::fs::read_dir(pool.path()).unwrap().count(), 1, "nothing is left");
    }

    #[test]
    fn image_roots_count_here_as_at_a_start() {
        let (pool, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        qemu("qemu-img", elsewhere.path(), &["create", "-q", "-f", "raw", "base", "1M"]);
        let base = elsewhere.path().join("base");
        let base = base.to_str().unwrap();
        qemu("qemu-img", pool.path(), &["create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", "top"]);
        let root = PoolRoot::open_at(pool.path()).unwrap();
        let wanted = request("top", Format::Qcow2, Format::Raw);
        assert_eq!(copy(&root, &wanted).unwrap_err().code(), "image.reference-denied");
        let root = root.with_image_roots([&elsewhere.path().to_owned()]);
        copy(&root, &wanted).unwrap();
    }

    #[test]
    fn raw_source_is_data_and_a_name_in_it_is_not_followed() {
        let pool = tempfile::tempdir().unwrap();
        let root = PoolRoot::open_at(pool.path()).unwrap();
        let evil = ["create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", "evil", "1M"];
        qemu("qemu-img", pool.path(), &evil);
        let refused = copy(&root, &request("evil", Format::Qcow2, Format::Raw)).unwrap_err();
        assert_eq!(refused.code(), "image.reference-denied");
        assert_eq!(std::fs::read_dir(pool.path()).unwrap().count(), 1, "nothing is left");
        copy(&root, &request("evil", Format::Raw, Format::Raw)).unwrap();
        let (from, to) = (
            std::fs::read(pool.path().join("evil")).unwrap(),
            std::fs::read(pool.path().join("copy")).unwrap(),
        );
        assert_eq!(to.get(..from.len()), Some(from.as_slice()));
    }
}
