//! `agent`, and what is asked of a guest through its agent: what it is, and to stand still, end or begin again.

use std::time::{Duration, Instant};

use hostler_state::{Definition, Intent};
use serde::Serialize;
use serde_json::{Value, json};

use crate::agent::{ANSWER_WAIT, Conversation, FREEZE_WAIT, Silence, shown, text};
use crate::error::Error;
use crate::host::Host;
use crate::recovery::verb;
use crate::reference::DomainRef;
use crate::summary::DomainSummary;

/// Most commands, file systems or other things of a list of the guest's that are shown.
const LISTED: usize = 1024;
/// How long an agent may take to refuse what it answers by doing.
const REFUSAL_WAIT: Duration = Duration::from_millis(500);
/// The system of a guest: what is told of it, and the agent's name for that.
const SYSTEM: &[(&str, &str)] = &[
    ("system", "pretty-name"),
    ("system.id", "id"),
    ("system.version", "version"),
    ("kernel", "kernel-release"),
    ("machine", "machine"),
];

/// An agent that answered.
#[derive(Clone, Debug, Serialize)]
pub struct AgentThere {
    /// The domain.
    pub name: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What an agent is, and what of its guest it tells: a guest's words, made harmless.
#[derive(Clone, Debug, Serialize)]
pub struct AgentInfo {
    /// The domain.
    pub name: String,
    /// The agent's version.
    pub version: String,
    /// What it tells of the system: `system`, `kernel`, `host-name` …, as far as it does.
    pub facts: Vec<(String, String)>,
    /// The commands that it carries out.
    pub commands: Vec<String>,
}

/// A file system of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GuestFileSystem {
    /// Its device in the guest.
    pub name: String,
    /// Where it is mounted.
    pub mountpoint: String,
    /// Its type.
    pub kind: String,
    /// Its size, in bytes.
    pub total_bytes: Option<u64>,
    /// How much of it is used.
    pub used_bytes: Option<u64>,
}

/// The file systems of a guest.
#[derive(Clone, Debug, Serialize)]
pub struct GuestFileSystems {
    /// The domain.
    pub name: String,
    /// As the agent lists them.
    pub file_systems: Vec<GuestFileSystem>,
}

/// Whether the file systems of a guest stand still.
#[derive(Clone, Debug, Serialize)]
pub struct FrozenGuest {
    /// The domain.
    pub name: String,
    /// How many were frozen, or thawed.
    pub file_systems: u64,
}

/// How a guest is asked to switch itself off or to begin again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AskBy {
    /// The way that the machine has: its power button.
    #[default]
    Machine,
    /// The agent in the guest.
    Agent,
}

impl Host {
    /// Whether the agent of a domain answers. Takes no lock.
    ///
    /// # Errors
    /// [`crate::Kind::TimedOut`] when it does not; [`crate::Kind::NotFound`] when there is no channel for one;
    /// [`crate::Kind::Conflict`] when the domain is off.
    pub async fn agent_ping(&self, wanted: &DomainRef) -> Result<AgentThere, Error> {
        let definition = self.find(wanted)?;
        let begun = Instant::now();
        self.with_agent(&definition, ANSWER_WAIT, |agent| agent.call("guest-ping", None)).await?;
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(AgentThere { name: definition.name, took_ms })
    }

    /// What the agent of a domain is, and what it tells of its guest. Takes no lock.
    ///
    /// # Errors
    /// As for [`Host::agent_ping`].
    pub async fn agent_info(&self, wanted: &DomainRef) -> Result<AgentInfo, Error> {
        let definition = self.find(wanted)?;
        let (info, system, named) = self.with_agent(&definition, ANSWER_WAIT, read_info).await?;
        let told = |(key, name): &(&str, &str)| Some(((*key).to_owned(), text(&system, name)?));
        let host_name = text(&named, "host-name").map(|name| ("host-name".to_owned(), name));
        let commands = info.get("supported_commands").and_then(Value::as_array).into_iter().flatten();
        let enabled = commands.filter(|one| one.get("enabled").and_then(Value::as_bool) == Some(true));
        Ok(AgentInfo {
            name: definition.name,
            version: text(&info, "version").unwrap_or_default(),
            facts: host_name.into_iter().chain(SYSTEM.iter().filter_map(told)).collect(),
            commands: enabled.filter_map(|one| text(one, "name")).take(LISTED).collect(),
        })
    }

    /// The file systems that the guest of a domain has mounted. Takes no lock.
    ///
    /// # Errors
    /// As for [`Host::agent_ping`].
    pub async fn agent_file_systems(&self, wanted: &DomainRef) -> Result<GuestFileSystems, Error> {
        let definition = self.find(wanted)?;
        let told =
            self.with_agent(&definition, ANSWER_WAIT, |agent| agent.call("guest-get-fsinfo", None)).await?;
        Ok(GuestFileSystems { name: definition.name, file_systems: file_systems(&told) })
    }

    /// Has the guest write everything to its disks, and write no more until it is thawed.
    ///
    /// # Errors
    /// As for [`Host::agent_ping`]; what the guest refuses. It is thawed then.
    pub async fn agent_freeze(&self, wanted: &DomainRef) -> Result<FrozenGuest, Error> {
        let definition = self.active(wanted).await?;
        let file_systems = self.freeze(&definition).await?;
        Ok(FrozenGuest { name: definition.name, file_systems })
    }

    /// Lets the guest write to its disks again.
    ///
    /// # Errors
    /// As for [`Host::agent_ping`].
    pub async fn agent_thaw(&self, wanted: &DomainRef) -> Result<FrozenGuest, Error> {
        let definition = self.active(wanted).await?;
        let file_systems = self.thaw(&definition).await?;
        Ok(FrozenGuest { name: definition.name, file_systems })
    }

    async fn freeze(&self, definition: &Definition) -> Result<u64, Error> {
        let frozen =
            self.with_agent(definition, FREEZE_WAIT, |agent| agent.call("guest-fsfreeze-freeze", None));
        match frozen.await {
            Ok(frozen) => {
                self.tell(definition, "guest-frozen");
                Ok(frozen.as_u64().unwrap_or_default())
            }
            Err(error) => match self.thaw(definition).await {
                Ok(_) => Err(error),
                Err(left) => {
                    Err(error.hint(format!("the guest may stand still, and was not thawed: {left}")))
                }
            },
        }
    }

    async fn thaw(&self, definition: &Definition) -> Result<u64, Error> {
        let thawed =
            self.with_agent(definition, FREEZE_WAIT, |agent| agent.call("guest-fsfreeze-thaw", None)).await?;
        self.tell(definition, "guest-thawed");
        Ok(thawed.as_u64().unwrap_or_default())
    }

    /// Does something while the guest writes to none of its disks. It is thawed afterwards, also when that failed, and by the
    /// next owner when this one does not come to it.
    ///
    /// # Errors
    /// What freezing, and what is done meanwhile, says.
    pub(crate) async fn quiesced<T>(
        &self,
        definition: &Definition,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let owner = self.owner()?;
        let intent = owner.journal().begin(verb::QUIESCE, definition.uuid, "begun", json!({}))?;
        if let Err(error) = self.freeze(definition).await {
            owner.journal().finish(&intent)?;
            return Err(error);
        }
        let done = work.await;
        match self.thaw(definition).await {
            Ok(_) => owner.journal().finish(&intent)?,
            // The intent stays, so that the next owner tries again.
            Err(error) => {
                tracing::warn!(domain = definition.name, %error, "the guest was not thawed; the next command tries again");
            }
        }
        done
    }

    /// Asks the guest through its agent to end, or to begin again.
    pub(crate) async fn ask_by_agent(
        &self,
        wanted: &DomainRef,
        mode: &'static str,
    ) -> Result<DomainSummary, Error> {
        let definition = self.active(wanted).await?;
        let asked = self.with_agent(&definition, ANSWER_WAIT, move |agent| {
            agent.tell("guest-shutdown", Some(json!({"mode": mode})))?;
            // It answers by what it does, and only a refusal in words.
            agent.allow(REFUSAL_WAIT);
            agent.refusal()
        });
        asked.await?;
        self.after_end(&definition).await
    }
}

/// What a new owner does about a guest that was frozen by one that is gone. Whether it is thawed.
pub(crate) async fn thawed(host: &Host, intent: &Intent) -> bool {
    let thawed = async {
        let Some(definition) = host.state().definition_by_uuid(intent.domain)? else { return Ok(()) };
        match host.state().run_dir(definition.uuid).is_held()? {
            true => host.thaw(&definition).await.map(drop),
            false => Ok(()),
        }
    };
    match thawed.await {
        Ok(()) => true,
        Err::<(), Error>(error) => {
            tracing::warn!(id = intent.id, %error, "a guest was not thawed; the next command tries again");
            false
        }
    }
}

/// An agent that lacks a command still tells what the others say.
fn read_info(agent: &mut Conversation) -> Result<(Value, Value, Value), Silence> {
    let mut optional = |command: &str| match agent.call(command, None) {
        Err(Silence::Refused { .. }) => Ok(Value::Null),
        answer => answer,
    };
    let (system, named) = (optional("guest-get-osinfo")?, optional("guest-get-host-name")?);
    Ok((agent.call("guest-info", None)?, system, named))
}

fn file_systems(told: &Value) -> Vec<GuestFileSystem> {
    let all = told.as_array().into_iter().flatten().take(LISTED);
    all.map(|one| {
        let word = |name: &str| one.get(name).and_then(Value::as_str).map(shown).unwrap_or_default();
        GuestFileSystem {
            name: word("name"),
            mountpoint: word("mountpoint"),
            kind: word("type"),
            total_bytes: one.get("total-bytes").and_then(Value::as_u64),
            used_bytes: one.get("used-bytes").and_then(Value::as_u64),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_a_guest_are_bounded_and_harmless() {
        let one = json!({"name": "v\u{1b}[31m", "mountpoint": 7, "type": "ext4", "used-bytes": -1, "total-bytes": 9});
        let told = Value::Array(vec![one; 100_000]);
        let listed = file_systems(&told);
        assert_eq!(listed.len(), LISTED);
        assert!(!listed[0].name.contains('\u{1b}') && listed[0].mountpoint.is_empty());
        assert_eq!((listed[0].total_bytes, listed[0].used_bytes), (Some(9), None));
        assert!(file_systems(&json!({"x": 1})).is_empty());
    }
}
