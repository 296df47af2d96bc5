//! The conformance suite's host: this one, in a state directory of its own that is thrown away.

mod answers;
mod place;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hostler_conformance::{Answer, Component, Failure, Operation, Runner, Subject, Traces};
use hostler_grant::CONTRACT_VERSION;
use hostler_launch::{QmpEvent, ShimClient, ShimErrorKind, end_orphan};
use hostler_package::{COMPONENT_MAX_BYTES, Package};
use hostler_runtime::{DomainContext, Driver};
use hostler_state::{Definition, RunDir, Uuid};
use rustix::process::{Pid, Signal, kill_process};

use crate::DriverPlan;
use crate::context::{Purpose, Subject as Described};
use crate::error::Error;
use crate::host::Host;
use answers::{broken, failed};

pub(crate) use place::Place;

/// How long a hypervisor may take to end before it is killed, and its shim to follow it.
const END_WAIT: Duration = Duration::from_secs(10);

/// The driver that is tried, behind the host that tries it.
pub(crate) struct Bench {
    host: Host,
    component: Component,
    driver: Result<Loaded, String>,
    stopped: Arc<AtomicBool>,
    runtime: tokio::runtime::Runtime,
}

/// A driver, and the file that it was loaded from.
pub(crate) struct Loaded {
    pub(crate) driver: Arc<Driver>,
    /// Where the host has stored it, and under which digest.
    pub(crate) path: PathBuf,
    pub(crate) digest: String,
}

impl Bench {
    /// Calls of the driver run in an event loop of their own, on the thread that asks for them. From the moment that
    /// `stopped` is set no call begins any more.
    ///
    /// # Errors
    /// What keeps the event loop from being made.
    pub(crate) fn new(
        host: Host,
        component: Component,
        driver: Result<Loaded, String>,
        stopped: Arc<AtomicBool>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { host, component, driver, stopped, runtime })
    }

    fn driver(&self) -> Result<&Loaded, Failure> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(broken("the test was interrupted"));
        }
        self.driver.as_ref().map_err(broken)
    }

    /// The driver, loaded once more, as a host that comes back does.
    fn loaded_anew(&self) -> Result<Driver, Failure> {
        let loaded = self.driver()?;
        let load = || -> Result<Driver, Error> {
            let package = Package::stored(&loaded.path, &loaded.digest)?;
            let record = self.host.state().driver(&loaded.driver.manifest().name)?;
            let policy = self.host.drivers.policy_with(record.as_ref());
            Ok(self.host.drivers.runtime()?.load_package(&package, &policy, self.host.drivers.tenant())?)
        };
        load().map_err(|error| broken(error.to_string()))
    }

    fn context(&self, subject: &Subject, purpose: Purpose) -> Result<DomainContext, Error> {
        let described =
            Described { uuid: uuid(subject), name: subject.name.clone(), xml: subject.xml.clone() };
        // What is no domain has no volumes either: what the driver makes of it is what is asked here.
        let mut context = match self.host.context_for(&described, purpose) {
            Ok(context) => context,
            Err(_) => self.host.context_for(&described, Purpose::Describe)?,
        };
        context.purpose = purpose;
        context.numeric_id = self.host.next_numeric_id()?;
        Ok(context)
    }

    async fn carry_out(&self, subject: &Subject, operation: &Operation) -> Result<Answer, Failure> {
        let driver = &self.driver()?.driver;
        let purpose = match operation {
            Operation::Check => Purpose::Describe,
            Operation::Show => Purpose::Examine,
            _ => Purpose::Operate,
        };
        if purpose == Purpose::Operate {
            self.define(subject).map_err(|error| broken(error.to_string()))?;
        }
        let context = self.context(subject, purpose).map_err(|error| broken(error.to_string()))?;
        let done = match operation {
            Operation::Check => return answers::document(driver.check(&context).await),
            Operation::Start { paused } => return self.start(subject, &context, *paused).await,
            Operation::Query => return answers::state(driver.query(&context).await),
            Operation::Reattach => return answers::state(self.loaded_anew()?.reattach(&context).await),
            Operation::Show => return answers::launch(driver.show(&context).await),
            Operation::Statistics => return answers::counters(driver.read_statistics(&context).await),
            Operation::Shutdown => driver.shutdown(&context).await,
            Operation::Destroy => driver.destroy(&context).await,
            Operation::Suspend => driver.suspend(&context).await,
            Operation::Resume => driver.resume(&context).await,
            Operation::Reset => driver.reset(&context).await,
            Operation::OnEvent(event) => {
                let data = serde_json::from_str(&event.data).map_err(|error| broken(error.to_string()))?;
                let event = QmpEvent { cursor: event.cursor, name: event.name.clone(), data };
                driver.on_event(&context, &event).await
            }
        };
        done.map(|()| Answer::Done).map_err(|error| failed(&error))
    }

    /// A start, and on an error the end of whatever it has launched, as a host does it.
    async fn start(
        &self,
        subject: &Subject,
        context: &DomainContext,
        paused: bool,
    ) -> Result<Answer, Failure> {
        let driver = &self.driver()?.driver;
        let ran = self.held(subject)?;
        let options = if paused { vec![("paused".to_owned(), "yes".to_owned())] } else { Vec::new() };
        let started = driver.start(context, &options).await;
        if started.is_err() && !ran {
            self.end(subject)?;
        }
        started.map(|()| Answer::Done).map_err(|error| failed(&error))
    }

    /// Stores the domain: what a driver notes is kept with its definition.
    fn define(&self, subject: &Subject) -> Result<(), Error> {
        if self.host.state().definition_by_uuid(uuid(subject))?.is_some() {
            return Ok(());
        }
        Ok(self.host.owner()?.put_definition(&Definition {
            uuid: uuid(subject),
            name: subject.name.clone(),
            xml: subject.xml.clone(),
            driver: self.component.name.clone().unwrap_or_default(),
            persistent: true,
            generation: 1,
            created_unix_ms: 0,
            changed_unix_ms: 0,
        })?)
    }

    fn run_dir(&self, subject: &Subject) -> RunDir {
        self.host.state().run_dir(uuid(subject))
    }

    fn held(&self, subject: &Subject) -> Result<bool, Failure> {
        self.run_dir(subject).is_held().map_err(|error| broken(error.to_string()))
    }

    /// The number of a domain's hypervisor; nothing when none runs.
    fn hypervisor(&self, subject: &Subject) -> Result<Option<u32>, Failure> {
        match ShimClient::of(&self.run_dir(subject)).status() {
            Ok(status) => Ok(status.ended.is_none().then_some(status.pid)),
            Err(error) if error.kind == ShimErrorKind::NotRunning => Ok(None),
            Err(error) => Err(broken(error.to_string())),
        }
    }

    fn end(&self, subject: &Subject) -> Result<(), Failure> {
        end(&self.run_dir(subject)).map_err(broken)
    }
}

impl Runner for Bench {
    fn component(&self) -> &Component {
        &self.component
    }

    fn refused(&self) -> Option<&str> {
        self.driver.as_ref().err().map(String::as_str)
    }

    fn describe(&self) -> Result<Answer, Failure> {
        let described = self.runtime.block_on(self.driver()?.driver.describe());
        let described = described.map_err(|error| failed(&error))?;
        let facts = described.facts.into_iter().map(|(key, value)| format!("{key} = {value}"));
        Ok(Answer::Description(std::iter::once(described.title).chain(facts).collect()))
    }

    fn call(&self, subject: &Subject, operation: &Operation) -> Result<Answer, Failure> {
        self.runtime.block_on(self.carry_out(subject, operation))
    }

    fn call_together(&self, calls: &[(Subject, Operation)]) -> Vec<Result<Answer, Failure>> {
        let mut running: Vec<_> =
            calls.iter().map(|(subject, operation)| Box::pin(self.carry_out(subject, operation))).collect();
        self.runtime.block_on(async {
            let mut answers: Vec<Option<Result<Answer, Failure>>> = vec![None; running.len()];
            std::future::poll_fn(|waker| {
                for (call, answer) in running.iter_mut().zip(&mut answers) {
                    if answer.is_none()
                        && let std::task::Poll::Ready(ready) = call.as_mut().poll(waker)
                    {
                        *answer = Some(ready);
                    }
                }
                if answers.iter().all(Option::is_some) {
                    std::task::Poll::Ready(())
                } else {
                    std::task::Poll::Pending
                }
            })
            .await;
            answers.into_iter().flatten().collect()
        })
    }

    fn recovery_complete(&self) -> Result<(), Failure> {
        let done = self.runtime.block_on(self.driver()?.driver.recovery_complete());
        done.map_err(|error| failed(&error))
    }

    fn traces(&self, subject: &Subject) -> Result<Traces, Failure> {
        let state = self.host.state();
        let notes = state.driver_state(uuid(subject)).map_err(|error| broken(error.to_string()))?;
        let events = state.events().read_since(0).map_err(|error| broken(error.to_string()))?.events;
        let of_it = events.into_iter().filter(|event| event.domain == uuid(subject));
        Ok(Traces {
            process: self.hypervisor(subject)?,
            notes: notes.unwrap_or_default(),
            events: of_it.map(|event| event.kind).collect(),
        })
    }

    fn host_calls(&self) -> BTreeSet<String> {
        let Ok(loaded) = &self.driver else { return BTreeSet::new() };
        loaded.driver.take_activity().host_calls.into_keys().collect()
    }

    fn lose_hypervisor(&self, subject: &Subject) -> Result<bool, Failure> {
        let Some(pid) = self.hypervisor(subject)? else { return Ok(false) };
        let pid =
            i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| broken("it has no number"))?;
        kill_process(pid, Signal::KILL).map_err(|error| broken(error.to_string()))?;
        match self.run_dir(subject).wait_released(END_WAIT) {
            Ok(true) => Ok(true),
            Ok(false) => Err(broken("its run lock is still held")),
            Err(error) => Err(broken(error.to_string())),
        }
    }

    fn clear(&self, subject: &Subject) -> Result<(), Failure> {
        self.end(subject)?;
        let removed = || -> Result<(), Error> {
            let owner = self.host.owner()?;
            owner.remove_run_dir(uuid(subject))?;
            if self.host.state().definition_by_uuid(uuid(subject))?.is_some() {
                owner.remove_definition(uuid(subject))?;
            }
            Ok(())
        };
        removed().map_err(|error| broken(error.to_string()))
    }
}

/// Ends what runs in a run directory, and waits until nothing of it does.
pub(crate) fn end(run: &RunDir) -> Result<(), String> {
    match ShimClient::connect(run).and_then(|shim| shim.end(true, END_WAIT)) {
        Ok(_) => {}
        Err(error) if matches!(error.kind, ShimErrorKind::NotRunning | ShimErrorKind::Closed) => {}
        Err(error) if error.kind == ShimErrorKind::Orphaned => {
            end_orphan(run).map_err(|error| error.to_string())?;
        }
        Err(error) => return Err(error.to_string()),
    }
    match run.wait_released(END_WAIT) {
        Ok(true) => Ok(()),
        Ok(false) => Err("its run lock is still held".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The cases write identifiers as the contract has them; whatever is none is that of no other domain.
fn uuid(subject: &Subject) -> Uuid {
    Uuid::parse_str(&subject.uuid).unwrap_or(Uuid::nil())
}

/// What the file says of itself, as far as it could be read.
pub(crate) fn component(plan: Option<&DriverPlan>) -> Component {
    let nothing = Component {
        size_limit: COMPONENT_MAX_BYTES,
        contract_offered: CONTRACT_VERSION.to_owned(),
        ..Component::default()
    };
    let Some(plan) = plan else { return nothing };
    Component {
        size: plan.size,
        name: plan.name.clone(),
        version: plan.version.clone(),
        contract: plan.contract.clone(),
        domain_types: plan.domain_types.clone(),
        grants: plan.grants.iter().map(|grant| grant.grant.clone()).collect(),
        imports: plan.imports.clone(),
        exports: plan.exports.clone(),
        ..nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_identifier_belongs_to_nobody() {
        let subject =
            |uuid: &str| Subject { name: "a".to_owned(), uuid: uuid.to_owned(), xml: String::new() };
        assert_eq!(uuid(&subject("x")), Uuid::nil());
        assert_ne!(uuid(&subject("5a8fbe64-1f1c-4d0e-9b57-0b6c1e5a7d11")), Uuid::nil());
    }
}
