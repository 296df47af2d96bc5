//! The daemon, by clients of libvirt that know nothing of it.

use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::{Daemon, clients_are_here, start_with_sockets, virsh, virt_install_is_here};
use crate::workbench::{Answer, QUIET, Workbench, rom_domain};

#[test]
fn virsh_takes_a_real_guest_through_its_life() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let file = bench.write("rom.xml", &rom_domain("rom", "qemu"));
    daemon.ok(&["define", file.to_str().unwrap()]);
    assert_eq!(daemon.ok(&["domid", "rom"]), "-");
    assert_eq!(daemon.ok(&["list", "--all", "--name"]), "rom");
    assert_eq!(daemon.ok(&["list", "--name"]), "");
    let uuid = daemon.ok(&["domuuid", "rom"]);
    daemon.ok(&["start", "rom"]);
    let id = daemon.ok(&["domid", "rom"]);
    assert!(id.parse::<u32>().unwrap() > 0, "{id}");
    assert_eq!(daemon.ok(&["domname", &id]), "rom");
    let info = daemon.ok(&["dominfo", &uuid]);
    for line in ["running", "32768 KiB", "hvm", "Persistent:     yes", "Autostart:      disable"] {
        assert!(info.contains(line), "{line}: {info}");
    }
    assert!(daemon.ok(&["dumpxml", "rom"]).starts_with(&format!("<domain type='qemu' id='{id}'>")));
    for (verb, state) in [
        ("suspend", "paused (user)"),
        ("resume", "running (booted)"),
        ("reset", "running (booted)"),
        ("destroy", "shut off (destroyed)"),
        ("start", "running (booted)"),
    ] {
        daemon.ok(&[verb, "rom"]);
        assert_eq!(daemon.ok(&["domstate", "rom", "--reason"]), state, "after {verb}");
    }
    daemon.ok(&["desc", "rom", "--title", "--live", "--config", "a title"]);
    assert_eq!(daemon.ok(&["desc", "rom", "--title"]), "a title");
    daemon.ok(&["metadata", "rom", "urn:x", "--key", "x", "--set", "<app note='1'/>"]);
    assert_eq!(daemon.ok(&["metadata", "rom", "urn:x"]), "<app note='1'/>");
    daemon.ok(&["autostart", "rom"]);
    assert!(daemon.ok(&["dominfo", "rom"]).contains("Autostart:      enable"));
    daemon.ok(&["destroy", "rom"]);
    daemon.ok(&["domrename", "rom", "other"]);
    assert_eq!(daemon.ok(&["domuuid", "other"]), uuid);
    daemon.ok(&["undefine", "other"]);
    assert_eq!(daemon.ok(&["list", "--all", "--name"]), "");
    assert!(bench.processes().iter().all(|line| !line.contains("qemu")), "{:?}", bench.processes());
}

#[test]
fn guest_that_switches_itself_off_and_one_that_was_only_created_are_told_and_forgotten() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let file = bench.write("rom.xml", &rom_domain("rom", "qemu"));
    let told = daemon.python(&format!(
        "libvirt.virEventRegisterDefaultImpl()
connection = libvirt.open(sys.argv[1])
told = []
def note(_, domain, event, detail, __):
    told.append((event, detail, domain.ID() == -1 and event != libvirt.VIR_DOMAIN_EVENT_SHUTDOWN))
connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, note, None)
domain = connection.createXML(open('{}').read())
assert domain.isActive() and not domain.isPersistent() and domain.ID() > 0
domain.suspend()
domain.resume()
domain.shutdown()
while not told or told[-1][0] != libvirt.VIR_DOMAIN_EVENT_STOPPED:
    libvirt.virEventRunDefaultImpl()
print(told)
",
        file.display()
    ));
    // Started, suspended, resumed, switched off by its guest, gone. Within these, the one is told that has no number any more.
    assert_eq!(
        told.trim(),
        "[(4, 0, False), (2, 0, False), (3, 0, False), (4, 0, False), (6, 1, False), (5, 0, True)]"
    );
    let forgotten = daemon.python(
        "import time
deadline = time.monotonic() + 30
while connection.listAllDomains() and time.monotonic() < deadline:
    pass
print(connection.listAllDomains())",
    );
    assert_eq!(forgotten.trim(), "[]");
}

#[test]
fn created_domain_that_is_defined_stays() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let file = bench.write("rom.xml", &rom_domain("rom", "qemu"));
    let said = daemon.python(&format!(
        "xml = open('{}').read()
domain = connection.createXML(xml)
number = domain.ID()
again = connection.defineXML(domain.XMLDesc())
assert again.UUID() == domain.UUID() and again.ID() == number, (again.ID(), number)
assert again.isPersistent() and again.isActive()
domain.destroy()
assert not again.isActive() and again.isPersistent()
again.undefine()
print([domain.name() for domain in connection.listAllDomains()])",
        file.display()
    ));
    assert_eq!(said.trim(), "[]");
}

#[test]
fn errors_have_the_numbers_that_clients_act_on() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let said = daemon.python(&format!(
        "xml = '''{QUIET}'''
domain = connection.defineXML(xml)
other = xml.replace('<name>', '<uuid>00000000-0000-0000-0000-000000000001</uuid><name>')
def number(call):
    try:
        call()
        return None
    except libvirt.libvirtError as error:
        return (error.get_error_code(), error.get_error_domain())
print(number(lambda: connection.lookupByName('nobody')))
print(number(lambda: connection.lookupByUUIDString('00000000-0000-0000-0000-000000000002')))
print(number(lambda: connection.lookupByID(4711)))
print(number(lambda: connection.defineXML(other)))
print(number(lambda: connection.defineXML('<domain')))
print(number(lambda: domain.shutdown()))
print(number(lambda: domain.destroy()))
domain.create()
print(number(lambda: domain.create()))
print(number(lambda: connection.createXML(xml)))
print(number(lambda: domain.createWithFlags(1 << 30)))
print(number(lambda: domain.checkpointLookupByName('a')))
print(number(lambda: connection.networkLookupByName('default')))
domain.destroy()
domain.undefine()
print(number(lambda: domain.create()))"
    ));
    let lines: Vec<&str> = said.lines().collect();
    let expected = [
        "(42, 10)", "(42, 10)", "(42, 10)", "(9, 20)", "(35, 20)", "(55, 20)", "(55, 20)", "(55, 20)",
        "(9, 20)", "(8, 10)", "(3, 7)", "(43, 19)", "(42, 10)",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn reader_reads_and_changes_nothing() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    bench.define(&QUIET.replace("<os>", "<devices><graphics type='vnc' passwd='geheim'/></devices><os>"));
    let daemon = Daemon::start(&bench);
    let uri = daemon.read_only_uri();
    assert_eq!(virsh(&uri, &["list", "--all", "--name"]).stdout.trim(), "quiet");
    let document = virsh(&uri, &["dumpxml", "quiet"]).stdout;
    assert!(document.contains("<graphics") && !document.contains("geheim"), "{document}");
    assert!(daemon.ok(&["dumpxml", "--security-info", "quiet"]).contains("geheim"));
    let calls: [&[&str]; 4] = [
        &["start", "quiet"],
        &["undefine", "quiet"],
        &["dumpxml", "--security-info", "quiet"],
        &["autostart", "quiet"],
    ];
    for call in calls {
        let answer = virsh(&uri, call);
        assert_eq!(answer.status, 1, "{call:?}: {}", answer.stdout);
        assert!(answer.stderr.contains("read only access prevents"), "{call:?}: {}", answer.stderr);
    }
}

#[test]
fn guests_go_on_without_the_daemon_and_are_there_for_the_next() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let mut daemon = Daemon::start(&bench);
    let file = bench.write("rom.xml", &rom_domain("rom", "qemu"));
    daemon.ok(&["define", file.to_str().unwrap()]);
    daemon.ok(&["start", "rom"]);
    let id = daemon.ok(&["domid", "rom"]);
    assert!(daemon.stop().success());
    assert!(!daemon.socket().exists());
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"));
    let daemon = Daemon::start(&bench);
    assert_eq!(daemon.ok(&["domid", "rom"]), id);
    assert_eq!(daemon.ok(&["domstate", "rom"]), "running");
    daemon.ok(&["destroy", "rom"]);
}

#[test]
fn console_is_a_stream_both_ways_to_its_end() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let file = bench.write("rom.xml", &rom_domain("rom", "qemu"));
    let said = daemon.python(&format!(
        "domain = connection.createXML(open('{}').read())
stream = connection.newStream()
domain.openConsole(None, stream)
text = b''
while b'tick' not in text:
    text += stream.recv(1024)
stream.send(b'x')
domain.destroy()
while stream.recv(1024):
    pass
stream.finish()
other = connection.newStream()
print('ended')",
        file.display()
    ));
    assert_eq!(said.trim(), "ended");
}

#[test]
fn counters_come_of_many_domains_at_once() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let file = bench.write("rom.xml", &rom_domain("rom", "qemu"));
    daemon.ok(&["create", file.to_str().unwrap()]);
    bench.write("quiet.xml", QUIET);
    daemon.ok(&["define", bench.path("quiet.xml").to_str().unwrap()]);
    let stats = daemon.ok(&["domstats"]);
    for line in
        ["Domain: 'quiet'", "state.state=5", "Domain: 'rom'", "state.state=1", "cpu.time=", "vcpu.maximum=1"]
    {
        assert!(stats.contains(line), "{line}: {stats}");
    }
    // What a domain has that is off, its document says, and its image.
    bench.image(&["create", "-q", "-f", "qcow2", "disk.qcow2", "8M"]);
    let disk = bench.path("disk.qcow2");
    let devices = format!(
        "<disk type='file'><driver name='qemu' type='qcow2'/><source file='{}'/><target dev='vda' bus='virtio'/></disk>\
         <memballoon",
        disk.display()
    );
    let off = rom_domain("off", "qemu").replace("<memballoon", &devices);
    daemon.ok(&["define", bench.write("off.xml", &off).to_str().unwrap()]);
    let stats = daemon.ok(&["domstats", "off"]);
    let physical = format!("block.0.physical={}", std::fs::metadata(&disk).unwrap().len());
    for line in
        ["balloon.maximum=32768", "vcpu.maximum=1", "block.count=1", "block.0.capacity=8388608", &physical]
    {
        assert!(stats.contains(line), "{line}: {stats}");
    }
    let stats = daemon.ok(&["domstats", "--state", "--list-active"]);
    assert!(!stats.contains("quiet") && !stats.contains("cpu.time"), "{stats}");
    daemon.ok(&["destroy", "rom"]);
}

#[test]
fn pools_and_volumes_are_made_filled_read_and_removed() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let target = bench.path("images");
    std::fs::create_dir(&target).unwrap();
    let target = target.to_str().unwrap();
    assert_eq!(daemon.ok(&["pool-list", "--all", "--name"]), "");
    daemon.ok(&["pool-define-as", "images", "dir", "--target", target]);
    daemon.ok(&["pool-start", "images"]);
    daemon.ok(&["pool-autostart", "images"]);
    let info = daemon.ok(&["pool-info", "images"]);
    for line in ["State:          running", "Persistent:     yes", "Autostart:      yes"] {
        assert!(info.contains(line), "{line}: {info}");
    }
    assert!(daemon.ok(&["pool-dumpxml", "images"]).contains("<available unit='bytes'>"));
    daemon.ok(&["vol-create-as", "images", "disk.qcow2", "64M", "--format", "qcow2"]);
    daemon.ok(&["vol-create-as", "images", "data.raw", "1M", "--format", "raw"]);
    let path = daemon.ok(&["vol-path", "disk.qcow2", "--pool", "images"]);
    assert_eq!(path, format!("{target}/disk.qcow2"));
    assert_eq!(daemon.ok(&["vol-pool", &path]), "images");
    assert!(daemon.ok(&["vol-info", &path]).contains("64.00 MiB"));
    daemon.ok(&["vol-clone", "disk.qcow2", "copy.qcow2", "--pool", "images"]);
    daemon.ok(&["vol-resize", "copy.qcow2", "128M", "--pool", "images"]);
    assert!(daemon.ok(&["vol-dumpxml", "copy.qcow2", "images"]).contains("134217728"));
    // More than a few pieces, so that they are many frames.
    let content: String = (0..100_000).map(|line| format!("{line:09}\n")).collect();
    let file = bench.write("content", &content[..1 << 19]);
    daemon.ok(&["vol-upload", "data.raw", file.to_str().unwrap(), "--pool", "images"]);
    let copy = bench.path("copy");
    daemon.ok(&["vol-download", "data.raw", copy.to_str().unwrap(), "--pool", "images"]);
    let read = std::fs::read(&copy).unwrap();
    assert_eq!((read.len(), read[..1 << 19] == content.as_bytes()[..1 << 19]), (1 << 20, true));
    let listed = daemon.ok(&["vol-list", "images"]);
    assert_eq!(listed.lines().filter(|line| line.contains(target)).count(), 3, "{listed}");
    for (call, number) in [
        ("connection.storagePoolLookupByName('none')", "(49, 18)"),
        ("connection.storagePoolLookupByName('images').storageVolLookupByName('none')", "(50, 18)"),
        ("connection.storageVolLookupByPath('/none')", "(50, 18)"),
        ("connection.storagePoolLookupByName('images').create()", "(55, 18)"),
        (
            "connection.storagePoolLookupByName('images').createXML(\
             '<volume><name>data.raw</name><capacity>1</capacity></volume>')",
            "(90, 18)",
        ),
    ] {
        let said = daemon.python(&format!(
            "try:\n    {call}\nexcept libvirt.libvirtError as error:\n    print((error.get_error_code(), error.get_error_domain()))"
        ));
        assert_eq!(said.trim(), number, "{call}");
    }
    for volume in ["disk.qcow2", "copy.qcow2", "data.raw"] {
        daemon.ok(&["vol-delete", volume, "--pool", "images"]);
    }
    daemon.ok(&["pool-destroy", "images"]);
    daemon.ok(&["pool-undefine", "images"]);
    assert_eq!(daemon.ok(&["pool-list", "--all", "--name"]), "");
}

#[test]
fn upload_that_is_given_up_changes_nothing() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let target = bench.path("images");
    std::fs::create_dir(&target).unwrap();
    daemon.ok(&["pool-create-as", "images", "dir", "--target", target.to_str().unwrap()]);
    daemon.ok(&["vol-create-as", "images", "data.raw", "1M", "--format", "raw"]);
    std::fs::write(target.join("data.raw"), vec![7; 1 << 20]).unwrap();
    daemon.python(
        "volume = connection.storagePoolLookupByName('images').storageVolLookupByName('data.raw')
stream = connection.newStream()
volume.upload(stream, 0, 0)
stream.send(b'x' * 100000)
stream.abort()
connection.getHostname()",
    );
    assert!(std::fs::read(target.join("data.raw")).unwrap() == vec![7; 1 << 20]);
}

#[test]
fn devices_come_and_go_and_guests_are_put_away_and_brought_back() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    bench.image(&["create", "-q", "-f", "qcow2", "a.qcow2", "16M"]);
    bench.image(&["create", "-q", "-f", "qcow2", "b.qcow2", "16M"]);
    let disk = |name: &str, target: &str| {
        let path = bench.path(name);
        format!(
            "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{}'/>\
             <target dev='{target}' bus='virtio'/></disk>",
            path.display()
        )
    };
    let document =
        rom_domain("rom", "qemu").replace("<serial", &format!("{}<serial", disk("a.qcow2", "vda")));
    let file = bench.write("rom.xml", &document);
    let more = bench.write("disk.xml", &disk("b.qcow2", "vdb"));
    daemon.ok(&["define", file.to_str().unwrap()]);
    daemon.ok(&["attach-device", "rom", more.to_str().unwrap(), "--config"]);
    assert!(daemon.ok(&["dumpxml", "rom", "--inactive"]).contains("vdb"));
    daemon.ok(&["detach-disk", "rom", "vdb", "--config"]);
    assert!(!daemon.ok(&["dumpxml", "rom", "--inactive"]).contains("vdb"));
    daemon.ok(&["start", "rom"]);
    assert!(daemon.ok(&["domblklist", "rom"]).contains("a.qcow2"));

    daemon.ok(&["managedsave", "rom"]);
    assert_eq!(daemon.ok(&["domstate", "rom", "--reason"]), "shut off (saved)");
    assert!(daemon.ok(&["dominfo", "rom"]).contains("Managed save:   yes"));
    assert_eq!(daemon.virsh(&["undefine", "rom"]).status, 1);
    daemon.ok(&["start", "rom"]);
    assert_eq!(daemon.ok(&["domstate", "rom"]), "running");
    let saved = bench.path("saved");
    daemon.ok(&["save", "rom", saved.to_str().unwrap(), "--paused"]);
    daemon.ok(&["restore", saved.to_str().unwrap()]);
    assert_eq!(daemon.ok(&["domstate", "rom"]), "paused");
    daemon.ok(&["destroy", "rom"]);

    daemon.ok(&["snapshot-create-as", "rom", "first"]);
    daemon.ok(&["snapshot-create-as", "rom", "second"]);
    assert_eq!(daemon.ok(&["snapshot-list", "rom", "--name"]), "first\nsecond");
    assert_eq!(daemon.ok(&["snapshot-parent", "rom", "second"]), "first");
    assert_eq!(daemon.ok(&["snapshot-current", "rom", "--name"]), "second");
    assert!(daemon.ok(&["snapshot-dumpxml", "rom", "first"]).contains("<domainsnapshot>"));
    daemon.ok(&["snapshot-revert", "rom", "first"]);
    assert_eq!(daemon.ok(&["snapshot-current", "rom", "--name"]), "first");
    assert_eq!(daemon.virsh(&["undefine", "rom"]).status, 1);
    daemon.ok(&["snapshot-delete", "rom", "first", "--children"]);
    assert_eq!(daemon.ok(&["snapshot-list", "rom", "--name"]), "");
    daemon.ok(&["undefine", "rom"]);
}

#[test]
fn virt_install_imports_a_disk_and_finds_the_guest_running() {
    if !clients_are_here() || !virt_install_is_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let images = bench.path("images");
    std::fs::create_dir(&images).unwrap();
    bench.image(&["create", "-q", "-f", "qcow2", "images/disk.qcow2", "16M"]);
    let mut command = std::process::Command::new("virt-install");
    command.args([
        "--connect",
        &daemon.uri(),
        "--name",
        "imported",
        "--memory",
        "64",
        "--vcpus",
        "1",
        "--import",
    ]);
    command.args(["--virt-type", "qemu", "--osinfo", "generic", "--graphics", "none", "--network", "none"]);
    command.args([
        "--disk",
        &format!("path={}/disk.qcow2,format=qcow2", images.display()),
        "--noautoconsole",
    ]);
    command.env("HOME", bench.path("home")).stdin(std::process::Stdio::null());
    let answer = Answer::of(command.output().unwrap());
    assert_eq!(answer.status, 0, "{}{}", answer.stdout, answer.stderr);
    assert_eq!(daemon.ok(&["domstate", "imported"]), "running");
    let info = daemon.ok(&["dominfo", "imported"]);
    assert!(info.contains("Persistent:     yes"), "{info}");
    assert_eq!(daemon.ok(&["pool-list", "--name"]), "images");
    daemon.ok(&["destroy", "imported"]);
    daemon.ok(&["undefine", "imported"]);
}

#[test]
fn sockets_of_a_service_manager_are_served_and_left_where_they_are() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    bench.define(QUIET);
    let (full, read_only) = (bench.path("full"), bench.path("read-only"));
    let mut daemon = start_with_sockets(&bench, &full, &read_only);
    let uri = |socket: &std::path::Path| format!("hostler:///system?socket={}", socket.display());
    // It is connected to before anybody serves, as with a real one.
    while !full.exists() || !read_only.exists() {
        assert!(daemon.try_wait().unwrap().is_none());
    }
    let started = virsh(&uri(&full), &["start", "quiet"]);
    assert_eq!(started.status, 0, "{}", started.stderr);
    assert_eq!(virsh(&uri(&read_only), &["domstate", "quiet"]).stdout.trim(), "running");
    assert_eq!(virsh(&uri(&read_only), &["destroy", "quiet"]).status, 1);
    assert!(!bench.state_root().join("serve.sock").exists());
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    assert!(daemon.wait().unwrap().success());
    assert!(full.exists() && read_only.exists());
}
