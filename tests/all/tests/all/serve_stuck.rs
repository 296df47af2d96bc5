//! A daemon with something stuck in it: a hypervisor that hangs, a driver that loops, clients that hold what they sent half.
//! Everybody else is answered while that goes on.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use hostler_rpc::wire::{
    ConnectListAllDomains, DomainCreate, DomainDefineXml, DomainDestroy, DomainGetControlInfo, DomainGetInfo,
    DomainGetState, DomainGetXmlDesc, DomainHandle, DomainResume, DomainSuspend, DomainUndefine,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::Daemon;
use crate::rpc_client::{Outcome, RpcClient};
use crate::workbench::{Workbench, rom_domain};

/// More calls than have a place at once, in clients' windows of five.
const CLIENTS: usize = 30;
const WINDOW: usize = 5;
/// The state of a guest that runs, of one that stands still, and of one that is off.
const RUNNING: i32 = 1;
const PAUSED: i32 = 3;
const OFF: i32 = 5;

fn client(daemon: &Daemon<'_>) -> RpcClient {
    RpcClient::open(daemon.socket()).unwrap()
}

fn define(client: &mut RpcClient, xml: String) -> DomainHandle {
    client.call(DomainDefineXml::NUMBER, &DomainDefineXml { xml }).unwrap().dom
}

fn start(client: &mut RpcClient, dom: &DomainHandle) {
    client.call(DomainCreate::NUMBER, &DomainCreate { dom: dom.clone() }).unwrap();
}

fn state(client: &mut RpcClient, dom: &DomainHandle) -> i32 {
    client.call(DomainGetState::NUMBER, &DomainGetState { dom: dom.clone(), flags: 0 }).unwrap().state
}

/// Everything that others ask and do: of all domains, of the one that is stuck, of one that is not.
fn others_are_served(client: &mut RpcClient, stuck: &DomainHandle, other: &DomainHandle) {
    let all = ConnectListAllDomains { need_results: 1, flags: 0 };
    assert!(client.call(ConnectListAllDomains::NUMBER, &all).unwrap().domains.0.len() >= 2);
    client.call(DomainGetInfo::NUMBER, &DomainGetInfo { dom: stuck.clone() }).unwrap();
    client.call(DomainGetXmlDesc::NUMBER, &DomainGetXmlDesc { dom: stuck.clone(), flags: 0 }).unwrap();
    state(client, stuck);
    client.call(DomainGetInfo::NUMBER, &DomainGetInfo { dom: other.clone() }).unwrap();
    client.call(DomainSuspend::NUMBER, &DomainSuspend { dom: other.clone() }).unwrap();
    client.call(DomainResume::NUMBER, &DomainResume { dom: other.clone() }).unwrap();
    assert_eq!(state(client, other), RUNNING);
    let third = define(client, rom_domain("third", "qemu"));
    client.call(DomainUndefine::NUMBER, &DomainUndefine { dom: third }).unwrap();
}

#[test]
fn hung_hypervisor_holds_up_no_other_answer_however_many_wait_for_it() {
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let mut good = client(&daemon);
    let hung = define(&mut good, rom_domain("hung", "qemu"));
    let other = define(&mut good, rom_domain("other", "qemu"));
    start(&mut good, &hung);
    start(&mut good, &other);
    let pid = bench.json(&["show", "hung"])["pid"].as_i64().unwrap();
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::STOP).unwrap();
    let suspend = DomainSuspend { dom: hung.clone() };
    let mut stuck: Vec<_> = (0..CLIENTS).map(|_| client(&daemon)).collect();
    stuck
        .iter_mut()
        .for_each(|client| (0..WINDOW).for_each(|_| client.send(DomainSuspend::NUMBER, &suspend)));
    // One of them is at work.
    let control = DomainGetControlInfo { dom: hung.clone(), flags: 0 };
    while good.call(DomainGetControlInfo::NUMBER, &control).unwrap().state == 0 {}
    others_are_served(&mut good, &hung, &other);
    assert!(stuck.iter().any(RpcClient::is_unanswered), "nothing was stuck when the others were answered");
    // Its end does not wait for those.
    good.call(DomainDestroy::NUMBER, &DomainDestroy { dom: hung.clone() }).unwrap();
    assert_eq!(state(&mut good, &hung), OFF);
    for client in &mut stuck {
        (0..WINDOW).for_each(|_| assert!(matches!(client.answer::<()>(), Outcome::Refused(_))));
    }
    good.call(DomainDestroy::NUMBER, &DomainDestroy { dom: other }).unwrap();
}

#[test]
fn hung_hypervisor_is_told_of_as_it_was_known_and_soon_with_how_long_ago_that_was() {
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let mut good = client(&daemon);
    let hung = define(&mut good, rom_domain("hung", "qemu"));
    start(&mut good, &hung);
    assert_eq!(state(&mut good, &hung), RUNNING);
    let pid = bench.json(&["show", "hung"])["pid"].as_i64().unwrap();
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    drop(good);
    daemon.killed_after(Duration::ZERO);

    let daemon = Daemon::start(&bench);
    let mut good = client(&daemon);
    assert_eq!(state(&mut good, &hung), RUNNING, "nothing has happened since it was asked");
    // Nobody waits for it, and the daemon asks it all the same. What changes a domain is the daemon's to answer.
    let told = |aged: bool| loop {
        let line = bench.json(&["autostart", "hung"]);
        assert_eq!(line["state"], "running", "{line}");
        if line["as_of_unix_ms"].is_u64() == aged {
            return;
        }
    };
    told(true);
    kill_process(pid, Signal::CONT).unwrap();
    told(false);
    good.call(DomainSuspend::NUMBER, &DomainSuspend { dom: hung.clone() }).unwrap();
    assert_eq!(state(&mut good, &hung), PAUSED, "what a command has done is known when it is answered");
    good.call(DomainDestroy::NUMBER, &DomainDestroy { dom: hung.clone() }).unwrap();
    assert_eq!(state(&mut good, &hung), OFF);
}

#[test]
fn driver_that_loops_holds_up_its_own_domain_only() {
    let bench = Workbench::new();
    let daemon = Daemon::start(&bench);
    let mut good = client(&daemon);
    let fault = "<domain type='fault'><name>loop</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>\
                 <os><type>hvm</type></os></domain>";
    let looping = define(&mut good, fault.to_owned());
    let other = define(&mut good, rom_domain("other", "qemu"));
    start(&mut good, &other);
    // One after the other they loop until each has had its time.
    let mut stuck = client(&daemon);
    let call = DomainCreate { dom: looping.clone() };
    (0..WINDOW).for_each(|_| stuck.send(DomainCreate::NUMBER, &call));
    others_are_served(&mut good, &looping, &other);
    // It is told at once that there is nothing to end.
    let end = DomainDestroy { dom: looping.clone() };
    assert!(matches!(good.call(DomainDestroy::NUMBER, &end), Outcome::Refused(_)));
    let mut answered = 0;
    while answered < WINDOW && !stuck.is_unanswered() {
        assert!(matches!(stuck.answer::<()>(), Outcome::Refused(_)));
        answered += 1;
    }
    assert!(answered < WINDOW, "nothing was stuck when the others were answered");
    good.call(DomainDestroy::NUMBER, &DomainDestroy { dom: other }).unwrap();
}

#[test]
fn clients_that_hold_half_frames_without_measure_are_let_go_and_others_are_served() {
    const FRAME_BYTES: u32 = 32 << 20;
    // Together more than all clients may hold.
    const HOARDERS: usize = 10;
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    let half = vec![0; (FRAME_BYTES - (1 << 20)) as usize];
    let hoarders: Vec<_> = (0..HOARDERS)
        .map(|_| {
            let mut hoarder = UnixStream::connect(daemon.socket()).unwrap();
            // A header that may be: its call is never told.
            let words = [FRAME_BYTES, 0x2000_8086, 1, 1, 0, 0, 0];
            let header: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
            hoarder.write_all(&header).ok();
            hoarder.write_all(&half).ok();
            hoarder
        })
        .collect();
    let let_go = hoarders.into_iter().filter_map(|mut hoarder| {
        hoarder.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        match hoarder.read(&mut [0]) {
            Ok(0) => Some(()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Some(()),
            _ => None,
        }
    });
    let let_go = let_go.count();
    assert!((1..HOARDERS).contains(&let_go), "{let_go} of {HOARDERS} are let go");
    let mut good = client(&daemon);
    define(&mut good, rom_domain("rom", "qemu"));
}
