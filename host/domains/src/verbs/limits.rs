//! `limits`: what a guest may use of its host's processors, memory and block devices, by its control group.

use hostler_domain::numatune::NumaMode;
use hostler_domain::{CpuUser, Document, Domain, Limit};
use hostler_launch::control_group::{Group, GroupError, GroupErrorKind, GroupThread, Layout};
use hostler_state::{Definition, Uuid};

use super::define::Prepared;
use super::hotplug::{Places, Scope};
use super::threads::{GuestThread, ThreadKind, tasks_of};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::process;
use crate::reference::DomainRef;
use crate::summary::DomainSummary;
use crate::verbs::Which;

/// What became of limits that were set.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Limited {
    /// The domain.
    #[serde(flatten)]
    pub summary: DomainSummary,
    /// Whether the guest that runs is held to them.
    pub live: bool,
    /// Whether the stored definition has them.
    pub stored: bool,
}

impl Host {
    /// The limits of a domain: of one that runs those that the kernel holds it to, which are all that this host has, and else those
    /// of its stored definition.
    ///
    /// # Errors
    /// [`Kind::Conflict`] for a guest without a control group; what reading says.
    pub async fn limits(&self, wanted: &DomainRef, which: Which) -> Result<Vec<Limit>, Error> {
        let definition = self.find(wanted)?;
        let runs = self.state().run_dir(definition.uuid).is_held()?;
        if which == Which::Stored || !runs {
            return Ok(Domain::parse(&definition.xml)?.limits);
        }
        let domain = Domain::parse(&self.current_xml(&definition)?)?;
        let pid = self.hypervisor(&definition)?;
        let io_thread = domain.iothreads.all().first().map_or(1, |thread| thread.id);
        process::blocking(move || {
            let layout = layout()?;
            let group = Group::of_process(&layout, pid).map_err(refused)?;
            let mut limits = group.read_all(&layout);
            for (user, number) in [(CpuUser::Vcpu, 0), (CpuUser::Emulator, 0), (CpuUser::IoThread, io_thread)]
            {
                limits.extend(group.read_threads(user, number));
            }
            // The kernel tells devices by numbers; by which name they were meant is written down.
            let named = |limit: &Limit| matches!(limit, Limit::BlockDevice(..));
            limits.extend(domain.limits.into_iter().filter(named));
            Ok(limits)
        })
        .await?
    }

    /// Holds a domain to other limits; those that are not named stay. Of a guest that runs all are set, or none.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for a limit that this host cannot keep; [`Kind::Invalid`] for one that the kernel does not take;
    /// [`Kind::Conflict`] for a guest without a control group.
    pub async fn set_limits(
        &self,
        wanted: &DomainRef,
        limits: &[Limit],
        scope: Scope,
    ) -> Result<Limited, Error> {
        self.owner()?;
        let definition = self.find(wanted)?;
        let places = self.places(&definition, scope)?;
        let prepared = match places.stored {
            true => Some(self.prepare(&with_limits(&definition.xml, limits)?, true).await?),
            false => None,
        };
        if places.live {
            self.set_live_limits(&definition, limits).await?;
        }
        self.limited(definition, places, prepared.as_ref()).await
    }

    /// The end of every change of limits: what was prepared is stored, and all of it told.
    pub(super) async fn limited(
        &self,
        definition: Definition,
        places: Places,
        prepared: Option<&Prepared>,
    ) -> Result<Limited, Error> {
        if let Some(prepared) = prepared {
            self.store(prepared)?;
        }
        let definition = self.state().definition_by_uuid(definition.uuid)?.unwrap_or(definition);
        self.tell(&definition, "limited");
        let summary = self.summarise(&definition).await?;
        Ok(Limited { summary, live: places.live, stored: places.stored })
    }

    /// Says which nodes memory may come from, and how strictly. Of a guest that runs only the nodes change.
    ///
    /// # Errors
    /// As for [`Host::set_limits`].
    pub async fn set_nodes(
        &self,
        wanted: &DomainRef,
        mode: Option<NumaMode>,
        nodes: Option<String>,
        scope: Scope,
    ) -> Result<(), Error> {
        self.owner()?;
        let limit = nodes.map(Limit::Nodes);
        if scope.live {
            let definition = self.find(wanted)?;
            if let Some(limit) = &limit {
                self.set_live_limits(&definition, std::slice::from_ref(limit)).await?;
            }
        }
        if !scope.config {
            return Ok(());
        }
        self.redefined(wanted, |document| {
            if let Some(limit) = &limit {
                limit.write(document)?;
            }
            let memory =
                document.child(document.root(), "numatune").and_then(|tune| document.child(tune, "memory"));
            match mode.zip(memory) {
                Some((mode, memory)) => Ok(document.set_attribute(memory, "mode", mode.as_str())?),
                None => Ok(()),
            }
        })
        .await
    }

    async fn set_live_limits(&self, definition: &Definition, limits: &[Limit]) -> Result<(), Error> {
        let next = self.next_by(definition, |xml| with_limits(xml, limits))?;
        self.require_allowed_to_tenant(&Domain::parse(&next.xml)?)?;
        let group = self.group(definition, limits).await?;
        let threads = match limits.iter().any(Limit::is_of_threads) {
            true => self.threads(&DomainRef::new(definition.uuid.to_string())).await?,
            false => Vec::new(),
        };
        let (whole, of_threads): (Vec<_>, Vec<_>) =
            limits.iter().cloned().partition(|limit| !limit.is_of_threads());
        process::blocking(move || {
            let before = group.read();
            group.set(&whole).map_err(refused)?;
            group.limit_threads(&grouped(&threads), &of_threads).map_err(|error| {
                // They were so before, so the kernel takes them.
                let old = before.into_iter().filter(|old| whole.iter().any(|new| new.is_same_as(old)));
                group.set(&old.collect::<Vec<_>>()).ok();
                refused(error)
            })
        })
        .await??;
        self.replace_run_document(definition, &next)
    }

    /// Holds the threads of a guest that runs to those limits of its document that are theirs.
    pub(super) async fn limit_threads(
        &self,
        definition: &Definition,
        threads: &[GuestThread],
        limits: &[Limit],
    ) -> Result<(), Error> {
        let group = self.group(definition, limits).await?;
        let (threads, limits) = (grouped(threads), limits.to_vec());
        process::blocking(move || group.limit_threads(&threads, &limits)).await?.map_err(refused)
    }

    /// The control group of a guest that runs, in which it can be held to these limits.
    async fn group(&self, definition: &Definition, limits: &[Limit]) -> Result<Group, Error> {
        let pid = self.hypervisor(definition)?;
        let of_cpu = limits.iter().any(Limit::is_of_cpu);
        process::blocking(move || {
            let layout = layout()?;
            let group = if of_cpu { Group::with_cpu(&layout, pid) } else { Group::of_process(&layout, pid) };
            group.map_err(refused)
        })
        .await?
    }

    fn hypervisor(&self, definition: &Definition) -> Result<u32, Error> {
        process::number(self, definition)?.ok_or_else(|| no_group("no process of it runs here"))
    }

    /// Removes what is left of a domain's control group: of one that does not run.
    pub(crate) fn sweep_group(&self, domain: Uuid) {
        let run = self.state().run_dir(domain);
        let swept =
            Layout::of_this_host().and_then(|layout| hostler_launch::control_group::sweep(&layout, &run));
        if let Err(error) = swept {
            tracing::debug!(%domain, %error, "no control group can be looked for");
        }
    }
}

fn with_limits(xml: &str, limits: &[Limit]) -> Result<String, Error> {
    let mut document = Document::parse(xml)?;
    limits.iter().try_for_each(|limit| limit.write(&mut document))?;
    // Read as whoever comes next will read it.
    Ok(Domain::parse(&document.to_xml())?.to_xml())
}

/// The threads of a guest as their limits are about them.
fn grouped(threads: &[GuestThread]) -> Vec<GroupThread> {
    let group = |thread: &GuestThread| {
        let (user, number) = match thread.kind {
            ThreadKind::Vcpu(number) => (CpuUser::Vcpu, number),
            ThreadKind::IoThread(number) => (CpuUser::IoThread, number),
            ThreadKind::Emulator => (CpuUser::Emulator, 0),
        };
        // Of a process that has ended nothing is limited.
        GroupThread { user, number, tasks: tasks_of(threads, thread.kind).unwrap_or_default() }
    };
    threads.iter().map(group).collect()
}

fn layout() -> Result<Layout, Error> {
    Layout::of_this_host().map_err(|error| no_group(&error.to_string()))
}

fn no_group(why: &str) -> Error {
    Error::new(Kind::Conflict, "limit.no-group", format!("the guest has no control group: {why}"))
}

fn refused(error: GroupError) -> Error {
    let (kind, code) = match error.kind {
        GroupErrorKind::Unavailable => (Kind::Unsupported, "limit.unavailable"),
        GroupErrorKind::Refused => (Kind::Invalid, "limit.refused"),
        GroupErrorKind::Device => (Kind::Invalid, "limit.device"),
        GroupErrorKind::NoGroup => (Kind::Conflict, "limit.no-group"),
        GroupErrorKind::Io => (Kind::Host, "limit.io"),
    };
    Error::new(kind, code, error.to_string()).hint(error.hint())
}
