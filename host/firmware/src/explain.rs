//! Why each installed descriptor is what a document's firmware comes from, or is not.

use std::path::{Path, PathBuf};

use hostler_domain::Domain as Document;

use crate::descriptor::Descriptor;
use crate::request;
use crate::select::{FirmwareRequest, consider};

/// What became of one descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Considered {
    /// The descriptor.
    pub descriptor: PathBuf,
    /// The verdict on it.
    pub verdict: Verdict,
    /// Why, in words that follow the descriptor's name.
    pub reason: String,
}

/// The verdict on a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The domain's firmware is of it.
    Chosen,
    /// It meets every wish, and another is used.
    Fits,
    /// It does not meet a wish.
    PassedOver,
}

/// Looks at every descriptor with the eyes of a document. Where the document lets firmware be chosen, what an earlier
/// choice has written into it does not count as a wish, so that it can be seen how the choice came about.
///
/// `smm_available` says whether this host can run system management mode for the domain.
#[must_use]
pub fn explain(document: &Document, installed: &[Descriptor], smm_available: bool) -> Vec<Considered> {
    let code = document.os.loader.as_ref().and_then(|loader| loader.path.as_deref()).map(Path::new);
    match (document.os.firmware, code) {
        (Some(firmware), code) => {
            let request = request::of(document, firmware, smm_available);
            with_wishes(installed, &undone(request, installed), code)
        }
        (None, Some(code)) => with_code(installed, code),
        (None, None) => Vec::new(),
    }
}

/// The request without what a choice writes: code of installed firmware that uses SMM or not, as that has it.
fn undone(request: FirmwareRequest, installed: &[Descriptor]) -> FirmwareRequest {
    let Some(loader) = &request.loader else { return request };
    let of_it = |descriptor: &&Descriptor| descriptor.code().is_some_and(|code| code.path == *loader);
    let Some(descriptor) = installed.iter().find(of_it) else { return request };
    let written = descriptor.has("requires-smm").then_some(true);
    let secure = request.secure.filter(|_| request.secure != written);
    FirmwareRequest { loader: None, code_format: None, secure, ..request }
}

fn with_wishes(installed: &[Descriptor], request: &FirmwareRequest, code: Option<&Path>) -> Vec<Considered> {
    let mut taken = false;
    let of = |descriptor: &Descriptor| {
        let (verdict, reason) = match consider(descriptor, request) {
            Err(reason) => (Verdict::PassedOver, reason),
            Ok(_) if taken => (Verdict::Fits, "fits too, and comes after the one that is used".to_owned()),
            Ok(_) if !is_code(descriptor, code) => (
                Verdict::Fits,
                "fits, and was not there or did not fit when the domain was defined".to_owned(),
            ),
            Ok(_) => {
                taken = true;
                (Verdict::Chosen, "is the first that meets every wish".to_owned())
            }
        };
        Considered { descriptor: descriptor.path.clone(), verdict, reason }
    };
    installed.iter().map(of).collect()
}

/// Whether the descriptor has the code that a domain is defined with; any, where nothing was chosen yet.
fn is_code(descriptor: &Descriptor, code: Option<&Path>) -> bool {
    code.is_none_or(|code| descriptor.code().is_some_and(|known| known.path == code))
}

fn with_code(installed: &[Descriptor], code: &Path) -> Vec<Considered> {
    let mut taken = false;
    let of = |descriptor: &Descriptor| {
        let (verdict, reason) = match descriptor.code() {
            Some(known) if known.path == code && !taken => {
                taken = true;
                (
                    Verdict::Chosen,
                    "has the code that the document names; it says what belongs to it".to_owned(),
                )
            }
            Some(known) if known.path == code => {
                (Verdict::Fits, "has the code that the document names too, and comes later".to_owned())
            }
            Some(known) => (
                Verdict::PassedOver,
                format!("has the code '{}', which the document does not name", known.path.display()),
            ),
            None => (Verdict::PassedOver, "has no code that a machine could be given".to_owned()),
        };
        Considered { descriptor: descriptor.path.clone(), verdict, reason }
    };
    installed.iter().map(of).collect()
}

#[cfg(test)]
mod tests;
