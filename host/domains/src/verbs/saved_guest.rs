//! Guests that were put away: their documents, read and exchanged, and how one is forgotten.

use std::io::{Seek as _, SeekFrom};
use std::path::Path;

use hostler_domain::Domain;
use hostler_storage::Draft;

use super::save::unwritten;
use crate::devices;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::process;
use crate::reference::DomainRef;
use crate::reverted::REVERTED;
use crate::saved::{self, Place, SavedGuest};

impl Host {
    /// The document of the guest in a file.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; what the file is that is no saved guest.
    pub fn saved_document(&self, path: &Path) -> Result<String, Error> {
        Ok(opened(&self.named_place(path)?)?.header.xml)
    }

    /// The document of the guest that the next start of a domain brings back.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for a domain that there is not; [`Kind::Conflict`] when its next start brings none back; what the
    /// file is.
    pub fn own_saved_document(&self, wanted: &DomainRef) -> Result<String, Error> {
        let definition = self.find(wanted)?;
        if let Some(reverted) = self.reverted_guest(definition.uuid)? {
            return Ok(reverted.xml);
        }
        Ok(opened(&self.own_saved_place(wanted)?)?.header.xml)
    }

    /// Gives the guest in a file another document: of the same machine, with its images elsewhere for example. `running` says
    /// whether its processors are to run when it is brought back. The file is exchanged as a whole.
    ///
    /// # Errors
    /// As for [`Host::saved_document`]; [`Kind::Unsupported`] for a document of another machine; what writing says. The file is
    /// as it was then.
    pub async fn redefine_saved(
        &self,
        path: &Path,
        xml: Option<&str>,
        running: Option<bool>,
    ) -> Result<(), Error> {
        self.owner()?;
        exchange(self, self.named_place(path)?, xml, running).await
    }

    /// The same for the guest that the next start of a domain brings back.
    ///
    /// # Errors
    /// As for [`Host::redefine_saved`]; [`Kind::Conflict`] when its next start brings none back.
    pub async fn redefine_own_saved(
        &self,
        wanted: &DomainRef,
        xml: Option<&str>,
        running: Option<bool>,
    ) -> Result<(), Error> {
        self.owner()?;
        exchange(self, self.own_saved_place(wanted)?, xml, running).await
    }

    /// Forgets the guest that the next start of a domain would bring back, which is lost with it.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when its next start brings none back; what removing says.
    pub fn forget_saved(&self, wanted: &DomainRef) -> Result<(), Error> {
        let owner = self.owner()?;
        let definition = self.find(wanted)?;
        // One that is being brought back or put away is not for anybody else.
        if owner
            .pending()?
            .iter()
            .any(|intent| intent.domain == definition.uuid && intent.verb != crate::recovery::verb::BLOCK_JOB)
        {
            return Err(Error::new(
                Kind::Busy,
                "saved.in-use",
                "the guest is being put away or brought back",
            ));
        }
        if self.state().domain_dir(definition.uuid).join(REVERTED).exists() {
            return Ok(self.own_place(definition.uuid)?.root.remove_file(REVERTED)?);
        }
        let place = self.own_saved_place(wanted)?;
        Ok(place.root.remove_file(&place.name)?)
    }

    fn own_saved_place(&self, wanted: &DomainRef) -> Result<Place, Error> {
        let definition = self.find(wanted)?;
        let place = self.own_place(definition.uuid)?;
        if place.exists() {
            return Ok(place);
        }
        let message = format!("no guest of '{}' was put away", definition.name);
        Err(Error::new(Kind::Conflict, "domain.not-saved", message).about("domain", &definition.name))
    }
}

fn opened(place: &Place) -> Result<SavedGuest, Error> {
    saved::open(place)?.ok_or_else(|| {
        let message = format!("there is no file '{}'", place.path().display());
        Error::new(Kind::NotFound, "saved.not-found", message)
    })
}

async fn exchange(host: &Host, place: Place, xml: Option<&str>, running: Option<bool>) -> Result<(), Error> {
    let mut guest = opened(&place)?;
    let xml = match xml {
        Some(xml) => {
            let next = Domain::parse(xml)?;
            require_same_machine(&Domain::parse(&guest.header.xml)?, &next)?;
            host.require_allowed_to_tenant(&next)?;
            xml.to_owned()
        }
        None => guest.header.xml.clone(),
    };
    let running = running.unwrap_or(guest.header.running);
    process::blocking(move || {
        let draft = Draft::nameless(&place.root)?;
        let mut file = draft.file().try_clone().map_err(unwritten)?;
        saved::begin(&mut file, &xml, running).map_err(unwritten)?;
        guest.file.seek(SeekFrom::Start(guest.header.stream_begins)).map_err(unwritten)?;
        std::io::copy(&mut guest.file, &mut file).map_err(unwritten)?;
        saved::finish(&file).map_err(unwritten)?;
        Ok::<_, Error>(draft.replace(&place.name)?)
    })
    .await?
}

/// What a guest sees cannot change while it is put away.
fn require_same_machine(before: &Domain, next: &Domain) -> Result<(), Error> {
    let devices = |domain: &Domain| -> Result<Vec<String>, Error> {
        // What they were called in that run is not what they are.
        let document = domain.document_without_run()?;
        Ok(devices::all(&Domain::from_document(document)?).iter().map(devices::Device::identity).collect())
    };
    let same: [(&str, bool); 6] = [
        ("name", before.name == next.name),
        ("identifier", next.uuid.is_none() || before.uuid == next.uuid),
        ("memory", before.memory == next.memory),
        ("number of processors", before.vcpus.maximum == next.vcpus.maximum),
        ("machine type", before.os.machine == next.os.machine),
        ("list of devices", devices(before)? == devices(next)?),
    ];
    match same.iter().find(|(_, same)| !same) {
        None => Ok(()),
        Some((what, _)) => {
            let message =
                format!("the guest was put away with another {what}, which cannot change meanwhile");
            Err(Error::new(Kind::Unsupported, "saved.other-machine", message)
                .hint("where its images lie can change, and what only the host sees"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(size: u32, disks: &str) -> Domain {
        let xml = format!(
            "<domain type='qemu'><name>n</name><memory>{size}</memory><os><type>hvm</type></os>\
             <devices>{disks}</devices></domain>"
        );
        Domain::parse(&xml).unwrap()
    }

    #[test]
    fn guest_keeps_its_machine_and_may_have_its_images_elsewhere() {
        let disk = |file: &str, target: &str| {
            format!("<disk type='file'><source file='{file}'/><target dev='{target}'/></disk>")
        };
        let before = domain(1024, &disk("/a", "vda"));
        require_same_machine(&before, &domain(1024, &disk("/b", "vda"))).unwrap();
        for (other, what) in [
            (domain(2048, &disk("/a", "vda")), "memory"),
            (domain(1024, &disk("/a", "vdb")), "devices"),
            (domain(1024, ""), "devices"),
        ] {
            let error = require_same_machine(&before, &other).unwrap_err();
            assert!(error.code() == "saved.other-machine" && error.to_string().contains(what), "{error}");
        }
    }
}
