//! On whose behalf things are done: the operator, or one tenant whom the caller may act for.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_grant::{AllowList, Tenant};
use hostler_runtime::{Roots, TenantLimits};
use hostler_state::{StateDir, TenantPhase, TenantRecord, check_tenant_name};
use hostler_storage::Reach;

use crate::config::Config;
use crate::error::{Error, Kind};
use crate::host::{Held, Host};
use crate::quota::{Quota, limit_of};

/// How the operator's own state directory is called among the tenants.
pub(crate) const OPERATOR: &str = "default";

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub uid: u32,
    /// The groups of the user, the main one among them.
    pub gids: Vec<u32>,
}

impl Caller {
    /// The user whose rights this process has.
    #[must_use]
    pub fn current() -> Self {
        let mut gids: Vec<_> = vec![rustix::process::getegid().as_raw()];
        // A process whose groups cannot be read acts for fewer tenants, never for more.
        let more = rustix::process::getgroups().unwrap_or_default();
        gids.extend(more.iter().map(|gid| gid.as_raw()));
        Self { uid: rustix::process::geteuid().as_raw(), gids }
    }
}

/// A tenant that something is to be done for, and who asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantChoice {
    /// The tenant's name; `default` is the operator's own state directory.
    pub name: String,
    /// Who asks: for a command whoever runs it, for a daemon whoever is connected.
    pub caller: Caller,
}

/// A tenant whom the caller may act for.
#[derive(Clone, Debug)]
pub(crate) struct Tenancy {
    operator_dir: PathBuf,
    choice: TenantChoice,
    pub(crate) record: TenantRecord,
}

impl Tenancy {
    /// Finds the tenant that is chosen, and refuses a caller who may not act for it. Takes no lock: nobody waits for the
    /// operator, and no tenant for another.
    ///
    /// # Errors
    /// [`Kind::Denied`] for who is neither the operator nor named in the record, whether there is such a tenant or not;
    /// [`Kind::NotFound`] for the operator.
    pub(crate) fn enter(config: &Config) -> Result<Option<Self>, Error> {
        let Some(choice) = &config.tenant else { return Ok(None) };
        let is_operator = is_operator(&choice.caller, &config.state_dir);
        if choice.name == OPERATOR {
            return if is_operator { Ok(None) } else { Err(refused(&choice.name)) };
        }
        require_name(&choice.name)?;
        let found = read(&config.state_dir, choice);
        if is_operator {
            let record = found?.ok_or_else(|| unknown(&config.state_dir, &choice.name))?;
            return Ok(Some(Self::of(config, choice, record)));
        }
        // Whatever is wrong, a stranger learns nothing by it.
        match found {
            Ok(Some(record)) if record.admits(choice.caller.uid, &choice.caller.gids) => {
                Ok(Some(Self::of(config, choice, record)))
            }
            _ => Err(refused(&choice.name)),
        }
    }

    fn of(config: &Config, choice: &TenantChoice, record: TenantRecord) -> Self {
        Self { operator_dir: config.state_dir.clone(), choice: choice.clone(), record }
    }

    /// The tenant's own state directory.
    pub(crate) fn state_dir(&self) -> Result<PathBuf, Error> {
        Ok(StateDir::open_reader(&self.operator_dir)?.tenant_dir(&self.record.name)?)
    }

    /// The operator's state directory, for reading: what all tenants have in common is there.
    ///
    /// # Errors
    /// [`Kind::Denied`] or [`Kind::Host`] when it cannot be opened.
    pub(crate) fn operator(&self) -> Result<Held, Error> {
        Ok(Held::Reader(Arc::new(StateDir::open_reader(&self.operator_dir)?)))
    }

    /// Reads the record again once the lock of the tenant's directory is held: limits may have changed while we waited,
    /// and the tenant may be gone.
    ///
    /// # Errors
    /// As [`Tenancy::enter`].
    pub(crate) fn confirm(&mut self) -> Result<(), Error> {
        let same = |record: &TenantRecord| record.created_unix_ms == self.record.created_unix_ms;
        let is_operator = is_operator(&self.choice.caller, &self.operator_dir);
        let admits = |record: &TenantRecord| {
            is_operator || record.admits(self.choice.caller.uid, &self.choice.caller.gids)
        };
        match read(&self.operator_dir, &self.choice)? {
            Some(record) if same(&record) && admits(&record) => {
                self.record = record;
                Ok(())
            }
            _ if is_operator => Err(unknown(&self.operator_dir, &self.choice.name)),
            _ => Err(refused(&self.choice.name)),
        }
    }

    /// What its drivers may have.
    ///
    /// # Errors
    /// [`Kind::Host`] for a grant that this version does not know.
    pub(crate) fn rights(&self) -> Result<Tenant, Error> {
        let allow = match &self.record.grants {
            None => AllowList::everything(),
            Some(grants) => AllowList::parse(grants).map_err(|why| {
                let message =
                    format!("what is granted to the tenant '{}' cannot be read: {why}", self.record.name);
                Error::new(Kind::Host, "tenant.grants", message)
            })?,
        };
        Ok(Tenant { name: self.record.name.clone(), allow, drivers: Some(self.record.drivers.clone()) })
    }

    /// What its drivers may use.
    pub(crate) fn driver_limits(&self) -> TenantLimits {
        driver_limits(&self.record)
    }
}

/// What the drivers of a tenant may use.
pub(crate) fn driver_limits(record: &TenantRecord) -> TenantLimits {
    TenantLimits {
        memory_bytes: limit_of(record, Quota::DriverMemory).and_then(|bytes| usize::try_from(bytes).ok()),
        cpu_per_second: limit_of(record, Quota::DriverCpu).map(std::time::Duration::from_millis),
    }
}

impl Host {
    /// The tenant on whose behalf this is, when it is not the operator.
    pub(crate) fn tenant(&self) -> Option<&TenantRecord> {
        self.tenancy.as_ref().map(|tenancy| &tenancy.record)
    }

    /// Whether images that are made count for somebody: then making one changes the state directory.
    #[must_use]
    pub fn counts_images(&self) -> bool {
        self.tenancy.is_some()
    }

    /// Where files may lie that documents and images name.
    pub(crate) fn roots(&self) -> Roots {
        match self.tenant() {
            Some(tenant) => Roots::only(tenant.storage_roots.clone()),
            None => Roots::of_operator(self.config.image_roots.clone()),
        }
    }

    /// Where pools and images may lie.
    pub(crate) fn reach(&self) -> Reach {
        self.tenant().map_or_else(Reach::anywhere, |tenant| Reach::only(tenant.storage_roots.clone()))
    }

    /// The operator's state directory, for changing what is recorded of tenants.
    ///
    /// # Errors
    /// [`Kind::Denied`] on behalf of a tenant.
    pub(crate) fn require_operator(&self) -> Result<(), Error> {
        match self.tenant() {
            None => Ok(()),
            Some(tenant) => Err(Error::new(
                Kind::Denied,
                "tenant.operator-only",
                "tenants and drivers are the operator's to make, change and remove",
            )
            .about("tenant", &tenant.name)
            .hint("leave out --tenant, as the user whom the state directory belongs to")),
        }
    }

    /// A tenant by its name, for the operator.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the nearest name.
    pub(crate) fn tenant_record(&self, name: &str) -> Result<TenantRecord, Error> {
        self.require_operator()?;
        require_name(name)?;
        let found = self.state().tenant(name)?.filter(|record| record.phase == TenantPhase::Active);
        found.ok_or_else(|| unknown(self.state().root(), name))
    }
}

/// Refuses what is no name of a tenant.
///
/// # Errors
/// [`Kind::Invalid`] with the rule.
pub(crate) fn require_name(name: &str) -> Result<(), Error> {
    check_tenant_name(name).map_err(|wrong| {
        let message = format!("'{}' is no name for a tenant", name.escape_debug());
        wrong.hints.into_iter().fold(Error::new(Kind::Invalid, "tenant.name", message), Error::hint)
    })
}

/// The operator is whom the state directory belongs to, and root.
fn is_operator(caller: &Caller, state_dir: &Path) -> bool {
    let owner = std::fs::metadata(state_dir).map(|metadata| metadata.uid());
    // Who would make a directory that is not there is its owner.
    caller.uid == 0 || owner.unwrap_or_else(|_| rustix::process::geteuid().as_raw()) == caller.uid
}

fn read(operator_dir: &Path, choice: &TenantChoice) -> Result<Option<TenantRecord>, Error> {
    let found = StateDir::open_reader(operator_dir)?.tenant(&choice.name)?;
    Ok(found.filter(|record| record.phase == TenantPhase::Active))
}

fn refused(name: &str) -> Error {
    let message = format!("this user may not act for a tenant '{}' of this host", name.escape_debug());
    Error::new(Kind::Denied, "tenant.refused", message)
        .hint("ask the operator which tenants you may act for; this says nothing of whether there is one of that name")
}

/// The error for the operator, who may know which tenants there are.
fn unknown(operator_dir: &Path, name: &str) -> Error {
    let error = Error::new(Kind::NotFound, "tenant.not-found", format!("no tenant is called '{name}'"))
        .about("tenant", name);
    let tenants = StateDir::open_reader(operator_dir).and_then(|state| state.tenants()).unwrap_or_default();
    match hostler_domain::nearest(name, tenants.iter().map(|tenant| tenant.name.as_str())) {
        Some(near) => error.hint(format!("did you mean '{near}'?")),
        None => error.hint_command("see which there are", "hostler tenant list"),
    }
}

#[cfg(test)]
mod tests;
