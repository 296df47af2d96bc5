//! What a tenant uses now, and whether there is room for more. Asked by the owner of the tenant's state directory, so
//! that nothing changes between the question and what follows.

use std::io::{self, Read};
use std::path::Path;

use hostler_domain::Domain;
use hostler_image::Format;
use hostler_runtime::inspect_header;
use hostler_state::{Charge, Definition};
use hostler_storage::{CreateRequest, Resize};

use crate::error::Error;
use crate::host::Host;
use crate::process;
use crate::quota::{PROCESSES_PER_RUN, Quota, limit_of, require_room};

/// Images are made in whole sectors of so many bytes.
const SECTOR: u64 = 512;

/// What is used of everything that a tenant has a quota of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InUse {
    pub(crate) domains: u64,
    pub(crate) running: u64,
    pub(crate) vcpus: u64,
    pub(crate) memory: u64,
    pub(crate) disk: u64,
    pub(crate) processes: u64,
}

/// A charge that was made before what it is for.
#[must_use = "how it ends has to be recorded"]
pub(crate) struct Charged {
    before: Option<Charge>,
    after: Charge,
}

impl InUse {
    /// What is used of one thing; nothing for a rate, which is not had but flows.
    pub(crate) fn of(&self, quota: Quota) -> Option<u64> {
        match quota {
            Quota::Domains => Some(self.domains),
            Quota::Running => Some(self.running),
            Quota::Vcpus => Some(self.vcpus),
            Quota::Memory => Some(self.memory),
            Quota::Disk => Some(self.disk),
            Quota::Processes => Some(self.processes),
            Quota::DriverCpu | Quota::DriverMemory => None,
        }
    }
}

impl Host {
    /// What is used now.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read.
    pub(crate) async fn in_use(&self) -> Result<InUse, Error> {
        let mut used = InUse { disk: self.charged()?, ..InUse::default() };
        for definition in self.definitions()? {
            used.domains += 1;
            let held = self.state().run_dir(definition.uuid).is_held()?;
            if !held && !self.runs_elsewhere(&definition).await? {
                continue;
            }
            let (memory, vcpus) = size(&self.shown_xml(&definition));
            used.running += 1;
            used.memory = used.memory.saturating_add(memory);
            used.vcpus = used.vcpus.saturating_add(vcpus);
            used.processes += if held { PROCESSES_PER_RUN } else { 0 };
        }
        Ok(used)
    }

    /// Whether it runs in a hypervisor that keeps its own processes. One that does not answer may well run.
    async fn runs_elsewhere(&self, definition: &Definition) -> Result<bool, Error> {
        Ok(self.runs_without_process(definition.uuid, &definition.driver)?
            && !self.query(definition).await.is_ok_and(|state| !state.is_active()))
    }

    /// Refuses a definition that the tenant has no room for: one too many, or one that could never start.
    ///
    /// # Errors
    /// [`crate::Kind::Denied`].
    pub(crate) fn require_room_to_define(&self, domain: &Domain, is_new: bool) -> Result<(), Error> {
        let Some(tenant) = self.tenant() else { return Ok(()) };
        if is_new {
            let there = self.headlines()?.len();
            require_room(tenant, Quota::Domains, (u64::try_from(there).unwrap_or(u64::MAX), 1))?;
        }
        require_room(tenant, Quota::Memory, (0, domain.memory.0))?;
        require_room(tenant, Quota::Vcpus, (0, domain.vcpus.maximum.into()))
    }

    /// Refuses a start that the tenant has no room for.
    ///
    /// # Errors
    /// [`crate::Kind::Denied`].
    pub(crate) async fn require_room_to_start(&self, definition: &Definition) -> Result<(), Error> {
        let Some(tenant) = self.tenant() else { return Ok(()) };
        let used = self.in_use().await?;
        let (memory, vcpus) = size(&definition.xml);
        require_room(tenant, Quota::Running, (used.running, 1))?;
        require_room(tenant, Quota::Vcpus, (used.vcpus, vcpus))?;
        require_room(tenant, Quota::Memory, (used.memory, memory))?;
        // A hypervisor that keeps its own processes has none of the host's.
        let has_own = process::is_ours(&*self.drivers.by_name(&definition.driver)?);
        let wanted = if has_own { PROCESSES_PER_RUN } else { 0 };
        require_room(tenant, Quota::Processes, (used.processes, wanted))
    }

    /// What is charged for images that are there, in bytes.
    pub(crate) fn charged(&self) -> Result<u64, Error> {
        let charges = self.state().charges()?;
        let there = charges.iter().filter(|charge| is_there(&charge.path));
        Ok(there.fold(0, |sum: u64, charge| sum.saturating_add(charge.bytes)))
    }

    /// Charges the tenant for an image that is about to be made or to change its size, or refuses. How it ends is told by
    /// [`Host::close`]; killed before that, the charge counts for as long as there is something of that name.
    ///
    /// # Errors
    /// [`crate::Kind::Denied`]; [`crate::Kind::Conflict`] when the state directory was opened for reading.
    pub(crate) fn charge(&self, image: &Path, bytes: u64) -> Result<Option<Charged>, Error> {
        let Some(tenant) = self.tenant() else { return Ok(None) };
        let owner = self.owner()?;
        let bytes = bytes.checked_next_multiple_of(SECTOR).unwrap_or(u64::MAX);
        let before = self.state().charge(image)?.filter(|charge| is_there(&charge.path));
        let own = before.as_ref().map_or(0, |charge| charge.bytes);
        require_room(tenant, Quota::Disk, (self.charged()?.saturating_sub(own), bytes))?;
        let after = Charge { path: image.to_owned(), bytes };
        // Until it is known how it ends, the larger of both counts.
        owner.put_charge(&Charge { bytes: bytes.max(own), ..after.clone() })?;
        Ok(Some(Charged { before, after }))
    }

    /// Ends what [`Host::charge`] began: the image is as it was charged, or as it was before.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when that cannot be recorded.
    pub(crate) fn close(&self, charged: Option<Charged>, done: bool) -> Result<(), Error> {
        let Some(Charged { before, after }) = charged else { return Ok(()) };
        let owner = self.owner()?;
        match if done { Some(&after) } else { before.as_ref() } {
            Some(charge) => Ok(owner.put_charge(charge)?),
            None => Ok(owner.remove_charge(&after.path)?),
        }
    }

    /// What an image may grow to, in bytes; nothing when there is no limit.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when the state directory cannot be read.
    pub(crate) fn room_for(&self, image: &Path) -> Result<Option<u64>, Error> {
        let Some(limit) = self.tenant().and_then(|tenant| limit_of(tenant, Quota::Disk)) else {
            return Ok(None);
        };
        let own =
            self.state().charge(image)?.filter(|charge| is_there(&charge.path)).map_or(0, |own| own.bytes);
        Ok(Some(limit.saturating_sub(self.charged()?.saturating_sub(own))))
    }

    /// Charges for an image as large as it is now.
    ///
    /// # Errors
    /// What is wrong with the image; [`crate::Kind::Host`] when that cannot be recorded.
    pub(crate) fn recount(&self, image: &Path, format: Format) -> Result<(), Error> {
        let bytes = self.virtual_size(image, format)?;
        Ok(self.owner()?.put_charge(&Charge { path: image.to_owned(), bytes })?)
    }

    /// Says that an image is gone.
    ///
    /// # Errors
    /// [`crate::Kind::Host`] when that cannot be recorded.
    pub(crate) fn discharge(&self, image: &Path) -> Result<(), Error> {
        if self.tenant().is_some() {
            self.owner()?.remove_charge(image)?;
        }
        Ok(())
    }

    /// Charges for an image that is about to be made.
    ///
    /// # Errors
    /// As [`Host::charge`]; what is wrong with the image that it is to stand on.
    pub(crate) fn charge_new(&self, image: &Path, request: &CreateRequest) -> Result<Option<Charged>, Error> {
        if self.tenant().is_none() || request.directory {
            return Ok(None);
        }
        let bytes = match &request.backing {
            Some(backing) if request.capacity == 0 => {
                let beside = image.parent().unwrap_or(image);
                self.virtual_size(&beside.join(&backing.path), backing.format)?
            }
            _ => request.capacity,
        };
        self.charge(image, bytes)
    }

    /// Charges for a copy that is about to be made of an image.
    ///
    /// # Errors
    /// As [`Host::charge`]; what is wrong with the image.
    pub(crate) fn charge_copy(
        &self,
        image: &Path,
        (source, format): (&Path, Format),
    ) -> Result<Option<Charged>, Error> {
        if self.tenant().is_none() {
            return Ok(None);
        }
        self.charge(image, self.virtual_size(source, format)?)
    }

    /// Charges for the size that an image is about to get. One that was not made here counts from now on.
    ///
    /// # Errors
    /// As [`Host::charge`]; what is wrong with the image.
    pub(crate) fn charge_resize(
        &self,
        image: &Path,
        format: Format,
        size: Resize,
    ) -> Result<Option<Charged>, Error> {
        if self.tenant().is_none() {
            return Ok(None);
        }
        let bytes = match size {
            Resize::To(bytes) => bytes,
            Resize::By(more) => self.virtual_size(image, format)?.saturating_add(more),
            Resize::LessBy(less) => self.virtual_size(image, format)?.saturating_sub(less),
        };
        self.charge(image, bytes)
    }

    /// What a guest sees of an image, in bytes.
    ///
    /// # Errors
    /// What is wrong with the image.
    pub(crate) fn virtual_size(&self, image: &Path, format: Format) -> Result<u64, Error> {
        Ok(inspect_header(image, Some(format.xml_name()), &self.roots())?.header.virtual_size)
    }
}

/// A stream of which no more comes than there is room for.
pub(crate) struct Metered<R> {
    pub(crate) from: R,
    pub(crate) left: Option<u64>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        if let Some(left) = &mut self.left {
            let more = u64::try_from(count).unwrap_or(u64::MAX);
            *left = left.checked_sub(more).ok_or(io::ErrorKind::QuotaExceeded)?;
        }
        Ok(count)
    }
}

/// Guest memory in bytes, and virtual processors. What cannot be read has none: it cannot start either.
fn size(xml: &str) -> (u64, u64) {
    Domain::parse(xml).map_or((0, 0), |domain| (domain.memory.0, domain.vcpus.maximum.into()))
}

/// Whether there is something of that name. What cannot be looked at is there.
fn is_there(path: &Path) -> bool {
    !std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}
