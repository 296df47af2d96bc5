//! Which controllers this host has, in which version, and where they are mounted (cgroups(7)).

use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, access};

/// The directory at the top of each hierarchy that all groups of guests are in.
pub(super) const PARENT: &str = "hostler";

/// What a group can limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    /// Time on processors.
    Cpu,
    /// Memory and swap.
    Memory,
    /// Use of block devices.
    Block,
    /// Processors and nodes that may be used at all.
    CpuSet,
}

impl Controller {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::Block, Self::CpuSet];

    /// The kernel's name in this version.
    #[must_use]
    pub fn name(self, version: Version) -> &'static str {
        match (self, version) {
            (Self::Cpu, _) => "cpu",
            (Self::Memory, _) => "memory",
            (Self::Block, Version::One) => "blkio",
            (Self::Block, Version::Two) => "io",
            (Self::CpuSet, _) => "cpuset",
        }
    }
}

/// The version of a hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Each controller has a hierarchy to itself, or shares one with others.
    One,
    /// All controllers share one.
    Two,
}

/// A mounted hierarchy that has controllers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    pub(super) controllers: Vec<Controller>,
    /// Where it is mounted.
    pub(super) top: PathBuf,
    /// The group of this process.
    pub(super) own: PathBuf,
}

/// The hierarchies of this host that guests can be limited by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout(pub(super) Vec<Hierarchy>);

impl Layout {
    /// Reads it.
    ///
    /// # Errors
    /// What reading `/proc` says.
    pub fn of_this_host() -> io::Result<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        let own = std::fs::read_to_string("/proc/self/cgroup")?;
        // A hierarchy whose file cannot be read has nothing to offer.
        let controllers =
            |top: &Path| std::fs::read_to_string(top.join("cgroup.controllers")).unwrap_or_default();
        Ok(Self::parse(&mounts, &own, controllers))
    }

    fn parse(mounts: &str, own: &str, controllers: impl Fn(&Path) -> String) -> Self {
        let mut found: Vec<Hierarchy> = Vec::new();
        for mount in mounts.lines().filter_map(Mount::parse) {
            let named = match mount.version {
                Version::One => mount.options.replace(',', " "),
                Version::Two => controllers(&mount.top),
            };
            let named: Vec<_> = named.split_whitespace().collect();
            let has = |controller: &Controller| {
                let taken = found.iter().any(|other| other.controllers.contains(controller));
                named.contains(&controller.name(mount.version)) && !taken
            };
            let controllers: Vec<_> = Controller::ALL.into_iter().filter(has).collect();
            if controllers.is_empty() {
                continue;
            }
            let own = mount.directory(group_in(own, mount.version, &controllers).unwrap_or("/"));
            found.push(Hierarchy { version: mount.version, controllers, top: mount.top, own });
        }
        Self(found)
    }

    /// The first hierarchy in which this user can make no groups.
    #[must_use]
    pub fn closed(&self) -> Option<&Path> {
        let closed = |top: &&Path| access(*top, Access::WRITE_OK | Access::EXEC_OK).is_err();
        self.0.iter().map(|hierarchy| hierarchy.top.as_path()).find(closed)
    }

    /// Whether guests can be limited by it here.
    pub(super) fn has(&self, controller: Controller) -> bool {
        self.0.iter().any(|hierarchy| hierarchy.controllers.contains(&controller))
    }

    /// The shares of a group of which nothing is said.
    #[must_use]
    pub fn usual_shares(&self) -> u64 {
        let cpu = self.0.iter().find(|hierarchy| hierarchy.controllers.contains(&Controller::Cpu));
        match cpu.map(|hierarchy| hierarchy.version) {
            Some(Version::One) => 1_024,
            Some(Version::Two) | None => 100,
        }
    }

    /// In words: which controllers there are, and of which version.
    #[must_use]
    pub fn describe(&self) -> String {
        let words = self.0.iter().map(|hierarchy| {
            let version = match hierarchy.version {
                Version::One => "v1",
                Version::Two => "v2",
            };
            let names: Vec<_> =
                hierarchy.controllers.iter().map(|controller| controller.name(hierarchy.version)).collect();
            format!("{} ({version})", names.join(", "))
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

/// The path of the group in a `/proc/PID/cgroup`: the line of version 2 has no controllers.
pub(super) fn group_in<'a>(text: &'a str, version: Version, controllers: &[Controller]) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (names, path) = rest.split_once(':')?;
        let is_it = match version {
            Version::Two => names.is_empty(),
            Version::One => controllers
                .iter()
                .any(|controller| names.split(',').any(|name| name == controller.name(version))),
        };
        is_it.then_some(path)
    })
}

/// A line of `/proc/self/mountinfo` (proc(5)) about a hierarchy.
struct Mount<'a> {
    version: Version,
    /// Which directory of the hierarchy it shows.
    root: &'a str,
    top: PathBuf,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let version = match kind.next()? {
            "cgroup" => Version::One,
            "cgroup2" => Version::Two,
            _ => return None,
        };
        let mut place = place.split(' ').skip(3);
        let (root, top) = (place.next()?, place.next()?);
        // A mount point with a blank in it is written with a backslash; nobody mounts these there.
        let plain = !top.contains('\\');
        plain.then(|| Self { version, root, top: PathBuf::from(top), options: kind.nth(1).unwrap_or("") })
    }

    /// Where a group of this hierarchy is seen.
    fn directory(&self, group: &str) -> PathBuf {
        let within = Path::new(group).strip_prefix(self.root).unwrap_or(Path::new(""));
        // A group outside of what is mounted begins with '..'.
        let plain = within.components().all(|part| matches!(part, Component::Normal(_)));
        if plain { self.top.join(within) } else { self.top.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "23 1 254:0 / / rw - ext4 /dev/vda rw\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        36 31 0:33 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw shared:3 - cgroup2 cgroup2 rw\n";

    #[test]
    fn both_versions_are_found_side_by_side() {
        let own = "5:memory:/a/b\n1:cpu,cpuacct:/\n0::/x\n";
        let layout = Layout::parse(HYBRID, own, |_| "hugetlb io cpu".to_owned());
        let tops: Vec<_> = layout.0.iter().map(|one| (one.version, one.controllers.clone())).collect();
        assert_eq!(
            tops,
            [
                (Version::One, vec![Controller::Cpu]),
                (Version::One, vec![Controller::Memory]),
                // The one that version 1 has is not taken a second time.
                (Version::Two, vec![Controller::Block]),
            ]
        );
        assert_eq!(layout.0[0].own, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(layout.0[1].own, Path::new("/sys/fs/cgroup/memory/a/b"));
        assert_eq!(layout.0[2].own, Path::new("/sys/fs/cgroup/unified/x"));
        assert_eq!(layout.describe(), "cpu (v1), memory (v1), io (v2)");
    }

    #[test]
    fn version_2_alone_has_all_in_one_place() {
        let mounts = "30 23 0:26 /docker/7 /sys/fs/cgroup rw - cgroup2 cgroup rw,nsdelegate\n";
        let all = |_: &Path| "cpuset cpu io memory pids".to_owned();
        let layout = Layout::parse(mounts, "0::/docker/7/in\n", all);
        assert_eq!(layout.0.len(), 1);
        assert_eq!(layout.0[0].controllers, Controller::ALL);
        // What is mounted is a part of the hierarchy.
        assert_eq!(layout.0[0].own, Path::new("/sys/fs/cgroup/in"));
        assert_eq!(Layout::parse(mounts, "0::/other\n", all).0[0].own, Path::new("/sys/fs/cgroup"));
        assert_eq!(Layout::parse(mounts, "0::/docker/7/../x\n", all).0[0].own, Path::new("/sys/fs/cgroup"));
    }

    #[test]
    fn host_without_controllers_has_none() {
        assert_eq!(Layout::parse("", "", |_| String::new()), Layout::default());
        assert_eq!(
            Layout::parse("x y - cgroup\n1 2 3 4 - cgroup2\n", "", |_| "cpu".into()),
            Layout::default()
        );
    }
}
