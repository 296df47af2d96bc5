//! The image formats by name: what domain XML calls them and what QEMU calls them.

use std::fmt;

/// A disk image format. The list is complete; [`Format::is_parsed`] says which of them a chain may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Plain bytes; the content belongs to the guest and is never looked at.
    Raw,
    /// A directory, as a source for `fat`.
    Dir,
    /// Bochs growing image.
    Bochs,
    /// Compressed loop image.
    Cloop,
    /// Apple disk image.
    Dmg,
    /// Optical disc image.
    Iso,
    /// Virtual PC image (QEMU `vpc`).
    Vpc,
    /// VirtualBox image.
    Vdi,
    /// A directory shown to the guest as a FAT disk.
    Fat,
    /// Hyper-V image; XML says `vhd`, QEMU says `vhdx`.
    Vhdx,
    /// Parallels image; XML says `ploop`, QEMU says `parallels`.
    Parallels,
    /// User-mode-Linux copy-on-write image; no hypervisor opens it any more.
    Cow,
    /// First generation of QEMU's copy-on-write format.
    Qcow,
    /// QEMU copy-on-write, versions 2 and 3.
    Qcow2,
    /// QEMU enhanced disk.
    Qed,
    /// VMware image.
    Vmdk,
}

/// One row per format: name in XML, name of QEMU's driver (where it has one).
const NAMES: [(Format, &str, Option<&str>); 16] = [
    (Format::Raw, "raw", Some("raw")),
    (Format::Dir, "dir", None),
    (Format::Bochs, "bochs", Some("bochs")),
    (Format::Cloop, "cloop", Some("cloop")),
    (Format::Dmg, "dmg", Some("dmg")),
    (Format::Iso, "iso", None),
    (Format::Vpc, "vpc", Some("vpc")),
    (Format::Vdi, "vdi", Some("vdi")),
    (Format::Fat, "fat", None),
    (Format::Vhdx, "vhd", Some("vhdx")),
    (Format::Parallels, "ploop", Some("parallels")),
    (Format::Cow, "cow", None),
    (Format::Qcow, "qcow", Some("qcow")),
    (Format::Qcow2, "qcow2", Some("qcow2")),
    (Format::Qed, "qed", Some("qed")),
    (Format::Vmdk, "vmdk", Some("vmdk")),
];

impl Format {
    /// Every format, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(format, _, _)| *format)
    }

    /// The format that domain XML calls `name` (`<driver type=…>`, `<format type=…>`).
    #[must_use]
    pub fn from_xml_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, xml, _)| *xml == name).map(|(format, _, _)| *format)
    }

    /// The format whose QEMU driver is called `name`, as image headers record it.
    #[must_use]
    pub fn from_qemu_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, _, qemu)| *qemu == Some(name)).map(|(format, _, _)| *format)
    }

    /// The name in domain XML.
    #[must_use]
    pub fn xml_name(self) -> &'static str {
        NAMES.iter().find(|(format, _, _)| *format == self).map_or("raw", |(_, xml, _)| xml)
    }

    /// The name of QEMU's driver for this format; `None` where QEMU opens it by other means or not at all.
    #[must_use]
    pub fn qemu_name(self) -> Option<&'static str> {
        NAMES.iter().find(|(format, _, _)| *format == self).and_then(|(_, _, qemu)| *qemu)
    }

    /// The format under which hypervisors open it: a disc is raw to them.
    #[must_use]
    pub fn opened_as(self) -> Self {
        if self == Self::Iso { Self::Raw } else { self }
    }

    /// Whether an image of this format can stand on another one.
    #[must_use]
    pub fn can_have_backing(self) -> bool {
        matches!(
            self,
            Self::Cow
                | Self::Qcow
                | Self::Qcow2
                | Self::Qed
                | Self::Vmdk
                | Self::Vpc
                | Self::Vhdx
                | Self::Vdi
        )
    }

    /// Whether an image of this format may be part of a chain: its header is read, and hypervisors open it.
    /// Directories have no image, discs are opened as raw, and nothing opens `cow` any more.
    #[must_use]
    pub fn is_parsed(self) -> bool {
        !matches!(self, Self::Dir | Self::Fat | Self::Iso | Self::Cow)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.xml_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_format() {
        for format in Format::all() {
            assert_eq!(Format::from_xml_name(format.xml_name()), Some(format));
            if let Some(name) = format.qemu_name() {
                assert_eq!(Format::from_qemu_name(name), Some(format));
            }
        }
        assert_eq!(Format::all().count(), 16);
    }

    #[test]
    fn xml_and_qemu_names_are_not_mixed() {
        assert_eq!(Format::from_xml_name("vhdx"), None);
        assert_eq!(Format::from_qemu_name("vhdx"), Some(Format::Vhdx));
        assert_eq!(Format::from_qemu_name("file"), None);
        assert_eq!(Format::from_xml_name("auto"), None);
    }

    #[test]
    fn a_format_that_a_header_can_record_may_be_in_a_chain() {
        assert!(Format::all().all(|format| format.is_parsed() == format.qemu_name().is_some()));
    }
}
