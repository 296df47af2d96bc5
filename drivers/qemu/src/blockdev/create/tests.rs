//! Which images are made, how, and which are not.

use super::*;
use hostler_sdk::domain::Domain;

const SIZE: u64 = 1 << 20;

fn source(kind: &str, source: &str) -> StorageSource {
    let xml = format!(
        "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os><devices>\
         <disk type='{kind}'>{source}<target dev='vda'/></disk></devices></domain>"
    );
    Domain::parse(&xml).unwrap().devices.disks[0].source.clone()
}

fn creation<'a>(source: &'a StorageSource, format: &'a str, names: &'a LayerNames) -> Creation<'a> {
    Creation {
        disk: "vda",
        layer: 0,
        source,
        format,
        names,
        capacity: SIZE,
        physical: 2 * SIZE,
        backing: None,
        layout: Layout::default(),
    }
}

fn shown(value: Option<Value>) -> String {
    value.map(|value| value.to_json(&|symbol| format!("{symbol:?}"))).unwrap_or_default()
}

#[test]
fn what_is_there_before_is_not_made() {
    let names = LayerNames::numbered(1);
    for (kind, xml) in [
        ("block", "<source dev='/dev/a'/>"),
        ("network", "<source protocol='nbd'><host name='h'/></source>"),
        ("network", "<source protocol='iscsi' name='t/1'><host name='h'/></source>"),
        ("network", "<source protocol='https' name='a'><host name='h'/></source>"),
    ] {
        let source = source(kind, xml);
        assert_eq!(creation(&source, "raw", &names).storage().unwrap(), None, "{xml}");
        assert_eq!(creation(&source, "raw", &names).content().unwrap(), None, "{xml}");
    }
}

#[test]
fn servers_are_told_where_without_what_opens_it() {
    let names = LayerNames::numbered(1);
    let ssh = source(
        "network",
        "<source protocol='ssh' name='a'><host name='h'/><auth username='u'><secret type='iscsi' usage='s'/></auth></source>",
    );
    assert_eq!(
        shown(creation(&ssh, "raw", &names).storage().unwrap()),
        r#"{"driver":"ssh","location":{"path":"a","server":{"host":"h","port":"22"},"user":"u"},"size":2097152}"#
    );
    let nfs = source("network", "<source protocol='nfs' name='/e/a'><host name='h'/></source>");
    let shown = shown(creation(&nfs, "raw", &names).storage().unwrap());
    assert!(shown.contains(r#""location":{"server":{"host":"h","type":"inet"},"path":"/e/a"}"#), "{shown}");
}

#[test]
fn a_window_into_something_else_is_no_place_for_a_new_image() {
    let names = LayerNames::numbered(1);
    let sliced = source(
        "file",
        "<source file='/a'><slices><slice type='storage' offset='512' size='512'/></slices></source>",
    );
    assert!(creation(&sliced, "raw", &names).storage().is_err());
}

#[test]
fn the_layout_of_qcow2_is_said_where_it_is_chosen() {
    let names = LayerNames::numbered(1);
    let file = source("file", "<source file='/a'/>");
    let layout = Layout { version: Some(Version::V3), cluster_size: Some(131_072), extended_l2: Some(true) };
    let made = Creation { layout, ..creation(&file, "qcow2", &names) }.content().unwrap();
    assert_eq!(
        shown(made),
        r#"{"driver":"qcow2","file":"libvirt-1-storage","size":1048576,"version":"v3","cluster-size":131072,"extended-l2":true}"#
    );
}

#[test]
fn luks_says_its_cipher_in_raw_and_in_qcow2() {
    let names = LayerNames::numbered(1);
    let file = source(
        "file",
        "<source file='/a'><encryption format='luks'><secret type='passphrase' usage='s'/>\
         <cipher name='serpent' size='256' mode='cbc' hash='sha256'/><ivgen name='plain64' hash='sha1'/></encryption></source>",
    );
    let options = r#""key-secret":"libvirt-1-format-encryption-secret0","cipher-alg":"serpent-256","cipher-mode":"cbc","hash-alg":"sha256","ivgen-alg":"plain64","ivgen-hash-alg":"sha1"}"#;
    let raw = shown(creation(&file, "raw", &names).content().unwrap());
    assert!(raw.starts_with(r#"{"driver":"luks","#) && raw.ends_with(options), "{raw}");
    let qcow2 = shown(creation(&file, "qcow2", &names).content().unwrap());
    assert!(qcow2.ends_with(&format!(r#""encrypt":{{"format":"luks",{options}}}"#)), "{qcow2}");
    assert!(creation(&file, "vmdk", &names).content().is_err(), "no encryption there");
    let old = source(
        "file",
        "<source file='/a'><encryption format='qcow'><secret type='passphrase' usage='s'/></encryption></source>",
    );
    assert!(creation(&old, "qcow2", &names).content().is_err(), "QEMU makes no AES images");
}

#[test]
fn what_lies_below_is_recorded_as_each_format_can() {
    let names = LayerNames::numbered(1);
    let (file, below) = (source("file", "<source file='/a'/>"), source("file", "<source file='/b'/>"));
    for (format, recorded) in [("qcow2", 2), ("qed", 2), ("qcow", 1), ("vmdk", 1)] {
        let reference = Reference { name: Value::from("/b"), source: &below, format: "raw" };
        let made = Creation { backing: Some(reference), ..creation(&file, format, &names) }.content();
        let made = made.unwrap().unwrap();
        assert_eq!(made.get("backing-file"), Some(&Value::from("/b")), "{format}");
        assert_eq!(made.get("backing-fmt").is_some(), recorded == 2, "{format}");
    }
    for format in ["raw", "vdi", "vpc", "vhdx", "parallels"] {
        let reference = Reference { name: Value::from("/b"), source: &below, format: "raw" };
        let made = Creation { backing: Some(reference), ..creation(&file, format, &names) }.content();
        assert!(made.is_err(), "{format} has nothing below");
    }
}

#[test]
fn formats_that_are_only_read_are_not_made() {
    let (names, file) = (LayerNames::numbered(1), source("file", "<source file='/a'/>"));
    for format in ["bochs", "cloop", "dmg", "fat", "cow", "iso", "dir"] {
        assert!(creation(&file, format, &names).content().is_err(), "{format}");
    }
    for (format, driver) in [("vhd", "vhdx"), ("ploop", "parallels"), ("vdi", "vdi"), ("vpc", "vpc")] {
        let made = creation(&file, format, &names).content().unwrap().unwrap();
        assert_eq!(made.get("driver"), Some(&Value::from(driver)));
    }
}
