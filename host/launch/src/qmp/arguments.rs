//! Arguments of QMP commands, from values and handles, held against the command policy.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use hostler_state::SECRET_MAX_BYTES;
use serde_json::json;

use crate::command::leaf::{Grants, Leaves, kind_of};
use crate::command::write::write_json;
use crate::error::LaunchError;
use crate::grant;
use crate::handle::{Handle, Role};
use crate::qmp::sets::{FileId, Sets, label};
use crate::shim::door::Door;
use crate::template::Template;
use crate::template::check::{check_command_of, leaves};
use crate::template::data::NamedWriting;
use crate::value::Value;

/// A command ready to be sent: first what its handles need, then itself.
#[derive(Default)]
pub struct RenderedArguments {
    /// Commands to send before, in order, each with one descriptor (`add-fd`).
    pub before: Vec<(String, serde_json::Value, OwnedFd)>,
    /// The command's own arguments.
    pub arguments: Option<serde_json::Value>,
    /// Commands to send once it is answered: what was for this one use is given back.
    pub after: Vec<(String, serde_json::Value)>,
    /// Commands to send when it failed: nothing that was for it stays with the hypervisor.
    pub after_failure: Vec<(String, serde_json::Value)>,
    /// What the descriptors of a thing are marked with that is gone once this succeeds.
    pub released: Option<String>,
    /// The command is not sent, but kept, to be sent for each connection that comes; and where they come to.
    pub door: Option<(Door, Option<OwnedFd>)>,
    /// A terminal that the shim keeps from now on, before the command is sent: what it is called, and the shim's end.
    pub console: Option<(String, OwnedFd)>,
    /// Whether the arguments have a secret in them.
    pub secret: bool,
}

impl fmt::Debug for RenderedArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.arguments.as_ref().filter(|_| !self.secret);
        f.debug_struct("RenderedArguments").field("arguments", &shown).finish_non_exhaustive()
    }
}

/// Holds a command against the template's command policy and writes its arguments as JSON.
///
/// `references` are the names that this operation may have written into headers. `sets` numbers the descriptor sets that
/// the hypervisor gets, and knows those that it has. Only descriptors can be handles here.
///
/// # Errors
/// [`crate::LaunchErrorKind::Denied`] with the command's name and the rule; [`crate::LaunchErrorKind::PlanInvalid`].
pub fn render_arguments(
    template: &Template,
    command: &str,
    arguments: Option<&Value>,
    handles: &[Handle],
    references: &[String],
    sets: &mut Sets,
) -> Result<RenderedArguments, LaunchError> {
    check_command_of(template, command, arguments, handles, references)?;
    let Some(arguments) = arguments else {
        return Ok(RenderedArguments::default());
    };
    if let Some(named) = &template.data.writing.named
        && let Some(trusted) = named.each.get(command)
    {
        return with_each(template, named, (command, trusted), arguments, handles);
    }
    if let Some(named) = &template.data.writing.named
        && named.commands.iter().chain(&named.bare).any(|listed| listed == command)
    {
        return with_names(template, named, command, arguments, handles);
    }
    if let Some(named) = &template.data.writing.named
        && named.endpoints.iter().any(|listed| listed == command)
    {
        return with_endpoint(template, named, command, arguments, handles);
    }
    let (mut before, mut after, mut after_failure) = (Vec::new(), Vec::new(), Vec::new());
    let writing = template.data.writing.sets.as_ref();
    let owner = writing.and_then(|writing| mark(writing.given_with.get(command)?, arguments));
    // The numbers of descriptors mean nothing here: they go with the commands before.
    let mut grants =
        Grants { numbers: vec![vec![0]; handles.len()], sets: vec![0; handles.len()], ..Grants::default() };
    let (mut seen, mut told) = (HashSet::new(), BTreeMap::new());
    for index in leaves(arguments).filter(|index| seen.insert(*index)) {
        let handle = descriptor(handles, index, command)?;
        if let (Handle::Descriptor { role: Role::Secret, .. }, Some(member)) =
            (handle, template.data.writing.told.get(command))
        {
            told.insert(index, (member.clone(), secret_of(handle)?));
            continue;
        }
        let writing = writing.ok_or_else(|| {
            LaunchError::denied(command, "the program takes no descriptors once it has been started")
        })?;
        let file = handle.fd().and_then(|fd| FileId::of(fd).ok());
        let number = if writing.known.iter().any(|listed| listed == command) {
            file.and_then(|file| sets.of_file(file)).ok_or_else(|| {
                LaunchError::denied(command, "the program does not have this file, and here it is given none")
            })?
        } else {
            let number = sets.new_number();
            let opaque = label(owner.as_deref(), number, file);
            for fd in grant::of_descriptor(handle)? {
                let add = json!({"fdset-id": number, "opaque": opaque});
                before.push((writing.add_command.clone(), add, fd));
            }
            let remove = (writing.remove_command.clone(), json!({"fdset-id": number}));
            match handle {
                Handle::Descriptor { role: Role::Output | Role::Input, .. } => after.push(remove),
                _ => after_failure.push(remove),
            }
            number
        };
        if let Some(set) = grants.sets.get_mut(index) {
            *set = number;
        }
    }
    let given = arguments;
    let secret = !told.is_empty();
    let mut leaves = Leaves::new(template, handles, Some(&grants)).telling(told);
    let arguments = write_json(arguments, None, &mut leaves)?;
    let released = writing.and_then(|writing| mark(writing.taken_with.get(command)?, given));
    Ok(RenderedArguments {
        before,
        arguments: Some(arguments),
        after,
        after_failure,
        released,
        secret,
        ..RenderedArguments::default()
    })
}

/// What a secret is: a cage has no file by whose name a program that runs already could read it.
fn secret_of(handle: &Handle) -> Result<String, LaunchError> {
    let failed = |error| LaunchError::io("read a secret", error);
    let Some(fd) = grant::of_descriptor(handle)?.into_iter().next() else { return Ok(String::new()) };
    let file = File::from(fd);
    let length = file.metadata().map_err(failed)?.len();
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(SECRET_MAX_BYTES)];
    file.read_exact_at(&mut bytes, 0).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_| failed(io::Error::other("it is no text")))
}

/// What the descriptors of a thing are marked with, by the argument that names it.
fn mark(argument: &str, arguments: &Value) -> Option<String> {
    match arguments.get(argument) {
        Some(Value::Text(name)) => Some(format!("hostler-of-{name}")),
        _ => None,
    }
}

/// The handle of a command's argument.
fn descriptor<'a>(handles: &'a [Handle], index: usize, command: &str) -> Result<&'a Handle, LaunchError> {
    let handle = handles.get(index).filter(|handle| matches!(handle, Handle::Descriptor { .. }));
    handle.ok_or_else(|| LaunchError::denied(command, "only descriptors can be handles here"))
}

/// Writes handles by names that are given to them before. A name is the command's own, so that one that was not used up
/// (the command failed) is replaced by the next.
fn with_names(
    template: &Template,
    named: &NamedWriting,
    command: &str,
    arguments: &Value,
    handles: &[Handle],
) -> Result<RenderedArguments, LaunchError> {
    let mut before = Vec::new();
    let path = if named.bare.iter().any(|listed| listed == command) { "{name}" } else { named.path.as_str() };
    let mut names = vec![String::new(); handles.len()];
    let mut seen = HashSet::new();
    for index in leaves(arguments).filter(|index| seen.insert(*index)) {
        let mut give = |fd| {
            let name = format!("hostler-{command}-{}", before.len());
            before.push((named.command.clone(), named.naming(&name), fd));
            name
        };
        let written = match handles.get(index) {
            Some(Handle::Tap { fds, name, .. }) => {
                grant::of_tap(fds, name)?.into_iter().map(give).collect::<Vec<_>>().join(":")
            }
            _ => {
                let handle = descriptor(handles, index, command)?;
                // The program has one use for it, so that a writable file's read-only twin is not wanted.
                let first = grant::of_descriptor(handle)?.into_iter().next();
                first.map(|fd| path.replace("{name}", &give(fd))).unwrap_or_default()
            }
        };
        if let Some(slot) = names.get_mut(index) {
            *slot = written;
        }
    }
    // What the program has not taken is closed, so that nothing is there any longer than somebody uses it.
    let close =
        |(_, argument, _): &(String, serde_json::Value, OwnedFd)| (named.close.clone(), argument.clone());
    let after_failure = before.iter().map(close).collect();
    let arguments = write_json(arguments, None, &mut Leaves::with_names(template, handles, names))?;
    Ok(RenderedArguments {
        before,
        arguments: Some(arguments),
        after_failure,
        ..RenderedArguments::default()
    })
}

/// How long somebody else may take to let the host in at the far end of a character device.
const FAR_END_WAIT: Duration = Duration::from_secs(5);

/// Writes the far end of a character device into a command that adds one: opened here, named for the program.
fn with_endpoint(
    template: &Template,
    named: &NamedWriting,
    command: &str,
    arguments: &Value,
    handles: &[Handle],
) -> Result<RenderedArguments, LaunchError> {
    let mut rendered = RenderedArguments::default();
    let mut members = serde_json::Map::new();
    let Value::Mapping(entries) = arguments else {
        return Err(LaunchError::denied(command, "its arguments are a mapping"));
    };
    for (key, value) in entries {
        let Value::Handle(index) = value else {
            let written = write_json(value, None, &mut Leaves::new(template, handles, None))?;
            members.insert(key.clone(), written);
            continue;
        };
        let Some(Handle::Endpoint(spec)) = handles.get(*index) else {
            return Err(LaunchError::denied(command, "it is for far ends of character devices"));
        };
        let rule = template.data.endpoints.get(kind_of(spec)).and_then(|rule| rule.running.as_ref());
        let Some(rule) = rule else {
            let what = format!(
                "a far end of kind '{}' is there when the program starts, or not at all",
                kind_of(spec)
            );
            return Err(LaunchError::denied(command, what));
        };
        let (theirs, ours) = grant::of_endpoint(spec, Instant::now() + FAR_END_WAIT)?;
        let name = NamedWriting::far_end(command);
        if let Some(fd) = theirs {
            let naming = named.naming(&name);
            rendered.before.push((named.command.clone(), naming.clone(), fd));
            rendered.after_failure.push((named.close.clone(), naming));
        }
        rendered.console = ours.map(|ours| (spec.alias.clone(), ours));
        members.insert(key.clone(), filled(rule, &name));
    }
    rendered.arguments = Some(members.into());
    Ok(rendered)
}

/// What stands in a template, with the name of a descriptor put in.
fn filled(rule: &serde_json::Value, name: &str) -> serde_json::Value {
    match rule {
        serde_json::Value::String(text) => text.replace("{name}", name).into(),
        serde_json::Value::Object(members) => {
            members.iter().map(|(key, value)| (key.clone(), filled(value, name))).collect()
        }
        other => other.clone(),
    }
}

/// What a connection is called for the moment between the two commands.
const CONNECTION: &str = "hostler-viewer";

/// Keeps a command that is sent for each connection that comes.
fn with_each(
    template: &Template,
    named: &NamedWriting,
    (command, trusted): (&str, &serde_json::Map<String, serde_json::Value>),
    arguments: &Value,
    handles: &[Handle],
) -> Result<RenderedArguments, LaunchError> {
    let mut viewers = leaves(arguments).filter_map(|index| handles.get(index));
    let Some(Handle::Viewers { alias, socket }) = viewers.next() else {
        return Err(LaunchError::denied(command, "it is for connections to a display"));
    };
    let failed = |error| LaunchError::io("pass a socket on", error).at(alias.as_str());
    let socket = socket.as_ref().map(OwnedFd::try_clone).transpose().map_err(failed)?;
    let names = vec![CONNECTION.to_owned(); handles.len()];
    let arguments = write_json(arguments, None, &mut Leaves::with_names(template, handles, names))?;
    let mut trusting = arguments.clone();
    if let Some(members) = trusting.as_object_mut() {
        members.extend(trusted.clone());
    }
    let door = Door {
        alias: alias.clone(),
        give: named.command.clone(),
        given: named.naming(CONNECTION),
        command: command.to_owned(),
        arguments,
        trusting,
    };
    Ok(RenderedArguments { door: Some((door, socket)), ..RenderedArguments::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::{EndpointKind, EndpointSpec};
    use crate::template::TemplateSet;

    #[test]
    fn queues_of_a_tap_get_names_before_and_are_closed_when_the_command_fails() {
        let fd = || OwnedFd::from(File::open("/dev/null").unwrap());
        let tap = Handle::Tap { fds: vec![fd(), fd()], queues: 2, name: "vnet0".into() };
        let members = [("type", "tap".into()), ("id", "hostnet0".into()), ("fds", Value::Handle(0))];
        let set = TemplateSet::builtin().unwrap();
        let qemu = set.get("qemu-system-x86_64").unwrap();
        let arguments = Value::mapping::<&str>(members);
        let rendered =
            render_arguments(qemu, "netdev_add", Some(&arguments), &[tap], &[], &mut Sets::default())
                .unwrap();
        let before: Vec<_> =
            rendered.before.iter().map(|(name, given, _)| (name.as_str(), given.clone())).collect();
        let name = |at: u8| json!({"fdname": format!("hostler-netdev_add-{at}")});
        assert_eq!(before, [("getfd", name(0)), ("getfd", name(1))]);
        assert_eq!(rendered.after_failure, [("closefd".into(), name(0)), ("closefd".into(), name(1))]);
        let fds = "hostler-netdev_add-0:hostler-netdev_add-1";
        assert_eq!(rendered.arguments.unwrap(), json!({"type": "tap", "id": "hostnet0", "fds": fds}));
    }

    #[test]
    fn command_for_each_connection_is_kept_and_trusts_only_whom_the_host_vouches_for() {
        let viewers = Handle::Viewers { alias: "graphics0".into(), socket: None };
        let set = TemplateSet::builtin().unwrap();
        let qemu = set.get("qemu-system-x86_64").unwrap();
        let arguments = Value::mapping([("protocol", "spice".into()), ("fdname", Value::Handle(0))]);
        let rendered =
            render_arguments(qemu, "add_client", Some(&arguments), &[viewers], &[], &mut Sets::default())
                .unwrap();
        assert!(rendered.before.is_empty() && rendered.arguments.is_none());
        let (door, socket) = rendered.door.unwrap();
        assert!(socket.is_none());
        assert_eq!((door.alias.as_str(), door.give.as_str()), ("graphics0", "getfd"));
        assert_eq!(door.given, json!({"fdname": "hostler-viewer"}));
        assert_eq!(door.arguments, json!({"protocol": "spice", "fdname": "hostler-viewer"}));
        assert_eq!(door.trusting["skipauth"], true);
    }

    fn added(kind: EndpointKind) -> Result<RenderedArguments, LaunchError> {
        let set = TemplateSet::builtin().unwrap();
        let qemu = set.get("qemu-system-x86_64").unwrap();
        let handles = [Handle::Endpoint(EndpointSpec { alias: "channel1".into(), kind })];
        let members = [("backend", Value::Handle(0)), ("id", "charchannel1".into())];
        let arguments = Value::mapping::<&str>(members);
        render_arguments(qemu, "chardev-add", Some(&arguments), &handles, &[], &mut Sets::default())
    }

    #[test]
    fn far_end_is_opened_by_the_host_and_the_program_has_it_by_a_name() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("channel1.sock");
        let rendered =
            added(EndpointKind::Unix { path: path.clone(), listen: true, reconnect: None }).unwrap();
        assert!(path.exists() && rendered.console.is_none() && rendered.before.len() == 1);
        let shown = rendered.arguments.unwrap();
        assert_eq!(shown["backend"]["data"]["addr"]["data"]["str"], "hostler-chardev-add-0");
        assert!(shown["id"] == "charchannel1" && !shown.to_string().contains("channel1.sock"), "{shown}");
        let set = TemplateSet::builtin().unwrap();
        let qemu = set.get("qemu-system-x86_64").unwrap();
        // One that a killed command left is closed as this one is when its command fails.
        assert_eq!(qemu.close_unused("chardev-add"), rendered.after_failure.first().cloned());
        assert_eq!(qemu.close_unused("device_add"), None);
        let terminal = added(EndpointKind::Pty).unwrap();
        assert_eq!(terminal.console.unwrap().0, "channel1");
        let null = added(EndpointKind::Null).unwrap();
        assert!(null.before.is_empty() && null.arguments.unwrap()["backend"]["type"] == "null");
        let file = added(EndpointKind::File { fd: None, append: None, path });
        assert_eq!(file.unwrap_err().kind, crate::error::LaunchErrorKind::Denied);
    }

    /// A secret as the host hands it on.
    fn secret(value: &str) -> Handle {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), value).unwrap();
        Handle::Descriptor {
            fd: Some(File::open(file.path()).unwrap().into()),
            writable: false,
            role: Role::Secret,
            format: "raw",
            data_apart: false,
            path: "secret-of-vda".into(),
        }
    }

    #[test]
    fn a_running_program_is_told_a_secret_in_place_of_the_handle_and_nobody_is_shown_it() {
        let set = TemplateSet::builtin().unwrap();
        let qemu = set.get("qemu-system-x86_64").unwrap();
        let members = [("qom-type", "secret".into()), ("id", "s".into()), ("file", Value::Handle(0))];
        let arguments = Value::mapping::<&str>(members);
        let handles = [secret("open \"sesame\" ß")];
        let rendered =
            render_arguments(qemu, "object-add", Some(&arguments), &handles, &[], &mut Sets::default())
                .unwrap();
        assert!(rendered.secret && rendered.before.is_empty());
        assert!(!format!("{rendered:?}").contains("sesame"));
        let expected = json!({"qom-type": "secret", "id": "s", "data": "open \"sesame\" ß"});
        assert_eq!(rendered.arguments.unwrap(), expected);
        // No other command takes one.
        let file =
            [("driver", "file".into()), ("filename", Value::Handle(0)), ("auto-read-only", true.into())];
        let node = Value::mapping::<&str>(file);
        let refused =
            render_arguments(qemu, "blockdev-add", Some(&node), &handles, &[], &mut Sets::default());
        assert_eq!(refused.unwrap_err().kind, crate::error::LaunchErrorKind::Denied);
    }
}
