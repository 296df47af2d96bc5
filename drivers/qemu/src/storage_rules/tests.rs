//! Every rule refuses what breaks it, with disk, element and remedy, and nothing else.

#![expect(clippy::print_stderr, reason = "a skipped set must be visible")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::blockdev::{Chain, Names, declared};

fn domain(disk: &str) -> Domain {
    Domain::parse(&format!(
        "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os>\n<devices>{disk}</devices></domain>"
    ))
    .unwrap_or_else(|error| panic!("{disk}: {error}"))
}

/// The code of the rule that a disk breaks; the rest of the error is what it should be.
fn rule(disk: &str) -> Option<String> {
    let Err(error) = refuse(&domain(disk), false) else { return None };
    let Error::Unsupported(problem) = error else { panic!("{disk}: {error:?}") };
    let detail = |key: &str| problem.details.iter().find(|fact| fact.key == key).map(|fact| &fact.value);
    assert!(problem.message.starts_with("disk 'vda'"), "{}", problem.message);
    assert_eq!(detail("disk").unwrap(), "vda");
    assert_eq!(detail("line").unwrap(), "2");
    assert!(detail("element").unwrap().starts_with("domain/devices/disk"), "{problem:?}");
    assert!(!problem.hints.is_empty(), "{problem:?}");
    problem.code.strip_prefix("qemu.storage-").map(str::to_owned)
}

/// A disk of a kind, with a driver, a source and what follows.
fn disk(kind: &str, driver: &str, source: &str, after: &str) -> String {
    let target = if after.contains("<target") { "" } else { "<target dev='vda' bus='virtio'/>" };
    format!("<disk type='{kind}'><driver name='qemu' {driver}/>{source}{after}{target}</disk>")
}

fn file(driver: &str, inside: &str, after: &str) -> String {
    disk("file", driver, &format!("<source file='/a'>{inside}</source>"), after)
}

fn server(protocol: &str, attributes: &str, inside: &str) -> String {
    let source = format!("<source protocol='{protocol}' {attributes}>{inside}</source>");
    disk("network", "type='raw'", &source, "")
}

const HOST: &str = "<host name='h'/>";

fn check(cases: &[(String, Option<&str>)]) {
    for (disk, expected) in cases {
        assert_eq!(rule(disk).as_deref(), *expected, "{disk}");
    }
}

#[test]
fn formats_go_with_their_sources() {
    let directory = |driver: &str, after: &str| disk("dir", driver, "<source dir='/d'/>", after);
    let below =
        "<backingStore type='file'><format type='raw'/><source file='/b'/><backingStore/></backingStore>";
    check(&[
        (file("type='cow'", "", ""), Some("format")),
        (file("type='dir'", "", ""), Some("format")),
        (file("type='iso'", "", ""), Some("format")),
        (file("type='zip'", "", ""), Some("format")),
        (file("type='fat'", "", ""), Some("fat")),
        (file("type='luks'", "", ""), Some("format")),
        (directory("type='fat'", "<readonly/>"), None),
        (directory("type='fat'", ""), Some("directory")),
        (directory("type='raw'", "<readonly/>"), Some("directory")),
        (file("type='raw'", "", below), Some("backing")),
        (file("type='vdi'", "", below), Some("backing")),
        (file("type='luks'", "", below), Some("format")),
        (file("type='qcow2'", "", below), None),
        (file("type='raw'", "", "<backingStore/>"), None),
        (file("type='raw' discard_no_unref='on'", "", ""), Some("discard-no-unref")),
        (file("type='qcow2' discard_no_unref='on'", "", ""), None),
        (disk("file", "type='raw'", "", ""), Some("empty")),
    ]);
    let cached = "<disk type='file'><driver type='FORMAT'><metadata_cache><max_size>1024</max_size></metadata_cache></driver>\
                  <source file='/a'/><target dev='vda'/></disk>";
    check(&[
        (cached.replace("FORMAT", "raw"), Some("metadata-cache")),
        (cached.replace("FORMAT", "qcow2"), None),
    ]);
}

#[test]
fn a_layer_below_is_looked_at_too() {
    let below =
        "<backingStore type='file'><format type='iso'/><source file='/b'/><backingStore/></backingStore>";
    let Err(Error::Unsupported(problem)) = refuse(&domain(&file("type='qcow2'", "", below)), true) else {
        panic!("accepted")
    };
    assert!(problem.message.starts_with("disk 'vda', layer 1 of its chain"), "{}", problem.message);
    assert!(problem.details.iter().any(|fact| fact.value.ends_with("backingStore/source")), "{problem:?}");
}

#[test]
fn members_of_servers_go_with_their_protocols() {
    let cookie = |value: &str| format!("{HOST}<cookies><cookie name='c'>{value}</cookie></cookies>");
    check(&[
        (server("http", "name='a'", &format!("{HOST}<ssl verify='no'/>")), Some("protocol-member")),
        (server("https", "name='a'", &format!("{HOST}<ssl verify='no'/>")), None),
        (server("nbd", "", &cookie("v")), Some("protocol-member")),
        (server("http", "name='a'", &cookie("v")), None),
        (server("nbd", "", &format!("{HOST}<readahead size='1'/>")), Some("protocol-member")),
        (server("ftps", "name='a'", &format!("{HOST}<readahead size='1'/>")), None),
        (server("ssh", "name='a'", &format!("{HOST}<timeout seconds='1'/>")), Some("protocol-member")),
        (server("ftp", "name='a' query='q'", HOST), Some("protocol-member")),
        (server("http", "name='a' query='q'", HOST), None),
        (server("rbd", "name='p/a' tls='yes'", HOST), Some("protocol-member")),
        (server("rbd", "name='p/a' tls='no'", HOST), None),
        (server("nbd", "tls='yes' tlsHostname='x'", HOST), None),
        (server("https", "name='a' tlsHostname='x'", HOST), Some("protocol-member")),
        (server("nbd", "", &format!("{HOST}<snapshot name='s'/>")), Some("protocol-member")),
        (server("rbd", "name='p/a'", "<snapshot name='s'/><config file='/c'/>"), None),
        (server("nbd", "", &format!("{HOST}<config file='/c'/>")), Some("protocol-member")),
        (server("nbd", "", &format!("{HOST}<reconnect delay='1'/>")), None),
        (server("https", "name='a'", &format!("{HOST}<reconnect delay='1'/>")), Some("protocol-member")),
        (server("nbd", "", &format!("{HOST}<identity user='+1'/>")), Some("protocol-member")),
        (
            server("nbd", "", &format!("{HOST}<initiator><iqn name='i'/></initiator>")),
            Some("protocol-member"),
        ),
    ]);
}

#[test]
fn hosts_and_names_are_what_the_protocol_wants() {
    check(&[
        (server("tftp", "name='a'", HOST), Some("protocol")),
        (server("nfs", "name='/a'", HOST), None),
        (server("nfs", "name='/a'", "<host name='h' port='1'/>"), Some("nfs-host")),
        (server("nfs", "name='/a'", &HOST.repeat(2)), Some("nfs-host")),
        (server("nfs", "name='/a'", "<host transport='unix' socket='/s'/>"), Some("nfs-host")),
        (server("nbd", "", ""), Some("source")),
        (server("gluster", "name='volume'", HOST), Some("source")),
        (server("iscsi", "name='t/x'", HOST), Some("source")),
        (server("sheepdog", "name='a'", HOST), Some("protocol")),
        (server("vxhs", "name='a'", HOST), Some("protocol")),
    ]);
    assert!(refuse(&domain(&server("vxhs", "name='a'", HOST)), true).is_ok(), "it can be compared");
}

#[test]
fn credentials_go_with_servers_that_ask_for_them() {
    let auth = |kind: &str| format!("{HOST}<auth username='u'><secret type='{kind}' usage='s'/></auth>");
    check(&[
        (server("nbd", "", &auth("iscsi")), Some("auth")),
        (server("gluster", "name='v/a'", &auth("iscsi")), Some("auth")),
        (server("iscsi", "name='t/1'", &auth("iscsi")), None),
        (server("iscsi", "name='t/1'", &auth("ceph")), Some("auth-secret")),
        (server("rbd", "name='p/a'", &auth("ceph")), None),
        (server("rbd", "name='p/a'", &auth("iscsi")), Some("auth-secret")),
        (server("https", "name='a'", &auth("iscsi")), None),
        (server("ssh", "name='a'", &auth("iscsi")), None),
    ]);
}

#[test]
fn cookies_cannot_carry_anything_else() {
    let cookies = |inside: &str| server("https", "name='a'", &format!("{HOST}<cookies>{inside}</cookies>"));
    let one = |name: &str, value: &str| cookies(&format!("<cookie name='{name}'>{value}</cookie>"));
    check(&[
        (one("session", "aGVsbG8="), None),
        (one("session", "&quot;a&quot;"), None),
        (one("a b", "v"), Some("cookie-name")),
        (one("a=b", "v"), Some("cookie-name")),
        (one("a", "v; other=1"), Some("cookie-value")),
        (one("a", "v&#10;Header: x"), Some("cookie-value")),
        (one("a", "&quot;"), Some("cookie-value")),
        (cookies("<cookie name='a'>1</cookie><cookie name='a'>2</cookie>"), Some("cookie-twice")),
    ]);
    let Err(Error::Unsupported(problem)) = refuse(&domain(&one("a", "hunter2;")), false) else { panic!() };
    assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
}

#[test]
fn encryption_goes_with_what_decrypts_it() {
    let secret = "<secret type='passphrase' usage='s'/>";
    let encrypted = |format: &str, encryption: &str, inside: &str| {
        file(&format!("type='{format}'"), &format!("<encryption {encryption}>{inside}</encryption>"), "")
    };
    let ceph = |encryption: &str, inside: &str| {
        server("rbd", "name='p/a'", &format!("{HOST}<encryption {encryption}>{inside}</encryption>"))
    };
    check(&[
        (encrypted("raw", "format='luks'", secret), None),
        (encrypted("qcow2", "format='luks'", secret), None),
        (encrypted("luks", "format='luks'", secret), None),
        (encrypted("vmdk", "format='luks'", secret), Some("encryption-format")),
        (encrypted("qcow2", "format='qcow'", secret), Some("encryption-format")),
        (encrypted("qcow2", "format='default'", secret), Some("encryption-format")),
        (encrypted("raw", "format='rot13'", secret), Some("encryption-format")),
        (encrypted("raw", "format='luks2'", secret), Some("encryption-engine")),
        (encrypted("raw", "format='luks2' engine='qemu'", secret), Some("encryption-engine")),
        (encrypted("raw", "format='luks' engine='librbd'", secret), Some("encryption-engine")),
        (encrypted("raw", "format='luks'", ""), Some("encryption-secrets")),
        (encrypted("raw", "format='luks'", &secret.repeat(2)), Some("encryption-secrets")),
        (
            encrypted("raw", "format='luks'", &format!("{secret}<cipher name='aes' size='256'/>")),
            Some("encryption-cipher"),
        ),
        (ceph("format='luks2' engine='librbd'", secret), None),
        (ceph("format='luks-any' engine='librbd'", &secret.repeat(2)), None),
        (ceph("format='luks-any' engine='librbd'", &secret.repeat(17)), Some("encryption-secrets")),
        (ceph("format='qcow' engine='librbd'", secret), Some("encryption-format")),
    ]);
}

#[test]
fn logical_units_are_whole_and_raw() {
    let lun = |kind: &str, driver: &str, source: &str, bus: &str| {
        format!(
            "<disk type='{kind}' device='lun'><driver {driver}/>{source}<target dev='vda' bus='{bus}'/></disk>"
        )
    };
    let slice =
        "<source dev='/dev/a'><slices><slice type='storage' offset='0' size='512'/></slices></source>";
    let block = "<source dev='/dev/a'/>";
    let iscsi = format!("<source protocol='iscsi' name='t/1'>{HOST}</source>");
    let nbd = format!("<source protocol='nbd'>{HOST}</source>");
    check(&[
        (lun("block", "type='raw'", block, "scsi"), None),
        (lun("network", "type='raw'", &iscsi, "scsi"), None),
        (lun("file", "type='raw'", "<source file='/a'/>", "scsi"), Some("lun")),
        (lun("network", "type='raw'", &nbd, "scsi"), Some("lun")),
        (lun("block", "type='qcow2'", block, "scsi"), Some("lun")),
        (lun("block", "type='raw'", slice, "scsi"), Some("lun")),
        (lun("block", "type='raw'", block, "sata"), Some("lun")),
        (
            lun("block", "type='raw'", "<source dev='/dev/a'><reservations managed='yes'/></source>", "scsi"),
            None,
        ),
        (file("type='raw'", "<reservations managed='yes'/>", ""), Some("reservations")),
    ]);
}

#[test]
fn disks_that_another_process_serves_ask_nothing_of_qemu() {
    let served =
        |driver: &str, after: &str| disk("vhostuser", driver, "<source type='unix' path='/s'/>", after);
    check(&[
        (served("type='raw'", ""), None),
        (served("type='raw'", "<target dev='vda' bus='sata'/>"), Some("vhost-user")),
    ]);
    for driver in [
        "cache='none'",
        "io='threads'",
        "discard='unmap'",
        "copy_on_read='on'",
        "iothread='1'",
        "detect_zeroes='on'",
    ] {
        check(&[(served(driver, ""), Some("vhost-user"))]);
    }
    for after in [
        "<readonly/>",
        "<shareable/>",
        "<transient/>",
        "<serial>s</serial>",
        "<backingStore/>",
        "<iotune><total_bytes_sec>1</total_bytes_sec></iotune>",
        "<geometry cyls='1' heads='1' secs='1'/>",
        "<blockio logical_block_size='512'/>",
    ] {
        check(&[(served("type='raw'", after), Some("vhost-user"))]);
    }
}

#[test]
fn limits_are_ones_that_qemu_takes() {
    let tuned = |limits: &str| file("type='raw'", "", &format!("<iotune>{limits}</iotune>"));
    check(&[
        (tuned("<total_bytes_sec>1</total_bytes_sec>"), None),
        (tuned("<total_bytes_sec>1</total_bytes_sec><read_bytes_sec>1</read_bytes_sec>"), Some("iotune")),
        (
            tuned("<total_iops_sec_max>1</total_iops_sec_max><write_iops_sec_max>1</write_iops_sec_max>"),
            Some("iotune"),
        ),
        (tuned("<read_iops_sec_max_length>1</read_iops_sec_max_length>"), Some("iotune")),
        (tuned("<group_name>a b</group_name>"), Some("iotune")),
        (tuned("<group_name>gold</group_name>"), None),
        (file("type='raw' io='native'", "", ""), Some("io-native")),
        (file("type='raw' io='native' cache='none'", "", ""), None),
        (file("type='raw' io='native'", "", "<shareable/>"), None),
    ]);
}

#[test]
fn copying_on_read_is_not_what_qemu_would_refuse_to_itself() {
    let remote = format!("<source protocol='nbd'>{HOST}</source>");
    check(&[
        (file("type='qcow2' copy_on_read='on'", "", ""), Some("copy-on-read")),
        (file("type='qcow2' copy_on_read='on'", "", "<readonly/>"), None),
        (file("type='raw' copy_on_read='on'", "", ""), None),
        (disk("network", "type='qcow2' copy_on_read='on'", &remote, ""), None),
    ]);
    assert!(
        refuse(&domain(&file("type='qcow2' copy_on_read='on'", "", "")), true).is_ok(),
        "it can be compared"
    );
}

#[test]
fn windows_are_ones_that_qemu_takes() {
    let sliced = |offset: u64, size: u64| {
        let slice = format!("<slices><slice type='storage' offset='{offset}' size='{size}'/></slices>");
        file("type='raw'", &slice, "")
    };
    check(&[
        (sliced(9876, 512), None),
        (sliced(0, 0), None),
        (sliced(0, 54_321), Some("slice")),
        (sliced(u64::MAX, 512), Some("slice")),
        (sliced(i64::MAX.unsigned_abs(), 512), Some("slice")),
    ]);
}

#[test]
fn what_libvirt_accepts_breaks_no_rule() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    for corpus in ["argv", "oracle90", "realistic"] {
        let Ok(entries) = fs::read_dir(shared.join(corpus)) else {
            eprintln!("skipped: {corpus} is not there");
            continue;
        };
        for entry in entries {
            let file = entry.unwrap().path().join("domain.xml");
            let Ok(text) = fs::read_to_string(&file) else { continue };
            let Ok(domain) = Domain::parse(&text) else { continue };
            refuse(&domain, true).unwrap_or_else(|error| panic!("{}: {error:?}", file.display()));
        }
    }
}

fn any_disk() -> impl Strategy<Value = String> {
    let word = |words: &'static [&'static str]| prop::sample::select(words);
    let driver = (
        word(&[
            "raw", "qcow2", "qcow", "qed", "vmdk", "vdi", "vpc", "vhdx", "fat", "iso", "cow", "zip", "luks",
        ]),
        word(&[
            "",
            " cache='none'",
            " cache='unsafe'",
            " io='native'",
            " copy_on_read='on'",
            " discard='unmap'",
        ]),
    );
    let location = word(&[
        "type='file'><SOURCE file='/a'",
        "type='block'><SOURCE dev='/dev/a'",
        "type='dir'><SOURCE dir='/d'",
        "type='volume'><SOURCE pool='p' volume='v'",
        "type='network'><SOURCE protocol='nbd'",
        "type='network'><SOURCE protocol='nbd' tls='yes'",
        "type='network'><SOURCE protocol='rbd' name='p/i'",
        "type='network'><SOURCE protocol='rbd' name='i'",
        "type='network'><SOURCE protocol='gluster' name='v/p'",
        "type='network'><SOURCE protocol='iscsi' name='t/1'",
        "type='network'><SOURCE protocol='iscsi' name='t/x'",
        "type='network'><SOURCE protocol='https' name='a'",
        "type='network'><SOURCE protocol='tftp' name='a'",
        "type='network'><SOURCE protocol='ssh' name='a'",
        "type='network'><SOURCE protocol='nfs' name='/a'",
        "type='network'><SOURCE protocol='sheepdog' name='a'",
        "type='network'><SOURCE protocol='vxhs' name='a'",
    ]);
    let inside = prop::collection::vec(
        word(&[
            "<host name='h'/>",
            "<host name='h' port='1'/>",
            "<host transport='unix' socket='/s'/>",
            "<host transport='rdma' name='h'/>",
            "<ssl verify='no'/>",
            "<cookies><cookie name='c'>v</cookie></cookies>",
            "<identity user='root'/>",
            "<encryption format='luks'><secret type='passphrase' usage='s'/></encryption>",
            "<encryption format='luks' engine='librbd'><secret type='passphrase' usage='s'/></encryption>",
            "<slices><slice type='storage' offset='0' size='512'/></slices>",
            "<reservations managed='yes'/>",
        ]),
        0..3,
    );
    let after = word(&[
        "",
        "<readonly/>",
        "<backingStore/>",
        "<backingStore type='file'><format type='raw'/><source file='/b'/><backingStore/></backingStore>",
        "<backingStore type='file'><format type='iso'/><source file='/b'/></backingStore>",
    ]);
    (driver, location, inside, after).prop_map(|((format, more), location, inside, after)| {
        let source = location.replace("SOURCE", "source");
        let (head, source) = source.split_once('>').unwrap();
        format!(
            "<disk {head}><driver type='{format}'{more}/>{source}>{}</source>{after}<target dev='vda' bus='virtio'/></disk>",
            inside.concat()
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]
    #[test]
    fn what_breaks_no_rule_has_nodes(disk in any_disk()) {
        let domain = domain(&disk);
        if refuse(&domain, true).is_ok() {
            let disk = &domain.devices.disks[0];
            let layers = declared(disk);
            let chain = Chain { disk, layers: &layers, names: Names::Numbered(1), comparison: true };
            let nodes = chain.nodes();
            prop_assert!(nodes.is_ok(), "{:?}", nodes);
        }
    }
}
