//! What libvirt says to QEMU about single things, as it was seen to: a document and a part of its command line.

use super::Case;
use super::render::arguments;
use crate::facts::Facts;

/// The command line of a domain with these parts, for comparison.
fn line(top: &str, devices: &str) -> String {
    let xml = format!(
        "<domain type='qemu'><name>n</name><memory unit='MiB'>1024</memory><vcpu>2</vcpu><os><type arch='x86_64' machine='q35'>hvm\
         </type></os>{top}<devices>{devices}</devices></domain>"
    );
    let facts = Facts { comparison: true, ..Facts::default() };
    let case = Case::of(&xml, &facts).unwrap_or_else(|error| panic!("{xml}: {error:?}"));
    arguments(&case.launch, &case.domain).join(" ")
}

#[test]
fn displays() {
    let socket = "<graphics type='vnc' websocket='5700'><listen type='socket' socket='/s'/></graphics>";
    let line_ = line("", socket);
    assert!(line_.contains("-vnc unix:/s") && !line_.contains("websocket"), "{line_}");
    assert!(line("", "<graphics type='vnc' websocket='-1'/>").contains("websocket=-1"));
    assert!(
        line("", "<graphics type='sdl' display=':0' fullscreen='yes'/>")
            .contains("-full-screen -display sdl")
    );
    let last_counts = line("", "<graphics type='vnc'/><graphics type='spice'/>");
    assert!(last_counts.contains(r#""driver":"spice""#), "{last_counts}");
    assert!(line("", "<graphics type='spice'/><graphics type='vnc'/>").contains(r#""driver":"none""#));
}

#[test]
fn processors_and_memory() {
    let features = "<features><hyperv mode='passthrough'><relaxed state='on'/></hyperv></features>";
    assert!(line(features, "").contains("hv-passthrough=on,hv-relaxed=on"));
    let off = "<features><smm state='off'><tseg>48</tseg></smm></features>";
    assert!(!line(off, "").contains("extended-tseg"), "memory of a mode that is off");
    let numa = "<cpu><numa><cell id='0' memory='512' unit='MiB'/><cell id='1' cpus='1' memory='512' unit='MiB'/></numa></cpu>";
    assert!(line(numa, "").contains("node,nodeid=0,cpus=0,"), "{}", line(numa, ""));
    let shared = "<maxMemory slots='4' unit='MiB'>4096</maxMemory><memoryBacking><access mode='shared'/></memoryBacking>\
                  <cpu><numa><cell cpus='0-1' memory='512' unit='MiB'/></numa></cpu>";
    let module = "<memory model='dimm'><target><size unit='MiB'>512</size><node>0</node></target></memory>";
    assert!(line(shared, module).contains("/n/dimm0") || line(shared, module).contains("-1-n/dimm0"));
    let plain = "<maxMemory slots='4' unit='MiB'>4096</maxMemory><cpu><numa><cell cpus='0-1' memory='512' unit='MiB'/></numa></cpu>";
    let pmem = "<memory model='virtio-pmem' access='shared'><source><path>/p</path></source><target><size unit='MiB'>512</size></target></memory>";
    assert!(!line(plain, pmem).contains("prealloc"), "only what an nvdimm is made of is filled");
}

#[test]
fn devices() {
    for (devices, part) in [
        (
            "<filesystem type='mount' accessmode='mapped' fmode='644' dmode='0755'><source dir='/a'/><target dir='t'/></filesystem>",
            "fmode=0644,dmode=0755",
        ),
        (
            "<redirdev bus='usb' type='pty'/><redirfilter><usbdev version='1.1' allow='yes'/></redirfilter>",
            ":0x0110:1",
        ),
        (
            "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='53764d0e-85a0-42b4-af5c-2046b460b1dc'/></source></hostdev>",
            r#""display":"off""#,
        ),
        ("<serial type='dbus'><source channel='org.x'/></serial>", "dbus,id=charserial0,name=org.x"),
        (
            "<disk type='block' device='lun'><source dev='/d'/><target dev='vda' bus='virtio'/></disk>",
            r#""driver":"virtio-blk-pci","bus":"pci.2","addr":"0x0","scsi":true"#,
        ),
        // A card that QEMU knows under another name, if at all, sits where libvirt puts it.
        (
            "<interface type='user'><model type='lan9118'/></interface>",
            r#""driver":"pcie-pci-bridge","id":"pci.2""#,
        ),
    ] {
        let line = line("", devices);
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn a_variable_store_on_a_device_of_the_host() {
    let xml = "<domain type='qemu'><name>n</name><memory unit='MiB'>64</memory><os><type machine='q35'>hvm</type>\
               <loader type='pflash' readonly='yes'>/c.fd</loader><nvram type='block'><source dev='/dev/x'/></nvram></os>\
               <features><acpi/></features></domain>";
    let case = Case::of(xml, &Facts { comparison: true, ..Facts::default() }).unwrap();
    let line = arguments(&case.launch, &case.domain).join(" ");
    assert!(
        line.contains(r#""driver":"host_device","filename":"/dev/x","node-name":"libvirt-pflash1-storage""#),
        "{line}"
    );
}
