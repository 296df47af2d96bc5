//! What handles become in a command line: for people, or for a start.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::fd::RawFd;
use std::path::PathBuf;

use crate::error::{LaunchError, LaunchErrorKind};
use crate::handle::{EndpointKind, EndpointSpec, Handle, Role};
use crate::qmp::sets::{FileId, label};
use crate::template::Template;
use crate::template::data::{Descriptors, EndpointRule, OptionRule, Writing};

/// The numbers and paths that a start gives to handles.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    /// For each handle, its descriptors in the program, the main one first. None for what needs none.
    pub(crate) numbers: Vec<Vec<RawFd>>,
    /// For each handle, the number of its set.
    pub(crate) sets: Vec<u64>,
    /// The directory for sockets that the program makes.
    pub(crate) sockets: PathBuf,
    /// Where the program finds shared folders, by the numbers of their descriptors; nowhere but there without a cage.
    pub(crate) folders: Option<PathBuf>,
}

impl Grants {
    /// Where the program finds the folder of this descriptor in its cage.
    pub(crate) fn folder(&self, fd: RawFd) -> Option<PathBuf> {
        self.folders.as_ref().map(|folders| folders.join(fd.to_string()))
    }
}

/// Writes handles.
pub(crate) struct Leaves<'a> {
    pub(crate) template: &'a Template,
    pub(crate) handles: &'a [Handle],
    /// Nothing when the command line is only shown.
    pub(crate) grants: Option<&'a Grants>,
    /// Sets that an option refers to for the first time: their options go before it.
    pub(crate) new_sets: Vec<usize>,
    /// Sets that exist.
    pub(crate) sets: Vec<usize>,
    /// For each handle, what it is called instead, where a command names its handles so.
    names: Vec<String>,
    /// Secrets that the program is told, by their handles: the member that says it, and what it is.
    told: BTreeMap<usize, (String, String)>,
}

impl<'a> Leaves<'a> {
    pub(crate) fn new(template: &'a Template, handles: &'a [Handle], grants: Option<&'a Grants>) -> Self {
        let (names, told) = (Vec::new(), BTreeMap::new());
        Self { template, handles, grants, new_sets: Vec::new(), sets: Vec::new(), names, told }
    }

    /// Tells the program these secrets.
    pub(crate) fn telling(self, told: BTreeMap<usize, (String, String)>) -> Self {
        Self { told, ..self }
    }

    /// Writes handles as these, one for each of them.
    pub(crate) fn with_names(template: &'a Template, handles: &'a [Handle], names: Vec<String>) -> Self {
        Self { names, ..Self::new(template, handles, None) }
    }

    /// A handle that stands for one text.
    pub(crate) fn text(&mut self, index: usize, rule: Option<&OptionRule>) -> Result<String, LaunchError> {
        if let Some(name) = self.names.get(index) {
            return Ok(name.clone());
        }
        let prefix = rule.map_or("", |rule| rule.socket_prefix.as_str());
        match (self.handle(index)?, self.grants) {
            (Handle::Descriptor { path, .. }, None) => Ok(path.display().to_string()),
            (Handle::Descriptor { role: Role::Folder, .. }, Some(grants)) => {
                let fd = self.number(index)?;
                let path = grants.folder(fd).map(|path| path.display().to_string());
                Ok(path.unwrap_or_else(|| path_of(self.template, fd)))
            }
            (Handle::Link(name), None) => Ok(name.clone()),
            (Handle::Link(_), Some(_)) => Ok(self.number(index)?.to_string()),
            (Handle::Descriptor { .. }, Some(_)) => {
                let style = rule.map(|rule| rule.descriptors).unwrap_or_default();
                self.descriptor(index, style)
            }
            (Handle::Socket(name), None) => Ok(format!("{prefix}{name}")),
            (Handle::Socket(name), Some(grants)) => {
                Ok(format!("{prefix}{}", grants.sockets.join(name).display()))
            }
            (Handle::Ports { ports, .. }, _) => Ok(ports.clone()),
            (Handle::Tap { queues, .. }, None) => Ok(shown_queues(*queues)),
            (Handle::Tap { .. }, Some(grants)) => joined(grants.numbers.get(index), index),
            (Handle::Viewers { .. }, _) => Err(LaunchError::new(
                LaunchErrorKind::PlanInvalid,
                format!("handle {index} (viewers) is for a command, once the program runs"),
            )),
            (handle @ (Handle::Endpoint(_) | Handle::Monitor), _) => Err(LaunchError::new(
                LaunchErrorKind::PlanInvalid,
                format!("handle {index} ({}) can only be a member of a mapping", handle.kind()),
            )),
        }
    }

    /// A handle that stands for pairs in this option; nothing for the others.
    pub(crate) fn pairs(
        &mut self,
        index: usize,
        rule: Option<&OptionRule>,
    ) -> Result<Option<Vec<(String, String)>>, LaunchError> {
        if let Some(told) = self.told.get(&index) {
            return Ok(Some(vec![told.clone()]));
        }
        let handles = self.handles;
        let (name, spec) = match self.handle(index)? {
            Handle::Monitor => ("monitor", None),
            Handle::Link(_) if rule.is_some_and(|rule| rule.link_number) => return Ok(None),
            Handle::Link(_) => ("link", None),
            Handle::Endpoint(spec) => (kind_of(spec), Some(spec)),
            Handle::Descriptor { .. }
            | Handle::Socket(_)
            | Handle::Tap { .. }
            | Handle::Viewers { .. }
            | Handle::Ports { .. } => return Ok(None),
        };
        if let Some(EndpointSpec { kind: EndpointKind::Other { backend, pairs }, .. }) = spec {
            let first = std::iter::once(("backend".to_owned(), backend.clone()));
            return Ok(Some(first.chain(pairs.iter().cloned()).collect()));
        }
        let Some(EndpointRule { launch, show, .. }) = self.template.data.endpoints.get(name) else {
            let message = format!("the template does not say how an endpoint of kind '{name}' is written");
            return Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message));
        };
        let pairs = if self.grants.is_some() { launch } else { show };
        let mut written = Vec::new();
        for (key, value) in pairs {
            let Some(placeholder) = value.strip_prefix('{').and_then(|value| value.strip_suffix('}')) else {
                written.push((key.clone(), value.clone()));
                continue;
            };
            let filled = match placeholder {
                "fd" => Some(self.number(index)?.to_string()),
                "set" => Some(self.descriptor(index, Descriptors::Set)?),
                _ => handles.get(index).and_then(|handle| detail(handle, placeholder)),
            };
            written.extend(filled.map(|filled| (key.clone(), filled)));
        }
        Ok(Some(written))
    }

    fn handle(&self, index: usize) -> Result<&'a Handle, LaunchError> {
        self.handles.get(index).ok_or_else(|| {
            let message = format!("the plan names handle {index}, and {} travel with it", self.handles.len());
            LaunchError::new(LaunchErrorKind::PlanInvalid, message)
        })
    }

    fn number(&self, index: usize) -> Result<RawFd, LaunchError> {
        let numbers = self.grants.and_then(|grants| grants.numbers.get(index));
        numbers.and_then(|numbers| numbers.first()).copied().ok_or_else(|| {
            LaunchError::new(
                LaunchErrorKind::PlanInvalid,
                format!("handle {index} comes without a descriptor"),
            )
        })
    }

    fn descriptor(&mut self, index: usize, style: Descriptors) -> Result<String, LaunchError> {
        let fd = self.number(index)?;
        let writing = &self.template.data.writing;
        let Some(sets) = writing.sets.as_ref().filter(|_| style == Descriptors::Set) else {
            return Ok(fill(&writing.fd_path, 0, fd));
        };
        if !self.sets.contains(&index) {
            self.sets.push(index);
            self.new_sets.push(index);
        }
        Ok(fill(&sets.path, self.set(index), fd))
    }

    fn set(&self, index: usize) -> u64 {
        self.grants.and_then(|grants| grants.sets.get(index)).copied().unwrap_or_default()
    }

    /// The options that make the sets that were referred to since the last call.
    pub(crate) fn take_new_sets(&mut self) -> Vec<String> {
        let mut written = Vec::new();
        let Writing { option_prefix, sets: Some(sets), .. } = &self.template.data.writing else {
            return written;
        };
        for index in std::mem::take(&mut self.new_sets) {
            let numbers = self.grants.and_then(|grants| grants.numbers.get(index));
            for fd in numbers.into_iter().flatten() {
                written.push(format!("{option_prefix}{}", sets.option));
                let file = self.handles.get(index).and_then(|handle| FileId::of(handle.fd()?).ok());
                let value = fill(&sets.value, self.set(index), *fd);
                written.push(value.replace("{name}", &label(None, self.set(index), file)));
            }
        }
        written
    }
}

/// The number that people are shown where a start has its own.
const SHOWN_NUMBER: u32 = 1729;

/// The descriptors of so many queues, as people are shown them.
fn shown_queues(queues: u32) -> String {
    let all = (0..queues.max(1)).map(|queue| SHOWN_NUMBER.saturating_add(queue).to_string());
    all.collect::<Vec<_>>().join(":")
}

/// The descriptors of all queues.
fn joined(numbers: Option<&Vec<RawFd>>, index: usize) -> Result<String, LaunchError> {
    let all: Vec<_> = numbers.into_iter().flatten().map(ToString::to_string).collect();
    if all.is_empty() {
        let message = format!("handle {index} comes without a descriptor");
        return Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message));
    }
    Ok(all.join(":"))
}

/// The path by which the program opens a descriptor that it is not given through a set.
pub(crate) fn path_of(template: &Template, fd: RawFd) -> String {
    fill(&template.data.writing.fd_path, 0, fd)
}

/// Puts the numbers in.
fn fill(pattern: &str, set: u64, fd: RawFd) -> String {
    pattern.replace("{set}", &set.to_string()).replace("{fd}", &fd.to_string())
}

/// The template's word for an endpoint, which tells listening from connecting.
pub(crate) fn kind_of(spec: &EndpointSpec) -> &str {
    match &spec.kind {
        EndpointKind::Unix { listen: true, .. } => "unix-listen",
        EndpointKind::Unix { .. } => "unix-connect",
        EndpointKind::Tcp { listen: true, .. } => "tcp-listen",
        EndpointKind::Tcp { .. } => "tcp-connect",
        other => other.name(),
    }
}

/// What a place-holder stands for; nothing when the document does not say.
fn detail(handle: &Handle, placeholder: &str) -> Option<String> {
    let spec = match handle {
        Handle::Endpoint(spec) => spec,
        Handle::Link(name) if placeholder == "name" => return Some(name.clone()),
        _ => return None,
    };
    let switch = |on: bool| if on { "on".to_owned() } else { "off".to_owned() };
    match (&spec.kind, placeholder) {
        (EndpointKind::File { path, .. } | EndpointKind::Unix { path, .. }, "path") => {
            Some(path.display().to_string())
        }
        (EndpointKind::File { append, .. }, "append") => append.map(switch),
        (EndpointKind::Unix { reconnect, .. } | EndpointKind::Tcp { reconnect, .. }, "reconnect") => {
            reconnect.map(|seconds| seconds.to_string())
        }
        (EndpointKind::Tcp { host, .. }, "host") => Some(host.clone()),
        (EndpointKind::Tcp { service, .. } | EndpointKind::Udp { service, .. }, "service") => {
            Some(service.clone())
        }
        (EndpointKind::Tcp { telnet, .. }, "telnet") => telnet.then(|| switch(true)),
        (EndpointKind::Udp { host, .. }, "host") => host.clone(),
        (EndpointKind::Udp { local_host, .. }, "local-host") => local_host.clone(),
        (EndpointKind::Udp { local_service, .. }, "local-service") => local_service.clone(),
        _ => None,
    }
}

/// Text as it stands in a keyed option.
pub(crate) fn escape_keyed(text: &str, into: &mut String) {
    for letter in text.chars() {
        if letter == ',' {
            into.push(',');
        }
        into.push(letter);
    }
}

/// One `key=value` (or `key` alone), behind a comma unless it is the first.
pub(crate) fn push_pair(into: &mut String, key: &str, value: Option<&str>) {
    if !into.is_empty() {
        into.push(',');
    }
    // Writing to a String cannot fail.
    if let Some(value) = value {
        let _infallible = write!(into, "{key}=");
        escape_keyed(value, into);
    } else {
        into.push_str(key);
    }
}
