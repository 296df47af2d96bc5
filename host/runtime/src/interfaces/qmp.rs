//! `qmp`: the control connection, through the domain's shim and the program's command policy.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use hostler_grant::Capability;
use hostler_launch::{
    COMMANDS_MAX, Door, Handle, QmpError, QmpErrorKind, RenderedArguments, Sets, ShimClient, ShimErrorKind,
    Template, Value, check_reaction, owner_of, render_arguments,
};
use hostler_state::RunRecord;
use serde_json::json;
use wasmtime::component::Resource;

use super::domain::{Subject, state_failed};
use super::process::{self, Process, launch_failed, shim_failed};
use super::value::tree;
use crate::answer;
use crate::bindings::wit::qmp::{Command, Event, Host, HostMonitor};
use crate::bindings::wit::types::Error;
use crate::bindings::wit::value::Handle as WitHandle;
use crate::call::{CallState, ContractViolation};
use crate::limits;
use crate::text;

/// What a blocking call leaves of its time for the way back.
const MARGIN: Duration = Duration::from_millis(100);

/// The connection to a running hypervisor.
#[derive(Clone)]
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct Monitor {
    client: ShimClient,
    template: Arc<Template>,
    /// The names that this operation may have written into headers of images.
    references: Vec<String>,
}

/// A command as the shim takes it.
type Sendable = (String, Option<serde_json::Value>);

/// A command that is sent once another is answered.
type Closing = (String, serde_json::Value);

/// A command that the hypervisor has the descriptors of.
struct Prepared {
    arguments: Option<serde_json::Value>,
    after: Vec<Closing>,
    after_failure: Vec<Closing>,
    released: Option<String>,
    door: Option<(Door, Option<OwnedFd>)>,
}

/// A command with its tree checked against the contract.
struct Request {
    name: String,
    arguments: Option<Value>,
}

impl Host for CallState {}

impl HostMonitor for CallState {
    async fn execute(
        &mut self,
        me: Resource<Monitor>,
        command: Command,
        handles: Vec<WitHandle>,
    ) -> wasmtime::Result<Result<String, Error>> {
        self.enter("qmp.execute")?;
        let monitor = self.table.get(&me)?.clone();
        let handles = self.handles(&handles)?;
        let request = request(command, handles.len())?;
        self.blocking("qmp.execute", limits::COMMAND_DEADLINE, move |allowed| {
            monitor.execute(&request, &handles, allowed.saturating_sub(MARGIN))
        })
        .await
    }

    async fn execute_all(
        &mut self,
        me: Resource<Monitor>,
        commands: Vec<Command>,
        handles: Vec<WitHandle>,
    ) -> wasmtime::Result<Vec<Result<String, Error>>> {
        self.enter("qmp.execute-all")?;
        let monitor = self.table.get(&me)?.clone();
        if commands.len() > limits::COMMANDS {
            let found = commands.len();
            return Err(
                ContractViolation(format!("{found} commands at once, at most {}", limits::COMMANDS)).into()
            );
        }
        let handles = self.handles(&handles)?;
        let requests: Vec<_> =
            commands.into_iter().map(|command| request(command, handles.len())).collect::<Result<_, _>>()?;
        let count = requests.len();
        let answers = self
            .blocking("qmp.execute-all", limits::COMMAND_DEADLINE, move |allowed| {
                Ok(monitor.execute_all(&requests, &handles, allowed.saturating_sub(MARGIN)))
            })
            .await?;
        Ok(answers.unwrap_or_else(|error| vec![Err(error); count]))
    }

    async fn answer_once(
        &mut self,
        me: Resource<Monitor>,
        event: String,
        commands: Vec<String>,
        unless: Vec<String>,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.enter("qmp.answer-once")?;
        let monitor = self.table.get(&me)?.clone();
        self.blocking("qmp.answer-once", limits::SHIM_DEADLINE, move |_| {
            check_reaction(&monitor.template, &event, &commands, &unless)
                .map_err(|error| launch_failed(&error))?;
            monitor.client.answer_once(&event, &commands, &unless).map_err(|error| shim_failed(&error))
        })
        .await
    }

    async fn cursor(&mut self, me: Resource<Monitor>) -> wasmtime::Result<u64> {
        self.enter("qmp.cursor")?;
        let monitor = self.table.get(&me)?.clone();
        let cursor = self
            .blocking("qmp.cursor", limits::SHIM_DEADLINE, move |_| match monitor.client.cursor() {
                Err(error) if has_ended(error.kind) => Ok(0),
                cursor => cursor.map_err(|error| shim_failed(&error)),
            })
            .await?;
        // A wrong place would make an old event look like the answer to a new command.
        cursor.map_err(|error| super::unanswerable("qmp.cursor", &error))
    }

    async fn wait_event(
        &mut self,
        me: Resource<Monitor>,
        names: Vec<String>,
        cursor: u64,
        timeout_ms: u64,
    ) -> wasmtime::Result<Result<Option<Event>, Error>> {
        self.enter("qmp.wait-event")?;
        let monitor = self.table.get(&me)?.clone();
        let wanted = Duration::from_millis(timeout_ms);
        self.blocking("qmp.wait-event", limits::WAIT_DEADLINE, move |allowed| {
            let timeout = wanted.min(allowed.saturating_sub(MARGIN));
            match monitor.client.wait_event(&names, cursor, timeout) {
                Ok(event) => Ok(event.map(|event| Event {
                    cursor: event.cursor,
                    name: event.name,
                    data: event.data.to_string(),
                })),
                Err(error) if has_ended(error.kind) => Ok(None),
                Err(error) => Err(shim_failed(&error)),
            }
        })
        .await
    }

    async fn drop(&mut self, me: Resource<Monitor>) -> wasmtime::Result<()> {
        self.table.delete(me)?;
        Ok(())
    }
}

fn has_ended(kind: ShimErrorKind) -> bool {
    matches!(kind, ShimErrorKind::NotRunning | ShimErrorKind::Closed)
}

fn request(command: Command, handles: usize) -> Result<Request, ContractViolation> {
    let arguments = command.arguments.map(|arguments| tree(arguments, handles)).transpose()?;
    Ok(Request { name: command.name, arguments })
}

impl Monitor {
    fn execute(&self, request: &Request, handles: &[Handle], timeout: Duration) -> Result<String, Error> {
        let prepared = self.prepare(request, handles, timeout)?;
        if let Some((door, socket)) = &prepared.door {
            let opened = self.client.open_door(door, socket.as_ref().map(OwnedFd::as_fd));
            return opened.map(|()| "{}".to_owned()).map_err(|error| shim_failed(&error));
        }
        let answer = self.client.execute(&request.name, prepared.arguments.as_ref(), &[], timeout);
        let answer = answer.map(|value| value.to_string()).map_err(|error| refused(&error));
        self.close(&prepared, &answer, timeout);
        answer
    }

    /// All that may be sent is sent at once; what policy refuses is answered in its place.
    fn execute_all(
        &self,
        requests: &[Request],
        handles: &[Handle],
        timeout: Duration,
    ) -> Vec<Result<String, Error>> {
        let prepared: Vec<_> = requests
            .iter()
            .map(|request| {
                let prepared = self.prepare(request, handles, timeout)?;
                match prepared.door {
                    None => Ok((request.name.clone(), prepared)),
                    Some(_) => Err(Error::Unsupported(answer::problem(
                        "qmp.by-itself",
                        format!("'{}' is for connections to a display, and is sent by itself", request.name),
                    ))),
                }
            })
            .collect();
        let ready = prepared.iter().filter_map(|command: &Result<_, Error>| command.as_ref().ok());
        let sendable: Vec<_> = ready.map(|(name, ready)| (name.clone(), ready.arguments.clone())).collect();
        let mut answers = sendable.chunks(COMMANDS_MAX).flat_map(|some| self.send_all(some, timeout));
        let unanswered =
            || Err(Error::Host(answer::problem("qmp.protocol", "the shim left a command without answer")));
        let answered: Vec<_> = prepared
            .into_iter()
            .map(|command| {
                let (_, ready) = command?;
                Ok((ready, answers.next().unwrap_or_else(unanswered)))
            })
            .collect();
        let closed = answered.into_iter().map(|command: Result<_, Error>| {
            let (ready, answer) = command?;
            self.close(&ready, &answer, timeout);
            answer
        });
        closed.collect()
    }

    /// Takes back the descriptors that nothing needs any more now that a command is answered.
    fn close(&self, prepared: &Prepared, answer: &Result<String, Error>, timeout: Duration) {
        self.give_back(&prepared.after, timeout);
        match answer {
            Ok(_) => self.release(prepared.released.as_deref(), timeout),
            Err(Error::Hypervisor(_)) => self.give_back(&prepared.after_failure, timeout),
            // It may have been carried out all the same.
            Err(_) => {}
        }
    }

    /// Takes back the sets of a thing that is gone.
    fn release(&self, mark: Option<&str>, timeout: Duration) {
        let (Some(mark), Some(remove)) = (mark, self.template.remove_set_command()) else { return };
        let sets = match self.client.execute("query-fdsets", None, &[], timeout) {
            Ok(sets) => sets,
            Err(error) => {
                tracing::debug!(mark, %error, "descriptors stay with the hypervisor until it ends");
                return;
            }
        };
        let is_marked = |set: &&serde_json::Value| {
            let members = set.get("fds").and_then(serde_json::Value::as_array);
            let is_own = |label: &str| owner_of(label) == mark;
            let label = |fd: &serde_json::Value| {
                fd.get("opaque").and_then(serde_json::Value::as_str).is_some_and(is_own)
            };
            members.into_iter().flatten().any(label)
        };
        let marked = sets.as_array().into_iter().flatten().filter(is_marked);
        let closing: Vec<Closing> = marked
            .filter_map(|set| Some((remove.to_owned(), json!({"fdset-id": set.get("fdset-id")?}))))
            .collect();
        self.give_back(&closing, timeout);
    }

    /// Gives descriptors, all of them before the first answer is waited for.
    fn give(
        &self,
        given: &[(&str, serde_json::Value, BorrowedFd<'_>)],
        timeout: Duration,
    ) -> Result<(), QmpError> {
        for some in given.chunks(COMMANDS_MAX) {
            let answers = self.client.give_all(some, timeout)?;
            answers.into_iter().try_for_each(|answer| answer.map(drop))?;
        }
        Ok(())
    }

    /// Takes back what was for one use. Where that fails the hypervisor keeps a descriptor that it cannot use any more.
    fn give_back(&self, after: &[Closing], timeout: Duration) {
        for some in after.chunks(COMMANDS_MAX) {
            let commands: Vec<_> =
                some.iter().map(|(command, given)| (command.clone(), Some(given.clone()))).collect();
            let answers = match self.client.execute_all(commands, timeout) {
                Ok(answers) => answers,
                Err(error) => {
                    tracing::debug!(%error, "descriptors stay with the hypervisor until it ends");
                    return;
                }
            };
            for ((command, _), answer) in some.iter().zip(answers) {
                if let Err(error) = answer {
                    tracing::debug!(command, %error, "a descriptor stays with the hypervisor until it ends");
                }
            }
        }
    }

    fn send_all(&self, commands: &[Sendable], timeout: Duration) -> Vec<Result<String, Error>> {
        match self.client.execute_all(commands.to_vec(), timeout) {
            Ok(answers) => answers
                .into_iter()
                .map(|answer| answer.map(|value| value.to_string()).map_err(|error| refused(&error)))
                .collect(),
            Err(error) => vec![Err(shim_failed(&error)); commands.len()],
        }
    }

    /// Holds a command against the policy, and gives the hypervisor the descriptors that it names.
    fn prepare(&self, request: &Request, handles: &[Handle], timeout: Duration) -> Result<Prepared, Error> {
        let takes_sets = !handles.is_empty() && self.template.has_sets();
        // It is asked, because the sets may be those of the launch, or of another process that was the owner before.
        let mut sets = match takes_sets {
            true => Sets::of(&self.client, timeout).map_err(|error| refused(&error))?,
            false => Sets::default(),
        };
        let (name, arguments) = (&request.name, request.arguments.as_ref());
        // A command that was killed between the two may have left the program something that listens there.
        self.give_back(&self.template.close_unused(name).into_iter().collect::<Vec<_>>(), timeout);
        let rendered =
            render_arguments(&self.template, name, arguments, handles, &self.references, &mut sets);
        let RenderedArguments { before, arguments, after, after_failure, released, door, console, .. } =
            rendered.map_err(|error| launch_failed(&error))?;
        if let Some((alias, end)) = console {
            self.client.keep_console(&alias, end.as_fd()).map_err(|error| shim_failed(&error))?;
        }
        let given: Vec<_> = before
            .iter()
            .map(|(command, arguments, fd)| (command.as_str(), arguments.clone(), fd.as_fd()))
            .collect();
        if let Err(error) = self.give(&given, timeout) {
            self.give_back(&after_failure, timeout);
            return Err(refused(&error));
        }
        Ok(Prepared { arguments, after, after_failure, released, door })
    }
}

/// What the driver is told when a command fails. Words of the hypervisor are untrusted.
fn refused(error: &QmpError) -> Error {
    let code = match &error.kind {
        QmpErrorKind::Hypervisor { class } => format!("qmp.{}", word(class)),
        _ => error.code().to_owned(),
    };
    let message = text::escape(&answer::with_causes(error), limits::TEXT_BYTES);
    let mut problem = answer::problem(&code, message);
    problem.hints.clone_from(&error.hints);
    match &error.kind {
        QmpErrorKind::Hypervisor { class } => {
            Error::Hypervisor(problem.detail("class", text::escape(class, limits::TEXT_BYTES)))
        }
        QmpErrorKind::Denied => Error::Denied(problem),
        QmpErrorKind::TimedOut => Error::TimedOut(problem),
        QmpErrorKind::Closed => Error::Conflict(problem),
        _ => Error::Host(problem),
    }
}

/// A class as the last word of a code: `DeviceNotFound` becomes `device-not-found`.
fn word(class: &str) -> String {
    let mut word = String::new();
    for character in class.chars().take(64) {
        if character.is_ascii_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.push(character.to_ascii_lowercase());
    }
    if text::is_word(&word, &['-'], 128) { word } else { "other".to_owned() }
}

impl CallState {
    /// The running hypervisor's monitor.
    pub(crate) async fn running_monitor(
        &mut self,
        subject: Arc<Subject>,
    ) -> wasmtime::Result<Result<Resource<Monitor>, Error>> {
        if let Err(denied) = self.require(Capability::Qmp, "") {
            return Ok(Err(denied));
        }
        let driver = Arc::clone(&self.driver);
        let found = self
            .blocking("domain.monitor", limits::SHIM_DEADLINE, move |_| match process::find(&subject)? {
                Some(Process::Shim { client, run }) => {
                    let launch: Option<serde_json::Value> =
                        run.read(RunRecord::Launch).map_err(|error| state_failed(&error))?;
                    let name = launch.as_ref().and_then(launched_template).unwrap_or_default();
                    driver.granted.require(Capability::Process, name).map_err(|error| {
                        Error::Denied(answer::problem(error.kind.code(), error.to_string()))
                    })?;
                    let template = Arc::clone(process::template(&subject, name)?);
                    let references = subject.context.references.clone();
                    Ok(Monitor { client, template, references })
                }
                Some(_) => Err(Error::Conflict(
                    answer::problem("shim.orphaned", "the hypervisor runs but its shim is gone")
                        .hint("destroy the domain: its process is known and will be ended"),
                )),
                None => Err(Error::Conflict(answer::problem("domain.off", "the domain does not run"))),
            })
            .await?;
        match found {
            Ok(monitor) => Ok(Ok(self.table.push(monitor)?)),
            Err(error) => Ok(Err(error)),
        }
    }
}

/// The template that the running hypervisor was launched from.
fn launched_template(launch: &serde_json::Value) -> Option<&str> {
    launch.pointer("/plan/template").or_else(|| launch.get("template"))?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_becomes_the_last_word_of_the_code() {
        assert_eq!(word("GenericError"), "generic-error");
        assert_eq!(word("DeviceNotFound"), "device-not-found");
        assert_eq!(word(""), "other");
        assert_eq!(word("Evil\nClass"), "other");
    }
}
