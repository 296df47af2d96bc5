//! An opener over the real file system, with the rules that the trait asks for.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use hostler_image::{
    Access, Chain, ChainRequest, DeclaredLayer, FileKind, Format, Identity, ImageError, ImagePath,
    OpenFailure, OpenRequest, Opened, Opener, READ_BUDGET, ReferencePolicy, Via, resolve_chain,
};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};

/// Opens real files and keeps count of what it was asked for.
#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) opened: Vec<PathBuf>,
    pub(crate) bytes_read: u64,
}

impl Opener for Disk {
    type File = File;

    fn open(&mut self, request: &OpenRequest) -> Result<Opened<File>, OpenFailure> {
        self.opened.push(request.path.as_path().to_path_buf());
        let flags = OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let flags = flags | if request.access == Access::ReadWrite { OFlags::RDWR } else { OFlags::RDONLY };
        let opened = match &request.via {
            Via::Declared => openat(CWD, request.path.as_path(), flags, Mode::empty()),
            Via::Granted(grant) => {
                let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let root =
                    openat(CWD, &grant.directory, directory, Mode::empty()).map_err(io::Error::from)?;
                let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
                openat2(root, &grant.relative, flags, Mode::empty(), beneath)
            }
        };
        let file = File::from(opened.map_err(io::Error::from)?);
        let facts = file.metadata()?;
        let kind = match facts.file_type() {
            kind if kind.is_file() => FileKind::Regular,
            kind if kind.is_dir() => FileKind::Directory,
            kind if kind.is_block_device() => FileKind::BlockDevice,
            _ => FileKind::Other,
        };
        let identity = Identity::File { device: facts.dev(), inode: facts.ino() };
        Ok(Opened { file, identity, kind, length: facts.len(), physical_bytes: facts.blocks() * 512 })
    }

    fn read_at(&mut self, file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let count = file.read_at(buffer, offset)?;
        self.bytes_read += count as u64;
        Ok(count)
    }
}

/// Resolves a chain whose active layer has the given format, and checks the bound on reading.
pub(crate) fn resolve(
    top: &Path,
    format: Format,
    policy: ReferencePolicy,
) -> Result<Chain<File>, ImageError> {
    let mut request = ChainRequest::new(DeclaredLayer::new(ImagePath::new(top).unwrap(), Some(format)));
    request.policy = policy;
    request.read_only = true;
    let mut disk = Disk::default();
    let result = resolve_chain(&mut disk, request);
    let layers = disk.opened.len() as u64;
    assert!(disk.bytes_read <= READ_BUDGET * layers, "{} bytes of {layers} files", disk.bytes_read);
    result
}

/// Runs qemu-img in a directory; it is a prerequisite of the project's tests.
pub(crate) fn qemu_img(directory: &Path, arguments: &[&str]) {
    let output = Command::new("qemu-img")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("qemu-img is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The shared data, or `None` with a line that says so where only this repository was cloned.
pub(crate) fn shared(part: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(part);
    if path.exists() {
        return Some(path.canonicalize().unwrap());
    }
    say(&format!("SKIPPED: {} is absent", path.display()));
    None
}

/// A line for whoever reads the test's output.
#[expect(clippy::print_stderr, reason = "a skipped test and the figures of a corpus must be visible")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}
