//! `stats`: what is counted of domains that run, by their hypervisors and by the host.

use std::time::Duration;

use hostler_domain::Domain;
use hostler_domain::disk::Disk;
use hostler_domain::storage_source::Location;
use hostler_runtime::RunDocument;
use hostler_state::{Definition, Headline, RunRecord};
use serde::Serialize;

use crate::context::Purpose;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::process;
use crate::reference::DomainRef;
use crate::summary::RunState;
use crate::verbs::InterfaceDevice;
use crate::verbs::threads::vcpu_counters;

/// How long one hypervisor may take to answer before it is told without: the others are not to wait for it.
const ANSWER_WAIT: Duration = Duration::from_millis(1_500);

/// The counters of one domain.
#[derive(Clone, Debug, Serialize)]
pub struct DomainStats {
    /// The domain.
    pub name: String,
    /// What it is doing.
    pub state: RunState,
    /// Names as in libvirt's bulk statistics, and their values, in the order of the hypervisor's answer.
    pub counters: Vec<(String, String)>,
    /// Why the hypervisor's own are missing, where they are.
    pub missing: Option<String>,
}

impl Host {
    /// The counters of these domains, or of all that run when none is named. One that cannot be asked is in the list with
    /// what the host itself knows, and why. Takes no lock and changes nothing.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`] for a name that there is not.
    pub async fn stats(&self, wanted: &[DomainRef]) -> Result<Vec<DomainStats>, Error> {
        let all = wanted.is_empty();
        let headlines = match all {
            true => self.headlines()?,
            false => {
                let there = |wanted| self.look_up(wanted)?.ok_or_else(|| self.no_such_domain(wanted));
                wanted.iter().map(there).collect::<Result<_, _>>()?
            }
        };
        let mut found = Vec::new();
        for headline in headlines {
            let stats = self.stats_of(&headline).await?;
            if !all || stats.state.is_active() {
                found.push(stats);
            }
        }
        Ok(found)
    }

    async fn stats_of(&self, headline: &Headline) -> Result<DomainStats, Error> {
        let mut stats = DomainStats {
            name: headline.name.clone(),
            state: RunState::Off,
            counters: Vec::new(),
            missing: None,
        };
        if self.standing_off(headline)?.is_some() {
            return Ok(stats);
        }
        let Some(definition) = self.definition(headline.uuid)? else { return Ok(stats) };
        let standing = self.standing_of(&definition).await?;
        stats.state = standing.state;
        if !standing.state.is_active() {
            return Ok(stats);
        }
        // It has just been asked in vain.
        let silent = standing.state == RunState::Quarantined || standing.as_of_unix_ms.is_some();
        stats.missing = standing.reason.filter(|_| silent);
        if let Some(pid) = standing.pid {
            stats.counters = process::blocking(move || process_counters(pid)).await?;
            let connected = self.interface_devices(&DomainRef::new(definition.uuid.to_string())).await?;
            stats.counters.extend(interface_counters(&connected));
        }
        if stats.missing.is_none() {
            match self.hypervisor_counters(&definition).await {
                Ok(counters) => {
                    if let Some(pid) = standing.pid {
                        let told = counters.clone();
                        stats.counters.extend(process::blocking(move || vcpu_counters(pid, &told)).await?);
                    }
                    stats.counters.extend(counters);
                    stats.counters.extend(self.disk_paths(&definition)?);
                }
                Err(error) => stats.missing = Some(error.to_string()),
            }
        }
        Ok(stats)
    }

    /// Which file each disk of a guest that runs writes to, by its place among the disks.
    fn disk_paths(&self, definition: &Definition) -> Result<Vec<(String, String)>, Error> {
        let document: Option<RunDocument> =
            self.state().run_dir(definition.uuid).read(RunRecord::Document)?;
        let Some(document) = document else { return Ok(Vec::new()) };
        let disks = Domain::parse(&document.xml)?.devices.disks;
        let path = |(index, disk): (usize, &Disk)| match &disk.source.location {
            Location::File(path) | Location::Block(path) => {
                Some((format!("block.{index}.path"), path.to_string()))
            }
            _ => None,
        };
        Ok(disks.iter().enumerate().filter_map(path).collect())
    }

    pub(crate) async fn hypervisor_counters(
        &self,
        definition: &Definition,
    ) -> Result<Vec<(String, String)>, Error> {
        let driver = self.with_ability(definition, "statistics")?;
        let context = self.context(definition, Purpose::Operate)?;
        match tokio::time::timeout(ANSWER_WAIT, driver.read_statistics(&context)).await {
            Ok(counters) => Ok(counters?),
            Err(_) => Err(Error::new(
                Kind::TimedOut,
                "stats.no-answer",
                format!("the hypervisor did not answer within {} ms", ANSWER_WAIT.as_millis()),
            )),
        }
    }
}

/// What goes through the devices that connect a guest, under libvirt's names.
fn interface_counters(connected: &[InterfaceDevice]) -> Vec<(String, String)> {
    const NAMES: [&str; 4] = ["bytes", "pkts", "errs", "drop"];
    let mut counters = vec![("net.count".to_owned(), connected.len().to_string())];
    for (index, one) in connected.iter().enumerate() {
        counters.push((format!("net.{index}.name"), one.device.clone()));
        for (way, numbers) in [("rx", one.received), ("tx", one.sent)] {
            let named = NAMES.iter().zip(numbers);
            counters.extend(
                named.map(|(name, number)| (format!("net.{index}.{way}.{name}"), number.to_string())),
            );
        }
    }
    counters
}

/// What the kernel counts of a process: `cpu.time`, `cpu.user` and `cpu.system` in nanoseconds, `memory.resident` in KiB.
/// Nothing of one that is gone.
#[must_use]
pub fn process_counters(pid: u32) -> Vec<(String, String)> {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return Vec::new() };
    counters_of(&stat, rustix::param::clock_ticks_per_second(), rustix::param::page_size())
}

/// Reads `/proc/PID/stat` (proc(5)): the fields behind the name, which may have anything in it.
fn counters_of(stat: &str, ticks_per_second: u64, page_size: usize) -> Vec<(String, String)> {
    let Some((_, rest)) = stat.rsplit_once(')') else { return Vec::new() };
    // The first of these is field 3, the state.
    let field = |number: usize| rest.split_whitespace().nth(number - 3)?.parse::<u64>().ok();
    let nanoseconds = |ticks: u64| ticks.saturating_mul(1_000_000_000 / ticks_per_second.max(1));
    let (Some(user), Some(system), Some(pages)) = (field(14), field(15), field(24)) else {
        return Vec::new();
    };
    let kib = pages.saturating_mul(page_size as u64) >> 10;
    [
        ("cpu.time", nanoseconds(user.saturating_add(system))),
        ("cpu.user", nanoseconds(user)),
        ("cpu.system", nanoseconds(system)),
        ("memory.resident", kib),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_string()))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_is_counted_whatever_it_is_called() {
        let fields: Vec<_> = (4..=52).map(|number| number.to_string()).collect();
        let stat = format!("17 (qemu) S 1 (x) S {}", fields.join(" "));
        let value = |name: &str| {
            let found = counters_of(&stat, 100, 4096).into_iter().find(|(key, _)| key == name);
            found.unwrap().1
        };
        assert_eq!(value("cpu.time"), ((14 + 15) * 10_000_000_u64).to_string());
        assert_eq!(value("memory.resident"), (24 * 4).to_string());
        assert!(counters_of("", 100, 4096).is_empty());
        assert!(counters_of("17 (x) S 1", 100, 4096).is_empty());
    }

    #[test]
    fn own_process_is_counted_and_one_that_is_gone_is_not() {
        assert_eq!(process_counters(std::process::id()).len(), 4);
        assert!(process_counters(u32::MAX).is_empty());
    }
}
