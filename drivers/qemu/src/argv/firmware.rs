//! The program that the machine starts with: flash devices or a ROM image.

use hostler_sdk::{Error, Symbol, Value};

use super::builder::Builder;
use super::comparison;
use crate::blockdev::{self, FlashImages};

/// The block nodes of the flash devices; the machine option refers to them.
pub(super) fn flash(builder: &mut Builder<'_>) -> Result<(), Error> {
    let Some(firmware) = builder.inputs.firmware.filter(|firmware| firmware.is_flash) else { return Ok(()) };
    let loader = builder.domain.os.loader.as_ref();
    let said = loader.filter(|loader| loader.path.is_some()).map(|loader| loader.readonly == Some(true));
    // The host opens code for reading only, whatever a document says or does not say; libvirt lets a guest write to
    // code that its document names and says nothing about.
    let (read_only, images) = match builder.inputs.facts.comparison {
        true => (said.unwrap_or(true), comparison::flash_images(builder)?),
        false => (true, FlashImages::opened()),
    };
    for node in blockdev::flash_nodes(firmware, read_only, images)? {
        builder.option("blockdev", node);
    }
    Ok(())
}

/// Flash that only code in system management mode may write.
pub(super) fn secure_flash(builder: &mut Builder<'_>) -> Result<(), Error> {
    let asked = builder.domain.os.loader.as_ref().and_then(|loader| loader.secure);
    let needed = builder.inputs.firmware.is_some_and(|firmware| firmware.is_flash && firmware.needs_smm);
    if asked.unwrap_or(needed) {
        let secure =
            Value::mapping().with("driver", "cfi.pflash01").with("property", "secure").with("value", true);
        builder.option("global", secure);
    }
    Ok(())
}

/// `-bios`
pub(super) fn rom(builder: &mut Builder<'_>) -> Result<(), Error> {
    if builder.inputs.firmware.is_some_and(|firmware| !firmware.is_flash) {
        let code = match builder.inputs.facts.comparison {
            true => Value::from(comparison::code_path(builder.domain)),
            false => Value::from(Symbol::Code),
        };
        builder.option("bios", code);
    }
    Ok(())
}
