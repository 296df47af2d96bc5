//! A guest that is asked to switch itself off and begin again.

use hostler_sdk::domain::{Domain as Document, LifecycleAction};
use hostler_sdk::{Domain, Error, MonitorExt, RunState};

use super::{monitor_state, shutdown};

/// Presses the power button, and has the machine reset when the guest has switched itself off. QEMU tells a guest that
/// switches off from one that reboots, so what the document says about a guest's own end does not count here.
///
/// # Errors
/// `conflict` when the guest cannot react; what the monitor answers.
pub(crate) fn reboot(domain: &Domain) -> Result<(), Error> {
    let document = Document::parse(&domain.config())?;
    if matches!(document.on_reboot, LifecycleAction::Destroy | LifecycleAction::Preserve) {
        // For this domain a reboot is an end.
        return shutdown(domain);
    }
    let monitor = domain.monitor()?;
    let state = monitor_state::ask(domain, &monitor)?;
    let hint = "resume the domain first, or press its reset button with 'reset'";
    monitor_state::expect(domain, state, &[RunState::Running, RunState::Sleeping], hint)?;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    // A guest that is reset by itself or by somebody else has rebooted, and its next end is an end.
    monitor.answer_once("SHUTDOWN", &words(&["system_reset", "cont"]), &words(&["RESET"]))?;
    monitor.run("system_powerdown")?;
    domain.emit("reboot-requested", &[]);
    Ok(())
}
