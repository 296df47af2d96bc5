//! What firmware hands to the guest: SMBIOS tables, and files.

use hostler_sdk::domain::sysinfo::{FwCfgValue, Smbios, Sysinfo};

use super::{Broken, Rule, Subject, broken};

pub(super) const RULES: &[Rule] = &[tables, files, serial_output];

/// Names of the configuration device under which firmware keeps its own.
const RESERVED: [&str; 2] = ["opt/ovmf/", "opt/org.qemu/"];

fn tables(subject: &Subject<'_>) -> Option<Broken> {
    subject.domain.sysinfo.iter().find_map(|info| match info {
        Sysinfo::Smbios(tables) => table(subject, tables),
        Sysinfo::FwCfg(_) => None,
    })
}

fn table(subject: &Subject<'_>, tables: &Smbios) -> Option<Broken> {
    let find = |entries: &[(String, String)], wanted: &str| {
        entries.iter().find(|(name, _)| name == wanted).map(|(_, text)| text.clone())
    };
    if let Some(date) = find(&tables.bios, "date").filter(|date| !is_date(date)) {
        let what = format!("'{date}' is no date of a BIOS");
        let node = subject.element(&["sysinfo", "bios"]);
        return broken(node, "qemu.sysinfo-date", what, "write it as MM/DD/YYYY");
    }
    let plain = |uuid: &str| uuid.replace('-', "").to_ascii_lowercase();
    let own = subject.domain.uuid.map(|uuid| plain(&uuid.to_string()))?;
    find(&tables.system, "uuid").filter(|uuid| plain(uuid) != own)?;
    let what = "the UUID that firmware tells the guest is not the domain's";
    broken(subject.element(&["sysinfo", "system"]), "qemu.sysinfo-uuid", what, "remove the entry 'uuid'")
}

/// `MM/DD/YYYY`, or with the two digits of a year of the twentieth century.
fn is_date(text: &str) -> bool {
    let parts: Vec<_> = text.split('/').map(|part| (part.len(), part.parse::<u32>().ok())).collect();
    let [(_, Some(month)), (_, Some(day)), (digits, Some(year))] = parts.as_slice() else { return false };
    let year = match digits {
        2 => year + 1900,
        _ => *year,
    };
    (1..=12).contains(month) && (1..=31).contains(day) && (1900..=9999).contains(&year)
}

fn files(subject: &Subject<'_>) -> Option<Broken> {
    let all = subject.domain.sysinfo.iter().filter_map(|info| match info {
        Sysinfo::FwCfg(entries) => Some(entries),
        Sysinfo::Smbios(_) => None,
    });
    let node = subject.element(&["sysinfo"]);
    all.flatten().find_map(|entry| {
        let name = &entry.name;
        let empty = matches!(&entry.value, FwCfgValue::Text(text) if text.is_empty());
        let (what, remedy) = if !name.starts_with("opt/") {
            (format!("'{name}' is no name for a file of yours"), "begin it with 'opt/'")
        } else if RESERVED.iter().any(|reserved| name.starts_with(reserved)) {
            (format!("'{name}' is a name of the firmware's own"), "write opt/ and a domain that is yours")
        } else if empty {
            (format!("'{name}' has no content"), "write a text, or a file")
        } else {
            return None;
        };
        broken(node, "qemu.sysinfo-fwcfg", what, remedy)
    })
}

/// A BIOS writes to a serial port that is there.
fn serial_output(subject: &Subject<'_>) -> Option<Broken> {
    let wanted = subject.domain.os.bios.as_ref()?.use_serial == Some(true);
    let devices = &subject.domain.devices;
    let first_console = devices.consoles.first();
    let becomes_serial =
        first_console.is_some_and(|console| matches!(console.target.kind.as_deref(), None | Some("serial")));
    (wanted && devices.serials.is_empty() && !becomes_serial).then_some(())?;
    let what = "the BIOS writes to a serial port, and the domain has none";
    broken(subject.element(&["os", "bios"]), "qemu.bios-serial", what, "add <serial type='pty'/>")
}

#[cfg(test)]
mod tests {
    use super::is_date;

    #[test]
    fn dates_are_of_the_american_form() {
        for (text, fine) in [
            ("01/01/2010", true),
            ("1/1/10", true),
            ("01/01/1899", false),
            ("13/01/2010", false),
            ("01/32/2010", false),
            ("2010-01-01", false),
            ("aa/01/2010", false),
        ] {
            assert_eq!(is_date(text), fine, "{text}");
        }
    }
}
