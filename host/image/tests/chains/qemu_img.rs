//! Chains as qemu-img makes them.

use std::os::unix::fs::symlink;
use std::path::Path;

use hostler_image::{Below, Compression, Format, ReferencePolicy, Tail, resolve_chain};
use hostler_image::{ChainRequest, DeclaredLayer, ImagePath};
use tempfile::TempDir;

use crate::disk::{Disk, qemu_img, resolve};

fn same_directory(directory: &Path, top: &str) -> Result<Vec<String>, String> {
    resolve(&directory.join(top), Format::Qcow2, ReferencePolicy::same_directory())
        .map(|chain| chain.layers.iter().map(|layer| layer.path.to_string()).collect())
        .map_err(|error| error.code().to_owned())
}

#[test]
fn an_overlay_on_a_raw_base() {
    let home = TempDir::new().unwrap();
    qemu_img(home.path(), &["create", "-q", "-f", "raw", "base.raw", "8M"]);
    qemu_img(
        home.path(),
        &["create", "-q", "-f", "qcow2", "-F", "raw", "-b", "base.raw", "top.qcow2", "16M"],
    );
    let chain =
        resolve(&home.path().join("top.qcow2"), Format::Qcow2, ReferencePolicy::same_directory()).unwrap();
    let [top, base] = &chain.layers[..] else { panic!("{chain:?}") };
    assert_eq!(
        (top.header.virtual_size, top.header.cluster_size, top.below),
        (16 << 20, Some(65_536), Below::Layer(1))
    );
    assert_eq!((base.header.virtual_size, base.format, base.below), (8 << 20, Format::Raw, Below::Nothing));
}

#[test]
fn three_layers_with_absolute_and_relative_names() {
    let home = TempDir::new().unwrap();
    let mid = home.path().join("mid.qcow2");
    qemu_img(home.path(), &["create", "-q", "-f", "qcow2", "base.qcow2", "8M"]);
    qemu_img(home.path(), &["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "./base.qcow2", "mid.qcow2"]);
    qemu_img(
        home.path(),
        &["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", mid.to_str().unwrap(), "top.qcow2"],
    );
    let found = same_directory(home.path(), "top.qcow2").unwrap();
    let expected: Vec<_> = ["top.qcow2", "mid.qcow2", "base.qcow2"]
        .map(|name| home.path().join(name).display().to_string())
        .into();
    assert_eq!(found, expected);
}

#[test]
fn every_variant_that_qemu_img_creates_is_accepted() {
    let home = TempDir::new().unwrap();
    let variants = [
        "compat=0.10",
        "compat=1.1",
        "cluster_size=512",
        "cluster_size=2M",
        "extended_l2=on,cluster_size=128k",
        "lazy_refcounts=on",
        "compression_type=zstd",
        "refcount_bits=1",
        "refcount_bits=64",
        "preallocation=metadata",
        "preallocation=falloc",
    ];
    qemu_img(home.path(), &["create", "-q", "-f", "raw", "base", "4M"]);
    for (index, options) in variants.iter().enumerate() {
        let name = format!("{index}.qcow2");
        qemu_img(home.path(), &["create", "-q", "-f", "qcow2", "-o", options, &name, "100M"]);
        let chain =
            resolve(&home.path().join(&name), Format::Qcow2, ReferencePolicy::default()).expect(options);
        assert_eq!(chain.layers[0].header.virtual_size, 100 << 20, "{options}");
        assert_eq!(
            chain.layers[0].header.features.compression == Compression::Zstd,
            options.contains("zstd")
        );
    }
    // A bitmap, an internal snapshot, a resize and an amend leave their marks in the header.
    qemu_img(home.path(), &["create", "-q", "-f", "qcow2", "-F", "raw", "-b", "base", "used", "64M"]);
    qemu_img(home.path(), &["bitmap", "--add", "used", "marks"]);
    qemu_img(home.path(), &["resize", "-q", "used", "8T"]);
    qemu_img(home.path(), &["create", "-q", "-f", "qcow2", "snapshots", "64M"]);
    qemu_img(home.path(), &["snapshot", "-c", "one", "snapshots"]);
    let used = resolve(&home.path().join("used"), Format::Qcow2, ReferencePolicy::same_directory()).unwrap();
    assert!(used.layers[0].header.features.bitmaps);
    assert_eq!((used.layers.len(), used.layers[0].header.virtual_size), (2, 8 << 40));
    let snapshots =
        resolve(&home.path().join("snapshots"), Format::Qcow2, ReferencePolicy::default()).unwrap();
    assert_eq!(snapshots.layers[0].header.features.internal_snapshots, 1);
}

#[test]
fn an_external_data_file_is_opened_under_the_policy() {
    let home = TempDir::new().unwrap();
    let options = "data_file=data.raw,data_file_raw=on";
    qemu_img(home.path(), &["create", "-q", "-f", "qcow2", "-o", options, "top.qcow2", "8M"]);
    let top = home.path().join("top.qcow2");
    let chain = resolve(&top, Format::Qcow2, ReferencePolicy::same_directory()).unwrap();
    let data = chain.layers[0].data_file.as_ref().unwrap();
    assert_eq!((data.path.as_path(), data.length), (home.path().join("data.raw").as_path(), 8 << 20));
    let error = resolve(&top, Format::Qcow2, ReferencePolicy::default()).unwrap_err();
    assert_eq!(error.code(), "image.reference-denied");
}

#[test]
fn the_repair_command_repairs() {
    let home = TempDir::new().unwrap();
    qemu_img(home.path(), &["create", "-q", "-f", "qcow2", "my base", "8M"]);
    qemu_img(home.path(), &["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "my base", "top.qcow2"]);
    // qemu-img does not create a chain without the format any more: blank out the extension's type.
    let top = home.path().join("top.qcow2");
    let mut bytes = std::fs::read(&top).unwrap();
    let at = bytes.windows(4).position(|window| window == [0xe2, 0x79, 0x2a, 0xca]).unwrap();
    bytes[at..at + 4].copy_from_slice(&[0x12, 0x34, 0x56, 0x78]);
    std::fs::write(&top, bytes).unwrap();

    let error = resolve(&top, Format::Qcow2, ReferencePolicy::same_directory()).unwrap_err();
    assert_eq!(error.code(), "image.format-missing");
    let command = error.hints()[0].command.clone().unwrap();
    assert_eq!(command, format!("qemu-img rebase -u -F qcow2 -b 'my base' {}", top.display()));
    assert!(std::process::Command::new("sh").args(["-c", &command]).status().unwrap().success());
    assert_eq!(same_directory(home.path(), "top.qcow2").unwrap().len(), 2);
}

#[test]
fn links_loops_and_escapes_are_refused() {
    let home = TempDir::new().unwrap();
    let pool = home.path().join("pool");
    std::fs::create_dir(&pool).unwrap();
    qemu_img(home.path(), &["create", "-q", "-f", "raw", "outside.raw", "1M"]);
    symlink("../outside.raw", pool.join("link.raw")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, pool.join("fifo"), rustix::fs::Mode::RUSR).unwrap();
    let overlay = |name: &str, backing: &str, format: &str| {
        qemu_img(&pool, &["create", "-q", "-f", "qcow2", "-u", "-F", format, "-b", backing, name, "1M"]);
    };
    overlay("escape", "../outside.raw", "raw");
    overlay("through-link", "link.raw", "raw");
    overlay("fifo-below", "fifo", "raw");
    overlay("loop-a", "loop-b", "qcow2");
    overlay("loop-b", "loop-a", "qcow2");
    for (top, code) in [
        ("escape", "image.reference-denied"),
        ("through-link", "image.reference-denied"),
        ("fifo-below", "image.not-an-image"),
        ("loop-a", "image.loop"),
    ] {
        assert_eq!(same_directory(&pool, top), Err(code.to_owned()), "{top}");
    }
    let allowed = ReferencePolicy::declared_only().with_root(home.path());
    assert_eq!(resolve(&pool.join("escape"), Format::Qcow2, allowed).unwrap().layers.len(), 2);
}

#[test]
fn a_layer_stays_the_file_that_was_checked() {
    let home = TempDir::new().unwrap();
    qemu_img(home.path(), &["create", "-q", "-f", "raw", "base.raw", "1M"]);
    qemu_img(home.path(), &["create", "-q", "-f", "raw", "other.raw", "2M"]);
    qemu_img(home.path(), &["create", "-q", "-f", "qcow2", "-F", "raw", "-b", "base.raw", "top.qcow2"]);
    let top = home.path().join("top.qcow2");
    let chain = resolve(&top, Format::Qcow2, ReferencePolicy::same_directory()).unwrap();
    std::fs::rename(home.path().join("other.raw"), home.path().join("base.raw")).unwrap();
    assert_eq!(chain.layers[1].file.metadata().unwrap().len(), 1 << 20);
}

#[test]
fn only_the_active_layer_is_opened_when_nothing_is_declared_below() {
    let home = TempDir::new().unwrap();
    qemu_img(
        home.path(),
        &["create", "-q", "-f", "qcow2", "-u", "-F", "raw", "-b", "/etc/shadow", "top", "1M"],
    );
    let top = ImagePath::new(home.path().join("top")).unwrap();
    let mut request = ChainRequest::new(DeclaredLayer::new(top, Some(Format::Qcow2)));
    request.tail = Tail::Nothing;
    let mut disk = Disk::default();
    let chain = resolve_chain(&mut disk, request).unwrap();
    assert_eq!((chain.layers.len(), disk.opened.len()), (1, 1));
    assert_eq!(
        chain.notes[0].to_string(),
        "layer 0 records '/etc/shadow' below it, nothing is declared and used"
    );
}
