//! Groups of single threads within a guest's group: each processor, each I/O thread, and everything else.

use std::io;
use std::path::Path;

use hostler_domain::{CpuUser, Limit};

use super::group::{Group, pass_on, read_in, write};
use super::layout::{Controller, Version};
use super::{GroupError, GroupErrorKind, setting};

/// A thread of a hypervisor, or several that are limited together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupThread {
    /// What it is.
    pub user: CpuUser,
    /// Its number in the document; 0 for everything else.
    pub number: u32,
    /// The threads, by their numbers in this system.
    pub tasks: Vec<u32>,
}

impl GroupThread {
    /// The name of its group, as libvirt calls them.
    fn name(&self) -> String {
        match self.user {
            CpuUser::Vcpu => format!("vcpu{}", self.number),
            CpuUser::IoThread => format!("iothread{}", self.number),
            CpuUser::Emulator | CpuUser::Guest => "emulator".to_owned(),
        }
    }
}

impl Group {
    /// Holds threads to the limits of their kind: each gets a group of its own where there is a limit.
    ///
    /// # Errors
    /// As for [`Group::set`]. What was done before stays.
    pub fn limit_threads(&self, threads: &[GroupThread], limits: &[Limit]) -> Result<(), GroupError> {
        for thread in threads {
            let of_kind = |limit: &&Limit| matches!(limit, Limit::CpuPeriod(user, _) | Limit::CpuQuota(user, _) if *user == thread.user);
            // Periods come first: a quota is a part of one.
            let (periods, quotas): (Vec<_>, Vec<_>) =
                limits.iter().filter(of_kind).partition(|limit| matches!(limit, Limit::CpuPeriod(..)));
            if !(periods.is_empty() && quotas.is_empty()) {
                let all: Vec<_> = periods.into_iter().chain(quotas).collect();
                self.limit_thread(thread, &all)?;
            }
        }
        Ok(())
    }

    fn limit_thread(&self, thread: &GroupThread, limits: &[&Limit]) -> Result<(), GroupError> {
        let member = self.member(Controller::Cpu)?;
        let (group, version) = (member.directory.join(thread.name()), member.version);
        let failed = |error: io::Error| {
            let message = format!("the threads of '{}' get no group of their own", thread.name());
            GroupError::new(GroupErrorKind::Io, message).caused_by(error)
        };
        make(&member.directory, &group, version).map_err(failed)?;
        for limit in limits {
            write(&group, &setting::setting(limit, version)?)?;
        }
        let file = group.join(if version == Version::One { "tasks" } else { "cgroup.threads" });
        for task in &thread.tasks {
            match std::fs::write(&file, task.to_string()) {
                // It has ended since it was looked for.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {}
                other => other.map_err(failed)?,
            }
        }
        Ok(())
    }

    /// The limits of threads of a kind, by the first of them; what the kernel does by itself where they have no group.
    #[must_use]
    pub fn read_threads(&self, user: CpuUser, number: u32) -> Vec<Limit> {
        let name = GroupThread { user, number, tasks: Vec::new() }.name();
        let member = self.member(Controller::Cpu).ok();
        let read = |limit: &Limit| {
            let own = member.and_then(|member| read_in(&member.directory.join(&name), member.version, limit));
            own.unwrap_or_else(|| limit.clone())
        };
        setting::of_threads(user).iter().map(read).collect()
    }
}

/// Makes a group for threads within that of their process.
fn make(of_process: &Path, group: &Path, version: Version) -> io::Result<()> {
    match std::fs::create_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        other => other?,
    }
    if version == Version::One {
        return Ok(());
    }
    // Only so may it have threads of a process that is in the group above (cgroups(7), "thread mode").
    std::fs::write(group.join("cgroup.type"), "threaded")?;
    pass_on(of_process, Controller::Cpu)
}
