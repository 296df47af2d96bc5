//! Running guests that go on in another state directory: on one side at any time, whoever is killed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};

use hostler_state::StateDir;

use crate::kill::{killed_at, list_fits, points};
use crate::workbench::{Answer, GUEST_SECONDS, Workbench, rom_domain, until};

/// System calls at which the command that sends is killed: those by which it speaks, and by which anything is durable.
const KILL_SENDER_AT: &[(&str, &[u32])] = &[
    ("connect", &[1, 2, 3, 4, 6, 8, 10, 12]),
    ("sendto,sendmsg", &[1, 2, 3, 5, 8, 11, 14, 17, 20, 23, 26, 29]),
    ("renameat,renameat2,rename", &[1, 2, 3, 4, 5]),
    ("fsync,fdatasync", &[2, 4, 5, 6, 7, 8]),
    ("unlink,unlinkat", &[1, 2]),
];
/// As [`KILL_SENDER_AT`], for the command that receives.
const KILL_RECEIVER_AT: &[(&str, &[u32])] = &[
    ("connect", &[1, 2, 3, 5, 7, 9]),
    ("sendto,sendmsg", &[1, 2, 3, 5, 8, 11, 14, 17, 20]),
    ("renameat,renameat2,rename", &[2, 4, 5, 6, 7, 8, 9]),
    ("fsync,fdatasync", &[3, 6, 8, 9, 10, 11, 12]),
    ("unlink,unlinkat", &[1, 2]),
];

/// Two state directories of one user, and a guest that counts in the first. It has a disk that only one may write to.
struct Pair {
    here: Workbench,
    there: Workbench,
}

/// A command that waits for a guest.
struct Receiver {
    child: Child,
    address: String,
}

impl Pair {
    /// The guest runs in the first and has counted.
    fn counting() -> Self {
        let pair = Self::defined();
        pair.here.ok(&["start", "rom"]);
        counts_to(&pair.here, 1);
        pair
    }

    fn defined() -> Self {
        let pair = Self { here: Workbench::new(), there: Workbench::new() };
        pair.here.image(&["create", "-q", "-f", "qcow2", "disk.qcow2", "4M"]);
        pair.here.define(&pair.document());
        pair
    }

    fn document(&self) -> String {
        with_devices(&format!(
            "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{}'/>\
             <target dev='vda' bus='virtio'/></disk>",
            self.here.path("disk.qcow2").display()
        ))
    }

    fn socket(&self) -> String {
        format!("unix:{}", self.there.path("s").display())
    }

    /// Waits for a guest in the second directory, once this returns.
    fn receive(&self, address: &str) -> Receiver {
        Receiver::begin(&self.there, address)
    }

    /// Sends the guest, and gives what both sides said.
    fn migrate(&self, more: &[&str]) -> (Answer, Answer) {
        let receiver = self.receive(&self.socket());
        let socket = self.socket();
        let arguments = [&["migrate", "rom", "--to", &socket], more].concat();
        let sent = self.here.run(&arguments);
        (sent, receiver.end())
    }

    /// On how many sides the guest's processors run.
    fn running(&self) -> (bool, bool) {
        let runs = |bench: &Workbench| bench.state_of("rom").as_deref() == Some("running");
        (runs(&self.here), runs(&self.there))
    }
}

impl Receiver {
    fn begin(bench: &Workbench, address: &str) -> Self {
        let mut child = bench.command(&["receive", address, "--timeout", "20"]);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("waiting for a guest at ").map(str::to_owned);
        let address = address.unwrap_or_else(|| panic!("{line}"));
        // What was read ahead is of no interest; what comes is.
        child.stderr = Some(said.into_inner());
        Self { child, address }
    }

    fn end(self) -> Answer {
        Answer::of(self.child.wait_with_output().unwrap())
    }
}

fn with_devices(devices: &str) -> String {
    rom_domain("rom", "qemu").replace("<devices>", &format!("<devices>{devices}"))
}

fn counts_to(bench: &Workbench, tick: u32) {
    bench.ok(&["console", "rom", "--until", &format!("hostler-rom: tick {tick:04x}"), "--timeout", "20"]);
}

/// The guest goes on with its counting: it never begins anew.
fn counts_on(bench: &Workbench) {
    bench.ok(&["console", "rom", "--until", "hostler-rom: tick 0", "--timeout", "20"]);
    let log = bench.run_dir("rom").console_log_path("serial0").unwrap();
    let written = String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned();
    assert!(!written.contains("tick 0001"), "it began anew: {written}");
}

/// Whether a hypervisor runs for any domain of this directory.
fn is_anything_held(bench: &Workbench) -> bool {
    let state = StateDir::open_reader(&bench.state_root()).unwrap();
    state.run_dirs().unwrap().iter().any(|run| run.is_held().unwrap())
}

fn code(answer: &Answer, code: &str) {
    assert!(answer.status != 0 && answer.stderr.contains(code), "{code}: {}{}", answer.stdout, answer.stderr);
}

#[test]
fn guest_goes_on_in_the_other_directory_with_its_disk_and_comes_back() {
    let pair = Pair::counting();
    let (sent, received) = pair.migrate(&[]);
    assert_eq!((sent.status, received.status), (0, 0), "{}{}", sent.stderr, received.stderr);
    assert_eq!(pair.running(), (false, true));
    counts_on(&pair.there);
    assert!(!is_anything_held(&pair.here));
    assert!(pair.here.ok(&["list", "--all"]).contains("migrated"));
    let again = pair.here.run(&["start", "rom"]);
    code(&again, "lock");
    assert_eq!(pair.there.json(&["show", "rom"])["persistent"], false, "it was not to be defined there");
    // Back over TCP.
    let receiver = Receiver::begin(&pair.here, "tcp:127.0.0.1:0");
    let sent = pair.there.json(&["migrate", "rom", "--to", &receiver.address, "--bandwidth", "100MiB"]);
    assert!(sent["transferred"].as_u64().unwrap() > 0 && sent["downtime_ms"].is_u64(), "{sent}");
    assert_eq!(receiver.end().status, 0);
    assert_eq!(pair.running(), (true, false));
    assert_eq!(pair.there.state_of("rom"), None, "it was transient there");
    assert_eq!(pair.here.json(&["show", "rom"])["persistent"], true);
    let log = pair.here.ok(&["events"]);
    assert!(log.contains("migrated") && log.contains("received"), "{log}");
    pair.here.ok(&["destroy", "rom"]);
    pair.here.ok(&["start", "rom"]);
}

#[test]
fn definition_moves_with_the_guest_and_it_can_arrive_stopped() {
    let pair = Pair::counting();
    let (sent, received) = pair.migrate(&["--persist", "--undefine-source", "--paused"]);
    assert_eq!((sent.status, received.status), (0, 0), "{}{}", sent.stderr, received.stderr);
    assert_eq!(pair.here.state_of("rom"), None);
    assert_eq!(pair.there.state_of("rom").as_deref(), Some("paused"));
    pair.there.ok(&["resume", "rom"]);
    counts_on(&pair.there);
    pair.there.ok(&["destroy", "rom"]);
    assert_eq!(pair.there.state_of("rom").as_deref(), Some("off"), "it is defined there");
}

#[test]
fn guest_stays_where_it_is_when_it_cannot_go() {
    let pair = Pair::counting();
    let socket = pair.socket();
    let stays = |answer: &Answer, what: &str| {
        code(answer, what);
        assert_eq!(pair.running(), (true, false), "{what}");
        assert!(!is_anything_held(&pair.there), "{what}");
    };
    stays(&pair.here.run(&["migrate", "rom", "--to", &socket]), "migration.no-destination");
    stays(&pair.here.run(&["migrate", "rom", "--to", "exec:id"]), "expected unix:PATH");
    stays(&pair.here.run(&["migrate", "rom", "--to", "tcp:192.0.2.1:7"]), "migration.network");
    stays(&pair.here.run(&["migrate", "rom", "--take-back"]), "migration.none");
    // The name is taken there.
    pair.there.define(&rom_domain("rom", "qemu"));
    let (sent, received) = pair.migrate(&[]);
    stays(&sent, "migration.refused");
    code(&received, "domain.exists");
    pair.there.ok(&["undefine", "rom"]);
    // It is there, and runs.
    let defined = pair.here.write("rom.xml", &pair.here.ok(&["xml", "rom"]));
    let other = pair.there.path("other.qcow2");
    pair.there.image(&["create", "-q", "-f", "qcow2", "other.qcow2", "4M"]);
    let running = std::fs::read_to_string(&defined)
        .unwrap()
        .replace(pair.here.path("disk.qcow2").to_str().unwrap(), other.to_str().unwrap());
    pair.there.define(&running);
    pair.there.ok(&["start", "rom"]);
    let (sent, _) = pair.migrate(&[]);
    code(&sent, "is running");
    assert_eq!(pair.running(), (true, true));
    pair.there.ok(&["destroy", "rom"]);
    pair.there.ok(&["undefine", "rom"]);
    // A guest that is stopped keeps its images.
    pair.here.ok(&["suspend", "rom"]);
    code(&pair.here.run(&["migrate", "rom", "--to", &socket]), "--paused");
    pair.here.ok(&["resume", "rom"]);
    let (sent, _) = pair.migrate(&[]);
    assert_eq!(sent.status, 0, "{}", sent.stderr);
}

#[test]
fn what_the_destination_does_not_have_is_told_before_anything_is_sent() {
    let pair = Pair { here: Workbench::new(), there: Workbench::new() };
    let refused = |document: &str, what: &str| {
        pair.here.define(document);
        pair.here.ok(&["start", "rom"]);
        let (sent, received) = pair.migrate(&[]);
        assert!(sent.status != 0 && sent.stderr.contains(what), "{what}: {}", sent.stderr);
        assert!(received.status != 0, "{}", received.stdout);
        assert_eq!(pair.running(), (true, false), "{what}");
        assert_eq!(pair.there.state_of("rom"), None, "{what}: nothing of it is left");
        pair.here.ok(&["destroy", "rom"]);
        pair.here.ok(&["undefine", "rom"]);
    };
    // A volume of a pool that is not there.
    let pool = pair.here.path("pool");
    std::fs::create_dir(&pool).unwrap();
    let xml =
        format!("<pool type='dir'><name>p</name><target><path>{}</path></target></pool>", pool.display());
    let xml = pair.here.write("pool.xml", &xml);
    pair.here.ok(&["pool", "define", xml.to_str().unwrap()]);
    pair.here.ok(&["pool", "start", "p"]);
    pair.here.ok(&["vol", "create", "p", "v", "--capacity", "4MiB", "--format", "raw"]);
    let disk = "<disk type='volume' device='disk'><driver name='qemu' type='raw'/><source pool='p' volume='v'/>\
                <target dev='vda' bus='virtio'/></disk>";
    refused(&with_devices(disk), "'p'");
    // An image of a format that QEMU cannot hand over.
    pair.here.image(&["create", "-q", "-f", "vdi", "disk.vdi", "4M"]);
    let disk = format!(
        "<disk type='file' device='disk'><driver name='qemu' type='vdi'/><source file='{}'/>\
         <target dev='vda' bus='virtio'/></disk>",
        pair.here.path("disk.vdi").display()
    );
    refused(&with_devices(&disk), "vdi");
}

#[test]
fn migration_that_is_given_up_leaves_the_guest_where_it_was() {
    let pair = Pair::counting();
    let receiver = pair.receive(&pair.socket());
    // So slow that it is interrupted before it is done.
    let mut sender = pair.here.command(&["migrate", "rom", "--to", &pair.socket(), "--bandwidth", "1KiB"]);
    let sender = sender.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The destination has a hypervisor: the guest is on its way.
    while !is_anything_held(&pair.there) {
        std::thread::yield_now();
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&sender), rustix::process::Signal::INT)
        .unwrap();
    let sent = Answer::of(sender.wait_with_output().unwrap());
    code(&sent, "migration.cancelled");
    code(&receiver.end(), "error[");
    assert_eq!(pair.running(), (true, false));
    assert!(!is_anything_held(&pair.there));
    let (sent, _) = pair.migrate(&[]);
    assert_eq!(sent.status, 0, "{}", sent.stderr);
    counts_on(&pair.there);
}

#[test]
fn strangers_at_the_door_end_no_waiting_and_get_nothing() {
    let pair = Pair::counting();
    let socket = pair.there.path("s");
    let receiver = pair.receive(&pair.socket());
    let mut large = b"hostler-migration/1 control\n".to_vec();
    large.extend_from_slice(&u32::MAX.to_be_bytes());
    let lines: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"hostler-migration/9 control\n",
        b"hostler-migration/1 data 0123\n",
        b"hostler-migration/1 control\n\0\0\0\x02{}",
        &large,
    ];
    for line in lines {
        let mut stranger = UnixStream::connect(&socket).unwrap();
        stranger.write_all(line).unwrap();
        let mut answer = Vec::new();
        // What is said to a stranger is that it is none of ours; some are only cut off.
        let _cut_off = stranger.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.contains("refused"), "{answer}");
    }
    let sent = pair.here.run(&["migrate", "rom", "--to", &pair.socket()]);
    assert_eq!(sent.status, 0, "{}", sent.stderr);
    assert_eq!(receiver.end().status, 0);
    let wide = pair.here.run(&["receive", "tcp:0.0.0.0:0"]);
    code(&wide, "--insecure-network");
    assert!(wide.stderr.contains("ssh"), "{}", wide.stderr);
    let taken = pair.here.write("taken", "");
    code(&pair.here.run(&["receive", &format!("unix:{}", taken.display())]), "migration.socket-exists");
    assert!(taken.is_file());
    let alone = pair.here.run(&["receive", "tcp:127.0.0.1:0", "--timeout", "0.1"]);
    code(&alone, "migration.nothing-offered");
}

/// A guest that has gone on somewhere is brought back to where it began.
fn back_home(pair: &Pair) {
    if pair.running() == (false, true) {
        let receiver = Receiver::begin(&pair.here, &format!("unix:{}", pair.here.path("home").display()));
        let sent = pair.there.run(&["migrate", "rom", "--to", &receiver.address]);
        assert_eq!(sent.status, 0, "{}", sent.stderr);
        assert_eq!(receiver.end().status, 0);
    }
    assert_eq!(pair.running(), (true, false));
}

/// What the next owners find: first the one that received, then the one that sent.
fn settle(pair: &Pair) {
    for bench in [&pair.there, &pair.here] {
        bench.run(&["destroy", "nobody"]);
    }
}

/// The guest goes on, on one side, and is nowhere else.
fn runs_once(pair: &Pair, at: &str) {
    let (here, there) = pair.running();
    // In a cage a hypervisor that aborts ends by signal 11: only its last words say why.
    let state = |bench: &Workbench| {
        let words = std::fs::read_to_string(bench.run_dir("rom").log_path()).unwrap_or_default();
        bench.run(&["list", "--all"]).stdout + &bench.run(&["destroy", "nobody"]).stderr + &words
    };
    assert!(here != there, "{at}: here\n{}\nthere\n{}", state(&pair.here), state(&pair.there));
    let (bench, other) = if here { (&pair.here, &pair.there) } else { (&pair.there, &pair.here) };
    assert!(!is_anything_held(other), "{at}");
    // The log has what every guest of this directory has written: it does not say how far this one is.
    bench.ok(&["console", "rom", "--no-replay", "--until", "tick 0", "--timeout", "20"]);
}

#[test]
fn sender_killed_at_any_step_leaves_the_guest_running_on_one_side() {
    let pair = Pair::counting();
    let mut interrupted = 0;
    let points = points(KILL_SENDER_AT);
    for (calls, count) in &points {
        let at = format!("{calls} {count}");
        let receiver = pair.receive(&pair.socket());
        let sent = killed_at(&pair.here, &["migrate", "rom", "--to", &pair.socket()], calls, *count);
        interrupted += u32::from(!sent);
        end_receiver(&pair, receiver);
        settle(&pair);
        runs_once(&pair, &at);
        back_home(&pair);
    }
    list_fits(interrupted, points.len());
}

/// Lets a receiver end whose sender may never have come.
fn end_receiver(pair: &Pair, mut receiver: Receiver) {
    // One that has a guest, or part of one, ends by itself.
    if !is_anything_held(&pair.there) && receiver.child.try_wait().unwrap().is_none() {
        receiver.child.kill().unwrap();
    }
    receiver.end();
}

/// Sends the guest to a receiver that is killed. Whether that one ended well, and what the sender said.
fn send_to_one_killed_at(pair: &Pair, calls: &str, count: u32) -> (bool, Answer) {
    let socket = pair.there.path("s");
    std::thread::scope(|scope| {
        let receiver = scope
            .spawn(|| killed_at(&pair.there, &["receive", &pair.socket(), "--timeout", "20"], calls, count));
        while UnixStream::connect(&socket).is_err() && !receiver.is_finished() {
            std::thread::yield_now();
        }
        let sent = pair.here.run(&["migrate", "rom", "--to", &pair.socket()]);
        (receiver.join().unwrap(), sent)
    })
}

#[test]
fn receiver_killed_at_any_step_leaves_the_guest_running_on_one_side() {
    let pair = Pair::counting();
    let mut interrupted = 0;
    let points = points(KILL_RECEIVER_AT);
    for (calls, count) in &points {
        let at = format!("{calls} {count}");
        let (received, sent) = send_to_one_killed_at(&pair, calls, *count);
        interrupted += u32::from(!received);
        assert!(received || sent.status == 0 || !sent.stderr.is_empty(), "{at}");
        settle(&pair);
        runs_once(&pair, &at);
        back_home(&pair);
    }
    list_fits(interrupted, points.len());
}

#[test]
fn guest_in_doubt_stays_stopped_until_it_is_known_where_it_is_or_said() {
    let pair = Pair::counting();
    let in_doubt = || {
        // The receiver writes down that the guest goes on with one of its last records.
        (4..16).any(|count| {
            let (_, sent) = send_to_one_killed_at(&pair, "renameat,renameat2,rename", count);
            let found = sent.stderr.contains("migration.in-doubt");
            if !found {
                settle(&pair);
                back_home(&pair);
            }
            found
        })
    };
    assert!(in_doubt(), "no step of the receiver leaves the sender in doubt");
    assert_eq!(pair.here.state_of("rom").as_deref(), Some("paused"));
    let listed = pair.here.ok(&["list"]);
    assert!(listed.contains("given away"), "{listed}");
    for verb in ["resume", "reset", "save"] {
        code(&pair.here.run(&[verb, "rom"]), "migration.in-doubt");
    }
    // Known: the other side settles, and this one sees it.
    settle(&pair);
    runs_once(&pair, "settled");
    back_home(&pair);
    // Said: it does not run there, and from then on it never will.
    assert!(in_doubt(), "no step of the receiver leaves the sender in doubt");
    let back = pair.here.run(&["migrate", "rom", "--take-back"]);
    if back.status == 0 {
        assert_eq!(pair.here.state_of("rom").as_deref(), Some("running"));
    } else {
        // It went on there before its owner could write that down, and has its images.
        code(&back, "qemu.images-locked");
    }
    settle(&pair);
    runs_once(&pair, "said");
}

/// What is in the variable store of a guest.
fn store(bench: &Workbench) -> Vec<u8> {
    let uuid = bench.json(&["show", "rom"])["uuid"].as_str().unwrap().to_owned();
    std::fs::read(bench.state_root().join("domains").join(uuid).join("nvram.fd")).unwrap()
}

#[test]
fn variables_of_a_uefi_guest_go_with_it() {
    let pair = Pair { here: Workbench::new(), there: Workbench::new() };
    pair.here.define(
        "<domain type='qemu'><name>rom</name><memory unit='MiB'>64</memory><os firmware='efi'><type arch='x86_64' \
         machine='q35'>hvm</type></os><features><acpi/></features><devices><serial type='pty'/></devices></domain>",
    );
    pair.here.ok(&["start", "rom", "--paused"]);
    let blank = store(&pair.here);
    pair.here.ok(&["resume", "rom"]);
    // There is nothing to boot, and from there on nothing is written.
    pair.here.ok(&["console", "rom", "--until", "Press any key", "--timeout", GUEST_SECONDS]);
    assert!(store(&pair.here) != blank, "the firmware has written");
    let (sent, received) = pair.migrate(&["--persist"]);
    assert_eq!((sent.status, received.status), (0, 0), "{}{}", sent.stderr, received.stderr);
    assert_eq!(pair.running(), (false, true));
    until("the store is as it was", || store(&pair.there) == store(&pair.here));
}

#[test]
fn port_that_nobody_waits_at_is_no_destination() {
    let pair = Pair::counting();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    let sent = pair.here.run(&["migrate", "rom", "--to", &format!("tcp:127.0.0.1:{port}")]);
    code(&sent, "hostler receive tcp:");
    assert_eq!(pair.running(), (true, false));
}
