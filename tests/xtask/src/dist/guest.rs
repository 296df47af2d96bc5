//! The guest that the package's program starts.

use anyhow::{Context, Result};
use serde_json::Value;

/// Its name.
pub(super) const NAME: &str = "proof";
/// Seconds that it may take to boot, emulated on a loaded machine.
pub(super) const BOOT_SECONDS: &str = "150";

/// A guest that is 64 KiB of firmware: small enough for a KVM that emulates each instruction.
pub(super) fn small_document(name: &str, kind: &str, files: &str) -> String {
    format!(
        "<domain type='{kind}'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader type='rom'>{files}/rom.bin</loader>
  </os>
  <features><acpi/></features>
  <devices><serial type='pty'/><memballoon model='none'/></devices>
</domain>
"
    )
}

/// The process of a domain that runs, from what `hostler -o json show` says of it.
pub(super) fn process(shown: &str) -> Result<u64> {
    let shown: Value = serde_json::from_str(shown).context("'show' says no JSON")?;
    let state = shown.get("state").and_then(Value::as_str).unwrap_or_default();
    anyhow::ensure!(state == "running", "the guest should run: {shown}");
    shown.get("pid").and_then(Value::as_u64).with_context(|| format!("the guest has no process: {shown}"))
}

#[cfg(test)]
mod tests {
    use super::process;

    #[test]
    fn process_is_that_of_a_guest_that_runs() {
        assert_eq!(process(r#"{"state": "running", "pid": 7}"#).unwrap(), 7);
        for other in [r#"{"state": "off", "pid": 7}"#, r#"{"state": "running"}"#, "{}", ""] {
            assert!(process(other).is_err(), "{other}");
        }
    }
}
