//! The image that a disk of a running guest is copied to: opened beside the disk's own, and left in its place or closed.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::domain::disk::Disk;
use hostler_sdk::{Domain, Error, Monitor, problem};

use super::super::notes;
use super::detach::remove_nodes;
use super::{media, nodes, steps};

/// The copy of a disk, by the notes that there are of it.
pub(in crate::lifecycle) struct Copy {
    /// What its nodes are noted under.
    key: String,
    /// Its nodes, each before those that it refers to; none when there is no copy.
    pub(in crate::lifecycle) nodes: Vec<String>,
}

impl Copy {
    /// The copy of the disk with this target name.
    ///
    /// # Errors
    /// What the host says when the notes cannot be read.
    pub(in crate::lifecycle) fn of(domain: &Domain, target: &str) -> Result<Self, Error> {
        // Counted among the nodes of media, so that nobody else takes their numbers.
        let key = format!("medium:copy-{target}");
        let nodes = nodes::noted(domain, &key)?.unwrap_or_default();
        Ok(Self { key, nodes })
    }

    /// Whether it was given up when it was complete.
    ///
    /// # Errors
    /// What the host says when the notes cannot be read.
    pub(in crate::lifecycle) fn is_given_up(domain: &Domain, target: &str) -> Result<bool, Error> {
        Ok(notes::value(domain, &given_up_key(target))?.is_some())
    }

    /// Notes that it is given up although it is complete, or is not.
    ///
    /// # Errors
    /// What the host says when that cannot be kept.
    pub(in crate::lifecycle) fn note_given_up(domain: &Domain, target: &str, is: bool) -> Result<(), Error> {
        notes::put(domain, &[(given_up_key(target), is.then(|| "yes".to_owned()))])
    }

    /// Opens the image that the disk has in the next document.
    ///
    /// # Errors
    /// `not-found` when the next document has no such disk; what host and monitor answer. Nothing of it is open then.
    pub(in crate::lifecycle) fn open(
        &mut self,
        domain: &Domain,
        monitor: &Monitor,
        target: &str,
    ) -> Result<(), Error> {
        self.close(domain, monitor)?;
        Self::note_given_up(domain, target, false)?;
        let next = Document::parse(&domain.next_config()?)?;
        let (steps, _, mut resources) = media::medium(domain, monitor, &next, disk(&next, target)?)?;
        self.nodes = steps::nodes(&steps);
        notes::put(domain, &[(self.key.clone(), Some(nodes::joined(&self.nodes)))])?;
        if let Err(error) = steps::run(&steps, domain, monitor, &mut resources) {
            self.forget(domain)?;
            return Err(error);
        }
        Ok(())
    }

    /// Closes it.
    ///
    /// # Errors
    /// What host and monitor answer; it is still noted then.
    pub(in crate::lifecycle) fn close(&mut self, domain: &Domain, monitor: &Monitor) -> Result<(), Error> {
        if self.nodes.is_empty() {
            return Ok(());
        }
        remove_nodes(monitor, &self.nodes)?;
        self.forget(domain)
    }

    /// What to note when its nodes are the disk's.
    pub(in crate::lifecycle) fn taken(&self) -> (String, Option<String>) {
        (self.key.clone(), None)
    }

    fn forget(&mut self, domain: &Domain) -> Result<(), Error> {
        self.nodes.clear();
        notes::put(domain, &[self.taken()])
    }
}

fn given_up_key(target: &str) -> String {
    format!("given-up:{target}")
}

fn disk<'a>(document: &'a Document, target: &str) -> Result<&'a Disk, Error> {
    document.devices.disks.iter().find(|disk| disk.target.as_str() == target).ok_or_else(|| {
        Error::NotFound(problem("qemu.no-disk", format!("the next document has no disk '{target}'")))
    })
}
