//! Every rule refuses what breaks it, with its place, and nothing that libvirt takes.

#![expect(clippy::print_stderr, reason = "a skipped set must be visible")]

mod refused;

use std::fs;
use std::path::Path;

use hostler_sdk::Error;
use hostler_sdk::domain::Domain;

use super::refuse;

fn code(arch: &str, machine: &str, top: &str, devices: &str) -> Option<String> {
    let xml = format!(
        "<domain type='qemu'><name>n</name><memory>65536</memory><os><type arch='{arch}' machine='{machine}'>hvm</type></os>\
         {top}<devices>{devices}</devices></domain>"
    );
    code_of(&xml)
}

fn code_of(xml: &str) -> Option<String> {
    match refuse(&Domain::parse(xml).unwrap_or_else(|error| panic!("{xml}: {error}"))) {
        Ok(()) => None,
        Err(Error::Unsupported(problem)) => {
            assert!(!problem.hints.is_empty(), "{xml}");
            for key in ["line", "column", "element"] {
                assert!(problem.details.iter().any(|fact| fact.key == key), "{key}: {xml}");
            }
            Some(problem.code)
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn what_libvirt_takes_breaks_no_rule() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let mut refused = Vec::new();
    for set in ["argv", "oracle90", "realistic"] {
        let Ok(entries) = fs::read_dir(corpus.join(set)) else {
            eprintln!("SKIPPED: no recorded machines of {set}");
            continue;
        };
        for entry in entries {
            let case = entry.unwrap().path();
            let Ok(xml) = fs::read_to_string(case.join("domain.xml")) else { continue };
            if let Err(error) = Domain::parse(&xml).map_err(Error::from).and_then(|domain| refuse(&domain)) {
                refused.push(format!("{}: {error:?}", case.display()));
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// A document that breaks a rule, and one that differs in the word that breaks it.
struct Pair {
    code: &'static str,
    arch: &'static str,
    machine: &'static str,
    top: (&'static str, &'static str),
    devices: (&'static str, &'static str),
}

const fn pc(
    code: &'static str,
    machine: &'static str,
    top: (&'static str, &'static str),
    devices: (&'static str, &'static str),
) -> Pair {
    Pair { code, arch: "x86_64", machine, top, devices }
}

const fn devices(code: &'static str, bad: &'static str, good: &'static str) -> Pair {
    pc(code, "q35", ("", ""), (bad, good))
}

const fn top(code: &'static str, bad: &'static str, good: &'static str) -> Pair {
    pc(code, "q35", (bad, good), ("", ""))
}

const MACHINES: &[Pair] = &[
    top(
        "qemu.tseg-size",
        "<features><smm><tseg unit='KiB'>1500</tseg></smm></features>",
        "<features><smm><tseg>3</tseg></smm></features>",
    ),
    // Where system management is off nobody looks at its memory.
    top(
        "qemu.tseg-size",
        "<features><smm state='on'><tseg unit='KiB'>1500</tseg></smm></features>",
        "<features><smm state='off'><tseg unit='KiB'>1500</tseg></smm></features>",
    ),
    top("qemu.machine-feature", "<features><gic version='2'/></features>", "<features><acpi/></features>"),
    top(
        "qemu.machine-timer",
        "<clock><timer name='armvtimer'/></clock>",
        "<clock><timer name='hpet'/></clock>",
    ),
    devices("qemu.machine-iommu", "<iommu model='smmuv3'/>", "<iommu model='intel'/>"),
    pc(
        "qemu.iommu-interrupts",
        "q35",
        ("<features><ioapic driver='qemu'/></features>", "<features><ioapic driver='qemu'/></features>"),
        (
            "<iommu model='intel'><driver eim='on'/></iommu>",
            "<iommu model='intel'><driver eim='on' intremap='on'/></iommu>",
        ),
    ),
    pc(
        "qemu.iommu-interrupts",
        "q35",
        (
            "<features><acpi/></features>",
            "<features><acpi/></features><features><ioapic driver='qemu'/></features>",
        ),
        (
            "<iommu model='intel'><driver intremap='on'/></iommu>",
            "<iommu model='intel'><driver intremap='on'/></iommu>",
        ),
    ),
    devices("qemu.machine-acpi", "<iommu model='virtio'/>", "<iommu model='intel'/>"),
    devices("qemu.machine-panic", "<panic model='s390'/>", "<panic model='isa'/>"),
    devices("qemu.only-one", "<panic/><panic model='isa'/>", "<panic/><panic model='hyperv'/>"),
    devices("qemu.machine-watchdog", "<watchdog model='diag288'/>", "<watchdog model='i6300esb'/>"),
    devices(
        "qemu.tpm-interface",
        "<tpm model='tpm-crb'><backend type='emulator' version='1.2'/></tpm>",
        "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>",
    ),
    devices(
        "qemu.machine-serial",
        "<serial type='pty'><target type='sclp-serial'/></serial>",
        "<serial type='pty'><target type='isa-serial'/></serial>",
    ),
    pc(
        "qemu.machine-tseg",
        "pc",
        ("<features><smm><tseg>3</tseg></smm></features>", "<features><smm/></features>"),
        ("", ""),
    ),
    pc("qemu.machine-iommu", "pc", ("", ""), ("<iommu model='intel'/>", "<watchdog model='ib700'/>")),
];

const PROCESSORS: &[Pair] = &[
    top(
        "qemu.cpu-topology",
        "<vcpu>3</vcpu><cpu><topology sockets='2' cores='1' threads='1'/></cpu>",
        "<vcpu>2</vcpu><cpu><topology sockets='2' cores='1' threads='1'/></cpu>",
    ),
    top(
        "qemu.cpu-plugging",
        "<vcpu>2</vcpu><vcpus><vcpu id='0' enabled='yes' hotpluggable='yes'/></vcpus>",
        "<vcpu>2</vcpu><vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/></vcpus>",
    ),
    top(
        "qemu.cpu-address-width",
        "<cpu><maxphysaddr mode='emulate'/></cpu>",
        "<cpu><maxphysaddr mode='emulate' bits='42'/></cpu>",
    ),
    top(
        "qemu.iothread-missing",
        "<iothreads>1</iothreads><cputune><iothreadpin iothread='2' cpuset='0'/></cputune>",
        "<iothreads>2</iothreads><cputune><iothreadpin iothread='2' cpuset='0'/></cputune>",
    ),
    top(
        "qemu.threads-twice",
        "<vcpu>2</vcpu><cputune><vcpusched vcpus='0-1' scheduler='idle'/><vcpusched vcpus='1' scheduler='rr'/></cputune>",
        "<vcpu>2</vcpu><cputune><vcpusched vcpus='0' scheduler='idle'/><vcpusched vcpus='1' scheduler='rr'/></cputune>",
    ),
    top(
        "qemu.threads-period",
        "<cputune><period>10</period></cputune>",
        "<cputune><period>10000</period><quota>-1</quota></cputune>",
    ),
    top(
        "qemu.numa-placement",
        "<numatune><memory placement='static'/></numatune>",
        "<numatune><memory placement='static' nodeset='0'/></numatune>",
    ),
    top(
        "qemu.numa-set",
        "<numatune><memory nodeset='0,^0'/></numatune>",
        "<numatune><memory nodeset='0-1,^0'/></numatune>",
    ),
    top(
        "qemu.numa-processors",
        "<vcpu>2</vcpu><cpu><numa><cell cpus='0-1' memory='1'/><cell cpus='1' memory='1'/></numa></cpu>",
        "<vcpu>2</vcpu><cpu><numa><cell cpus='0' memory='1'/><cell cpus='1' memory='1'/></numa></cpu>",
    ),
    top(
        "qemu.numa-pages",
        "<memoryBacking><hugepages><page size='2048' nodeset='1'/></hugepages></memoryBacking>",
        "<memoryBacking><hugepages><page size='2048' nodeset='0'/></hugepages></memoryBacking>",
    ),
    devices("qemu.memory-room", "<memory model='dimm'><target><size>1</size></target></memory>", ""),
];

const DISKS: &[Pair] = &[
    devices(
        "qemu.disk",
        "<disk device='cdrom'><target dev='vda' bus='virtio'/></disk>",
        "<disk device='cdrom'><target dev='sda' bus='sata'/></disk>",
    ),
    devices(
        "qemu.disk",
        "<disk><target dev='vda'/><vendor>v</vendor></disk>",
        "<disk><target dev='sda'/><vendor>v</vendor></disk>",
    ),
    devices(
        "qemu.disk",
        "<disk><target dev='sda' bus='sata'/><driver queues='2'/></disk>",
        "<disk><target dev='vda'/><driver queues='2'/></disk>",
    ),
    devices("qemu.disk", "<disk rawio='yes'><target dev='sda'/></disk>", "<disk><target dev='sda'/></disk>"),
    devices(
        "qemu.disk",
        "<disk><driver copy_on_read='on'/><target dev='vda'/><readonly/></disk>",
        "<disk><driver copy_on_read='on'/><target dev='vda'/></disk>",
    ),
    devices(
        "qemu.iothread-missing",
        "<disk><driver iothread='1'/><target dev='vda'/></disk>",
        "<disk><target dev='vda'/></disk>",
    ),
    devices(
        "qemu.controller-iothread",
        "<controller type='scsi' model='lsilogic'><driver iothread='1'/></controller>",
        "<controller type='scsi' model='lsilogic'/>",
    ),
    devices(
        "qemu.filesystem-virtiofs",
        "<filesystem><driver type='virtiofs'/><source dir='/a'/><target dir='a'/><readonly/></filesystem>",
        "<filesystem><source dir='/a'/><target dir='a'/><readonly/></filesystem>",
    ),
];

const OTHERS: &[Pair] = &[
    devices(
        "qemu.net-queue-size",
        "<interface type='user'><model type='virtio'/><driver rx_queue_size='300'/></interface>",
        "<interface type='user'><model type='virtio'/><driver rx_queue_size='512'/></interface>",
    ),
    devices(
        "qemu.net-team",
        "<interface type='user'><model type='e1000'/><teaming type='persistent'/></interface>",
        "<interface type='user'><model type='virtio'/><teaming type='persistent'/></interface>",
    ),
    devices(
        "qemu.chardev-reconnect",
        "<channel type='unix'><source mode='connect' path='/r/channel/target/domain-1-a/x'><reconnect enabled='yes' timeout='1'/></source><target type='virtio'/></channel>",
        "<channel type='unix'><source mode='connect' path='/r/x'><reconnect enabled='yes' timeout='1'/></source><target type='virtio'/></channel>",
    ),
    devices(
        "qemu.graphics-pair",
        "<graphics type='egl-headless'/>",
        "<graphics type='egl-headless'/><graphics type='vnc'/>",
    ),
    devices(
        "qemu.only-one",
        "<graphics type='vnc'/><graphics type='vnc'/>",
        "<graphics type='vnc'/><graphics type='spice'/>",
    ),
    devices(
        "qemu.display-password",
        "<graphics type='vnc' passwd='123456789'/>",
        "<graphics type='vnc' passwd='12345678'/>",
    ),
    devices(
        "qemu.display-password",
        "<graphics type='spice' passwd='123456789' passwdValidTo='tomorrow'/>",
        "<graphics type='spice' passwd='123456789' passwdValidTo='2030-01-02T03:04:05'/>",
    ),
    devices(
        "qemu.video-second",
        "<video><model type='virtio'/></video><video><model type='vga'/></video>",
        "<video><model type='vga'/></video><video><model type='virtio'/></video>",
    ),
    devices(
        "qemu.only-one",
        "<video><model type='none'/></video><video><model type='virtio'/></video>",
        "<video><model type='none'/></video>",
    ),
    devices(
        "qemu.video",
        "<video><model type='vga'><acceleration accel3d='yes'/></model></video>",
        "<video><model type='virtio'><acceleration accel3d='yes'/></model></video>",
    ),
    devices("qemu.input-bus", "<input type='tablet' bus='ps2'/>", "<input type='tablet' bus='usb'/>"),
    devices(
        "qemu.input-model",
        "<input type='keyboard' bus='virtio' model='virtio-transitional'/>",
        "<input type='keyboard' bus='virtio' model='virtio'/>",
    ),
    devices(
        "qemu.hostdev-display",
        "<hostdev mode='subsystem' type='mdev' model='vfio-pci' display='on'><source><address uuid='53764d0e-85a0-42b4-af5c-2046b460b1dc'/></source></hostdev>",
        "<hostdev mode='subsystem' type='mdev' model='vfio-pci' display='off'><source><address uuid='53764d0e-85a0-42b4-af5c-2046b460b1dc'/></source></hostdev>",
    ),
    devices(
        "qemu.hostdev-address",
        "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='53764d0e-85a0-42b4-af5c-2046b460b1dc'/></source><address type='drive'/></hostdev>",
        "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='53764d0e-85a0-42b4-af5c-2046b460b1dc'/></source><address type='pci'/></hostdev>",
    ),
];

/// What only other architectures have is judged before the architecture is refused.
const ELSEWHERE: &[Pair] = &[
    Pair {
        code: "qemu.machine-acpi",
        arch: "aarch64",
        machine: "virt",
        top: ("<features><acpi/></features>", ""),
        devices: ("", ""),
    },
    Pair {
        code: "qemu.pci-root",
        arch: "ppc64",
        machine: "pseries",
        top: ("", ""),
        devices: (
            "<controller type='pci' index='1' model='pci-root'><target index='0'/></controller>",
            "<controller type='pci' index='1' model='pci-root'><target index='1'/></controller>",
        ),
    },
];

#[test]
fn every_rule_refuses_what_breaks_it_and_not_its_neighbour() {
    let seen =
        [refused::CLOCKS_AND_FIRMWARE, refused::PROCESSORS_AND_MEMORY, refused::DISKS, refused::DEVICES];
    for pair in [MACHINES, PROCESSORS, DISKS, OTHERS, ELSEWHERE].into_iter().chain(seen).flatten() {
        let judge = |top, devices| code(pair.arch, pair.machine, top, devices);
        assert_eq!(
            judge(pair.top.0, pair.devices.0).as_deref(),
            Some(pair.code),
            "{} {}",
            pair.top.0,
            pair.devices.0
        );
        assert_eq!(judge(pair.top.1, pair.devices.1), None, "{} {}", pair.top.1, pair.devices.1);
    }
}

#[test]
fn bios_writes_to_a_serial_port_that_is_there() {
    let code = |devices: &str| {
        code_of(&format!(
            "<domain type='qemu'><name>n</name><memory>65536</memory><os><type arch='x86_64' machine='q35'>hvm</type>\
             <bios useserial='yes'/></os><devices>{devices}</devices></domain>"
        ))
    };
    assert_eq!(code("").as_deref(), Some("qemu.bios-serial"));
    assert_eq!(
        code("<console type='pty'><target type='virtio'/></console>").as_deref(),
        Some("qemu.bios-serial")
    );
    assert_eq!((code("<serial type='pty'/>"), code("<console type='pty'/>")), (None, None));
}

#[test]
fn translation_is_set_up_where_there_is_some() {
    let code = |kind: &str| {
        code_of(&format!(
            "<domain type='{kind}'><name>n</name><memory>65536</memory><os><type arch='x86_64' machine='q35'>hvm</type>\
             </os><features><tcg><tb-cache unit='MiB'>64</tb-cache></tcg></features></domain>"
        ))
    };
    assert_eq!((code("kvm").as_deref(), code("qemu")), (Some("qemu.features-tcg"), None));
}
