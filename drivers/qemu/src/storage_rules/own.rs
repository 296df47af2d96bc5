//! What the QEMU that is installed does not have, although others did. Not for documents that are only compared.

use hostler_sdk::domain::storage_source::{Location, Protocol};

use super::{Broken, Subject, broken};

/// A window's length must be whole sectors of this many bytes.
const SECTOR: u64 = 512;

pub(super) fn rule(subject: &Subject<'_>) -> Option<Broken> {
    if let Location::Network(source) = &subject.source.location
        && matches!(source.protocol, Protocol::Sheepdog | Protocol::Vxhs)
    {
        return broken(
            "protocol",
            format!("is on '{}', which QEMU has dropped", source.protocol),
            "move the image to a server that speaks nbd, rbd or iscsi",
        );
    }
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
