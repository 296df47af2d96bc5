//! Pools as the verbs work with them: found by name, with their document and whether they are started.

use std::path::{Path, PathBuf};

use hostler_domain::pool::StoragePool;
use hostler_state::{PoolActivity, PoolDefinition, Uuid, boot_id};
use hostler_storage::{PoolRoot, PoolView, Programs, Reach, open_pool, require_startable};

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::PoolRef;
use crate::storage_summary::PoolSummary;

/// A pool that was found.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) definition: PoolDefinition,
    pub(crate) document: StoragePool,
    pub(crate) active: bool,
    /// Directories beneath which images may be named by other images, here as at a start.
    image_roots: Vec<PathBuf>,
    /// Where it may lie.
    pub(crate) reach: Reach,
}

impl Pool {
    /// The directory that its volumes are named beneath; empty for a pool without one.
    pub(crate) fn target(&self) -> PathBuf {
        self.document.target.path.as_deref().unwrap_or_default().into()
    }

    pub(crate) fn view(&self) -> PoolView<'_> {
        PoolView { definition: &self.document, active: self.active }
    }

    /// Refuses a pool that is not started.
    pub(crate) fn require_active(&self) -> Result<(), Error> {
        if self.active {
            return Ok(());
        }
        let name = &self.definition.name;
        Err(Error::new(Kind::Conflict, "pool.inactive", format!("the pool '{name}' is not started"))
            .about("pool", name)
            .hint_command("start it", pool_command("start", name)))
    }

    /// Refuses a pool that is started.
    pub(crate) fn require_inactive(&self, why: &str) -> Result<(), Error> {
        if !self.active {
            return Ok(());
        }
        let name = &self.definition.name;
        Err(Error::new(Kind::Conflict, "pool.active", format!("the pool '{name}' is started; {why}"))
            .about("pool", name)
            .hint_command("stop it first; guests that use its volumes go on", pool_command("stop", name)))
    }

    /// Its directory, opened: of a pool that is a file system, only while that is mounted.
    pub(crate) fn root(&self) -> Result<PoolRoot, Error> {
        Ok(open_pool(&self.document, &self.reach)?.with_image_roots(&self.image_roots))
    }

    pub(crate) fn summary(&self) -> PoolSummary {
        PoolSummary {
            name: self.definition.name.clone(),
            uuid: self.definition.uuid,
            kind: self.document.kind.to_string(),
            active: self.active,
            autostart: self.definition.autostart,
            persistent: self.definition.persistent,
            target: self.document.target.path.clone().map(PathBuf::from),
            problem: None,
        }
    }
}

/// The line about a pool whose document cannot be read: stored by another version, perhaps.
pub(crate) fn unreadable(definition: &PoolDefinition, problem: &Error) -> PoolSummary {
    PoolSummary {
        name: definition.name.clone(),
        uuid: definition.uuid,
        kind: "unknown".to_owned(),
        active: false,
        autostart: definition.autostart,
        persistent: definition.persistent,
        target: None,
        problem: Some(format!("its document cannot be read: {problem}")),
    }
}

impl Host {
    /// The pool that the user means.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the nearest name.
    pub(crate) fn pool(&self, wanted: &PoolRef) -> Result<Pool, Error> {
        self.opened_pool(self.pool_definition(wanted)?)
    }

    /// The definition of the pool that the user means, whether its document can be read or not.
    ///
    /// # Errors
    /// As [`Host::pool`].
    pub(crate) fn pool_definition(&self, wanted: &PoolRef) -> Result<PoolDefinition, Error> {
        let text = wanted.text();
        let uuid = Uuid::parse_str(text).ok();
        let pools = self.state().pools()?;
        let found = pools.iter().find(|pool| Some(pool.uuid) == uuid);
        match found.or_else(|| pools.iter().find(|pool| pool.name == text)) {
            Some(found) => Ok(found.clone()),
            None => {
                let error =
                    Error::new(Kind::NotFound, "pool.not-found", format!("no pool is called '{text}'"))
                        .about("pool", text);
                let names = pools.iter().map(|pool| pool.name.as_str());
                Err(match hostler_domain::nearest(text, names) {
                    Some(near) => error.hint(format!("did you mean '{near}'?")),
                    None => error.hint_command("see which there are", "hostler pool list --all"),
                })
            }
        }
    }

    /// Every pool whose document can be read, by name.
    pub(crate) fn pools(&self) -> Result<Vec<Pool>, Error> {
        let mut pools = Vec::new();
        for definition in self.state().pools()? {
            let name = definition.name.clone();
            match self.opened_pool(definition) {
                Ok(pool) => pools.push(pool),
                // Stored by another version, perhaps: the others are there all the same.
                Err(error) => tracing::warn!(pool = name, %error, "the document of a pool cannot be read"),
            }
        }
        Ok(pools)
    }

    pub(crate) fn opened_pool(&self, definition: PoolDefinition) -> Result<Pool, Error> {
        let document = StoragePool::parse(&definition.xml)?;
        let active = self.activity(definition.uuid)? == Some(true);
        let (image_roots, reach) = (self.config.image_roots.clone(), self.reach());
        Ok(Pool { definition, document, active, image_roots, reach })
    }

    /// Whether a pool was started or stopped since the machine was booted.
    fn activity(&self, pool: Uuid) -> Result<Option<bool>, Error> {
        let recorded = self.state().pool_activity(pool)?;
        Ok(recorded.filter(|activity| activity.boot == boot_id()).map(|activity| activity.active))
    }

    pub(crate) fn set_active(&self, pool: Uuid, active: bool) -> Result<(), Error> {
        Ok(self.owner()?.put_pool_activity(pool, &PoolActivity { boot: boot_id(), active })?)
    }

    /// What the first owner after a boot does: transient pools of an earlier boot go, and pools that are to be started
    /// by themselves are. One that cannot be started now is tried again by the next owner.
    pub(crate) fn settle_pools(&self) -> Result<(), Error> {
        for pool in self.pools()? {
            if self.activity(pool.definition.uuid)?.is_some() {
                continue;
            }
            if !pool.definition.persistent {
                self.owner()?.remove_pool(pool.definition.uuid)?;
            } else if pool.definition.autostart {
                match require_startable(&pool.document, &programs(), &pool.reach) {
                    Ok(()) => self.set_active(pool.definition.uuid, true)?,
                    Err(error) => {
                        tracing::warn!(pool = pool.definition.name, %error, "the pool cannot be started by itself");
                    }
                }
            }
        }
        Ok(())
    }
}

/// The programs of this machine.
pub(crate) fn programs() -> Programs {
    Programs::found(&std::env::var_os("PATH").unwrap_or_default())
}

/// A command about a pool that can be pasted.
pub(crate) fn pool_command(verb: &str, pool: &str) -> String {
    format!("hostler pool {verb} {}", hostler_image::shell_quote(pool))
}

/// Whether two paths are one file, by name or, for links and mounts, by what they lead to.
pub(crate) fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    a == b || identity(a).is_some_and(|a| identity(b) == Some(a))
}
