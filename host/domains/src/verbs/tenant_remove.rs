//! `tenant remove`: forgets a tenant, and with leave everything that its state directory has.

use std::path::Path;
use std::time::Duration;

use hostler_state::{ARCHIVED_STATES, KEPT_STATES, Owner, StateDir};

use crate::error::{Error, Kind};
use crate::host::{Access, Host};
use crate::kept_stores::{ARCHIVED, KEPT};
use crate::process;
use crate::tenant_summary::TenantRemoved;

/// How long a command of the tenant may take to finish.
const BUSY_WAIT: Duration = Duration::from_secs(30);

impl Host {
    /// Removes a tenant. Without `purge` only one that has nothing; with it, definitions and variable stores go too.
    /// Volumes and images stay in any case. With `dry_run` nothing is changed.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] while a domain runs, and without `purge` while there is something to lose;
    /// [`Kind::Busy`] while somebody acts for it.
    pub async fn tenant_remove(
        &self,
        name: &str,
        purge: bool,
        dry_run: bool,
    ) -> Result<TenantRemoved, Error> {
        let record = self.tenant_record(name)?;
        self.owner()?;
        // As any owner of the tenant's: what was left unfinished is settled, and what has ended is forgotten.
        drop(self.of_tenant(&record, Access::Owner { wait: BUSY_WAIT }).await?);
        let directory = self.state().tenant_dir(name)?;
        let held = process::blocking(move || StateDir::open_owner(&directory, BUSY_WAIT)).await??;
        require_nothing_running(name, &held)?;
        let found = contents(name, &held)?;
        if !purge {
            require_empty(&found)?;
        }
        if !dry_run {
            self.owner()?.remove_tenant(name, held)?;
        }
        Ok(found)
    }
}

fn require_nothing_running(name: &str, state: &Owner) -> Result<(), Error> {
    for run in state.run_dirs()? {
        if !run.is_held()? {
            continue;
        }
        let known = state.definition_by_uuid(run.domain()).ok().flatten();
        let domain = known.map_or_else(|| run.domain().to_string(), |definition| definition.name);
        let message = format!("the domain '{domain}' of the tenant '{name}' runs");
        return Err(Error::new(Kind::Conflict, "tenant.running", message)
            .about("tenant", name)
            .about("domain", &domain)
            .hint_command(
                "end it first; guests are never ended by removing a tenant",
                format!("hostler --tenant {name} shutdown {}", hostler_image::shell_quote(&domain)),
            ));
    }
    Ok(())
}

/// What the tenant has.
fn contents(name: &str, state: &Owner) -> Result<TenantRemoved, Error> {
    let definitions = state.definitions()?;
    let stores =
        definitions.iter().filter(|definition| state.variable_store_path(definition.uuid).exists()).count();
    let kept = entries(&state.root().join(KEPT))? + entries(&state.root().join(ARCHIVED))?;
    let charges = state.charges()?;
    let mut images_left: Vec<_> = charges
        .into_iter()
        .map(|charge| charge.path)
        .filter(|path| path.symlink_metadata().is_ok())
        .collect();
    images_left.sort();
    Ok(TenantRemoved {
        name: name.to_owned(),
        domains: definitions.into_iter().map(|definition| definition.name).collect(),
        variable_stores: stores + kept,
        kept_states: entries(&state.root().join(KEPT_STATES))?
            + entries(&state.root().join(ARCHIVED_STATES))?,
        pools: state.pools()?.into_iter().map(|pool| pool.name).collect(),
        images_left,
    })
}

fn entries(directory: &Path) -> Result<usize, Error> {
    match std::fs::read_dir(directory) {
        Ok(entries) => Ok(entries.count()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => {
            let message = format!("cannot read '{}'", directory.display());
            Err(Error::new(Kind::Host, "tenant.contents", message).caused_by(error))
        }
    }
}

/// Refuses while there is something to lose.
fn require_empty(found: &TenantRemoved) -> Result<(), Error> {
    let mut has = Vec::new();
    for (what, count) in [
        ("domain", found.domains.len()),
        ("variable store", found.variable_stores),
        ("kept state", found.kept_states),
        ("pool", found.pools.len()),
    ] {
        match count {
            0 => {}
            1 => has.push(format!("1 {what}")),
            count => has.push(format!("{count} {what}s")),
        }
    }
    if has.is_empty() {
        return Ok(());
    }
    let name = &found.name;
    let message = format!("the tenant '{name}' still has {}", has.join(", "));
    Err(Error::new(Kind::Conflict, "tenant.not-empty", message)
        .about("tenant", name)
        .hint_command("see what would be deleted", format!("hostler tenant remove {name} --purge --dry-run"))
        .hint_command("delete all of it; images stay", format!("hostler tenant remove {name} --purge")))
}
