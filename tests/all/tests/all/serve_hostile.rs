//! Clients that mean the daemon ill, or are slow, and what the others notice of it: nothing.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::{Daemon, clients_are_here, virsh};
use crate::workbench::{Workbench, rom_domain};

const REMOTE: u32 = 0x2000_8086;
const OPEN: i32 = 1;
const LIST_ALL: i32 = 273;
const HOSTNAME: i32 = 59;
/// How long an answer may take that waits for nobody.
const PROMPT: Duration = Duration::from_secs(5);

/// A client of our own, for what none of the others would do.
struct Raw(UnixStream);

impl Raw {
    fn connect(daemon: &Daemon<'_>) -> Self {
        let socket = UnixStream::connect(daemon.socket()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(socket)
    }

    fn opened(daemon: &Daemon<'_>) -> Self {
        let mut client = Self::connect(daemon);
        client.send(OPEN, 0, &[0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(client.answer().1, 0);
        client
    }

    fn send(&mut self, procedure: i32, serial: u32, payload: &[u8]) {
        self.0.write_all(&frame(REMOTE, procedure, serial, payload)).unwrap();
    }

    /// Serial, status and payload of the next answer.
    fn answer(&mut self) -> (u32, u32, Vec<u8>) {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
        self.0.read_exact(&mut rest).unwrap();
        let word = |at: usize| u32::from_be_bytes(rest[at..at + 4].try_into().unwrap());
        (word(16), word(20), rest[24..].to_vec())
    }

    /// Whether the daemon ends the connection.
    fn ends(mut self) -> bool {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

fn frame(program: u32, procedure: i32, serial: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(28 + payload.len()).unwrap();
    let words = [length, program, 1, procedure.cast_unsigned(), 0, serial, 0];
    words.iter().flat_map(|word| word.to_be_bytes()).chain(payload.iter().copied()).collect()
}

#[test]
fn bytes_that_are_no_frame_end_their_connection_and_no_other() {
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let mut good = Raw::opened(&daemon);
    let oversized = 0x0200_0005_u32.to_be_bytes().to_vec();
    let short = 27_u32.to_be_bytes().to_vec();
    let mut wrong_kind = frame(REMOTE, OPEN, 0, &[]);
    wrong_kind[19] = 9;
    let mut reply = frame(REMOTE, OPEN, 0, &[]);
    reply[19] = 1;
    for bytes in [oversized, short, vec![0xff; 64], b"GET / HTTP/1.1\r\n\r\n".to_vec(), wrong_kind, reply] {
        let mut bad = Raw::connect(&daemon);
        bad.0.write_all(&bytes).unwrap();
        assert!(bad.ends(), "{bytes:?}");
    }
    good.send(HOSTNAME, 1, &[]);
    assert_eq!(good.answer().1, 0);
}

#[test]
fn frames_that_cannot_be_understood_are_answered_and_the_connection_goes_on() {
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let mut client = Raw::connect(&daemon);
    // Before anything is opened.
    client.send(HOSTNAME, 1, &[]);
    assert_eq!(client.answer().1, 1);
    client.send(OPEN, 2, &[0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(client.answer().1, 0);
    // Twice; a text that is longer than its frame; lists of four thousand million; no arguments; no such number or program.
    let payloads: [(i32, &[u8]); 5] = [
        (OPEN, &[0, 0, 0, 0, 0, 0, 0, 0]),
        (23, &[0, 0x3f, 0xff, 0xff, b'x']),
        (344, &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
        (14, &[]),
        (9_999, &[]),
    ];
    for (serial, (procedure, payload)) in payloads.into_iter().enumerate() {
        let serial = u32::try_from(serial).unwrap() + 10;
        client.send(procedure, serial, payload);
        let (answered, status, error) = client.answer();
        assert_eq!((answered, status), (serial, 1), "{procedure}");
        assert!(matches!(error[3], 1 | 39), "{procedure}: {error:?}");
    }
    client.0.write_all(&frame(0x1234, 1, 20, &[])).unwrap();
    assert_eq!(client.answer().1, 1);
    client.send(HOSTNAME, 21, &[]);
    assert_eq!(client.answer().1, 0);
}

#[test]
fn half_a_frame_and_a_client_that_reads_nothing_hold_up_nobody() {
    let bench = Workbench::of_drivers();
    bench.define(&rom_domain("rom", "qemu"));
    let daemon = Daemon::start(&bench);
    let mut half = Raw::opened(&daemon);
    half.0.write_all(&[0, 0, 1, 0, 0x20]).unwrap();
    // It asks until nothing is taken from it any more, and never reads.
    let mut deaf = Raw::opened(&daemon);
    deaf.0.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let list = frame(REMOTE, LIST_ALL, 1, &[0, 0, 0, 1, 0, 0, 0, 0]);
    let mut taken = 0;
    while deaf.0.write_all(&list).is_ok() {
        taken += 1;
        assert!(taken < 1_000_000, "a client that reads nothing is read from for ever");
    }
    let mut good = Raw::opened(&daemon);
    for serial in 0..50 {
        let asked = Instant::now();
        good.send(LIST_ALL, serial, &[0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!((good.answer().0, asked.elapsed() < PROMPT), (serial, true));
    }
}

#[test]
fn many_clients_at_once_are_all_answered() {
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let mut clients: Vec<_> = (0..64).map(|_| Raw::opened(&daemon)).collect();
    for client in &mut clients {
        // More at once than are worked on at once.
        (0..20).for_each(|serial| client.send(HOSTNAME, serial, &[]));
    }
    for client in &mut clients {
        let mut serials: Vec<u32> = (0..20).map(|_| client.answer().0).collect();
        serials.sort_unstable();
        assert_eq!(serials, (0..20).collect::<Vec<_>>());
    }
}

#[test]
fn client_that_goes_in_the_middle_leaves_its_change_whole() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    bench.define(&rom_domain("rom", "qemu"));
    let daemon = Daemon::start(&bench);
    let uuid = daemon.ok(&["domuuid", "rom"]).replace('-', "");
    let bytes: Vec<u8> =
        (0..16).map(|at| u8::from_str_radix(&uuid[at * 2..at * 2 + 2], 16).unwrap()).collect();
    let mut hasty = Raw::opened(&daemon);
    let handle: Vec<u8> = [&[0, 0, 0, 0][..], &bytes, &[0xff; 4]].concat();
    // Starts it, and is gone.
    hasty.send(9, 1, &handle);
    drop(hasty);
    daemon.python(
        "domain = connection.lookupByName('rom')
while not domain.isActive() or domain.state()[0] != libvirt.VIR_DOMAIN_RUNNING:
    pass",
    );
    daemon.ok(&["destroy", "rom"]);
}

#[test]
fn hypervisor_that_hangs_holds_up_its_own_changes_only_and_is_ended_out_of_turn() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    bench.define(&rom_domain("hung", "qemu"));
    bench.define(&rom_domain("other", "qemu"));
    let daemon = Daemon::start(&bench);
    daemon.ok(&["start", "hung"]);
    daemon.ok(&["start", "other"]);
    let pid = bench.json(&["show", "hung"])["pid"].as_i64().unwrap();
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::STOP).unwrap();
    let uri = daemon.uri();
    std::thread::scope(|scope| {
        // Each waits for an answer that does not come, or for its turn behind that.
        let stuck: Vec<_> =
            (0..3).map(|_| scope.spawn(|| virsh(&uri, &["suspend", "hung"]).status)).collect();
        for _ in 0..3 {
            let asked = Instant::now();
            assert_eq!(daemon.ok(&["list", "--name"]), "hung\nother");
            assert_eq!(daemon.ok(&["domstate", "other"]), "running");
            daemon.ok(&["suspend", "other"]);
            daemon.ok(&["resume", "other"]);
            assert!(asked.elapsed() < PROMPT, "{:?}", asked.elapsed());
        }
        daemon.ok(&["destroy", "hung"]);
        assert_eq!(daemon.ok(&["domstate", "hung"]), "shut off");
        for stuck in stuck {
            assert_eq!(stuck.join().unwrap(), 1);
        }
    });
    daemon.ok(&["destroy", "other"]);
}
