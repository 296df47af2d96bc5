//! `-smbios` and `-fw_cfg`: what firmware tells the guest.

use hostler_sdk::domain::os::SmbiosMode;
use hostler_sdk::domain::sysinfo::{FwCfgValue, Smbios, Sysinfo};
use hostler_sdk::{Error, ProblemExt, Value, problem};

use super::builder::Builder;

/// `-smbios`, where the document says that its own tables count.
pub(super) fn smbios(builder: &mut Builder<'_>) -> Result<(), Error> {
    match builder.domain.os.smbios {
        None | Some(SmbiosMode::None | SmbiosMode::Emulate) => return Ok(()),
        Some(SmbiosMode::Sysinfo) => {}
        Some(SmbiosMode::Host) => {
            return Err(problem("qemu.smbios-host", "<smbios mode='host'/> shows the guest the host's serial numbers, which the driver cannot read")
                .hint("use mode='sysinfo' and write what the guest may know in <sysinfo type='smbios'>")
                .unsupported());
        }
    }
    let tables = builder.domain.sysinfo.iter().find_map(|info| match info {
        Sysinfo::Smbios(tables) => Some(tables),
        Sysinfo::FwCfg(_) => None,
    });
    let tables = tables.ok_or_else(|| {
        problem(
            "qemu.smbios-sysinfo",
            "<smbios mode='sysinfo'/> needs <sysinfo type='smbios'>, which is missing",
        )
        .invalid()
    })?;
    add_tables(builder, tables);
    Ok(())
}

fn add_tables(builder: &mut Builder<'_>, tables: &Smbios) {
    let keep = |entries: &[(String, String)], type_: u32| {
        if entries.is_empty() {
            return None;
        }
        let mut value = Value::mapping().with("type", type_);
        for (name, text) in entries {
            value.set(name, text.as_str());
        }
        Some(value)
    };
    let mut lines = vec![keep(&tables.bios, 0), keep(&tables.system, 1)];
    lines.extend(tables.base_boards.iter().map(|board| keep(board, 2)));
    lines.push(keep(&tables.chassis, 3));
    for line in lines.into_iter().flatten() {
        builder.option("smbios", line);
    }
    if !tables.oem_strings.is_empty() {
        let mut value = Value::mapping().with("type", 11_u32);
        tables.oem_strings.iter().for_each(|text| value.set("value", text.as_str()));
        builder.option("smbios", value);
    }
}

/// `-fw_cfg`
pub(super) fn fw_cfg(builder: &mut Builder<'_>) -> Result<(), Error> {
    for info in &builder.domain.sysinfo {
        let Sysinfo::FwCfg(entries) = info else { continue };
        for entry in entries {
            let value = Value::mapping().with("name", entry.name.as_str());
            builder.option(
                "fw_cfg",
                match &entry.value {
                    FwCfgValue::Text(text) => value.with("string", text.as_str()),
                    FwCfgValue::File(path) => value.with("file", path.as_str()),
                },
            );
        }
    }
    Ok(())
}
