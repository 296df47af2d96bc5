//! What the QEMU that is installed does not have, although others did. Not for documents that are only compared.

use hostler_sdk::domain::storage_source::{Location, Protocol};

use super::{Broken, Subject, broken};

/// A window's length must be whole sectors of this many bytes.
const SECTOR: u64 = 512;

pub(super) fn rule(subject: &Subject<'_>) -> Option<Broken> {
    protocol(subject).or_else(|| copy_on_read(subject)).or_else(|| slice(subject))
}

fn protocol(subject: &Subject<'_>) -> Option<Broken> {
    let Location::Network(source) = &subject.source.location else { return None };
    if !matches!(source.protocol, Protocol::Sheepdog | Protocol::Vxhs) {
        return None;
    }
    broken(
        "protocol",
        format!("is on '{}', which QEMU has dropped", source.protocol),
        "move the image to a server that speaks nbd, rbd or iscsi",
    )
}

/// QEMU 7.2 forgets to give up the lock of the descriptor that it opened an image with first, when that descriptor is
/// one of a set. A format that writes its header has left that lock behind when copying on read asks for more.
fn copy_on_read(subject: &Subject<'_>) -> Option<Broken> {
    let by_descriptor =
        matches!(subject.source.location, Location::File(_) | Location::Block(_) | Location::Volume { .. });
    let is_plain = subject.format() == "raw" && subject.source.encryption.is_none();
    let asked = subject.is_active() && subject.disk.driver.copy_on_read == Some(true);
    if !asked || is_plain || subject.disk.readonly || !by_descriptor {
        return None;
    }
    broken(
        "copy-on-read",
        format!(
            "has copy_on_read in an image of format '{}', in which QEMU stands in its own way",
            subject.format()
        ),
        "remove copy_on_read='on': the guest sees the same without it",
    )
}

fn slice(subject: &Subject<'_>) -> Option<Broken> {
    let slice = subject.source.slice.as_ref()?;
    if slice.size % SECTOR != 0 {
        return broken(
            "slice",
            format!("has a <slice> of {} bytes, which QEMU refuses", slice.size),
            "give a size that is a multiple of 512; 0 is everything after the offset",
        );
    }
    if slice.offset.checked_add(slice.size).is_none_or(|end| i64::try_from(end).is_err()) {
        return broken("slice", "has a <slice> that ends beyond any file", "correct its offset and size");
    }
    None
}
