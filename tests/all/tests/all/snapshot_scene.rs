//! Machines with disks whose first bytes say what was written to them, and their snapshots.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::workbench::{Answer, Workbench};

/// A workbench with the machine `m`, which is off: `vda` is `a.qcow2` over the raw `base`, `vdb` is the raw `b.raw`.
pub(crate) struct Scene {
    pub(crate) bench: Workbench,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let scene = Self { bench: Workbench::of_drivers() };
        scene.bench.image(&["create", "-q", "-f", "raw", "base", "1M"]);
        scene.bench.image(&["create", "-q", "-f", "qcow2", "-b", "base", "-F", "raw", "a.qcow2"]);
        scene.bench.image(&["create", "-q", "-f", "raw", "b.raw", "2M"]);
        scene.bench.define(&scene.document(&[("vda", "qcow2", "a.qcow2"), ("vdb", "raw", "b.raw")]));
        scene
    }

    /// A machine with `vda` alone.
    pub(crate) fn qcow2_alone() -> Self {
        let scene = Self { bench: Workbench::of_drivers() };
        scene.bench.image(&["create", "-q", "-f", "qcow2", "a.qcow2", "1M"]);
        scene.bench.define(&scene.document(&[("vda", "qcow2", "a.qcow2")]));
        scene
    }

    /// Three external snapshots in a row, with 1, 2 and 3 in `vda` at the time, and 4 written since.
    pub(crate) fn row() -> Self {
        let scene = Self::qcow2_alone();
        for (byte, name) in [(1, "s1"), (2, "s2"), (3, "s3")] {
            scene.write("vda", byte);
            scene.ok(&["snapshot", "create", "m", name, "--external"]);
        }
        scene.write("vda", 4);
        scene
    }

    pub(crate) fn document(&self, disks: &[(&str, &str, &str)]) -> String {
        let disks: String = disks
            .iter()
            .map(|(target, format, file)| {
                let path = self.path(file).display().to_string();
                format!(
                    "    <disk type='file'><driver name='qemu' type='{format}'/><source file='{path}'/>\
                     <target dev='{target}' bus='virtio'/></disk>\n"
                )
            })
            .collect();
        format!(
            "<domain type='qemu'>\n  <name>m</name>\n  <memory unit='MiB'>32</memory>\n  <os><type arch='x86_64' \
             machine='q35'>hvm</type></os>\n  <devices>\n{disks}    <memballoon model='none'/>\n  </devices>\n</domain>\n"
        )
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.bench.path(name)
    }

    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        self.bench.ok(arguments)
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.bench.json(arguments)
    }

    /// The code of a refusal, and all that was said.
    pub(crate) fn refused(&self, arguments: &[&str]) -> (String, String) {
        let Answer { status, stdout, stderr } = self.bench.run(&[&["-o", "json"], arguments].concat());
        assert_ne!(status, 0, "hostler {}\n{stdout}", arguments.join(" "));
        let start = stderr.find('{').unwrap_or_else(|| panic!("no JSON in: {stderr}"));
        let error: Value = serde_json::from_str(&stderr[start..]).unwrap();
        (error["error"]["code"].as_str().unwrap().to_owned(), stderr)
    }

    /// The image that the machine's next start has for a disk, and the format that its document says.
    pub(crate) fn image_of(&self, target: &str) -> (String, String) {
        let xml = self.ok(&["xml", "m", "--stored"]);
        let disk = xml.split("<disk").find(|disk| disk.contains(&format!("'{target}'"))).unwrap();
        let between = |from: &str| disk.split(from).nth(1).unwrap().split('\'').next().unwrap().to_owned();
        let path = between("<source file='");
        let format = disk.split("<driver").nth(1).unwrap().split("type='").nth(1).unwrap();
        (path, format.split('\'').next().unwrap().to_owned())
    }

    /// Writes a byte over the first 64 KiB of a disk, as its guest would.
    pub(crate) fn write(&self, target: &str, byte: u8) {
        let (path, format) = self.image_of(target);
        let command = format!("write -q -P {byte} 0 64k");
        let output = Command::new("qemu-io").args(["-f", &format, "-c", &command, &path]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The first byte of a disk, as its guest would read it.
    pub(crate) fn read(&self, target: &str) -> u8 {
        let (path, format) = self.image_of(target);
        first_byte(&path, &format)
    }

    /// Names beside the state directory that begin so.
    pub(crate) fn files(&self, beginning: &str) -> Vec<String> {
        let names = std::fs::read_dir(self.path(".")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.starts_with(beginning)).collect();
        names.sort();
        names
    }

    /// The snapshots by name, and the one that is marked.
    pub(crate) fn snapshots(&self) -> (Vec<String>, Option<String>) {
        let listed = self.json(&["snapshot", "list", "m"]);
        let listed = listed["snapshots"].as_array().unwrap();
        let name = |one: &Value| one["name"].as_str().unwrap().to_owned();
        (listed.iter().map(name).collect(), listed.iter().find(|one| one["current"] == true).map(name))
    }

    /// Whether the hypervisor has a descriptor by which it can write to a file.
    pub(crate) fn writes_to(&self, image: &str) -> bool {
        crate::block_jobs::writable(&self.bench, "m", image)
    }

    /// The machine starts: its chains are in order.
    pub(crate) fn starts(&self) {
        self.ok(&["start", "m", "--paused"]);
        self.ok(&["destroy", "m"]);
    }
}

/// The first byte that a guest reads of an image.
pub(crate) fn first_byte(path: &str, format: &str) -> u8 {
    let flat = format!("{path}.flat");
    let output =
        Command::new("qemu-img").args(["convert", "-f", format, "-O", "raw", path, &flat]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let byte = std::fs::read(&flat).unwrap()[0];
    std::fs::remove_file(flat).unwrap();
    byte
}
