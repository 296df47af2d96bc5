//! The host's ends of network interfaces: tap devices, made when a driver asks for them.

use std::sync::Arc;

use hostler_domain::interface::Interface;
use hostler_grant::Capability;
use hostler_network::{Attachment, ErrorKind, Forward, NetworkError, Taps, connect, limit};
use wasmtime::component::Resource;

use super::domain::{Subject, Tense};
use super::endpoint::Endpoint;
use crate::answer;
use crate::bindings::wit::types::Error;
use crate::call::CallState;
use crate::limits;

impl CallState {
    /// The tap device of an interface, joined to what the document connects it to.
    pub(crate) async fn connect_interface(
        &mut self,
        subject: Arc<Subject>,
        tense: Tense,
        position: u32,
    ) -> wasmtime::Result<Result<Resource<Endpoint>, Error>> {
        if let Err(denied) = self.require(Capability::Network, "") {
            return Ok(Err(denied));
        }
        let connected = self
            .blocking("domain.network-interface", limits::FILE_DEADLINE, move |_| {
                connected(&subject, tense, position)
            })
            .await?;
        match connected {
            Ok(endpoint) => Ok(Ok(self.table.push(endpoint)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// The ports of the host that lead to an interface of the guest.
    pub(crate) fn forward_ports(
        &mut self,
        subject: &Subject,
        interface: u32,
        forward: u32,
    ) -> wasmtime::Result<Result<Resource<Endpoint>, Error>> {
        if let Err(denied) = self.require(Capability::Network, "") {
            return Ok(Err(denied));
        }
        match forwarded(subject, interface, forward) {
            Ok(forward) => Ok(Ok(self.table.push(Endpoint::Ports(forward))?)),
            Err(error) => Ok(Err(error)),
        }
    }
}

/// The ports of a forward; those that its document says when nothing is opened.
fn forwarded(subject: &Subject, interface: u32, forward: u32) -> Result<Forward, Error> {
    let at = |position: u32| usize::try_from(position).unwrap_or(usize::MAX);
    let missing = || {
        let message = format!("the network interface at position {interface} has no forward {forward}");
        Error::NotFound(answer::problem("network.not-found", message))
    };
    if subject.describes() {
        let interfaces = &subject.document()?.devices.interfaces;
        let found = interfaces.get(at(interface)).and_then(|found| found.port_forwards.get(at(forward)));
        return Forward::of(found.ok_or_else(missing)?).map_err(|error| refused(&error));
    }
    let found = subject.context.networks.forward(at(interface), at(forward)).ok_or_else(missing)?;
    found.clone().map_err(|error| refused(&error))
}

fn connected(subject: &Subject, tense: Tense, position: u32) -> Result<Endpoint, Error> {
    let (document, _) = subject.told(tense)?;
    let at = usize::try_from(position).unwrap_or(usize::MAX);
    let Some(interface) = document.devices.interfaces.get(at) else {
        let message = format!("the document has no network interface at position {position}");
        return Err(Error::NotFound(answer::problem("network.not-found", message)));
    };
    let queues = queues(interface);
    if subject.describes() {
        return Ok(Endpoint::Tap { taps: Taps { name: String::new(), fds: Vec::new() }, queues });
    }
    let networks = match tense {
        Tense::Now => &subject.context.networks,
        Tense::Next => &subject.next()?.networks,
    };
    match networks.get(at) {
        Some(Ok(found)) => {
            let attachment = Attachment { queues, ..found.clone() };
            let taps = connect(&attachment).map_err(|error| refused(&error))?;
            // It goes with its descriptors when that fails.
            if !interface.bandwidth.is_unlimited() {
                limit(&taps.name, &interface.bandwidth).map_err(|error| refused(&error))?;
            }
            Ok(Endpoint::Tap { taps, queues })
        }
        Some(Err(error)) => Err(refused(error)),
        None => {
            let message = format!("the network interface at position {position} needs nothing of the host");
            Err(Error::NotFound(answer::problem("network.nothing-needed", message)))
        }
    }
}

/// How many queues the host's end has.
fn queues(interface: &Interface) -> u32 {
    interface.driver.queues.unwrap_or(1).max(1)
}

/// What the driver is told when an interface cannot be connected.
fn refused(error: &NetworkError) -> Error {
    let mut problem = answer::problem(error.code(), answer::with_causes(error));
    problem.hints = error
        .hints
        .iter()
        .map(|hint| match &hint.command {
            Some(command) => format!("{}: {command}", hint.text),
            None => hint.text.clone(),
        })
        .collect();
    problem.details = error.subject.iter().map(|(what, value)| answer::fact(what, value.clone())).collect();
    match error.kind {
        ErrorKind::Invalid => Error::Invalid(problem),
        ErrorKind::NotFound => Error::NotFound(problem),
        ErrorKind::Conflict => Error::Conflict(problem),
        ErrorKind::Denied => Error::Denied(problem),
        ErrorKind::Unsupported => Error::Unsupported(problem),
        _ => Error::Host(problem),
    }
}
