//! `hostler tenant remove`: forgets a tenant.

use clap::Args;
use hostler_domains::TenantRemoved;
use serde_json::Value;

use super::listed;
use crate::commands::view;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Remove a tenant that has nothing, or with --purge all of it
///
/// Refused while one of its domains runs, and without --purge while it has domains, pools or variable stores.
/// --purge deletes those definitions and stores with the tenant's events; volumes and images stay in any case.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Name of the tenant
    #[arg(value_name = "TENANT")]
    name: String,
    /// Delete its definitions and variable stores too
    #[arg(long)]
    purge: bool,
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
}

impl Remove {
    /// Removes it, and says what went with it and what stays.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let removed = session.block_on(async {
            let host = session.owner().await?;
            if !self.dry_run {
                session.release_tenant(&self.name).await;
            }
            Ok(host.tenant_remove(&self.name, self.purge, self.dry_run).await?)
        })?;
        let mut json = view::to_json(&removed)?;
        if let Value::Object(members) = &mut json {
            members.insert("dry-run".to_owned(), self.dry_run.into());
        }
        let blocks = lines(&removed, self.dry_run).into_iter().map(Block::Line).collect();
        // What would be deleted is what was asked for, and is shown with --quiet too.
        Ok(if self.dry_run { Reply::data(json, blocks) } else { Reply::confirmation(json, blocks) })
    }
}

fn lines(removed: &TenantRemoved, dry_run: bool) -> Vec<String> {
    let mut lines = vec![match dry_run {
        true => format!("tenant '{}' would be removed; nothing is changed", removed.name),
        false => format!("tenant '{}' removed", removed.name),
    }];
    let went = if dry_run { "would go" } else { "went" };
    if let Some(domains) = listed(&removed.domains) {
        lines.push(format!("definitions of domains that {went} with it: {domains}"));
    }
    if let Some(pools) = listed(&removed.pools) {
        lines.push(format!("definitions of pools that {went} with it: {pools}"));
    }
    if removed.variable_stores > 0 {
        lines.push(format!("variable stores that {went} with it: {}", removed.variable_stores));
    }
    if removed.kept_states > 0 {
        lines.push(format!("kept states of TPMs that {went} with it: {}", removed.kept_states));
    }
    let images: Vec<_> = removed.images_left.iter().map(|path| path.to_string_lossy()).collect();
    if let Some(images) = listed(&images) {
        lines.push(format!("volumes and images that stay: {images}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_what_goes_and_what_stays() {
        let removed = TenantRemoved {
            name: "blue".into(),
            domains: vec!["a".into(), "b".into()],
            variable_stores: 1,
            kept_states: 0,
            pools: Vec::new(),
            images_left: vec!["/srv/blue/a.qcow2".into()],
        };
        let text = lines(&removed, true).join("\n");
        assert!(text.contains("would be removed; nothing is changed"), "{text}");
        assert!(
            text.contains("would go with it: a, b") && text.contains("stay: /srv/blue/a.qcow2"),
            "{text}"
        );
        let empty = TenantRemoved { name: "red".into(), ..TenantRemoved::default() };
        assert_eq!(lines(&empty, false), ["tenant 'red' removed"]);
    }
}
