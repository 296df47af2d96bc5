//! A daemon that is killed at moments of chance while eight clients change twenty guests: every guest stays the process that
//! it was, what was acknowledged is so, and the next daemon finds everything in a state that it can go on from.

mod client;
mod guests;

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hostler_state::StateDir;
use serde_json::Value;

use crate::daemon::Daemon;
use crate::firmware_scene::{CODE, TEMPLATE, pristine};
use crate::rpc_client::RpcClient;
use crate::workbench::{Workbench, rom_domain};
use client::{Client, Own};
use guests::{CLIENTS, STEADY, own, steady};

/// Set to kill as often; the goal that this project set itself is two hundred.
const KILLS: &str = "HOSTLER_DAEMON_KILLS";
/// How often the daemon is killed in every run of the tests.
const DEFAULT_KILLS: u32 = 12;
/// Set to repeat what is drawn: the number is in the message of every failure.
const SEED: &str = "HOSTLER_SEED";
/// A daemon is killed after so many answers at most, and after this time more at most.
const ANSWERS: u32 = 40;
const MORE: Duration = Duration::from_millis(100);
/// How long an answer may take on a loaded machine.
const ANSWER_WAIT: Duration = Duration::from_secs(120);
/// How long what a killed daemon had begun may take to end.
const ENDING: Duration = Duration::from_secs(20);

#[test]
fn daemon_killed_under_load_loses_no_guest_no_record_and_leaves_no_orphan() {
    let seed = std::env::var(SEED).map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    let kills = std::env::var(KILLS).map_or(DEFAULT_KILLS, |kills| kills.parse().unwrap());
    let mut chance = fastrand::Rng::with_seed(seed);
    let bench = Workbench::of_drivers();
    let mut daemon = Daemon::start(&bench);
    let pids = begun(&bench, &daemon);
    let mut clients: Vec<_> =
        (0..CLIENTS).map(|number| Client::new(number, chance.fork(), bench.path("s"))).collect();
    let mut calls = 0;
    for kill in 0..kills {
        let when = format!("seed {seed}, kill {kill}");
        let (answers, more) = (chance.u32(..ANSWERS), MORE.mul_f64(chance.f64()));
        std::thread::scope(|scope| {
            let (answered, counted) = mpsc::channel();
            for client in &mut clients {
                let answered = answered.clone();
                scope.spawn(move || client.work_until_it_is_gone(&answered));
            }
            (0..answers).for_each(|_| counted.recv_timeout(ANSWER_WAIT).expect("clients are answered"));
            daemon.killed_after(more);
            drop(answered);
            calls += answers + u32::try_from(counted.iter().count()).unwrap();
        });
        daemon = Daemon::start(&bench);
        holds(&bench, &pids, &mut clients, &when);
    }
    eprintln!("{kills} kills, {calls} calls answered, seed {seed}");
    drop(daemon);
    // Those that stand still go on: they are what they were.
    for number in 0..STEADY {
        bench.run(&["resume", &steady(number)]);
        assert_eq!(bench.state_of(&steady(number)).as_deref(), Some("running"), "seed {seed}");
    }
}

/// Defines and starts all guests, each client its own and some of the others. The processes of those that are to live through
/// it all.
fn begun(bench: &Workbench, daemon: &Daemon<'_>) -> BTreeMap<String, i64> {
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            scope.spawn(move || {
                let mut client = RpcClient::open(daemon.socket()).unwrap();
                for name in (number..STEADY).step_by(CLIENTS).map(steady) {
                    guests::define(&mut client, rom_domain(&name, "qemu"));
                    guests::start(&mut client, &name, 0).unwrap();
                }
                guests::define(&mut client, firmware_domain(bench, number));
                guests::start(&mut client, &own(number), guests::PAUSED).unwrap();
            });
        }
    });
    let listed = bench.json(&["list"]);
    let domains = listed["domains"].as_array().unwrap();
    assert_eq!(domains.len(), STEADY + CLIENTS, "{listed}");
    let lasting = domains.iter().filter(|domain| name_of(domain).starts_with("steady"));
    lasting.map(|domain| (name_of(domain).to_owned(), domain["pid"].as_i64().unwrap())).collect()
}

/// A machine with a variable store, which stays before its first instruction: nobody writes to the store.
fn firmware_domain(bench: &Workbench, number: usize) -> String {
    let (name, store) = (own(number), store(bench, number));
    format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu><os>\
         <type arch='x86_64' machine='q35'>hvm</type><loader type='pflash' readonly='yes'>{CODE}</loader>\
         <nvram template='{TEMPLATE}'>{store}</nvram></os><features><acpi/></features>\
         <devices><memballoon model='none'/></devices></domain>"
    )
}

fn store(bench: &Workbench, number: usize) -> String {
    bench.path(&format!("vars-{number}.fd")).display().to_string()
}

fn name_of(domain: &Value) -> &str {
    domain["name"].as_str().unwrap()
}

/// What has to be true once the next daemon is there.
fn holds(bench: &Workbench, pids: &BTreeMap<String, i64>, clients: &mut [Client], when: &str) {
    let listed = bench.json(&["list", "--all"]);
    let domains: BTreeMap<&str, &Value> =
        listed["domains"].as_array().unwrap().iter().map(|domain| (name_of(domain), domain)).collect();
    for (name, pid) in pids {
        let domain = domains.get(name.as_str()).unwrap_or_else(|| panic!("{when}: {name} is gone: {listed}"));
        assert_eq!(domain["pid"].as_i64(), Some(*pid), "{when}: it is another process: {domain}");
        assert!(["running", "paused"].iter().any(|state| domain["state"] == *state), "{when}: {domain}");
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let domain = domains[own(number).as_str()];
        let is = match (domain["state"].as_str().unwrap(), domain["reason"].as_str()) {
            ("paused", _) => Own::Paused,
            ("off", Some("saved")) => Own::Saved,
            ("off", _) => Own::Off,
            other => panic!("{when}: {other:?}: {domain}"),
        };
        let extra: Vec<_> = domains.keys().filter(|name| name.starts_with(&client.prefix())).collect();
        client.settle(is, extra.first().map(|name| **name), when);
        assert!(extra.len() < 2, "{when}: {extra:?}");
        assert!(std::fs::read(store(bench, number)).unwrap() == pristine(), "{when}: store {number}");
    }
    let active = domains.values().filter(|domain| domain["state"] != "off").count();
    no_orphans(bench, active, when);
    let state = StateDir::open_reader(&bench.state_root()).unwrap();
    assert_eq!(state.definitions().unwrap().len(), domains.len(), "{when}");
    assert!(state.damage().is_empty(), "{when}: {:?}", state.damage());
    assert!(state.set_aside().unwrap().is_empty(), "{when}: {:?}", state.set_aside());
    assert!(state.pending().unwrap().is_empty(), "{when}: {:?}", state.pending());
}

/// One shim and one hypervisor for each guest, and nothing else; what had begun to end has ended in a moment.
fn no_orphans(bench: &Workbench, guests: usize, when: &str) {
    let deadline = Instant::now() + ENDING;
    loop {
        let processes = bench.processes();
        let of = |program: &str| processes.iter().filter(|line| line.contains(program)).count();
        let (shims, hypervisors) = (of("hostler-shim"), of("qemu-system"));
        if (shims, hypervisors) == (guests, guests) {
            return;
        }
        assert!(Instant::now() < deadline, "{when}: {guests} guests, and {processes:#?}");
        std::thread::yield_now();
    }
}
