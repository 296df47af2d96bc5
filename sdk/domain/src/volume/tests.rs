//! Volumes: read, refused, written back as they were.

use super::*;
use proptest::prelude::*;

const FULL: &str = "<volume type='file'>\n  <name>disk.qcow2</name>\n  <key>/srv/disk.qcow2</key>\n  \
    <capacity unit='GiB'>10</capacity>\n  <allocation unit='MiB'>1</allocation>\n  \
    <physical unit='bytes'>7</physical>\n  <target>\n    <path>/srv/disk.qcow2</path>\n    \
    <format type='qcow2'/>\n    <permissions><mode>0600</mode><owner>107</owner><group>-1</group></permissions>\n    \
    <timestamps><atime>1.2</atime></timestamps>\n    <compat>1.1</compat>\n    \
    <clusterSize unit='KiB'>64</clusterSize>\n    <nocow/>\n    \
    <features><lazy_refcounts/></features>\n  </target>\n  \
    <backingStore><path>/srv/base.raw</path><format type='raw'/></backingStore>\n</volume>\n";

#[test]
fn everything_is_read_and_written_back() {
    let volume = StorageVolume::parse(FULL).unwrap();
    assert_eq!(volume.to_xml(), FULL);
    assert!(volume.unmodelled().is_empty(), "{:?}", volume.unmodelled());
    assert_eq!((volume.capacity, volume.allocation), (Bytes(10 << 30), Some(Bytes(1 << 20))));
    let target = &volume.target;
    assert_eq!((target.format.as_deref(), target.compat), (Some("qcow2"), Some(Compat::V3)));
    assert_eq!((target.cluster_size, target.nocow), (Some(Bytes(65536)), true));
    assert_eq!((target.permissions.mode, target.permissions.group), (Some(0o600), None));
    assert!(target.features.is_some_and(|features| features.lazy_refcounts && !features.extended_l2));
    assert_eq!(volume.backing.unwrap().path, "/srv/base.raw");
}

#[test]
fn size_may_come_from_what_is_below() {
    let text = "<volume><name>a</name><backingStore><path>/b</path></backingStore></volume>";
    assert_eq!(StorageVolume::parse(text).unwrap().capacity, Bytes(0));
    let alone = StorageVolume::parse("<volume><name>a</name></volume>").unwrap_err();
    assert_eq!(alone.code(), "xml.missing-element");
}

#[test]
fn what_cannot_be_is_refused() {
    let cases = [
        ("<volume><name>../a</name><capacity>1</capacity></volume>", "xml.invalid-value"),
        ("<volume><name>-a</name><capacity>1</capacity></volume>", "xml.invalid-value"),
        ("<volume><name>a</name><capacity unit='GB2'>1</capacity></volume>", "xml.unknown-value"),
        ("<volume><name>a</name><capacity unit='EiB'>99</capacity></volume>", "xml.out-of-range"),
        ("<volume><name>a</name><capacity>-1</capacity></volume>", "xml.invalid-value"),
        (
            "<volume><name>a</name><capacity>1</capacity><target><compat>2</compat></target></volume>",
            "xml.unknown-value",
        ),
        (
            "<volume><name>a</name><capacity>1</capacity><target><clusterSize>3</clusterSize></target></volume>",
            "xml.out-of-range",
        ),
        ("<pool/>", "xml.wrong-root"),
    ];
    for (text, code) in cases {
        assert_eq!(StorageVolume::parse(text).unwrap_err().code(), code, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_refused_or_written_back(cut in 0..FULL.len(), inserted in "[<>a-z'/= ]{0,6}") {
        let text = format!("{}{inserted}{}", &FULL[..cut], &FULL[cut..]);
        if let Ok(volume) = StorageVolume::parse(&text) {
            prop_assert_eq!(volume.to_xml(), text);
        }
    }
}
