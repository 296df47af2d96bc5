//! `domain`: the handle to one domain, from which everything else hangs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use hostler_domain::Domain as Document;
use hostler_grant::{Capability, Grant};
use hostler_launch::accelerator::recent_probe;
use hostler_state::{Kind as StateErrorKind, NewEvent, StateError};
use hostler_storage::Translations;
use wasmtime::component::Resource;

use super::channels;
use super::transfer::Direction;
use crate::answer;
use crate::bindings::wit::domain::{
    BootFile, Companion, Endpoint, Fact, File, Firmware, Handle, Host, HostDomain, LaunchPlan,
};
use crate::bindings::wit::process::Process;
use crate::bindings::wit::qmp::Monitor;
use crate::bindings::wit::storage::Chain;
use crate::bindings::wit::types::Error;
use crate::call::{CallState, ContractViolation};
use crate::context::{DomainContext, Next, Purpose};
use crate::limits;
use crate::text;

/// How old an answer of `/dev/kvm` may be: a loaded module is noticed within this time.
const PROBE_AGE: Duration = Duration::from_secs(5);

/// Which of the two documents of an operation is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tense {
    /// What the domain is.
    Now,
    /// What it is to be.
    Next,
}

/// The domain of one call.
pub(crate) struct Subject {
    pub(crate) context: DomainContext,
    document: OnceLock<Result<Document, Error>>,
    next_document: OnceLock<Result<Document, Error>>,
    /// The document that its run is to have, once its driver has said what its devices are called.
    pub(super) named: Mutex<Option<String>>,
}

/// What a driver's `domain` handle stands for.
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct Domain(pub(crate) Arc<Subject>);

impl Subject {
    pub(crate) fn new(context: DomainContext) -> Self {
        Self { context, document: OnceLock::new(), next_document: OnceLock::new(), named: Mutex::default() }
    }

    /// Whether nothing may be opened.
    pub(crate) fn describes(&self) -> bool {
        self.context.purpose != Purpose::Operate
    }

    /// The document's model, read at the first use.
    ///
    /// # Errors
    /// `invalid` with line, column and element.
    pub(crate) fn document(&self) -> Result<&Document, Error> {
        self.document.get_or_init(|| model(&self.context.xml)).as_ref().map_err(Clone::clone)
    }

    /// What the domain is to be.
    ///
    /// # Errors
    /// `conflict` in an operation that changes nothing.
    pub(crate) fn next(&self) -> Result<&Next, Error> {
        self.context.next.as_ref().ok_or_else(|| {
            let message = "this operation does not change what the domain is made of";
            Error::Conflict(answer::problem("domain.no-next", message))
        })
    }

    /// The model of one of the two documents, and what the volumes that it names are.
    ///
    /// # Errors
    /// As [`Subject::document`] and [`Subject::next`].
    pub(crate) fn told(&self, tense: Tense) -> Result<(&Document, &Translations), Error> {
        if tense == Tense::Now {
            return Ok((self.document()?, &self.context.volumes));
        }
        let next = self.next()?;
        let document = self.next_document.get_or_init(|| model(&next.xml)).as_ref().map_err(Clone::clone)?;
        Ok((document, &next.volumes))
    }
}

/// The model of a document.
fn model(xml: &str) -> Result<Document, Error> {
    Document::parse(xml).map_err(|error| {
        let mut problem = answer::problem(error.kind.code(), error.message.clone())
            .detail("line", error.position.line.to_string())
            .detail("column", error.position.column.to_string())
            .detail("element", error.path.clone());
        problem.hints = error.hints;
        Error::Invalid(problem)
    })
}

impl CallState {
    pub(crate) fn subject(&self, domain: &Resource<Domain>) -> wasmtime::Result<Arc<Subject>> {
        Ok(Arc::clone(&self.table.get(domain)?.0))
    }

    /// What the driver is told when it uses what it was not granted.
    pub(crate) fn require(&mut self, capability: Capability, scope: &str) -> Result<(), Error> {
        self.driver.granted.require(capability, scope).map_err(|error| {
            let mut problem = answer::problem(error.kind.code(), error.to_string());
            problem.hints = error.hints;
            Error::Denied(problem)
        })?;
        self.activity.used(Grant { capability, scope: scope.to_owned() }.to_string());
        Ok(())
    }
}

/// What the driver is told when the host's records fail.
pub(crate) fn state_failed(error: &StateError) -> Error {
    let mut problem = answer::host(error.kind.code(), error);
    problem.hints.clone_from(&error.hints);
    match error.kind {
        StateErrorKind::Busy => Error::Conflict(problem),
        StateErrorKind::TooLarge => Error::Invalid(problem),
        _ => Error::Host(problem),
    }
}

/// What the driver is told when this process may not change the domain.
pub(crate) fn only_reads() -> Error {
    let message = "this process only reads the state directory, so it changes no domain";
    Error::Conflict(answer::problem("domain.read-only", message))
}

impl Host for CallState {}

impl HostDomain for CallState {
    async fn name(&mut self, me: Resource<Domain>) -> wasmtime::Result<String> {
        self.enter("domain.name")?;
        Ok(self.subject(&me)?.context.name.clone())
    }

    async fn uuid(&mut self, me: Resource<Domain>) -> wasmtime::Result<String> {
        self.enter("domain.uuid")?;
        Ok(self.subject(&me)?.context.uuid.to_string())
    }

    async fn config(&mut self, me: Resource<Domain>) -> wasmtime::Result<String> {
        self.enter("domain.config")?;
        Ok(self.subject(&me)?.context.xml.clone())
    }

    async fn facts(&mut self, me: Resource<Domain>) -> wasmtime::Result<Vec<Fact>> {
        self.enter("domain.facts")?;
        let subject = self.subject(&me)?;
        let probe =
            self.blocking("domain.facts", limits::FILE_DEADLINE, |_| Ok(recent_probe(PROBE_AGE))).await?;
        let kvm = match probe {
            Ok(probe) if probe.usable => "yes".to_owned(),
            Ok(probe) if probe.emulated => format!("yes (emulated: {})", probe.reason),
            Ok(probe) => format!("no: {}", probe.reason),
            Err(_) => "no: /dev/kvm does not answer".to_owned(),
        };
        Ok(vec![
            answer::fact("accelerator.kvm", kvm),
            answer::fact("accelerator.tcg", "yes"),
            answer::fact("numeric-id", subject.context.numeric_id.to_string()),
            answer::fact("comparison", answer::yes_no(subject.context.purpose == Purpose::Compare)),
        ])
    }

    async fn state(&mut self, me: Resource<Domain>) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        self.enter("domain.state")?;
        let subject = self.subject(&me)?;
        self.blocking("domain.state", limits::FILE_DEADLINE, move |_| {
            let context = &subject.context;
            let notes = context.state.directory().driver_state(context.uuid);
            notes.map(Option::unwrap_or_default).map_err(|error| state_failed(&error))
        })
        .await
    }

    async fn put_state(
        &mut self,
        me: Resource<Domain>,
        notes: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.enter("domain.put-state")?;
        let subject = self.subject(&me)?;
        if notes.len() > limits::NOTES_BYTES {
            let message = format!("notes of {} bytes, at most {}", notes.len(), limits::NOTES_BYTES);
            return Ok(Err(Error::Invalid(answer::problem("domain.notes-too-large", message))));
        }
        self.blocking("domain.put-state", limits::FILE_DEADLINE, move |_| {
            let context = &subject.context;
            if subject.describes() {
                let message = "nothing is changed while a document is checked or shown";
                return Err(Error::Conflict(answer::problem("domain.described", message)));
            }
            let owner = context.state.owner().ok_or_else(only_reads)?;
            owner.put_driver_state(context.uuid, &notes).map_err(|error| state_failed(&error))
        })
        .await
    }

    async fn disk(
        &mut self,
        me: Resource<Domain>,
        target: String,
    ) -> wasmtime::Result<Result<Resource<Chain>, Error>> {
        self.enter("domain.disk")?;
        let subject = self.subject(&me)?;
        self.disk_chain(subject, Tense::Now, target).await
    }

    async fn firmware(&mut self, me: Resource<Domain>) -> wasmtime::Result<Result<Option<Firmware>, Error>> {
        self.enter("domain.firmware")?;
        let subject = self.subject(&me)?;
        self.chosen_firmware(subject).await
    }

    async fn boot_file(
        &mut self,
        me: Resource<Domain>,
        which: BootFile,
    ) -> wasmtime::Result<Result<Option<Resource<File>>, Error>> {
        self.enter("domain.boot-file")?;
        let subject = self.subject(&me)?;
        self.open_boot_file(subject, which).await
    }

    async fn endpoint(
        &mut self,
        me: Resource<Domain>,
        alias: String,
    ) -> wasmtime::Result<Result<Resource<Endpoint>, Error>> {
        self.enter("domain.endpoint")?;
        let subject = self.subject(&me)?;
        self.open_endpoint(subject, Tense::Now, alias).await
    }

    async fn launch(
        &mut self,
        me: Resource<Domain>,
        plan: LaunchPlan,
        handles: Vec<Handle>,
    ) -> wasmtime::Result<Result<Resource<Process>, Error>> {
        self.enter("domain.launch")?;
        let subject = self.subject(&me)?;
        self.launch_plan(subject, plan, Vec::new(), handles).await
    }

    async fn name_devices(
        &mut self,
        me: Resource<Domain>,
        names: Vec<(u32, String)>,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.enter("domain.name-devices")?;
        let subject = self.subject(&me)?;
        Ok(subject.name_devices(&names))
    }

    async fn process(&mut self, me: Resource<Domain>) -> wasmtime::Result<Option<Resource<Process>>> {
        self.enter("domain.process")?;
        let subject = self.subject(&me)?;
        self.running_process(subject).await
    }

    async fn monitor(&mut self, me: Resource<Domain>) -> wasmtime::Result<Result<Resource<Monitor>, Error>> {
        self.enter("domain.monitor")?;
        let subject = self.subject(&me)?;
        self.running_monitor(subject).await
    }

    async fn output(&mut self, me: Resource<Domain>) -> wasmtime::Result<Result<Resource<File>, Error>> {
        self.enter("domain.output")?;
        let subject = self.subject(&me)?;
        self.transfer(&subject, Direction::Out)
    }

    async fn input(&mut self, me: Resource<Domain>) -> wasmtime::Result<Result<Resource<File>, Error>> {
        self.enter("domain.input")?;
        let subject = self.subject(&me)?;
        self.transfer(&subject, Direction::In)
    }

    async fn next_config(&mut self, me: Resource<Domain>) -> wasmtime::Result<Result<String, Error>> {
        self.enter("domain.next-config")?;
        Ok(self.subject(&me)?.next().map(|next| next.xml.clone()))
    }

    async fn next_disk(
        &mut self,
        me: Resource<Domain>,
        target: String,
    ) -> wasmtime::Result<Result<Resource<Chain>, Error>> {
        self.enter("domain.next-disk")?;
        let subject = self.subject(&me)?;
        self.disk_chain(subject, Tense::Next, target).await
    }

    async fn launch_with(
        &mut self,
        me: Resource<Domain>,
        plan: LaunchPlan,
        companions: Vec<Companion>,
        handles: Vec<Handle>,
    ) -> wasmtime::Result<Result<Resource<Process>, Error>> {
        self.enter("domain.launch-with")?;
        let subject = self.subject(&me)?;
        self.launch_plan(subject, plan, companions, handles).await
    }

    async fn link(
        &mut self,
        me: Resource<Domain>,
        companion: String,
    ) -> wasmtime::Result<Result<Resource<Endpoint>, Error>> {
        self.enter("domain.link")?;
        self.subject(&me)?;
        self.make_link(companion)
    }

    async fn directory(
        &mut self,
        me: Resource<Domain>,
        name: String,
    ) -> wasmtime::Result<Result<Resource<File>, Error>> {
        self.enter("domain.directory")?;
        let subject = self.subject(&me)?;
        self.open_directory(subject, name).await
    }

    async fn shared_folder(
        &mut self,
        me: Resource<Domain>,
        position: u32,
    ) -> wasmtime::Result<Result<Resource<File>, Error>> {
        self.enter("domain.shared-folder")?;
        let subject = self.subject(&me)?;
        self.open_shared_folder(subject, position).await
    }

    async fn listener(
        &mut self,
        me: Resource<Domain>,
        alias: String,
    ) -> wasmtime::Result<Result<Resource<Endpoint>, Error>> {
        self.enter("domain.listener")?;
        let subject = self.subject(&me)?;
        self.open_listener(subject, alias).await
    }

    async fn viewers(
        &mut self,
        me: Resource<Domain>,
        alias: String,
        listening: bool,
    ) -> wasmtime::Result<Result<Resource<Endpoint>, Error>> {
        self.enter("domain.viewers")?;
        let subject = self.subject(&me)?;
        self.open_viewers(subject, alias, listening).await
    }

    async fn network_interface(
        &mut self,
        me: Resource<Domain>,
        position: u32,
    ) -> wasmtime::Result<Result<Resource<Endpoint>, Error>> {
        self.enter("domain.network-interface")?;
        let subject = self.subject(&me)?;
        self.connect_interface(subject, Tense::Now, position).await
    }

    async fn next_network_interface(
        &mut self,
        me: Resource<Domain>,
        position: u32,
    ) -> wasmtime::Result<Result<Resource<Endpoint>, Error>> {
        self.enter("domain.next-network-interface")?;
        let subject = self.subject(&me)?;
        self.connect_interface(subject, Tense::Next, position).await
    }

    async fn forwarded_ports(
        &mut self,
        me: Resource<Domain>,
        network_interface: u32,
        forward: u32,
    ) -> wasmtime::Result<Result<Resource<Endpoint>, Error>> {
        self.enter("domain.forwarded-ports")?;
        let subject = self.subject(&me)?;
        self.forward_ports(&subject, network_interface, forward)
    }

    async fn next_endpoint(
        &mut self,
        me: Resource<Domain>,
        alias: String,
    ) -> wasmtime::Result<Result<Resource<Endpoint>, Error>> {
        self.enter("domain.next-endpoint")?;
        let subject = self.subject(&me)?;
        self.open_endpoint(subject, Tense::Next, alias).await
    }

    async fn disk_secret(
        &mut self,
        me: Resource<Domain>,
        target: String,
        layer: u32,
    ) -> wasmtime::Result<Result<Resource<File>, Error>> {
        self.enter("domain.disk-secret")?;
        let subject = self.subject(&me)?;
        self.disk_passphrase(subject, Tense::Now, target, layer).await
    }

    async fn next_disk_secret(
        &mut self,
        me: Resource<Domain>,
        target: String,
        layer: u32,
    ) -> wasmtime::Result<Result<Resource<File>, Error>> {
        self.enter("domain.next-disk-secret")?;
        let subject = self.subject(&me)?;
        self.disk_passphrase(subject, Tense::Next, target, layer).await
    }

    async fn emit(&mut self, me: Resource<Domain>, kind: String, facts: Vec<Fact>) -> wasmtime::Result<()> {
        self.enter("domain.emit")?;
        let subject = self.subject(&me)?;
        if !text::is_word(&kind, &['-'], limits::EVENT_KIND_BYTES) {
            let shown = text::escape(&kind, limits::EVENT_KIND_BYTES);
            return Err(ContractViolation(format!("'{shown}' is no kind of event")).into());
        }
        if subject.describes() {
            return Ok(());
        }
        if !self.take_event() {
            tracing::warn!(kind, "the driver emits more events than it may, and they are lost");
            return Ok(());
        }
        let detail = details(&facts);
        let appended = self
            .blocking("domain.emit", limits::FILE_DEADLINE, move |_| {
                let DomainContext { uuid, name, state, .. } = &subject.context;
                if kind == channels::CHANGED
                    && let Err(error) = channels::keep(&subject, &detail)
                {
                    tracing::warn!(domain = name, ?error, "what its guest has open is shown as it was");
                }
                let event = NewEvent { domain: *uuid, name: name.clone(), kind, detail };
                let appended = state.directory().events().append(event);
                appended.map(drop).map_err(|error| state_failed(&error))
            })
            .await?;
        if let Err(error) = appended {
            // The contract's emit never fails: what the event tells of has happened all the same.
            tracing::warn!(?error, "an event was not recorded");
        }
        Ok(())
    }

    async fn drop(&mut self, me: Resource<Domain>) -> wasmtime::Result<()> {
        self.table.delete(me)?;
        Ok(())
    }
}

fn details(facts: &[Fact]) -> BTreeMap<String, String> {
    let short = |text: &str| text::escape(text, limits::TEXT_BYTES);
    facts.iter().take(limits::FACTS).map(|fact| (short(&fact.key), short(&fact.value))).collect()
}
