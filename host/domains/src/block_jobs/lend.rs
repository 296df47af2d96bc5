//! Write access of a running hypervisor to layers that it only reads: lent for the length of a job, and taken back.

use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hostler_domain::Domain;
use hostler_domain::disk::{Disk, DiskDevice};
use hostler_domain::storage_source::Location;
use hostler_launch::{FileId, Sets, ShimClient, Template};
use hostler_runtime::{BlockJobKind, OpenChain, RunDocument, open_chain};
use hostler_state::{Definition, RunRecord};
use hostler_storage::Translations;

use super::record::Record;
use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::process;
use crate::summary::RunState;

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

    /// Puts these in the place of all descriptors for a file, and says whether the others are gone. Blocks.
    fn leave(&self, file: FileId, descriptors: &[OwnedFd]) -> Result<bool, Error> {
        self.replace(file, descriptors)?;
        Ok(Sets::of(&self.client, WAIT).map_err(refused)?.count(file) <= descriptors.len())
    }

    /// Lets the hypervisor have these files by these descriptors alone, and whether it has each. What was taken away from the
    /// others while the guest stood still is given back first: for the files that are replaced that goes without saying. Blocks.
    fn replace_all(&self, files: &[(FileId, Vec<OwnedFd>)], others: &[FileId]) -> Result<Vec<bool>, Error> {
        let sets = Sets::of(&self.client, WAIT).map_err(refused)?;
        sets.sweep_files(&self.client, &self.template, others, WAIT).map_err(refused)?;
        let files: Vec<_> = files.iter().map(|(file, fds)| (*file, fds.as_slice())).collect();
        sets.replace_all(&self.client, &self.template, &files, WAIT).map_err(refused)
    }

    /// Has what was taken away while the guest stood still be given back now. Blocks.
    fn sweep(&self) -> Result<(), Error> {
        Sets::sweep(&self.client, &self.template, WAIT).map_err(refused)
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

/// Lets the hypervisor write to these layers, for as long as [`take_back`] is not called.
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
    let (mut files, mut paths, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for (index, layer) in chain.layers().iter().enumerate() {
        if record.lent.contains(&index) {
            files.push((layer.file, chain.descriptors(index, true)?));
            paths.push(layer.path.clone());
        } else if index > 0 || !stays_open(&layer.format) {
            // A job may open what was written to before its guest stood still, whose locks would be in the way.
            others.push(layer.file);
        }
    }
    let has = process::blocking(move || receiver.replace_all(&files, &others)).await??;
    let missing = paths.iter().zip(has).find(|(_, has)| !has);
    missing.map_or(Ok(()), |(path, _)| Err(not_lendable(definition, path)))
}

/// Whether no lock of an active layer of this format is in the hypervisor's way when its guest goes on with another. Through
/// qcow2 it is the format that writes, whoever writes to that, so the file's locks stay as they are; and when the layer gets
/// an overlay, QEMU opens it again for reading with its own locks where they are, as it does for a guest that is paused, which
/// gives nothing back. A plain file has the locks that its writers need.
pub(crate) fn stays_open(format: &str) -> bool {
    format == "qcow2"
}

impl Host {
    /// The same as [`Self::freshen`] for those of these disks that need it before they go on in overlays, if the guest runs: of
    /// one that is stopped nothing is given back.
    ///
    /// # Errors
    /// As [`Self::freshen`].
    pub(crate) async fn freshen_below(
        &self,
        definition: &Definition,
        targets: &[String],
    ) -> Result<(), Error> {
        let document = started_with(self, definition)?;
        let mut closed = Vec::new();
        for target in targets {
            let chain = opened(self, &document, target)?;
            let active = chain.layers().first();
            if active.is_some_and(|layer| layer.data_apart || !stays_open(&layer.format)) {
                closed.push(target.clone());
            }
        }
        if closed.is_empty() || self.query(definition).await? != RunState::Running {
            return Ok(());
        }
        self.freshen(definition, &closed).await
    }

    /// Gives the hypervisor of a running guest other descriptors for what these disks write to. A descriptor keeps the locks
    /// that were taken by it for as long as it is in a set, also where the hypervisor has let go of them: with fresh ones an
    /// image can be closed for writing, and opened again.
    ///
    /// # Errors
    /// A guest that was started by a version that does not know which file is which; what the hypervisor says.
    pub(crate) async fn freshen(&self, definition: &Definition, targets: &[String]) -> Result<(), Error> {
        let document = started_with(self, definition)?;
        let receiver = Receiver::of(self, definition)?;
        for target in targets {
            let chain = opened(self, &document, target)?;
            let Some(layer) = chain.layers().first() else { continue };
            for (file, descriptors) in chain.written()? {
                let receiver = receiver.clone();
                if !process::blocking(move || receiver.replace(file, &descriptors)).await?? {
                    return Err(not_lendable(definition, &layer.path));
                }
            }
        }
        Ok(())
    }

    /// The same for everything that the guest writes to, its variable store too: for a hypervisor that is to write the guest
    /// out, which closes all of that, and opens it again if the guest goes on.
    ///
    /// # Errors
    /// As [`Self::freshen`].
    pub(crate) async fn freshen_all(&self, definition: &Definition) -> Result<(), Error> {
        let document = started_with(self, definition)?;
        let writes = |disk: &&Disk| {
            !disk.readonly && disk.device != DiskDevice::Cdrom && disk.source.location != Location::Empty
        };
        let disks = Domain::parse(&document.xml)?.devices.disks;
        let targets: Vec<_> =
            disks.iter().filter(writes).map(|disk| disk.target.as_str().to_owned()).collect();
        self.freshen(definition, &targets).await?;
        let Some(store) = self.store_file(definition, &document.xml)? else { return Ok(()) };
        let unopened =
            |error| Error::new(Kind::Host, "block.store", "cannot open the variable store").caused_by(error);
        let again = format!("/proc/self/fd/{}", store.as_raw_fd());
        let open = |writes| Ok(OwnedFd::from(File::options().read(true).write(writes).open(&again)?));
        let descriptors = [open(true).map_err(unopened)?, open(false).map_err(unopened)?];
        let file = FileId::of(&store).map_err(unopened)?;
        let receiver = Receiver::of(self, definition)?;
        process::blocking(move || receiver.replace(file, &descriptors)).await?.map(drop)
    }

    /// Has the hypervisor of a guest that goes on give back what was taken away from it while its guest stood still: it keeps
    /// that until then, and its locks with it. A hypervisor that does not is told again before the next job.
    pub(crate) async fn give_back_descriptors(&self, definition: &Definition) {
        let swept = match Receiver::of(self, definition) {
            Ok(receiver) => process::blocking(move || receiver.sweep()).await.and_then(|swept| swept),
            Err(error) => Err(error),
        };
        if let Err(error) = swept {
            tracing::debug!(domain = definition.name, %error, "the hypervisor gives no descriptors back");
        }
    }

    /// Takes the write access away to what these disks wrote to before they went on in overlays.
    ///
    /// # Errors
    /// As [`Self::freshen`].
    pub(crate) async fn close_below(&self, definition: &Definition, targets: &[String]) -> Result<(), Error> {
        let document = started_with(self, definition)?;
        let receiver = Receiver::of(self, definition)?;
        for target in targets {
            let chain = opened(self, &document, target)?;
            let Some(layer) = chain.layers().get(1) else { continue };
            let (file, descriptors) = (layer.file, chain.descriptors(1, false)?);
            let receiver = receiver.clone();
            process::blocking(move || receiver.replace(file, &descriptors)).await??;
        }
        Ok(())
    }
}

/// What a running guest was started with, or has become since.
pub(super) fn started_with(host: &Host, definition: &Definition) -> Result<RunDocument, Error> {
    let run = host.state().run_dir(definition.uuid);
    run.read(RunRecord::Document)?.ok_or_else(|| {
        Error::new(Kind::Conflict, "domain.no-document", "nothing tells what this guest was started with")
            .about("domain", &definition.name)
            .hint("start it anew")
    })
}

fn not_lendable(definition: &Definition, path: &Path) -> Error {
    let message = format!("the hypervisor of '{}' cannot be lent '{}'", definition.name, path.display());
    Error::new(Kind::Conflict, "block.not-lendable", message)
        .hint("the guest was started by an older version; start it anew")
}

/// Gives the hypervisor other descriptors for a plain base or copy, once it has it open for writing: only then does it give its locks
/// back with what it has open, which it does when the job ends, before it may open the base again. QEMU 7.2 ends itself where
/// locks are in its own way.
///
/// # Errors
/// [`Kind::Conflict`] for a guest that is stopped: the job is not to end before it runs. What opening or the hypervisor says.
pub(super) async fn freshen_base(host: &Host, definition: &Definition, record: &Record) -> Result<(), Error> {
    let Some((document, index)) = written_plain(record) else { return Ok(()) };
    let chain = opened(host, document, &record.job.target)?;
    let Some(place) = chain.layers().get(index) else { return Ok(()) };
    let descriptors = chain.descriptors(index, true)?;
    let (receiver, file) = (Receiver::of(host, definition)?, place.file);
    if process::blocking(move || receiver.leave(file, &descriptors)).await?? {
        return Ok(());
    }
    let message =
        format!("the hypervisor keeps '{}' locked while its guest is stopped", place.path.display());
    Err(Error::new(Kind::Conflict, "block.stopped", message)
        .about("domain", &definition.name)
        .hint_command("let it go on: the job ends then", command("resume", &definition.name)))
}

/// The plain image that a job writes to beside the active layer: its place in the chain of one of the job's documents.
fn written_plain(record: &Record) -> Option<(&RunDocument, usize)> {
    if let Some(copy) = &record.copy {
        return (copy.format == "raw").then_some((&record.after, 0));
    }
    let base = usize::try_from(record.job.base?).ok()?;
    let lent = record.job.kind == BlockJobKind::Commit && record.lent.contains(&base);
    (lent && record.chain.get(base)?.format == "raw").then_some((&record.before, base))
}

/// Gives the hypervisor other descriptors for the image that a copy goes into, once it has it open: QEMU takes its locks on the
/// one that it opens to read, and then writes by another, whose way those would be in.
///
/// # Errors
/// What opening or the hypervisor says.
pub(super) async fn freshen_copy(host: &Host, definition: &Definition, record: &Record) -> Result<(), Error> {
    let chain = opened(host, &record.after, &record.job.target)?;
    let Some(layer) = chain.layers().first() else { return Ok(()) };
    let (receiver, file, descriptors) =
        (Receiver::of(host, definition)?, layer.file, chain.descriptors(0, true)?);
    process::blocking(move || receiver.replace(file, &descriptors)).await?.map(drop)
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
    let mut files = Vec::new();
    for (index, place) in record.chain.iter().enumerate() {
        match chain.layers().iter().position(|layer| layer.file == place.file) {
            // What the guest goes on with stays as it was lent: the guest writes to it by what the job did.
            Some(0) if stays_open(&place.format) => {}
            Some(at) if record.lent.contains(&index) => {
                files.push((place.file, chain.descriptors(at, at == 0)?));
            }
            Some(_) => {}
            None => files.push((place.file, Vec::new())),
        }
    }
    process::blocking(move || receiver.replace_all(&files, &[])).await?.map(drop)
}
