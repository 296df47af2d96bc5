//! `<sysinfo>`: what firmware tells the guest about the machine, and fw_cfg entries.

use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;

/// One `<sysinfo>` element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sysinfo {
    /// SMBIOS tables.
    Smbios(Smbios),
    /// Entries of QEMU's firmware configuration device.
    FwCfg(Vec<FwCfgEntry>),
}

/// SMBIOS tables; each entry is a name, such as `manufacturer`, and its text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Smbios {
    /// Table 0.
    pub bios: Vec<(String, String)>,
    /// Table 1.
    pub system: Vec<(String, String)>,
    /// Tables 2, one per base board.
    pub base_boards: Vec<Vec<(String, String)>>,
    /// Table 3.
    pub chassis: Vec<(String, String)>,
    /// Table 11.
    pub oem_strings: Vec<String>,
}

/// One entry of the firmware configuration device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FwCfgEntry {
    /// Its name, such as `opt/com.example/name`.
    pub name: String,
    /// What it holds.
    pub value: FwCfgValue,
}

/// What a firmware configuration entry holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FwCfgValue {
    /// This text.
    Text(String),
    /// The content of this host file.
    File(String),
}

impl Sysinfo {
    pub(crate) fn read(sysinfo: Element<'_>) -> Result<Self, XmlError> {
        match sysinfo.need("type")? {
            "smbios" => read_smbios(sysinfo).map(Self::Smbios),
            "fwcfg" => sysinfo.each("entry", read_fw_cfg).map(Self::FwCfg),
            other => Err(sysinfo.unknown(Some("type"), other, &["smbios", "fwcfg"])),
        }
    }
}

fn read_smbios(sysinfo: Element<'_>) -> Result<Smbios, XmlError> {
    let table = |name| sysinfo.maybe(name, read_table).map(Option::unwrap_or_default);
    let strings =
        sysinfo.maybe("oemStrings", |strings| strings.each("entry", |entry| Ok(entry.content())))?;
    Ok(Smbios {
        bios: table("bios")?,
        system: table("system")?,
        base_boards: sysinfo.each("baseBoard", read_table)?,
        chassis: table("chassis")?,
        oem_strings: strings.unwrap_or_default(),
    })
}

fn read_table(table: Element<'_>) -> Result<Vec<(String, String)>, XmlError> {
    table.each("entry", |entry| Ok((entry.need_string("name")?, entry.content())))
}

fn read_fw_cfg(entry: Element<'_>) -> Result<FwCfgEntry, XmlError> {
    let text = entry.content();
    let value = match (entry.filled("file"), text.is_empty()) {
        (Some(file), true) => FwCfgValue::File(file),
        (None, false) => FwCfgValue::Text(text),
        (Some(_), false) => {
            return Err(entry.error(XmlErrorKind::Conflict, "'entry' has both a file and a text"));
        }
        (None, true) => return Err(entry.missing("file")),
    };
    Ok(FwCfgEntry { name: entry.need_string("name")?, value })
}
