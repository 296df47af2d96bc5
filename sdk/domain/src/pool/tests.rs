//! Pools of every type: read, refused by rule, written back as they were.

use super::*;
use proptest::prelude::*;

/// A minimal pool of each type.
const GOOD: &[&str] = &[
    "<pool type='dir'><name>a</name><target><path>/srv/a</path></target></pool>",
    "<pool type='fs'><name>a</name><source><device path='/dev/sdb1'/><format type='xfs'/></source>\
     <target><path>/srv/a</path></target></pool>",
    "<pool type='netfs'><name>a</name><source><host name='nas'/><dir path='/export'/><format type='nfs'/>\
     <protocol ver='4.1'/></source><target><path>/srv/a</path></target></pool>",
    "<pool type='logical'><source><name>vg0</name><format type='lvm2'/></source></pool>",
    "<pool type='disk'><name>a</name><source><device path='/dev/sdb' part_separator='no'/>\
     <format type='gpt'/></source><target><path>/dev</path></target></pool>",
    "<pool type='iscsi'><name>a</name><source><host name='san' port='3261'/>\
     <device path='iqn.2013-06.com.example:pool'/><auth type='chap' username='u'><secret usage='s'/></auth>\
     </source><target><path>/dev/disk/by-path</path></target></pool>",
    "<pool type='iscsi-direct'><name>a</name><source><host name='san'/><device path='iqn.x:p'/>\
     <initiator><iqn name='iqn.me'/></initiator></source></pool>",
    "<pool type='scsi'><name>a</name><source><adapter type='scsi_host' name='host5'/></source>\
     <target><path>/dev/disk/by-path</path></target></pool>",
    "<pool type='mpath'><name>a</name></pool>",
    "<pool type='rbd'><name>a</name><source><host name='m1'/><host name='m2' port='6789'/>\
     <name>images</name><auth type='ceph' username='u'><secret uuid='x'/></auth></source></pool>",
    "<pool type='sheepdog'><name>a</name><source><host name='h'/><name>s</name></source></pool>",
    "<pool type='gluster'><name>a</name><source><host name='h'/><name>v</name><dir path='/'/></source></pool>",
    "<pool type='zfs'><name>a</name><source><name>tank/vms</name></source></pool>",
    "<pool type='vstorage'><name>a</name><source><name>c</name></source><target><path>/v</path></target></pool>",
];

#[test]
fn every_type_is_read_and_written_back() {
    let mut kinds = Vec::new();
    for text in GOOD {
        let pool = StoragePool::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(pool.to_xml(), *text);
        assert!(pool.unmodelled().is_empty(), "{text}: {:?}", pool.unmodelled());
        kinds.push(pool.kind);
    }
    kinds.dedup();
    assert_eq!(kinds.len(), 14);
}

#[test]
fn what_a_type_needs_is_missed_with_its_place() {
    let cases = [
        ("<pool type='dir'><name>a</name></pool>", "xml.missing-element", "path"),
        (
            "<pool type='fs'><name>a</name><target><path>/a</path></target></pool>",
            "xml.missing-element",
            "device",
        ),
        ("<pool type='logical'><name>a</name></pool>", "xml.missing-element", "name"),
        (
            "<pool type='iscsi-direct'><name>a</name><source><host name='h'/><device path='i'/></source></pool>",
            "xml.missing-element",
            "initiator",
        ),
        (
            "<pool type='dir'><name>a/b</name><target><path>/a</path></target></pool>",
            "xml.invalid-value",
            "'/'",
        ),
        (
            "<pool type='dir'><name>-a</name><target><path>/a</path></target></pool>",
            "xml.invalid-value",
            "'-'",
        ),
        ("<pool type='dir'><name>a</name><target><path>a</path></target></pool>", "xml.invalid-value", "'/'"),
        (
            "<pool type='dir'><name>a</name><target><path>/a/../b</path></target></pool>",
            "xml.invalid-value",
            "..",
        ),
        (
            "<pool type='logical'><name>a</name><source><name>../sda</name></source></pool>",
            "xml.invalid-value",
            "'/'",
        ),
        (
            "<pool type='fs'><name>a</name><source><device path='/d'/><format type='xsf'/></source>\
             <target><path>/a</path></target></pool>",
            "xml.unknown-value",
            "xsf",
        ),
        (
            "<pool type='fs'><name>a</name><source><device path='/d'/><device path='/e'/></source>\
             <target><path>/a</path></target></pool>",
            "xml.conflict",
            "2",
        ),
        (
            "<pool type='dir'><name>a</name><target><path>/a</path><permissions><mode>0999</mode></permissions>\
             </target></pool>",
            "xml.invalid-value",
            "octal",
        ),
        ("<pool type='dri'><name>a</name></pool>", "xml.unknown-value", "dri"),
        ("<domain/>", "xml.wrong-root", "pool"),
        ("<pool type='dir'><nmae>a</nmae></pool>", "xml.missing-element", "name"),
    ];
    for (text, code, said) in cases {
        let error = StoragePool::parse(text).unwrap_err();
        assert_eq!(error.code(), code, "{text}: {error}");
        assert!(error.to_string().contains(said), "{text}: {error}");
    }
}

#[test]
fn targets_follow_from_the_source() {
    let target = |text: &str| StoragePool::parse(text).unwrap().target.path;
    let logical = "<pool type='logical'><name>p</name><source><name>vg0</name></source>\
                   <target><path>/elsewhere</path></target></pool>";
    assert_eq!(target(logical).as_deref(), Some("/dev/vg0"));
    assert_eq!(target(GOOD[12]).as_deref(), Some("/dev/zvol/tank/vms"));
    assert_eq!(target(GOOD[9]), None);
}

#[test]
fn name_of_a_group_is_the_name_of_the_pool() {
    assert_eq!(StoragePool::parse(GOOD[3]).unwrap().name.as_str(), "vg0");
}

#[test]
fn what_is_measured_is_no_surprise_and_what_is_unknown_is_kept() {
    let text = "<pool type='dir'>\n  <name>a</name>\n  <capacity unit='bytes'>9</capacity>\n  \
                <allocation>1</allocation>\n  <available>8</available>\n  \
                <features><cow state='yes'/></features>\n  <target><path>/a</path></target>\n</pool>\n";
    let mut pool = StoragePool::parse(text).unwrap();
    assert_eq!(pool.unmodelled().len(), 1, "{:?}", pool.unmodelled());
    pool.set_uuid(&DomainUuid::parse("c7a5fdbdedaf9455926ad65c16db1809").unwrap()).unwrap();
    let uuid = "<name>a</name>\n  <uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>\n  <capacity";
    assert!(pool.to_xml().contains(uuid), "{}", pool.to_xml());
    assert!(StoragePool::parse(&pool.to_xml()).unwrap().uuid.is_some());
}

proptest! {
    #[test]
    fn any_text_is_refused_or_written_back(index in 0..GOOD.len(), cut in 0_usize..200, inserted in "[<>a-z'/= ]{0,6}") {
        let text = GOOD[index];
        let at = text.char_indices().nth(cut % text.len()).map_or(0, |(at, _)| at);
        let text = format!("{}{inserted}{}", &text[..at], &text[at..]);
        if let Ok(pool) = StoragePool::parse(&text) {
            prop_assert_eq!(pool.to_xml(), text);
        }
    }
}
