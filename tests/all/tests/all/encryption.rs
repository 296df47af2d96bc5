//! Encrypted disks: a guest reads what nobody else can, and the passphrase is in the secret store and nowhere else.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::daemon::Daemon;
use crate::hotplug::{asked, watching};
use crate::objects::files_with;
use crate::storage::block_nodes;
use crate::workbench::{GUEST_SECONDS, Workbench, guest, rom_domain};

/// A passphrase that nobody else writes anywhere.
const PASSPHRASE: &str = "hunter2 but longer 8QzW";
/// What the disk of the test guest says of itself.
const MARKER: &[u8] = b"hostler-base-1";
/// How much of a key's derivation is enough for a test, in milliseconds.
const SOON: &str = "10";

/// A secret for a volume, with this value; its identifier.
fn secret(bench: &Workbench, usage: &str, value: &str) -> String {
    let xml = format!("<secret><usage type='volume'><volume>{usage}</volume></usage></secret>");
    let file = bench.write("secret.xml", &xml);
    bench.ok(&["secret", "define", file.to_str().unwrap()]);
    if !value.is_empty() {
        let file = bench.write("value", value);
        bench.ok(&["secret", "set", usage, file.to_str().unwrap()]);
    }
    bench.json(&["secret", "show", usage])["uuid"].as_str().unwrap().to_owned()
}

fn encryption(reference: &str) -> String {
    format!("<encryption format='luks'><secret type='passphrase' {reference}/></encryption>")
}

/// A disk on a file of the workbench.
fn disk(bench: &Workbench, name: &str, format: &str, inside: &str) -> String {
    format!(
        "<disk type='file' device='disk'><driver name='qemu' type='{format}'/><source file='{}'>{inside}</source>\
         <target dev='vda' bus='virtio'/></disk>",
        bench.path(name).display()
    )
}

/// A machine that runs nothing but a ROM, with this disk.
fn rom_with(disk: &str) -> String {
    rom_domain("rom", "qemu").replacen("<devices>", &format!("<devices>{disk}"), 1)
}

/// Makes an encrypted image with qemu-img: of a raw disk, or in qcow2.
fn encrypted(bench: &Workbench, name: &str, format: &str) {
    let options = match format {
        "luks" => format!("key-secret=s,iter-time={SOON}"),
        _ => format!("encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time={SOON}"),
    };
    // QEMU measures how long the derivation of a key takes, and gives up where the kernel has counted no tick for it.
    for _ in 0..32 {
        let made = qemu_img(bench, PASSPHRASE, &["create", "-q", "-f", format, "-o", &options, name, "8M"]);
        let said = String::from_utf8_lossy(&made.stderr);
        if !said.contains("accurate CPU usage") {
            return assert!(made.status.success(), "{said}");
        }
    }
    panic!("no processor time was counted for '{name}'");
}

/// qemu-img with this passphrase.
fn qemu_img(bench: &Workbench, passphrase: &str, words: &[&str]) -> Output {
    let key = bench.write("tried", passphrase);
    let mut command = Command::new("qemu-img");
    command.arg(words[0]).args(["--object", &format!("secret,id=s,file={}", key.display())]);
    command.args(&words[1..]).current_dir(bench.path(".")).output().unwrap()
}

/// Every process whose command line has the passphrase.
fn told_on_a_command_line() -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let has = |path: &PathBuf| {
        let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let environment = std::fs::read(path.join("environ")).unwrap_or_default();
        [line, environment].iter().any(|bytes| has_passphrase(bytes))
    };
    processes.filter(has).collect()
}

fn has_passphrase(bytes: &[u8]) -> bool {
    bytes.windows(PASSPHRASE.len()).any(|part| part == PASSPHRASE.as_bytes())
}

/// The one file of the state directory that has the passphrase is the secret's.
fn only_the_store_has_it(bench: &Workbench, uuid: &str) {
    let with = files_with(&bench.state_root(), PASSPHRASE.as_bytes());
    assert_eq!(with, [bench.state_root().join("secrets").join(uuid).join("value")]);
    assert_eq!(told_on_a_command_line(), Vec::<PathBuf>::new());
}

fn pool(bench: &Workbench) -> PathBuf {
    let path = bench.path("pool");
    let xml =
        format!("<pool type='dir'><name>p</name><target><path>{}</path></target></pool>", path.display());
    let file = bench.write("pool.xml", &xml);
    bench.ok(&["pool", "define", file.to_str().unwrap()]);
    bench.ok(&["pool", "start", "p", "--build"]);
    path
}

/// Fills an encrypted raw image with the test guest's disk.
fn fill(bench: &Workbench, image: &Path) {
    let target = format!("driver=luks,key-secret=s,file.filename={}", image.display());
    let source = guest("base.raw");
    let words = ["convert", "-n", "-f", "raw", source.to_str().unwrap(), "--target-image-opts", &target];
    let filled = qemu_img(bench, PASSPHRASE, &words);
    assert!(filled.status.success(), "{filled:?}");
}

/// A Linux guest whose first disk is the volume `system`, and whose second is the volume `data`.
fn linux(uuid: &str) -> String {
    let disk = |volume: &str, format: &str, target: &str, reference: &str| {
        format!(
            "<disk type='volume' device='disk'><driver name='qemu' type='{format}'/>\
             <source pool='p' volume='{volume}'>{}</source><target dev='{target}' bus='virtio'/></disk>",
            encryption(reference)
        )
    };
    format!(
        "<domain type='qemu'><name>linux</name><memory unit='MiB'>256</memory><os><type arch='x86_64' machine='q35'>hvm\
         </type><kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>console=ttyS0 quiet panic=-1</cmdline></os>\
         <features><acpi/></features><devices>{system}{data}<serial type='pty'/></devices></domain>",
        kernel = guest("vmlinuz").display(),
        initrd = guest("initrd.gz").display(),
        system = disk("system", "raw", "vda", "usage='/system'"),
        data = disk("data", "qcow2", "vdb", &format!("uuid='{uuid}'")),
    )
}

#[test]
fn guest_reads_volumes_that_nobody_reads_without_the_passphrase() {
    let bench = Workbench::new();
    let pool = pool(&bench);
    let uuid = secret(&bench, "/system", PASSPHRASE);
    bench.ok(&[
        "vol",
        "create",
        "p",
        "system",
        "--capacity",
        "16MiB",
        "--format",
        "raw",
        "--secret",
        "/system",
    ]);
    bench.ok(&["vol", "create", "p", "data", "--capacity", "8MiB", "--secret", &uuid]);
    for volume in ["system", "data"] {
        assert_eq!(bench.json(&["vol", "show", "p", volume])["encryption"], "luks", "{volume}");
        let xml = bench.ok(&["vol", "xml", "p", volume]);
        assert!(xml.contains(&format!("<secret type='passphrase' uuid='{uuid}'/>")), "{xml}");
    }
    fill(&bench, &pool.join("system"));
    let container = std::fs::read(pool.join("system")).unwrap();
    assert!(!container.windows(MARKER.len()).any(|part| part == MARKER), "its content is encrypted");
    let system = format!("driver=luks,key-secret=s,file.filename={}", pool.join("system").display());
    let data = format!(
        "driver=qcow2,encrypt.format=luks,encrypt.key-secret=s,file.filename={}",
        pool.join("data").display()
    );
    for image in [&system, &data] {
        let words = ["compare", "--image-opts", image, image];
        assert!(qemu_img(&bench, PASSPHRASE, &words).status.success(), "{image}");
        let wrong = qemu_img(&bench, "hunter2", &words);
        assert!(String::from_utf8_lossy(&wrong.stderr).contains("Invalid password"), "{wrong:?}");
    }

    bench.define(&linux(&uuid));
    let shown = bench.ok(&["native", "linux"]);
    assert!(shown.contains("secret-of-vda-0") && !shown.contains(PASSPHRASE), "{shown}");
    bench.ok(&["start", "linux"]);
    let console =
        bench.ok(&["console", "linux", "--until", "hostler-guest: ready", "--timeout", GUEST_SECONDS]);
    let disk = console.lines().find(|line| line.contains("disk vda")).unwrap().trim_end();
    assert!(disk.contains("sectors=32768") && disk.ends_with("marker=hostler-base-1"), "{console}");
    assert!(console.contains("disk vdb sectors=16384"), "{console}");
    let drivers: Vec<_> = block_nodes(&bench, "linux").iter().map(|node| node["drv"].clone()).collect();
    assert!(drivers.contains(&"luks".into()) && drivers.contains(&"qcow2".into()), "{drivers:?}");
    only_the_store_has_it(&bench, &uuid);
    bench.ok(&["destroy", "linux"]);
}

#[test]
fn start_without_the_right_passphrase_is_refused_and_leaves_nothing() {
    let bench = Workbench::new();
    encrypted(&bench, "a.qcow2", "qcow2");
    encrypted(&bench, "a.luks", "luks");
    bench.image(&["create", "-q", "-f", "qcow2", "plain.qcow2", "8M"]);
    secret(&bench, "/right", PASSPHRASE);
    secret(&bench, "/wrong", "something else");
    secret(&bench, "/empty", "");
    secret(&bench, "/bytes", "");
    let bytes = bench.write("bytes", "AGE=");
    bench.ok(&["secret", "set", "/bytes", bytes.to_str().unwrap(), "--base64"]);
    let xml = "<secret><usage type='ceph'><name>ceph</name></usage></secret>";
    let file = bench.write("ceph.xml", xml);
    bench.ok(&["secret", "define", file.to_str().unwrap()]);
    let ceph = bench.json(&["secret", "show", "ceph"])["uuid"].as_str().unwrap().to_owned();
    let nobody = "6dd3e4a5-1d76-44ce-961f-f119f5aad935";
    for (image, format, inside, code) in [
        ("a.qcow2", "qcow2", String::new(), "storage.secret-missing"),
        ("a.qcow2", "qcow2", encryption("usage='/nobody'"), "secret.not-found"),
        ("a.luks", "raw", encryption(&format!("uuid='{nobody}'")), "secret.not-found"),
        ("a.luks", "raw", encryption("usage='/empty'"), "secret.no-value"),
        ("a.luks", "raw", encryption(&format!("uuid='{ceph}'")), "secret.usage"),
        ("a.luks", "raw", encryption("usage='/bytes'"), "secret.not-text"),
        ("a.luks", "raw", encryption("uuid='x'"), "secret.uuid"),
        ("plain.qcow2", "qcow2", encryption("usage='/right'"), "storage.not-encrypted"),
        ("plain.qcow2", "raw", encryption("usage='/right'"), "image.malformed"),
        ("a.qcow2", "qcow2", encryption("usage='/wrong'"), "qemu.passphrase"),
        ("a.luks", "raw", encryption("usage='/wrong'"), "qemu.passphrase"),
    ] {
        bench.define(&rom_with(&disk(&bench, image, format, &inside)));
        let refused = bench.run(&["start", "rom"]);
        assert_ne!(refused.status, 0, "{image} {inside}");
        assert!(
            refused.stderr.contains(code) && refused.stderr.contains("vda"),
            "{code}: {}",
            refused.stderr
        );
        assert_eq!(bench.state_of("rom").as_deref(), Some("off"), "{code}");
        bench.nothing_runs(code);
    }
    for (image, format) in [("a.qcow2", "qcow2"), ("a.luks", "raw")] {
        bench.define(&rom_with(&disk(&bench, image, format, &encryption("usage='/right'"))));
        bench.ok(&["start", "rom"]);
        bench.ok(&["destroy", "rom"]);
    }
}

#[test]
fn layer_below_has_a_passphrase_of_its_own() {
    let bench = Workbench::new();
    encrypted(&bench, "base.luks", "luks");
    bench.image(&["create", "-q", "-u", "-f", "qcow2", "-b", "base.luks", "-F", "raw", "top.qcow2", "8M"]);
    secret(&bench, "/base", PASSPHRASE);
    let below = format!(
        "<backingStore type='file'><format type='raw'/><source file='{}'>{}</source><backingStore/></backingStore>",
        bench.path("base.luks").display(),
        encryption("usage='/base'")
    );
    let disk = disk(&bench, "top.qcow2", "qcow2", "");
    bench.define(&rom_with(&disk.replacen("<target", &format!("{below}<target"), 1)));
    bench.ok(&["start", "rom"]);
    let drivers: Vec<_> = block_nodes(&bench, "rom").iter().map(|node| node["drv"].clone()).collect();
    assert!(drivers.contains(&"luks".into()), "{drivers:?}");
    bench.ok(&["destroy", "rom"]);
}

/// The secrets that the hypervisor has, by their names.
fn held(bench: &Workbench, domain: &str) -> Vec<String> {
    let found = asked(bench, domain, "qom-list", Some(&serde_json::json!({"path": "/objects"})));
    let is_secret = |child: &&serde_json::Value| child["type"] == "child<secret>";
    let names = found.as_array().unwrap().iter().filter(is_secret);
    names.map(|child| child["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn encrypted_disk_comes_and_goes_with_its_secret() {
    let bench = watching("pc", "");
    encrypted(&bench, "hot.luks", "luks");
    let uuid = secret(&bench, "/hot", PASSPHRASE);
    secret(&bench, "/wrong", "something else");
    let element = |usage: &str| {
        let disk = disk(&bench, "hot.luks", "raw", &encryption(&format!("usage='{usage}'")));
        bench.write("hot.xml", &disk.replace("'vda'", "'vdb'"))
    };
    let refused = bench.run(&["attach", "linux", element("/wrong").to_str().unwrap()]);
    assert!(refused.stderr.contains("qemu.passphrase"), "{}", refused.stderr);
    assert_eq!(held(&bench, "linux"), Vec::<String>::new(), "nothing of it is left");
    let refused = bench.run(&["attach", "linux", element("/nobody").to_str().unwrap()]);
    assert!(refused.stderr.contains("secret.not-found"), "{}", refused.stderr);

    bench.ok(&["attach", "linux", element("/hot").to_str().unwrap()]);
    bench.ok(&["console", "linux", "--until", "plugged disk vdb sectors=16384", "--timeout", GUEST_SECONDS]);
    assert_eq!(held(&bench, "linux").len(), 1);
    only_the_store_has_it(&bench, &uuid);
    bench.ok(&["detach", "linux", "vdb"]);
    assert_eq!(held(&bench, "linux"), Vec::<String>::new(), "its secret goes with it");
    bench.ok(&["destroy", "linux"]);
}

#[test]
fn daemon_hands_passphrases_on_with_its_drivers_in_workers() {
    let bench = Workbench::of_drivers();
    encrypted(&bench, "a.luks", "luks");
    let mut daemon = Daemon::start_with(&bench, &["--workers", "on"]);
    let uuid = secret(&bench, "/a", PASSPHRASE);
    bench.define(&rom_with(&disk(&bench, "a.luks", "raw", &encryption("usage='/a'"))));
    bench.ok(&["start", "rom"]);
    assert_eq!(held(&bench, "rom").len(), 1);
    only_the_store_has_it(&bench, &uuid);
    assert!(!has_passphrase(daemon.log().as_bytes()));
    bench.ok(&["destroy", "rom"]);
    assert!(daemon.stop().success());
}

#[test]
fn what_would_need_a_passphrase_or_lose_the_encryption_is_refused() {
    let bench = Workbench::new();
    let pool = pool(&bench);
    encrypted(&bench, "a.qcow2", "qcow2");
    let uuid = secret(&bench, "/a", PASSPHRASE);
    bench.ok(&["vol", "create", "p", "v", "--capacity", "8MiB", "--format", "raw", "--secret", "/a"]);
    let path = bench.path("a.qcow2").display().to_string();
    let copy = bench.path("copy").display().to_string();
    let refused = |words: &[&str], code: &str| {
        let answer = bench.run(words);
        assert_ne!(answer.status, 0, "{words:?}");
        assert!(answer.stderr.contains(code), "{words:?}: {}", answer.stderr);
    };
    refused(&["vol", "resize", "p", "v", "16MiB"], "volume.encrypted");
    refused(&["vol", "clone", "p", "v", "w"], "volume.encrypted");
    refused(&["image", "convert", &path, &copy, "--source-format", "qcow2"], "image.encrypted");
    refused(&["image", "resize", &path, "16MiB", "--format", "qcow2"], "image.encrypted");
    refused(
        &["vol", "create", "p", "x", "--capacity", "8MiB", "--format", "vdi", "--secret", "/a"],
        "volume.encryption",
    );
    refused(&["vol", "create", "p", "x", "--capacity", "8MiB", "--secret", "/b"], "secret.not-found");
    assert!(!pool.join("x").exists() && !pool.join("w").exists());
    let plain = "<disk type='volume' device='disk'><source pool='p' volume='v'/><target dev='vda' bus='virtio'/></disk>";
    bench.define(&rom_with(plain));
    refused(&["start", "rom"], "volume.secret-missing");

    bench.define(&rom_with(&disk(&bench, "a.qcow2", "qcow2", &encryption(&format!("uuid='{uuid}'")))));
    refused(&["snapshot", "create", "rom", "s"], "snapshot.disk-encrypted");
    bench.ok(&["start", "rom"]);
    refused(&["snapshot", "create", "rom", "s"], "snapshot.disk-encrypted");
    refused(&["block", "copy", "rom", "vda", &copy], "block.encrypted");
    bench.ok(&["block", "resize", "rom", "vda", "16MiB"]);
    bench.ok(&["destroy", "rom"]);
}
