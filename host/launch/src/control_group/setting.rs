//! What a limit is in the files of a group: pure, but for what is asked of the file system about a device.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Component, Path};

use hostler_domain::{Bytes, CpuUser, DeviceLimit, Limit, MemoryLimit};
use rustix::fs::{major, minor};

use super::layout::{Controller, Version};
use super::{GroupError, GroupErrorKind};

/// What is written to a file of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) controller: Controller,
    /// The file; of several the first that is there.
    pub(super) files: &'static [&'static str],
    pub(super) value: Value,
}

/// The text that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    /// The first word of the file, which keeps the second.
    First(String),
    /// The second word of the file, which keeps the first.
    Second(String),
    /// Swap alone, in bytes: that of both without that of memory, which the file beside it says.
    BeyondMemory(Option<u64>),
}

/// Which controller a limit needs.
#[must_use]
pub(super) fn controller(limit: &Limit) -> Controller {
    match limit {
        Limit::CpuShares(_) | Limit::CpuPeriod(..) | Limit::CpuQuota(..) => Controller::Cpu,
        Limit::Memory(..) => Controller::Memory,
        Limit::BlockWeight(_) | Limit::BlockDevice(..) => Controller::Block,
        Limit::Nodes(_) => Controller::CpuSet,
    }
}

/// The file and the text of a limit.
///
/// # Errors
/// [`GroupErrorKind::Device`] for a path that is no block device.
pub(super) fn setting(limit: &Limit, version: Version) -> Result<Setting, GroupError> {
    use Version::{One, Two};
    let (files, value): (&'static [&'static str], Value) = match (limit, version) {
        (Limit::CpuShares(shares), One) => (&["cpu.shares"], Value::Text(shares.to_string())),
        (Limit::CpuShares(shares), Two) => (&["cpu.weight"], Value::Text(shares.to_string())),
        (Limit::CpuPeriod(_, period), One) => (&["cpu.cfs_period_us"], Value::Text(period.to_string())),
        (Limit::CpuPeriod(_, period), Two) => (&["cpu.max"], Value::Second(period.to_string())),
        (Limit::CpuQuota(_, quota), One) => (&["cpu.cfs_quota_us"], Value::Text(or(*quota, "-1"))),
        (Limit::CpuQuota(_, quota), Two) => (&["cpu.max"], Value::First(or(*quota, "max"))),
        (Limit::Memory(kind, size), _) => memory(*kind, size.map(|size| size.0), version),
        (Limit::BlockWeight(weight), One) => {
            (&["blkio.bfq.weight", "blkio.weight"], Value::Text(weight.to_string()))
        }
        (Limit::BlockWeight(weight), Two) => {
            (&["io.bfq.weight", "io.weight"], Value::Text(format!("default {weight}")))
        }
        (Limit::BlockDevice(kind, path, value), _) => {
            let (files, text) = device(*kind, *value, version);
            (files, Value::Text(format!("{} {text}", number(path)?)))
        }
        (Limit::Nodes(nodes), _) => (&["cpuset.mems"], Value::Text(nodes.clone())),
    };
    Ok(Setting { controller: controller(limit), files, value })
}

fn or(number: Option<u64>, none: &str) -> String {
    number.map_or_else(|| none.to_owned(), |number| number.to_string())
}

fn memory(kind: MemoryLimit, size: Option<u64>, version: Version) -> (&'static [&'static str], Value) {
    use MemoryLimit::{Hard, HardWithSwap, Soft};
    match (kind, version) {
        (Hard, Version::One) => (&["memory.limit_in_bytes"], Value::Text(or(size, "-1"))),
        (Soft, Version::One) => (&["memory.soft_limit_in_bytes"], Value::Text(or(size, "-1"))),
        (HardWithSwap, Version::One) => (&["memory.memsw.limit_in_bytes"], Value::Text(or(size, "-1"))),
        (Hard, Version::Two) => (&["memory.max"], Value::Text(or(size, "max"))),
        (Soft, Version::Two) => (&["memory.high"], Value::Text(or(size, "max"))),
        (HardWithSwap, Version::Two) => (&["memory.swap.max"], Value::BeyondMemory(size)),
    }
}

/// The file of a limit of a device, and what follows the device's number in it.
fn device(kind: DeviceLimit, value: u64, version: Version) -> (&'static [&'static str], String) {
    let none = if version == Version::Two { "max" } else { "0" };
    let text = or((value > 0).then_some(value), none);
    match (kind, version) {
        (DeviceLimit::Weight, Version::One) => {
            (&["blkio.bfq.weight_device", "blkio.weight_device"], value.to_string())
        }
        (DeviceLimit::Weight, Version::Two) => {
            (&["io.bfq.weight", "io.weight"], or((value > 0).then_some(value), "default"))
        }
        (DeviceLimit::ReadBytes, Version::One) => (&["blkio.throttle.read_bps_device"], text),
        (DeviceLimit::WriteBytes, Version::One) => (&["blkio.throttle.write_bps_device"], text),
        (DeviceLimit::ReadRequests, Version::One) => (&["blkio.throttle.read_iops_device"], text),
        (DeviceLimit::WriteRequests, Version::One) => (&["blkio.throttle.write_iops_device"], text),
        (DeviceLimit::ReadBytes, Version::Two) => (&["io.max"], format!("rbps={text}")),
        (DeviceLimit::WriteBytes, Version::Two) => (&["io.max"], format!("wbps={text}")),
        (DeviceLimit::ReadRequests, Version::Two) => (&["io.max"], format!("riops={text}")),
        (DeviceLimit::WriteRequests, Version::Two) => (&["io.max"], format!("wiops={text}")),
    }
}

/// `MAJOR:MINOR` of a block device.
fn number(path: &str) -> Result<String, GroupError> {
    let of_device = |message: String| GroupError::new(GroupErrorKind::Device, message);
    // Elsewhere, what is there and what is not would be told to whoever asks.
    let in_dev = Path::new(path)
        .strip_prefix("/dev")
        .is_ok_and(|within| within.components().all(|part| matches!(part, Component::Normal(_))));
    if !in_dev {
        return Err(of_device(format!("'{path}' is no device below /dev")));
    }
    let found = std::fs::metadata(path)
        .map_err(|error| of_device(format!("the device '{path}' cannot be looked at")).caused_by(error))?;
    if !found.file_type().is_block_device() {
        return Err(of_device(format!("'{path}' is no block device of this host")));
    }
    Ok(format!("{}:{}", major(found.rdev()), minor(found.rdev())))
}

/// What a group says of a limit, by the words of its file: `cpu.max` has two. Nothing for what is no number.
pub(super) fn read(limit: &Limit, text: &str) -> Option<Limit> {
    let mut words = text.split_whitespace();
    let first = words.next()?;
    match limit {
        Limit::CpuShares(_) => Some(Limit::CpuShares(first.parse().ok()?)),
        Limit::CpuPeriod(user, _) => {
            Some(Limit::CpuPeriod(*user, words.next().unwrap_or(first).parse().ok()?))
        }
        // 'max' and -1 are no number without a sign.
        Limit::CpuQuota(user, _) => Some(Limit::CpuQuota(*user, first.parse().ok())),
        Limit::Memory(kind, _) => {
            let size = first.parse().ok().filter(|size| *size < UNLIMITED).map(Bytes);
            Some(Limit::Memory(*kind, size))
        }
        Limit::BlockWeight(_) => {
            let weight = if first == "default" { words.next()? } else { first };
            Some(Limit::BlockWeight(weight.parse().ok()?))
        }
        Limit::BlockDevice(..) => None,
        Limit::Nodes(_) => Some(Limit::Nodes(first.to_owned())),
    }
}

/// From here on a number of bytes is no limit: version 1 shows the largest number of whole pages.
const UNLIMITED: u64 = 1 << 62;

/// The limits of a group as a whole, to be read from it.
pub(super) fn of_groups() -> Vec<Limit> {
    let memory = MemoryLimit::ALL.map(|kind| Limit::Memory(kind, None));
    let mut all = vec![Limit::CpuShares(0)];
    all.extend(of_threads(CpuUser::Guest));
    all.extend(memory);
    all.extend([Limit::BlockWeight(0), Limit::Nodes(String::new())]);
    all
}

/// Those of threads of a kind, as the kernel has them by itself.
pub(super) fn of_threads(user: CpuUser) -> [Limit; 2] {
    [Limit::CpuPeriod(user, USUAL_PERIOD), Limit::CpuQuota(user, None)]
}

/// The kernel's own period, in microseconds.
const USUAL_PERIOD: u64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(limit: &Limit, version: Version) -> (&'static str, Value) {
        let setting = setting(limit, version).unwrap();
        (setting.files[0], setting.value)
    }

    fn plain(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    #[test]
    fn each_version_has_files_of_its_own() {
        use Version::{One, Two};
        let quota = |quota| Limit::CpuQuota(CpuUser::Guest, quota);
        let memory = |kind, size: Option<u64>| Limit::Memory(kind, size.map(Bytes));
        for (limit, one, two) in [
            (Limit::CpuShares(9), ("cpu.shares", plain("9")), ("cpu.weight", plain("9"))),
            (
                quota(Some(5_000)),
                ("cpu.cfs_quota_us", plain("5000")),
                ("cpu.max", Value::First("5000".to_owned())),
            ),
            (quota(None), ("cpu.cfs_quota_us", plain("-1")), ("cpu.max", Value::First("max".to_owned()))),
            (
                Limit::CpuPeriod(CpuUser::Vcpu, 7),
                ("cpu.cfs_period_us", plain("7")),
                ("cpu.max", Value::Second("7".to_owned())),
            ),
            (
                memory(MemoryLimit::Hard, None),
                ("memory.limit_in_bytes", plain("-1")),
                ("memory.max", plain("max")),
            ),
            (
                memory(MemoryLimit::HardWithSwap, Some(4096)),
                ("memory.memsw.limit_in_bytes", plain("4096")),
                ("memory.swap.max", Value::BeyondMemory(Some(4096))),
            ),
            (
                Limit::BlockWeight(500),
                ("blkio.bfq.weight", plain("500")),
                ("io.bfq.weight", plain("default 500")),
            ),
        ] {
            assert_eq!(text(&limit, One), one);
            assert_eq!(text(&limit, Two), two);
        }
    }

    #[test]
    fn limits_of_devices_take_the_line_of_theirs() {
        let one = |kind| device(kind, 7, Version::One);
        assert_eq!(one(DeviceLimit::ReadBytes), (&["blkio.throttle.read_bps_device"][..], "7".to_owned()));
        assert_eq!(device(DeviceLimit::WriteRequests, 7, Version::Two).1, "wiops=7");
        assert_eq!(device(DeviceLimit::WriteRequests, 0, Version::Two).1, "wiops=max");
        assert_eq!(device(DeviceLimit::ReadBytes, 0, Version::One).1, "0");
        assert_eq!(device(DeviceLimit::Weight, 0, Version::Two).1, "default");
        for wrong in ["/dev/null", "/dev/nonexistent", "/dev/../etc/shadow", "/root/x", "dev/sda"] {
            let limit = Limit::BlockDevice(DeviceLimit::ReadBytes, wrong.to_owned(), 1);
            assert_eq!(setting(&limit, Version::One).unwrap_err().kind, GroupErrorKind::Device);
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let memory = |size: Option<u64>| Limit::Memory(MemoryLimit::Hard, size.map(Bytes));
        let quota = |quota| Limit::CpuQuota(CpuUser::Vcpu, quota);
        for (limit, text) in [
            (Limit::CpuShares(9), "9\n"),
            (quota(None), "-1\n"),
            (quota(None), "max 100000\n"),
            (quota(Some(7)), "7 100000\n"),
            (Limit::CpuPeriod(CpuUser::Vcpu, 100_000), "max 100000\n"),
            (Limit::CpuPeriod(CpuUser::Vcpu, 100_000), "100000\n"),
            (memory(None), "max\n"),
            (memory(None), "9223372036854771712\n"),
            (memory(Some(4096)), "4096\n"),
            (Limit::BlockWeight(100), "default 100\n8:0 7\n"),
            (Limit::BlockWeight(100), "100\n"),
            (Limit::Nodes("0-1".to_owned()), "0-1\n"),
        ] {
            assert_eq!(read(&limit, text), Some(limit), "{text}");
        }
        assert_eq!(read(&Limit::CpuShares(0), "many"), None);
        assert_eq!(read(&Limit::CpuShares(0), ""), None);
    }
}
