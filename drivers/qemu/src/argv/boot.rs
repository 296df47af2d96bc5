//! `-boot`, and files for a direct boot.

use hostler_sdk::{BootFile, Error, Symbol, Value};

use super::builder::{Builder, set_some};

/// `-boot`
pub(super) fn boot(builder: &mut Builder<'_>) -> Result<(), Error> {
    let os = &builder.domain.os;
    let mut value = Value::mapping();
    if let Some(menu) = &os.boot_menu {
        value.set("menu", menu.enable);
        set_some(&mut value, "splash-time", menu.timeout_ms.filter(|_| menu.enable).map(u32::from));
    }
    set_some(
        &mut value,
        "reboot-timeout",
        os.bios.as_ref().and_then(|bios| bios.reboot_timeout_ms).map(i64::from),
    );
    builder.option("boot", value.with("strict", true));
    Ok(())
}

/// `-kernel`, `-initrd`, `-append`, `-dtb`, `-acpitable`
pub(super) fn kernel(builder: &mut Builder<'_>) -> Result<(), Error> {
    let os = &builder.domain.os;
    if os.kernel.is_some() {
        builder.option("kernel", Symbol::File(BootFile::Kernel));
    }
    if os.initrd.is_some() {
        builder.option("initrd", Symbol::File(BootFile::InitialRamDisk));
    }
    if let Some(arguments) = &os.cmdline {
        builder.option("append", arguments.as_str());
    }
    if os.dtb.is_some() {
        builder.option("dtb", Symbol::File(BootFile::DeviceTree));
    }
    if os.acpi_slic.is_some() {
        let table = Value::mapping().with("sig", "SLIC").with("file", Symbol::File(BootFile::AcpiTable));
        builder.option("acpitable", table);
    }
    Ok(())
}
