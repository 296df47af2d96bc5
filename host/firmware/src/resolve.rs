//! Choosing firmware when a domain is defined, and writing the choice into its document: from then on no change of
//! the installed descriptors changes the domain.

use hostler_domain::{Domain as Document, NodeId, XmlError};

use crate::error::FirmwareError;
use crate::pflash::{FlashFormat, FlashImage, PflashPair};
use crate::request;
use crate::search::SearchPath;
use crate::select::{Program, Selection, select};

/// Chooses firmware for a document that leaves the choice to the host; none for one that names its own or has none.
///
/// `smm_available` says whether this host can run system management mode for the domain.
///
/// # Errors
/// [`crate::ErrorKind::NoMatch`], with every descriptor and why it was passed over.
pub fn resolve(
    document: &Document,
    search: &SearchPath,
    smm_available: bool,
) -> Result<Option<Selection>, FirmwareError> {
    let Some(firmware) = document.os.firmware else { return Ok(None) };
    select(&search.load().found, &request::of(document, firmware, smm_available)).map(Some)
}

/// Writes a choice into the document it was made for. What the document says already stays as it is.
///
/// # Errors
/// A limit of the document is exceeded.
pub fn write(document: &mut Document, selection: &Selection) -> Result<(), XmlError> {
    match &selection.program {
        Program::Rom(path) => {
            let code = FlashImage { path: path.clone(), format: FlashFormat::Raw };
            write_loader(document, &code, "rom", false)?;
        }
        Program::Pflash(PflashPair { code, template }) => {
            write_loader(document, code, "pflash", selection.requires_smm)?;
            if let Some(template) = template {
                write_template(document, template, code.format)?;
            }
        }
    }
    document.refresh()
}

fn write_loader(
    document: &mut Document,
    code: &FlashImage,
    kind: &str,
    secure: bool,
) -> Result<(), XmlError> {
    let said = document.os.loader.clone().unwrap_or_default();
    let mut attributes = vec![("type", kind)];
    if kind == "pflash" && said.readonly.is_none() {
        attributes.push(("readonly", "yes"));
    }
    if secure && said.secure.is_none() {
        attributes.push(("secure", "yes"));
    }
    if code.format != FlashFormat::Raw && said.format.is_none() {
        attributes.push(("format", code.format.name()));
    }
    let Some(os) = os_of(document) else { return Ok(()) };
    for (name, value) in attributes {
        document.set_child_attribute(os, "loader", name, value)?;
    }
    if said.path.is_none() {
        document.set_child_text(os, "loader", &code.path.display().to_string())?;
    }
    Ok(())
}

fn write_template(
    document: &mut Document,
    template: &FlashImage,
    code_format: FlashFormat,
) -> Result<(), XmlError> {
    let said = document.os.nvram.clone().unwrap_or_default();
    // With a template of its own the document has said what it wants.
    if said.template.is_some() {
        return Ok(());
    }
    let Some(os) = os_of(document) else { return Ok(()) };
    document.set_child_attribute(os, "nvram", "template", &template.path.display().to_string())?;
    let is_plain = template.format == FlashFormat::Raw && code_format == FlashFormat::Raw;
    if !is_plain && said.template_format.is_none() {
        document.set_child_attribute(os, "nvram", "templateFormat", template.format.name())?;
    }
    if template.format != FlashFormat::Raw && said.format.is_none() {
        document.set_child_attribute(os, "nvram", "format", template.format.name())?;
    }
    Ok(())
}

/// The element that asks for firmware; there is one where a choice was made.
fn os_of(document: &Document) -> Option<NodeId> {
    let tree = document.document();
    tree.child(tree.root(), "os")
}

#[cfg(test)]
mod tests;
