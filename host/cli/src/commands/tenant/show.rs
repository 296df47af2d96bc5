//! `hostler tenant show`: everything about one tenant, its limits beside what is used.

use clap::Args;
use hostler_domains::{LimitSummary, TenantDetails};

use super::{amount, limit_text, listed};
use crate::commands::view;
use crate::failure::Stop;
use crate::output::colour::Tone;
use crate::output::table::{Cell, Facts, Table};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Show everything about one tenant, its limits beside what is used
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Name of the tenant; with --tenant that one if not given
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

impl Show {
    /// Shows it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let details = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.tenant_show(self.name.as_deref()).await?)
        })?;
        if let Some(problem) = &details.problem {
            session.output().warning(problem);
        }
        let blocks = vec![Block::Facts(facts(&details)), Block::Table(table(&details.limits))];
        Ok(Reply::data(view::to_json(&details)?, blocks))
    }
}

fn facts(details: &TenantDetails) -> Facts {
    let (tenant, mut facts) = (&details.summary, Facts::new());
    let or_none = |list: Option<String>| list.unwrap_or_else(|| "none".to_owned());
    let roots: Vec<_> = tenant.storage_roots.iter().map(|root| root.to_string_lossy()).collect();
    facts.add("name", &tenant.name);
    facts.add("state", details.state_dir.display().to_string());
    facts.add("storage roots", or_none(listed(&roots)));
    facts.add("drivers", or_none(listed(&tenant.drivers)));
    facts.add("networks", or_none(listed(&tenant.networks)));
    facts.add("bridges", or_none(listed(&tenant.bridges)));
    facts.add_known("grants", tenant.grants.as_deref().and_then(listed));
    facts.add("users", or_none(listed(&tenant.uids)));
    facts.add("groups", or_none(listed(&tenant.gids)));
    facts.add("made", quantity::moment(tenant.created_unix_ms));
    facts
}

fn table(limits: &[LimitSummary]) -> Table {
    let mut table = Table::new().words("LIMIT").numbers("USED").numbers("OF").words("");
    for one in limits {
        let is_full = one.used.zip(one.limit).is_some_and(|(used, limit)| used >= limit);
        let used = Cell::optional(one.used.map(|used| amount(one.unit, used)));
        table.row(vec![
            Cell::new(one.quota.key()),
            if is_full { used.tone(Tone::Warning) } else { used },
            Cell::new(limit_text(one.unit, one.limit)),
            Cell::new(if one.set { "" } else { "default" }).tone(Tone::Faint),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use hostler_domains::Quota;

    #[test]
    fn limits_are_beside_what_is_used() {
        let one =
            |quota: Quota, limit, used, set| LimitSummary { quota, unit: quota.unit(), limit, set, used };
        let limits = [
            one(Quota::Domains, Some(3), Some(3), true),
            one(Quota::Memory, Some(32 << 30), Some(1 << 30), false),
            one(Quota::Disk, None, Some(0), true),
            one(Quota::DriverCpu, Some(100), None, false),
        ];
        let text = table(&limits).render(None, false);
        let lines: Vec<_> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "LIMIT USED OF",
                "domains 3 3",
                "memory 1 GiB 32 GiB default",
                "disk 0 B unlimited",
                "driver-cpu - 100 ms/s default"
            ]
        );
    }

    #[test]
    fn facts_say_who_and_where() {
        let details = TenantDetails {
            summary: samples::tenant("blue"),
            state_dir: "/var/lib/hostler/tenants/blue".into(),
            limits: Vec::new(),
            problem: None,
        };
        let text = facts(&details).render(false);
        assert!(
            text.contains("groups:         none\n") && text.contains("drivers:        qemu, test\n"),
            "{text}"
        );
    }
}
