//! Writing what an overlay holds into the image that it stands on.

use hostler_image::{Below, Format};

use super::{Progress, arguments, qemu_img, source};
use crate::error::{ErrorKind, StorageError};
use crate::programs::Programs;
use crate::root::PoolRoot;

/// Writes all that the image `name` holds into the one directly below it, which grows if it is the smaller one. The
/// overlay stays as it is, so that whoever reads it reads the same before, during and after this; stopped half-way it can
/// be begun again. What the image below held of its own is lost.
///
/// # Errors
/// What the rules for images refuse; [`ErrorKind::Invalid`] for an image that stands on nothing;
/// [`ErrorKind::Unsupported`] where the one below cannot be written in place; [`ErrorKind::Conflict`] while anybody has one
/// of them open; [`ErrorKind::Full`].
pub fn commit_image(
    root: &PoolRoot,
    name: &str,
    format: Format,
    programs: &Programs,
    progress: Progress<'_>,
) -> Result<(), StorageError> {
    let chain = source::chain_of(root, name, format)?;
    let below = chain.layers.first().map(|layer| layer.below);
    let Some(base) = below.and_then(|below| match below {
        Below::Layer(index) => chain.layers.get(index),
        Below::Nothing => None,
    }) else {
        let message = format!("'{name}' stands on nothing that it could be written into");
        return Err(StorageError::new(ErrorKind::Invalid, "image.no-backing", message).about("volume", name));
    };
    if !matches!(base.format, Format::Raw | Format::Qcow2) {
        let message = format!("an image of format '{}' is not written in place", base.format);
        return Err(StorageError::new(ErrorKind::Unsupported, "image.commit-format", message)
            .about("volume", name)
            .hint("raw and qcow2 images are"));
    }
    let words = arguments::commit_arguments(&source::described(&chain)?);
    qemu_img::run(programs.qemu_img()?, &words, &format!("write '{name}' into what it stands on"), progress)
        .map_err(|error| error.about("volume", name))?;
    base.file.sync_all().map_err(|error| StorageError::io("make durable", base.path.to_string(), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    fn tool(program: &str, directory: &Path, words: &str) {
        let output =
            Command::new(program).args(words.split_whitespace()).current_dir(directory).output().unwrap();
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn write(directory: &Path, format: &str, name: &str, pattern: &str, at: &str) {
        let output = Command::new("qemu-io")
            .args(["-f", format, "-c", &format!("write -q -P {pattern} {at} 64k"), name])
            .current_dir(directory)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn commit(directory: &Path, name: &str) -> Result<(), StorageError> {
        let root = PoolRoot::open_at(directory).unwrap();
        let programs = Programs::found(std::ffi::OsStr::new("/usr/bin"));
        commit_image(&root, name, Format::Qcow2, &programs, &mut |_| {})
    }

    #[test]
    fn image_below_gets_what_the_overlay_holds_and_the_overlay_reads_the_same() {
        let home = tempfile::tempdir().unwrap();
        let at = home.path();
        for (format, base) in [("raw", "base"), ("qcow2", "middle")] {
            tool("qemu-img", at, &format!("create -q -f {format} {base} 1M"));
            write(at, format, base, "1", "0");
            write(at, format, base, "1", "128k");
            tool("qemu-img", at, &format!("create -q -f qcow2 -b {base} -F {format} top-{base} 2M"));
            write(at, "qcow2", &format!("top-{base}"), "2", "0");
            commit(at, &format!("top-{base}")).unwrap();
            tool("qemu-img", at, &format!("convert -f {format} -O raw {base} flat"));
            let flat = std::fs::read(at.join("flat")).unwrap();
            assert_eq!((flat.len(), flat[0], flat[70_000], flat[140_000]), (2 << 20, 2, 0, 1), "{format}");
            tool("qemu-img", at, &format!("convert -f qcow2 -O raw top-{base} flat"));
            assert_eq!(std::fs::read(at.join("flat")).unwrap(), flat);
        }
    }

    #[test]
    fn what_stands_on_nothing_and_what_is_open_elsewhere_is_refused() {
        let home = tempfile::tempdir().unwrap();
        tool("qemu-img", home.path(), "create -q -f qcow2 alone 1M");
        assert_eq!(commit(home.path(), "alone").unwrap_err().code(), "image.no-backing");
        tool("qemu-img", home.path(), "create -q -f vdi odd 1M");
        tool("qemu-img", home.path(), "create -q -f qcow2 -b odd -F vdi top 1M");
        assert_eq!(commit(home.path(), "top").unwrap_err().code(), "image.commit-format");
    }
}
