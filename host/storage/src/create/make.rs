//! Making a volume: raw ones and empty qcow2 images by this program, all others by qemu-img.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use hostler_domain::volume::Compat;
use hostler_domain::{Bytes, StorageName};
use hostler_image::{EmptyQcow2, Format, ImagePath, NewImage, shell_quote};
use rustix::fs::{FallocateFlags, IFlags};

use super::encryption::NewEncryption;
use super::request::{CreateRequest, Preallocation, SECTOR};
use super::{Draft, Progress, arguments, draft, qemu_img, source};
use crate::error::{ErrorKind, StorageError};
use crate::programs::Programs;
use crate::root::PoolRoot;

/// Bytes of a cluster of qcow2 where none are said, as for qemu-img.
const QCOW2_CLUSTER_BYTES: u64 = 64 << 10;
/// How often the making of an encrypted image is begun where the kernel has counted no processor time for the derivation of a
/// key: it counts in ticks, and QEMU gives up at the first that is missing.
const MEASURED_TIMES: u32 = 16;
/// Bytes of zeros that are written at once where a file system cannot set room aside.
const ZEROS: usize = 1 << 20;

/// Makes the volume as a draft, finished and durable; the caller gives it its name.
///
/// # Errors
/// [`ErrorKind::Exists`] when something has the name already, [`ErrorKind::Full`] when the room is not there, what the
/// request refuses, what qemu-img says. Nothing is left then.
pub fn create_volume(
    draft: &Draft<'_>,
    request: &CreateRequest,
    programs: &Programs,
    progress: &mut dyn FnMut(f64),
) -> Result<(), StorageError> {
    request.check()?;
    let name = request.name.as_str();
    if draft.root().has(name) {
        return Err(draft::exists(draft.root(), name));
    }
    let made = if request.format == Format::Raw && request.encryption.is_none() {
        raw(draft, request, progress)
    } else {
        formatted(draft, request, programs, progress)
    };
    made.map_err(StorageError::in_a_draft)?;
    draft.give(&request.permissions)?;
    draft.finish()
}

fn raw(draft: &Draft<'_>, request: &CreateRequest, progress: Progress<'_>) -> Result<(), StorageError> {
    let (name, file) = (request.name.as_str(), draft.file());
    let failed = |error| StorageError::io("make the volume", name, error).about("volume", name);
    let length = request.capacity.div_ceil(SECTOR).saturating_mul(SECTOR);
    let wanted = match (request.preallocation, request.allocation) {
        (Preallocation::Falloc, _) => length,
        (_, allocation) => allocation.unwrap_or(0).min(length),
    };
    require_room(draft.root(), name, wanted)?;
    if request.nocow {
        write_in_place(file).map_err(failed)?;
    }
    file.set_len(length).map_err(failed)?;
    allocate(file, 0, wanted, progress).map_err(failed)
}

/// Asks the file system to write an empty file in its place; one that never does otherwise need not be asked.
fn write_in_place(file: &File) -> io::Result<()> {
    let flags = rustix::fs::ioctl_getflags(file);
    let asked = flags.and_then(|flags| rustix::fs::ioctl_setflags(file, flags | IFlags::NOCOW));
    match asked {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOTTY | rustix::io::Errno::INVAL) => Ok(()),
        other => Ok(other?),
    }
}

/// Sets room aside from `offset` on; writes zeros where the file system cannot do it otherwise.
pub(crate) fn allocate(file: &File, offset: u64, length: u64, progress: Progress<'_>) -> io::Result<()> {
    if length == 0 {
        return Ok(());
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), offset, length) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
            write_zeros(file, offset, length, progress)
        }
        other => Ok(other?),
    }
}

fn write_zeros(mut file: &File, offset: u64, length: u64, progress: Progress<'_>) -> io::Result<()> {
    let zeros = vec![0; ZEROS];
    let mut left = length;
    file.seek(SeekFrom::Start(offset))?;
    while left > 0 {
        let count = usize::try_from(left).map_or(ZEROS, |left| left.min(ZEROS));
        file.write_all(zeros.get(..count).unwrap_or_default())?;
        left = left.saturating_sub(u64::try_from(count).unwrap_or(left));
        progress(fraction(length - left, length));
    }
    Ok(())
}

/// How much of the whole is done, from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "shown as a percentage")]
pub(crate) fn fraction(done: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { done as f64 / whole as f64 }
}

/// Refuses before the first byte what there is no room for.
pub(crate) fn require_room(root: &PoolRoot, name: &str, wanted: u64) -> Result<(), StorageError> {
    let stat = rustix::fs::fstatvfs(root.as_fd())
        .map_err(|error| StorageError::io("measure", root.path().display(), error.into()))?;
    let available = stat.f_bavail.saturating_mul(stat.f_frsize);
    if wanted <= available {
        return Ok(());
    }
    let message = format!(
        "the volume '{name}' needs {}, and '{}' has {} free",
        Bytes(wanted),
        root.path().display(),
        Bytes(available)
    );
    Err(StorageError::new(ErrorKind::Full, "storage.full", message)
        .about("volume", name)
        .hint("set less aside at once, free space, or use another pool"))
}

fn formatted(
    draft: &Draft<'_>,
    request: &CreateRequest,
    programs: &Programs,
    progress: Progress<'_>,
) -> Result<(), StorageError> {
    let name = request.name.as_str();
    let mut capacity = request.capacity;
    let mut recorded = None;
    if let Some(backing) = &request.backing {
        let (path, shown) = place(draft.root(), &backing.path, name)?;
        // Opened and checked as a start would, so that what is made can be started.
        let chain = source::resolve(draft.root(), path, backing.format, &shown)?;
        if capacity == 0 {
            capacity = chain.layers.first().map_or(0, |layer| layer.header.virtual_size);
        }
        recorded = Some((shown, backing.format));
    }
    if request.preallocation == Preallocation::Falloc {
        require_room(draft.root(), name, capacity)?;
    }
    let backing = recorded.as_ref().map(|(name, format)| (name.as_str(), *format));
    if let Some(image) = empty_qcow2(request, backing, capacity) {
        let failed = |error| StorageError::io("make the volume", name, error).about("volume", name);
        return write_new(draft.file(), &image).map_err(failed);
    }
    let target = qemu_img::name_of(draft.file());
    let key = request.encryption.as_ref().map(|encryption| key_of(encryption, name)).transpose()?;
    let words = match (&request.encryption, &key) {
        (Some(encryption), Some(key)) => {
            let places = (target.as_path(), &*qemu_img::name_of(key));
            arguments::create_encrypted_arguments(request, encryption, backing, capacity, places)
        }
        _ => arguments::create_arguments(request, backing, capacity, &target),
    };
    let what = format!("make the volume '{name}'");
    let mut made = qemu_img::run(programs.qemu_img()?, &words, &what, progress);
    for _ in 1..MEASURED_TIMES {
        match &made {
            Err(error) if error.code() == qemu_img::UNMEASURED => {}
            _ => break,
        }
        made = qemu_img::run(programs.qemu_img()?, &words, &what, progress);
    }
    made.map_err(|error| error.about("volume", name))
}

/// The passphrase of a new image, as qemu-img reads it.
fn key_of(encryption: &NewEncryption, name: &str) -> Result<OwnedFd, StorageError> {
    let Some(passphrase) = &encryption.passphrase else {
        let message =
            format!("the volume '{name}' is to be encrypted, and nobody has looked its passphrase up");
        return Err(
            StorageError::new(ErrorKind::Invalid, "volume.passphrase-missing", message).about("volume", name)
        );
    };
    passphrase.sealed().map_err(|error| StorageError::io("hand on the passphrase of", name, error))
}

/// A qcow2 image that sets nothing aside is a page of numbers, and a program for it takes longer than all the rest.
fn empty_qcow2(request: &CreateRequest, backing: Option<(&str, Format)>, capacity: u64) -> Option<NewImage> {
    let plain = request.preallocation == Preallocation::Off && !request.nocow && request.encryption.is_none();
    if request.format != Format::Qcow2 || !plain {
        return None;
    }
    let backing = match backing {
        Some((name, format)) => Some((name, format.qemu_name()?)),
        None => None,
    };
    EmptyQcow2 {
        size: arguments::whole_kib(capacity)?,
        cluster_size: request.cluster_size.unwrap_or(QCOW2_CLUSTER_BYTES),
        version3: request.compat != Some(Compat::V2),
        lazy_refcounts: request.lazy_refcounts,
        extended_l2: request.extended_l2,
        backing,
    }
    .image()
}

fn write_new(file: &File, image: &NewImage) -> io::Result<()> {
    file.set_len(image.length)?;
    image.parts.iter().try_for_each(|(offset, part)| file.write_all_at(part, *offset))
}

/// Where a backing image is, and the name that is recorded for it: that of a volume of the same pool by itself, so that
/// a pool can be moved. Refuses what the new image could not name at a start.
pub(super) fn place(root: &PoolRoot, path: &Path, overlay: &str) -> Result<(PathBuf, String), StorageError> {
    let (found, recorded) = placed(root, path, overlay)?;
    let refused = |error| StorageError::image(error, overlay);
    let naming = ImagePath::new(root.path_of(overlay)).map_err(refused)?;
    let target = ImagePath::new(found.as_path()).map_err(refused)?;
    if root.references().judge(&naming, &target).is_some() {
        return Ok((found, recorded));
    }
    let message = format!("a start would refuse '{overlay}': it may not name '{target}'");
    let directory = shell_quote(&target.directory().display().to_string());
    Err(StorageError::new(ErrorKind::Denied, "image.reference-denied", message)
        .about("volume", overlay)
        .about("path", target.to_string())
        .hint(format!("let images name it, here and at each start: --image-root {directory}"))
        .hint(format!("an image may name {}", root.references().describe())))
}

fn placed(root: &PoolRoot, path: &Path, overlay: &str) -> Result<(PathBuf, String), StorageError> {
    let relative = path.strip_prefix(root.path()).unwrap_or(path);
    let plain = relative.to_str().and_then(|name| StorageName::existing(name).ok());
    match plain {
        Some(name) => {
            // A colon makes a protocol of what stands before it.
            let recorded =
                if name.as_str().contains(':') { format!("./{name}") } else { name.as_str().to_owned() };
            Ok((root.path_of(name.as_str()), recorded))
        }
        None if path.is_absolute() => Ok((path.to_owned(), path.display().to_string())),
        None => {
            let message =
                format!("'{}' is neither a volume of the pool nor an absolute path", path.display());
            Err(StorageError::new(ErrorKind::Invalid, "volume.backing-path", message)
                .about("volume", overlay)
                .hint("name a volume of the same pool, or give the full path of the image"))
        }
    }
}

#[cfg(test)]
mod tests;
