//! The agent in a guest: how it is reached, and what it means when it does not answer.
//!
//! Its channel is a character device whose far end the host has, so no driver has a part in this.

mod channel;

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use hostler_domain::Domain;
use hostler_domain::chardev::CharBackend;
use hostler_launch::ShimClient;
use hostler_state::{Definition, RunDir};
use serde_json::Value;

pub(crate) use channel::{Conversation, Silence, shown};

use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::process;

/// How long an agent may take to answer what costs it nothing.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// How long it may take to freeze file systems: what is not written yet is written first.
pub(crate) const FREEZE_WAIT: Duration = Duration::from_secs(60);

/// The far end of a channel.
enum FarEnd {
    /// A socket that the hypervisor accepts one connection on at a time.
    Socket(PathBuf),
    /// Kept by the shim, under this alias.
    Kept(String),
}

impl Host {
    /// Talks to the agent of a domain that runs, on a thread of its own.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the domain is off; [`Kind::NotFound`] when it has no channel for an agent;
    /// [`Kind::TimedOut`] when nobody answers; [`Kind::Hypervisor`] for a refusal, and for what is no answer.
    pub(crate) async fn with_agent<T: Send + 'static>(
        &self,
        definition: &Definition,
        wait: Duration,
        talk: impl FnOnce(&mut Conversation) -> Result<T, Silence> + Send + 'static,
    ) -> Result<T, Error> {
        let run = self.state().run_dir(definition.uuid);
        if !run.is_held()? {
            let message = format!("the domain '{}' is off, so no agent answers", definition.name);
            return Err(Error::new(Kind::Conflict, "domain.off", message)
                .about("domain", &definition.name)
                .hint_command("start it", command("start", &definition.name)));
        }
        let far_end = far_end(definition, &Domain::parse(&self.current_xml(definition)?)?, &run)?;
        let unreachable = |error| {
            Error::new(Kind::Host, "agent.unreachable", "the agent's channel cannot be reached")
                .about("domain", &definition.name)
                .caused_by(error)
        };
        let stream = process::blocking(move || connect(&run, &far_end)).await?.map_err(unreachable)?;
        let told = process::blocking(move || {
            let mut conversation = Conversation::begin(stream, ANSWER_WAIT)?;
            conversation.allow(wait);
            talk(&mut conversation)
        });
        told.await?.map_err(|silence| silent(definition, silence))
    }
}

fn far_end(definition: &Definition, domain: &Domain, run: &RunDir) -> Result<FarEnd, Error> {
    let channels = domain.devices.channels.iter().enumerate();
    let found = channels.filter(|(_, channel)| channel.is_guest_agent()).find_map(|(position, channel)| {
        let alias = format!("channel{position}");
        match &channel.source.backend {
            CharBackend::Unix { path: Some(path), listen: true, .. } => Some(FarEnd::Socket(path.into())),
            CharBackend::Unix { path: None, .. } => {
                Some(FarEnd::Socket(run.path().join(format!("{alias}.sock"))))
            }
            CharBackend::Pty { .. } => Some(FarEnd::Kept(alias)),
            _ => None,
        }
    });
    found.ok_or_else(|| {
        let message = format!("the domain '{}' has no channel for a guest agent", definition.name);
        Error::new(Kind::NotFound, "agent.no-channel", message)
            .about("domain", &definition.name)
            .hint("give it one, and start it anew: <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>")
    })
}

/// Blocks.
fn connect(run: &RunDir, far_end: &FarEnd) -> std::io::Result<UnixStream> {
    match far_end {
        FarEnd::Socket(path) => hostler_launch::connect_unix(path, ANSWER_WAIT),
        FarEnd::Kept(alias) => {
            let client = ShimClient::connect(run).map_err(std::io::Error::other)?;
            client.console(alias, false).map_err(std::io::Error::other)
        }
    }
}

fn silent(definition: &Definition, silence: Silence) -> Error {
    let name = &definition.name;
    let error = |kind, code, message: String| Error::new(kind, code, message).about("domain", name);
    match silence {
        Silence::TimedOut => {
            error(Kind::TimedOut, "agent.no-answer", format!("the agent of '{name}' does not answer"))
                .hint("see in the guest whether it runs: systemctl status qemu-guest-agent")
                .hint("one that is spoken to by somebody else answers nobody meanwhile")
        }
        Silence::Closed(cause) => {
            error(Kind::Conflict, "agent.closed", format!("the channel of '{name}' was closed"))
                .caused_by(cause)
        }
        Silence::Nonsense(what) => {
            error(Kind::Hypervisor, "agent.nonsense", format!("the agent of '{name}' gives {what}"))
        }
        Silence::Refused { class, words } if class == "CommandNotFound" => error(
            Kind::Unsupported,
            "agent.no-command",
            format!("the agent of '{name}' does not do that: {words}"),
        )
        .hint_command("see what it does", format!("hostler agent info {}", hostler_image::shell_quote(name))),
        Silence::Refused { words, .. } => {
            error(Kind::Hypervisor, "agent.refused", format!("the agent of '{name}' refuses: {words}"))
        }
    }
}

/// Text that an answer has under this name.
pub(crate) fn text(answer: &Value, name: &str) -> Option<String> {
    answer.get(name).and_then(Value::as_str).map(shown)
}
