//! Displays that libvirt's clients open by descriptors: one that they are given, and one that they bring.

use crate::daemon::{Daemon, clients_are_here};
use crate::workbench::{Workbench, rom_domain};

/// What a script needs: the guest, and what the other end of a connection says first, and of ways in.
const SCRIPT: &str = "
import os, socket
vm = connection.lookupByName('vm')
def ways_in(end):
    end.settimeout(30)
    banner = end.recv(12, socket.MSG_WAITALL)
    end.sendall(banner)
    count = end.recv(1)[0]
    return banner.decode().strip(), list(end.recv(count, socket.MSG_WAITALL))
def given(flags):
    with socket.socket(fileno=vm.openGraphicsFD(0, flags)) as end:
        return ways_in(end)
def brought(flags):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        vm.openGraphics(0, theirs.fileno(), flags)
        theirs.close()
        return ways_in(ours)
";

fn define(bench: &Workbench, graphics: &str) {
    let devices = format!("<memballoon model='none'/>{graphics}<video><model type='vga'/></video>");
    bench.define(&rom_domain("vm", "qemu").replace("<memballoon model='none'/>", &devices));
}

#[test]
fn display_is_opened_by_a_descriptor_and_asks_for_its_password_unless_that_is_spared() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::new();
    // It listens nowhere: there is no other way to it.
    define(&bench, "<graphics type='vnc' passwd='geheim'><listen type='none'/></graphics>");
    let daemon = Daemon::start(&bench);
    let off = daemon.python(&format!("{SCRIPT}print(number(lambda: given(0)))"));
    assert_eq!(off.trim(), "55", "an operation for a guest that runs");
    daemon.ok(&["start", "vm"]);
    let opened = daemon.python(&format!(
        "{SCRIPT}
skip = libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH
for way in (given, brought):
    print(way(0), way(skip), way(0))"
    ));
    let one = "('RFB 003.008', [2]) ('RFB 003.008', [1]) ('RFB 003.008', [2])";
    assert_eq!(opened.trim(), format!("{one}\n{one}"));
    let refused = daemon.python(&format!(
        "{SCRIPT}
file = os.open('/dev/null', os.O_RDWR)
ours, theirs = socket.socketpair()
print(number(lambda: vm.openGraphicsFD(1, 0)) > 0, number(lambda: vm.openGraphics(7, theirs.fileno(), 0)) > 0,
    number(lambda: vm.openGraphics(0, file, 0)) > 0, number(lambda: vm.openGraphicsFD(0, 2)) > 0)
print(given(0))
reader = libvirt.openReadOnly(sys.argv[1])
print(number(lambda: reader.lookupByName('vm').openGraphicsFD(0, 0)))"
    ));
    let expected = "True True True True\n('RFB 003.008', [2])\n29";
    assert_eq!(refused.trim(), expected, "refusals leave the connection and the display as they were");
}

#[test]
fn spice_is_opened_by_a_descriptor_too() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::new();
    define(&bench, "<graphics type='spice'/>");
    let daemon = Daemon::start(&bench);
    daemon.ok(&["start", "vm"]);
    let said = daemon.python(&format!(
        "{SCRIPT}
import struct
end = socket.socket(fileno=vm.openGraphicsFD(0, 0))
end.settimeout(30)
link = struct.pack('<IBBIIII', 0, 1, 0, 1, 0, 18, 3)
end.sendall(b'REDQ' + struct.pack('<III', 2, 2, len(link)) + link)
print(end.recv(4, socket.MSG_WAITALL))"
    ));
    assert_eq!(said.trim(), "b'REDQ'");
}
