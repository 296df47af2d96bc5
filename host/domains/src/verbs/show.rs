//! `show`: everything about one domain.

use hostler_domain::Domain;
use hostler_runtime::console_aliases;

use crate::chain;
use crate::error::Error;
use crate::host::Host;
use crate::process;
use crate::reference::DomainRef;
use crate::summary::{DiskSummary, DomainDetails};

impl Host {
    /// Everything about a domain: of one that runs, as it was started. Its chains are resolved anew, from what is on the disk now; what cannot be
    /// resolved is told in place.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`].
    pub async fn show(&self, wanted: &DomainRef) -> Result<DomainDetails, Error> {
        let definition = self.find(wanted)?;
        let mut summary = self.summarise(&definition).await?;
        summary.reason = self.reason_of(&definition, summary.state, summary.reason).await;
        let domain = Domain::parse(&self.shown_xml(&definition))?;
        let roots = self.roots();
        let volumes = self.current_volumes(&definition).unwrap_or_default();
        let disks = domain
            .devices
            .disks
            .iter()
            .map(|disk| DiskSummary {
                target: disk.target.to_string(),
                device: disk.device.as_str().to_owned(),
                chain: chain::of_disk(disk, &roots, &volumes)
                    .map(|chain| chain.layers)
                    .map_err(|error| error.to_string()),
            })
            .collect();
        let default = self.state().variable_store_path(definition.uuid);
        let store = hostler_firmware::store_place(domain.os.nvram.as_ref(), default).ok();
        Ok(DomainDetails {
            title: domain.title.clone(),
            machine: domain.os.machine.clone(),
            generation: definition.generation,
            created_unix_ms: definition.created_unix_ms,
            confinement: process::confinement(self, &definition)?,
            companions: process::companions(self, &definition)?,
            disks,
            jobs: self.known_jobs(&definition)?,
            consoles: console_aliases(&domain),
            variable_store: store.map(|place| place.path().to_owned()).filter(|path| path.exists()),
            crash_dumps: self.state().run_dir(definition.uuid).dumps()?,
            unmodelled: domain.unmodelled().iter().map(ToString::to_string).collect(),
            summary,
        })
    }
}
