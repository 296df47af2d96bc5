//! The domain that is started: as little as makes a guest run, so that the host's own part is seen.

use std::path::Path;

/// Its name.
pub(crate) const NAME: &str = "bench";
/// Accelerated or not makes no difference to the host; emulation runs everywhere.
const KIND: &str = "qemu";

/// The domain XML, for us and for the peer alike.
pub(crate) fn xml(guest: &Path) -> String {
    let guest = guest.display();
    format!(
        "<domain type='{KIND}'>
  <name>{NAME}</name>
  <memory unit='MiB'>16</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' type='rom'>{guest}/rom.bin</loader>
  </os>
  <devices>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"
    )
}

/// The domain in a few words.
pub(super) fn describe() -> &'static str {
    "q35, 16 MiB, TCG, no disk"
}
