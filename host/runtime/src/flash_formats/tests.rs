//! Tests with the installed qemu-img and the variable store of the installed firmware.

use std::path::Path;
use std::process::Command;

use super::*;

const TEMPLATE: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

fn formats() -> QemuFormats {
    QemuFormats::new(Programs::found(std::ffi::OsStr::new("/usr/bin")))
}

fn qemu_img(directory: &Path, arguments: &[&str]) {
    let made = Command::new("qemu-img").args(arguments).current_dir(directory).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn refusal(path: &Path) -> String {
    let failure = formats().content(&File::open(path).unwrap(), FlashFormat::Qcow2).unwrap_err();
    std::iter::successors(Some(failure.as_ref() as &dyn std::error::Error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[test]
fn store_of_the_firmware_survives_both_ways() {
    let raw = std::fs::read(TEMPLATE).unwrap();
    let image = formats().image(&raw, FlashFormat::Qcow2).unwrap();
    assert!(image.starts_with(b"QFI\xfb"));
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&image).unwrap();
    assert!(formats().content(&file, FlashFormat::Qcow2).unwrap() == raw);
    assert!(formats().image(&raw, FlashFormat::Raw).unwrap() == raw);
}

#[test]
fn image_that_is_more_than_one_file_or_none_at_all_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    std::fs::copy(TEMPLATE, at("raw")).unwrap();
    qemu_img(home.path(), &["create", "-q", "-f", "qcow2", "-b", "raw", "-F", "raw", "overlay"]);
    qemu_img(home.path(), &["create", "-q", "-f", "qcow2", "-o", "data_file=apart", "split", "1M"]);
    qemu_img(home.path(), &["create", "-q", "-f", "qcow2", "large", "65M"]);
    let secret = ["--object", "secret,id=s,data=x"];
    let locked = ["-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.hash-alg=sha512", "locked", "1M"];
    qemu_img(home.path(), &[["create", "-q"].as_slice(), &secret, &["-f", "qcow2"], &locked].concat());
    for (name, part) in [
        ("raw", "qcow2"),
        ("overlay", "stands on 'raw'"),
        ("split", "another file"),
        ("large", "large"),
        ("locked", "encrypted"),
    ] {
        let refusal = refusal(&at(name));
        assert!(refusal.contains(part), "{name}: {refusal}");
    }
}
