//! Telling drivers what their hypervisors said while nobody owned the state directory.

use std::collections::BTreeMap;

use hostler_launch::{QmpEvent, ShimClient, ShimErrorKind};
use hostler_state::{Definition, RunDir, RunRecord};
use serde::{Deserialize, Serialize};

use crate::context::Purpose;
use crate::error::Error;
use crate::host::Host;
use crate::process;

/// The record of how far the events of a run have been passed on.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Seen {
    cursor: u64,
}

/// How far the events of a run have been passed on.
///
/// # Errors
/// When the record cannot be read.
pub(crate) fn seen(run: &RunDir) -> Result<u64, Error> {
    Ok(run.read::<Seen>(RunRecord::Seen)?.unwrap_or_default().cursor)
}

/// Passes on one event of a run to its driver, which has it already: the hypervisor may have ended by now.
///
/// # Errors
/// As [`with_events_of`].
pub(crate) async fn with_event(host: &Host, run: &RunDir, event: &QmpEvent) -> Result<(), Error> {
    let Some(definition) = host.state().definition_by_uuid(run.domain())? else { return Ok(()) };
    let driver = host.drivers.by_name(&definition.driver)?;
    let told = News { definition, cursor: event.cursor, events: Some(vec![event.clone()]) };
    pass_on(host, &driver, &told).await
}

/// Passes on the events of one run to its driver, which has it already.
///
/// # Errors
/// When its definition or its driver cannot be had, or how far it was told cannot be noted.
pub(crate) async fn with_events_of(host: &Host, run: &RunDir) -> Result<(), Error> {
    let Some(told) = news_of(host, run).await? else { return Ok(()) };
    let driver = host.drivers.by_name(&told.definition.driver)?;
    pass_on(host, &driver, &told).await
}

/// What one running domain has to tell.
struct News {
    definition: Definition,
    /// The place of the newest event.
    cursor: u64,
    /// Those after the last that was passed on; none when they are gone from the shim's ring.
    events: Option<Vec<QmpEvent>>,
}

/// Passes on the events since the last owner. A driver one of whose domains has news is offered all its running
/// domains first. A domain that cannot be asked is passed over: `list` shows why. Nor does a damaged record or a
/// full disk keep anybody from switching domains off: what could not be passed on is passed on later.
///
/// # Errors
/// When the state directory cannot be read.
pub(crate) async fn with_events(host: &Host) -> Result<(), Error> {
    let mut by_driver: BTreeMap<String, Vec<News>> = BTreeMap::new();
    for run in host.state().run_dirs()? {
        match news_of(host, &run).await {
            Ok(Some(news)) => by_driver.entry(news.definition.driver.clone()).or_default().push(news),
            Ok(None) => {}
            Err(error) => tracing::warn!(domain = %run.domain(), %error, "its events cannot be looked up"),
        }
    }
    for (driver, news) in by_driver {
        if news.iter().any(|news| news.events.as_ref().is_none_or(|events| !events.is_empty()))
            && let Err(error) = tell(host, &driver, news).await
        {
            tracing::warn!(driver, %error, "its domains' events could not be passed on");
        }
    }
    Ok(())
}

async fn news_of(host: &Host, run: &RunDir) -> Result<Option<News>, Error> {
    if !run.is_held()? {
        return Ok(None);
    }
    match host.state().definition_by_uuid(run.domain())? {
        Some(definition) => news(host, definition).await,
        None => Ok(None),
    }
}

async fn news(host: &Host, definition: Definition) -> Result<Option<News>, Error> {
    let run = host.state().run_dir(definition.uuid);
    let asked = process::blocking(move || {
        let seen = run.read::<Seen>(RunRecord::Seen)?.unwrap_or_default();
        let shim = ShimClient::of(&run);
        let told = shim.cursor().and_then(|cursor| match shim.events_since(seen.cursor) {
            Err(error) if error.kind == ShimErrorKind::EventsLost => Ok((cursor, None)),
            events => Ok((cursor, Some(events?))),
        });
        Ok::<_, Error>(told)
    });
    match asked.await?? {
        Ok((cursor, events)) => Ok(Some(News { definition, cursor, events })),
        Err(error) => {
            tracing::debug!(domain = definition.name, %error, "its events cannot be asked for");
            Ok(None)
        }
    }
}

async fn tell(host: &Host, driver: &str, news: Vec<News>) -> Result<(), Error> {
    let driver = match host.drivers.by_name(driver) {
        Ok(driver) => driver,
        Err(error) => {
            tracing::warn!(driver, %error, "its domains run, and it cannot be told what happened");
            return Ok(());
        }
    };
    for told in &news {
        let context = host.context(&told.definition, Purpose::Operate)?;
        if let Err(error) = driver.reattach(&context).await {
            tracing::warn!(domain = told.definition.name, %error, "the driver could not take it over");
        }
    }
    for told in &news {
        if let Err(error) = pass_on(host, &driver, told).await {
            tracing::warn!(domain = told.definition.name, %error, "how far it was told cannot be noted");
        }
    }
    if let Err(error) = driver.recovery_complete().await {
        tracing::warn!(%error, "the driver could not finish taking over");
    }
    Ok(())
}

/// Passes on one domain's events, then records how far. Events that a driver fails on are not offered again:
/// they would fail again, at every command.
async fn pass_on(host: &Host, driver: &hostler_runtime::Driver, told: &News) -> Result<(), Error> {
    match &told.events {
        None => host.tell(&told.definition, "events-lost"),
        Some(events) if events.is_empty() => return Ok(()),
        Some(events) => {
            let context = host.context(&told.definition, Purpose::Operate)?;
            for event in events {
                if let Err(error) = driver.on_event(&context, event).await {
                    tracing::warn!(domain = told.definition.name, event = event.name, %error, "an event was not taken");
                }
            }
        }
    }
    let cursor =
        told.events.as_ref().and_then(|events| events.last()).map_or(told.cursor, |event| event.cursor);
    Ok(host.state().run_dir(told.definition.uuid).write(RunRecord::Seen, &Seen { cursor })?)
}
