//! The group of one guest: made, found, changed, read, removed.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use hostler_domain::{Bytes, CpuUser, Limit, MemoryLimit};
use hostler_state::RunDir;
use rustix::fs::stat;

use super::layout::{Controller, Hierarchy, Layout, PARENT, Version, group_in};
use super::seat::{Seat, remove};
use super::setting::{self, Setting, Value};
use super::{GroupError, GroupErrorKind};

/// Most groups that an earlier run of a guest can have left behind.
const LEFT_MAX: u32 = 64;

/// A group in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) version: Version,
    pub(super) controllers: Vec<Controller>,
    pub(super) directory: PathBuf,
    home: PathBuf,
}

/// The group of one run of a guest, in all hierarchies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub(super) members: Vec<Member>,
    /// The controllers that it does not have, and why not.
    missing: Vec<(Controller, String)>,
}

impl Group {
    /// Makes the group of a run and holds it to those limits of its document that are of the guest as a whole. A controller that
    /// cannot be used is missing only when a limit needs it.
    ///
    /// Without a limit of processors the guest has no group there: its threads take turns with all others of the host, and not
    /// those of a group within those of another, after which a monitor that is asked something would wait for many turns
    /// where there are more threads than processors. See [`Group::with_cpu`].
    ///
    /// # Errors
    /// [`GroupErrorKind::Unavailable`] for such a limit; [`GroupErrorKind::Refused`], [`GroupErrorKind::Device`]. Nothing is
    /// left then.
    pub fn make(layout: &Layout, run: &RunDir, limits: &[Limit]) -> Result<Self, GroupError> {
        let mark = mark(run).map_err(|error| {
            GroupError::new(GroupErrorKind::Io, "the run directory cannot be looked at").caused_by(error)
        })?;
        let (mut members, mut missing) = (Vec::new(), Vec::new());
        let wants_cpu = limits.iter().any(Limit::is_of_cpu);
        for hierarchy in &layout.0 {
            let parent = hierarchy.top.join(PARENT);
            let mut controllers = hierarchy.controllers.clone();
            controllers.retain(|controller| wants_cpu || *controller != Controller::Cpu);
            if controllers.is_empty() {
                continue;
            }
            let made = prepare(&hierarchy.top, &parent, hierarchy.version, &mut controllers, &mut missing)
                .and_then(|()| make_in(&parent, &format!("{}.{mark}", run.domain())));
            match made {
                Ok(directory) => {
                    if hierarchy.version == Version::One && controllers.contains(&Controller::CpuSet) {
                        fill(&parent, &directory).map_err(|error| {
                            GroupError::new(GroupErrorKind::Io, "a new group has no processors")
                                .caused_by(error)
                        })?;
                    }
                    let (version, home) = (hierarchy.version, hierarchy.own.clone());
                    members.push(Member { version, controllers, directory, home });
                }
                Err(error) => missing.extend(controllers.into_iter().map(|one| (one, error.to_string()))),
            }
        }
        let group = Self { members, missing };
        let whole: Vec<_> = limits.iter().filter(|limit| !limit.is_of_threads()).cloned().collect();
        let held = limits.iter().try_for_each(|limit| group.member(setting::controller(limit)).map(drop));
        held.and_then(|()| group.set(&whole)).inspect_err(|_| {
            // What stays is swept by the next owner, as after a kill.
            group.remove().ok();
        })?;
        Ok(group)
    }

    /// The group that a process is in.
    ///
    /// # Errors
    /// [`GroupErrorKind::NoGroup`] when it is in none of ours.
    pub fn of_process(layout: &Layout, pid: u32) -> Result<Self, GroupError> {
        let none = || GroupError::new(GroupErrorKind::NoGroup, "the guest is in no control group of its own");
        let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup"))
            .map_err(|error| none().caused_by(error))?;
        let members = layout.0.iter().filter_map(|hierarchy| {
            let path = group_in(&text, hierarchy.version, &hierarchy.controllers)?;
            // Below `hostler`; a thread may be in a group within it.
            let (_, below) = path.split_once(&format!("/{PARENT}/"))?;
            let name = below.split('/').next().filter(|name| !name.is_empty() && *name != "..")?;
            let directory = hierarchy.top.join(PARENT).join(name);
            let controllers = hierarchy.controllers.clone();
            Some(Member { version: hierarchy.version, controllers, directory, home: hierarchy.own.clone() })
        });
        let members: Vec<_> = members.collect();
        if members.is_empty() { Err(none()) } else { Ok(Self { members, missing: Vec::new() }) }
    }

    /// The group of a process that runs, with one for limits of processors, where all its threads go if they are not there yet.
    ///
    /// # Errors
    /// [`GroupErrorKind::NoGroup`]; [`GroupErrorKind::Unavailable`] where there can be none.
    pub fn with_cpu(layout: &Layout, pid: u32) -> Result<Self, GroupError> {
        let group = Self::of_process(layout, pid)?;
        let has_cpu = |hierarchy: &&Hierarchy| hierarchy.controllers.contains(&Controller::Cpu);
        let Some(hierarchy) = layout.0.iter().find(has_cpu) else { return Ok(group) };
        let name = group.members.first().and_then(|member| member.directory.file_name());
        let Some(name) = name.filter(|_| !group.is_of_cpu()) else { return Ok(group) };
        let parent = hierarchy.top.join(PARENT);
        let moved = match hierarchy.version {
            Version::Two => {
                pass_on(&hierarchy.top, Controller::Cpu).and_then(|()| pass_on(&parent, Controller::Cpu))
            }
            Version::One => made(std::fs::create_dir(&parent))
                .and_then(|()| made(std::fs::create_dir(parent.join(name))))
                .and_then(|()| write_text(&parent.join(name).join("cgroup.procs"), &pid.to_string())),
        };
        moved.map_err(|error| {
            let message = "the guest gets no control group for its processors";
            GroupError::new(GroupErrorKind::Unavailable, message).caused_by(error)
        })?;
        Self::of_process(layout, pid)
    }

    /// Whether it has limits of processors: in version 2 a group that may have them is there before.
    fn is_of_cpu(&self) -> bool {
        let file = |member: &Member| match member.version {
            Version::One => "cpu.shares",
            Version::Two => "cpu.weight",
        };
        self.member(Controller::Cpu).is_ok_and(|member| member.directory.join(file(member)).exists())
    }

    pub(super) fn member(&self, controller: Controller) -> Result<&Member, GroupError> {
        self.members.iter().find(|member| member.controllers.contains(&controller)).ok_or_else(|| {
            let name = controller.name(Version::One);
            let why = self.missing.iter().find(|(missing, _)| *missing == controller);
            let why = why.map_or_else(|| "this host has none".to_owned(), |(_, why)| why.clone());
            let message = format!("the controller '{name}', which a limit needs, cannot be used: {why}");
            GroupError::new(GroupErrorKind::Unavailable, message)
        })
    }

    /// Sets limits of the guest as a whole: all, or none.
    ///
    /// # Errors
    /// [`GroupErrorKind::Unavailable`], [`GroupErrorKind::Refused`], [`GroupErrorKind::Device`]; what was set before is undone.
    pub fn set(&self, limits: &[Limit]) -> Result<(), GroupError> {
        let before = self.read();
        let mut done: Vec<&Limit> = Vec::new();
        let version = self.member(Controller::Memory).map_or(Version::One, |member| member.version);
        for limit in in_order(limits, &before, version) {
            if let Err(error) = self.set_one(limit) {
                for done in done.into_iter().rev() {
                    let old = before.iter().find(|old| old.is_same_as(done));
                    // It was so before, so the kernel takes it.
                    old.map(|old| self.set_one(old)).transpose().ok();
                }
                return Err(error);
            }
            done.push(limit);
        }
        Ok(())
    }

    fn set_one(&self, limit: &Limit) -> Result<(), GroupError> {
        let member = self.member(setting::controller(limit))?;
        let setting = setting::setting(limit, member.version)?;
        write(&member.directory, &setting)
    }

    /// The limits of the guest as a whole, as the kernel has them. A limit that this host cannot have is not among them, nor
    /// are those of devices.
    #[must_use]
    pub fn read(&self) -> Vec<Limit> {
        let read = |limit: &Limit| {
            let member = self.member(setting::controller(limit)).ok()?;
            read_in(&member.directory, member.version, limit)
        };
        let mut limits: Vec<_> = setting::of_groups().iter().filter_map(read).collect();
        self.add_memory_to_swap(&mut limits);
        limits
    }

    /// The same with what the kernel does by itself of processors, where the guest has no group for them.
    #[must_use]
    pub fn read_all(&self, layout: &Layout) -> Vec<Limit> {
        let mut limits = self.read();
        if layout.has(Controller::Cpu) && !self.is_of_cpu() {
            let [period, quota] = setting::of_threads(CpuUser::Guest);
            limits.splice(0..0, [Limit::CpuShares(layout.usual_shares()), period, quota]);
        }
        limits
    }

    /// Version 2 counts swap alone.
    fn add_memory_to_swap(&self, limits: &mut [Limit]) {
        let two = self.member(Controller::Memory).is_ok_and(|member| member.version == Version::Two);
        let hard = limits.iter().find_map(|limit| match limit {
            Limit::Memory(MemoryLimit::Hard, size) => *size,
            _ => None,
        });
        for limit in limits.iter_mut().filter(|_| two) {
            if let Limit::Memory(MemoryLimit::HardWithSwap, size) = limit {
                *size = size.zip(hard).map(|(swap, hard)| Bytes(swap.0.saturating_add(hard.0)));
            }
        }
    }

    /// The directories in which it may have groups of this run later, which go with the others.
    pub(crate) fn later(&self, layout: &Layout) -> Vec<PathBuf> {
        let Some(name) = self.members.first().and_then(|member| member.directory.file_name()) else {
            return Vec::new();
        };
        let all = layout.0.iter().map(|hierarchy| hierarchy.top.join(PARENT).join(name));
        all.filter(|directory| self.members.iter().all(|member| member.directory != *directory)).collect()
    }

    /// Where a shim has to go.
    pub(crate) fn seats(&self) -> Vec<Seat> {
        let seat = |member: &Member| {
            let file = match member.version {
                Version::One => "tasks",
                Version::Two => "cgroup.procs",
            };
            Seat { group: member.directory.clone(), home: member.home.clone(), file: file.to_owned() }
        };
        self.members.iter().map(seat).collect()
    }

    /// Removes the group, in which nothing runs any more.
    ///
    /// # Errors
    /// What removing says: [`io::ErrorKind::ResourceBusy`] while something runs.
    pub fn remove(&self) -> io::Result<()> {
        let removed: Vec<_> = self.members.iter().map(|member| remove(&member.directory)).collect();
        removed.into_iter().collect()
    }
}

/// Limits in the order in which the kernel takes them: a period before its quota, and, in version 1, memory never above memory
/// with swap; version 2 counts swap from where memory ends.
fn in_order<'a>(limits: &'a [Limit], before: &[Limit], memory: Version) -> Vec<&'a Limit> {
    let size_of = |limits: &[Limit], wanted: MemoryLimit| {
        limits.iter().find_map(|limit| match limit {
            Limit::Memory(kind, size) if *kind == wanted => Some(size.map_or(u64::MAX, |size| size.0)),
            _ => None,
        })
    };
    let had = size_of(before, MemoryLimit::HardWithSwap).unwrap_or(u64::MAX);
    let raised =
        memory == Version::One && size_of(limits, MemoryLimit::HardWithSwap).is_some_and(|size| size >= had);
    let mut ordered: Vec<_> = limits.iter().collect();
    ordered.sort_by_key(|limit| match limit {
        Limit::Memory(MemoryLimit::HardWithSwap, _) if raised => 0,
        Limit::Memory(MemoryLimit::HardWithSwap, _) | Limit::CpuQuota(..) => 2,
        _ => 1,
    });
    ordered
}

/// What tells the groups of a state directory from those of others.
fn mark(run: &RunDir) -> io::Result<String> {
    let directory = run.path().parent().unwrap_or_else(|| run.path());
    let found = stat(directory)?;
    Ok(format!("{:x}-{:x}", found.st_dev, found.st_ino))
}

/// Makes the group that all groups of guests are in, with its controllers in order. Those of version 2 that cannot be had go
/// to `missing`.
fn prepare(
    top: &Path,
    parent: &Path,
    version: Version,
    controllers: &mut Vec<Controller>,
    missing: &mut Vec<(Controller, String)>,
) -> io::Result<()> {
    made(std::fs::create_dir(parent))?;
    if version == Version::One {
        return if controllers.contains(&Controller::CpuSet) { fill(top, parent) } else { Ok(()) };
    }
    controllers.retain(|controller| {
        let passed = pass_on(top, *controller).and_then(|()| pass_on(parent, *controller));
        passed.inspect_err(|error| missing.push((*controller, error.to_string()))).is_ok()
    });
    Ok(())
}

/// Has a group of version 2 let those in it use a controller.
pub(super) fn pass_on(group: &Path, controller: Controller) -> io::Result<()> {
    let (file, name) = (group.join("cgroup.subtree_control"), controller.name(Version::Two));
    if std::fs::read_to_string(&file)?.split_whitespace().any(|passed| passed == name) {
        return Ok(());
    }
    write_text(&file, &format!("+{name}"))
}

/// A new group of version 1 may use no processor and no node; until it does, nothing runs in it.
fn fill(from: &Path, into: &Path) -> io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if std::fs::read_to_string(into.join(file))?.trim().is_empty() {
            write_text(&into.join(file), std::fs::read_to_string(from.join(file))?.trim())?;
        }
    }
    Ok(())
}

fn made(made: io::Result<()>) -> io::Result<()> {
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// A new directory. One of an earlier run that is not gone yet keeps its name.
fn make_in(parent: &Path, name: &str) -> io::Result<PathBuf> {
    for number in 1..=LEFT_MAX {
        let directory = parent.join(format!("{name}.{number}"));
        match std::fs::create_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // An empty one would have other limits.
                if remove(&directory).and_then(|()| std::fs::create_dir(&directory)).is_ok() {
                    return Ok(directory);
                }
            }
            other => return other.map(|()| directory),
        }
    }
    Err(io::Error::other("groups of earlier runs of this guest do not go"))
}

/// Writes a setting to a group.
pub(super) fn write(group: &Path, setting: &Setting) -> Result<(), GroupError> {
    let file = setting.files.iter().find(|file| group.join(file).exists()).or(setting.files.first());
    let file = file.copied().unwrap_or_default();
    let path = group.join(file);
    let failed = |text: &str, error: io::Error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => GroupErrorKind::Unavailable,
            _ => GroupErrorKind::Refused,
        };
        GroupError::new(kind, format!("the limit '{file}' cannot be '{text}'")).caused_by(error)
    };
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| failed("", error));
    let text = match &setting.value {
        Value::Text(text) => text.clone(),
        Value::First(first) => match read(&path)?.split_whitespace().nth(1) {
            Some(second) => format!("{first} {second}"),
            None => first.clone(),
        },
        Value::Second(second) => {
            format!("{} {second}", read(&path)?.split_whitespace().next().unwrap_or("max"))
        }
        Value::BeyondMemory(None) => "max".to_owned(),
        Value::BeyondMemory(Some(both)) => match read(&group.join("memory.max"))?.trim().parse::<u64>() {
            Ok(memory) => both.saturating_sub(memory).to_string(),
            Err(_) => {
                let message = "memory and swap together can be limited only where memory is too";
                return Err(GroupError::new(GroupErrorKind::Refused, message));
            }
        },
    };
    write_text(&path, &text).map_err(|error| failed(&text, error))
}

fn write_text(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

/// A limit as a group has it; nothing where there is no such file.
pub(super) fn read_in(group: &Path, version: Version, limit: &Limit) -> Option<Limit> {
    let setting = setting::setting(limit, version).ok()?;
    let text = setting.files.iter().find_map(|file| std::fs::read_to_string(group.join(file)).ok())?;
    setting::read(limit, &text)
}

/// Removes the groups that runs of this guest left behind, for they ended with nobody there to see it. One in which something
/// runs stays.
///
/// # Errors
/// What reading says.
pub fn sweep(layout: &Layout, run: &RunDir) -> io::Result<()> {
    let own = format!("{}.{}.", run.domain(), mark(run)?);
    for hierarchy in &layout.0 {
        let entries = match std::fs::read_dir(hierarchy.top.join(PARENT)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(&own)) {
                // The kernel keeps one in which something runs.
                remove(&entry.path()).ok();
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use hostler_state::{StateDir, Uuid};

    use super::super::threads::GroupThread;
    use super::*;

    /// Without a hypervisor, so that it runs wherever there are control groups: the kernel is the judge.
    #[test]
    #[expect(clippy::print_stderr, reason = "a test says why it skips")]
    fn process_is_held_to_what_its_group_is_held_to() {
        let layout = Layout::of_this_host().unwrap();
        let has = |name: &str| layout.describe().contains(name);
        if !rustix::process::geteuid().is_root() || !has("cpu") || !has("memory") {
            eprintln!(
                "skipped: control groups of cpu and memory are for root; there are: {}",
                layout.describe()
            );
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let owner = StateDir::open_owner(&root.path().join("state"), Duration::ZERO).unwrap();
        let run = owner.create_run_dir(Uuid::new_v4()).unwrap();
        let size = |kind, mib: u64| Limit::Memory(kind, Some(Bytes(mib << 20)));
        let limits = [
            Limit::CpuShares(300),
            Limit::CpuPeriod(CpuUser::Guest, 50_000),
            Limit::CpuQuota(CpuUser::Guest, Some(40_000)),
            size(MemoryLimit::Hard, 64),
            size(MemoryLimit::Soft, 32),
        ];
        let group = Group::make(&layout, &run, &limits).unwrap();
        let mut held = Command::new("sleep").arg("1000").spawn().unwrap();
        for member in &group.members {
            std::fs::write(member.directory.join("cgroup.procs"), held.id().to_string()).unwrap();
        }
        let read = group.read();
        assert!(limits.iter().all(|limit| read.contains(limit)), "{read:?}");
        assert_eq!(Group::of_process(&layout, held.id()).unwrap().read(), read);
        let both = size(MemoryLimit::HardWithSwap, 128);
        group
            .set(&[both.clone(), size(MemoryLimit::Hard, 100), Limit::CpuQuota(CpuUser::Guest, None)])
            .unwrap();
        let now = group.read();
        assert!(now.contains(&Limit::CpuQuota(CpuUser::Guest, None)) && now.contains(&both), "{now:?}");
        // The period stays where both are one line of one file.
        assert!(now.contains(&Limit::CpuPeriod(CpuUser::Guest, 50_000)), "{now:?}");
        assert!(group.set(&[Limit::CpuShares(9), Limit::CpuPeriod(CpuUser::Guest, 1)]).is_err());
        assert_eq!(group.read(), now);
        let quota = Limit::CpuQuota(CpuUser::Emulator, Some(9_000));
        let threads = GroupThread { user: CpuUser::Emulator, number: 0, tasks: vec![held.id()] };
        group.limit_threads(&[threads], std::slice::from_ref(&quota)).unwrap();
        assert!(group.read_threads(CpuUser::Emulator, 0).contains(&quota));
        assert_eq!(Group::of_process(&layout, held.id()).unwrap().read(), now);
        assert!(group.remove().is_err(), "something is in it");
        held.kill().unwrap();
        held.wait().unwrap();
        sweep(&layout, &run).unwrap();
        assert_eq!(group.read(), []);
    }

    #[test]
    fn memory_is_never_above_memory_with_swap() {
        let memory = |kind, size| Limit::Memory(kind, Some(Bytes(size)));
        let both = |size| memory(MemoryLimit::HardWithSwap, size);
        let wanted = [memory(MemoryLimit::Hard, 5), both(9)];
        let one = |before: &[Limit]| in_order(&wanted, before, Version::One);
        assert_eq!(one(&[both(4)]), [&wanted[1], &wanted[0]]);
        assert_eq!(one(&[both(90)]), [&wanted[0], &wanted[1]]);
        assert_eq!(one(&[]), [&wanted[0], &wanted[1]]);
        assert_eq!(in_order(&wanted, &[both(4)], Version::Two), [&wanted[0], &wanted[1]]);
        let times = [Limit::CpuQuota(CpuUser::Guest, Some(9)), Limit::CpuPeriod(CpuUser::Guest, 9)];
        assert_eq!(in_order(&times, &[], Version::One), [&times[1], &times[0]]);
    }
}
