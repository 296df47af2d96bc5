//! `pool autostart`: whether a pool is started after a boot of the machine.

use hostler_state::unix_ms;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::PoolRef;
use crate::storage_summary::PoolSummary;

impl Host {
    /// Sets whether the first command after a boot that changes anything starts the pool.
    ///
    /// # Errors
    /// [`Kind::Conflict`] for a pool that is forgotten when it is stopped.
    pub async fn pool_autostart(&self, wanted: &PoolRef, on: bool) -> Result<PoolSummary, Error> {
        let mut pool = self.pool(wanted)?;
        if !pool.definition.persistent {
            let name = &pool.definition.name;
            let message = format!("the pool '{name}' is not defined, so it is not there after a boot");
            return Err(Error::new(Kind::Conflict, "pool.transient", message)
                .about("pool", name)
                .hint_command(
                    "define it from its own document",
                    format!(
                        "hostler pool xml {0} > pool.xml && hostler pool define pool.xml",
                        hostler_image::shell_quote(name)
                    ),
                ));
        }
        if pool.definition.autostart != on {
            pool.definition.autostart = on;
            pool.definition.generation += 1;
            pool.definition.changed_unix_ms = unix_ms();
            self.owner()?.put_pool(&pool.definition)?;
        }
        Ok(pool.summary())
    }
}
