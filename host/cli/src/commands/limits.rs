//! `hostler limits`: what a guest may use of its host's processors, memory and block devices.

use clap::Args;
use hostler_domains::{Bytes, CpuUser, DeviceLimit, Limit, MemoryLimit};
use serde_json::json;

use super::attach::Where;
use super::{Target, size, view};
use crate::failure::Stop;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Show or change what a guest may use of its host
///
/// Without limits, those that hold are shown: of a guest that runs as the kernel has them. Names are those of the XML: 'shares',
/// 'period', 'quota' (of each processor) and 'global_quota', 'emulator_quota' … of 'cputune', in microseconds;
/// 'hard_limit', 'soft_limit', 'swap_hard_limit' of 'memtune'; 'weight' of 'blkiotune', and of a device of the host
/// '/dev/sda:read_bytes_sec', 'write_iops_sec' …. The stored definition is changed too, if there is one; --live and
/// --config choose one of both. Of a guest that runs all are changed, or none.
#[derive(Debug, Args)]
pub(crate) struct Limits {
    #[command(flatten)]
    target: Target,
    /// New limits, such as hard_limit=4GiB and global_quota=150000; 'none' takes one away
    #[arg(value_name = "NAME=VALUE", value_parser = limit)]
    limits: Vec<Limit>,
    #[command(flatten)]
    scope: Where,
}

impl Limits {
    /// Shows them, or sets them and says where.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let wanted = self.target.reference();
        if self.limits.is_empty() {
            let which = self.scope.scope().which();
            let limits =
                session.block_on(async { Ok(session.reader().await?.limits(&wanted, which).await?) })?;
            if limits.is_empty() {
                session.output().note("the definition has no limits");
            }
            return Ok(shown(&limits));
        }
        let limited = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.set_limits(&wanted, &self.limits, self.scope.scope()).await?)
        })?;
        let place = match (limited.live, limited.stored) {
            (true, true) => ", in the running guest and in its definition",
            (true, false) => ", in the running guest only",
            _ => ", in its definition; they count from the next start",
        };
        let line = format!("'{}' has other limits{place}", limited.summary.name);
        Ok(Reply::confirmation(view::to_json(&limited)?, vec![Block::Line(line)]))
    }
}

fn shown(limits: &[Limit]) -> Reply {
    let mut table = Table::new().words("LIMIT").numbers("VALUE");
    let mut listed = Vec::with_capacity(limits.len());
    for limit in limits {
        let (name, value) = (limit.name(), limit.value());
        let text = match (limit, &value) {
            (_, None) => "none".to_owned(),
            (Limit::Memory(_, Some(size)), _) => quantity::size(size.0),
            (_, Some(value)) => value.clone(),
        };
        // Numbers where they are some.
        let value =
            value.map(|value| value.parse::<u64>().map_or_else(|_| json!(value), |number| json!(number)));
        listed.push(json!({"name": name, "value": value}));
        table.row(vec![Cell::new(name), Cell::new(text)]);
    }
    Reply::data(json!({"limits": listed}), vec![Block::Table(table)])
}

/// Reads `NAME=VALUE`, or `PATH:NAME=VALUE` of a device.
fn limit(text: &str) -> Result<Limit, String> {
    let (name, value) = text.rsplit_once('=').ok_or("expected NAME=VALUE, such as hard_limit=4GiB")?;
    let none = value == "none";
    let number = || value.parse::<u64>().map_err(|_| format!("'{value}' is no whole number"));
    let bytes = || if none { Ok(0) } else { size::parse(value) };
    if let Some((path, kind)) = name.rsplit_once(':') {
        let kind = DeviceLimit::ALL.into_iter().find(|known| known.name() == kind);
        let kind = kind.ok_or_else(|| unknown(name))?;
        let value = match kind {
            DeviceLimit::ReadBytes | DeviceLimit::WriteBytes => bytes()?,
            _ if none => 0,
            _ => number()?,
        };
        return Ok(Limit::BlockDevice(kind, path.to_owned(), value));
    }
    if let Some(kind) = MemoryLimit::ALL.into_iter().find(|known| known.name() == name) {
        return Ok(Limit::Memory(kind, if none { None } else { Some(Bytes(size::parse(value)?)) }));
    }
    for user in CpuUser::ALL {
        let quota = Limit::CpuQuota(user, None);
        if quota.name() == name {
            return if none { Ok(quota) } else { Ok(Limit::CpuQuota(user, Some(number()?))) };
        }
        if Limit::CpuPeriod(user, 0).name() == name {
            return Ok(Limit::CpuPeriod(user, number()?));
        }
    }
    match name {
        "shares" => Ok(Limit::CpuShares(number()?)),
        "weight" => value.parse().map(Limit::BlockWeight).map_err(|_| format!("'{value}' is no weight")),
        _ => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> String {
    let times = CpuUser::ALL
        .into_iter()
        .flat_map(|user| [Limit::CpuPeriod(user, 0).name(), Limit::CpuQuota(user, None).name()]);
    let memory = MemoryLimit::ALL.map(|kind| kind.name().to_owned());
    let devices = DeviceLimit::ALL.map(|kind| format!("DEVICE:{}", kind.name()));
    let all: Vec<_> = ["shares".to_owned()]
        .into_iter()
        .chain(times)
        .chain(memory)
        .chain(["weight".to_owned()])
        .chain(devices)
        .collect();
    format!("there is no limit '{name}'; there are {}", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_by_the_names_that_they_are_shown_by() {
        let device = |kind, value| Limit::BlockDevice(kind, "/dev/disk/by-path/a:b".to_owned(), value);
        for (text, wanted) in [
            ("shares=512", Limit::CpuShares(512)),
            ("quota=none", Limit::CpuQuota(CpuUser::Vcpu, None)),
            ("global_quota=150000", Limit::CpuQuota(CpuUser::Guest, Some(150_000))),
            ("iothread_period=5000", Limit::CpuPeriod(CpuUser::IoThread, 5_000)),
            ("hard_limit=4GiB", Limit::Memory(MemoryLimit::Hard, Some(Bytes(4 << 30)))),
            ("swap_hard_limit=none", Limit::Memory(MemoryLimit::HardWithSwap, None)),
            ("weight=300", Limit::BlockWeight(300)),
            ("/dev/disk/by-path/a:b:read_bytes_sec=1MiB", device(DeviceLimit::ReadBytes, 1 << 20)),
            ("/dev/disk/by-path/a:b:write_iops_sec=none", device(DeviceLimit::WriteRequests, 0)),
        ] {
            let read = limit(text).unwrap();
            assert_eq!(read, wanted);
            assert_eq!(text.rsplit_once('=').unwrap().0, wanted.name());
        }
    }

    #[test]
    fn what_is_no_limit_says_which_there_are() {
        assert!(limit("memory=1G").unwrap_err().contains("hard_limit"));
        for wrong in [
            "shares",
            "shares=many",
            "shares=none",
            "quota=1ms",
            "weight=-1",
            "hard_limit=big",
            "/dev/sda:x=1",
        ] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }
}
