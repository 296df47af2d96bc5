//! The image that a volume is copied from, or stands on: its chain resolved under the rules of a start.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::path::{Path, PathBuf};

use hostler_image::{
    Below, Chain, ChainRequest, DeclaredLayer, FileKind, Format, ImagePath, OpenFailure, OpenRequest, Opened,
    Opener, Tail, Via, resolve_chain,
};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use serde_json::Value;

use super::arguments::layer;
use super::qemu_img::name_of;
use crate::error::{ErrorKind, StorageError};
use crate::image_file::opened_image;
use crate::reach::Reach;
use crate::root::{ALWAYS, DEV, PoolRoot, STRICT};

/// The chain of a volume of this pool, opened for reading.
pub(crate) fn chain_of(root: &PoolRoot, name: &str, format: Format) -> Result<Chain<File>, StorageError> {
    resolve(root, root.path_of(name), format, name)
}

/// One volume of this pool as a chain of its own, opened for reading: what it records below it is not looked at.
pub(crate) fn alone(root: &PoolRoot, name: &str, format: Format) -> Result<Chain<File>, StorageError> {
    walked(root, (root.path_of(name), format), Tail::Nothing, name)
}

/// The chain of an image by its absolute path, under the rules of this pool for what an image may name.
pub(crate) fn resolve(
    root: &PoolRoot,
    path: impl Into<PathBuf>,
    format: Format,
    shown: &str,
) -> Result<Chain<File>, StorageError> {
    walked(root, (path.into(), format), Tail::FollowHeaders, shown)
}

fn walked(
    root: &PoolRoot,
    (path, format): (PathBuf, Format),
    tail: Tail,
    shown: &str,
) -> Result<Chain<File>, StorageError> {
    let refused = |error| StorageError::image(error, shown);
    let path = ImagePath::new(path).map_err(refused)?;
    let request = ChainRequest {
        read_only: true,
        tail,
        policy: root.references().clone(),
        ..ChainRequest::new(DeclaredLayer::new(path, Some(format)))
    };
    resolve_chain(&mut Files(root.reach()), request).map_err(refused)
}

/// Refuses what qemu-img would need a passphrase for: it is told none.
///
/// # Errors
/// [`ErrorKind::Unsupported`], naming the image.
pub(crate) fn require_plain(chain: &Chain<File>) -> Result<(), StorageError> {
    let Some(layer) = chain.layers.iter().find(|layer| layer.header.encryption.is_some()) else {
        return Ok(());
    };
    let path = layer.path.to_string();
    let message = format!("the image '{path}' is encrypted, and this version does that to plain images only");
    Err(StorageError::new(ErrorKind::Unsupported, "image.encrypted", message)
        .about("path", path)
        .hint("copy from disk to disk inside a guest that has the secret of one, or of both"))
}

/// A resolved chain as a source of qemu-img, each layer by its open file.
///
/// # Errors
/// As [`require_plain`].
pub(crate) fn described(chain: &Chain<File>) -> Result<Value, StorageError> {
    require_plain(chain)?;
    // From the bottom up; a walk never meets a layer twice.
    let mut nodes: Vec<Option<Value>> = vec![None; chain.layers.len()];
    for (index, image) in chain.layers.iter().enumerate().rev() {
        let below = match image.below {
            Below::Layer(below) => nodes.get_mut(below).and_then(Option::take),
            Below::Nothing => None,
        };
        let device = image.kind == FileKind::BlockDevice;
        if let Some(node) = nodes.get_mut(index) {
            let mut described = layer(image.format, &name_of(&image.file), device, below);
            if let (Some(members), Some(data)) = (described.as_object_mut(), &image.data_file) {
                let device = data.kind == FileKind::BlockDevice;
                members
                    .insert("data-file".to_owned(), layer(Format::Raw, &name_of(&data.file), device, None));
            }
            *node = Some(described);
        }
    }
    Ok(nodes.first_mut().and_then(Option::take).unwrap_or(Value::Null))
}

/// Links are followed as long as they stay beneath the directory.
const WITHIN: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

fn open_below(directory: &Path, name: &Path, resolve: ResolveFlags) -> io::Result<File> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(directory, flags, Mode::empty())?;
    Ok(rustix::fs::openat2(directory, name, OFlags::RDONLY | ALWAYS, Mode::empty(), resolve)?.into())
}

/// A block device by one of its names beneath `devices`; nothing for what is none.
fn device(devices: &Path, path: &Path) -> io::Result<Option<File>> {
    let Ok(name) = path.strip_prefix(devices) else { return Ok(None) };
    // Looked at before it is opened: opening other devices can do things.
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let directory = rustix::fs::open(devices, flags | OFlags::DIRECTORY, Mode::empty())?;
    let looked = File::from(rustix::fs::openat2(directory, name, flags, Mode::empty(), WITHIN)?);
    if !looked.metadata()?.file_type().is_block_device() {
        return Ok(None);
    }
    open_below(devices, name, WITHIN).map(Some)
}

/// Opens what a chain names, where images may lie.
struct Files<'a>(&'a Reach);

impl Opener for Files<'_> {
    type File = File;

    fn open(&mut self, request: &OpenRequest) -> Result<Opened<File>, OpenFailure> {
        let path = request.path.as_path();
        let file = match &request.via {
            Via::Granted(grant) => open_below(&grant.directory, &grant.relative, STRICT)?,
            Via::Declared if self.0.roots().is_some() => self.0.open(path, OFlags::RDONLY)?.into(),
            Via::Declared => match device(Path::new(DEV), path)? {
                Some(device) => device,
                None => {
                    let name = path.file_name().unwrap_or_default();
                    open_below(request.path.directory(), Path::new(name), STRICT)?
                }
            },
        };
        Ok(opened_image(file)?)
    }

    fn read_at(&mut self, file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        file.read_at(buffer, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn names_of_devices_are_followed_within_and_other_links_are_not() {
        let (devices, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| devices.path().join(name);
        std::fs::create_dir(at("vg")).unwrap();
        std::fs::write(at("dm-0"), "0").unwrap();
        std::fs::write(elsewhere.path().join("victim"), "v").unwrap();
        symlink("../dm-0", at("vg/lv")).unwrap();
        symlink(elsewhere.path().join("victim"), at("vg/out")).unwrap();
        open_below(devices.path(), Path::new("vg/lv"), WITHIN).unwrap();
        open_below(devices.path(), Path::new("vg/lv"), STRICT).unwrap_err();
        assert!(device(devices.path(), &at("vg/lv")).unwrap().is_none(), "a file is no device");
        assert!(device(devices.path(), &elsewhere.path().join("victim")).unwrap().is_none());
        assert!(device(Path::new(DEV), Path::new("/dev/null")).unwrap().is_none());
        for path in [at("vg/out"), at("../x"), at("vg/gone")] {
            device(devices.path(), &path).unwrap_err();
        }
    }
}
