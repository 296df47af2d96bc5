//! What libvirt 9.0 was seen to refuse, each beside the neighbour that it takes.

use super::{Pair, devices, pc, top};

pub(super) const CLOCKS_AND_FIRMWARE: &[Pair] = &[
    top(
        "qemu.timer",
        "<clock><timer name='platform'/></clock>",
        "<clock><timer name='rtc' track='wall' tickpolicy='delay'/></clock>",
    ),
    top(
        "qemu.timer",
        "<clock><timer name='pit' track='guest'/></clock>",
        "<clock><timer name='pit' tickpolicy='discard'/></clock>",
    ),
    top(
        "qemu.timer",
        "<clock><timer name='rtc' tickpolicy='merge'/></clock>",
        "<clock><timer name='tsc' mode='native' tickpolicy='merge'/></clock>",
    ),
    top("qemu.machine-feature", "<features><htm state='on'/></features>", "<features><pae/></features>"),
    top(
        "qemu.sysinfo-date",
        "<sysinfo type='smbios'><bios><entry name='date'>2010</entry></bios></sysinfo>",
        "<sysinfo type='smbios'><bios><entry name='date'>01/02/2010</entry></bios></sysinfo>",
    ),
    top(
        "qemu.sysinfo-uuid",
        "<uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid><sysinfo type='smbios'><system><entry name='uuid'>c7a5fdbd-edaf-9455-926a-d65c16db1800</entry></system></sysinfo>",
        "<uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid><sysinfo type='smbios'><system><entry name='uuid'>C7A5FDBD-edaf-9455-926a-d65c16db1809</entry></system></sysinfo>",
    ),
    top(
        "qemu.sysinfo-fwcfg",
        "<sysinfo type='fwcfg'><entry name='etc/a'>v</entry></sysinfo>",
        "<sysinfo type='fwcfg'><entry name='opt/a'>v</entry></sysinfo>",
    ),
    top(
        "qemu.sysinfo-fwcfg",
        "<sysinfo type='fwcfg'><entry name='opt/ovmf/a'>v</entry></sysinfo>",
        "<sysinfo type='fwcfg'><entry name='opt/ovmfa'>v</entry></sysinfo>",
    ),
    top("qemu.seclabel", "<seclabel type='static' model='dac'/>", "<seclabel type='dynamic' model='dac'/>"),
    top(
        "qemu.seclabel",
        "<seclabel type='dynamic' model='dac'/><seclabel type='dynamic' model='dac'/>",
        "<seclabel type='dynamic' model='dac'/><seclabel type='dynamic' model='selinux'/>",
    ),
    top("qemu.seclabel", "<seclabel type='none' relabel='yes'/>", "<seclabel type='none'/>"),
    pc(
        "qemu.iommu-driver",
        "q35",
        ("<features><acpi/></features>", "<features><acpi/></features>"),
        (
            "<iommu model='virtio'><driver iotlb='on'/></iommu>",
            "<iommu model='intel'><driver iotlb='on'/></iommu>",
        ),
    ),
];

pub(super) const PROCESSORS_AND_MEMORY: &[Pair] = &[
    top(
        "qemu.cpu-cache",
        "<cpu><model>qemu64</model><cache level='2' mode='emulate'/></cpu>",
        "<cpu><model>qemu64</model><cache level='3' mode='emulate'/></cpu>",
    ),
    top(
        "qemu.cpu-cache",
        "<cpu><model>qemu64</model><cache mode='passthrough'/></cpu>",
        "<cpu mode='maximum'><cache mode='passthrough'/></cpu>",
    ),
    top(
        "qemu.cpu-migratable",
        "<cpu mode='custom' migratable='on'><model>qemu64</model></cpu>",
        "<cpu mode='maximum' migratable='on'/>",
    ),
    top(
        "qemu.cpu-plugging",
        "<vcpu>2</vcpu><vcpus><vcpu id='0' enabled='yes'/><vcpu id='1' enabled='yes' order='2'/></vcpus>",
        "<vcpu>2</vcpu><vcpus><vcpu id='0' enabled='yes' order='1'/><vcpu id='1' enabled='yes' order='2'/></vcpus>",
    ),
    top(
        "qemu.memory-nodes",
        "<maxMemory slots='2'>131072</maxMemory>",
        "<maxMemory slots='2'>131072</maxMemory><cpu><numa><cell cpus='0' memory='65536'/></numa></cpu>",
    ),
    top(
        "qemu.memory-slots",
        "<maxMemory>131072</maxMemory><cpu><numa><cell cpus='0' memory='65536'/></numa></cpu>",
        "<maxMemory slots='1'>131072</maxMemory><cpu><numa><cell cpus='0' memory='65536'/></numa></cpu>",
    ),
    top(
        "qemu.memory-room",
        "<maxMemory slots='1'>32768</maxMemory><cpu><numa><cell cpus='0' memory='65536'/></numa></cpu>",
        "<maxMemory slots='1'>65536</maxMemory><cpu><numa><cell cpus='0' memory='65536'/></numa></cpu>",
    ),
    pc(
        "qemu.memory-node",
        "q35",
        (
            "<maxMemory slots='1'>131072</maxMemory><cpu><numa><cell cpus='0' memory='65536'/></numa></cpu>",
            "<maxMemory slots='1'>131072</maxMemory><cpu><numa><cell cpus='0' memory='65536'/></numa></cpu>",
        ),
        (
            "<memory model='dimm'><target><size>4096</size></target></memory>",
            "<memory model='dimm'><target><size>4096</size><node>0</node></target></memory>",
        ),
    ),
    top(
        "qemu.memory-backing",
        "<memoryBacking><hugepages/><source type='anonymous'/></memoryBacking>",
        "<memoryBacking><hugepages/><source type='memfd'/></memoryBacking>",
    ),
    top(
        "qemu.memory-backing",
        "<memoryBacking><hugepages/><allocation mode='ondemand'/></memoryBacking>",
        "<memoryBacking><hugepages/><allocation mode='immediate'/></memoryBacking>",
    ),
    top("qemu.cpu-count", "<vcpu>289</vcpu>", "<vcpu>255</vcpu>"),
    top("qemu.cpu-count", "<vcpu>256</vcpu>", "<vcpu>255</vcpu>"),
    pc("qemu.cpu-count", "pc", ("<vcpu>256</vcpu>", "<vcpu>255</vcpu>"), ("", "")),
];

pub(super) const DISKS: &[Pair] = &[
    devices(
        "qemu.disk",
        "<disk><target dev='sda' bus='scsi' removable='on'/></disk>",
        "<disk><target dev='sda' bus='usb' removable='on'/></disk>",
    ),
    devices(
        "qemu.disk",
        "<disk><target dev='sda' bus='sata'/><readonly/></disk>",
        "<disk device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>",
    ),
    devices(
        "qemu.disk",
        "<disk model='virtio'><target dev='sda' bus='scsi'/></disk>",
        "<disk model='virtio'><target dev='vda' bus='virtio'/></disk>",
    ),
    devices(
        "qemu.disk",
        "<disk><driver name='phy'/><target dev='vda' bus='virtio'/></disk>",
        "<disk><driver name='qemu'/><target dev='vda' bus='virtio'/></disk>",
    ),
    devices(
        "qemu.disk",
        "<disk><driver event_idx='on'/><target dev='sda' bus='scsi'/></disk>",
        "<disk><driver event_idx='on'/><target dev='vda' bus='virtio'/></disk>",
    ),
    devices(
        "qemu.disk",
        "<disk><target dev='vda' bus='virtio' tray='open'/></disk>",
        "<disk device='cdrom'><target dev='sda' bus='sata' tray='open'/></disk>",
    ),
    devices(
        "qemu.disk",
        "<disk><target dev='vda' bus='virtio'/><geometry cyls='1' heads='1' secs='1' trans='lba'/></disk>",
        "<disk><target dev='vda' bus='virtio'/><geometry cyls='1' heads='1' secs='1'/></disk>",
    ),
    devices(
        "qemu.disk",
        "<disk type='block' device='disk' rawio='no'><source dev='/d'/><target dev='sda' bus='scsi'/></disk>",
        "<disk type='block' device='lun' rawio='yes'><source dev='/d'/><target dev='sda' bus='scsi'/></disk>",
    ),
    devices(
        "qemu.disk-address",
        "<disk><target dev='sda' bus='sata'/><address type='drive' target='1'/></disk>",
        "<disk><target dev='sda' bus='sata'/><address type='drive' unit='1'/></disk>",
    ),
    devices(
        "qemu.disk-address",
        "<controller type='scsi' index='0' model='lsilogic'/><disk><target dev='sda' bus='scsi'/><address type='drive' target='1'/></disk>",
        "<controller type='scsi' index='0' model='virtio-scsi'/><disk><target dev='sda' bus='scsi'/><address type='drive' target='1'/></disk>",
    ),
];

pub(super) const DEVICES: &[Pair] = &[
    devices(
        "qemu.controller-ports",
        "<controller type='usb' model='piix3-uhci' ports='2'/>",
        "<controller type='usb' model='qemu-xhci' ports='2'/>",
    ),
    devices(
        "qemu.audio",
        "<audio id='1' type='oss'><input><settings frequency='44100'/></input></audio>",
        "<audio id='1' type='oss'><input fixedSettings='yes' mixingEngine='yes'><settings frequency='44100'/></input></audio>",
    ),
    devices(
        "qemu.audio",
        "<audio id='1' type='spice'/>",
        "<audio id='1' type='spice'/><graphics type='spice'/>",
    ),
    devices(
        "qemu.shmem",
        "<shmem name='a'><model type='ivshmem-doorbell'/></shmem>",
        "<shmem name='a'><model type='ivshmem-doorbell'/><server path='/s'/></shmem>",
    ),
    devices(
        "qemu.shmem",
        "<shmem name='a'><model type='ivshmem-plain'/><msi/></shmem>",
        "<shmem name='a'><model type='ivshmem-plain'/></shmem>",
    ),
    devices(
        "qemu.input-bus",
        "<input type='evdev' bus='ps2'><source dev='/dev/input/event0'/></input>",
        "<input type='evdev'><source dev='/dev/input/event0'/></input>",
    ),
    devices("qemu.smartcard", "<smartcard mode='host'/><smartcard mode='host'/>", "<smartcard mode='host'/>"),
    devices("qemu.nvram-device", "<nvram/>", ""),
    devices(
        "qemu.display-listen",
        "<graphics type='vnc'><listen type='address' address='1.1.1.1'/><listen type='address' address='2.2.2.2'/></graphics>",
        "<graphics type='vnc' listen='1.1.1.1'><listen type='address' address='1.1.1.1'/></graphics>",
    ),
    devices(
        "qemu.display-listen",
        "<graphics type='vnc' listen='2.2.2.2'><listen type='address' address='1.1.1.1'/></graphics>",
        "<graphics type='vnc' listen='1.1.1.1'/>",
    ),
    devices(
        "qemu.net",
        "<interface type='user'><mtu size='1400'/></interface>",
        "<interface type='bridge'><source bridge='b'/><mtu size='1400'/></interface>",
    ),
    devices(
        "qemu.net",
        "<interface type='bridge'><source bridge='b'/><ip address='1.2.3.4'/></interface>",
        "<interface type='user'><ip address='1.2.3.4'/></interface>",
    ),
    devices(
        "qemu.net",
        "<interface type='vhostuser'><source type='unix' path='/s' mode='server'/><model type='e1000'/></interface>",
        "<interface type='vhostuser'><source type='unix' path='/s' mode='server'/><model type='virtio'/></interface>",
    ),
    devices(
        "qemu.chardev-spice",
        "<redirdev bus='usb' type='spicevmc'/>",
        "<redirdev bus='usb' type='pty'/>",
    ),
    devices(
        "qemu.chardev-spice",
        "<graphics type='spice'/><serial type='spicevmc'/>",
        "<graphics type='spice'/><serial type='spiceport'><source channel='a'/></serial>",
    ),
    devices(
        "qemu.chardev-spice",
        "<graphics type='spice'/><channel type='spicevmc'><target type='virtio' name='x'/></channel>",
        "<graphics type='spice'/><channel type='spicevmc'><target type='virtio'/></channel>",
    ),
    devices(
        "qemu.chardev-type",
        "<serial type='nmdm'><source master='/a' slave='/b'/></serial>",
        "<serial type='pty'/>",
    ),
    devices(
        "qemu.console-serial",
        "<console type='pty'/><console type='pty'><target type='serial'/></console>",
        "<console type='pty'/><console type='pty'><target type='virtio'/></console>",
    ),
    devices(
        "qemu.hostdev-model",
        "<hostdev mode='subsystem' type='mdev' model='vfio-ap'><source><address uuid='53764d0e-85a0-42b4-af5c-2046b460b1dc'/></source></hostdev>",
        "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='53764d0e-85a0-42b4-af5c-2046b460b1dc'/></source></hostdev>",
    ),
    devices(
        "qemu.filesystem",
        "<filesystem type='mount' accessmode='passthrough' fmode='644'><source dir='/a'/><target dir='t'/></filesystem>",
        "<filesystem type='mount' accessmode='mapped' fmode='644'><source dir='/a'/><target dir='t'/></filesystem>",
    ),
];
