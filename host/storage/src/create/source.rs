//! The image that a volume is copied from, or stands on: its chain resolved under the rules of a start.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use hostler_image::{
    Below, Chain, ChainRequest, DeclaredLayer, FileKind, Format, ImagePath, OpenFailure, OpenRequest, Opened,
    Opener, Tail, Via, resolve_chain,
};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use serde_json::Value;

use super::arguments::layer;
use super::qemu_img::name_of;
use crate::error::StorageError;
use crate::image_file::opened_image;
use crate::root::PoolRoot;

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
    resolve_chain(&mut Files, request).map_err(refused)
}

/// A resolved chain as a source of qemu-img, each layer by its open file.
pub(crate) fn described(chain: &Chain<File>) -> Value {
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
    nodes.first_mut().and_then(Option::take).unwrap_or(Value::Null)
}

struct Files;

impl Opener for Files {
    type File = File;

    fn open(&mut self, request: &OpenRequest) -> Result<Opened<File>, OpenFailure> {
        let (directory, name) = match &request.via {
            Via::Declared => {
                (request.path.directory(), request.path.as_path().file_name().unwrap_or_default())
            }
            Via::Granted(grant) => (grant.directory.as_path(), grant.relative.as_os_str()),
        };
        let directory =
            rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                .map_err(io::Error::from)?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let file =
            rustix::fs::openat2(directory, name, flags, Mode::empty(), resolve).map_err(io::Error::from)?;
        Ok(opened_image(file.into())?)
    }

    fn read_at(&mut self, file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        file.read_at(buffer, offset)
    }
}
