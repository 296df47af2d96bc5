//! What a new owner does first: finishes or undoes what the owner before it left unfinished.

use std::time::Duration;

use hostler_state::{Definition, Intent, Uuid};

use crate::catch_up;
use crate::context::Purpose;
use crate::drafts;
use crate::error::Error;
use crate::host::Host;
use crate::migration;
use crate::process;
use crate::summary::RunState;
use crate::variable_store;
use crate::verbs::{hotplug, restore};

/// How long a half-started hypervisor may take to end before it is killed.
const END_WAIT: Duration = Duration::from_secs(5);

/// Verbs that write an intent before their first effect.
pub(crate) mod verb {
    /// A hypervisor is being started.
    pub(crate) const START: &str = "start";
    /// A guest is being put away into a file.
    pub(crate) const SAVE: &str = "save";
    /// A guest is being sent elsewhere.
    pub(crate) const MIGRATE: &str = "migrate";
    /// A guest is being taken from elsewhere.
    pub(crate) const RECEIVE: &str = "receive";
    /// The hypervisor works on a disk, or is asked to.
    pub(crate) const BLOCK_JOB: &str = "block-job";
    /// Snapshots are being taken, gone back to or deleted.
    pub(crate) const SNAPSHOT: &str = "snapshot";
    /// A definition is being removed.
    pub(crate) const UNDEFINE: &str = "undefine";
    /// A device of a running guest is being plugged in.
    pub(crate) const ATTACH: &str = "attach";
    /// A device of a running guest is being taken out.
    pub(crate) const DETACH: &str = "detach";
    /// A device of a running guest is being changed.
    pub(crate) const UPDATE: &str = "update-device";
    /// A running guest is being given more or less memory, or processors.
    pub(crate) const RESIZE: &str = "resize";
    /// A guest stands still while something is done, and is to go on afterwards.
    pub(crate) const QUIESCE: &str = "quiesce";
    /// A volume is being made.
    pub(crate) const VOL_CREATE: &str = "vol-create";
    /// The content of a volume is being replaced.
    pub(crate) const VOL_UPLOAD: &str = "vol-upload";
    /// A volume is being removed.
    pub(crate) const VOL_DELETE: &str = "vol-delete";
}

/// Settles the journal, keeps what runs without a definition, removes transient domains whose process has ended,
/// and tells drivers what they missed.
///
/// # Errors
/// What keeps the state directory from being settled; the intent stays for the next owner.
pub(crate) async fn settle(host: &Host) -> Result<(), Error> {
    // A deletion of a snapshot is settled by what has become of its job: jobs come first.
    let (jobs, others): (Vec<_>, Vec<_>) =
        host.state().pending()?.into_iter().partition(|intent| intent.verb == verb::BLOCK_JOB);
    for mut intent in jobs.into_iter().chain(others) {
        match intent.verb.as_str() {
            verb::START => {
                if !settle_start(host, &intent).await? {
                    continue;
                }
            }
            verb::SAVE => crate::verbs::save::settle(host, &mut intent).await?,
            verb::SNAPSHOT => {
                if !crate::snapshots::change::settle(host, &intent).await {
                    continue;
                }
            }
            verb::MIGRATE => {
                if !migration::settle_send(host, &mut intent).await {
                    continue;
                }
            }
            verb::RECEIVE => {
                if !migration::settle_receive(host, &mut intent).await {
                    continue;
                }
            }
            verb::ATTACH | verb::DETACH | verb::UPDATE => {
                if !hotplug::settled(host, &intent).await {
                    continue;
                }
            }
            verb::RESIZE => {
                if !hotplug::sized(host, &intent).await {
                    continue;
                }
            }
            verb::QUIESCE => {
                if !crate::verbs::agent::thawed(host, &intent).await {
                    continue;
                }
            }
            verb::BLOCK_JOB => {
                crate::block_jobs::settle_or_tell(host, &intent).await;
                continue;
            }
            verb::UNDEFINE => crate::verbs::undefine::settle(host, &intent).await?,
            verb::VOL_CREATE | verb::VOL_UPLOAD | verb::VOL_DELETE => {
                if !drafts::settle(host, &intent) {
                    continue;
                }
            }
            other => {
                // A newer version's intent, or a damaged one that still reads: leave it to who knows.
                tracing::warn!(verb = other, id = intent.id, "an unknown operation is pending");
                continue;
            }
        }
        host.owner()?.journal().finish(&intent)?;
    }
    host.settle_pools()?;
    host.settle_networks().await?;
    host.keep_lost()?;
    forget_ended_transients(host)?;
    hotplug::settle_leaving(host).await?;
    catch_up::with_events(host).await?;
    host.settle_autostart().await
}

/// A start that was not acknowledged: kept if its guest has begun, undone if it has not. Whether that is settled.
async fn settle_start(host: &Host, intent: &Intent) -> Result<bool, Error> {
    let definition = host.state().definition_by_uuid(intent.domain)?;
    let runs = match &definition {
        Some(definition) => has_begun(host, definition).await?,
        None => false,
    };
    let stored = match runs {
        true => variable_store::settle_noted(host, intent, definition.as_ref()),
        false => variable_store::undo_noted(host, intent, definition.as_ref()),
    };
    if let Err(error) = stored {
        tracing::warn!(%error, "the variable store of a half-finished start cannot be settled; the next owner tries again");
        return Ok(false);
    }
    restore::settle(host, intent, runs)?;
    if !runs {
        host.sweep_group(intent.domain);
    }
    match &definition {
        Some(definition) if runs => restore::let_go_on(host, intent, definition).await,
        Some(definition) => undo_start(host, definition)?,
        None => {}
    }
    Ok(true)
}

/// Whether a half-started domain has a guest. What has none is ended.
async fn has_begun(host: &Host, definition: &Definition) -> Result<bool, Error> {
    let run = host.state().run_dir(definition.uuid);
    if !run.is_held()? {
        return Ok(false);
    }
    match state_by_driver(host, definition).await {
        Ok(RunState::Starting | RunState::Off) => {
            process::end(host, definition, END_WAIT).await?;
            Ok(false)
        }
        // It runs, or nobody can tell: a guest is never killed on a guess. It is listed either way.
        Ok(_) => Ok(true),
        Err(error) => {
            // A shim whose start nobody waits for ends it, and then cannot be asked.
            if process::blocking(move || run.wait_released(END_WAIT)).await?? {
                return Ok(false);
            }
            tracing::warn!(domain = definition.name, %error, "a half-finished start cannot be looked into");
            Ok(true)
        }
    }
}

async fn state_by_driver(host: &Host, definition: &Definition) -> Result<RunState, Error> {
    let driver = host.drivers.by_name(&definition.driver)?;
    let context = host.context(definition, Purpose::Operate)?;
    Ok(driver.reattach(&context).await?.into())
}

/// Leaves nothing of a start that did not come to be. A transient domain was only its start.
pub(crate) fn undo_start(host: &Host, definition: &Definition) -> Result<(), Error> {
    if !definition.persistent {
        remove_transient(host, definition.uuid)?;
    }
    Ok(())
}

fn forget_ended_transients(host: &Host) -> Result<(), Error> {
    for headline in host.state().headlines()? {
        let ended = !headline.persistent
            && host.drivers.by_name(&headline.driver).is_ok_and(|driver| process::is_ours(&driver))
            && !host.state().is_held(headline.uuid)?;
        if ended {
            remove_transient(host, headline.uuid)?;
        }
    }
    Ok(())
}

/// Removes a transient domain that has ended, with its run directory.
pub(crate) fn remove_transient(host: &Host, domain: Uuid) -> Result<(), Error> {
    let owner = host.owner()?;
    owner.remove_run_dir(domain)?;
    match owner.remove_definition(domain) {
        // Whoever ended it was there first.
        Err(error) if error.kind == hostler_state::Kind::NotFound => Ok(()),
        removed => Ok(removed?),
    }
}
