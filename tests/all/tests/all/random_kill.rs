//! Owners that are killed at moments of chance, in operations of chance: every guest stays what it was, and the next
//! command finds everything in a state that it can go on from.

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;

use crate::snapshot_scene::first_byte;
use crate::workbench::{Answer, Workbench, rom_domain, until};

/// How many commands are killed; the goal that this project set itself is two hundred.
const KILLS: u32 = 200;
/// A command that was to be killed and had ended before does not count. More of these than this in all, and the times that
/// are drawn do not fit the commands.
const MISSES: u32 = 400;
/// Set to repeat a run: the number is in the message of every failure.
const SEED: &str = "HOSTLER_SEED";
/// What the disks have in their first bytes; no guest of this test writes.
const CONTENT: u8 = 0x5a;
/// After so many commands the machine is ended and its disks are read.
const LOOK_AFTER: u32 = 25;

/// The machine that everything is done to, and one beside it that has to live through it all.
struct Scene {
    bench: Workbench,
    chance: fastrand::Rng,
    seed: u64,
    /// How long the latest command of each verb took that was not killed.
    took: HashMap<String, Duration>,
    /// What was done, killed or not.
    history: Vec<String>,
}

#[test]
fn owner_killed_at_any_moment_leaves_every_guest_in_its_true_state() {
    let mut scene = Scene::new();
    let (mut before, bystander) = scene.domains();
    let (mut kills, mut misses) = (0, 0);
    while kills < KILLS {
        let words = scene.operation(&before);
        match scene.killed(&words) {
            true => kills += 1,
            false => misses += 1,
        }
        let mut after = scene.settled();
        if words[0] == "dump" && before["state"] == "running" {
            // The hypervisor writes to the end by itself what nobody waits for any more, and lets the guest go on then.
            until("the guest goes on after its dump", || scene.domains().0["state"] == "running");
            after = scene.domains();
        }
        scene.holds((&before, &after.0), &words[0]);
        assert_eq!(after.1["pid"], bystander["pid"], "{}", scene.when());
        before = after.0;
        if (kills + misses) % LOOK_AFTER == 0 {
            scene.content_is_whole();
            before = scene.domains().0;
        }
    }
    assert!(misses < MISSES, "{misses} commands ended before they were killed; seed {}", scene.seed);
}

impl Scene {
    fn new() -> Self {
        let seed = std::env::var(SEED).map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
        let bench = Workbench::new();
        let pool = format!(
            "<pool type='dir'><name>p</name><target><path>{}</path></target></pool>",
            bench.path("pool").display()
        );
        bench.ok(&["pool", "define", bench.write("pool.xml", &pool).to_str().unwrap()]);
        bench.ok(&["pool", "start", "p", "--build"]);
        bench.ok(&["vol", "create", "p", "volume", "--capacity", "1MiB", "--format", "qcow2"]);
        bench.image(&["create", "-q", "-f", "qcow2", "base.qcow2", "1M"]);
        bench.image(&["create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "file.qcow2"]);
        bench.image(&["create", "-q", "-f", "qcow2", "hot.qcow2", "1M"]);
        for image in ["pool/volume", "base.qcow2", "hot.qcow2"] {
            write_content(&bench, image);
        }
        let hot = disk("file", &format!("file='{}'", bench.path("hot.qcow2").display()), "vdc");
        bench.write("hot.xml", &hot);
        let disks = disk("volume", "pool='p' volume='volume'", "vda")
            + &disk("file", &format!("file='{}'", bench.path("file.qcow2").display()), "vdb");
        bench.define(&rom_domain("machine", "qemu").replace("<devices>", &format!("<devices>{disks}")));
        bench.define(&rom_domain("bystander", "qemu"));
        bench.ok(&["start", "bystander"]);
        let began = Instant::now();
        bench.ok(&["start", "machine"]);
        let took = HashMap::from([("start".to_owned(), began.elapsed())]);
        Self { bench, chance: fastrand::Rng::with_seed(seed), seed, took, history: Vec::new() }
    }

    /// Something that can be done to the machine as it is.
    fn operation(&mut self, machine: &Value) -> Vec<String> {
        let number = self.history.len();
        let (snapshot, dump) = (format!("s{number}"), format!("dump{number}"));
        let words: &[&[&str]] = match machine["state"].as_str().unwrap() {
            "off" => &[
                &["start", "machine"],
                &["start", "machine"],
                &["start", "machine", "--paused"],
                &["snapshot", "create", "machine", &snapshot, "--external"],
            ],
            "paused" => &[&["resume", "machine"], &["destroy", "machine"], &["save", "machine"]],
            _ => &[
                &["suspend", "machine"],
                &["reset", "machine"],
                &["save", "machine"],
                &["destroy", "machine"],
                &["attach", "machine", "hot.xml"],
                &["block", "commit", "machine", "vdb", "--active"],
                &["block", "pull", "machine", "vdb"],
                &["block", "cancel", "machine", "vdb"],
                &["block", "complete", "machine", "vdb"],
                &["dump", "machine", &dump],
                &["stats", "machine"],
                &["snapshot", "create", "machine", &snapshot, "--disk-only"],
            ],
        };
        let words = words[self.chance.usize(..words.len())];
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// Runs a command and kills it at a moment of chance. Whether it was at work then.
    fn killed(&mut self, words: &[String]) -> bool {
        let verb = words[0].clone();
        // One that was never seen to its end is killed as if it were a start.
        let longest = self.took.get(&verb).unwrap_or(&self.took["start"]).as_micros();
        let moment = Duration::from_micros(self.chance.u64(..u64::try_from(longest).unwrap()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let began = Instant::now();
        let mut command = self.bench.command(&words);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let killed = !ends_within(&child, moment);
        if killed {
            child.kill().unwrap();
        }
        let answer = Answer::of(child.wait_with_output().unwrap());
        if !killed {
            self.took.insert(verb, began.elapsed());
            // Refusals are part of it: a disk without layers, a device that is there. Drivers that break are not.
            assert!([0, 1, 2, 3, 5].contains(&answer.status), "{}: {}", self.when(), answer.stderr);
        }
        if let Some(latest) = self.history.last_mut() {
            let outcome = if killed { "killed".to_owned() } else { answer.stderr.replace('\n', " | ") };
            latest.push_str(&format!(": {outcome}"));
        }
        killed
    }

    /// The machine and the other once an owner has settled what was left.
    fn settled(&self) -> (Value, Value) {
        // Any owner settles; this one has nothing else to do.
        let settled = self.bench.run(&["destroy", "nobody"]);
        assert_eq!(settled.status, 3, "{}: {}", self.when(), settled.stderr);
        self.domains()
    }

    /// What has to be true after a command, however far it came.
    fn holds(&self, (before, after): (&Value, &Value), verb: &str) {
        let when = self.when();
        let (was, is) = (before["state"].as_str().unwrap(), after["state"].as_str().unwrap());
        let outcomes: &[&str] = match (was, verb) {
            ("off", "start") => &["off", "running", "paused"],
            ("off", _) => &["off"],
            (_, "destroy" | "save") => &["off", was],
            (_, "suspend" | "resume") => &["running", "paused"],
            _ => &[was],
        };
        assert!(outcomes.contains(&is), "{when}: by '{verb}' {was} became {after}");
        if was != "off" && is != "off" {
            assert_eq!(before["pid"], after["pid"], "{when}: it is another process");
        }
        let processes = self.bench.processes();
        let guests = if is == "off" { 1 } else { 2 };
        let shims = processes.iter().filter(|line| line.contains("hostler-shim")).count();
        assert_eq!(shims, guests, "{when}: {processes:?}");
    }

    /// Ends the machine, and reads its disks as its next start would; then it goes on.
    fn content_is_whole(&self) {
        let when = self.when();
        let answer = self.bench.run(&["destroy", "machine"]);
        assert!([0, 5].contains(&answer.status), "{when}: {}", answer.stderr);
        self.bench.run(&["start", "machine"]);
        let shown = self.bench.json(&["show", "machine"]);
        // One that was saved while it was paused comes back so.
        assert!(["running", "paused"].iter().any(|state| shown["state"] == *state), "{when}: {shown}");
        self.bench.ok(&["destroy", "machine"]);
        for disk in shown["disks"].as_array().unwrap() {
            let layer = &disk["layers"][0];
            let (path, format) = (layer["path"].as_str().unwrap(), layer["format"].as_str().unwrap());
            assert_eq!(first_byte(path, format), CONTENT, "{when}: {disk}");
        }
    }

    /// What a failure has to tell: the seed, and the latest that was done.
    fn when(&self) -> String {
        let latest: Vec<_> = self.history.iter().rev().take(5).rev().collect();
        format!("seed {} ({} commands): {latest:?}", self.seed, self.history.len())
    }

    /// The machine and the other, as they are listed.
    fn domains(&self) -> (Value, Value) {
        let listed = self.bench.json(&["list", "--all"]);
        let named = |name: &str| {
            let found = listed["domains"].as_array().unwrap().iter().find(|domain| domain["name"] == name);
            found.unwrap_or_else(|| panic!("{}: no {name} in {listed}", self.when())).clone()
        };
        (named("machine"), named("bystander"))
    }
}

/// Whether a command ends of itself within this time.
fn ends_within(child: &Child, time: Duration) -> bool {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let mut polled = [PollFd::new(&process, PollFlags::IN)];
    poll(&mut polled, Some(&Timespec::try_from(time).unwrap())).unwrap() > 0
}

fn disk(kind: &str, source: &str, target: &str) -> String {
    format!(
        "<disk type='{kind}' device='disk'><driver name='qemu' type='qcow2'/><source {source}/>\
         <target dev='{target}' bus='virtio'/></disk>"
    )
}

fn write_content(bench: &Workbench, image: &str) {
    let command = format!("write -q -P {CONTENT} 0 64k");
    let image = bench.path(image);
    let output = Command::new("qemu-io").args(["-f", "qcow2", "-c", &command]).arg(&image).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
