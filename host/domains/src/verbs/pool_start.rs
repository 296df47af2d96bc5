//! `pool start` and `pool stop`: whether the volumes of a pool can be used.

use hostler_domain::pool::PoolType;
use hostler_storage::{prepare_target, require_startable};

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::pools::{pool_command, programs};
use crate::process;
use crate::reference::PoolRef;
use crate::storage_summary::PoolSummary;

impl Host {
    /// Starts a pool: its directory is there, its file system mounted, its group known. With `build`, the directory is
    /// made first.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it is started already; [`Kind::Unsupported`] for a type that this version cannot use;
    /// what is missing, with the remedy.
    pub async fn pool_start(&self, wanted: &PoolRef, build: bool) -> Result<PoolSummary, Error> {
        let mut pool = self.pool(wanted)?;
        let name = pool.definition.name.clone();
        if pool.active {
            let message = format!("the pool '{name}' is started already");
            return Err(Error::new(Kind::Conflict, "pool.active", message).about("pool", name));
        }
        self.owner()?;
        self.require_pool_within(&pool.document)?;
        let (document, reach) = (pool.document.clone(), pool.reach.clone());
        let is_directory = document.kind == PoolType::Dir;
        let startable = process::blocking(move || {
            if build {
                prepare_target(&document, &reach)?;
            }
            require_startable(&document, &programs(), &reach)
        })
        .await?;
        if let Err(error) = startable {
            let error = Error::from(error);
            return Err(match error.kind {
                Kind::NotFound if is_directory => error
                    .hint_command("or let it be made", format!("{} --build", pool_command("start", &name))),
                _ => error,
            });
        }
        self.set_active(pool.definition.uuid, true)?;
        pool.active = true;
        Ok(pool.summary())
    }

    /// Makes the place of a pool and starts nothing.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it is started; [`Kind::Unsupported`] for a type whose place is not made here.
    pub async fn pool_build(&self, wanted: &PoolRef) -> Result<PoolSummary, Error> {
        let pool = self.pool(wanted)?;
        self.owner()?;
        pool.require_inactive("its place is made only while it is not")?;
        self.require_pool_within(&pool.document)?;
        let (document, reach) = (pool.document.clone(), pool.reach.clone());
        process::blocking(move || prepare_target(&document, &reach)).await??;
        Ok(pool.summary())
    }

    /// Stops a pool: nothing of its storage changes, and guests that use its volumes go on. A pool that was only
    /// created is forgotten.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it is not started.
    pub async fn pool_stop(&self, wanted: &PoolRef) -> Result<PoolSummary, Error> {
        let mut pool = self.pool(wanted)?;
        pool.require_active()?;
        if pool.definition.persistent {
            self.set_active(pool.definition.uuid, false)?;
        } else {
            self.owner()?.remove_pool(pool.definition.uuid)?;
        }
        pool.active = false;
        Ok(pool.summary())
    }
}
