//! `hostler tenant`: who shares this host, what each may use, and who may act for it.

mod allow;
mod create;
mod limits;
mod list;
mod remove;
mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hostler_domains::{Quota, QuotaUnit, TenantChanged, TenantRights};

use super::{size, view};
use crate::failure::Stop;
use crate::output::colour::Tone;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Work with tenants: who shares this host, and what each may use
///
/// A tenant has a state directory of its own. With --tenant NAME every command works in it, and finds nothing of the
/// operator or of another tenant. Tenants are made by the operator: the user whom the state directory belongs to.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Tenant {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Create(create::Create),
    List(list::List),
    Show(show::Show),
    Limits(limits::Limits),
    Allow(allow::Allow),
    Deny(allow::Deny),
    Remove(remove::Remove),
}

impl Tenant {
    /// Does what was asked.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        match self.what {
            What::Create(command) => command.run(session),
            What::List(command) => command.run(session),
            What::Show(command) => command.run(session),
            What::Limits(command) => command.run(session),
            What::Allow(command) => command.run(session),
            What::Deny(command) => command.run(session),
            What::Remove(command) => command.run(session),
        }
    }
}

/// What a tenant may use and who may act for it.
#[derive(Clone, Debug, Default, Args)]
struct Rights {
    /// Directory beneath which all files of the tenant lie; may be given several times
    #[arg(long = "storage-root", value_name = "DIR")]
    storage_roots: Vec<PathBuf>,
    /// Driver that it may use, or '*' for every one; may be given several times
    #[arg(long = "driver", value_name = "NAME")]
    drivers: Vec<String>,
    /// Network of the operator that its domains may be connected to, or '*' for every one; may be given several times
    #[arg(long = "network", value_name = "NAME")]
    networks: Vec<String>,
    /// Bridge of the host that its domains may be connected to; may be given several times
    #[arg(long = "bridge", value_name = "NAME")]
    bridges: Vec<String>,
    /// User who may act for it, by number; may be given several times
    #[arg(long = "uid", value_name = "UID")]
    uids: Vec<u32>,
    /// Group whose members may act for it, by number; may be given several times
    #[arg(long = "gid", value_name = "GID")]
    gids: Vec<u32>,
}

impl From<Rights> for TenantRights {
    fn from(given: Rights) -> Self {
        Self {
            storage_roots: given.storage_roots,
            drivers: given.drivers,
            networks: given.networks,
            bridges: given.bridges,
            uids: given.uids,
            gids: given.gids,
        }
    }
}

/// A limit as it is written: its name and its value, which is nothing for no limit.
type Limit = (Quota, Option<u64>);

/// What is written for no limit.
const UNLIMITED: &str = "unlimited";

/// Reads `NAME=VALUE`.
fn limit(text: &str) -> Result<Limit, String> {
    let (key, value) =
        text.split_once('=').ok_or("expected NAME=VALUE, such as domains=10 or memory=8GiB")?;
    let quota = Quota::from_key(key).map_err(|error| {
        let hints: Vec<_> = error.hints.iter().map(|hint| hint.text.as_str()).collect();
        format!("{error}: {}", hints.join("; "))
    })?;
    if value == UNLIMITED {
        return Ok((quota, None));
    }
    let read = match quota.unit() {
        QuotaUnit::Bytes => size::parse(value)?,
        QuotaUnit::Count | QuotaUnit::MsPerSecond => value
            .parse()
            .map_err(|_| format!("expected a whole number or '{UNLIMITED}' for '{key}', found '{value}'"))?,
    };
    Ok((quota, Some(read)))
}

/// So much of something, as people read it.
fn amount(unit: QuotaUnit, value: u64) -> String {
    match unit {
        QuotaUnit::Count => value.to_string(),
        QuotaUnit::Bytes => quantity::size(value),
        QuotaUnit::MsPerSecond => format!("{value} ms/s"),
    }
}

/// A limit, as people read it.
fn limit_text(unit: QuotaUnit, limit: Option<u64>) -> String {
    limit.map_or_else(|| UNLIMITED.to_owned(), |limit| amount(unit, limit))
}

/// The reply of a command that changed what is recorded of a tenant.
fn changed(answer: &TenantChanged, done: &str, session: &Session) -> Result<Reply, Stop> {
    answer.warnings.iter().for_each(|warning| session.output().warning(warning));
    let mut blocks = vec![Block::Line(format!("tenant '{}' {done}", answer.tenant.name))];
    if !answer.limits.is_empty() {
        let mut table = Table::new().words("LIMIT").numbers("BEFORE").numbers("AFTER").numbers("USED");
        for change in &answer.limits {
            let too_much = change.used.zip(change.after).is_some_and(|(used, after)| used > after);
            let used = Cell::optional(change.used.map(|used| amount(change.unit, used)));
            table.row(vec![
                Cell::new(change.quota.key()),
                Cell::new(limit_text(change.unit, change.before)),
                Cell::new(limit_text(change.unit, change.after)),
                if too_much { used.tone(Tone::Warning) } else { used },
            ]);
        }
        blocks.push(Block::Table(table));
    }
    Ok(Reply::confirmation(view::to_json(answer)?, blocks))
}

/// A list in one cell.
fn listed<T: ToString>(values: &[T]) -> Option<String> {
    let words: Vec<_> = values.iter().map(ToString::to_string).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod samples {
    use hostler_domains::TenantSummary;

    /// A tenant of that name.
    pub(super) fn tenant(name: &str) -> TenantSummary {
        TenantSummary {
            name: name.into(),
            uids: vec![1001],
            gids: Vec::new(),
            storage_roots: vec!["/srv/blue".into()],
            drivers: vec!["qemu".into(), "test".into()],
            networks: Vec::new(),
            bridges: Vec::new(),
            grants: None,
            created_unix_ms: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_in_their_units() {
        assert_eq!(limit("domains=3"), Ok((Quota::Domains, Some(3))));
        assert_eq!(limit("memory=1.5GiB"), Ok((Quota::Memory, Some(1536 << 20))));
        assert_eq!(limit("driver-cpu=50"), Ok((Quota::DriverCpu, Some(50))));
        assert_eq!(limit("disk=unlimited"), Ok((Quota::Disk, None)));
        for (wrong, expected) in [
            ("domains", "NAME=VALUE"),
            ("domain=3", "did you mean 'domains'?"),
            ("domains=3GiB", "whole number"),
            ("domains=-1", "whole number"),
            ("memory=much", "size"),
        ] {
            let error = limit(wrong).unwrap_err();
            assert!(error.contains(expected), "{wrong}: {error}");
        }
    }

    #[test]
    fn limits_are_shown_in_their_units() {
        assert_eq!(limit_text(QuotaUnit::Bytes, Some(1 << 30)), "1 GiB");
        assert_eq!(limit_text(QuotaUnit::MsPerSecond, Some(100)), "100 ms/s");
        assert_eq!(limit_text(QuotaUnit::Count, None), "unlimited");
    }
}
