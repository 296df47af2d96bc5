//! Tenants side by side: nothing of one is named, seen, reached, used up or waited for by another.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use hostler_state::StateDir;

use crate::control_groups::groups_are_here;
use crate::kill::killed_at;
use crate::workbench::{Answer, GUEST_SECONDS, Workbench, components, guest, rom_domain};

/// A workbench with tenants, whose guests are ended when this is dropped.
pub(crate) struct Shared(pub(crate) Workbench);

impl Shared {
    /// Tenants of these names, each with a directory of its own and every driver.
    pub(crate) fn new(tenants: &[&str]) -> Self {
        let shared = Self(Workbench::new());
        for name in tenants {
            std::fs::create_dir(shared.0.path(name)).unwrap();
            let root = shared.0.path(name).display().to_string();
            shared.0.ok(&["tenant", "create", name, "--storage-root", &root, "--driver", "*"]);
        }
        shared
    }

    pub(crate) fn run(&self, tenant: &str, arguments: &[&str]) -> Answer {
        self.0.run(&[&["--tenant", tenant], arguments].concat())
    }

    fn ok(&self, tenant: &str, arguments: &[&str]) -> String {
        self.0.ok(&[&["--tenant", tenant], arguments].concat())
    }

    pub(crate) fn json(&self, tenant: &str, arguments: &[&str]) -> serde_json::Value {
        self.0.json(&[&["--tenant", tenant], arguments].concat())
    }

    /// Defines a document for a tenant.
    fn define(&self, tenant: &str, xml: &str) -> Answer {
        let file = self.0.write("tenant.xml", xml);
        self.run(tenant, &["define", file.to_str().unwrap()])
    }

    fn names(&self, tenant: &str) -> Vec<String> {
        let list = self.json(tenant, &["list", "--all"]);
        let name = |domain: &serde_json::Value| domain["name"].as_str().unwrap().to_owned();
        list["domains"].as_array().unwrap().iter().map(name).collect()
    }

    /// A path beneath the root of a tenant.
    pub(crate) fn at(&self, tenant: &str, name: &str) -> PathBuf {
        self.0.path(tenant).join(name)
    }

    fn used(&self, tenant: &str, quota: &str) -> u64 {
        let shown = self.0.json(&["tenant", "show", tenant]);
        let limits = shown["limits"].as_array().unwrap();
        limits.iter().find(|limit| limit["quota"] == quota).unwrap()["used"].as_u64().unwrap()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let Ok(tenants) = StateDir::open_reader(&self.0.state_root()).and_then(|state| state.tenant_dirs())
        else {
            return;
        };
        for tenant in tenants {
            let state = StateDir::open_reader(&self.0.state_root().join("tenants").join(&tenant)).unwrap();
            for run in state.run_dirs().unwrap_or_default() {
                if run.is_held().unwrap_or(false) {
                    self.run(&tenant, &["destroy", &run.domain().to_string()]);
                }
            }
        }
    }
}

/// A domain of the in-memory driver.
fn test_domain(name: &str, memory_mib: u32, vcpus: u32) -> String {
    format!(
        "<domain type='test'><name>{name}</name><memory unit='MiB'>{memory_mib}</memory><vcpu>{vcpus}</vcpu>\
         <os><type>hvm</type></os></domain>"
    )
}

/// Each refusal ends with status 4, and says which rule it is.
fn assert_refused(answer: &Answer, code: &str, words: &[&str]) {
    assert_eq!(answer.status, 4, "{}{}", answer.stdout, answer.stderr);
    for word in [&[code], words].concat() {
        assert!(answer.stderr.contains(word), "'{word}' is not in: {}", answer.stderr);
    }
}

#[test]
fn domains_of_one_name_run_side_by_side_and_see_nothing_of_each_other() {
    let shared = Shared::new(&["blue", "red"]);
    for tenant in ["blue", "red"] {
        // The same document for both, but for the file, which lies beneath the root of each.
        let rom = shared.at(tenant, "rom.bin");
        std::fs::copy(guest("rom.bin"), &rom).unwrap();
        let xml = rom_domain("web", "qemu")
            .replace(guest("rom.bin").to_str().unwrap(), rom.to_str().unwrap())
            .replace("<name>", "<uuid>5d4e2ee3-5a0a-4a1c-9d0c-7f6a3e0b9a11</uuid><name>");
        let answer = shared.define(tenant, &xml);
        assert_eq!(answer.status, 0, "{}", answer.stderr);
        shared.ok(tenant, &["start", "web"]);
    }
    let other = shared.define("blue", &test_domain("only-blue", 16, 1));
    assert_eq!(other.status, 0, "{}", other.stderr);
    for tenant in ["blue", "red"] {
        let console = ["console", "web", "--until", "hostler-rom: tick 0002", "--timeout", GUEST_SECONDS];
        shared.ok(tenant, &console);
    }
    let pid = |tenant: &str| shared.json(tenant, &["show", "web"])["pid"].as_u64().unwrap();
    assert_ne!(pid("blue"), pid("red"));
    assert_eq!((shared.names("blue").len(), shared.names("red")), (2, vec!["web".to_owned()]));
    assert!(shared.0.json(&["list", "--all"])["domains"].as_array().unwrap().is_empty());
    let unseen = shared.run("red", &["show", "only-blue"]);
    assert_eq!(unseen.status, 3, "{}", unseen.stderr);
    assert!(!unseen.stderr.contains("did you mean"), "{}", unseen.stderr);
    assert!(!shared.ok("red", &["events"]).contains("only-blue"));
    assert!(shared.ok("blue", &["events"]).contains("only-blue"));

    shared.ok("blue", &["destroy", "web"]);
    assert_eq!(shared.json("red", &["show", "web"])["state"], "running");
    shared.ok("red", &["destroy", "web"]);
}

#[test]
fn quotas_of_domains_are_hit_exactly() {
    let shared = Shared::new(&["blue"]);
    shared.0.ok(&["tenant", "limits", "blue", "domains=3", "running=2", "vcpus=5", "memory=96MiB"]);
    for (name, memory, vcpus) in [("a", 32, 2), ("b", 64, 2)] {
        let answer = shared.define("blue", &test_domain(name, memory, vcpus));
        assert_eq!(answer.status, 0, "{}", answer.stderr);
    }
    // What could never start is not stored, and what is stored already does not count again.
    assert_refused(&shared.define("blue", &test_domain("c", 97, 1)), "tenant.quota", &["96 MiB", "97 MiB"]);
    assert_refused(&shared.define("blue", &test_domain("c", 1, 6)), "tenant.quota", &["vcpus=6"]);
    for _ in 0..2 {
        assert_eq!(shared.define("blue", &test_domain("c", 1, 2)).status, 0);
    }
    let fourth = shared.define("blue", &test_domain("d", 1, 1));
    assert_refused(&fourth, "tenant.quota", &["may have 3 domains, uses 3, and this needs 1", "domains=4"]);
    let file = shared.0.write("run.xml", &test_domain("d", 1, 1));
    assert_refused(&shared.run("blue", &["run", file.to_str().unwrap()]), "tenant.quota", &["domains=4"]);

    shared.ok("blue", &["start", "a"]);
    shared.ok("blue", &["start", "b"]);
    assert_refused(&shared.run("blue", &["start", "c"]), "tenant.quota", &["2 running domains", "running=3"]);
    shared.0.ok(&["tenant", "limits", "blue", "running=3"]);
    assert_refused(
        &shared.run("blue", &["start", "c"]),
        "tenant.quota",
        &["uses 4, and this needs 2", "vcpus=6"],
    );
    shared.0.ok(&["tenant", "limits", "blue", "vcpus=unlimited"]);
    assert_refused(&shared.run("blue", &["start", "c"]), "tenant.quota", &["uses 96 MiB", "memory=97MiB"]);
    assert_eq!((shared.used("blue", "running"), shared.used("blue", "memory")), (2, 96 << 20));
    assert_eq!((shared.used("blue", "vcpus"), shared.used("blue", "processes")), (4, 0));
    shared.ok("blue", &["destroy", "a"]);
    shared.ok("blue", &["start", "c"]);
    let low = shared.0.run(&["tenant", "limits", "blue", "running=1"]);
    assert!(low.status == 0 && low.stderr.contains("uses more than that already"), "{}", low.stderr);
}

#[test]
fn commands_at_the_same_time_do_not_pass_a_quota_together() {
    let shared = Shared::new(&["blue"]);
    shared.0.ok(&["tenant", "limits", "blue", "running=3"]);
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        assert_eq!(shared.define("blue", &test_domain(name, 1, 1)).status, 0);
    }
    let start =
        |name: &str| shared.0.command(&["--tenant", "blue", "--quiet", "start", name]).spawn().unwrap();
    let begun: Vec<_> = names.iter().map(|name| start(name)).collect();
    let codes: Vec<_> = begun.into_iter().map(|mut child| child.wait().unwrap().code().unwrap()).collect();
    let count = |wanted: i32| codes.iter().filter(|code| **code == wanted).count();
    assert_eq!((count(0), count(4)), (3, 3), "{codes:?}");
    assert_eq!(shared.used("blue", "running"), 3);
}

#[test]
fn transient_domain_that_there_is_no_room_for_leaves_nothing() {
    let shared = Shared::new(&["blue"]);
    shared.0.ok(&["tenant", "limits", "blue", "running=0"]);
    let file = shared.0.write("run.xml", &test_domain("t", 1, 1));
    assert_refused(&shared.run("blue", &["run", file.to_str().unwrap()]), "tenant.quota", &["running=1"]);
    assert!(shared.names("blue").is_empty());
}

#[test]
fn processes_of_a_hypervisor_count() {
    let shared = Shared::new(&["blue"]);
    std::fs::copy(guest("rom.bin"), shared.at("blue", "rom.bin")).unwrap();
    let rom = shared.at("blue", "rom.bin").display().to_string();
    let xml = rom_domain("web", "qemu").replace(guest("rom.bin").to_str().unwrap(), &rom);
    assert_eq!(shared.define("blue", &xml).status, 0);
    shared.0.ok(&["tenant", "limits", "blue", "processes=1"]);
    assert_refused(&shared.run("blue", &["start", "web"]), "tenant.quota", &["1 process", "processes=2"]);
    shared.0.ok(&["tenant", "limits", "blue", "processes=2"]);
    shared.ok("blue", &["start", "web"]);
    assert_eq!(shared.used("blue", "processes"), 2);
    let busy = shared.0.run(&["tenant", "remove", "blue", "--purge"]);
    assert_eq!(busy.status, 5, "{}", busy.stderr);
    assert!(busy.stderr.contains("tenant.running"), "{}", busy.stderr);
    shared.ok("blue", &["destroy", "web"]);
    assert_eq!(shared.used("blue", "processes"), 0);
}

#[test]
fn disk_is_charged_when_it_is_made_and_given_back_when_it_goes() {
    let shared = Shared::new(&["blue"]);
    shared.0.ok(&["tenant", "limits", "blue", "disk=10MiB"]);
    let pool = shared.at("blue", "pool").display().to_string();
    let xml = format!("<pool type='dir'><name>p</name><target><path>{pool}</path></target></pool>");
    let file = shared.0.write("pool.xml", &xml);
    shared.ok("blue", &["pool", "create", file.to_str().unwrap(), "--build"]);
    shared.ok("blue", &["vol", "create", "p", "a", "--capacity", "4MiB", "--format", "raw"]);
    let image = shared.at("blue", "b.qcow2").display().to_string();
    shared.ok("blue", &["image", "create", &image, "5MiB"]);
    assert_eq!(shared.used("blue", "disk"), 9 << 20);
    let third = shared.run("blue", &["vol", "create", "p", "c", "--capacity", "2MiB"]);
    assert_refused(
        &third,
        "tenant.quota",
        &["10 MiB of disk, uses 9 MiB, and this needs 2 MiB", "disk=11MiB"],
    );
    assert!(!shared.at("blue", "pool/c").exists());
    assert_refused(&shared.run("blue", &["vol", "clone", "p", "a", "c"]), "tenant.quota", &["needs 4 MiB"]);
    assert_refused(
        &shared.run("blue", &["vol", "resize", "p", "a", "6MiB"]),
        "tenant.quota",
        &["needs 6 MiB"],
    );
    shared.ok("blue", &["vol", "resize", "p", "a", "5MiB"]);
    assert_refused(
        &shared.run("blue", &["image", "resize", &image, "+1", "--format", "qcow2"]),
        "tenant.quota",
        &[],
    );
    assert_eq!(shared.used("blue", "disk"), 10 << 20);
    // What fails for another reason costs nothing.
    assert_eq!(shared.run("blue", &["vol", "create", "p", "a", "--capacity", "0"]).status, 5);
    shared.ok("blue", &["vol", "delete", "p", "a"]);
    assert_eq!(shared.used("blue", "disk"), 5 << 20);
    // What a header claims counts, whatever the file has.
    shared.ok("blue", &["vol", "create", "p", "d", "--capacity", "1MiB", "--format", "qcow2"]);
    shared.0.image(&["create", "-q", "-f", "qcow2", "huge.qcow2", "64G"]);
    let huge = shared.0.path("huge.qcow2").display().to_string();
    let upload = shared.run("blue", &["vol", "upload", "p", "d", &huge]);
    assert_refused(&upload, "volume.too-large", &["64 GiB", "5 MiB"]);
    std::fs::remove_file(&image).unwrap();
    assert_eq!(shared.used("blue", "disk"), 1 << 20);
}

#[test]
fn tenant_takes_no_more_of_the_host_than_others_have() {
    let shared = Shared::new(&["blue"]);
    let images = guest("rom.bin").parent().unwrap().display().to_string();
    shared.0.ok(&["tenant", "allow", "blue", "--storage-root", &images]);
    let with = |limits: &str| rom_domain("rom", "qemu").replace("<os>", &format!("{limits}<os>"));
    let file = |limits: &str| shared.0.write("rom.xml", &with(limits)).display().to_string();
    for greedy in [
        "<cputune><shares>1025</shares></cputune>",
        "<blkiotune><weight>101</weight></blkiotune>",
        "<blkiotune><device><path>/dev/vda</path><weight>1000</weight></device></blkiotune>",
    ] {
        let refused = shared.run("blue", &["define", &file(greedy)]);
        assert!(refused.status != 0 && refused.stderr.contains("tenant.weight"), "{}", refused.stderr);
    }
    shared.ok("blue", &["define", &file("<cputune><shares>50</shares></cputune>")]);
    shared.ok("blue", &["start", "rom"]);
    if groups_are_here() {
        shared.ok("blue", &["limits", "rom", "shares=60"]);
        let refused = shared.run("blue", &["limits", "rom", "shares=2000", "--live"]);
        assert!(refused.status != 0 && refused.stderr.contains("tenant.weight"), "{}", refused.stderr);
    }
    shared.ok("blue", &["destroy", "rom"]);
}

#[test]
fn nothing_outside_the_storage_roots_is_reached() {
    let shared = Shared::new(&["blue", "red"]);
    shared.0.image(&["create", "-q", "-f", "raw", "red/disk.raw", "1M"]);
    symlink("../red/disk.raw", shared.at("blue", "link.raw")).unwrap();
    symlink("../red", shared.at("blue", "link")).unwrap();
    let disk = |path: &str| {
        let rom = shared.at("blue", "rom.bin").display().to_string();
        rom_domain("web", "qemu").replace(guest("rom.bin").to_str().unwrap(), &rom).replace(
            "<devices>",
            &format!(
                "<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/>\
                 <source file='{path}'/><target dev='vda' bus='virtio'/></disk>"
            ),
        )
    };
    std::fs::copy(guest("rom.bin"), shared.at("blue", "rom.bin")).unwrap();
    for foreign in [
        shared.at("red", "disk.raw").display().to_string(),
        format!("{}/../red/disk.raw", shared.0.path("blue").display()),
        "/etc/shadow".to_owned(),
        "/dev/vda".to_owned(),
    ] {
        let answer = shared.define("blue", &disk(&foreign));
        assert_refused(&answer, "storage.outside-roots", &["disk vda", "--storage-root"]);
    }
    let outside = rom_domain("web", "qemu");
    assert_refused(&shared.define("blue", &outside), "storage.outside-roots", &["loader"]);
    // A link is found when it is opened.
    for link in ["link.raw", "link/disk.raw"] {
        let answer = shared.define("blue", &disk(shared.at("blue", link).to_str().unwrap()));
        assert_eq!(answer.status, 0, "{}", answer.stderr);
        assert_ne!(shared.run("blue", &["start", "web"]).status, 0, "{link}");
    }
    for device in [
        "<serial type='unix'><source mode='connect' path='PATH'/></serial>",
        "<parallel type='pipe'><source path='PATH'/></parallel>",
        "<serial type='dev'><source path='/dev/ttyS0'/></serial>",
    ] {
        let device = device.replace("PATH", shared.at("blue", "x").to_str().unwrap());
        let xml =
            test_domain("a", 1, 1).replace("</domain>", &format!("<devices>{device}</devices></domain>"));
        assert_refused(&shared.define("blue", &xml), "tenant.opened-by-name", &[]);
    }
    let store = disk(shared.at("blue", "rom.bin").to_str().unwrap())
        .replace("</os>", "<nvram template='/etc/shadow'/></os>");
    assert_refused(&shared.define("blue", &store), "tenant.nvram", &[]);

    for (place, code) in [("red", "storage.outside-roots"), ("blue/link", "storage.link")] {
        let path = shared.0.path(place).display().to_string();
        let xml = format!("<pool type='dir'><name>p</name><target><path>{path}</path></target></pool>");
        let file = shared.0.write("pool.xml", &xml);
        assert_refused(&shared.run("blue", &["pool", "create", file.to_str().unwrap()]), code, &[]);
    }
    for (path, code) in [("red/disk.raw", "storage.outside-roots"), ("blue/link/disk.raw", "")] {
        let path = shared.0.path(path).display().to_string();
        for verb in [&["image", "inspect", &path][..], &["image", "create", &format!("{path}.new"), "1MiB"]] {
            let answer = shared.run("blue", verb);
            assert!(answer.status != 0 && answer.stderr.contains(code), "{verb:?}: {}", answer.stderr);
        }
    }
    assert!(!shared.at("red", "disk.raw.new").exists());
    // An image in the root that names one of another tenant is no way there either.
    shared.0.image(&["create", "-q", "-f", "qcow2", "-b", "../red/disk.raw", "-F", "raw", "blue/over.qcow2"]);
    let over = disk(shared.at("blue", "over.qcow2").to_str().unwrap()).replace("type='raw'", "type='qcow2'");
    assert_eq!(shared.define("blue", &over).status, 0);
    let answer = shared.run("blue", &["start", "web"]);
    assert_eq!(answer.status, 4, "{}", answer.stderr);
}

#[test]
fn only_allowed_drivers_are_used() {
    let shared = Shared::new(&[]);
    shared.0.ok(&["tenant", "create", "blue"]);
    let refused = shared.define("blue", &test_domain("a", 1, 1));
    assert_refused(
        &refused,
        "tenant.driver",
        &["it may use none", "hostler tenant allow blue --driver test"],
    );
    shared.0.ok(&["tenant", "allow", "blue", "--driver", "test"]);
    assert_eq!(shared.define("blue", &test_domain("a", 1, 1)).status, 0);
    let other = shared.define("blue", &test_domain("a", 1, 1).replace("'test'", "'fault'"));
    assert_refused(&other, "tenant.driver", &["it may use 'test'"]);
    let drivers = shared.json("blue", &["driver", "list"])["drivers"].as_array().unwrap().clone();
    assert_eq!(drivers.iter().map(|driver| driver["name"].as_str().unwrap()).collect::<Vec<_>>(), ["test"]);
    shared.0.ok(&["tenant", "deny", "blue", "--driver", "test"]);
    assert_refused(&shared.run("blue", &["start", "a"]), "tenant.driver", &[]);
    assert_eq!(shared.names("blue"), ["a"]);
}

/// Drivers are the operator's: installed once, used by whom they are allowed to, changed by nobody else.
#[test]
fn installed_drivers_serve_tenants_and_are_not_theirs() {
    let shared = Shared::new(&["blue"]);
    let file = components("drivers").join("test.wasm").display().to_string();
    assert_eq!(shared.define("blue", &test_domain("a", 1, 1)).status, 0);
    shared.0.ok(&["driver", "install", &file, "--yes"]);
    shared.ok("blue", &["start", "a"]);
    let drivers = shared.json("blue", &["driver", "list"])["drivers"].as_array().unwrap().clone();
    assert!(
        drivers.iter().any(|driver| driver["name"] == "test" && driver["origin"] == "installed"),
        "{drivers:?}"
    );
    for verb in [
        &["driver", "install", &file, "--yes"][..],
        &["driver", "remove", "test"],
        &["driver", "grant", "test", "qmp"],
        &["driver", "verify"],
        &["tenant", "create", "mine"],
        &["tenant", "limits", "blue", "domains=unlimited"],
    ] {
        let answer = shared.run("blue", verb);
        assert_eq!(answer.status, 4, "{verb:?}: {}", answer.stderr);
        assert!(answer.stderr.contains("tenant.operator-only"), "{verb:?}: {}", answer.stderr);
    }
    shared.ok("blue", &["destroy", "a"]);
}

#[test]
fn names_are_words_and_lead_nowhere_else() {
    let shared = Shared::new(&["blue"]);
    for name in ["../blue", "/etc", "..", ".", "blue/", "Blue", "blue.prev", "", "a\nb"] {
        let create = shared.0.run(&["tenant", "create", name]);
        assert!(
            create.status == 1 && create.stderr.contains("no name for a tenant"),
            "{name}: {}",
            create.stderr
        );
        let list = shared.run(name, &["list"]);
        assert!(list.status != 0 && list.stderr.contains("no name for a tenant"), "{name}: {}", list.stderr);
    }
    let default = shared.0.run(&["tenant", "create", "default"]);
    assert_eq!(default.status, 5, "{}", default.stderr);
    assert!(shared.run("default", &["list"]).status == 0 && shared.run("blu", &["list"]).status == 3);
    let mut by_environment = shared.0.command(&["tenant", "show", "-o", "json"]);
    let shown = Answer::of(by_environment.env("HOSTLER_TENANT", "blue").output().unwrap());
    assert!(shown.status == 0 && shown.stdout.contains("\"blue\""), "{}", shown.stderr);
    for root in [shared.0.state_root(), "/".into(), shared.0.path("absent")] {
        let answer = shared.0.run(&["tenant", "allow", "blue", "--storage-root", root.to_str().unwrap()]);
        assert!(answer.stderr.contains("tenant.root"), "{}: {}", root.display(), answer.stderr);
    }
}

/// Whoever may not act for a tenant is told the same for one that exists and one that does not.
#[test]
fn strangers_are_refused_and_learn_nothing() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can run a command as somebody else");
        return;
    }
    let shared = Shared::new(&["blue"]);
    let as_stranger = |tenant: &str| {
        let command = shared.0.command(&["--tenant", tenant, "list"]);
        let mut stranger = Command::new("setpriv");
        stranger.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(command.get_program());
        stranger.args(command.get_args()).current_dir("/");
        Answer::of(stranger.output().unwrap())
    };
    let answers = ["blue", "green", "default"].map(|tenant| {
        let answer = as_stranger(tenant);
        assert_refused(&answer, "tenant.refused", &[]);
        answer.stderr.replace(tenant, "NAME")
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[test]
fn nobody_waits_for_another_tenant_or_its_driver() {
    let shared = Shared::new(&["blue", "red"]);
    let looping = "<domain type='fault'><name>loop</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>\
                   <os><type>hvm</type></os></domain>";
    assert_eq!(shared.define("red", looping).status, 0);
    assert_eq!(shared.define("blue", &test_domain("web", 16, 1)).status, 0);
    let mut red = shared.0.command(&["--tenant", "red", "start", "loop"]).spawn().unwrap();
    for verb in ["start", "destroy", "start"] {
        shared.ok("blue", &["--lock-timeout", "0", verb, "web"]);
    }
    assert_eq!(red.wait().unwrap().code(), Some(7), "the looping driver is ended, and its tenant told");
    assert_eq!(shared.json("blue", &["show", "web"])["state"], "running");

    let held = StateDir::open_owner(&shared.0.state_root().join("tenants/red"), Duration::ZERO).unwrap();
    let waits = shared.run("red", &["--lock-timeout", "0", "start", "loop"]);
    assert_eq!(waits.status, 5, "{}", waits.stderr);
    shared.ok("blue", &["--lock-timeout", "0", "destroy", "web"]);
    shared.0.ok(&["--lock-timeout", "0", "tenant", "allow", "red", "--uid", "7"]);
    drop(held);
    let operator = StateDir::open_owner(&shared.0.state_root(), Duration::ZERO).unwrap();
    shared.ok("blue", &["--lock-timeout", "0", "start", "web"]);
    drop(operator);
    shared.ok("blue", &["destroy", "web"]);
}

#[test]
fn removing_loses_nothing_unless_it_is_said() {
    let shared = Shared::new(&["blue", "red"]);
    for tenant in ["blue", "red"] {
        assert_eq!(shared.define(tenant, &test_domain("web", 16, 1)).status, 0);
    }
    let image = shared.at("blue", "a.raw").display().to_string();
    shared.ok("blue", &["image", "create", &image, "1MiB", "--format", "raw"]);
    let kept = shared.0.run(&["tenant", "remove", "blue"]);
    assert_eq!(kept.status, 5, "{}", kept.stderr);
    assert!(kept.stderr.contains("still has 1 domain") && kept.stderr.contains("--purge"), "{}", kept.stderr);
    let plan = shared.0.json(&["tenant", "remove", "blue", "--purge", "--dry-run"]);
    assert_eq!(
        (plan["domains"][0].as_str(), plan["images_left"][0].as_str()),
        (Some("web"), Some(image.as_str()))
    );
    assert_eq!(shared.names("blue"), ["web"]);
    let done = shared.0.json(&["tenant", "remove", "blue", "--purge"]);
    assert_eq!(done["domains"], plan["domains"]);
    assert!(PathBuf::from(&image).exists() && !shared.0.state_root().join("tenants/blue").exists());
    assert_eq!(shared.run("blue", &["list"]).status, 3);
    assert_eq!(shared.names("red"), ["web"]);
    shared.0.ok(&["tenant", "create", "blue"]);
    assert!(shared.names("blue").is_empty() && !shared.ok("blue", &["events"]).contains("web"));
    shared.0.ok(&["tenant", "remove", "blue"]);
}

/// A tenant that is being removed, or made, is there with all that it has, or not at all.
#[test]
fn commands_that_are_killed_leave_a_tenant_whole_or_none() {
    let shared = Shared::new(&[]);
    let calls = [
        ("renameat,renameat2,rename", 6),
        ("fsync,fdatasync", 6),
        ("unlink,unlinkat,rmdir", 6),
        ("mkdir,mkdirat", 3),
    ];
    let (mut interrupted, mut gone) = (0, 0);
    let is_there = || shared.run("blue", &["list"]).status == 0;
    for (calls, most) in calls {
        for count in 1..=most {
            let made = killed_at(&shared.0, &["tenant", "create", "blue", "--driver", "test"], calls, count);
            interrupted += u32::from(!made);
            if made || is_there() {
                assert!(is_there() && shared.names("blue").is_empty(), "{calls} {count}");
            } else {
                shared.0.ok(&["tenant", "create", "blue", "--driver", "test"]);
            }
            assert_eq!(shared.define("blue", &test_domain("web", 1, 1)).status, 0, "{calls} {count}");
            let removed = killed_at(&shared.0, &["tenant", "remove", "blue", "--purge"], calls, count);
            interrupted += u32::from(!removed);
            // The next owner settles what was left.
            shared.0.ok(&["tenant", "create", "other"]);
            shared.0.ok(&["tenant", "remove", "other"]);
            match is_there() {
                true => assert_eq!(shared.names("blue"), ["web"], "{calls} {count}"),
                false => gone += 1,
            }
            if is_there() {
                shared.0.ok(&["tenant", "remove", "blue", "--purge"]);
            }
            let left = std::fs::read_dir(shared.0.state_root().join("tenants")).unwrap().count();
            assert_eq!(left, 0, "{calls} {count}");
        }
    }
    assert!(interrupted > 10 && gone > 0, "{interrupted} interrupted, {gone} gone");
}

#[test]
fn doctor_tells_what_tenants_share() {
    let shared = Shared::new(&["blue", "red"]);
    let findings = || {
        let answer = shared.0.run(&["-o", "json", "doctor"]);
        let all: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
        let own = all["findings"].as_array().unwrap().iter().filter(|finding| finding["id"] == "tenants");
        own.map(|finding| finding["detail"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(findings(), ["2 tenants, which share nothing"]);
    let inner = shared.at("blue", "inner");
    std::fs::create_dir(&inner).unwrap();
    let answer = shared.0.run(&["tenant", "allow", "red", "--storage-root", inner.to_str().unwrap()]);
    assert!(answer.status == 0 && answer.stderr.contains("lie in one another"), "{}", answer.stderr);
    let tenants = shared.0.state_root().join("tenants");
    std::fs::set_permissions(&tenants, std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let found = findings().join("\n");
    assert!(
        found.contains("each reaches the other's files") && found.contains("others may look into"),
        "{found}"
    );
}
