//! A document whose files are elsewhere, and are made.

use anyhow::{Context, Result, bail};
use hostler_domain::cpu::CpuMode;
use hostler_domain::storage_source::Location;
use hostler_domain::{Document, Domain, NodeId};
use std::fs;
use std::path::Path;
use std::process::Command;

/// How large an image is made.
const IMAGE_SIZE: &str = "16M";

/// A document to define.
#[derive(Debug)]
pub(super) struct Prepared {
    domain: Domain,
}

impl Prepared {
    /// Moves the files that a document names below a directory, and makes them there.
    ///
    /// # Errors
    /// It is no domain, or a file cannot be made.
    pub(super) fn new(text: &str, directory: &Path) -> Result<Self> {
        let mut domain = Domain::parse(text)?;
        let mut todo = vec![domain.document().root()];
        while let Some(node) = todo.pop() {
            todo.extend(domain.document().elements(node));
            relocate(domain.document_mut(), node, directory)?;
        }
        domain.refresh()?;
        let prepared = Self { domain };
        prepared.make_images()?;
        Ok(prepared)
    }

    /// The document as text.
    pub(super) fn text(&self) -> String {
        self.domain.to_xml()
    }

    /// The domain's name.
    pub(super) fn name(&self) -> &str {
        self.domain.name.as_str()
    }

    /// The same for QEMU's own translator, which has every processor but the host's.
    pub(super) fn emulated(&self) -> Result<Self> {
        let mut domain = self.domain.clone();
        let root = domain.document().root();
        domain.document_mut().set_attribute(root, "type", "qemu")?;
        let host = domain.cpu.as_ref().is_some_and(|cpu| cpu.mode == Some(CpuMode::HostPassthrough));
        if let Some(cpu) = domain.document().child(root, "cpu").filter(|_| host) {
            domain.document_mut().set_attribute(cpu, "mode", "maximum")?;
        }
        domain.refresh()?;
        Ok(Self { domain })
    }

    /// From the lowest layer up, each in the format that the document says.
    fn make_images(&self) -> Result<()> {
        for disk in &self.domain.devices.disks {
            let mut below: Option<(String, String)> = None;
            let layers: Vec<_> = disk.source.layers().collect();
            for source in layers.into_iter().rev() {
                let Location::File(path) = &source.location else { continue };
                let format = source.format.clone().unwrap_or_else(|| "raw".to_owned());
                make_image(path, &format, below.as_ref())?;
                below = Some((path.clone(), format));
            }
        }
        let os = &self.domain.os;
        for file in [&os.kernel, &os.initrd, &os.dtb].into_iter().flatten() {
            make_parent(file)?;
            fs::write(file, b"")?;
        }
        Ok(())
    }
}

/// Elements that name a file of the host in an attribute, and in their text.
fn relocate(document: &mut Document, node: NodeId, directory: &Path) -> Result<()> {
    let moved = |path: &str| path.strip_prefix('/').map(|path| directory.join(path).display().to_string());
    let name = document.name(node).to_owned();
    if name == "source"
        && let Some(path) = document.attribute(node, "file").and_then(moved)
    {
        document.set_attribute(node, "file", &path)?;
    }
    if ["kernel", "initrd", "dtb"].contains(&name.as_str())
        && let Some(path) = moved(document.text(node).trim())
    {
        document.set_text(node, &path)?;
    }
    Ok(())
}

fn make_parent(path: &str) -> Result<()> {
    let parent = Path::new(path).parent().with_context(|| format!("{path} is in no directory"))?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))
}

fn make_image(path: &str, format: &str, below: Option<&(String, String)>) -> Result<()> {
    make_parent(path)?;
    let mut command = Command::new("qemu-img");
    command.args(["create", "-q", "-f", format]);
    if let Some((backing, format)) = below {
        command.args(["-b", backing, "-F", format]);
    }
    let output = command.args([path, IMAGE_SIZE]).output().context("cannot run qemu-img")?;
    if !output.status.success() {
        bail!("{path}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Prepared;

    #[test]
    fn files_are_made_where_the_document_then_names_them() {
        let place = tempfile::tempdir().unwrap();
        let text = "<domain type='kvm'><name>a</name><memory>65536</memory><os><type>hvm</type></os>\
                    <cpu mode='host-passthrough'/><devices><disk><driver type='qcow2'/><source file='/i/a'/>\
                    <backingStore type='file'><format type='raw'/><source file='/i/b'/><backingStore/></backingStore>\
                    <target dev='vda'/></disk></devices></domain>";
        let prepared = Prepared::new(text, place.path()).unwrap();
        assert!(place.path().join("i/a").is_file() && place.path().join("i/b").is_file());
        assert!(prepared.text().contains(&format!("file='{}'", place.path().join("i/a").display())));
        let emulated = prepared.emulated().unwrap();
        assert!(emulated.text().contains("type='qemu'") && emulated.text().contains("mode='maximum'"));
        assert_eq!(emulated.name(), "a");
    }
}
