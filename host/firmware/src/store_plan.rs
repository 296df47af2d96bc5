//! Where a domain's variable store is, what it is made from, and in which format.

use std::path::{Path, PathBuf};

use hostler_domain::os::Nvram;
use hostler_domain::storage_source::Location;

use crate::error::{ErrorKind, FirmwareError};
use crate::pflash::{FlashFormat, FlashImage};

/// A domain's variable store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePlan {
    /// Where it is.
    pub place: StorePlace,
    /// Its format.
    pub format: FlashFormat,
    /// What it is made from.
    pub template: Option<FlashImage>,
}

/// Where a variable store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// Where the host keeps them.
    Host(PathBuf),
    /// A file that the document names.
    File(PathBuf),
    /// A device that the document names. The host makes none and never writes to one.
    Block(PathBuf),
}

impl StorePlace {
    /// The file or device.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Host(path) | Self::File(path) | Self::Block(path) => path,
        }
    }
}

/// The store of a document whose firmware has the template `known` and code of `code_format`.
///
/// A format that is not said is that of the template, then that of the code. Nothing is told from contents.
pub(crate) fn of(
    nvram: Option<&Nvram>,
    known: Option<FlashImage>,
    code_format: FlashFormat,
    default_store: PathBuf,
) -> Result<StorePlan, FirmwareError> {
    let template = template(nvram, known)?;
    let format = match nvram.and_then(|nvram| nvram.format.as_deref()) {
        Some(name) => FlashFormat::named(name, "nvram")?,
        None => template.as_ref().map_or(code_format, |template| template.format),
    };
    Ok(StorePlan { place: place(nvram, default_store)?, format, template })
}

fn template(nvram: Option<&Nvram>, known: Option<FlashImage>) -> Result<Option<FlashImage>, FirmwareError> {
    let said = nvram.and_then(|nvram| nvram.template_format.as_deref());
    let said = said.map(|name| FlashFormat::named(name, "template")).transpose()?;
    let Some(path) = nvram.and_then(|nvram| nvram.template.as_ref()) else {
        return Ok(known.map(|known| FlashImage { format: said.unwrap_or(known.format), ..known }));
    };
    let path = PathBuf::from(path);
    let recorded = known.filter(|known| known.path == path).map(|known| known.format);
    Ok(Some(FlashImage { format: said.or(recorded).unwrap_or(FlashFormat::Raw), path }))
}

/// Where the store of a document is, whatever firmware it has.
///
/// # Errors
/// [`ErrorKind::StoreElsewhere`] where this host makes none.
pub fn place(nvram: Option<&Nvram>, default_store: PathBuf) -> Result<StorePlace, FirmwareError> {
    let Some(source) = nvram.and_then(|nvram| nvram.source.as_ref()) else {
        return Ok(StorePlace::Host(default_store));
    };
    let elsewhere = match &source.location {
        Location::File(path) => return Ok(StorePlace::File(path.into())),
        Location::Block(path) => return Ok(StorePlace::Block(path.into())),
        Location::Network(_) => "on a server",
        Location::Volume { .. } => "in a pool",
        _ => "neither in a file nor on a device",
    };
    let message = format!(
        "the document keeps the variable store {elsewhere}, where this host can neither make nor reset one"
    );
    Err(FirmwareError::new(ErrorKind::StoreElsewhere, message).hint(
        "keep it in a file: <nvram>/path/to/store.fd</nvram>, or leave <nvram> empty and the host keeps it",
    ))
}
