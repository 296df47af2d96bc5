//! Whether this machine runs guests with KVM: asked by really making a machine, not by a file's presence.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kvm_ioctls::{Cap, Kvm};

/// The version of the KVM interface that every kernel since 2.6.22 has.
const API_VERSION: i32 = 12;

/// What a try of `/dev/kvm` showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Whether KVM is recommended for an ordinary guest (an operating system's kernel).
    pub usable: bool,
    /// Why, or why not, in words.
    pub reason: String,
    /// The interface's version; nothing when `/dev/kvm` could not be opened.
    pub api_version: Option<i32>,
    /// The processor's virtualisation flag: `vmx` or `svm`.
    pub cpu_flag: Option<&'static str>,
    /// KVM answers although the processor has no such flag: guest kernels are emulated one instruction at a
    /// time. Tiny firmware runs; Linux guests do not.
    pub emulated: bool,
}

/// Whether KVM runs system management mode here, which firmware that protects its variables needs; nothing when KVM
/// cannot be asked.
#[must_use]
pub fn kvm_runs_smm() -> Option<bool> {
    Kvm::new().ok().map(|kvm| kvm.check_extension(Cap::X86Smm))
}

/// Makes a virtual machine with one processor and lets it go again.
#[must_use]
pub fn probe_kvm() -> Probe {
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let tried = try_kvm();
    judge(tried, cpu_flag(&flags))
}

/// What this process last saw, if that is not older than `age`; otherwise tries again. Making a machine takes some
/// milliseconds, and whether it can be made changes with a module or a group, not from one call to the next.
#[must_use]
pub fn recent_probe(age: Duration) -> Probe {
    static LAST: Mutex<Option<(Instant, Probe)>> = Mutex::new(None);
    // What is behind the lock is whole, whatever happened to a thread that held it.
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, probe)) = last.as_ref().filter(|(seen, _)| seen.elapsed() < age) {
        return probe.clone();
    }
    let probe = probe_kvm();
    *last = Some((Instant::now(), probe.clone()));
    probe
}

/// The interface's version, or why no machine could be made (with the version when it was learnt).
fn try_kvm() -> Result<i32, (Option<i32>, String)> {
    let kvm = Kvm::new().map_err(|error| (None, open_failure(&error)))?;
    let version = kvm.get_api_version();
    if version != API_VERSION {
        return Err((Some(version), format!("/dev/kvm speaks version {version}, wanted {API_VERSION}")));
    }
    let machine =
        kvm.create_vm().map_err(|error| (Some(version), format!("KVM makes no machine: {error}")))?;
    machine.create_vcpu(0).map_err(|error| (Some(version), format!("KVM makes no processor: {error}")))?;
    Ok(version)
}

fn open_failure(error: &kvm_ioctls::Error) -> String {
    if Path::new("/dev/kvm").exists() {
        format!("/dev/kvm cannot be opened: {error}")
    } else {
        "there is no /dev/kvm: virtualisation is off in the firmware, or the kvm module is not loaded"
            .to_owned()
    }
}

fn judge(tried: Result<i32, (Option<i32>, String)>, cpu_flag: Option<&'static str>) -> Probe {
    match (tried, cpu_flag) {
        (Err((api_version, reason)), _) => Probe { usable: false, reason, api_version, cpu_flag, emulated: false },
        (Ok(version), Some(flag)) => Probe {
            usable: true,
            reason: format!("KVM made a machine, and the processor has {flag}"),
            api_version: Some(version),
            cpu_flag,
            emulated: false,
        },
        (Ok(version), None) => Probe {
            usable: false,
            reason: "KVM answers, but the processor has neither vmx nor svm: guest kernels are emulated one \
                     instruction at a time, so only tiny firmware guests are of use; use TCG for an operating system"
                .to_owned(),
            api_version: Some(version),
            cpu_flag,
            emulated: true,
        },
    }
}

fn cpu_flag(cpuinfo: &str) -> Option<&'static str> {
    let flags = cpuinfo.lines().find_map(|line| line.strip_prefix("flags"))?;
    ["vmx", "svm"].into_iter().find(|wanted| flags.split_whitespace().any(|flag| flag == *wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_whole_words_of_the_first_processor() {
        assert_eq!(cpu_flag("processor : 0\nflags\t\t: fpu vmx sse\n"), Some("vmx"));
        assert_eq!(cpu_flag("flags : fpu svm_lock vmxoff\n"), None);
        assert_eq!(cpu_flag("flags : svm\n"), Some("svm"));
        assert_eq!(cpu_flag(""), None);
    }

    #[test]
    fn answering_without_flag_is_emulated_and_not_recommended() {
        let probe = judge(Ok(12), None);
        assert!(probe.emulated && !probe.usable && probe.reason.contains("TCG"));
        assert!(judge(Ok(12), Some("vmx")).usable);
        assert!(!judge(Err((None, "no".into())), Some("vmx")).usable);
    }

    #[test]
    fn real_probe_agrees_with_the_device() {
        let probe = probe_kvm();
        if !Path::new("/dev/kvm").exists() {
            assert!(!probe.usable && probe.api_version.is_none());
            return;
        }
        assert_eq!(probe.usable, probe.api_version == Some(12) && probe.cpu_flag.is_some());
    }

    #[test]
    fn recent_probe_is_used_again_and_an_old_one_is_not() {
        let first = recent_probe(Duration::from_secs(60));
        assert_eq!(recent_probe(Duration::from_secs(60)), first);
        assert_eq!(recent_probe(Duration::ZERO), probe_kvm());
    }
}
