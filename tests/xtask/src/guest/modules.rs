//! The kernel's modules: which a guest needs, what they depend on, and which devices they drive.
//!
//! The package ships no dependency list (it is made at installation), so both it and the list of aliases
//! are made here, from what each module says of itself.

use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules for the devices and file systems that domains have; those absent from the kernel are left out.
const WANTED: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio_scsi",
    "virtio_console",
    "virtio_rng",
    "virtio_balloon",
    "virtio_input",
    "ahci",
    "ata_piix",
    "sd_mod",
    "sr_mod",
    "button",
    "evdev",
    "ext4",
    "crc32c_generic",
    "isofs",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "efivarfs",
    "virtiofs",
];

/// An unpacked kernel package.
pub(super) struct Kernel {
    /// The release, as `uname -r` says it.
    pub(super) release: String,
    /// The kernel itself.
    pub(super) image: PathBuf,
    modules: BTreeMap<String, Module>,
}

/// A module as a file and by its own word.
struct Module {
    path: PathBuf,
    depends: Vec<String>,
    aliases: Vec<String>,
}

/// The modules for an initrd.
pub(super) struct Selection {
    /// The modules' files.
    pub(super) files: Vec<PathBuf>,
    /// `modules.dep`, as modprobe reads it.
    pub(super) dependencies: String,
    /// `modules.alias`, as modprobe reads it.
    pub(super) aliases: String,
}

impl Kernel {
    /// Finds kernel and modules in an unpacked package.
    pub(super) fn find(tree: &Path) -> Result<Self> {
        let releases = tree.join("lib/modules");
        let entry = fs::read_dir(&releases)?.next().context("the kernel package has no modules")??;
        let release = entry.file_name().to_string_lossy().into_owned();
        let image = tree.join(format!("boot/vmlinuz-{release}"));
        let mut modules = BTreeMap::new();
        let mut todo = vec![entry.path().join("kernel")];
        while let Some(directory) = todo.pop() {
            for entry in fs::read_dir(&directory)? {
                let path = entry?.path();
                if path.is_dir() {
                    todo.push(path);
                } else if path.extension().is_some_and(|extension| extension == "ko") {
                    modules.insert(module_name(&path), Module { path, depends: vec![], aliases: vec![] });
                }
            }
        }
        Ok(Self { release, image, modules })
    }

    /// The wanted modules with all they depend on.
    pub(super) fn select(&self) -> Result<Selection> {
        let mut chosen: BTreeMap<&str, Module> = BTreeMap::new();
        let mut todo: Vec<&str> = WANTED.to_vec();
        while let Some(name) = todo.pop() {
            let Some((name, known)) = self.modules.get_key_value(name) else { continue };
            if chosen.contains_key(name.as_str()) {
                continue;
            }
            let module = Module::read(&known.path)?;
            for depend in &module.depends {
                let Some((depend, _)) = self.modules.get_key_value(depend) else {
                    bail!("module {name} needs {depend}, which the kernel package lacks");
                };
                todo.push(depend);
            }
            chosen.insert(name, module);
        }
        Ok(Selection::of(&chosen))
    }
}

impl Module {
    fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut module = Self { path: path.to_owned(), depends: vec![], aliases: vec![] };
        // The section .modinfo is a run of NAME=VALUE strings; nothing else in a module looks like these two.
        for text in bytes.split(|byte| *byte == 0).filter_map(|field| std::str::from_utf8(field).ok()) {
            if let Some(names) = text.strip_prefix("depends=") {
                module.depends = names.split(',').filter(|name| !name.is_empty()).map(canonical).collect();
            } else if let Some(alias) = text.strip_prefix("alias=") {
                module.aliases.push(alias.to_owned());
            }
        }
        Ok(module)
    }
}

impl Selection {
    fn of(chosen: &BTreeMap<&str, Module>) -> Self {
        let file = |name: &str| chosen.get(name).map(|module| file_name(&module.path)).unwrap_or_default();
        let mut selection = Self { files: vec![], dependencies: String::new(), aliases: String::new() };
        for (name, module) in chosen {
            let closure: Vec<String> = closure(chosen, name).into_iter().map(|name| file(&name)).collect();
            let _written = writeln!(selection.dependencies, "{}: {}", file(name), closure.join(" "));
            for alias in &module.aliases {
                let _written = writeln!(selection.aliases, "alias {alias} {name}");
            }
            selection.files.push(module.path.clone());
        }
        selection
    }
}

/// All that a module depends on, directly or not, nearest first: modprobe inserts from the end.
fn closure(chosen: &BTreeMap<&str, Module>, name: &str) -> Vec<String> {
    let mut order: Vec<String> = Vec::new();
    let mut seen = BTreeSet::from([name.to_owned()]);
    let mut todo = vec![name.to_owned()];
    while let Some(name) = todo.pop() {
        for depend in chosen.get(name.as_str()).map(|module| &module.depends).into_iter().flatten() {
            // One that is needed again further down has to be inserted before all that need it.
            order.retain(|earlier| earlier != depend);
            order.push(depend.clone());
            if seen.insert(depend.clone()) {
                todo.insert(0, depend.clone());
            }
        }
    }
    order
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn module_name(path: &Path) -> String {
    canonical(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default().as_str())
}

/// The kernel takes dashes and underscores in module names for the same.
fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::{Module, closure};
    use std::collections::BTreeMap;

    #[test]
    fn module_says_what_it_needs_and_drives() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"\x7fELF\0license=GPL\0alias=pci:v1af4d*\0depends=virtio-ring,virtio\0")
            .unwrap();
        let module = Module::read(file.path()).unwrap();
        assert_eq!(module.depends, ["virtio_ring", "virtio"]);
        assert_eq!(module.aliases, ["pci:v1af4d*"]);
    }

    #[test]
    fn deepest_dependency_comes_last() {
        let module = |depends: &[&str]| Module {
            path: "m".into(),
            depends: depends.iter().map(|name| (*name).to_owned()).collect(),
            aliases: vec![],
        };
        let chosen = BTreeMap::from([
            ("ext4", module(&["mbcache", "crc16", "jbd2"])),
            ("jbd2", module(&["crc16"])),
            ("crc16", module(&[])),
            ("mbcache", module(&[])),
        ]);
        assert_eq!(closure(&chosen, "ext4"), ["mbcache", "jbd2", "crc16"]);
    }
}
