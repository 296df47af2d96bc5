//! What the host told the driver about itself and about this run.

use hostler_sdk::{Error, Fact, ProblemExt, problem};

/// Facts that decide about a command line and cannot be read from the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The result is only shown, beside what libvirt 8.5 would have written: see `argv::comparison`.
    pub(crate) comparison: bool,
    /// The number of this run, unique among the running domains of this host.
    pub(crate) numeric_id: Option<u32>,
    /// What the host says about KVM: `yes`, or `no: why`; none when it does not say.
    pub(crate) kvm: Option<String>,
    /// Seconds since 1970, for clocks that are set relative to now.
    pub(crate) unix_seconds: u64,
}

impl Facts {
    /// Reads the facts that `domain.facts()` gave. Unknown ones are passed over.
    pub(crate) fn read(facts: &[Fact], unix_seconds: u64) -> Self {
        let find = |key: &str| facts.iter().find(|fact| fact.key == key).map(|fact| fact.value.clone());
        Facts {
            comparison: find("comparison").as_deref() == Some("yes"),
            numeric_id: find("numeric-id").and_then(|number| number.parse().ok()),
            kvm: find("accelerator.kvm"),
            unix_seconds,
        }
    }

    /// Whether KVM can be used.
    ///
    /// # Errors
    /// The host's reason and the remedy, when it cannot. A launch that is only compared needs no KVM.
    pub(crate) fn need_kvm(&self) -> Result<(), Error> {
        let usable = self.kvm.as_deref().is_some_and(|answer| answer.starts_with("yes"));
        if usable || self.comparison {
            return Ok(());
        }
        let reason =
            self.kvm.as_deref().map_or("the host does not offer it", |no| no.trim_start_matches("no: "));
        Err(problem(
            "qemu.kvm-missing",
            format!("the domain asks for KVM, which cannot be used here: {reason}"),
        )
        .hint("make /dev/kvm usable: load the kvm module, allow nested virtualisation, check its permissions")
        .hint("or emulate the processor, slowly: <domain type='qemu'>")
        .unsupported())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::fact;

    #[test]
    fn kvm_is_refused_with_the_hosts_reason_and_a_remedy() {
        let facts =
            Facts::read(&[fact("accelerator.kvm", "no: /dev/kvm is missing"), fact("numeric-id", "7")], 0);
        assert_eq!(facts.numeric_id, Some(7));
        let Err(Error::Unsupported(problem)) = facts.need_kvm() else { panic!("accepted") };
        assert_eq!(problem.code, "qemu.kvm-missing");
        assert!(problem.message.ends_with("/dev/kvm is missing"), "{}", problem.message);
        assert!(problem.hints.iter().any(|hint| hint.contains("type='qemu'")));
        assert!(Facts::read(&[fact("accelerator.kvm", "yes (restricted)")], 0).need_kvm().is_ok());
        assert!(Facts::default().need_kvm().is_err(), "silence is no permission");
    }
}
