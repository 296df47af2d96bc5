//! Tests of the walk over files held in memory, and of what it asks to be opened.

use std::collections::HashMap;

use super::*;
use crate::chain::FormatOrigin;
use crate::error::ErrorKind;
use crate::formats::Encryption;
use crate::location::ImagePath;
use crate::opener::{Opener, explore_chain, resolve_chain};
use crate::policy::ReferencePolicy;
use crate::request::{DeclaredLayer, Limits};
use crate::sample::{self, LUKS_DISK_BYTES, Sample};

/// Files by full path; remembers every request.
#[derive(Default)]
struct Memory {
    files: HashMap<String, (u64, Vec<u8>)>,
    asked: Vec<OpenRequest>,
}

impl Memory {
    fn with(mut self, path: &str, bytes: Vec<u8>) -> Self {
        let inode = self.files.len() as u64;
        self.files.insert(path.to_owned(), (inode, bytes));
        self
    }

    fn link(mut self, path: &str, target: &str) -> Self {
        let file = self.files[target].clone();
        self.files.insert(path.to_owned(), file);
        self
    }

    fn resolve(&mut self, request: ChainRequest) -> Result<Chain<String>, ImageError> {
        resolve_chain(self, request)
    }
}

impl Opener for Memory {
    type File = String;

    fn open(&mut self, request: &OpenRequest) -> Result<Opened<String>, OpenFailure> {
        self.asked.push(request.clone());
        let path = request.path.to_string();
        let (inode, bytes) = self.files.get(&path).ok_or(OpenFailure::Missing)?;
        Ok(Opened {
            file: path,
            identity: Identity::File { device: 1, inode: *inode },
            kind: FileKind::Regular,
            length: bytes.len() as u64,
            physical_bytes: 512,
        })
    }

    fn read_at(&mut self, file: &String, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let (_, bytes) = &self.files[file];
        let rest = &bytes[usize::try_from(offset).unwrap()..];
        // One byte less than asked, so that the driver has to come back for the rest.
        let count = rest.len().min(buffer.len()).min(buffer.len().div_ceil(2));
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

fn path(path: &str) -> ImagePath {
    ImagePath::new(path).unwrap()
}

fn request(top: &str) -> ChainRequest {
    let mut request = ChainRequest::new(DeclaredLayer::new(path(top), Some(Format::Qcow2)));
    request.policy = ReferencePolicy::same_directory();
    request
}

fn overlay(backing: &str, format: &str) -> Vec<u8> {
    Sample::new().backing(backing, Some(format)).bytes
}

#[test]
fn a_chain_is_followed_to_its_end() {
    let mut memory = Memory::default()
        .with("/d/top", overlay("mid", "qcow2"))
        .with("/d/mid", overlay("/d/base", "raw"))
        .with("/d/base", overlay("secret", "raw"));
    let chain = memory.resolve(request("/d/top")).unwrap();
    let below: Vec<_> = chain.layers.iter().map(|layer| layer.below).collect();
    assert_eq!(below, [Below::Layer(1), Below::Layer(2), Below::Nothing]);
    // The base is declared raw, so that the header which the guest wrote into it is data.
    assert_eq!(chain.layers[2].format, Format::Raw);
    assert_eq!(chain.layers[2].header.backing, None);
    let access: Vec<_> = memory.asked.iter().map(|request| request.access).collect();
    assert_eq!(access, [Access::ReadWrite, Access::ReadOnly, Access::ReadOnly]);
    assert_eq!(memory.asked[0].via, Via::Declared);
    assert!(matches!(&memory.asked[1].via, Via::Granted(grant) if grant.relative.as_os_str() == "mid"));
}

#[test]
fn the_default_policy_lets_an_image_name_nothing() {
    let mut memory = Memory::default().with("/d/top", overlay("base", "raw")).with("/d/base", vec![0; 512]);
    let error = memory.resolve(ChainRequest::new(request("/d/top").top)).unwrap_err();
    assert_eq!(
        (error.kind(), error.layer(), error.reference()),
        (ErrorKind::ReferenceDenied, Some(0), Some("base"))
    );
    assert_eq!(memory.asked.len(), 1, "nothing but the active layer was opened");
}

#[test]
fn names_that_leave_the_directory_are_never_opened() {
    for name in ["/etc/passwd", "../etc/passwd", "sub/../../etc/passwd", "sub/file", "/dev/vda"] {
        let mut memory = Memory::default().with("/d/top", overlay(name, "raw"));
        let error = memory.resolve(request("/d/top")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReferenceDenied, "{name}");
        assert_eq!(memory.asked.len(), 1, "{name}");
    }
}

#[test]
fn references_with_a_protocol_are_refused_without_their_secrets() {
    let mut memory = Memory::default().with("/d/top", overlay("https://u:hunter2@h/x", "raw"));
    let error = memory.resolve(request("/d/top")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReferenceUnsupported);
    assert!(!error.to_string().contains("hunter2") && error.to_string().contains("https://h/x"), "{error}");
    let hint = &error.hints()[0].text;
    assert!(
        !hint.contains("hunter2") && hint.contains("<backingStore type='network'><format type='raw'/>"),
        "{hint}"
    );
    assert!(hint.contains("<host name='h'") && hint.contains("<secret>"), "{hint}");
    let command = error.hints()[1].command.as_deref();
    assert_eq!(command, Some("qemu-img rebase -u -F raw -b NEW_PATH /d/top"));
    for text in [
        r#"json:{"driver":"https","url":"https://h/x","cookie":"session=hunter2"}"#,
        "https://h/x?token=hunter2",
    ] {
        let mut memory = Memory::default().with("/d/top", overlay(text, "raw"));
        let error = memory.resolve(request("/d/top")).unwrap_err();
        assert!(!format!("{error} {:?}", error.hints()).contains("hunter2"), "{:?}", error.hints());
    }
    let mut memory =
        Memory::default().with("/d/top", overlay("json:{\"file.filename\":\"/etc/shadow\"}", "raw"));
    assert_eq!(memory.resolve(request("/d/top")).unwrap_err().kind(), ErrorKind::ReferenceUnsupported);
}

#[test]
fn a_missing_format_is_refused_with_the_command_that_records_it() {
    let top = Sample::new().backing("base", None).bytes;
    let mut memory = Memory::default().with("/d/top", top.clone()).with("/d/base", Sample::new().bytes);
    let error = memory.resolve(request("/d/top")).unwrap_err();
    assert_eq!((error.code(), error.layer()), ("image.format-missing", Some(0)));
    assert_eq!(error.hints()[0].command.as_deref(), Some("qemu-img rebase -u -F qcow2 -b base /d/top"));
    for base in [vec![], vec![7; 4096]] {
        let mut memory = Memory::default().with("/d/top", top.clone()).with("/d/base", base);
        let error = memory.resolve(request("/d/top")).unwrap_err();
        assert_eq!(error.hints()[0].command.as_deref(), Some("qemu-img rebase -u -F raw -b base /d/top"));
    }
    let error = Memory::default().with("/d/top", top).resolve(request("/d/top")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FormatMissing);
    let mut memory = Memory::default().with("/d/top", overlay("base", "file")).with("/d/base", vec![0; 512]);
    assert_eq!(memory.resolve(request("/d/top")).unwrap_err().kind(), ErrorKind::FormatUnknown);
}

#[test]
fn a_disc_is_no_format_of_a_layer() {
    let mut disc = vec![0; 40_000];
    disc[32_769..32_774].copy_from_slice(b"CD001");
    let mut memory = Memory::default().with("/d/disc", disc);
    let request = ChainRequest::new(DeclaredLayer::new(path("/d/disc"), Some(Format::Iso)));
    let error = memory.resolve(request).unwrap_err();
    assert_eq!((error.kind(), error.layer()), (ErrorKind::FormatUnsupported, Some(0)));
    assert!(error.hints()[0].text.contains("declare it as raw"), "{error:?}");
}

/// A raw image whose content is declared to be a LUKS container.
fn container(path_of: &str, format: Option<Format>) -> DeclaredLayer {
    DeclaredLayer::new(path(path_of), format).luks()
}

#[test]
fn a_declared_container_is_judged_and_its_header_is_no_part_of_the_disk() {
    let (image, disk_bytes) = (sample::luks1(), LUKS_DISK_BYTES as u64);
    for format in [Some(Format::Raw), None] {
        let mut memory = Memory::default().with("/d/disk", image.0.clone());
        let chain = memory.resolve(ChainRequest::new(container("/d/disk", format))).unwrap();
        let [layer] = chain.layers.as_slice() else { panic!("{chain:?}") };
        assert_eq!((layer.format, layer.header.virtual_size), (Format::Raw, disk_bytes));
        assert!(matches!(layer.header.encryption, Some(Encryption::Luks(_))), "{layer:?}");
    }
    // Undeclared it is data, whatever it looks like.
    let mut memory = Memory::default().with("/d/disk", image.0.clone());
    let plain = DeclaredLayer::new(path("/d/disk"), Some(Format::Raw));
    let chain = memory.resolve(ChainRequest::new(plain)).unwrap();
    assert_eq!(chain.layers[0].header.virtual_size, image.0.len() as u64);
    assert_eq!(chain.layers[0].header.encryption, None);
    // As the layer below another it is judged the same way.
    let mut below = request("/d/top");
    below.below = vec![container("/d/disk", Some(Format::Raw))];
    let mut memory = Memory::default().with("/d/top", Sample::new().bytes).with("/d/disk", image.0);
    assert_eq!(memory.resolve(below).unwrap().layers[1].header.virtual_size, disk_bytes);
}

#[test]
fn a_container_that_is_none_or_costs_too_much_is_refused() {
    let (qcow2, luks2) = (Sample::new().bytes, sample::luks1().put(6, &[0, 2]).be64(8, 16_384).0);
    let cases = [
        ("no container", vec![0; 1 << 20], ErrorKind::Malformed),
        ("another format", qcow2, ErrorKind::Malformed),
        ("absurd work for the digest", sample::luks1().be32(164, u32::MAX).0, ErrorKind::Malformed),
        ("absurd work for a key", sample::luks1().be32(212, u32::MAX).0, ErrorKind::Malformed),
        ("payload beyond the end", sample::luks1().be32(104, u32::MAX).0, ErrorKind::Malformed),
        ("version 2 without a document", luks2, ErrorKind::Malformed),
    ];
    for (what, bytes, kind) in cases {
        let mut memory = Memory::default().with("/d/disk", bytes);
        let request = ChainRequest::new(container("/d/disk", Some(Format::Raw)));
        let error = memory.resolve(request).unwrap_err();
        assert_eq!((error.kind(), error.layer()), (kind, Some(0)), "{what}: {error}");
        assert!(memory.asked.len() == 1, "{what}");
    }
}

#[test]
fn a_broken_chain_tells_the_layers_above_the_break() {
    let mut memory =
        Memory::default().with("/d/top", overlay("mid", "qcow2")).with("/d/mid", overlay("gone", "raw"));
    let broken = explore_chain(&mut memory, request("/d/top")).unwrap_err();
    assert_eq!(broken.error.kind(), ErrorKind::Missing);
    let known: Vec<_> = broken.layers.iter().map(|layer| layer.path.to_string()).collect();
    assert_eq!(known, ["/d/top", "/d/mid"]);
}

#[test]
fn a_loop_is_found_by_identity() {
    let error =
        Memory::default().with("/d/top", overlay("top", "qcow2")).resolve(request("/d/top")).unwrap_err();
    assert_eq!(error.code(), "image.loop");
    let mut memory = Memory::default()
        .with("/d/top", overlay("mid", "qcow2"))
        .with("/d/mid", overlay("alias", "qcow2"))
        .link("/d/alias", "/d/top");
    let error = memory.resolve(request("/d/top")).unwrap_err();
    assert_eq!((error.code(), error.layer()), ("image.loop", Some(1)));
    assert!(error.message().contains("as layer 0"), "{error}");
    let own_data = Sample::new().data_file("top").bytes;
    let error = Memory::default().with("/d/top", own_data).resolve(request("/d/top")).unwrap_err();
    assert_eq!(error.code(), "image.loop");
}

#[test]
fn the_depth_is_limited() {
    let chain_of = |count: usize| {
        (0..count).fold(Memory::default(), |memory, index| {
            let image = if index + 1 == count {
                Sample::new().bytes
            } else {
                overlay(&format!("{}", index + 1), "qcow2")
            };
            memory.with(&format!("/d/{index}"), image)
        })
    };
    assert_eq!(chain_of(200).resolve(request("/d/0")).unwrap().layers.len(), 200);
    let error = chain_of(201).resolve(request("/d/0")).unwrap_err();
    assert_eq!((error.code(), error.layer()), ("image.too-deep", Some(199)));
}

#[test]
fn a_missing_layer_names_who_wants_it() {
    let error =
        Memory::default().with("/d/top", overlay("gone", "raw")).resolve(request("/d/top")).unwrap_err();
    assert_eq!((error.code(), error.layer(), error.reference()), ("image.missing", Some(0), Some("gone")));
    assert_eq!(error.hints()[0].command.as_deref(), Some("qemu-img rebase -u -F raw -b NEW_PATH /d/top"));
    let error = Memory::default().resolve(request("/d/top")).unwrap_err();
    assert_eq!(error.to_string(), "image '/d/top' (layer 0): the file does not exist");
}

#[test]
fn data_files_follow_the_same_policy_as_backing_files() {
    let top = Sample::new().data_file("data.raw").bytes;
    let mut memory = Memory::default().with("/d/top", top.clone()).with("/d/data.raw", vec![0; 1024]);
    let chain = memory.resolve(request("/d/top")).unwrap();
    assert_eq!(chain.layers[0].data_file.as_ref().unwrap().length, 1024);
    assert_eq!((memory.asked[1].role, memory.asked[1].access), (Role::DataFile, Access::ReadWrite));
    let error = memory.resolve(ChainRequest::new(request("/d/top").top)).unwrap_err();
    assert_eq!(error.code(), "image.reference-denied");
    for name in ["/etc/shadow", "../x"] {
        let mut memory = Memory::default().with("/d/top", Sample::new().data_file(name).bytes);
        assert_eq!(memory.resolve(request("/d/top")).unwrap_err().code(), "image.reference-denied");
    }
    let mut declared = ChainRequest::new(request("/d/top").top);
    declared.top.data_file = Some(path("/elsewhere/data"));
    let mut memory = Memory::default().with("/d/top", top).with("/elsewhere/data", vec![0; 512]);
    assert_eq!(memory.resolve(declared.clone()).unwrap().layers[0].data_file.as_ref().unwrap().length, 512);
    let mut memory = Memory::default().with("/d/top", Sample::new().bytes);
    assert_eq!(memory.resolve(declared).unwrap_err().code(), "image.invalid-request");
}

#[test]
fn declared_layers_are_used_as_declared_and_differences_are_noted() {
    let mut memory = Memory::default()
        .with("/d/top", overlay("old-name", "qcow2"))
        .with("/moved/base", overlay("hidden", "raw"));
    let mut declared = ChainRequest::new(request("/d/top").top);
    declared.below = vec![DeclaredLayer::new(path("/moved/base"), Some(Format::Raw))];
    let chain = memory.resolve(declared.clone()).unwrap();
    assert_eq!((chain.layers.len(), chain.layers[1].format), (2, Format::Raw));
    assert_eq!(chain.notes.len(), 2, "another name and another format: {:?}", chain.notes);
    declared.below[0].format = None;
    assert_eq!(memory.resolve(declared.clone()).unwrap_err().code(), "image.format-missing");
    declared.top.format = Some(Format::Raw);
    declared.below[0].format = Some(Format::Raw);
    assert_eq!(memory.resolve(declared).unwrap_err().code(), "image.invalid-request");
}

#[test]
fn a_declared_header_is_still_checked() {
    let mut memory =
        Memory::default().with("/d/top", overlay("base", "qcow2")).with("/d/base", vec![7; 4096]);
    let error = memory.resolve(request("/d/top")).unwrap_err();
    assert_eq!((error.code(), error.layer()), ("image.malformed", Some(1)));
}

#[test]
fn nothing_declared_below_means_nothing() {
    let mut memory = Memory::default().with("/d/top", overlay("base", "qcow2"));
    let mut terminated = request("/d/top");
    terminated.tail = Tail::Nothing;
    let chain = memory.resolve(terminated).unwrap();
    assert_eq!((chain.layers[0].below, memory.asked.len()), (Below::Nothing, 1));
    assert_eq!(chain.notes[0].to_string(), "layer 0 records 'base' below it, nothing is declared and used");
}

#[test]
fn an_undeclared_active_layer_is_raw_whatever_it_contains() {
    let mut memory = Memory::default().with("/d/top", overlay("/etc/shadow", "raw"));
    let mut undeclared = request("/d/top");
    undeclared.top.format = None;
    let chain = memory.resolve(undeclared).unwrap();
    assert_eq!((chain.layers[0].format, chain.layers[0].format_origin), (Format::Raw, FormatOrigin::Assumed));
    assert_eq!(chain.notes, [Note::FormatAssumed]);
}

#[test]
fn corrupt_images_are_for_reading_only() {
    let mut memory = Memory::default().with("/d/top", Sample::new().with64(72, 2).bytes);
    let error = memory.resolve(request("/d/top")).unwrap_err();
    assert_eq!(error.code(), "image.corrupt");
    assert_eq!(error.hints()[0].command.as_deref(), Some("qemu-img check -r all -f qcow2 /d/top"));
    let mut rescue = request("/d/top");
    rescue.read_only = true;
    assert!(memory.resolve(rescue).unwrap().layers[0].header.features.corrupt);
}

#[test]
fn the_virtual_size_is_limited() {
    let mut memory = Memory::default().with("/d/top", Sample::new().bytes);
    let mut small = request("/d/top");
    small.limits = Limits { virtual_size: 4096, ..Limits::default() };
    assert_eq!(memory.resolve(small).unwrap_err().code(), "image.too-large");
}

#[test]
fn answers_out_of_turn_are_refused() {
    let mut walk = Walk::<()>::new(request("/d/top")).unwrap();
    assert_eq!(walk.supply(vec![]).unwrap_err().code(), "image.invalid-request");
    assert_eq!(walk.finish().unwrap_err().code(), "image.invalid-request");
}

#[test]
fn names_that_cannot_be_used_are_malformed() {
    for name in ["../../..", "sub/", "unknown:x", "a\nb"] {
        let error =
            Memory::default().with("/d/top", overlay(name, "raw")).resolve(request("/d/top")).unwrap_err();
        assert_eq!(error.code(), "image.reference-malformed", "{name:?}");
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn failures_of_the_operating_system_keep_their_cause() {
    let mut walk = Walk::<()>::new(request("/d/top")).unwrap();
    assert!(matches!(walk.step().unwrap(), Step::Open(_)));
    let denied =
        walk.open_failed(OpenFailure::PermissionDenied(io::Error::from(io::ErrorKind::PermissionDenied)));
    assert_eq!((denied.code(), denied.layer()), ("image.permission-denied", Some(0)));
    assert!(std::error::Error::source(&denied).is_some());
    assert_eq!(walk.open_failed(OpenFailure::Io(io::Error::other("x"))).code(), "image.io");
    let identity = Identity::BlockDevice { number: 7 };
    let opened =
        Opened { file: (), identity, kind: FileKind::BlockDevice, length: 1 << 20, physical_bytes: 0 };
    walk.opened(opened).unwrap();
    assert!(matches!(walk.step().unwrap(), Step::Read { .. }));
    assert_eq!(walk.read_failed(io::Error::other("x")).code(), "image.io");
    assert!(walk.layers().is_empty());
}

#[test]
fn directories_and_fifos_hold_no_image() {
    for kind in [FileKind::Directory, FileKind::Other] {
        let mut walk = Walk::<()>::new(request("/d/top")).unwrap();
        let identity = Identity::File { device: 1, inode: 1 };
        let error =
            walk.opened(Opened { file: (), identity, kind, length: 0, physical_bytes: 0 }).unwrap_err();
        assert_eq!(error.code(), "image.not-an-image");
    }
}
