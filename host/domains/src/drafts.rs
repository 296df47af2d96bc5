//! New content of volumes, journalled: what a killed process leaves half-made is swept by the next owner.

use std::sync::Arc;

use hostler_state::{Intent, Owner, Uuid, VolumeRecord, unix_ms};
use hostler_storage::{Draft, PoolRoot};
use serde_json::{Value, json};

use crate::error::Error;
use crate::host::Host;
use crate::pools::Pool;
use crate::recovery::verb;

/// Told how much of something is done, from 0 to 1.
pub type Progress = Box<dyn FnMut(f64) + Send>;

/// Makes a volume: fills a draft, records its format, gives it its name. Blocks for as long as that takes.
pub(crate) fn make(
    owner: &Arc<Owner>,
    pool: &Pool,
    (name, format): (&str, &str),
    fill: impl FnOnce(&Draft<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let (root, uuid) = (pool.root()?, pool.definition.uuid);
    let intent = owner.journal().begin(verb::VOL_CREATE, uuid, "begun", json!({"volume": name}))?;
    let done = make_journalled(owner, &root, uuid, (name, format), &intent, fill);
    owner.journal().finish(&intent)?;
    done
}

fn make_journalled(
    owner: &Owner,
    root: &PoolRoot,
    pool: Uuid,
    (name, format): (&str, &str),
    intent: &Intent,
    fill: impl FnOnce(&Draft<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let draft = Draft::begin(root, intent.id)?;
    fill(&draft)?;
    // The record first: a volume is never there without its declared format.
    let record =
        VolumeRecord { name: name.to_owned(), format: format.to_owned(), created_unix_ms: unix_ms() };
    owner.put_volume(pool, &record)?;
    if let Err(error) = draft.publish(name) {
        owner.remove_volume(pool, name)?;
        return Err(error.into());
    }
    Ok(())
}

/// Replaces the content of a volume by way of a draft. Blocks for as long as that takes.
pub(crate) fn replace<T>(
    owner: &Arc<Owner>,
    pool: &Pool,
    name: &str,
    fill: impl FnOnce(Draft<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let root = pool.root()?;
    let uuid = pool.definition.uuid;
    let intent = owner.journal().begin(verb::VOL_UPLOAD, uuid, "begun", json!({"volume": name}))?;
    let done = Draft::begin(&root, intent.id).map_err(Error::from).and_then(fill);
    owner.journal().finish(&intent)?;
    done
}

/// What a new owner does about a volume that was being made, filled or removed. Whether it is settled: a pool that
/// cannot be reached now is asked by the next owner.
pub(crate) fn settle(host: &Host, intent: &Intent) -> Result<bool, Error> {
    let Some(definition) = host.state().pool_by_uuid(intent.domain)? else { return Ok(true) };
    let pool = host.opened_pool(definition)?;
    let root = match pool.root() {
        Ok(root) => root,
        Err(error) => {
            let pool = pool.definition.name;
            tracing::warn!(pool, %error, "an unfinished volume stays until the pool can be reached");
            return Ok(false);
        }
    };
    Draft::sweep(&root, intent.id)?;
    let name = intent.payload.get("volume").and_then(Value::as_str).unwrap_or_default();
    // What is recorded goes with the file: without one, nothing was made, or it is deleted.
    if intent.verb != verb::VOL_UPLOAD && !root.contains(name) {
        host.owner()?.remove_volume(intent.domain, name)?;
    }
    Ok(true)
}
