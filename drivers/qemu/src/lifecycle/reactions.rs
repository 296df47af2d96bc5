//! What follows when the guest switches itself off, or crashes.

use hostler_sdk::domain::{Domain, LifecycleAction};

/// Events, and the commands that answer them: what the host's shim does by itself, whoever is attached.
pub(super) fn reactions(domain: &Domain) -> Vec<(&'static str, &'static [&'static str])> {
    let mut reactions = Vec::new();
    for (event, action) in [("SHUTDOWN", domain.on_poweroff), ("GUEST_PANICKED", domain.on_crash)] {
        let commands: &[&str] = match action {
            // Only a guest that crashed has something to look at.
            LifecycleAction::CoredumpDestroy if event == "GUEST_PANICKED" => &["dump-guest-memory", "quit"],
            LifecycleAction::CoredumpRestart if event == "GUEST_PANICKED" => {
                &["dump-guest-memory", "system_reset", "cont"]
            }
            LifecycleAction::Destroy | LifecycleAction::CoredumpDestroy => &["quit"],
            LifecycleAction::Restart | LifecycleAction::RenameRestart | LifecycleAction::CoredumpRestart => {
                &["system_reset", "cont"]
            }
            LifecycleAction::Preserve => continue,
        };
        reactions.push((event, commands));
    }
    reactions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_is_kept_gets_no_reaction() {
        let domain = Domain::parse(
            "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os>\
             <on_poweroff>restart</on_poweroff><on_crash>preserve</on_crash></domain>",
        )
        .unwrap();
        assert_eq!(reactions(&domain), [("SHUTDOWN", ["system_reset", "cont"].as_slice())]);
    }

    #[test]
    fn only_a_crash_has_its_memory_kept() {
        for (action, follows) in [
            ("coredump-destroy", &["dump-guest-memory", "quit"][..]),
            ("coredump-restart", &["dump-guest-memory", "system_reset", "cont"]),
            ("restart", &["system_reset", "cont"]),
            ("destroy", &["quit"]),
        ] {
            let document = format!(
                "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os>\
                 <on_crash>{action}</on_crash></domain>"
            );
            let reactions = reactions(&Domain::parse(&document).unwrap());
            assert_eq!(reactions, [("SHUTDOWN", &["quit"][..]), ("GUEST_PANICKED", follows)], "{action}");
        }
    }
}
