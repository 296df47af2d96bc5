//! Definitions of networks, and how far each has been made.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Kind, StateError};
use crate::files::Keep;
use crate::layout::StateDir;
use crate::owner::Owner;
use crate::pool::encoded;

/// Where networks are.
pub(crate) const DIRECTORY: &str = "networks";

/// What is known about a network whether it is started or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkDefinition {
    /// Identifies the network for ever.
    pub uuid: Uuid,
    /// The name users give it; unique among the networks, which the caller sees to.
    pub name: String,
    /// The network XML.
    pub xml: String,
    /// Whether it is there when it is not started; `false` for one that was only created. All were of earlier versions.
    #[serde(default = "persistent")]
    pub persistent: bool,
    /// Whether the first owner after a boot of the machine starts it.
    pub autostart: bool,
    /// Grows with each change.
    pub generation: u64,
    /// When the network was defined first, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// When this generation was written, in milliseconds since 1970.
    pub changed_unix_ms: u64,
}

fn persistent() -> bool {
    true
}

/// How far a network has been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkPhase {
    /// It is being made. Nobody was told that it is there: who finds it so takes away what there is of it.
    Starting,
    /// It is there.
    Active,
    /// It is being taken away, and who finds it so goes on with that.
    Stopping,
    /// It is not there.
    Stopped,
}

/// How far a network has been made, in one boot of the machine: what it is made of does not outlive that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkActivity {
    /// The boot, as the kernel identifies it.
    pub boot: String,
    /// The network namespace that it was made in, as the kernel numbers it.
    pub namespace: u64,
    /// How far it has come.
    pub phase: NetworkPhase,
    /// The document that it was made from: a later definition counts from its next start.
    pub xml: String,
}

impl StateDir {
    /// Every network, sorted by name. A record that is damaged beyond recovery is left out and found in
    /// [`StateDir::damage`].
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn networks(&self) -> Result<Vec<NetworkDefinition>, StateError> {
        let mut networks = Vec::new();
        for uuid in self.uuids_in(DIRECTORY)? {
            match self.network_by_uuid(uuid) {
                Err(error) if error.kind == Kind::Corrupt => {}
                found => networks.extend(found?),
            }
        }
        networks.sort_by(|a: &NetworkDefinition, b| a.name.cmp(&b.name));
        Ok(networks)
    }

    /// One network, or nothing.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when there is one that cannot be read, [`Kind::Io`] or [`Kind::TooNew`].
    pub fn network_by_uuid(&self, uuid: Uuid) -> Result<Option<NetworkDefinition>, StateError> {
        let path = self.network_dir(uuid).join("definition");
        self.read_record(&path, |network: &NetworkDefinition| network.uuid == uuid)
    }

    /// How far a network has been made, and in which boot; nothing when it never was. It is written without waiting for
    /// the disk, so a damaged one is one that a power cut took.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn network_activity(&self, network: Uuid) -> Result<Option<NetworkActivity>, StateError> {
        match self.read_record(&self.network_dir(network).join("activity"), |_| true) {
            Err(error) if error.kind == Kind::Corrupt => Ok(None),
            read => read,
        }
    }

    /// The directory of one network's records, and of the files of its dnsmasq.
    #[must_use]
    pub fn network_dir(&self, network: Uuid) -> PathBuf {
        self.root().join(DIRECTORY).join(network.to_string())
    }
}

impl Owner {
    /// Stores a network, new or changed; durable when this returns.
    ///
    /// # Errors
    /// [`Kind::TooLarge`], [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`]: then the old definition stands.
    pub fn put_network(&self, network: &NetworkDefinition) -> Result<(), StateError> {
        let path = self.network_dir(network.uuid).join("definition");
        let payload = encoded(&path, network)?;
        self.files.ensure_directory(&self.network_dir(network.uuid))?;
        self.files.replace(&path, &payload, Keep::Previous)
    }

    /// Removes what is known about a network, with what its dnsmasq has lent.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such network; [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn remove_network(&self, network: Uuid) -> Result<(), StateError> {
        let directory = self.network_dir(network);
        self.remove_at_once(&directory, network).map_err(|error| match error.kind {
            Kind::NotFound => no_such_network(&directory),
            _ => error,
        })
    }

    /// Records how far a network has been made. A power cut may take that, for it ends the boot that it is about.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the network has no definition; [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn put_network_activity(&self, network: Uuid, activity: &NetworkActivity) -> Result<(), StateError> {
        if self.network_by_uuid(network)?.is_none() {
            return Err(no_such_network(&self.network_dir(network)));
        }
        let path = self.network_dir(network).join("activity");
        self.files.replace_volatile(&path, &encoded(&path, activity)?)
    }
}

fn no_such_network(directory: &std::path::Path) -> StateError {
    StateError::new(Kind::NotFound, directory, "no such network")
        .hint("list the networks to see which there are")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn network(name: &str) -> NetworkDefinition {
        NetworkDefinition {
            uuid: Uuid::new_v4(),
            name: name.to_owned(),
            xml: "<network/>".to_owned(),
            persistent: true,
            autostart: false,
            generation: 1,
            created_unix_ms: 1,
            changed_unix_ms: 2,
        }
    }

    #[test]
    fn records_of_earlier_versions_are_of_networks_that_stay() {
        let mut record = serde_json::to_value(network("a")).unwrap();
        record.as_object_mut().unwrap().remove("persistent");
        assert!(serde_json::from_value::<NetworkDefinition>(record).unwrap().persistent);
    }

    #[test]
    fn networks_are_found_until_they_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let state = StateDir::open_owner(root.path(), Duration::ZERO).unwrap();
        let (a, b) = (network("a"), network("b"));
        let activity = NetworkActivity {
            boot: "x".into(),
            namespace: 1,
            phase: NetworkPhase::Active,
            xml: "<network/>".into(),
        };
        assert_eq!(state.put_network_activity(a.uuid, &activity).unwrap_err().kind, Kind::NotFound);
        state.put_network(&b).unwrap();
        state.put_network(&a).unwrap();
        state.put_network_activity(a.uuid, &activity).unwrap();
        let reader = StateDir::open_reader(root.path()).unwrap();
        assert_eq!(reader.networks().unwrap(), [a.clone(), b.clone()]);
        assert_eq!(reader.network_activity(a.uuid).unwrap(), Some(activity));
        assert_eq!(reader.network_activity(b.uuid).unwrap(), None);
        std::fs::write(state.network_dir(a.uuid).join("activity"), "torn").unwrap();
        assert_eq!(state.network_activity(a.uuid).unwrap(), None);
        state.remove_network(a.uuid).unwrap();
        assert_eq!(state.remove_network(a.uuid).unwrap_err().kind, Kind::NotFound);
        assert_eq!(reader.networks().unwrap(), [b]);
    }
}
