//! Definitions of domains, and the state document that each domain's driver keeps.

use std::io;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Kind, StateError};
use crate::files::Keep;
use crate::index::Headline;
use crate::layout::StateDir;
use crate::owner::Owner;

/// Largest state document of a driver, in bytes: 1 MiB per domain.
pub const DRIVER_STATE_MAX_BYTES: usize = 1 << 20;
/// The record that the domain's driver keeps.
pub(crate) const DRIVER_STATE: &str = "driver-state";
/// Longest domain name, in bytes.
pub const NAME_MAX_BYTES: usize = 255;

/// What is known about a domain whether it runs or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Identifies the domain for ever.
    pub uuid: Uuid,
    /// The name users give it; unique among the definitions, which the caller sees to.
    pub name: String,
    /// The domain XML.
    pub xml: String,
    /// The name of the driver that runs it.
    pub driver: String,
    /// Whether it outlives its process; `false` for a transient domain.
    pub persistent: bool,
    /// Grows with each change, so that a change based on an older one is noticed.
    pub generation: u64,
    /// When the domain was defined first, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// When this generation was written, in milliseconds since 1970.
    pub changed_unix_ms: u64,
}

/// The record of a definition, of which the document is passed over.
#[derive(Deserialize)]
struct Head {
    uuid: Uuid,
    name: String,
    driver: String,
    persistent: bool,
    #[serde(rename = "xml")]
    _xml: IgnoredAny,
    #[serde(rename = "generation")]
    _generation: u64,
}

impl StateDir {
    /// Every definition, sorted by name. A record that is damaged beyond recovery is left out and found in
    /// [`StateDir::damage`].
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn definitions(&self) -> Result<Vec<Definition>, StateError> {
        let mut definitions = Vec::new();
        for uuid in self.uuids_in("domains")? {
            match self.definition_by_uuid(uuid) {
                Err(error) if error.kind == Kind::Corrupt => {}
                found => definitions.extend(found?),
            }
        }
        definitions.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(definitions)
    }

    /// The definition of one domain, or nothing.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when there is one that cannot be read, [`Kind::Io`] or [`Kind::TooNew`].
    pub fn definition_by_uuid(&self, uuid: Uuid) -> Result<Option<Definition>, StateError> {
        let found = self.read_definition(uuid);
        if let (Err(error), Some(index)) = (&found, &self.index)
            && error.kind == Kind::Corrupt
        {
            index.forget(uuid);
        }
        found
    }

    pub(crate) fn read_definition(&self, uuid: Uuid) -> Result<Option<Definition>, StateError> {
        self.read_record(&self.definition_path(uuid), |definition: &Definition| definition.uuid == uuid)
    }

    /// What a definition begins with, read without making anything of its document.
    ///
    /// # Errors
    /// As for [`StateDir::read_definition`].
    pub(crate) fn read_headline(&self, uuid: Uuid) -> Result<Option<Headline>, StateError> {
        let head = self.read_record(&self.definition_path(uuid), |head: &Head| head.uuid == uuid)?;
        Ok(head
            .map(|Head { uuid, name, driver, persistent, .. }| Headline::new(uuid, name, driver, persistent)))
    }

    /// The definition with this name, or nothing.
    ///
    /// # Errors
    /// [`Kind::Io`] or [`Kind::TooNew`].
    pub fn by_name(&self, name: &str) -> Result<Option<Definition>, StateError> {
        match self.headline_by_name(name)? {
            Some(found) => self.definition_by_uuid(found.uuid),
            None => Ok(None),
        }
    }

    /// The document that the domain's driver keeps, or nothing when it has not stored any.
    ///
    /// # Errors
    /// [`Kind::Corrupt`], [`Kind::Io`] or [`Kind::TooNew`].
    pub fn driver_state(&self, domain: Uuid) -> Result<Option<Vec<u8>>, StateError> {
        self.files.load(&self.driver_state_path(domain))
    }

    fn definition_path(&self, uuid: Uuid) -> PathBuf {
        self.domain_dir(uuid).join("definition")
    }

    fn driver_state_path(&self, uuid: Uuid) -> PathBuf {
        self.domain_dir(uuid).join(DRIVER_STATE)
    }
}

impl Owner {
    /// Stores a definition, new or changed; durable when this returns. A transient domain is stored too,
    /// before its process starts.
    ///
    /// # Errors
    /// [`Kind::InvalidName`], [`Kind::TooLarge`], [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`]: then
    /// the old definition stands.
    pub fn put_definition(&self, definition: &Definition) -> Result<(), StateError> {
        let path = self.definition_path(definition.uuid);
        check_name(&definition.name, &path)?;
        let payload = serde_json::to_vec(definition)
            .map_err(|error| StateError::io(&path, "encode the definition", io::Error::from(error)))?;
        let directory = self.domain_dir(definition.uuid);
        let is_first = self.files.is_absent(&path)?;
        self.files.make_directory(&directory)?;
        // The directory's own entry comes last: by then it mostly is durable with the rest, and costs nothing more.
        let written = self.files.replace(&path, &payload, Keep::Previous).and_then(|()| match is_first {
            true => self.files.sync_parent(&directory),
            false => Ok(()),
        });
        self.index_again(definition.uuid);
        written
    }

    /// Removes the domain's directory with everything in it: definition, driver state, *variable store*. A
    /// caller that is to keep the variable store moves it away before.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such domain; [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn remove_definition(&self, uuid: Uuid) -> Result<(), StateError> {
        let directory = self.domain_dir(uuid);
        let removed = self.remove_at_once(&directory, uuid);
        self.index_again(uuid);
        removed.map_err(|error| match error.kind {
            Kind::NotFound => no_such_domain(&directory),
            _ => error,
        })
    }

    /// The directory of this name in which a helper of the domain keeps its files, made (mode 0700) where it is not
    /// there; its name is durable when this returns. It goes with the definition.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the domain has no definition; [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn keep(&self, domain: Uuid, name: &str) -> Result<PathBuf, StateError> {
        let path = self.keeps_path(domain).join(name);
        if self.definition_by_uuid(domain)?.is_none() {
            return Err(no_such_domain(&self.domain_dir(domain)));
        }
        self.take_up_kept(domain)?;
        self.files.ensure_directory(&self.keeps_path(domain))?;
        self.files.ensure_directory(&path)?;
        Ok(path)
    }

    /// What was kept of an earlier definition is this one's, unless it has something of its own.
    fn take_up_kept(&self, domain: Uuid) -> Result<(), StateError> {
        let (kept, own) = (self.kept_path(domain), self.keeps_path(domain));
        if own.exists() || !kept.exists() {
            return Ok(());
        }
        self.files.rename(&kept, &own)?;
        self.files.sync_parent(&own)?;
        self.files.sync_parent(&kept)
    }

    /// Moves all that helpers of the domain have kept out of its directory; moved already is done. What lies there is
    /// given another name, with `now` in it.
    ///
    /// # Errors
    /// [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn move_keeps(&self, domain: Uuid, to: &Path, now: u64) -> Result<(), StateError> {
        let from = self.keeps_path(domain);
        if !from.exists() {
            return Ok(());
        }
        if let Some(directory) = to.parent() {
            self.files.ensure_directory(directory)?;
        }
        if to.exists() {
            let name = to.file_name().unwrap_or_default().to_string_lossy();
            self.files.rename(to, &to.with_file_name(format!("{name}-{now}.older")))?;
        }
        self.files.rename(&from, to)?;
        self.files.sync_parent(to)?;
        self.files.sync_parent(&from)
    }

    /// Replaces the document that the domain's driver keeps.
    ///
    /// # Errors
    /// [`Kind::TooLarge`] above [`DRIVER_STATE_MAX_BYTES`], [`Kind::NotFound`] when the domain has no
    /// definition; [`Kind::Full`], [`Kind::Io`] or [`Kind::ReadOnly`].
    pub fn put_driver_state(&self, domain: Uuid, document: &[u8]) -> Result<(), StateError> {
        let path = self.driver_state_path(domain);
        if document.len() > DRIVER_STATE_MAX_BYTES {
            let (found, limit) = (document.len(), DRIVER_STATE_MAX_BYTES);
            let detail = format!("driver state of {found} bytes exceeds the limit of {limit} bytes");
            return Err(StateError::new(Kind::TooLarge, &path, detail)
                .hint("the driver keeps too much; report it to the driver's author"));
        }
        if self.definition_by_uuid(domain)?.is_none() {
            return Err(no_such_domain(&self.domain_dir(domain)));
        }
        let written = self.files.replace(&path, document, Keep::Previous);
        self.index_again(domain);
        written
    }
}

fn no_such_domain(directory: &Path) -> StateError {
    StateError::new(Kind::NotFound, directory, "no such domain")
        .hint("list the domains to see which there are")
}

fn check_name(name: &str, path: &Path) -> Result<(), StateError> {
    let problem = if name.trim().is_empty() {
        "is empty"
    } else if name.len() > NAME_MAX_BYTES {
        "is longer than 255 bytes"
    } else if name.contains('/') || name.chars().any(char::is_control) {
        "has a slash or a control character"
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
    Err(StateError::new(Kind::InvalidName, path, format!("domain name '{shown}' {problem}"))
        .hint("choose a name of 1 to 255 bytes without slashes and control characters"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn definition(name: &str) -> Definition {
        Definition {
            uuid: Uuid::new_v4(),
            name: name.to_owned(),
            xml: format!("<domain><name>{name}</name></domain>"),
            driver: "test".to_owned(),
            persistent: true,
            generation: 1,
            created_unix_ms: 5,
            changed_unix_ms: 6,
        }
    }

    fn owner(root: &Path) -> Owner {
        StateDir::open_owner(root, Duration::ZERO).unwrap()
    }

    #[test]
    fn stored_definition_is_found_by_uuid_name_and_list() {
        let root = tempfile::tempdir().unwrap();
        let (b, a) = (definition("b"), definition("a"));
        let state = owner(root.path());
        state.put_definition(&b).unwrap();
        state.put_definition(&a).unwrap();
        let reader = StateDir::open_reader(root.path()).unwrap();
        assert_eq!(reader.definitions().unwrap(), [a.clone(), b.clone()]);
        assert_eq!(reader.definition_by_uuid(b.uuid).unwrap(), Some(b));
        assert_eq!(reader.by_name("a").unwrap(), Some(a));
        assert_eq!(reader.by_name("c").unwrap(), None);
    }

    #[test]
    fn removed_domain_takes_its_documents_with_it() {
        let root = tempfile::tempdir().unwrap();
        let (state, domain) = (owner(root.path()), definition("a"));
        state.put_definition(&domain).unwrap();
        state.put_driver_state(domain.uuid, b"x").unwrap();
        std::fs::write(state.variable_store_path(domain.uuid), "vars").unwrap();
        state.remove_definition(domain.uuid).unwrap();
        assert_eq!(std::fs::read_dir(root.path().join("domains")).unwrap().count(), 0);
        assert_eq!(state.driver_state(domain.uuid).unwrap(), None);
        assert_eq!(state.remove_definition(domain.uuid).unwrap_err().kind, Kind::NotFound);
        state.put_definition(&domain).unwrap();
        assert_eq!(state.driver_state(domain.uuid).unwrap(), None);
    }

    #[test]
    fn driver_state_has_a_limit_and_needs_its_domain() {
        let root = tempfile::tempdir().unwrap();
        let (state, domain) = (owner(root.path()), definition("a"));
        assert_eq!(state.put_driver_state(domain.uuid, b"x").unwrap_err().kind, Kind::NotFound);
        state.put_definition(&domain).unwrap();
        let mut document = vec![7; DRIVER_STATE_MAX_BYTES];
        state.put_driver_state(domain.uuid, &document).unwrap();
        assert_eq!(state.driver_state(domain.uuid).unwrap().as_ref(), Some(&document));
        document.push(7);
        assert_eq!(state.put_driver_state(domain.uuid, &document).unwrap_err().kind, Kind::TooLarge);
    }

    #[test]
    fn damaged_definition_is_listed_as_damage_and_the_others_as_usual() {
        let root = tempfile::tempdir().unwrap();
        let (state, good, bad) = (owner(root.path()), definition("good"), definition("bad"));
        state.put_definition(&good).unwrap();
        state.put_definition(&bad).unwrap();
        std::fs::write(state.definition_path(bad.uuid), "torn").unwrap();
        assert_eq!(state.definitions().unwrap(), [good]);
        assert_eq!(state.damage().len(), 1);
        assert_eq!(state.set_aside().unwrap().len(), 1);
    }

    #[test]
    fn record_of_another_domain_is_damage() {
        let root = tempfile::tempdir().unwrap();
        let (state, a, b) = (owner(root.path()), definition("a"), definition("b"));
        state.put_definition(&a).unwrap();
        state.put_definition(&b).unwrap();
        std::fs::copy(state.definition_path(a.uuid), state.definition_path(b.uuid)).unwrap();
        assert_eq!(state.definition_by_uuid(b.uuid).unwrap_err().kind, Kind::Corrupt);
    }

    #[test]
    fn a_thousand_definitions_are_all_read() {
        let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let state = owner(root.path());
        for n in 0..1000 {
            let xml = format!("<domain>{}</domain>", "x".repeat(4000));
            state.put_definition(&Definition { xml, ..definition(&format!("d{n:04}")) }).unwrap();
        }
        let found = StateDir::open_reader(root.path()).unwrap().definitions().unwrap();
        assert_eq!((found.len(), found[999].name.as_str()), (1000, "d0999"));
    }

    #[test]
    fn reader_without_lock_always_sees_a_whole_definition_that_never_goes_back() {
        let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let (state, first) = (owner(root.path()), definition("a"));
        state.put_definition(&first).unwrap();
        let last = 500;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for generation in 2..=last {
                    state.put_definition(&Definition { generation, ..first.clone() }).unwrap();
                }
            });
            let reader = StateDir::open_reader(root.path()).unwrap();
            let mut seen = 0;
            while seen < last {
                let now = reader.definition_by_uuid(first.uuid).unwrap().unwrap().generation;
                assert!(now >= seen, "{now} after {seen}");
                seen = now;
            }
            assert!(reader.damage().is_empty());
        });
    }

    #[test]
    fn bad_names_are_refused_and_change_nothing() {
        let root = tempfile::tempdir().unwrap();
        let state = owner(root.path());
        for name in ["", " ", "a/b", "a\nb", &"x".repeat(NAME_MAX_BYTES + 1)] {
            assert_eq!(state.put_definition(&definition(name)).unwrap_err().kind, Kind::InvalidName);
        }
        assert!(state.definitions().unwrap().is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn any_document_survives_its_record(
            (name, xml, driver) in ("[^/\\pC]{1,60}", ".*", ".*"),
            numbers in any::<(u128, bool, u64, u64, u64)>(),
        ) {
            let (uuid, persistent, generation, created_unix_ms, changed_unix_ms) = numbers;
            let uuid = Uuid::from_u128(uuid);
            let stored = Definition { uuid, name, xml, driver, persistent, generation, created_unix_ms, changed_unix_ms };
            let record = crate::encode(&serde_json::to_vec(&stored).unwrap());
            let read: Definition = serde_json::from_slice(&crate::decode(record).unwrap()).unwrap();
            prop_assert_eq!(read, stored);
        }
    }
}
