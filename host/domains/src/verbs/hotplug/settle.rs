//! What a new owner does about changes of devices whose end nobody saw.

use hostler_domain::Domain;
use hostler_state::{Definition, Intent, RunDir};

use super::change::{Change, noted};
use crate::devices;
use crate::error::Error;
use crate::host::Host;
use crate::recovery::verb;

/// Finds out which of the two documents of a change is true, and has it recorded. Whether that could be done; else the
/// next owner tries again.
pub(crate) async fn settled(host: &Host, intent: &Intent) -> bool {
    match settle(host, intent).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(id = intent.id, verb = intent.verb, %error, "what became of a device is not known; the next command looks again");
            false
        }
    }
}

async fn settle(host: &Host, intent: &Intent) -> Result<(), Error> {
    let change = noted(intent)?;
    let Some(definition) = host.state().definition_by_uuid(intent.domain)? else { return Ok(()) };
    if !host.state().run_dir(definition.uuid).is_held()? {
        // The guest is gone, and what is stored is as it was before, or as it was to be.
        return Ok(());
    }
    match intent.verb.as_str() {
        verb::ATTACH => settle_attach(host, intent, &definition, &change).await,
        verb::DETACH => settle_detach(host, intent, &definition, &change).await,
        _ => settle_update(host, intent, &definition, &change).await,
    }
}

async fn settle_attach(
    host: &Host,
    intent: &Intent,
    definition: &Definition,
    change: &Change,
) -> Result<(), Error> {
    let driver = host.drivers.by_name(&definition.driver)?;
    let (context, next) = host.changing(definition, &change.next)?;
    let Some(device) = devices::identified(&Domain::parse(&change.next)?, &change.device) else {
        return Ok(());
    };
    if driver.settle_device(&context, device.place).await? {
        host.replace_run_document(definition, &next)?;
        host.store_wanted(intent, change)?;
    }
    Ok(())
}

async fn settle_detach(
    host: &Host,
    intent: &Intent,
    definition: &Definition,
    change: &Change,
) -> Result<(), Error> {
    if is_gone(host, definition, &change.device).await? {
        return host.store_wanted(intent, change);
    }
    // It may have been asked.
    host.note_leaving(definition, |leaving| {
        if !leaving.contains(&change.device) {
            leaving.push(change.device.clone());
        }
    })
}

/// Forward, as what was asked for; where that cannot be, back.
async fn settle_update(
    host: &Host,
    intent: &Intent,
    definition: &Definition,
    change: &Change,
) -> Result<(), Error> {
    let driver = host.drivers.by_name(&definition.driver)?;
    let (context, next) = host.changing(definition, &change.next)?;
    let Some(device) = devices::identified(&Domain::parse(&change.next)?, &change.device) else {
        return Ok(());
    };
    let options = if change.force { vec![("force".to_owned(), "yes".to_owned())] } else { Vec::new() };
    match driver.update_device(&context, device.place, &options).await {
        Ok(()) => {
            host.replace_run_document(definition, &next)?;
            host.store_wanted(intent, change)
        }
        Err(error) => {
            tracing::warn!(device = change.device, %error, "a change of a device cannot be finished, and is undone");
            let (context, _) = host.changing(definition, &context.xml)?;
            Ok(driver.update_device(&context, device.place, &options).await?)
        }
    }
}

/// Whether a device that was asked for is gone; then the document is without it.
pub(super) async fn is_gone(host: &Host, definition: &Definition, identity: &str) -> Result<bool, Error> {
    let current = host.current_xml(definition)?;
    let Some(device) = devices::identified(&Domain::parse(&current)?, identity) else { return Ok(true) };
    let driver = host.drivers.by_name(&definition.driver)?;
    let (context, _) = host.changing(definition, &current)?;
    if driver.settle_device(&context, device.place).await? {
        return Ok(false);
    }
    let (_, next) = host.changing(definition, &devices::without(&current, identity)?)?;
    host.replace_run_document(definition, &next)?;
    Ok(true)
}

/// Looks what became of devices that guests were asked to let go of. A guest that cannot be asked, or whose record is
/// damaged, keeps nobody from the others: it is looked at the next time.
///
/// # Errors
/// When the state directory cannot be read.
pub(crate) async fn settle_leaving(host: &Host) -> Result<(), Error> {
    for run in host.state().run_dirs()? {
        if let Err(error) = settle_leaving_of(host, &run).await {
            tracing::warn!(domain = %run.domain(), %error, "what became of its devices is not known");
        }
    }
    Ok(())
}

async fn settle_leaving_of(host: &Host, run: &RunDir) -> Result<(), Error> {
    let Some(definition) = host.state().definition_by_uuid(run.domain())? else { return Ok(()) };
    for identity in host.leaving(&definition)? {
        match is_gone(host, &definition, &identity).await {
            Ok(true) => {
                host.note_leaving(&definition, |leaving| leaving.retain(|other| *other != identity))?
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(domain = definition.name, device = identity, %error, "what became of a device is not known");
            }
        }
    }
    Ok(())
}
