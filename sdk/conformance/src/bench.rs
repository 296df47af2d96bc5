//! What cases ask of a driver, and what they make of its answers.

use std::cell::{OnceCell, RefCell};

use uuid::Uuid;

use crate::case::{Fault, Finding, fault, skipped};
use crate::runner::{Answer, Component, Failure, FailureKind, Operation, RunState, Runner, Subject, Traces};
use crate::{Settings, documents, text};

/// One driver, and the domains that the case that runs has made.
pub(crate) struct Bench<'a> {
    runner: &'a dyn Runner,
    settings: &'a Settings,
    made: RefCell<Vec<Subject>>,
    startable: OnceCell<Result<String, Finding>>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(runner: &'a dyn Runner, settings: &'a Settings) -> Self {
        Self { runner, settings, made: RefCell::default(), startable: OnceCell::new() }
    }

    /// The host.
    pub(crate) fn runner(&self) -> &dyn Runner {
        self.runner
    }

    /// The driver's file.
    pub(crate) fn component(&self) -> &Component {
        self.runner.component()
    }

    /// Goes on for a driver that exports an optional interface.
    ///
    /// # Errors
    /// Skipped, for another.
    pub(crate) fn require_interface(&self, name: &str) -> Result<(), Finding> {
        let begin = format!("hostler:driver/{name}@");
        if self.component().exports.iter().any(|export| export.starts_with(&begin)) {
            return Ok(());
        }
        Err(skipped(format!("the driver does not export {name}, which it need not")))
    }

    /// Leaves nothing of the domains that were made.
    ///
    /// # Errors
    /// What could not be ended.
    pub(crate) fn clear(&self) -> Result<(), Fault> {
        let mut left = Ok(());
        for subject in self.made.take() {
            if let Err(failure) = self.runner.clear(&subject) {
                left = Err(Fault {
                    asked: format!("the end of '{}' after the case", text::shown(&subject.name)),
                    expected: "nothing of it is left".to_owned(),
                    came: text::shown(&failure.to_string()),
                });
            }
        }
        left
    }

    /// A domain with this document.
    pub(crate) fn subject(&self, xml: &str) -> Subject {
        let uuid = documents::element(xml, "uuid").unwrap_or_else(|| documents::UUID.to_owned());
        let name = documents::element(xml, "name").unwrap_or_else(|| "conformance".to_owned());
        self.keep(Subject { name, uuid, xml: xml.to_owned() })
    }

    /// A domain of a type, with the least that it has.
    pub(crate) fn minimal(&self, kind: &str) -> Subject {
        let uuid = Uuid::new_v4().to_string();
        self.subject(&documents::minimal(kind, &name_of(&uuid), &uuid))
    }

    /// A domain of a type, with more than the least.
    pub(crate) fn with(&self, kind: &str, more: &str) -> Subject {
        let uuid = Uuid::new_v4().to_string();
        self.subject(&documents::around(kind, &name_of(&uuid), &uuid, more))
    }

    fn keep(&self, subject: Subject) -> Subject {
        self.made.borrow_mut().push(subject.clone());
        subject
    }

    /// The first domain type of the manifest.
    ///
    /// # Errors
    /// There is none: a driver that takes no domains can do nothing that is looked at.
    pub(crate) fn kind(&self) -> Result<&str, Finding> {
        let first = self.component().domain_types.first();
        first.map(String::as_str).ok_or_else(|| skipped("the manifest names no domain type"))
    }

    /// A new domain that can be started here, checked.
    ///
    /// # Errors
    /// Skipped, when nothing can be started here.
    pub(crate) fn startable(&self) -> Result<Subject, Finding> {
        let document = self.startable.get_or_init(|| self.find_startable()).clone()?;
        self.checked(&document)
    }

    /// As [`Self::startable`], for two that are there at the same time.
    ///
    /// # Errors
    /// Skipped also when the document that was given is for one domain at a time.
    pub(crate) fn two_startable(&self) -> Result<[Subject; 2], Finding> {
        let first = self.startable()?;
        if documents::can_run_twice(&first.xml) {
            return Ok([first, self.startable()?]);
        }
        Err(skipped("the document that was given has disks, and two domains cannot have them at once"))
    }

    /// A domain that was started.
    ///
    /// # Errors
    /// As [`Self::startable`]; failed when the start fails.
    pub(crate) fn started(&self) -> Result<Subject, Finding> {
        let subject = self.startable()?;
        self.must(&subject, Operation::Start { paused: false })?;
        Ok(subject)
    }

    fn checked(&self, document: &str) -> Result<Subject, Finding> {
        let uuid = Uuid::new_v4().to_string();
        let renamed = documents::renamed(document, &name_of(&uuid), &uuid);
        let given = renamed.map_err(|why| skipped(format!("the document that was given: {why}")))?;
        let written = self.subject(&given);
        let completed = self.document(&written)?;
        Ok(self.keep(Subject { xml: completed, ..written }))
    }

    /// The document that was given, or the least of the first domain type that can be started on this machine.
    fn find_startable(&self) -> Result<String, Finding> {
        if let Some(given) = &self.settings.document {
            return Ok(given.clone());
        }
        let mut reasons = Vec::new();
        for kind in &self.component().domain_types {
            match self.try_start(kind) {
                Err(failure) if is_for_want(failure.kind) => {
                    reasons.push(format!("type '{kind}': {failure}"))
                }
                // Whether a start that fails otherwise is right is for the cases to say.
                _ => return Ok(documents::minimal(kind, "conformance", documents::UUID)),
            }
        }
        let reasons = reasons.join("; ");
        Err(skipped(format!(
            "no domain can be started here; give a document that can be: --domain FILE ({reasons})"
        )))
    }

    fn try_start(&self, kind: &str) -> Result<(), Failure> {
        let subject = self.minimal(kind);
        let Answer::Document(xml) = self.runner.call(&subject, &Operation::Check)? else { return Ok(()) };
        let subject = self.keep(Subject { xml, ..subject });
        let started = self.runner.call(&subject, &Operation::Start { paused: true });
        self.runner.clear(&subject)?;
        started.map(drop)
    }

    /// An operation that has to succeed.
    ///
    /// # Errors
    /// Failed, when it does not.
    pub(crate) fn must(&self, subject: &Subject, operation: Operation) -> Result<Answer, Finding> {
        self.runner
            .call(subject, &operation)
            .map_err(|failure| fault(&asked(subject, &operation), "success", &failure.to_string()))
    }

    /// What `check` makes of a domain's document.
    ///
    /// # Errors
    /// Failed, when it refuses it.
    pub(crate) fn document(&self, subject: &Subject) -> Result<String, Finding> {
        match self.must(subject, Operation::Check)? {
            Answer::Document(document) => Ok(document),
            other => Err(fault(&asked(subject, &Operation::Check), "a document", &other.to_string())),
        }
    }

    /// What the driver says that a domain is doing, by `query` or `reattach`.
    ///
    /// # Errors
    /// Failed, when it does not say.
    pub(crate) fn state(&self, subject: &Subject, how: Operation) -> Result<RunState, Finding> {
        let asked = asked(subject, &how);
        match self.must(subject, how)? {
            Answer::State(state) => Ok(state),
            other => Err(fault(&asked, "a state", &other.to_string())),
        }
    }

    /// The domain has to be in this state, and `query` has to say so. `after` tells what has led there.
    ///
    /// # Errors
    /// Failed, when it does not.
    pub(crate) fn must_be(&self, subject: &Subject, state: RunState, after: &str) -> Result<(), Finding> {
        self.must_be_one_of(subject, &[state], after)
    }

    /// The domain has to be in one of these states, and `query` has to say so.
    ///
    /// # Errors
    /// Failed, when it does not.
    pub(crate) fn must_be_one_of(
        &self,
        subject: &Subject,
        states: &[RunState],
        after: &str,
    ) -> Result<(), Finding> {
        let found = self.state(subject, Operation::Query)?;
        if states.contains(&found) {
            return Ok(());
        }
        let wanted: Vec<_> = states.iter().map(|state| format!("'{state}'")).collect();
        let asked = format!("{} {after}", asked(subject, &Operation::Query));
        Err(fault(&asked, &format!("the state {}", wanted.join(" or ")), &format!("the state '{found}'")))
    }

    /// An operation that has to be answered with one of these errors.
    ///
    /// # Errors
    /// Failed, when it succeeds, fails otherwise, or the driver breaks.
    pub(crate) fn must_refuse(
        &self,
        subject: &Subject,
        operation: Operation,
        kinds: &[FailureKind],
    ) -> Result<Failure, Finding> {
        let expected = one_of(kinds);
        match self.runner.call(subject, &operation) {
            Err(failure) if kinds.contains(&failure.kind) => Ok(failure),
            Err(failure) => Err(fault(&asked(subject, &operation), &expected, &failure.to_string())),
            Ok(answer) => Err(fault(&asked(subject, &operation), &expected, &answer.to_string())),
        }
    }

    /// An operation that may succeed, having nothing to do, or be answered with a conflict.
    ///
    /// # Errors
    /// Failed, when it fails otherwise, or the driver breaks.
    pub(crate) fn may_conflict(&self, subject: &Subject, operation: Operation) -> Result<(), Finding> {
        match self.runner.call(subject, &operation) {
            Ok(_) => Ok(()),
            Err(failure) if failure.kind == FailureKind::Conflict => Ok(()),
            Err(failure) => {
                Err(fault(&asked(subject, &operation), "success or error 'conflict'", &failure.to_string()))
            }
        }
    }

    /// What the host sees of a domain.
    ///
    /// # Errors
    /// Failed, when the host cannot look.
    pub(crate) fn traces(&self, subject: &Subject) -> Result<Traces, Finding> {
        let traces = self.runner.traces(subject);
        traces
            .map_err(|failure| fault("the host's own view of the domain", "an answer", &failure.to_string()))
    }

    /// Nothing of the domain may be there: no process, no notes, no events.
    ///
    /// # Errors
    /// Failed, with what is there.
    pub(crate) fn must_be_untouched(&self, subject: &Subject, after: &str) -> Result<(), Finding> {
        let traces = self.traces(subject)?;
        if traces == Traces::default() {
            return Ok(());
        }
        let asked = format!("the host's own view of '{}' {after}", subject.name);
        let came = format!(
            "process {:?}, {} bytes of notes, events {:?}",
            traces.process,
            traces.notes.len(),
            traces.events
        );
        Err(fault(&asked, "no process, no notes, no events", &came))
    }
}

/// What was asked, for a report.
pub(crate) fn asked(subject: &Subject, operation: &Operation) -> String {
    match operation {
        Operation::Check => format!("check of the document {}", subject.xml),
        operation => format!("{operation} of '{}'", subject.name),
    }
}

/// Whether a start failed for want of something on this machine, and not because of the driver.
fn is_for_want(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Unsupported | FailureKind::ProgramMissing)
}

fn one_of(kinds: &[FailureKind]) -> String {
    kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

fn name_of(uuid: &str) -> String {
    format!("conformance-{}", uuid.get(..8).unwrap_or(uuid))
}
