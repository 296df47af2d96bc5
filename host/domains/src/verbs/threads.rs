//! The threads of a hypervisor: which processor of a guest is which, what each has used, and where it may run.

use std::path::PathBuf;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::process;
use crate::reference::DomainRef;

/// What a thread of a hypervisor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThreadKind {
    /// It is this processor of the guest.
    Vcpu(u32),
    /// It does I/O, by its number in the document.
    IoThread(u32),
    /// Everything else: the process itself stands for all of them.
    Emulator,
}

/// A thread of a hypervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GuestThread {
    /// What it does.
    pub kind: ThreadKind,
    /// Its number in this system.
    pub thread: u32,
    /// How long it has run, in nanoseconds.
    pub time_ns: u64,
    /// The processor of this system that it ran on last.
    pub last_cpu: u32,
    /// The processors of this system that it may run on.
    pub cpus: Vec<u32>,
}

impl Host {
    /// The threads of the hypervisor of a domain: its processors by their numbers, those that do I/O, and the emulator. Takes no
    /// lock.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the domain is off; [`Kind::Unsupported`] when its driver does not tell them; what reading says.
    pub async fn threads(&self, wanted: &DomainRef) -> Result<Vec<GuestThread>, Error> {
        let definition = self.find(wanted)?;
        let Some(pid) = process::number(self, &definition)? else {
            let message = format!("no process of '{}' runs here", definition.name);
            return Err(Error::new(Kind::Conflict, "domain.off", message)
                .about("domain", &definition.name)
                .hint_command("start it", command("start", &definition.name)));
        };
        let counters = self.hypervisor_counters(&definition).await?;
        process::blocking(move || found(pid, &counters)).await?
    }

    /// Lets a thread run on these processors of this system only. The emulator stands for all threads that are neither
    /// processors nor I/O.
    ///
    /// # Errors
    /// As for [`Host::threads`]; [`Kind::NotFound`] for a thread that there is not; what the system says.
    pub async fn pin_thread(&self, wanted: &DomainRef, kind: ThreadKind, cpus: &[u32]) -> Result<(), Error> {
        self.owner()?;
        let threads = self.threads(wanted).await?;
        let cpus = cpus.to_vec();
        process::blocking(move || bind(&threads, kind, &cpus)).await?
    }
}

/// Lets one of a guest's threads run on these processors only.
///
/// # Errors
/// As for [`Host::pin_thread`].
pub(super) fn bind(threads: &[GuestThread], kind: ThreadKind, cpus: &[u32]) -> Result<(), Error> {
    let mut set = CpuSet::new();
    for cpu in cpus.iter().filter_map(|cpu| usize::try_from(*cpu).ok()).filter(|cpu| *cpu < CpuSet::MAX_CPU) {
        set.set(cpu);
    }
    for task in tasks_of(threads, kind)? {
        sched_setaffinity(pid(task), &set).map_err(|error| {
            Error::new(Kind::Host, "thread.unpinned", "the system does not let the thread be bound")
                .caused_by(error)
                .hint("at least one of the processors has to be there, and be allowed to this service")
        })?;
    }
    Ok(())
}

/// The threads of the system that one of a guest's stands for: the emulator is all that are nothing else.
///
/// # Errors
/// [`Kind::NotFound`] for a thread that there is not; what reading says.
pub(super) fn tasks_of(threads: &[GuestThread], kind: ThreadKind) -> Result<Vec<u32>, Error> {
    let missing = || Error::new(Kind::NotFound, "thread.not-found", "the guest has no such thread");
    let thread = threads.iter().find(|thread| thread.kind == kind).ok_or_else(missing)?.thread;
    let taken: Vec<u32> = threads.iter().filter(|one| one.kind != kind).map(|one| one.thread).collect();
    Ok(match kind {
        ThreadKind::Emulator => tasks(thread)?.into_iter().filter(|task| !taken.contains(task)).collect(),
        ThreadKind::Vcpu(_) | ThreadKind::IoThread(_) => vec![thread],
    })
}

/// What each processor of a guest has used, under libvirt's names. Nothing of a process that is gone. Blocks on small reads.
pub(super) fn vcpu_counters(process: u32, counters: &[(String, String)]) -> Vec<(String, String)> {
    let threads = found(process, counters).unwrap_or_default();
    let vcpus = threads.iter().filter_map(|thread| match thread.kind {
        ThreadKind::Vcpu(number) => Some((number, thread)),
        ThreadKind::IoThread(_) | ThreadKind::Emulator => None,
    });
    let counted = vcpus.flat_map(|(number, thread)| {
        let delay = waited(process, thread.thread).map(|ns| (format!("vcpu.{number}.delay"), ns.to_string()));
        let time = (format!("vcpu.{number}.time"), thread.time_ns.to_string());
        [(format!("vcpu.{number}.state"), RUNNING.to_owned()), time].into_iter().chain(delay)
    });
    counted.collect()
}

/// The number of a processor that runs, as libvirt counts states.
const RUNNING: &str = "1";

/// How long a thread has waited for a processor of this system, in nanoseconds (the second number of `schedstat`).
fn waited(process: u32, task: u32) -> Option<u64> {
    let told = std::fs::read_to_string(directory(process).join(task.to_string()).join("schedstat")).ok()?;
    told.split_whitespace().nth(1)?.parse().ok()
}

/// Blocks on small reads.
fn found(process: u32, counters: &[(String, String)]) -> Result<Vec<GuestThread>, Error> {
    let outside = numbers(process)?;
    let mut threads = Vec::new();
    for (key, value) in counters {
        let Some(list) = key.strip_suffix(".thread") else { continue };
        let (Some((kind, index)), Ok(inside)) = (list.split_once('.'), value.parse::<u32>()) else {
            continue;
        };
        let number = |index: &str| index.parse::<u32>().ok();
        let kind = match kind {
            "vcpu" => number(index).map(ThreadKind::Vcpu),
            "iothread" => {
                let id = counters.iter().find(|(key, _)| *key == format!("iothread.{index}.id"));
                id.and_then(|(_, id)| number(id)).map(ThreadKind::IoThread)
            }
            _ => None,
        };
        let task = outside.iter().find(|(_, own)| *own == inside).map(|(task, _)| *task);
        threads.extend(kind.zip(task).and_then(|(kind, task)| described(kind, process, task)));
    }
    threads.extend(described(ThreadKind::Emulator, process, process));
    Ok(threads)
}

fn directory(process: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{process}/task"))
}

/// The threads of a process, by their numbers in this system.
fn tasks(process: u32) -> Result<Vec<u32>, Error> {
    let unread =
        |error| Error::new(Kind::Host, "thread.unread", "the threads cannot be read").caused_by(error);
    let entries = std::fs::read_dir(directory(process)).map_err(unread)?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// The threads of a process: their numbers in this system, and as the process itself sees them.
fn numbers(process: u32) -> Result<Vec<(u32, u32)>, Error> {
    let own = |task: &u32| {
        let status =
            std::fs::read_to_string(directory(process).join(task.to_string()).join("status")).ok()?;
        Some((*task, innermost(&status)?))
    };
    Ok(tasks(process)?.iter().filter_map(own).collect())
}

/// The number that a thread has in the innermost of the namespaces that it is in (proc(5)).
fn innermost(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().last()?.parse().ok()
}

fn described(kind: ThreadKind, process: u32, task: u32) -> Option<GuestThread> {
    let stat = std::fs::read_to_string(directory(process).join(task.to_string()).join("stat")).ok()?;
    let (time_ns, last_cpu) = used(&stat, rustix::param::clock_ticks_per_second())?;
    let set = sched_getaffinity(pid(task)).ok()?;
    let cpus = (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).filter_map(|cpu| u32::try_from(cpu).ok());
    Some(GuestThread { kind, thread: task, time_ns, last_cpu, cpus: cpus.collect() })
}

/// How long a thread has run, and where it ran last (proc(5)): fields behind the name, which may have anything in it.
fn used(stat: &str, ticks_per_second: u64) -> Option<(u64, u32)> {
    let (_, rest) = stat.rsplit_once(')')?;
    // The first of these is field 3.
    let field = |number: usize| rest.split_whitespace().nth(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)?.saturating_add(field(15)?);
    Some((ticks.saturating_mul(1_000_000_000 / ticks_per_second.max(1)), u32::try_from(field(39)?).ok()?))
}

fn pid(task: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(task).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_is_known_by_its_innermost_number() {
        assert_eq!(innermost("Name:\tx\nNSpid:\t812\t7\t2\n"), Some(2));
        assert_eq!(innermost("NSpid:\t812\n"), Some(812));
        assert_eq!(innermost("Pid: 3"), None);
    }

    #[test]
    fn own_threads_are_found_by_what_a_hypervisor_tells() {
        let own = std::process::id();
        let inside = numbers(own).unwrap().into_iter().find(|(task, _)| *task == own).unwrap().1;
        let counters =
            [("vcpu.0.thread".to_owned(), inside.to_string()), ("vcpu.1.thread".to_owned(), "x".to_owned())];
        let threads = found(own, &counters).unwrap();
        let kinds: Vec<_> = threads.iter().map(|thread| thread.kind).collect();
        assert_eq!(kinds, [ThreadKind::Vcpu(0), ThreadKind::Emulator]);
        assert!(!threads[0].cpus.is_empty() && threads[0].thread == own);
    }

    #[test]
    fn time_is_counted_behind_any_name() {
        let fields: Vec<_> = (4..=52).map(|number| number.to_string()).collect();
        let stat = format!("17 (CPU 0) K) S {}", fields.join(" "));
        assert_eq!(used(&stat, 100), Some(((14 + 15) * 10_000_000, 39)));
        assert_eq!(used("17 (x) S", 100), None);
    }
}
