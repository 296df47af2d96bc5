//! `pool define`: stores the definition of a pool, new or in place of an older one.

use std::path::PathBuf;

use hostler_domain::DomainUuid;
use hostler_domain::pool::{PoolType, StoragePool};
use hostler_state::{PoolDefinition, Uuid, unix_ms};

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::pools::{Pool, is_same_file};
use crate::storage_summary::PoolDefined;
use crate::summary::Warning;

impl Host {
    /// Checks a document and stores it; durable when this returns. Pools of every type can be defined.
    ///
    /// # Errors
    /// [`Kind::Invalid`] with line, column and element; [`Kind::Exists`] when the name, the identifier or the place
    /// belongs to another pool; [`Kind::Conflict`] for another place of a pool that is started. Nothing is stored then.
    pub async fn pool_define(&self, xml: &str) -> Result<PoolDefined, Error> {
        self.store_pool(xml, true)
    }

    /// Everything that `define` does; a pool that is not persistent is there for as long as it is started.
    pub(crate) fn store_pool(&self, xml: &str, persistent: bool) -> Result<PoolDefined, Error> {
        let mut document = StoragePool::parse(xml)?;
        let older = self.older_pool(&document)?;
        let uuid = match (&document.uuid, &older) {
            (Some(uuid), _) => Uuid::from_bytes(*uuid.as_bytes()),
            (None, Some(older)) => older.definition.uuid,
            (None, None) => Uuid::new_v4(),
        };
        self.require_pool_within(&document)?;
        self.require_own_place(&document, uuid)?;
        let moved = older.as_ref().filter(|older| {
            (older.document.kind, &older.document.target.path) != (document.kind, &document.target.path)
        });
        if let Some(older) = moved {
            older.require_inactive("its type and place change only while it is not")?;
        }
        let moved = moved.is_some();
        if let Some(chosen) = DomainUuid::from_bytes(uuid.into_bytes()) {
            document.set_uuid(&chosen)?;
        }
        let (now, older) = (unix_ms(), older.map(|older| older.definition));
        let definition = PoolDefinition {
            uuid,
            name: document.name.as_str().to_owned(),
            xml: document.to_xml(),
            persistent: persistent || older.as_ref().is_some_and(|older| older.persistent),
            autostart: older.as_ref().is_some_and(|older| older.autostart),
            generation: older.as_ref().map_or(1, |older| older.generation + 1),
            created_unix_ms: older.as_ref().map_or(now, |older| older.created_unix_ms),
            changed_unix_ms: now,
        };
        if moved {
            // What was declared of volumes elsewhere says nothing about those of the new place.
            for record in self.state().volumes(uuid)? {
                self.owner()?.remove_volume(uuid, &record.name)?;
            }
        }
        self.owner()?.put_pool(&definition)?;
        let warnings = warnings(&document);
        let summary = self.opened_pool(definition)?.summary();
        Ok(PoolDefined { summary, created: older.is_none(), warnings })
    }

    /// The pool that this document replaces.
    pub(super) fn older_pool(&self, document: &StoragePool) -> Result<Option<Pool>, Error> {
        let pools = self.state().pools()?;
        let named = pools.iter().find(|pool| pool.name == document.name.as_str());
        let uuid = document.uuid.map(|uuid| Uuid::from_bytes(*uuid.as_bytes()));
        let identified = pools.iter().find(|pool| Some(pool.uuid) == uuid);
        match (named, identified) {
            (Some(named), _) if uuid.is_some_and(|uuid| uuid != named.uuid) => Err(exists(
                format!("the name '{}' belongs to the pool {}", named.name, named.uuid),
                "give the document another name, or that identifier",
            )),
            (_, Some(identified)) if identified.name != document.name.as_str() => Err(exists(
                format!("the identifier {} belongs to the pool '{}'", identified.uuid, identified.name),
                "take the <uuid> out of the document to get a new one, or keep the name",
            )),
            (found, other) => found.or(other).cloned().map(|found| self.opened_pool(found)).transpose(),
        }
    }

    /// One directory is one pool: two would each take the other's volumes for their own.
    fn require_own_place(&self, document: &StoragePool, uuid: Uuid) -> Result<(), Error> {
        let place = |pool: &StoragePool| {
            let own = matches!(
                pool.kind,
                PoolType::Dir | PoolType::Fs | PoolType::Netfs | PoolType::Logical | PoolType::Zfs
            );
            pool.target.path.as_deref().filter(|_| own).map(PathBuf::from)
        };
        let Some(wanted) = place(document) else { return Ok(()) };
        // However it is written, and through whatever links: what counts is where it leads.
        let is_wanted = |pool: &Pool| place(&pool.document).is_some_and(|path| is_same_file(&path, &wanted));
        let taken = |pool: &&Pool| pool.definition.uuid != uuid && is_wanted(pool);
        match self.pools()?.iter().find(taken) {
            None => Ok(()),
            Some(other) => Err(exists(
                format!(
                    "'{}' is the place of the pool '{}' already",
                    wanted.display(),
                    other.definition.name
                ),
                "give the pool a directory of its own",
            )),
        }
    }
}

fn exists(message: String, hint: &str) -> Error {
    Error::new(Kind::Exists, "pool.exists", message).hint(hint)
}

fn warnings(document: &StoragePool) -> Vec<Warning> {
    let kept = document.unmodelled().iter();
    kept.map(|item| Warning { message: format!("{item} is kept and not acted on by this version") }).collect()
}
