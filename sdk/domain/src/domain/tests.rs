//! What a domain says, and how wrong ones are refused.

use super::*;
use crate::chardev::CharBackend;
use crate::disk::{DiskBus, DiskDevice};
use crate::interface::InterfaceSource;
use crate::storage_source::{Backing, Location};
use proptest::prelude::*;

/// A domain with these lines after its memory, and these devices; both begin on lines of their own.
fn domain(top: &str, devices: &str) -> String {
    format!(
        "<domain type='kvm'>\n<name>a</name>\n<memory unit='MiB'>64</memory>\n<os><type arch='x86_64'>hvm</type></os>\n\
         {top}\n<devices>\n{devices}\n</devices>\n</domain>\n"
    )
}

fn parse(top: &str, devices: &str) -> Domain {
    Domain::parse(&domain(top, devices)).unwrap_or_else(|error| panic!("{error}"))
}

/// Code, line, column and first hint of a refusal.
fn refusal(top: &str, devices: &str) -> (&'static str, u32, u32, String) {
    let error = Domain::parse(&domain(top, devices)).unwrap_err();
    let hint = error.hints.first().cloned().unwrap_or_default();
    (error.code(), error.position.line, error.position.column, hint)
}

fn hint(name: &str) -> String {
    format!("did you mean '{name}'?")
}

#[test]
fn features_in_several_elements_are_read_together() {
    let text = "<domain type='kvm'><name>a</name><memory>64</memory><os><type>hvm</type></os><features><acpi/></features>\
                <devices/><features><ioapic driver='qemu'/><acpi/></features></domain>";
    let features = Domain::parse(text).unwrap().features;
    assert!(features.acpi && features.ioapic == Some(crate::features::IoApic::Qemu));
}

#[test]
fn sound_is_played_by_a_back_end_that_is_there() {
    let code = |devices: &str| {
        let text = format!(
            "<domain type='kvm'><name>a</name><memory>64</memory><os><type>hvm</type></os><devices>{devices}</devices></domain>"
        );
        Domain::parse(&text).err().map(|error| error.code())
    };
    let card = |id: u32| format!("<sound model='ich9'><audio id='{id}'/></sound>");
    assert_eq!(code(&card(2)), Some("xml.invalid-value"));
    assert_eq!(code(&card(1)), None, "the one that will be there");
    assert_eq!(code(&format!("{}<audio id='2' type='none'/>", card(2))), None);
    assert_eq!(code(&format!("{}<audio id='2' type='none'/>", card(1))), Some("xml.invalid-value"));
    assert_eq!(code("<audio id='0' type='none'/>"), Some("xml.out-of-range"));
}

#[test]
fn pool_of_an_io_thread_has_its_least_below_its_most() {
    let code = |pool: &str| {
        let text = format!(
            "<domain type='kvm'><name>a</name><memory>64</memory><iothreads>1</iothreads><iothreadids>\
             <iothread id='1' {pool}/></iothreadids><os><type>hvm</type></os></domain>"
        );
        Domain::parse(&text).err().map(|error| error.code())
    };
    assert_eq!(code("thread_pool_min='9' thread_pool_max='8'"), Some("xml.out-of-range"));
    assert_eq!(code("thread_pool_min='8' thread_pool_max='8'"), None);
    assert_eq!(code("thread_pool_min='9'"), None);
}

#[test]
fn values_of_features_are_held_against_their_ranges() {
    let code = |features: &str| {
        let text = format!(
            "<domain type='kvm'><name>a</name><memory>64</memory><os><type>hvm</type></os><features>{features}</features></domain>"
        );
        Domain::parse(&text).err().map(|error| error.code())
    };
    for (bad, wanted, good) in [
        (
            "<hyperv><spinlocks state='on' retries='100'/></hyperv>",
            "xml.out-of-range",
            "<hyperv><spinlocks state='on' retries='4095'/></hyperv>",
        ),
        (
            "<hyperv><spinlocks state='on'/></hyperv>",
            "xml.missing-attribute",
            "<hyperv><spinlocks state='off'/></hyperv>",
        ),
        (
            "<hyperv><vendor_id state='on' value='more than twelve'/></hyperv>",
            "xml.out-of-range",
            "<hyperv><vendor_id state='on' value='just twelve!'/></hyperv>",
        ),
        (
            "<hyperv><vendor_id state='on'/></hyperv>",
            "xml.missing-attribute",
            "<hyperv><vendor_id state='off'/></hyperv>",
        ),
        (
            "<kvm><dirty-ring state='on' size='1000'/></kvm>",
            "xml.out-of-range",
            "<kvm><dirty-ring state='on' size='4096'/></kvm>",
        ),
        (
            "<kvm><dirty-ring state='on' size='512'/></kvm>",
            "xml.out-of-range",
            "<kvm><dirty-ring state='off' size='512'/></kvm>",
        ),
    ] {
        assert_eq!(code(bad), Some(wanted), "{bad}");
        assert_eq!(code(good), None, "{good}");
    }
}

#[test]
fn defaults_are_filled_in() {
    let domain = parse("", "");
    assert_eq!((domain.memory, domain.current_memory), (Bytes::from_mib(64), Bytes::from_mib(64)));
    assert_eq!(domain.vcpus.at_start(), 1);
    assert_eq!(domain.on_reboot, LifecycleAction::Restart);
    assert_eq!(domain.uuid, None);
    assert!(domain.unmodelled().is_empty());
}

#[test]
fn memory_follows_cells_and_devices() {
    let cells = "<maxMemory slots='2' unit='GiB'>1</maxMemory><cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/>\
                 <cell id='1' memory='16384'/></numa></cpu>";
    let dimm = "<memory model='dimm'><target><size unit='MiB'>8</size><node>0</node></target></memory>";
    let domain = parse(cells, dimm);
    assert_eq!(domain.memory, Bytes::from_mib(56));
    assert_eq!(domain.initial_memory(), Bytes::from_mib(48));
    assert_eq!(domain.plugged_memory(), Bytes::from_mib(8));
    let no_room = "<memory model='dimm'><target><size unit='MiB'>64</size></target></memory>";
    assert_eq!(refusal("", no_room).0, "xml.out-of-range");
}

#[test]
fn what_lies_below_a_disk_has_three_values() {
    let disk = |inside: &str| format!("<disk><source file='/t'/>{inside}<target dev='vda'/></disk>");
    let backing = |inside: &str| parse("", &disk(inside)).devices.disks[0].source.backing.clone();
    assert_eq!(backing(""), Backing::Unknown);
    assert_eq!(backing("<backingStore/>"), Backing::Nothing);
    let chain = "<driver type='qcow2'/><backingStore type='block'><format type='raw'/><source dev='/b'/>\
                 <backingStore/></backingStore>";
    let domain = parse("", &disk(chain));
    let layers: Vec<_> = domain.devices.disks[0].source.layers().collect();
    assert_eq!(layers[0].format.as_deref(), Some("qcow2"));
    assert_eq!(layers[1].location, Location::Block("/b".to_owned()));
    assert_eq!((layers.len(), &layers[1].backing), (2, &Backing::Nothing));
    let formatless = disk("<backingStore type='file'><source file='/b'/></backingStore>");
    assert_eq!(refusal("", &formatless).0, "xml.missing-element");
}

#[test]
fn disks_say_what_they_are() {
    let devices = "<disk device='cdrom'><target dev='hdc'/></disk>\n<disk type='volume'>\
        <source pool='p' volume='v'/><target dev='sdb' bus='sata'/></disk><disk type='nvme'>\
        <source type='pci' namespace='1'><address domain='0' bus='1' slot='0' function='0'/></source>\
        <target dev='vdc'/></disk>";
    let domain = parse("", devices);
    let [cdrom, volume, nvme] = &domain.devices.disks[..] else { panic!("three disks") };
    assert_eq!((cdrom.device, cdrom.bus, cdrom.readonly), (DiskDevice::Cdrom, DiskBus::Ide, true));
    assert_eq!(cdrom.source.location, Location::Empty);
    assert!(matches!(&volume.source.location, Location::Volume { pool, .. } if pool == "p"));
    assert!(matches!(nvme.source.location, Location::Nvme { namespace: 1, managed: true, .. }));
    assert_eq!(domain.devices.disk("sdb").unwrap().target.index(), Some(1));
    let half = "<disk type='volume'><source pool='p'/><target dev='vda'/></disk>";
    assert_eq!(refusal("", half), ("xml.missing-attribute", 7, 21, "add the attribute".to_owned()));
}

#[test]
fn sockets_of_channels_may_lack_a_path() {
    let channel = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>";
    let domain = parse("", channel);
    let agent = &domain.devices.channels[0];
    assert!(agent.is_guest_agent());
    assert_eq!(agent.source.backend, CharBackend::Unix { path: None, listen: true, reconnect: None });
    assert_eq!(refusal("", "<serial type='unix'><source mode='bind'/></serial>").0, "xml.missing-attribute");
}

#[test]
fn interfaces_name_what_they_are_connected_to() {
    let domain = parse("", "<interface type='user'><mac address='52:54:00:00:00:01'/></interface>");
    assert_eq!(domain.devices.interfaces[0].source, InterfaceSource::User { dev: None });
    assert_eq!(domain.devices.interfaces[0].mac.unwrap().to_string(), "52:54:00:00:00:01");
    assert_eq!(refusal("", "<interface type='bridge'/>").0, "xml.missing-element");
}

#[test]
fn iothreads_get_the_lowest_free_ids() {
    let domain = parse("<iothreads>4</iothreads><iothreadids><iothread id='2'/></iothreadids>", "");
    let ids: Vec<u32> = domain.iothreads.all().iter().map(|thread| thread.id).collect();
    assert_eq!(ids, [2, 1, 3, 4]);
    assert_eq!(refusal("<iothreads>5000</iothreads>", "").0, "xml.out-of-range");
}

#[test]
fn texts_are_taken_as_they_stand() {
    let text = domain("", "").replace(
        "<os>",
        "<sysinfo type='smbios'><oemStrings><entry> x </entry></oemStrings></sysinfo>\n<os><cmdline>a  b </cmdline>",
    );
    let domain = Domain::parse(&text).unwrap();
    assert_eq!(domain.os.cmdline.as_deref(), Some("a  b "));
    assert!(matches!(&domain.sysinfo[0], Sysinfo::Smbios(tables) if tables.oem_strings == [" x "]));
    let wrong = text.replace("<name>a</name>", "<name>a\n</name>");
    assert_eq!(Domain::parse(&wrong).unwrap_err().code(), "xml.invalid-value");
}

#[test]
fn the_qemu_namespace_goes_by_its_uri() {
    let text = domain("<z:commandline><z:arg value='-x'/></z:commandline>", "");
    let text = text.replace("type='kvm'", &format!("type='kvm' xmlns:z='{}'", crate::qemu::NAMESPACE));
    let domain = Domain::parse(&text).unwrap();
    assert_eq!(domain.qemu.arguments, ["-x"]);
    assert!(domain.unmodelled().is_empty());
    let other = Domain::parse(&text.replace("qemu/1.0", "other")).unwrap();
    assert!(other.qemu.arguments.is_empty());
    assert_eq!(other.unmodelled()[0].path, "domain/z:commandline");
}

#[test]
fn wrong_values_are_refused_where_they_stand() {
    assert_eq!(
        refusal("", "<disk  device='cdorm'><target dev='vda'/></disk>"),
        ("xml.unknown-value", 7, 8, hint("cdrom"))
    );
    assert_eq!(refusal("<on_reboot>restrat</on_reboot>", ""), ("xml.unknown-value", 5, 1, hint("restart")));
    assert_eq!(refusal("<vcpu>0</vcpu>", "").0, "xml.out-of-range");
    assert_eq!(refusal("<vcpu>99999999999</vcpu>", "").0, "xml.out-of-range");
    assert_eq!(refusal("<vcpu>two</vcpu>", "").0, "xml.invalid-value");
    assert_eq!(refusal("<currentMemory unit='MIB8'>1</currentMemory>", "").0, "xml.unknown-value");
    assert_eq!(refusal("<maxMemory unit='EiB'>99</maxMemory>", "").0, "xml.out-of-range");
    assert_eq!(refusal("", "<disk/>").0, "xml.missing-element");
    let twice = "<cpu><feature name='a'/><feature name='a'/></cpu>";
    assert_eq!(refusal(twice, ""), ("xml.conflict", 5, 25, "keep one of the two".to_owned()));
    assert_eq!(Domain::parse("<pool/>").unwrap_err().code(), "xml.wrong-root");
}

#[test]
fn slips_are_refused_and_strangers_are_reported() {
    assert_eq!(refusal("<fetures/>", ""), ("xml.unknown-element", 5, 1, hint("features")));
    let slip = "<disk devcie='disk'><target dev='vda'/></disk>";
    assert_eq!(refusal("", slip), ("xml.unknown-attribute", 7, 7, hint("device")));
    let domain = parse(
        "<keywrap/>\n<features><hpt/></features>",
        "<crypto/><rng model='virtio' colour='red'><backend model='builtin'/></rng>",
    );
    let paths: Vec<&str> = domain.unmodelled().iter().map(|thing| thing.path.as_str()).collect();
    let wanted =
        ["domain/keywrap", "domain/features/hpt", "domain/devices/crypto", "domain/devices/rng@colour"];
    assert_eq!(paths, wanted);
    assert_eq!(domain.unmodelled()[1].to_string(), "line 6, column 11: domain/features/hpt");
}

#[test]
fn a_second_element_that_is_not_read_is_reported() {
    let domain = parse("<clock offset='utc'/><clock offset='localtime'/>", "");
    assert_eq!(domain.unmodelled()[0].path, "domain/clock[2]");
}

#[test]
fn an_error_reads_as_a_sentence_with_its_place() {
    let error = Domain::parse(&domain("", "<watchdog model='i6300esb' action='rest'/>")).unwrap_err();
    let wanted = "line 7, column 28, in domain/devices/watchdog: attribute 'action' of 'watchdog' is 'rest', \
                  which is not known";
    assert_eq!(error.to_string(), wanted);
    assert_eq!(
        error.hints.last().unwrap(),
        "known values: reset, shutdown, poweroff, pause, dump, none, inject-nmi"
    );
}

#[test]
fn hostile_numbers_of_elements_stay_cheap() {
    let strangers: String = (0..20_000).map(|number| format!("<s{number}/>")).collect();
    assert_eq!(parse(&strangers, "").unmodelled().len(), 256);
    let features: String = (0..20_000).map(|number| format!("<feature name='f{number}'/>")).collect();
    assert_eq!(parse(&format!("<cpu>{features}</cpu>"), "").cpu.unwrap().features.len(), 20_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn changed_documents_never_panic(at in 0..400_usize, junk in "[<>/='\"a-z0-9 &-]{0,6}", len in 0..8_usize) {
        let text = domain(
            "<vcpu current='1'>2</vcpu><cpu><topology sockets='1' cores='2' threads='1'/></cpu>",
            "<disk type='network'><source protocol='nbd'><host name='h' port='1'/></source><target dev='vda'/>\
             <address type='pci' bus='0x1' slot='010'/></disk><graphics type='vnc' port='-1'/>",
        );
        let from = at.min(text.len());
        let to = (from + len).min(text.len());
        let changed = format!("{}{junk}{}", &text[..from], &text[to..]);
        match Domain::parse(&changed) {
            Ok(domain) => prop_assert_eq!(domain.to_xml(), changed),
            Err(error) => prop_assert!(error.position.line as usize <= changed.lines().count() + 1),
        }
    }
}
