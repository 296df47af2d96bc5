//! What this machine has that pools can be made of.

use hostler_domain::pool::PoolType;
use hostler_storage::{VolumeGroupFound, volume_groups};

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::pools::programs;
use crate::process;

impl Host {
    /// The volume groups of this machine, which a pool of type logical is made of. What pools of other types are made of is not
    /// looked for.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for other types; what keeps them from being found.
    pub async fn pool_sources(&self, kind: &str) -> Result<Vec<VolumeGroupFound>, Error> {
        if kind != PoolType::Logical.as_str() {
            let message = format!("pool type '{kind}' does not support source discovery");
            return Err(Error::new(Kind::Unsupported, "pool.no-discovery", message));
        }
        if let Some(tenant) = self.tenant() {
            let message = "volume groups are the operator's";
            return Err(Error::new(Kind::Denied, "pool.type-denied", message).about("tenant", &tenant.name));
        }
        Ok(process::blocking(|| volume_groups(&programs())).await??)
    }
}
