//! `vol clone`: copies a volume, with everything below it, to a new one that stands on nothing.

use std::sync::Arc;

use hostler_domain::StorageName;
use hostler_domain::permissions::Permissions;
use hostler_storage::{CloneRequest, clone_volume};

use super::vol_create::{known_format, require_writable};
use crate::drafts::{self, Progress};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::pools::programs;
use crate::process;
use crate::reference::PoolRef;
use crate::storage_summary::VolumeSummary;
use crate::volumes::require_unused;

/// How a volume is copied.
#[derive(Clone, Debug, Default)]
pub struct CloneOptions {
    /// Format of the copy; that of the source when not given.
    pub format: Option<String>,
    /// Format of the source, where it is not recorded.
    pub source_format: Option<String>,
}

impl Host {
    /// Copies a volume within its pool: whole and durable when this returns, or not there at all.
    ///
    /// # Errors
    /// [`Kind::Exists`]; [`Kind::Conflict`] while a guest writes to the source; [`Kind::Denied`] when nobody says what
    /// format the source has.
    pub async fn vol_clone(
        &self,
        wanted: &PoolRef,
        (source, name): (&str, &str),
        options: &CloneOptions,
        mut progress: Progress,
    ) -> Result<VolumeSummary, Error> {
        let pool = self.pool(wanted)?;
        let facts = self.volume(&pool, source)?;
        require_writable(&pool)?;
        let source_format =
            self.declared_format(&pool, &facts, options.source_format.as_deref(), "--source-format")?;
        self.require_unencrypted(&pool, &facts, source_format, "copy it")?;
        let uses = self.uses(&pool, source, &facts.path)?;
        let writing = uses.iter().filter(|one| one.running && one.writes);
        require_unused(source, writing, "a copy of what is being written to is no copy of anything")?;
        let format = options.format.as_deref().map(|format| known_format(name, format)).transpose()?;
        let request = CloneRequest {
            source: named(source, StorageName::existing)?,
            source_format,
            name: named(name, StorageName::parse)?,
            format: format.unwrap_or(source_format),
            compat: None,
            permissions: Permissions::default(),
        };
        let (owner, asked) = (Arc::clone(self.owner()?), pool.clone());
        let charged = self.charge_copy(&pool.target().join(name), (&facts.path, source_format))?;
        let copied = process::blocking(move || {
            let (name, format) = (request.name.as_str(), request.format.xml_name());
            let made = drafts::Made { name, format, secret: None };
            drafts::make(&owner, &asked, made, |draft| {
                Ok(clone_volume(draft, &request, &programs(), &mut progress)?)
            })
        })
        .await?;
        self.close(charged, copied.is_ok())?;
        copied?;
        self.volume_summary(&pool, name)
    }
}

fn named(name: &str, parse: fn(&str) -> Result<StorageName, &'static str>) -> Result<StorageName, Error> {
    parse(name).map_err(|wrong| {
        let message = format!("the name of the volume '{}' {wrong}", name.escape_debug());
        Error::new(Kind::Invalid, "volume.name", message)
            .about("volume", name)
            .hint("a volume is called by one plain name, such as disk.qcow2")
    })
}
