//! The table of pool types, modes and volume types, and that asking again changes nothing.

use hostler_domain::Domain;
use proptest::prelude::*;

use super::*;
use crate::Translations;

const POOLS: [(&str, &str); 14] = [
    ("dir", "<target><path>/p</path></target>"),
    ("fs", "<source><device path='/d'/></source><target><path>/p</path></target>"),
    ("netfs", "<source><host name='h'/><dir path='/e'/></source><target><path>/p</path></target>"),
    ("logical", "<source><name>vg</name></source>"),
    ("disk", "<source><device path='/d'/></source><target><path>/dev</path></target>"),
    (
        "iscsi",
        "<source><host name='san'/><device path='iqn.t'/><auth type='chap' username='u'><secret usage='s'/></auth>\
         </source><target><path>/dev/disk/by-path</path></target>",
    ),
    (
        "iscsi-direct",
        "<source><host name='san' port='3261'/><device path='iqn.t'/><initiator><iqn name='iqn.me'/></initiator>\
         </source>",
    ),
    ("scsi", "<source><adapter name='host1'/></source><target><path>/dev/disk/by-path</path></target>"),
    ("mpath", ""),
    ("rbd", "<source><name>r</name></source>"),
    ("sheepdog", "<source><host name='h'/><name>s</name></source>"),
    ("gluster", "<source><host name='h'/><name>g</name></source>"),
    ("zfs", "<source><name>tank</name></source>"),
    ("vstorage", "<source><name>v</name></source><target><path>/p</path></target>"),
];

fn pool(index: usize) -> StoragePool {
    let (kind, inside) = POOLS[index];
    StoragePool::parse(&format!("<pool type='{kind}'><name>p</name>{inside}</pool>")).unwrap()
}

fn named(kind: &str) -> StoragePool {
    pool(POOLS.iter().position(|(name, _)| *name == kind).unwrap())
}

fn reference(volume: &str, mode: Option<&str>) -> VolumeReference {
    VolumeReference { pool: "p".to_owned(), volume: volume.to_owned(), mode: mode.map(str::to_owned) }
}

fn volume(kind: VolumeType) -> KnownVolume {
    let (path, format) = ("/p/v".to_owned(), Some("qcow2".to_owned()));
    KnownVolume { kind, path, format, found_format: None, secret: None }
}

fn outcome(kind: &str, mode: Option<&str>, volume_type: VolumeType) -> Result<TranslatedPlace, &'static str> {
    let (definition, reference) = (named(kind), reference("unit:0:0:4", mode));
    let view = PoolView { definition: &definition, active: true };
    translate(&reference, view, Some(&volume(volume_type)))
        .map(|translated| translated.place)
        .map_err(|error| error.code())
}

#[test]
fn every_cell_of_the_table() {
    let block = Ok(TranslatedPlace::Block("/p/v".to_owned()));
    for kind in ["dir", "fs", "netfs", "logical", "disk", "scsi", "zfs", "vstorage", "iscsi"] {
        assert_eq!(outcome(kind, None, VolumeType::Block), block, "{kind}");
    }
    for kind in ["dir", "fs", "netfs", "logical", "disk", "scsi", "zfs", "vstorage", "iscsi-direct"] {
        for mode in ["host", "direct"] {
            assert_eq!(outcome(kind, Some(mode), VolumeType::Block), Err("volume.mode"), "{kind} {mode}");
        }
    }
    for kind in ["mpath", "rbd", "sheepdog", "gluster"] {
        for mode in [None, Some("host"), Some("direct")] {
            assert_eq!(outcome(kind, mode, VolumeType::Block), Err("volume.pool-type"), "{kind} {mode:?}");
        }
    }
    assert_eq!(outcome("iscsi", Some("host"), VolumeType::Block), block);
    let unit = |port, initiator: Option<&str>, auth| {
        let (host, name) = ("san".to_owned(), "iqn.t/4".to_owned());
        Ok(TranslatedPlace::Iscsi { host, port, name, initiator: initiator.map(str::to_owned), auth })
    };
    let auth = Some(("u".to_owned(), Secret::Usage("s".to_owned())));
    assert_eq!(outcome("iscsi", Some("direct"), VolumeType::Block), unit(3260, None, auth));
    assert_eq!(outcome("iscsi-direct", None, VolumeType::Network), unit(3261, Some("iqn.me"), None));
}

#[test]
fn every_kind_of_volume() {
    let (file, dir) = (TranslatedPlace::File("/p/v".to_owned()), TranslatedPlace::Dir("/p/v".to_owned()));
    assert_eq!(outcome("dir", None, VolumeType::File), Ok(file.clone()));
    assert_eq!(outcome("dir", None, VolumeType::Ploop), Ok(file));
    assert_eq!(outcome("dir", None, VolumeType::Dir), Ok(dir));
    for kind in [VolumeType::Network, VolumeType::Netdir] {
        assert_eq!(outcome("dir", None, kind), Err("volume.type"));
    }
}

#[test]
fn what_is_not_there_says_what_to_do() {
    let definition = named("dir");
    let view = PoolView { definition: &definition, active: false };
    let error = translate(&reference("v", None), view, Some(&volume(VolumeType::File))).unwrap_err();
    assert_eq!(
        (error.code(), error.hints[0].command.as_deref()),
        ("pool.inactive", Some("hostler pool start p"))
    );
    let view = PoolView { active: true, ..view };
    assert_eq!(translate(&reference("v", None), view, None).unwrap_err().code(), "volume.not-found");
    let direct = named("iscsi-direct");
    let view = PoolView { definition: &direct, active: true };
    for unit in ["v", "unit:0:0", "unit:0:0:x", "a:b:c:d:1", "unit:0:0:-1"] {
        let error = translate(&reference(unit, None), view, Some(&volume(VolumeType::Network))).unwrap_err();
        assert_eq!(error.code(), "volume.unit", "{unit}");
    }
}

fn source(mode: Option<&str>, format: Option<&str>) -> StorageSource {
    let mode = mode.map(|mode| format!(" mode='{mode}'")).unwrap_or_default();
    let driver = format.map(|format| format!("<driver name='qemu' type='{format}'/>")).unwrap_or_default();
    let xml = format!(
        "<domain type='kvm'><name>n</name><memory>1</memory><os><type>hvm</type></os><devices>\
         <disk type='volume'>{driver}<source pool='p' volume='unit:0:0:4'{mode}/><target dev='vda'/></disk>\
         </devices></domain>"
    );
    Domain::parse(&xml).unwrap().devices.disks[0].source.clone()
}

#[test]
fn format_is_declared_or_recorded_and_never_seen() {
    let place = TranslatedPlace::File("/p/v".to_owned());
    let translated = Translated { place, format: Some("qcow2".to_owned()), looks_like: None, secret: None };
    let format = |declared| translated.apply(&source(None, declared)).format;
    assert_eq!(format(Some("raw")).as_deref(), Some("raw"));
    assert_eq!(format(None).as_deref(), Some("qcow2"));
    let unknown = Translated { format: None, ..translated.clone() };
    assert_eq!(unknown.apply(&source(None, None)).format, None);
}

/// What looks like an image is not taken for plain bytes either: a guest would see, and write over, its header.
#[test]
fn image_that_nobody_declared_is_refused_until_somebody_does() {
    let pool = named("dir");
    let view = PoolView { definition: &pool, active: true };
    let outcome = |recorded: Option<&str>, found, declared| {
        let known = volume(VolumeType::File);
        let known = KnownVolume { format: recorded.map(str::to_owned), found_format: Some(found), ..known };
        let source = source(None, declared);
        let reference = VolumeReference::of(&source).unwrap();
        let mut translations = Translations::default();
        translations.insert(reference.clone(), translate(&reference, view, Some(&known)));
        translations.resolve(&source).map(|source| source.format).map_err(|error| error.code())
    };
    let undeclared = Err("volume.format-undeclared");
    assert_eq!(outcome(None, Format::Qcow2, None), undeclared);
    assert_eq!(outcome(None, Format::Qcow2, Some("qcow2")), Ok(Some("qcow2".to_owned())));
    assert_eq!(outcome(None, Format::Qcow2, Some("raw")), Ok(Some("raw".to_owned())));
    assert_eq!(outcome(Some("raw"), Format::Qcow2, None), Ok(Some("raw".to_owned())));
    for plain in [Format::Raw, Format::Iso] {
        assert_eq!(outcome(None, plain, None), Ok(None), "{plain}");
    }
}

proptest! {
    /// S4: whatever the pool, the mode and the volume, asking again gives the same, also after the answer went through
    /// a record of a run, and also on top of the answer; and the reference is as it was.
    #[test]
    fn s4_asking_again_gives_the_same(
        index in 0..POOLS.len(),
        mode in prop::option::of(prop::sample::select(vec!["host", "direct"])),
        kind in prop::sample::select(vec![
            VolumeType::File, VolumeType::Block, VolumeType::Dir, VolumeType::Network, VolumeType::Netdir,
            VolumeType::Ploop,
        ]),
        format in prop::option::of(prop::sample::select(vec!["raw", "qcow2"])),
        there: bool,
        active: bool,
    ) {
        let definition = pool(index);
        let view = PoolView { definition: &definition, active };
        let source = source(mode, format);
        let before = (source.clone(), definition.to_xml());
        let reference = VolumeReference::of(&source).unwrap();
        let known = there.then(|| volume(kind));
        let first = translate(&reference, view, known.as_ref());
        let again = translate(&reference, view, known.as_ref());
        match (first, again) {
            (Ok(first), Ok(again)) => {
                prop_assert_eq!(&first, &again);
                let record = serde_json::to_string(&first).unwrap();
                let read: Translated = serde_json::from_str(&record).unwrap();
                prop_assert_eq!(&read, &first);
                let applied = first.apply(&source);
                prop_assert_eq!(&again.apply(&source), &applied);
                prop_assert_eq!(&first.apply(&applied), &applied, "nothing is there twice");
                prop_assert!(VolumeReference::of(&applied).is_none());
            }
            (Err(first), Err(again)) => prop_assert_eq!(first.code(), again.code()),
            _ => prop_assert!(false, "one of two equal questions failed"),
        }
        prop_assert_eq!((source, definition.to_xml()), before, "nothing derived is written back");
    }
}

/// A guest would see the container in place of its disk, and write over what opens it.
#[test]
fn encrypted_volume_is_refused_to_a_disk_that_names_no_secret() {
    let pool = named("dir");
    let view = PoolView { definition: &pool, active: true };
    let known = KnownVolume { secret: Some(Secret::Usage("/p/v".to_owned())), ..volume(VolumeType::File) };
    let mut source = source(None, Some("raw"));
    let reference = VolumeReference::of(&source).unwrap();
    let mut translations = Translations::default();
    translations.insert(reference.clone(), translate(&reference, view, Some(&known)));
    let refused = translations.resolve(&source).unwrap_err();
    assert_eq!((refused.kind, refused.code()), (ErrorKind::Invalid, "volume.secret-missing"));
    assert!(refused.hints[0].text.contains("usage='/p/v'"), "{refused:?}");
    source.encryption = Some(hostler_domain::storage_source::Encryption {
        format: "luks".to_owned(),
        engine: None,
        secrets: Vec::new(),
        cipher: None,
        initial_vector: None,
    });
    assert!(translations.resolve(&source).unwrap().encryption.is_some());
}
