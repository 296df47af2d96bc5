//! SPICE, whose connections the host accepts and hands over, and passwords, which the monitor is told.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::daemon::{Daemon, clients_are_here};
use crate::workbench::{Workbench, rom_domain};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// SPICE: the main channel, and the one of keys. (QEMU 7.2 ends when the one of the picture goes while it is being made.)
const MAIN: u8 = 1;
const KEYS: u8 = 3;
/// SPICE: what a ticket is answered with.
const PERMISSION_DENIED: u32 = 7;

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn define(bench: &Workbench, name: &str, devices: &str) {
    let devices = format!("<memballoon model='none'/>{devices}<video><model type='vga'/></video>");
    bench.define(&rom_domain(name, "qemu").replace("<memballoon model='none'/>", &devices));
}

/// Where the only display of a domain is reached.
fn uri(bench: &Workbench, name: &str) -> String {
    bench.json(&["display", name])["displays"][0]["uri"].as_str().unwrap().to_owned()
}

fn connect(uri: &str) -> Box<dyn Stream> {
    let (kind, place) = uri.split_once("://").unwrap();
    if kind.ends_with("+unix") {
        let stream = UnixStream::connect(place).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        return Box::new(stream);
    }
    let stream = TcpStream::connect(place).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Box::new(stream)
}

fn bytes<const COUNT: usize>(stream: &mut dyn Stream) -> [u8; COUNT] {
    let mut bytes = [0; COUNT];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn number(stream: &mut dyn Stream) -> u32 {
    u32::from_le_bytes(bytes(stream))
}

/// Gives input to a program and takes its output.
fn piped(program: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut running = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(input).unwrap();
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success(), "{program:?}");
    output.stdout
}

/// SPICE's ticket: the password for the server's key alone.
fn ticket(bench: &Workbench, key: &[u8], password: &str) -> Vec<u8> {
    let file = bench.path("key.der");
    std::fs::write(&file, key).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey"]).arg(file);
    piped(openssl.args(["-pkeyopt", "rsa_padding_mode:oaep"]), format!("{password}\0").as_bytes())
}

/// Links to a channel as a SPICE client does: says what it can, gets the server's public key, and sends a ticket with a
/// password; what that is answered with, and the connection.
fn spice_link(
    bench: &Workbench,
    uri: &str,
    (channel, session): (u8, u32),
    password: &str,
) -> (u32, Box<dyn Stream>) {
    let mut connection = connect(uri);
    let stream = &mut *connection;
    let mut message = Vec::new();
    message.extend(session.to_le_bytes());
    message.extend([channel, 0]);
    for word in [1_u32, 0, 18] {
        message.extend(word.to_le_bytes());
    }
    // Authentication is chosen, and SPICE's own.
    message.extend(0b11_u32.to_le_bytes());
    stream.write_all(b"REDQ").unwrap();
    for word in [2, 2, u32::try_from(message.len()).unwrap()] {
        stream.write_all(&word.to_le_bytes()).unwrap();
    }
    stream.write_all(&message).unwrap();
    assert_eq!(&bytes::<4>(stream), b"REDQ");
    assert_eq!((number(stream), number(stream)), (2, 2));
    let mut reply = vec![0; usize::try_from(number(stream)).unwrap()];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply[..4], [0; 4], "the server takes the link");
    stream.write_all(&1_u32.to_le_bytes()).unwrap();
    stream.write_all(&ticket(bench, &reply[4..166], password)).unwrap();
    let answer = number(stream);
    (answer, connection)
}

/// Whether a server takes a client with this password, and the channel of its keys with that.
fn spice_takes(bench: &Workbench, uri: &str, password: &str) -> bool {
    let (answer, mut main) = spice_link(bench, uri, (MAIN, 0), password);
    if answer == PERMISSION_DENIED {
        assert_eq!(spice_link(bench, uri, (KEYS, 0), password).0, PERMISSION_DENIED);
        return false;
    }
    assert_eq!(answer, 0);
    // The first message says which session this is: behind a header of 18 bytes.
    bytes::<18>(&mut *main);
    let session = number(&mut *main);
    assert_eq!(spice_link(bench, uri, (KEYS, session), password).0, 0);
    true
}

#[test]
fn spice_servers_answer_where_the_host_listens() {
    let bench = Workbench::new();
    let agent = "<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>";
    define(&bench, "port", &format!("{agent}<graphics type='spice' autoport='yes'/>"));
    define(&bench, "own", "<graphics type='spice'><listen type='socket'/></graphics>");
    bench.ok(&["start", "port"]);
    bench.ok(&["start", "own"]);
    let (port, own) = (uri(&bench, "port"), uri(&bench, "own"));
    assert!(port.starts_with("spice://127.0.0.1:59") && own.starts_with("spice+unix:///"), "{port} {own}");
    for uri in [&port, &own] {
        // No ticket is wanted; each channel is a connection of its own.
        assert!(spice_takes(&bench, uri, ""), "{uri}");
    }
    assert_eq!(bench.json(&["show", "port"])["confinement"]["cage"]["host_network"], false);
    let number = port.rsplit(':').next().unwrap();
    assert!(bench.ok(&["xml", "port"]).contains(&format!("port='{number}'")));
    // A guest that was saved has its display again, wherever that is by then.
    bench.ok(&["save", "port"]);
    assert!(TcpStream::connect(port.strip_prefix("spice://").unwrap()).is_err());
    bench.ok(&["start", "port"]);
    assert!(spice_takes(&bench, &uri(&bench, "port"), ""));
    // A crowd that says nothing keeps nobody out.
    let _crowd: Vec<_> = (0..40).map(|_| connect(&own)).collect();
    assert!(spice_takes(&bench, &own, ""));
}

#[test]
fn spice_with_a_password_lets_nobody_in_without_it() {
    let bench = Workbench::new();
    define(&bench, "vm", "<graphics type='spice' autoport='yes' passwd='geheim'/>");
    bench.ok(&["start", "vm"]);
    let place = uri(&bench, "vm");
    for (password, expected) in [("", false), ("gehe1m", false), ("geheim", true)] {
        assert_eq!(spice_takes(&bench, &place, password), expected, "{password}");
    }
    define(&bench, "nowhere", "<graphics type='spice'/>");
    bench.ok(&["start", "nowhere"]);
    assert!(bench.json(&["display", "nowhere"])["displays"][0]["uri"].is_null());
}

/// VNC's answer to a challenge: DES of it, with the password for a key whose bits are the other way round in each byte.
fn vnc_answer(challenge: [u8; 16], password: &str) -> Vec<u8> {
    let mut key = [0; 8];
    key.iter_mut().zip(password.bytes()).for_each(|(byte, letter)| *byte = letter.reverse_bits());
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut openssl = Command::new("openssl");
    openssl.args(["enc", "-des-ecb", "-nopad", "-provider", "legacy", "-provider", "default", "-K", &key]);
    piped(&mut openssl, &challenge)
}

/// Whether the server takes a password, which is the only way in that it offers.
fn vnc_takes(uri: &str, password: &str) -> bool {
    let stream = &mut *connect(uri);
    assert_eq!(&bytes::<12>(stream), b"RFB 003.008\n");
    stream.write_all(b"RFB 003.008\n").unwrap();
    assert_eq!(bytes::<2>(stream), [1, 2], "one way in: a password");
    stream.write_all(&[2]).unwrap();
    let challenge = bytes::<16>(stream);
    stream.write_all(&vnc_answer(challenge, password)).unwrap();
    bytes::<4>(stream) == [0; 4]
}

#[test]
fn vnc_with_a_password_lets_in_who_knows_it_until_it_ends() {
    let bench = Workbench::new();
    for (name, attributes, takes) in [
        ("known", "passwd='geheim'", true),
        ("later", "passwd='geheim' passwdValidTo='2100-01-01T00:00:00'", true),
        ("over", "passwd='geheim' passwdValidTo='2001-01-01T00:00:00'", false),
    ] {
        define(&bench, name, &format!("<graphics type='vnc' {attributes}/>"));
        bench.ok(&["start", name]);
        let uri = uri(&bench, name);
        assert_eq!(vnc_takes(&uri, "geheim"), takes, "{name}");
        assert!(!vnc_takes(&uri, "geheimer") && !vnc_takes(&uri, ""), "{name}");
    }
    define(&bench, "empty", "<graphics type='vnc' passwd=''/>");
    bench.ok(&["start", "empty"]);
    assert!(!vnc_takes(&uri(&bench, "empty"), ""), "an empty password lets nobody in");
    // It is the same after a save.
    bench.ok(&["save", "known"]);
    bench.ok(&["start", "known"]);
    let uri = uri(&bench, "known");
    assert!(vnc_takes(&uri, "geheim") && !vnc_takes(&uri, "gehe1m"));
}

#[test]
fn password_changes_while_the_guest_runs_and_lasts() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::new();
    let daemon = Daemon::start(&bench);
    define(&bench, "vm", "<graphics type='vnc' passwd='geheim'/>");
    define(&bench, "open", "<graphics type='vnc'/>");
    bench.ok(&["start", "vm"]);
    bench.ok(&["start", "open"]);
    let change = |domain: &str, attributes: &str, scope: &[&str]| {
        let file = bench.write("display.xml", &format!("<graphics type='vnc' {attributes}/>"));
        daemon.virsh(&[&["update-device", domain, file.to_str().unwrap()], scope].concat())
    };
    let server = uri(&bench, "vm");
    let changed = change("vm", "port='-1' autoport='yes' passwd='neu'", &["--live", "--config"]);
    assert_eq!(changed.status, 0, "{}", changed.stderr);
    assert!(vnc_takes(&server, "neu") && !vnc_takes(&server, "geheim"));
    // One that is not given is not taken away.
    assert_eq!(change("vm", "autoport='yes'", &["--live"]).status, 0);
    assert!(vnc_takes(&server, "neu"));
    let over = change("vm", "passwd='neu' passwdValidTo='2001-01-01T00:00:00'", &["--live"]);
    assert_eq!(over.status, 0, "{}", over.stderr);
    assert!(!vnc_takes(&server, "neu"));
    let elsewhere = change("vm", "port='1' passwd='neu'", &["--live"]);
    assert!(elsewhere.stderr.contains("cannot change port settings on vnc graphics"), "{}", elsewhere.stderr);
    let open = change("open", "passwd='neu'", &["--live"]);
    assert!(open.status != 0 && open.stderr.contains("began without a password"), "{}", open.stderr);

    bench.ok(&["destroy", "vm"]);
    bench.ok(&["start", "vm"]);
    let server = uri(&bench, "vm");
    assert!(vnc_takes(&server, "neu") && !vnc_takes(&server, "geheim"), "it was stored");
}

#[test]
fn password_is_shown_to_who_asks_for_it_and_on_no_command_line() {
    let bench = Workbench::new();
    define(&bench, "vm", "<graphics type='vnc' passwd='geheim'/>");
    bench.ok(&["start", "vm"]);
    for arguments in [&["xml", "vm"][..], &["xml", "--stored", "vm"], &["native", "vm"], &["show", "vm"]] {
        assert!(!bench.ok(arguments).contains("geheim"), "{arguments:?}");
    }
    for arguments in [&["xml", "--security-info", "vm"][..], &["xml", "--stored", "--security-info", "vm"]] {
        assert!(bench.ok(arguments).contains("passwd='geheim'"), "{arguments:?}");
    }
    assert!(bench.processes().iter().all(|line| !line.contains("geheim")), "{:?}", bench.processes());
    let log = std::fs::read_dir(bench.run_dir("vm").path()).unwrap().flatten();
    let logs = log.filter(|file| file.path().extension().is_some_and(|extension| extension == "log"));
    for file in logs {
        assert!(!String::from_utf8_lossy(&std::fs::read(file.path()).unwrap()).contains("geheim"));
    }
    for (attributes, code) in [
        ("passwd='neunbytes'", "qemu.display-password"),
        ("passwd='x' passwdValidTo='soon'", "qemu.display-password"),
    ] {
        let document = rom_domain("no", "qemu").replace(
            "<memballoon model='none'/>",
            &format!("<memballoon model='none'/><graphics type='vnc' {attributes}/>"),
        );
        let file = bench.write("no.xml", &document);
        let refused = bench.run(&["define", file.to_str().unwrap()]);
        assert!(refused.status != 0 && refused.stderr.contains(code), "{attributes}: {}", refused.stderr);
    }
}

#[test]
fn qemu_without_spice_is_told_as_that() {
    let mut bench = Workbench::new();
    let shipped = include_str!("../../../../host/launch/templates/qemu-system-x86_64.json");
    let without = shipped.replacen("\"ui-spice-core\"", "\"ui-none\"", 1);
    assert_ne!(without, shipped);
    let templates = bench.path("templates");
    std::fs::create_dir(&templates).unwrap();
    std::fs::write(templates.join("qemu.json"), without).unwrap();
    bench.set("HOSTLER_TEMPLATE_DIR", OsString::from(&templates));
    define(&bench, "vm", "<graphics type='spice' autoport='yes'/>");
    let refused = bench.run(&["start", "vm"]);
    let told = refused.stderr;
    assert!(refused.status != 0 && told.contains("qemu.no-spice") && told.contains("apt install"), "{told}");
    assert_eq!(bench.state_of("vm").as_deref(), Some("off"));
    bench.nothing_runs("without SPICE");
}
