//! `tenant create`: makes a tenant.

use std::path::{Path, PathBuf};

use hostler_grant::AllowList;
use hostler_state::{StateDir, TenantPhase, TenantRecord, unix_ms};

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::quota::{self, Quota};
use crate::tenant_summary::TenantChanged;
use crate::tenants::{OPERATOR, require_name};
use crate::verbs::doctor_tenants::nested;

/// What a tenant may use and who may act for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantRights {
    /// Directories beneath which everything lies that its documents and images name.
    pub storage_roots: Vec<PathBuf>,
    /// Drivers that it may use; `*` is every one.
    pub drivers: Vec<String>,
    /// Networks that its domains may be connected to; `*` is every one.
    pub networks: Vec<String>,
    /// Bridges of the host that they may be connected to.
    pub bridges: Vec<String>,
    /// Users who may act for it, beside the operator.
    pub uids: Vec<u32>,
    /// Groups whose members may act for it.
    pub gids: Vec<u32>,
}

/// What a new tenant is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTenant {
    /// Its name.
    pub name: String,
    /// What it may use and who may act for it.
    pub rights: TenantRights,
    /// What drivers may do on its behalf, as in a policy; everything that the policy allows when none is given.
    pub grants: Vec<String>,
    /// Limits that are not the defaults; nothing as a value is no limit.
    pub limits: Vec<(Quota, Option<u64>)>,
    /// Take over what is there of a tenant of that name whose record was lost.
    pub adopt: bool,
}

impl Host {
    /// Makes a tenant: there when this returns, or not at all. Its state directory is made by who first acts for it.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a name, a root or a limit that cannot be one; [`Kind::Exists`].
    pub async fn tenant_create(&self, new: &NewTenant) -> Result<TenantChanged, Error> {
        self.require_operator()?;
        let owner = self.owner()?;
        self.require_free(new)?;
        let now = unix_ms();
        let record = TenantRecord {
            name: new.name.clone(),
            phase: TenantPhase::Active,
            uids: unique(&new.rights.uids),
            gids: unique(&new.rights.gids),
            storage_roots: self.storage_roots(&new.rights.storage_roots)?,
            drivers: unique(&new.rights.drivers),
            networks: unique(&new.rights.networks),
            bridges: unique(&new.rights.bridges),
            grants: grants(&new.grants)?,
            limits: quota::recorded(&new.limits)?,
            generation: 1,
            created_unix_ms: now,
            changed_unix_ms: now,
        };
        let warnings = self.tenant_warnings(&record)?;
        owner.put_tenant(&record)?;
        Ok(TenantChanged { tenant: self.tenant_summary(&record), limits: Vec::new(), warnings })
    }

    /// Refuses a name that is taken, and one beneath which there is still something.
    fn require_free(&self, new: &NewTenant) -> Result<(), Error> {
        require_name(&new.name)?;
        let exists =
            |message: String| Error::new(Kind::Exists, "tenant.exists", message).about("tenant", &new.name);
        if new.name == OPERATOR {
            return Err(exists(format!("'{OPERATOR}' is how the operator's own state directory is called"))
                .hint("give another name"));
        }
        match self.state().tenant(&new.name) {
            Ok(None) => {}
            // Its record is lost, and what it has is not.
            Err(error) if error.kind == hostler_state::Kind::Corrupt && new.adopt => {}
            Err(error) => return Err(error.into()),
            Ok(Some(_)) => {
                return Err(exists(format!("there is a tenant '{}' already", new.name))
                    .hint_command("see what it has", format!("hostler tenant show {}", new.name)));
            }
        }
        let directory = self.state().tenant_dir(&new.name)?;
        let left = StateDir::open_reader(&directory)?;
        let is_empty =
            left.definitions()?.is_empty() && left.pools()?.is_empty() && left.run_dirs()?.is_empty();
        if new.adopt || is_empty {
            return Ok(());
        }
        Err(exists(format!(
            "'{}' has the domains or pools of a tenant whose record was lost",
            directory.display()
        ))
        .hint_command(
            "make the tenant again with all of it",
            format!("hostler tenant create {} --adopt …", new.name),
        )
        .hint("or move that directory away"))
    }

    /// What is worth knowing about a tenant, although it can be so.
    pub(crate) fn tenant_warnings(&self, record: &TenantRecord) -> Result<Vec<String>, Error> {
        let mut warnings = Vec::new();
        if record.drivers.is_empty() {
            let name = &record.name;
            warnings.push(format!(
                "it may use no driver yet; allow one with 'hostler tenant allow {name} --driver DRIVER'"
            ));
        }
        if record.storage_roots.is_empty() {
            warnings.push("it has no storage root yet, so its domains can have no disks".to_owned());
        }
        for other in self.state().tenants()?.iter().filter(|other| other.name != record.name) {
            for (root, theirs) in shared_roots(record, other) {
                warnings.push(format!(
                    "its root '{}' and the root '{}' of the tenant '{}' lie in one another",
                    root.display(),
                    theirs.display(),
                    other.name
                ));
            }
        }
        Ok(warnings)
    }
}

/// Roots of two tenants of which one lies in the other.
pub(crate) fn shared_roots<'a>(
    one: &'a TenantRecord,
    other: &'a TenantRecord,
) -> impl Iterator<Item = (&'a Path, &'a Path)> {
    let pairs =
        one.storage_roots.iter().flat_map(|root| other.storage_roots.iter().map(move |other| (root, other)));
    pairs
        .map(|(root, other)| (root.as_path(), other.as_path()))
        .filter(|(root, other)| root.starts_with(other) || other.starts_with(root))
}

impl Host {
    /// Storage roots as they are recorded: directories that are there, by the paths that they really have, and nothing
    /// of hostler's own.
    pub(crate) fn storage_roots(&self, given: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
        let roots = roots(given)?;
        for root in &roots {
            if let Some(own) = self.own_places().into_iter().find(|own| nested(own, root)) {
                let message = format!(
                    "'{}' cannot be a storage root: it reaches hostler's own '{}'",
                    root.display(),
                    own.display()
                );
                return Err(Error::new(Kind::Invalid, "tenant.root", message)
                    .hint("give the tenant a directory of its own, such as /srv/tenants/NAME"));
            }
        }
        Ok(roots)
    }
}

fn roots(given: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut roots = Vec::new();
    for path in given {
        let found = std::fs::canonicalize(path).map_err(|error| {
            let message = format!("the storage root '{}' cannot be found", path.display());
            let command = format!("mkdir -p {}", hostler_image::shell_quote(&path.display().to_string()));
            Error::new(Kind::NotFound, "tenant.root", message)
                .caused_by(error)
                .hint_command("make it first", command)
        })?;
        if !found.is_dir() || found.parent().is_none() {
            let message = format!("'{}' cannot be a storage root", path.display());
            return Err(Error::new(Kind::Invalid, "tenant.root", message)
                .hint("a storage root is a directory of the tenant's own, and never the whole host"));
        }
        roots.push(found);
    }
    Ok(unique(&roots))
}

fn grants(given: &[String]) -> Result<Option<Vec<String>>, Error> {
    if given.is_empty() {
        return Ok(None);
    }
    match AllowList::parse(given) {
        Ok(_) => Ok(Some(unique(given))),
        Err(why) => Err(Error::new(Kind::Invalid, "tenant.grants", why)
            .hint("grants are written as in a policy: storage, qmp, process:qemu-system-*")),
    }
}

/// The same in the same order, each once.
pub(crate) fn unique<T: PartialEq + Clone>(given: &[T]) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for one in given {
        if !kept.contains(one) {
            kept.push(one.clone());
        }
    }
    kept
}
