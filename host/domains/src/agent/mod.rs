//! The agent in a guest: how it is reached, and what it means when it does not answer.
//!
//! Its channel is a character device whose far end the host has, so no driver has a part in talking to it. Whether anything in the
//! guest listens a driver may know: then nobody waits for an answer that cannot come.

mod channel;

use std::time::Duration;

use hostler_domain::Domain;
use hostler_state::{Definition, RunDir};
use serde_json::Value;

pub(crate) use channel::{Conversation, Silence, shown};

use crate::channels::FarEnd;
use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::process;

/// How long an agent may take to answer what costs it nothing.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// How long it may take to freeze file systems: what is not written yet is written first.
pub(crate) const FREEZE_WAIT: Duration = Duration::from_secs(60);

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
        let (position, far_end) = far_end(definition, &Domain::parse(&self.current_xml(definition)?)?, &run)?;
        if self.is_known_closed(definition, position).await {
            let message = format!("nothing in the guest of '{}' listens as its agent", definition.name);
            return Err(Error::new(Kind::TimedOut, "agent.not-connected", message)
                .about("domain", &definition.name)
                .hint("see in the guest whether it runs: systemctl status qemu-guest-agent"));
        }
        let unreachable = |error| {
            Error::new(Kind::Host, "agent.unreachable", "the agent's channel cannot be reached")
                .about("domain", &definition.name)
                .caused_by(error)
        };
        let stream =
            process::blocking(move || far_end.connect(&run, ANSWER_WAIT)).await?.map_err(unreachable)?;
        let told = process::blocking(move || {
            let mut conversation = Conversation::begin(stream, ANSWER_WAIT)?;
            conversation.allow(wait);
            talk(&mut conversation)
        });
        told.await?.map_err(|silence| silent(definition, silence))
    }
}

impl Host {
    /// Whether the hypervisor says that nothing in the guest has opened this channel. Not where it says nothing.
    async fn is_known_closed(&self, definition: &Definition, position: usize) -> bool {
        match self.hypervisor_counters(definition).await {
            Ok(counters) => {
                let key = format!("channel.{position}.connected");
                counters.iter().any(|(name, value)| *name == key && value == "no")
            }
            Err(error) => {
                tracing::debug!(domain = definition.name, %error, "its channels are not known");
                false
            }
        }
    }
}

/// The channel of the agent: which of the channels it is, and where the host reaches it.
fn far_end(definition: &Definition, domain: &Domain, run: &RunDir) -> Result<(usize, FarEnd), Error> {
    let channels = domain.devices.channels.iter().enumerate();
    let found = channels
        .filter(|(_, channel)| channel.is_guest_agent())
        .find_map(|(position, channel)| Some((position, FarEnd::of(channel, position, run)?)));
    found.ok_or_else(|| {
        let message = format!("the domain '{}' has no channel for a guest agent", definition.name);
        Error::new(Kind::NotFound, "agent.no-channel", message)
            .about("domain", &definition.name)
            .hint("give it one, and start it anew: <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>")
    })
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
