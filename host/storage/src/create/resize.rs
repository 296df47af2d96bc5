//! Changing the size of a volume in its place.

use std::fs::File;

use hostler_domain::Bytes;
use hostler_image::Format;

use super::make::{allocate, require_room};
use super::request::SECTOR;
use super::{arguments, qemu_img, source};
use crate::error::{ErrorKind, StorageError};
use crate::programs::Programs;
use crate::root::PoolRoot;

/// The size that is wanted, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// So large.
    To(u64),
    /// Larger by this.
    By(u64),
    /// Smaller by this.
    LessBy(u64),
}

/// How a volume is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResizeRequest {
    /// The size that is wanted.
    pub size: Resize,
    /// Its format, declared.
    pub format: Format,
    /// Whether it may become smaller, which takes what lies behind its new end.
    pub shrink: bool,
    /// Whether room for what is added is set aside at once.
    pub allocate: bool,
}

/// Resizes a volume; gives its sizes before and after, in bytes.
///
/// # Errors
/// [`ErrorKind::Invalid`] for a smaller size without leave, [`ErrorKind::Unsupported`] for a device,
/// [`ErrorKind::Full`]; what the rules for images and qemu-img say.
pub fn resize_volume(
    root: &PoolRoot,
    name: &str,
    request: &ResizeRequest,
    programs: &Programs,
) -> Result<(u64, u64), StorageError> {
    let file = root.open_volume(name, true)?;
    if !file.metadata().map_err(|error| StorageError::io("look at", name, error))?.is_file() {
        let message = format!("'{name}' is a device, whose size is not that of a file");
        return Err(StorageError::new(ErrorKind::Unsupported, "volume.resize-device", message)
            .about("volume", name)
            .hint("use the tools of what it lies on, such as lvresize"));
    }
    let chain = source::chain_of(root, name, request.format)?;
    let before = chain.layers.first().map_or(0, |layer| layer.header.virtual_size);
    let after = wanted(name, request, before)?;
    if request.allocate {
        require_room(root, name, after.saturating_sub(before))?;
    }
    if request.format == Format::Raw {
        raw(&file, name, before, after, request.allocate)?;
    } else {
        let (shrink, allocate) = (after < before, request.allocate && after > before);
        let words = arguments::resize_arguments(&source::described(&chain)?, after, shrink, allocate);
        qemu_img::run(programs.qemu_img()?, &words, &format!("resize the volume '{name}'"), &mut |_| {})
            .map_err(|error| error.about("volume", name))?;
    }
    file.sync_all().map_err(|error| StorageError::io("make durable", name, error))?;
    Ok((before, after))
}

/// The size in whole sectors.
fn wanted(name: &str, request: &ResizeRequest, before: u64) -> Result<u64, StorageError> {
    let invalid =
        |code, message: String| StorageError::new(ErrorKind::Invalid, code, message).about("volume", name);
    let exact = match request.size {
        Resize::To(size) => Some(size),
        Resize::By(more) => before.checked_add(more),
        Resize::LessBy(less) => before.checked_sub(less),
    };
    let after = exact
        .and_then(|size| size.div_ceil(SECTOR).checked_mul(SECTOR))
        .filter(|size| i64::try_from(*size).is_ok());
    let Some(after) = after else {
        return Err(invalid(
            "volume.size",
            format!("the volume '{name}' of {before} bytes cannot get such a size"),
        ));
    };
    if after < before && !request.shrink {
        let message = format!("the volume '{name}' has {}, and {} is less", Bytes(before), Bytes(after));
        return Err(invalid("volume.shrink", message)
            .hint("--shrink allows it; what lies behind the new end is lost"));
    }
    Ok(after)
}

fn raw(file: &File, name: &str, before: u64, after: u64, set_aside: bool) -> Result<(), StorageError> {
    let failed = |error| StorageError::io("resize the volume", name, error).about("volume", name);
    if set_aside && after > before {
        // Room first: without it the size stays as it was.
        if let Err(error) = allocate(file, before, after - before, &mut |_| {}) {
            file.set_len(before).map_err(failed)?;
            return Err(failed(error));
        }
    }
    file.set_len(after).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn request(size: Resize, format: Format) -> ResizeRequest {
        ResizeRequest { size, format, shrink: false, allocate: false }
    }

    fn pool(formats: &[&str]) -> (tempfile::TempDir, PoolRoot) {
        let pool = tempfile::tempdir().unwrap();
        for format in formats {
            let status = Command::new("qemu-img")
                .args(["create", "-q", "-f", format, format, "1M"])
                .current_dir(pool.path())
                .status()
                .unwrap();
            assert!(status.success());
        }
        let root = PoolRoot::open_at(pool.path()).unwrap();
        (pool, root)
    }

    #[test]
    fn sizes_change_in_whole_sectors_and_shrink_with_leave_only() {
        let (_pool, root) = pool(&["raw", "qcow2"]);
        let programs = Programs::found(std::ffi::OsStr::new("/usr/bin"));
        for (name, format) in [("raw", Format::Raw), ("qcow2", Format::Qcow2)] {
            let resize = |request: &ResizeRequest| resize_volume(&root, name, request, &programs);
            let (before, after) = resize(&request(Resize::By((1 << 20) - 5), format)).unwrap();
            assert_eq!((before, after), (1 << 20, 2 << 20), "{name}");
            let refused = resize(&request(Resize::To(4096), format)).unwrap_err();
            assert_eq!((refused.code(), refused.kind), ("volume.shrink", ErrorKind::Invalid));
            let smaller = ResizeRequest { shrink: true, ..request(Resize::LessBy(1 << 20), format) };
            assert_eq!(resize(&smaller).unwrap(), (2 << 20, 1 << 20));
            let set_aside = ResizeRequest { allocate: true, ..request(Resize::To(3 << 20), format) };
            assert_eq!(resize(&set_aside).unwrap().1, 3 << 20);
            assert_eq!(resize(&request(Resize::LessBy(u64::MAX), format)).unwrap_err().code(), "volume.size");
            assert_eq!(resize(&request(Resize::To(u64::MAX), format)).unwrap_err().code(), "volume.size");
        }
    }

    #[test]
    fn an_overlay_that_grows_over_a_larger_base_shows_nothing_of_it() {
        let (pool, root) = pool(&[]);
        std::fs::write(pool.path().join("base"), vec![7; 2 << 20]).unwrap();
        let run = |program: &str, arguments: &[&str]| {
            let status = Command::new(program).args(arguments).current_dir(pool.path()).status().unwrap();
            assert!(status.success());
        };
        run("qemu-img", &["create", "-q", "-f", "qcow2", "-b", "base", "-F", "raw", "top", "1M"]);
        let programs = Programs::found(std::ffi::OsStr::new("/usr/bin"));
        resize_volume(&root, "top", &request(Resize::To(2 << 20), Format::Qcow2), &programs).unwrap();
        run("qemu-img", &["convert", "-f", "qcow2", "-O", "raw", "top", "flat"]);
        let flat = std::fs::read(pool.path().join("flat")).unwrap();
        assert_eq!((flat[0], flat[(1 << 20) - 1], flat[1 << 20], flat[(2 << 20) - 1]), (7, 7, 0, 0));
    }

    #[test]
    fn declared_format_must_be_that_of_the_image() {
        let (_pool, root) = pool(&["raw"]);
        let programs = Programs::found(std::ffi::OsStr::new("/usr/bin"));
        let refused = resize_volume(&root, "raw", &request(Resize::To(1 << 30), Format::Qcow2), &programs);
        assert_eq!(refused.unwrap_err().code(), "image.malformed");
    }
}
