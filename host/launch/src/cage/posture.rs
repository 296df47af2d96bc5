//! What a running process holds and is held by, as the kernel tells it.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::process;

/// The kinds of namespaces that a cage makes, as `/proc/<pid>/ns` names them.
const NAMESPACES: [&str; 7] = ["mnt", "pid", "net", "user", "ipc", "uts", "cgroup"];

/// A process's standing towards the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posture {
    /// The user, in the numbers of whoever asks.
    pub uid: u32,
    /// Every capability in any of its sets, as bits.
    pub capabilities: u64,
    /// It cannot gain privileges by starting a program.
    pub no_new_privs: bool,
    /// The kernel filters its system calls.
    pub filtered: bool,
    /// Kinds of namespaces that it does not share with whoever asks.
    pub private_namespaces: Vec<&'static str>,
    /// Its open descriptors and what they are of.
    pub descriptors: Vec<(u32, String)>,
    /// The names of its environment's variables.
    pub environment: Vec<String>,
    /// What lies in its root directory.
    pub root: Vec<String>,
}

/// Looks at a process.
///
/// # Errors
/// When it is gone, or belongs to another user.
pub fn posture(pid: u32) -> io::Result<Posture> {
    let place = format!("/proc/{pid}");
    let status = std::fs::read_to_string(format!("{place}/status"))?;
    let line = |name: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.map(str::trim).ok_or_else(|| io::Error::other(format!("{place}/status does not tell {name}")))
    };
    let mut capabilities = 0;
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        capabilities |= u64::from_str_radix(line(set)?, 16).map_err(io::Error::other)?;
    }
    let environment = std::fs::read(format!("{place}/environ"))?;
    let names = environment.split(|byte| *byte == 0).filter(|pair| !pair.is_empty());
    Ok(Posture {
        uid: std::fs::metadata(&place)?.uid(),
        capabilities,
        no_new_privs: line("NoNewPrivs")? == "1",
        filtered: line("Seccomp")? == "2",
        private_namespaces: private_namespaces(&place)?,
        descriptors: process::descriptors(pid)?,
        environment: names.map(name_of).collect(),
        root: entries(Path::new(&format!("{place}/root/")))?,
    })
}

fn name_of(pair: &[u8]) -> String {
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

fn private_namespaces(place: &str) -> io::Result<Vec<&'static str>> {
    let mut private = Vec::new();
    for name in NAMESPACES {
        let of = |place: &str| std::fs::read_link(format!("{place}/ns/{name}"));
        if of(place)? != of("/proc/self")? {
            private.push(name);
        }
    }
    Ok(private)
}

fn entries(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_shares_all_namespaces_with_itself() {
        let own = posture(std::process::id()).unwrap();
        assert_eq!(own.private_namespaces, Vec::<&str>::new());
        assert!(own.environment.iter().any(|name| name == "PATH"), "{:?}", own.environment);
        assert!(own.descriptors.len() >= 3 && own.root.iter().any(|name| name == "proc"));
        assert_eq!(posture(0).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
