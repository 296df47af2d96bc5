//! A host with one UEFI firmware, and machines that start with it and go no further.

use std::path::PathBuf;
use std::process::Command;

use crate::workbench::{Answer, Workbench};

/// The firmware of the distribution, which needs no system management mode.
pub(crate) const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
/// Its pristine variables.
pub(crate) const TEMPLATE: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
/// Other pristine variables of the same size, with keys in them.
pub(crate) const ENROLLED: &str = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd";

/// A workbench with descriptors of its own.
pub(crate) struct Scene {
    pub(crate) bench: Workbench,
}

impl Scene {
    /// With one descriptor, `60-plain.json`: [`CODE`] and [`TEMPLATE`].
    pub(crate) fn new() -> Self {
        let mut bench = Workbench::new();
        let directories = [bench.path("vendor"), bench.path("local")];
        bench.set("HOSTLER_FIRMWARE_DIR", std::env::join_paths(directories).unwrap());
        let scene = Self { bench };
        std::fs::create_dir(scene.bench.path("vendor")).unwrap();
        std::fs::create_dir(scene.bench.path("local")).unwrap();
        scene.describe("vendor/60-plain.json", (CODE, TEMPLATE, "raw"), "");
        scene
    }

    /// Writes a descriptor of split flash.
    pub(crate) fn describe(&self, name: &str, (code, template, format): (&str, &str, &str), features: &str) {
        self.bench.write(
            name,
            &format!(
                r#"{{"description":"of a test","interface-types":["uefi"],"mapping":{{"device":"flash",
                "executable":{{"filename":"{code}","format":"{format}"}},
                "nvram-template":{{"filename":"{template}","format":"{format}"}}}},
                "targets":[{{"architecture":"x86_64","machines":["pc-q35-*","pc-i440fx-*"]}}],"features":[{features}]}}"#
            ),
        );
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.bench.path(name)
    }

    pub(crate) fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.bench.command(arguments)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        self.bench.run(arguments)
    }

    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        self.bench.ok(arguments)
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        self.bench.json(arguments)
    }

    /// What a refusal says: status, code, all of it.
    pub(crate) fn refused(&self, arguments: &[&str]) -> (String, String) {
        let answer = self.run(&[&["-o", "json"], arguments].concat());
        assert_ne!(answer.status, 0, "hostler {}\n{}", arguments.join(" "), answer.stdout);
        let start = answer.stderr.find('{').unwrap_or_else(|| panic!("no JSON in: {}", answer.stderr));
        let error: serde_json::Value = serde_json::from_str(&answer.stderr[start..]).unwrap();
        (error["error"]["code"].as_str().unwrap().to_owned(), answer.stderr)
    }

    /// Defines `u`, a machine of which only firmware matters; `os` is what stands beside its type.
    pub(crate) fn define(&self, attributes: &str, os: &str) {
        let file = self.document("u", attributes, os);
        self.ok(&["define", &file]);
    }

    /// Writes the document of such a machine.
    pub(crate) fn document(&self, name: &str, attributes: &str, os: &str) -> String {
        let xml = format!(
            "<domain type='qemu'>\n  <name>{name}</name>\n  <memory unit='MiB'>64</memory>\n  <os{attributes}>\n    \
             <type arch='x86_64' machine='q35'>hvm</type>\n    {os}\n  </os>\n  <features><acpi/></features>\n  \
             <devices><memballoon model='none'/></devices>\n</domain>\n"
        );
        self.bench.write(&format!("{name}.xml"), &xml).display().to_string()
    }

    /// Defines `u` with [`CODE`] by path and its store in `vars.fd`, made from [`TEMPLATE`].
    pub(crate) fn with_store(&self) -> PathBuf {
        let store = self.path("vars.fd");
        self.define("", &format!("{LOADER}<nvram template='{TEMPLATE}'>{}</nvram>", store.display()));
        store
    }

    /// Starts `u`, which stays before its first instruction, and ends it.
    pub(crate) fn start_and_end(&self, options: &[&str]) -> serde_json::Value {
        let started = self.json(&[&["start", "u", "--paused"], options].concat());
        self.ok(&["destroy", "u"]);
        started
    }

    /// The names in the directory of the store that begin like it.
    pub(crate) fn beside(&self, name: &str) -> Vec<String> {
        let names = std::fs::read_dir(self.path(".")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|found| found.starts_with(name)).collect();
        names.sort();
        names
    }
}

/// [`CODE`] by path.
pub(crate) const LOADER: &str =
    "<loader type='pflash' readonly='yes'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>";

/// A sound store that somebody has used: not what any template says.
pub(crate) fn used() -> Vec<u8> {
    let mut bytes = std::fs::read(TEMPLATE).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    bytes
}

pub(crate) fn pristine() -> Vec<u8> {
    std::fs::read(TEMPLATE).unwrap()
}
