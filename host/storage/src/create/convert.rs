//! One image of a single file into another format, both by descriptor: no pool, no chain, no name.

use std::fs::File;
use std::path::Path;

use hostler_image::Format;

use super::copy::Copied;
use super::{arguments, qemu_img};
use crate::error::StorageError;
use crate::programs::Programs;

/// Fills `target` with what a guest would read of `source` alone. What the source names below it is not there; the
/// caller has made sure that its data is in the file itself.
///
/// # Errors
/// [`crate::ErrorKind::Conflict`] when something has the source open for writing; what qemu-img says.
pub fn convert_file(
    (source, from): (&File, Format),
    (target, to): (&File, Format),
    programs: &Programs,
) -> Result<(), StorageError> {
    let node = arguments::layer(from, &qemu_img::name_of(source), false, None);
    let copied = Copied { format: to, compat: None, compressed: false };
    let words = arguments::convert_arguments(&node, &copied, Path::new(&qemu_img::name_of(target)));
    qemu_img::run(programs.qemu_img()?, &words, "convert the image", &mut |_| {})
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt as _;
    use std::process::Command;

    #[test]
    fn content_survives_both_ways_and_a_name_in_the_header_is_not_followed() {
        let programs = Programs::found(std::ffi::OsStr::new("/usr/bin"));
        let home = tempfile::tempdir().unwrap();
        let (secret, top) = (home.path().join("secret"), home.path().join("top"));
        std::fs::write(&secret, [7; 1 << 16]).unwrap();
        let mut raw = vec![0xff; 1 << 16];
        raw[5] = 3;
        let [plain, wrapped, back] = [(); 3].map(|()| tempfile::tempfile().unwrap());
        plain.write_all_at(&raw, 0).unwrap();
        convert_file((&plain, Format::Raw), (&wrapped, Format::Qcow2), &programs).unwrap();
        convert_file((&wrapped, Format::Qcow2), (&back, Format::Raw), &programs).unwrap();
        let mut read = vec![0; 1 << 16];
        back.read_exact_at(&mut read, 0).unwrap();
        assert!(read == raw && back.metadata().unwrap().len() == 1 << 16);

        let made = Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
            .args([&secret, &top])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let target = tempfile::tempfile().unwrap();
        let source = File::open(&top).unwrap();
        convert_file((&source, Format::Qcow2), (&target, Format::Raw), &programs).unwrap();
        target.read_exact_at(&mut read, 0).unwrap();
        assert!(read.iter().all(|byte| *byte == 0), "nothing is below");
    }
}
