//! The ROM guest: 64 KiB of firmware that is the whole guest, small enough for a slow KVM.

use crate::shell;
use anyhow::{Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

const SOURCE: &str = include_str!("rom.s");
/// A real-mode segment; the firmware ends at the reset vector.
const ROM_BYTES: u64 = 64 << 10;

/// Assembles `rom.bin`.
pub(super) fn write(work: &Path) -> Result<()> {
    let (source, object, rom) = (work.join("rom.s"), work.join("rom.o"), work.join("rom.bin"));
    fs::write(&source, SOURCE)?;
    shell::read(Command::new("as").args(["--32", "-o"]).arg(&object).arg(&source))?;
    let mut ld = Command::new("ld");
    ld.args(["-m", "elf_i386", "-Ttext", "0", "--oformat", "binary", "-o"]).arg(&rom).arg(&object);
    shell::read(&mut ld)?;
    let size = fs::metadata(&rom)?.len();
    ensure!(size == ROM_BYTES, "the ROM guest has {size} bytes, not {ROM_BYTES}");
    Ok(())
}
