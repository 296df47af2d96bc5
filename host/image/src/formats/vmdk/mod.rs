//! VMDK: a text that describes a disk, in a file of its own or inside the one that holds the data.
//!
//! QEMU opens by name every piece that the text lists, and the parent, so the text is read by a stricter
//! grammar than any reader's: what two readers could understand differently is refused.

mod descriptor;
mod footer;
mod grains;
mod other;
mod sparse;
#[cfg(test)]
mod tests;

use super::{BackingRecord, ExtentRecord, Features, Header, RecordedFormat, not_of_format};
use crate::content::is_descriptor;
use crate::error::{ErrorKind, ImageError};
use crate::format::Format;
use crate::windows::{Halt, Windows, malformed, unsupported};
use descriptor::{Descriptor, MAX_DESCRIPTOR_BYTES};
use sparse::Sparse;

/// Bytes in which a text must show that it is a descriptor.
const PROBE_BYTES: u64 = 4096;
/// Types of disks that lie in one file together with their descriptor.
const ONE_FILE: [&str; 2] = ["monolithicSparse", "streamOptimized"];
const SECTOR: u64 = 512;

/// Parses whichever of the files of a VMDK this is.
pub(super) fn parse(image: &Windows) -> Result<Header, Halt> {
    if let Some(header) = other::parse(image)? {
        return Ok(header);
    }
    if let Some(sparse) = Sparse::read(image)? {
        return hosted(image, &sparse);
    }
    let start = image.bytes(0, usize::try_from(PROBE_BYTES.min(image.length())).unwrap_or(0))?;
    if !is_descriptor(start) {
        return Err(not_of_format("vmdk", 0));
    }
    if image.length() > MAX_DESCRIPTOR_BYTES {
        let message =
            format!("its descriptor has {} bytes, allowed are {MAX_DESCRIPTOR_BYTES}", image.length());
        return Err(ImageError::new(ErrorKind::TooComplex, message).into());
    }
    let descriptor = Descriptor::read(image, 0, image.length())?;
    let header = described(&descriptor, descriptor.virtual_size, 0);
    if header.extents.is_empty() {
        return Err(unsupported(
            0,
            "its descriptor names no extent, and a disk of nothing but zeros is not one",
        ));
    }
    Ok(header)
}

/// Looks behind the header: where the descriptor lies, and where the tables point to.
pub(super) fn screen(image: &Windows) -> Result<(), Halt> {
    match Sparse::read(image)? {
        Some(sparse) => {
            sparse.check_place_of_descriptor()?;
            grains::check(image, &sparse)
        }
        None => Ok(()),
    }
}

/// Types that need more than one file, and extents of them, which are not disks.
pub(super) fn usable(header: &Header) -> Result<(), ImageError> {
    match header.subformat {
        Some(name) if !ONE_FILE.contains(&name) => {
            let message = format!("it is of the type {name}, which is not supported");
            Err(ImageError::new(ErrorKind::Unsupported, message)
                .hint("convert the whole disk with 'qemu-img convert', to qcow2 or to monolithicSparse"))
        }
        _ => Ok(()),
    }
}

/// A sparse extent, with or without a descriptor in it.
fn hosted(image: &Windows, sparse: &Sparse) -> Result<Header, Halt> {
    let place = sparse.descriptor.as_ref();
    let descriptor = place.map(|place| Descriptor::read(image, place.start, place.end)).transpose()?;
    let mut header = match &descriptor {
        // Without a capacity of its own it is nothing but a descriptor, whose extents are opened by name.
        Some(descriptor) if sparse.capacity == 0 => {
            described(descriptor, descriptor.virtual_size, sparse.version)
        }
        Some(descriptor) => described(descriptor, sparse.virtual_size(), sparse.version),
        None => Header {
            features: Features { version: sparse.version, ..Features::default() },
            ..Header::of_size(sparse.virtual_size())
        },
    };
    let itself = descriptor.is_none_or(|descriptor| descriptor.is_one_file());
    if sparse.capacity != 0 {
        sparse.check(image)?;
        header.cluster_size = Some(sparse.grain.saturating_mul(SECTOR));
        if itself {
            header.extents.clear();
        }
    } else if header.extents.is_empty() {
        // Extents of zeros are nothing that QEMU reads.
        return Err(malformed(
            sparse::OFFSET_CAPACITY,
            "its capacity is 0, and its descriptor names no extent",
        ));
    }
    header.features.dirty = sparse.unclean;
    sparse.check_support()?;
    Ok(header)
}

fn described(descriptor: &Descriptor, virtual_size: u64, version: u32) -> Header {
    // The parent is known by an identifier that only a VMDK has, so its format is part of the reference.
    let format = RecordedFormat::Known(Format::Vmdk);
    let named = |name: &String| BackingRecord { name: name.clone(), format: format.clone() };
    let extents = descriptor.extents.iter().filter_map(|extent| {
        extent.name.as_ref().map(|name| ExtentRecord { name: name.clone(), kind: extent.kind })
    });
    Header {
        subformat: Some(descriptor.create_type),
        backing: descriptor.parent.as_ref().map(named),
        extents: extents.collect(),
        features: Features { version, ..Features::default() },
        ..Header::of_size(virtual_size)
    }
}

/// Sectors as bytes; nothing above what a signed number holds, as every reader counts in those.
fn bytes_of(sectors: u64) -> Option<u64> {
    sectors.checked_mul(SECTOR).filter(|bytes| i64::try_from(*bytes).is_ok())
}

/// A count of sectors in the header of an extent, as bytes.
fn sectors(count: u64, offset: u64, what: &str) -> Result<u64, Halt> {
    bytes_of(count).ok_or_else(|| malformed(offset, format!("{what} is {count} sectors, which no file has")))
}
