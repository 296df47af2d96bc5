//! Which firmware a document means: chosen among the installed ones, or named by path. Opens nothing.

use std::path::{Path, PathBuf};

use hostler_domain::Domain as Document;
use hostler_domain::os::{Loader, LoaderType, Os};

use crate::descriptor::Descriptor;
use crate::error::{ErrorKind, FirmwareError};
use crate::pflash::{FlashFormat, FlashImage};
use crate::request;
use crate::search::SearchPath;
use crate::select::{Program, Selection, select};
use crate::store_plan::{self, StorePlan};

/// What a domain's machine starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwarePlan {
    /// How it is attached.
    pub attachment: Attachment,
    /// The code.
    pub code: FlashImage,
    /// Who says where the code is.
    pub code_origin: CodeOrigin,
    /// The variable store; none for a ROM and for stateless firmware.
    pub store: Option<StorePlan>,
    /// Whether it runs only where the machine has system management mode.
    pub needs_smm: bool,
    /// The installed descriptor that it is of, with what that offers.
    pub described: Option<Described>,
}

/// What the descriptor of a firmware says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The descriptor.
    pub descriptor: PathBuf,
    /// Whether it can enforce secure boot.
    pub secure_boot: bool,
    /// Whether its template has keys enrolled.
    pub enrolled_keys: bool,
}

/// How firmware is attached to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment {
    /// A pair of flash devices.
    Flash,
    /// A ROM image.
    Rom,
}

/// Who says where the code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeOrigin {
    /// A firmware descriptor of this host.
    Installed,
    /// The document alone.
    Document,
}

/// The firmware of a document; none when its machine brings its own. `default_store` is where the host keeps
/// this domain's variable store.
///
/// A document that was completed by [`crate::resolve`] names its firmware, and is not chosen for again: a descriptor
/// that comes, changes or goes changes no domain that is defined.
///
/// # Errors
/// Why none of the installed ones fits, or what in the document cannot be had.
pub fn plan(
    document: &Document,
    search: &SearchPath,
    default_store: PathBuf,
) -> Result<Option<FirmwarePlan>, FirmwareError> {
    let os = &document.os;
    let named = named_loader(os);
    if os.firmware.is_none() && named.is_none() {
        return Ok(None);
    }
    let installed = search.load().found;
    match (named, os.firmware) {
        (Some((loader, path)), _) => {
            require_smm(document, loader, path)?;
            from_loader(os, loader, path, &installed, default_store).map(Some)
        }
        (None, Some(firmware)) => {
            let selection = select(&installed, &request::of(document, firmware, true))?;
            from_selection(os, selection, default_store).map(Some)
        }
        (None, None) => Ok(None),
    }
}

/// The loader with its path, when the document says all that is to be known about it. With `firmware=` a path alone
/// is a wish, for what kind of loader it is was not said.
fn named_loader(os: &Os) -> Option<(&Loader, &Path)> {
    let loader = os.loader.as_ref()?;
    let path = loader.path.as_deref()?;
    (os.firmware.is_none() || loader.kind.is_some()).then_some((loader, Path::new(path)))
}

fn from_selection(
    os: &Os,
    selection: Selection,
    default_store: PathBuf,
) -> Result<FirmwarePlan, FirmwareError> {
    let (attachment, code, template) = match selection.program {
        Program::Pflash(pair) => (Attachment::Flash, pair.code, pair.template),
        Program::Rom(path) => (Attachment::Rom, FlashImage { path, format: FlashFormat::Raw }, None),
    };
    let store = match template {
        Some(template) => {
            Some(store_plan::of(os.nvram.as_ref(), Some(template), code.format, default_store)?)
        }
        None => None,
    };
    Ok(FirmwarePlan {
        attachment,
        code,
        code_origin: CodeOrigin::Installed,
        store,
        needs_smm: selection.requires_smm,
        described: Some(Described {
            descriptor: selection.descriptor,
            secure_boot: selection.secure_boot,
            enrolled_keys: selection.enrolled_keys,
        }),
    })
}

fn from_loader(
    os: &Os,
    loader: &Loader,
    path: &Path,
    installed: &[Descriptor],
    default_store: PathBuf,
) -> Result<FirmwarePlan, FirmwareError> {
    let attachment = match loader.kind {
        Some(LoaderType::Pflash) => Attachment::Flash,
        Some(LoaderType::Rom) | None => Attachment::Rom,
    };
    require_read_only(loader, attachment, path)?;
    let template = os.nvram.as_ref().and_then(|nvram| nvram.template.as_deref()).map(Path::new);
    let known = of_code(installed, path, template);
    let format = match loader.format.as_deref() {
        Some(name) => FlashFormat::named(name, "loader")?,
        None => known.and_then(Descriptor::code).map_or(FlashFormat::Raw, |code| code.format),
    };
    let keeps_variables = attachment == Attachment::Flash && loader.stateless != Some(true);
    let store = match keeps_variables {
        true => {
            let template = known.and_then(Descriptor::template);
            Some(store_plan::of(os.nvram.as_ref(), template, format, default_store)?)
        }
        false => None,
    };
    Ok(FirmwarePlan {
        attachment,
        code_origin: if known.is_some() { CodeOrigin::Installed } else { CodeOrigin::Document },
        code: FlashImage { path: path.to_owned(), format },
        store,
        needs_smm: loader.secure == Some(true),
        described: known.map(Described::from),
    })
}

/// Variables that only system management mode may write need a machine that has it.
fn require_smm(document: &Document, loader: &Loader, path: &Path) -> Result<(), FirmwareError> {
    if loader.secure != Some(true) || !request::has_smm_off(document) {
        return Ok(());
    }
    let message = "the document protects the variables by SMM, and its machine is to have none";
    Err(FirmwareError::new(ErrorKind::SmmExcluded, message)
        .of(path)
        .hint("take <smm state='off'> out, or say secure='no' and have other firmware chosen"))
}

/// Code that several domains start with is nobody's to write to, and one file for code and variables is no store
/// that could be made anew.
fn require_read_only(loader: &Loader, attachment: Attachment, path: &Path) -> Result<(), FirmwareError> {
    if attachment == Attachment::Rom || loader.readonly != Some(false) {
        return Ok(());
    }
    let message = "the document lets the guest write to the firmware's code";
    Err(FirmwareError::new(ErrorKind::CodeWritable, message)
        .of(path)
        .hint("say readonly='yes', and keep the variables in <nvram>"))
}

/// The first descriptor with this code; of several the one that has this template.
fn of_code<'a>(installed: &'a [Descriptor], code: &Path, template: Option<&Path>) -> Option<&'a Descriptor> {
    let has_code = |descriptor: &&Descriptor| descriptor.code().is_some_and(|known| known.path == code);
    let has_both = |descriptor: &&Descriptor| {
        has_code(descriptor)
            && descriptor.template().is_some_and(|known| Some(known.path.as_path()) == template)
    };
    installed.iter().find(has_both).or_else(|| installed.iter().find(has_code))
}

/// Whether these files are those of installed firmware, which the host vouches for whoever names them.
#[must_use]
pub fn is_installed(search: &SearchPath, code: Option<&Path>, template: Option<&Path>) -> bool {
    let installed = search.load().found;
    let known = |path: &Path, of: fn(&Descriptor) -> Option<FlashImage>| {
        installed.iter().any(|descriptor| of(descriptor).is_some_and(|image| image.path == path))
    };
    code.is_none_or(|path| known(path, Descriptor::code))
        && template.is_none_or(|path| known(path, Descriptor::template))
}

impl From<&Descriptor> for Described {
    fn from(descriptor: &Descriptor) -> Self {
        Self {
            descriptor: descriptor.path.clone(),
            secure_boot: descriptor.has("secure-boot"),
            enrolled_keys: descriptor.has("enrolled-keys"),
        }
    }
}

#[cfg(test)]
mod tests;
