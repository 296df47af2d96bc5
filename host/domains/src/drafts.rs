//! New content of volumes, journalled: what a killed process leaves half-made is swept by the next owner.

use std::sync::Arc;

use hostler_state::{Intent, Owner, Uuid, VolumeRecord, VolumeSecret, unix_ms};
use hostler_storage::{Draft, PoolRoot};
use serde_json::{Value, json};

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::pools::Pool;
use crate::recovery::verb;

/// Told how much of something is done, from 0 to 1.
pub type Progress = Box<dyn FnMut(f64) + Send>;

/// What is recorded about a volume that is made.
pub(crate) struct Made<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its format by its name in documents.
    pub(crate) format: &'a str,
    /// The secret that it is encrypted with.
    pub(crate) secret: Option<VolumeSecret>,
}

/// Makes a volume: fills a draft, records its format, gives it its name. Blocks for as long as that takes.
pub(crate) fn make(
    owner: &Arc<Owner>,
    pool: &Pool,
    made: Made<'_>,
    fill: impl FnOnce(&Draft<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let (root, uuid) = (pool.root()?, pool.definition.uuid);
    let intent = owner.journal().begin(verb::VOL_CREATE, uuid, "begun", payload(&root, made.name)?)?;
    let done = make_journalled(owner, &root, uuid, made, &intent, fill);
    finish(owner, &root, &intent)?;
    done
}

fn make_journalled(
    owner: &Owner,
    root: &PoolRoot,
    pool: Uuid,
    Made { name, format, secret }: Made<'_>,
    intent: &Intent,
    fill: impl FnOnce(&Draft<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let draft = Draft::begin(root, intent.id)?;
    fill(&draft)?;
    // The record first: a volume is never there without its declared format.
    let file = draft.identity()?.to_string();
    let record = VolumeRecord {
        name: name.to_owned(),
        format: format.to_owned(),
        created_unix_ms: unix_ms(),
        files: vec![file.clone()],
        directory: Some(root.identity()?.to_string()),
        secret,
    };
    let older = owner.volume(pool, name)?;
    owner.put_volume(pool, &record)?;
    let Err(error) = draft.publish(name) else { return Ok(()) };
    let is_there = root.identity_of(name).is_ok_and(|there| there.to_string() == file);
    match older {
        // It has its name, and may lose it by a power cut.
        _ if is_there => {}
        // Another volume got the name meanwhile.
        Some(older) => owner.put_volume(pool, &older)?,
        None => owner.remove_volume(pool, name)?,
    }
    Err(error.into())
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
    let intent = owner.journal().begin(verb::VOL_UPLOAD, uuid, "begun", payload(&root, name)?)?;
    let done = replace_journalled(owner, &root, uuid, name, &intent, fill);
    finish(owner, &root, &intent)?;
    done
}

/// The record follows the file: it is about both while one takes the place of the other.
fn replace_journalled<T>(
    owner: &Owner,
    root: &PoolRoot,
    pool: Uuid,
    name: &str,
    intent: &Intent,
    fill: impl FnOnce(Draft<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let draft = Draft::begin(root, intent.id)?;
    let Some(record) = owner.volume(pool, name)? else { return fill(draft) };
    let file = draft.identity()?.to_string();
    let files = |files: Vec<String>| VolumeRecord { files, ..record.clone() };
    // One that is about every file of its name is about this one too.
    if !record.files.is_empty() {
        owner.put_volume(pool, &files(record.files.iter().chain([&file]).cloned().collect()))?;
    }
    let filled = fill(draft);
    let is_there = root.identity_of(name).is_ok_and(|there| there.to_string() == file);
    let directory = root.identity()?.to_string();
    let after = match is_there {
        true => VolumeRecord { directory: Some(directory), ..files(vec![file]) },
        false => record.clone(),
    };
    owner.put_volume(pool, &after)?;
    filled
}

/// What an intent says about a volume: its name, and the directory that it was in, for a path may lead elsewhere by the
/// time somebody settles it.
pub(crate) fn payload(root: &PoolRoot, name: &str) -> Result<Value, Error> {
    Ok(json!({"volume": name, "directory": root.identity()?.to_string()}))
}

/// An operation is over when nothing is left of its draft; otherwise the next owner tries to remove it.
fn finish(owner: &Owner, root: &PoolRoot, intent: &Intent) -> Result<(), Error> {
    if Draft::is_swept(root, intent.id) {
        owner.journal().finish(intent)?;
    }
    Ok(())
}

/// What a new owner does about a volume that was being made, filled or removed. Whether it is settled: what cannot be
/// settled now, as in a pool that cannot be reached, is tried by the next owner and holds nobody up.
pub(crate) fn settle(host: &Host, intent: &Intent) -> bool {
    let settled = try_settle(host, intent);
    if let Err(error) = &settled {
        let (verb, id) = (&intent.verb, intent.id);
        tracing::warn!(verb, id, %error, "an unfinished volume stays until its pool can be reached");
    }
    settled.is_ok()
}

fn try_settle(host: &Host, intent: &Intent) -> Result<(), Error> {
    let Some(definition) = host.state().pool_by_uuid(intent.domain)? else { return Ok(()) };
    let pool = definition.name.clone();
    let root = host.opened_pool(definition)?.root()?;
    require_begun_in(&root, intent, &pool)?;
    Draft::sweep(&root, intent.id)?;
    let name = intent.payload.get("volume").and_then(Value::as_str).unwrap_or_default();
    // What is recorded goes with the file: without one, nothing was made, or it is deleted.
    if intent.verb != verb::VOL_UPLOAD && root.lacks(name) {
        host.owner()?.remove_volume(intent.domain, name)?;
    }
    Ok(())
}

/// Refuses to settle in another directory, as while nothing is mounted: what is not there may well be in the right one.
fn require_begun_in(root: &PoolRoot, intent: &Intent, pool: &str) -> Result<(), Error> {
    // Intents of earlier versions do not say.
    let Some(begun_in) = intent.payload.get("directory").and_then(Value::as_str) else { return Ok(()) };
    if root.identity()?.to_string() == begun_in {
        return Ok(());
    }
    let message = format!(
        "'{}' is not the directory that the pool '{pool}' had when the operation began",
        root.path().display()
    );
    Err(Error::new(Kind::Conflict, "pool.other-directory", message)
        .about("pool", pool)
        .hint("mount what belongs there; if it is gone for good, undefine the pool and define it again"))
}
