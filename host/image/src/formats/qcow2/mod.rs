//! qcow2, versions 2 and 3: every header field is validated before any of it is believed.

mod bitmaps;
mod empty;
mod entries;
mod extensions;
mod fields;
mod overlaps;
mod snapshots;
mod tables;
#[cfg(test)]
mod tests;

use super::{
    BackingRecord, DataFileRecord, Encryption, Features, Header, MAX_REFERENCE_BYTES, RecordedFormat, luks,
    text,
};
use crate::windows::{Halt, Windows, malformed};
pub use empty::{EmptyQcow2, NewImage};
use extensions::Extensions;
use fields::{CRYPT_AES, CRYPT_LUKS, Fields};

const OFFSET_BACKING_NAME: u64 = 8;

/// Parses the header, its extensions and the two names it may carry.
///
/// What contradicts itself is refused before what is only unknown: a feature of the future does not excuse a
/// broken header.
pub(super) fn parse(image: &Windows) -> Result<Header, Halt> {
    let fields = Fields::read(image)?;
    fields.check()?;
    tables::check(&fields, image.length())?;
    let extensions = Extensions::read(image, &fields)?;
    check_agreement(&fields, &extensions)?;
    let backing = backing(image, &fields, &extensions)?;
    let encryption = encryption(image, &fields, &extensions)?;
    fields.check_support()?;
    Ok(Header {
        cluster_size: Some(fields.cluster_size()),
        compat: Some(if fields.version == 2 { "0.10" } else { "1.1" }),
        backing,
        encryption,
        data_file: extensions.data_file.map(|name| DataFileRecord { name, raw: fields.raw_data_file() }),
        features: Features {
            version: fields.version,
            dirty: fields.dirty(),
            corrupt: fields.corrupt(),
            lazy_refcounts: fields.lazy_refcounts(),
            extended_l2: fields.extended_l2(),
            bitmaps: extensions.bitmaps.is_some(),
            internal_snapshots: fields.snapshots,
            compression: fields.compression()?,
            bits: fields.bits,
        },
        ..Header::of_size(fields.size)
    })
}

/// Looks behind the header of an image that [`parse`] has found sound: its tables, within the read budget.
pub(super) fn screen(image: &Windows) -> Result<(), Halt> {
    let fields = Fields::read(image)?;
    let extensions = Extensions::read(image, &fields)?;
    overlaps::check(image, &fields, &extensions)
}

/// A bit and the extension that it announces must both be there, or neither.
fn check_agreement(fields: &Fields, extensions: &Extensions) -> Result<(), Halt> {
    let data_file = extensions.data_file.is_some();
    if fields.data_file() != data_file {
        let message = if data_file {
            "an external data file is named, but the feature bit for it is clear"
        } else {
            "the feature bit for an external data file is set, but no file is named"
        };
        return Err(malformed(fields::OFFSET_INCOMPATIBLE, message));
    }
    if fields.raw_data_file() && !data_file {
        return Err(malformed(
            fields::OFFSET_AUTOCLEAR,
            "a raw external data file is announced, but there is none",
        ));
    }
    if fields.raw_data_file() && fields.backing_offset != 0 {
        return Err(malformed(
            OFFSET_BACKING_NAME,
            "a raw external data file and a backing file exclude each other",
        ));
    }
    if fields.bitmaps_announced() && extensions.bitmaps.is_none() {
        return Err(malformed(
            fields::OFFSET_AUTOCLEAR,
            "bitmaps are announced, but there is no bitmap directory",
        ));
    }
    Ok(())
}

fn encryption(image: &Windows, fields: &Fields, extensions: &Extensions) -> Result<Option<Encryption>, Halt> {
    match (fields.crypt_method, extensions.luks_area) {
        (CRYPT_AES, _) => Ok(Some(Encryption::Aes)),
        (CRYPT_LUKS, Some(area)) => Ok(Some(Encryption::Luks(luks::inside(image, area)?))),
        (CRYPT_LUKS, None) => {
            Err(malformed(fields::OFFSET_CRYPT, "LUKS encryption is announced, but no LUKS header is named"))
        }
        _ => Ok(None),
    }
}

fn backing(image: &Windows, fields: &Fields, extensions: &Extensions) -> Result<Option<BackingRecord>, Halt> {
    let length = usize::try_from(fields.backing_length).unwrap_or(usize::MAX);
    if fields.backing_offset == 0 && length == 0 {
        return Ok(None);
    }
    if fields.backing_offset == 0 || length == 0 || length > MAX_REFERENCE_BYTES {
        let message = format!(
            "the backing name is {length} bytes at byte {}, allowed are 1 to {MAX_REFERENCE_BYTES} after the header",
            fields.backing_offset
        );
        return Err(malformed(OFFSET_BACKING_NAME, message));
    }
    let end = fields.backing_offset.checked_add(u64::from(fields.backing_length));
    let inside = end.is_some_and(|end| end <= fields.cluster_size());
    if fields.backing_offset < extensions.end || !inside {
        return Err(malformed(
            OFFSET_BACKING_NAME,
            "the backing name lies outside its place in the first cluster",
        ));
    }
    let name = text(image.bytes(fields.backing_offset, length)?, fields.backing_offset, "backing name")?;
    let format = extensions.backing_format.clone().unwrap_or(RecordedFormat::Absent);
    Ok(Some(BackingRecord { name, format }))
}
