//! What a document leaves open is chosen here once, written into it, and never changes again.
//!
//! Everything that the author wrote stays as it stands. Completing a completed document changes nothing.

mod audio;
mod balloon;
mod chardev;
pub(crate) mod controllers;
pub(crate) mod draft;
mod input;
mod network;
mod on_demand;
mod platform;
mod usb_companions;
pub(crate) mod video;

use hostler_sdk::Error;
use hostler_sdk::domain::Domain;

use crate::address::{drive, memory, pci, usb, virtio_serial};
use draft::Draft;

/// Completes a domain: defaults, implied devices and the address of every device.
///
/// `random` fills a buffer with random bytes; MAC addresses are made of them.
///
/// # Errors
/// `invalid` when two devices want one place or a place cannot be; `unsupported` for machines that this
/// driver cannot lay out. Every error names the element, its line, and what to do.
pub(crate) fn complete(domain: Domain, random: impl FnMut(&mut [u8])) -> Result<Domain, Error> {
    let mut draft = Draft::new(domain.document().clone())?;
    platform::settle(&mut draft)?;
    usb_companions::refuse_company_of_none(&draft)?;
    controllers::number(&mut draft)?;
    settle_devices(&mut draft, random)?;
    add_implied(&mut draft)?;
    virtio_serial::assign(&mut draft)?;
    memory::assign(&mut draft)?;
    pci::assign(&mut draft)?;
    usb::assign(&mut draft)?;
    let mut document = draft.into_document();
    document.locate();
    Ok(Domain::from_document(document)?)
}

/// What each device leaves open about itself.
fn settle_devices(draft: &mut Draft, random: impl FnMut(&mut [u8])) -> Result<(), Error> {
    drive::assign(draft)?;
    network::settle(draft, random)?;
    video::settle(draft)?;
    controllers::name_models(draft)
}

/// Devices that the machine or other devices imply.
fn add_implied(draft: &mut Draft) -> Result<(), Error> {
    controllers::add_defaults(draft)?;
    balloon::add(draft)?;
    audio::add(draft)?;
    chardev::settle(draft)?;
    drive::assign_smartcards(draft)?;
    on_demand::add(draft)?;
    controllers::name_models(draft)?;
    usb_companions::settle(draft)?;
    input::add(draft)?;
    video::add(draft)
}

#[cfg(test)]
mod tests;
