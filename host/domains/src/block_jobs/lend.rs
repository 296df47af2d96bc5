//! Write access of a running hypervisor to layers that it only reads: lent for the length of a job, and taken back.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hostler_domain::Domain;
use hostler_domain::disk::Disk;
use hostler_domain::storage_source::Location;
use hostler_firmware::store_place;
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

/// Gives the hypervisor fresh descriptors for everything that its guest writes to, in place of those that it has. Locks stay
/// with a descriptor for as long as it is open anywhere: with fresh ones in its sets, a hypervisor that lets its images go
/// lets its locks go too, and can take the images again.
///
/// The guest has to run: QEMU closes no descriptor while it is stopped.
///
/// # Errors
/// What opening or the hypervisor says; a guest that was started by a version that does not know which file is which.
pub(crate) async fn renew(host: &Host, definition: &Definition) -> Result<(), Error> {
    let run = host.state().run_dir(definition.uuid);
    let Some(document) = run.read::<RunDocument>(RunRecord::Document)? else { return Ok(()) };
    let domain = Domain::parse(&document.xml)?;
    let volumes = Translations::recorded(document.volumes.clone());
    let mut written = Vec::new();
    for disk in
        domain.devices.disks.iter().filter(|disk| !disk.readonly && disk.source.location != Location::Empty)
    {
        written.extend(open_chain(disk, &host.roots(), &volumes)?.written()?);
    }
    let default = host.state().variable_store_path(definition.uuid);
    if let Ok(place) = store_place(domain.os.nvram.as_ref(), default)
        && place.path().exists()
    {
        written.push(of_store(place.path())?);
    }
    let receiver = Receiver::of(host, definition)?;
    for (file, descriptors) in written {
        let receiver = receiver.clone();
        process::blocking(move || receiver.replace(file, &descriptors)).await??;
    }
    Ok(())
}

/// Fresh descriptors for a variable store. One that the hypervisor does not have is given to nobody: it is found by the file.
fn of_store(path: &Path) -> Result<(FileId, Vec<OwnedFd>), Error> {
    let opened = || {
        let open = |write| std::fs::OpenOptions::new().read(true).write(write).open(path).map(OwnedFd::from);
        let descriptors = vec![open(true)?, open(false)?];
        let file = descriptors.first().map(FileId::of).transpose()?;
        file.map(|file| (file, descriptors)).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    };
    opened().map_err(|error: std::io::Error| {
        let message = format!("cannot open the variable store '{}'", path.display());
        Error::new(Kind::Host, "nvram.unread", message).caused_by(error)
    })
}
