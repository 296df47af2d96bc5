//! Write access of a running hypervisor to layers that it only reads: lent for the length of a job, and taken back.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use hostler_domain::Domain;
use hostler_domain::disk::Disk;
use hostler_launch::{FileId, Sets, ShimClient, Template};
use hostler_runtime::{OpenChain, RunDocument, open_chain};
use hostler_state::{Definition, RunRecord};
use hostler_storage::Translations;

use super::record::Record;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::process;

/// How long the hypervisor may take for a descriptor.
const WAIT: Duration = Duration::from_secs(10);

/// The hypervisor of a running domain, as far as it is given descriptors.
#[derive(Clone)]
struct Receiver {
    client: ShimClient,
    template: Arc<Template>,
}

impl Receiver {
    fn of(host: &Host, definition: &Definition) -> Result<Self, Error> {
        let run = host.state().run_dir(definition.uuid);
        let launch: Option<serde_json::Value> = run.read(RunRecord::Launch)?;
        let name = launch.as_ref().and_then(|launch| launch.pointer("/plan/template")?.as_str());
        let templates = host.templates()?;
        let template = Arc::clone(templates.get(name.unwrap_or_default())?);
        Ok(Self { client: ShimClient::of(&run), template })
    }

    /// Blocks.
    fn replace(&self, file: FileId, descriptors: &[OwnedFd]) -> Result<bool, Error> {
        let sets = Sets::of(&self.client, WAIT).map_err(refused)?;
        sets.replace(&self.client, &self.template, (file, descriptors), WAIT).map_err(refused)
    }
}

fn refused(error: hostler_launch::QmpError) -> Error {
    Error::new(
        Kind::Hypervisor,
        "block.descriptors",
        "the hypervisor does not take descriptors for its images",
    )
    .caused_by(error)
}

/// The chain of a disk by a document, with its files open.
pub(super) fn opened(host: &Host, document: &RunDocument, target: &str) -> Result<OpenChain, Error> {
    let domain = Domain::parse(&document.xml)?;
    let disk: Option<&Disk> = domain.devices.disks.iter().find(|disk| disk.target.as_str() == target);
    let disk = disk.ok_or_else(|| {
        let has: Vec<_> = domain.devices.disks.iter().map(|disk| disk.target.as_str()).collect();
        Error::new(
            Kind::NotFound,
            "block.no-disk",
            format!("'{}' has no disk '{target}'", domain.name.as_str()),
        )
        .hint(format!("it has: {}", has.join(", ")))
    })?;
    let volumes = Translations::recorded(document.volumes.clone());
    Ok(open_chain(disk, &host.roots(), &volumes)?)
}

/// Lets the hypervisor write to these layers, for as long as [`take_back`] is not called. The active one gets fresh
/// descriptors as well.
///
/// # Errors
/// A guest that was started by a version that does not know which file is which; what the hypervisor says.
pub(super) async fn lend(
    host: &Host,
    definition: &Definition,
    chain: &OpenChain,
    record: &Record,
) -> Result<(), Error> {
    let receiver = Receiver::of(host, definition)?;
    for index in &record.lent {
        let Some(layer) = chain.layers().get(*index) else { continue };
        let (file, descriptors) = (layer.file, chain.descriptors(*index, true)?);
        let receiver = receiver.clone();
        if !process::blocking(move || receiver.replace(file, &descriptors)).await?? {
            let message =
                format!("the hypervisor of '{}' cannot be lent '{}'", definition.name, layer.path.display());
            return Err(Error::new(Kind::Conflict, "block.not-lendable", message)
                .hint("the guest was started by an older version; start it anew"));
        }
    }
    Ok(())
}

/// Leaves the hypervisor what a document says: layers that are only read it can only read again, and what is not in the
/// chain any more is taken away.
///
/// # Errors
/// What opening or the hypervisor says.
pub(super) async fn take_back(
    host: &Host,
    definition: &Definition,
    record: &Record,
    now: &RunDocument,
) -> Result<(), Error> {
    let chain = opened(host, now, &record.job.target)?;
    let receiver = Receiver::of(host, definition)?;
    for (index, place) in record.chain.iter().enumerate() {
        let at = chain.layers().iter().position(|layer| layer.file == place.file);
        let descriptors = match at {
            Some(at) if record.lent.contains(&index) => chain.descriptors(at, at == 0)?,
            Some(_) => continue,
            None => Vec::new(),
        };
        let (receiver, file) = (receiver.clone(), place.file);
        process::blocking(move || receiver.replace(file, &descriptors)).await??;
    }
    Ok(())
}
