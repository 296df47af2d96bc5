//! Images of other programs' formats, as qemu-img makes them.

use std::fs;
use std::path::Path;
use std::process::Command;

use hostler_image::{Assessed, Declared, Format, READ_BUDGET, ReferencePolicy, Verdict};
use serde_json::Value;
use tempfile::TempDir;

use crate::disk::{qemu_img, resolve};
use crate::hostile::assessed;

/// Format in QEMU's words and options: what its images may be used for, as images that stand alone.
const KINDS: [(&str, &str); 11] = [
    ("vmdk", "subformat=monolithicSparse"),
    ("vmdk", "subformat=streamOptimized"),
    ("vpc", "subformat=dynamic"),
    ("vpc", "subformat=dynamic,force_size=on"),
    ("vpc", "subformat=fixed"),
    ("vpc", "subformat=fixed,force_size=on"),
    ("vhdx", "subformat=dynamic"),
    ("vhdx", "subformat=dynamic,block_size=1M,log_size=2M"),
    ("vhdx", "subformat=fixed"),
    ("vdi", "static=off"),
    ("vdi", "static=on"),
];

/// A disk with data in places, so that tables have entries; its size is a multiple of nothing in particular.
fn disk(home: &Path) {
    let mut bytes = vec![0; 9_000_448];
    for (index, chunk) in bytes.chunks_mut(700_001).enumerate() {
        let length = chunk.len().min(100_000);
        chunk[..length].fill(u8::try_from(index + 1).unwrap());
    }
    fs::write(home.join("disk.raw"), bytes).unwrap();
}

/// The size that QEMU sees.
fn virtual_size(home: &Path, format: &str, name: &str) -> u64 {
    let output = Command::new("qemu-img")
        .args(["info", "--output=json", "-f", format, name])
        .current_dir(home)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let info: Value = serde_json::from_slice(&output.stdout).unwrap();
    info["virtual-size"].as_u64().unwrap()
}

fn judged(home: &Path, format: &str, name: &str) -> Assessed {
    let (found, asked) = assessed(&home.join(name), Declared::from_word(format));
    assert!(asked <= READ_BUDGET, "{asked} bytes of {name}");
    found
}

#[test]
fn images_that_qemu_img_makes_are_safe_and_as_large_as_it_says() {
    let home = TempDir::new().unwrap();
    let home = home.path();
    disk(home);
    for (index, (format, options)) in KINDS.iter().enumerate() {
        let (full, empty) = (format!("{index}.full"), format!("{index}.empty"));
        qemu_img(home, &["convert", "-f", "raw", "-O", format, "-o", options, "disk.raw", &full]);
        qemu_img(home, &["create", "-q", "-f", format, "-o", options, &empty, "20M"]);
        for name in [&full, &empty] {
            let found = judged(home, format, name);
            assert!(matches!(found.verdict, Verdict::Safe), "{format} {options}: {found:?}");
            assert_eq!(found.virtual_size, Some(virtual_size(home, format, name)), "{format} {options}");
        }
        let format = Format::from_qemu_name(format).unwrap();
        let chain = resolve(&home.join(&full), format, ReferencePolicy::default()).expect(options);
        assert_eq!(chain.layers.len(), 1, "{options}");
    }
}

#[test]
fn what_is_not_accepted_from_elsewhere_can_still_be_in_a_chain() {
    let home = TempDir::new().unwrap();
    let home = home.path();
    disk(home);
    for format in ["parallels", "qed", "qcow"] {
        qemu_img(home, &["convert", "-O", format, "disk.raw", "image"]);
        let found = judged(home, format, "image");
        assert!(matches!(found.verdict, Verdict::Unsupported(_)), "{format}: {found:?}");
        let size = virtual_size(home, format, "image");
        assert_eq!(found.virtual_size, Some(size), "{format}");
        let format = Format::from_qemu_name(format).unwrap();
        let chain = resolve(&home.join("image"), format, ReferencePolicy::default()).unwrap();
        assert_eq!(chain.layers[0].header.virtual_size, size, "{format}");
    }
}

#[test]
fn disks_in_several_files_are_refused_with_the_way_to_one() {
    let home = TempDir::new().unwrap();
    let home = home.path();
    disk(home);
    for subformat in ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"] {
        let options = format!("subformat={subformat}");
        qemu_img(home, &["convert", "-O", "vmdk", "-o", &options, "disk.raw", "many.vmdk"]);
        let found = judged(home, "vmdk", "many.vmdk");
        assert!(matches!(found.verdict, Verdict::MustRefuse(_)), "{subformat}: {found:?}");
        assert_eq!(found.virtual_size, Some(virtual_size(home, "vmdk", "many.vmdk")), "{subformat}");
        assert!(found.references[0].target.starts_with("many-"), "{found:?}");
        let error = resolve(&home.join("many.vmdk"), Format::Vmdk, ReferencePolicy::default()).unwrap_err();
        assert!(error.hints()[0].text.contains("qemu-img convert"), "{error:?}");
    }
}

#[test]
fn a_child_names_its_parent() {
    let home = TempDir::new().unwrap();
    let home = home.path();
    qemu_img(home, &["create", "-q", "-f", "vmdk", "base.vmdk", "20M"]);
    qemu_img(home, &["create", "-q", "-f", "vmdk", "-b", "base.vmdk", "-F", "vmdk", "child.vmdk"]);
    let found = judged(home, "vmdk", "child.vmdk");
    assert!(matches!(found.verdict, Verdict::MustRefuse(_)), "{found:?}");
    assert_eq!((found.references[0].kind.word(), &*found.references[0].target), ("parent", "base.vmdk"));
    let policy = ReferencePolicy::same_directory();
    let chain = resolve(&home.join("child.vmdk"), Format::Vmdk, policy).unwrap();
    let formats: Vec<_> = chain.layers.iter().map(|layer| layer.format).collect();
    assert_eq!(formats, [Format::Vmdk, Format::Vmdk]);
}
