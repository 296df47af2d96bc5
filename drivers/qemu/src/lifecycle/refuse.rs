//! What a document may ask for and this driver cannot do, beyond what has no option of QEMU.
//!
//! Everything else that is modelled either reaches the command line or the monitor, is refused while the
//! command line is built, or is the host's own work: limits of memory and processor time, pinning,
//! security labels, copies of console output, optional media (`startupPolicy`), and who may use SCSI
//! generic commands (`rawio`, `sgio`). What a processor model promises (`check`, `fallback`) is what QEMU
//! itself makes of it.

use hostler_sdk::domain::{Domain, DomainType, LifecycleAction};
use hostler_sdk::{Error, Problem, ProblemExt, problem};

use crate::machine;

/// Refuses what cannot be done for any document of this kind.
///
/// # Errors
/// `unsupported`, with what to write instead.
pub(super) fn refuse(domain: &Domain) -> Result<(), Error> {
    if !matches!(domain.kind, DomainType::Kvm | DomainType::Qemu) {
        return Err(problem(
            "qemu.domain-type",
            format!("QEMU does not run domains of type '{}'", domain.kind),
        )
        .hint("use <domain type='kvm'>, or type='qemu' where there is no KVM")
        .at(domain, &[])
        .unsupported());
    }
    if let Some(arch) = domain.os.arch.as_deref().filter(|arch| !machine::is_x86(arch)) {
        return Err(problem("qemu.arch", format!("this driver runs x86 guests, not '{arch}'"))
            .hint("use <type arch='x86_64'>")
            .at(domain, &["os", "type"])
            .unsupported());
    }
    if domain.launch_security.is_some() {
        return Err(problem(
            "qemu.launch-security",
            "<launchSecurity> needs help of the processor that this driver does not ask for",
        )
        .hint("remove <launchSecurity>")
        .at(domain, &["launchSecurity"])
        .unsupported());
    }
    refuse_actions(domain)
}

fn refuse_actions(domain: &Domain) -> Result<(), Error> {
    use LifecycleAction::{CoredumpDestroy, CoredumpRestart, Destroy, RenameRestart, Restart};
    let refused = |element: &str, action: LifecycleAction, hint: &str| {
        problem(
            "qemu.lifecycle-action",
            format!("<{element}>{action}</{element}> is not supported by this driver"),
        )
        .hint(hint)
        .at(domain, &[element])
        .unsupported()
    };
    for (element, action) in
        [("on_poweroff", domain.on_poweroff), ("on_reboot", domain.on_reboot), ("on_crash", domain.on_crash)]
    {
        // Only a guest that crashed has something in its memory to look at.
        let keeps_memory = matches!(action, CoredumpDestroy | CoredumpRestart);
        if action == RenameRestart || (keeps_memory && element != "on_crash") {
            return Err(refused(element, action, "use destroy, restart or preserve"));
        }
    }
    if domain.on_reboot == LifecycleAction::Preserve {
        return Err(refused("on_reboot", domain.on_reboot, "use restart, or destroy"));
    }
    // Both arrive as the same event: QEMU can only be told to treat a reboot like switching off.
    if domain.on_poweroff == Restart && domain.on_reboot == Destroy {
        return Err(refused(
            "on_reboot",
            Destroy,
            "a domain whose on_poweroff is 'restart' cannot end at a reboot",
        ));
    }
    Ok(())
}

/// Says where in a document a problem is.
trait At {
    /// Adds line, column and path of the element to which these names lead from the root, or of the last one that is
    /// there.
    fn at(self, domain: &Domain, names: &[&str]) -> Self;
}

impl At for Problem {
    fn at(self, domain: &Domain, names: &[&str]) -> Self {
        let document = domain.document();
        let node =
            names.iter().try_fold(document.root(), |node, name| document.child(node, name).ok_or(node));
        let node = node.unwrap_or_else(|last| last);
        let position = document.position(node);
        self.detail("line", position.line.to_string())
            .detail("column", position.column.to_string())
            .detail("element", document.path(node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(kind: &str, more: &str) -> Domain {
        Domain::parse(&format!(
            "<domain type='{kind}'><name>n</name><memory>1024</memory><os><type>hvm</type></os>{more}</domain>"
        ))
        .unwrap()
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_a_remedy() {
        for (kind, more, code, last) in [
            ("xen", "", "qemu.domain-type", "domain"),
            ("qemu", "<on_crash>rename-restart</on_crash>", "qemu.lifecycle-action", "on_crash"),
            (
                "qemu",
                "<on_poweroff>restart</on_poweroff><on_reboot>destroy</on_reboot>",
                "qemu.lifecycle-action",
                "on_reboot",
            ),
        ] {
            let Err(Error::Unsupported(problem)) = refuse(&domain(kind, more)) else {
                panic!("{kind} {more}")
            };
            assert_eq!(problem.code, code);
            assert!(!problem.hints.is_empty());
            let element = problem.details.iter().find(|fact| fact.key == "element").unwrap();
            assert!(element.value.ends_with(last), "{element:?}");
        }
        for taken in ["<on_poweroff>restart</on_poweroff>", "<on_crash>coredump-destroy</on_crash>"] {
            assert!(refuse(&domain("kvm", taken)).is_ok(), "{taken}");
        }
    }
}
