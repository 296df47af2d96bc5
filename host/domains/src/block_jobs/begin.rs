//! The beginning of a job: which layers it is about, who else uses them, and the record.

use hostler_image::{LayerQuery, NamedLayer, find_layer};
use hostler_runtime::{BlockJob, BlockJobKind, OpenChain, OpenLayer, RunDocument};
use hostler_state::Definition;
use serde_json::json;

use super::lend;
use super::record::{JobOwner, Pending, Place, Record, step};
use super::settle::document_after;
use super::summary::BlockJobSummary;
use crate::encrypted;
use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::pools::is_same_file;
use crate::recovery::verb;
use crate::reference::DomainRef;
use crate::summary::RunState;

/// A job as a user or another verb wants it. Layers by number, by path or as `vda[2]`.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) kind: BlockJobKind,
    pub(crate) target: String,
    /// The uppermost layer that is left out; the first that can be when not given.
    pub(crate) top: Option<String>,
    /// The layer that stays below; the lowest one for a commit, and none for a pull when not given.
    pub(crate) base: Option<String>,
    /// Whether the active layer may be left out.
    pub(crate) active: bool,
    pub(crate) bandwidth: Option<u64>,
    /// Whether a base may change under others.
    pub(crate) force: bool,
    /// Whether it is not to begin unless the name that is recorded for the base is a relative one.
    pub(crate) relative: bool,
}

/// How layers are committed.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    /// The uppermost layer whose content is committed: a number counted from the active layer 0, or a path.
    pub top: Option<String>,
    /// The layer that it goes into; the lowest if not given.
    pub base: Option<String>,
    /// Whether the active layer is committed too.
    pub active: bool,
    /// Most bytes a second.
    pub bandwidth: Option<u64>,
    /// Whether the base may change although another domain uses it.
    pub force: bool,
    /// Whether to refuse when the name that is recorded for the base cannot stay relative.
    pub relative: bool,
}

/// How layers are pulled into the active one.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// The layer that stays below the active one; none if not given.
    pub base: Option<String>,
    /// Most bytes a second.
    pub bandwidth: Option<u64>,
    /// Whether to refuse when the name that is recorded for the base cannot stay relative.
    pub relative: bool,
}

impl Host {
    /// Lets the content of layers be written into a layer below them, while the guest runs. Returns once it works.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the domain is off, when the disk has a job, or another domain uses the base;
    /// [`Kind::NotFound`] for a disk or layer that there is not; [`Kind::Unsupported`]; what the hypervisor says.
    pub async fn block_commit(
        &self,
        wanted: &DomainRef,
        target: &str,
        options: CommitOptions,
    ) -> Result<BlockJobSummary, Error> {
        let CommitOptions { top, base, active, bandwidth, force, relative } = options;
        let target = target.to_owned();
        let job =
            Wanted { kind: BlockJobKind::Commit, target, top, base, active, bandwidth, force, relative };
        let (definition, runs) = self.active_and_runs(wanted).await?;
        self.begin_job(&definition, &job, runs).await
    }

    /// Lets the content of layers be copied into the active one, while the guest runs. Returns once it works.
    ///
    /// # Errors
    /// As for [`Host::block_commit`].
    pub async fn block_pull(
        &self,
        wanted: &DomainRef,
        target: &str,
        options: PullOptions,
    ) -> Result<BlockJobSummary, Error> {
        let PullOptions { base, bandwidth, relative } = options;
        let (kind, target) = (BlockJobKind::Pull, target.to_owned());
        let job = Wanted { kind, target, top: None, base, active: false, bandwidth, force: false, relative };
        let (definition, runs) = self.active_and_runs(wanted).await?;
        self.begin_job(&definition, &job, runs).await
    }

    /// Lets a job begin, journalled. `runs` says that the hypervisor has just said so of its guest:
    /// else it is asked.
    pub(crate) async fn begin_job(
        &self,
        definition: &Definition,
        wanted: &Wanted,
        runs: bool,
    ) -> Result<BlockJobSummary, Error> {
        self.require_ready_for_job(definition, &wanted.target, runs).await?;
        let before = lend::started_with(self, definition)?;
        let chain = lend::opened(self, &before, &wanted.target)?;
        let mut record = self.planned(&chain, before, wanted)?;
        record.after = document_after(&record.before, &record)?;
        self.require_base_alone(definition, &record, wanted.force)?;
        self.require_no_snapshot(definition, &record, wanted.force)?;
        self.begin_planned(definition, &chain, record).await
    }

    /// Refuses a job for a disk that has one, and for a guest that none can be done for.
    pub(super) async fn require_ready_for_job(
        &self,
        definition: &Definition,
        target: &str,
        runs: bool,
    ) -> Result<(), Error> {
        self.owner()?;
        let driver = self.drivers.by_name(&definition.driver)?;
        if !driver.has("block-jobs") {
            let message =
                format!("the driver '{}' does not work on the disks of its guests", definition.driver);
            return Err(Error::new(Kind::Unsupported, "driver.no-block-jobs", message)
                .about("domain", &definition.name));
        }
        encrypted::require_plain(&self.current_xml(definition)?, target)?;
        self.require_no_job(definition, target)?;
        if runs { Ok(()) } else { self.require_running(definition).await }
    }

    /// Lets a job begin that is planned to the end, journalled.
    pub(super) async fn begin_planned(
        &self,
        definition: &Definition,
        chain: &OpenChain,
        record: Record,
    ) -> Result<BlockJobSummary, Error> {
        let payload = json!(record);
        let journal = self.owner()?.journal();
        let intent = journal.begin(verb::BLOCK_JOB, definition.uuid, step::BEGUN, payload)?;
        let mut pending = Pending { intent, record, given_up: false };
        let begun = self.begin_journalled(definition, chain, &mut pending).await;
        if let Err(error) = begun {
            // The chain is as it was; what was lent is taken back by whoever gets this done.
            if let Err(left) = self.advance(definition, &mut pending).await {
                return Err(error
                    .hint(format!("not all of it could be undone, the next command tries again: {left}")));
            }
            return Err(error);
        }
        Ok(self.summarise_job(definition, &pending, std::time::Duration::ZERO).await)
    }

    /// What a hypervisor is told to give back while its guest is stopped, it keeps until the guest runs: so nothing is lent
    /// to it then.
    pub(crate) async fn require_running(&self, definition: &Definition) -> Result<(), Error> {
        let state = self.query(definition).await?;
        if state == RunState::Running {
            return Ok(());
        }
        let message = format!(
            "the domain '{}' is {}, and a job needs a guest that runs",
            definition.name,
            state.word()
        );
        Err(Error::new(Kind::Conflict, "domain.state", message)
            .about("domain", &definition.name)
            .hint_command("let it go on first", command("resume", &definition.name)))
    }

    async fn begin_journalled(
        &self,
        definition: &Definition,
        chain: &OpenChain,
        pending: &mut Pending,
    ) -> Result<(), Error> {
        self.make_copy(&mut pending.intent, &mut pending.record).await?;
        lend::lend(self, definition, chain, &pending.record).await?;
        let driver = self.drivers.by_name(&definition.driver)?;
        let context = self.job_context(definition, &pending.record)?;
        if pending.record.copy.is_some() {
            driver.prepare_block_job(&context, &pending.record.job).await?;
            lend::freshen_copy(self, definition, &pending.record).await?;
        }
        driver.begin_block_job(&context, &pending.record.job).await?;
        lend::freshen_base(self, definition, &pending.record).await
    }

    /// The job as it is recorded; `after` is still `before`.
    fn planned(&self, chain: &OpenChain, before: RunDocument, wanted: &Wanted) -> Result<Record, Error> {
        let layers = chain.layers();
        let (top, base) = chosen(layers, wanted)?;
        require_whole(layers, &wanted.target)?;
        let reference = match (top.checked_sub(1), base) {
            (Some(above), Some(base)) => Some(chain.reference(above, base, &self.roots())?),
            _ => None,
        };
        if let Some(name) = reference.as_ref().filter(|name| wanted.relative && name.starts_with('/')) {
            let message = format!("the name of the base, '{name}', cannot be a relative one");
            return Err(Error::new(Kind::Invalid, "block.not-relative", message)
                .hint("a name stays relative where every name on the way to the base is"));
        }
        // A pull has its own locks taken anew, and those of a plain image go with who writes to it.
        let is_in_the_way =
            |layer: &&OpenLayer| wanted.kind != BlockJobKind::Commit || !lend::stays_open(&layer.format);
        let mut lent: Vec<_> = layers.first().filter(is_in_the_way).map(|_| 0).into_iter().collect();
        if wanted.kind == BlockJobKind::Commit {
            // The layer above them is told what it stands on.
            lent.extend(top.checked_sub(1).filter(|above| *above > 0));
            lent.extend(base);
        }
        let index = |layer: usize| u32::try_from(layer).unwrap_or(u32::MAX);
        let (kind, target, bandwidth) = (wanted.kind, wanted.target.clone(), wanted.bandwidth);
        let job = BlockJob { kind, target, top: index(top), base: base.map(index), reference, bandwidth };
        Ok(Record {
            job,
            owner: self.job_owner(),
            chain: layers.iter().map(place).collect(),
            lent,
            after: before.clone(),
            before,
            copy: None,
        })
    }

    pub(super) fn job_owner(&self) -> JobOwner {
        let words: Vec<_> = std::env::args().take(12).collect();
        let command = words.join(" ").chars().take(256).collect();
        JobOwner { pid: std::process::id(), command, tenant: self.tenant().map(|tenant| tenant.name.clone()) }
    }

    /// Refuses a second job for a disk, and says whose the first is.
    pub(crate) fn require_no_job(&self, definition: &Definition, target: &str) -> Result<(), Error> {
        let jobs = self.pending_jobs(Some(definition))?;
        jobs.iter()
            .find(|job| job.record.job.target == target)
            .map_or(Ok(()), |job| Err(busy_with(definition, job)))
    }

    /// Refuses what ends a guest and is to bring it back as it was: a job does not survive that, and QEMU lets go of images
    /// under a job only to fail to take them back.
    pub(crate) fn require_no_jobs(&self, definition: &Definition) -> Result<(), Error> {
        self.pending_jobs(Some(definition))?.first().map_or(Ok(()), |job| Err(busy_with(definition, job)))
    }

    /// Refuses to change what a snapshot has kept: a commit writes into its base, and what was above it reads other data then.
    fn require_no_snapshot(
        &self,
        definition: &Definition,
        record: &Record,
        force: bool,
    ) -> Result<(), Error> {
        if record.job.kind != BlockJobKind::Commit || force {
            return Ok(());
        }
        let changed: Vec<_> =
            record.base().into_iter().chain(record.left_out()).map(|place| &place.path).collect();
        for owner in self.definitions()? {
            let tree = self.state().snapshots(owner.uuid)?;
            let kept = tree.snapshots.iter().find_map(|snapshot| {
                let disk = snapshot.disks.iter().find(|disk| changed.contains(&&disk.image))?;
                Some((snapshot, disk))
            });
            let Some((snapshot, disk)) = kept else { continue };
            let message = format!(
                "'{}' is what the snapshot '{}' of the domain '{}' has kept; a commit would change it",
                disk.image.display(),
                snapshot.name,
                owner.name
            );
            return Err(Error::new(Kind::Conflict, "block.base-in-snapshot", message)
                .about("domain", &definition.name)
                .about("image", disk.image.display().to_string())
                .hint_command(
                    "delete the snapshot, which merges what it has kept",
                    format!("{} {}", command("snapshot delete", &owner.name), snapshot.name),
                )
                .hint("with --force it is changed all the same, and the snapshot with it"));
        }
        Ok(())
    }

    /// Refuses to change an image under another disk.
    fn require_base_alone(&self, definition: &Definition, record: &Record, force: bool) -> Result<(), Error> {
        let Some(base) = record.base().filter(|_| record.job.kind == BlockJobKind::Commit && !force) else {
            return Ok(());
        };
        let target = record.job.target.as_str();
        let uses = self.image_uses(&base.path)?;
        let Some(other) = uses.iter().find(|one| one.domain != definition.name || one.disk != target) else {
            return Ok(());
        };
        let state = if other.running { "which runs" } else { "which is off" };
        let message = format!(
            "'{}' is in use by disk {} of the domain '{}', {state}; a commit into it would change that disk",
            base.path.display(),
            other.disk,
            other.domain
        );
        Err(Error::new(Kind::Conflict, "block.base-in-use", message)
            .about("domain", &other.domain)
            .about("image", base.path.display().to_string())
            .hint("commit into a layer above it with --base, or pull instead")
            .hint("with --force it is changed all the same, and what stands on it reads other data"))
    }
}

/// Refuses a chain with data outside its images.
pub(super) fn require_whole(layers: &[OpenLayer], target: &str) -> Result<(), Error> {
    if layers.iter().all(|layer| !layer.data_apart) {
        return Ok(());
    }
    let message = format!("disk '{target}' has an image whose data is in another file");
    Err(Error::new(Kind::Unsupported, "block.data-apart", message))
}

pub(super) fn place(layer: &OpenLayer) -> Place {
    Place { path: layer.path.clone(), format: layer.format.clone(), is_file: layer.is_file, file: layer.file }
}

/// The layers that a job is about: the uppermost that is left out, and the one that stays below.
fn chosen(layers: &[OpenLayer], wanted: &Wanted) -> Result<(usize, Option<usize>), Error> {
    let invalid = |code: &str, message: String| Error::new(Kind::Invalid, code, message);
    let named =
        |name: &Option<String>| name.as_deref().map(|name| found(layers, &wanted.target, name)).transpose();
    let lowest = layers.len().saturating_sub(1);
    if lowest == 0 {
        let message = format!("disk '{}' has one layer, and nothing below it", wanted.target);
        return Err(invalid("block.one-layer", message));
    }
    let base = match wanted.kind {
        BlockJobKind::Commit => Some(named(&wanted.base)?.unwrap_or(lowest)),
        BlockJobKind::Pull | BlockJobKind::Copy => named(&wanted.base)?,
    };
    let first = usize::from(wanted.kind == BlockJobKind::Pull || !wanted.active);
    let top = named(&wanted.top)?.unwrap_or(first);
    if top == 0 && !wanted.active {
        let message = "the active layer is only committed when that is asked for".to_owned();
        return Err(invalid("block.active", message)
            .hint("the guest goes on with the base then: say --active")
            .hint("or name a lower layer with --top"));
    }
    if base.is_some_and(|base| base <= top) {
        let message = match (wanted.kind, base) {
            (BlockJobKind::Pull, _) | (_, Some(0)) => {
                "there is no layer between the active one and the base".to_owned()
            }
            _ => format!("layer {} is not above layer {}", top, base.unwrap_or_default()),
        };
        let error = invalid("block.no-layers", message);
        return Err(match wanted.active || wanted.kind == BlockJobKind::Pull {
            true => error,
            false => error.hint("to commit the active layer, say --active"),
        });
    }
    Ok((top, base))
}

/// A layer by what a user calls it: its place counted from the active one, `vda[2]`, or a path.
fn found(layers: &[OpenLayer], target: &str, name: &str) -> Result<usize, Error> {
    let unknown = |why: String| {
        let has: Vec<_> = layers
            .iter()
            .enumerate()
            .map(|(index, layer)| format!("{index} {}", layer.path.display()))
            .collect();
        Error::new(Kind::NotFound, "block.no-layer", why).hint(format!("the layers are: {}", has.join(", ")))
    };
    if let Ok(index) = name.parse::<usize>() {
        let there = index < layers.len();
        return there
            .then_some(index)
            .ok_or_else(|| unknown(format!("disk '{target}' has no layer {index}")));
    }
    let paths: Vec<_> = layers.iter().map(|layer| layer.path.display().to_string()).collect();
    let named: Vec<_> = layers
        .iter()
        .zip(&paths)
        .enumerate()
        .map(|(index, (_, path))| NamedLayer {
            number: u32::try_from(index).unwrap_or(u32::MAX),
            path,
            recorded: index.checked_sub(1).and_then(|above| layers.get(above)?.recorded.as_deref()),
        })
        .collect();
    let same = |above: Option<usize>, name: &str, place: usize| {
        let directory = above.and_then(|above| layers.get(above)?.path.parent());
        let full = directory.map_or_else(|| name.into(), |directory| directory.join(name));
        layers.get(place).is_some_and(|layer| is_same_file(&full, &layer.path))
    };
    find_layer(&named, LayerQuery { name: Some(name), disk: Some(target), below: None }, same)
        .map_err(|error| unknown(format!("disk '{target}': {error}")))
}

/// Says whose job a disk has.
fn busy_with(definition: &Definition, found: &Pending) -> Error {
    let age_s = hostler_state::unix_ms().saturating_sub(found.intent.started_unix_ms) / 1000;
    let JobOwner { pid, command: of, .. } = &found.record.owner;
    let (kind, target) = (found.record.job.kind.word(), &found.record.job.target);
    let message =
        format!("disk '{target}' has a job: a {kind} that process {pid} ('{of}') began {age_s} s ago");
    Error::new(Kind::Busy, "block.busy", message)
        .about("domain", &definition.name)
        .hint_command("see how far it is", command("block jobs", &definition.name))
        .hint_command("give it up", format!("{} {target}", command("block cancel", &definition.name)))
}
