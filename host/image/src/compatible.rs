//! A chain as libvirt 8.5 resolves it, for comparing: what would start there, and why it does not here.
//!
//! It probes formats, follows any name and any link, and forgives what it does not understand. Nothing here decides
//! what a guest is given; that is [`crate::Walk`].

use hostler_domain::storage_source::{Host, Location, NetworkSource};

use crate::error::{ErrorKind, ImageError};
use crate::format::Format;
use crate::formats::{Header, RecordedFormat};
use crate::inspection::{Inspection, Progress};
use crate::recognise::recognise;
use crate::source::{Profile, SourceReading, read_source};

/// How many bytes from the start of an image libvirt reads.
pub const COMPATIBLE_WINDOW: usize = 0x8200;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// A directory.
    Directory,
    /// Anything that holds bytes.
    File {
        /// Its length in bytes.
        length: u64,
        /// Its first [`COMPATIBLE_WINDOW`] bytes, fewer when it is shorter.
        start: Vec<u8>,
    },
}

/// One layer as libvirt sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompatibleLayer {
    /// Where it is; paths are put together and not tidied up, as there.
    pub location: Location,
    /// Its format: declared, recorded or probed. A directory that is declared as nothing is `dir`.
    pub format: Format,
    /// The reference that its header records, as it stands there.
    pub backing: Option<String>,
    /// The name by which the layer above records it, where that is a relative one.
    pub relative: Option<String>,
    /// Size of the disk that a guest sees, in bytes; 0 where the header does not say.
    pub capacity: u64,
    /// Whether it is encrypted.
    pub encrypted: bool,
}

/// What is known of the format before a layer is looked at.
#[derive(Clone, Copy)]
enum Known {
    Declared(Format),
    /// Probed, and then it may name nothing.
    Probed,
    /// Probed and trusted: the layer above is QED and says so.
    ProbedAndTrusted,
}

/// Resolves the chain of the image at `path`. `declared` is its format; without one it is raw, never probed.
/// `look` tells what stands at a path and follows links.
///
/// # Errors
/// [`ErrorKind::Missing`] for a file that cannot be looked at, [`ErrorKind::TooDeep`] beyond `depth` layers,
/// [`ErrorKind::FormatMissing`] where a format would have to be guessed, [`ErrorKind::ReferenceMalformed`].
pub fn resolve_compatible(
    look: &mut dyn FnMut(&str) -> std::io::Result<Looked>,
    path: &str,
    declared: Option<Format>,
    depth: usize,
) -> Result<Vec<CompatibleLayer>, ImageError> {
    let mut layers = Vec::new();
    let mut location = Location::File(path.to_owned());
    let mut relative = None;
    let mut known = Known::Declared(declared.unwrap_or(Format::Raw));
    loop {
        if layers.len() >= depth {
            let message = format!("the chain loops, or has more than {depth} layers");
            return Err(ImageError::new(ErrorKind::TooDeep, message).about(path));
        }
        let Some(file) = path_of(&location).map(str::to_owned) else {
            layers.push(remote(location, relative, known)?);
            return Ok(layers);
        };
        let looked = look(&file).map_err(|error| {
            ImageError::new(ErrorKind::Missing, format!("'{file}' cannot be looked at")).caused_by(error)
        })?;
        let Looked::File { length, start } = looked else {
            layers.push(directory(file, relative, declared.filter(|_| layers.is_empty())));
            return Ok(layers);
        };
        let (layer, header) = examine(location, relative, known, length, &start)?;
        let Some(reference) = layer.backing.clone() else {
            layers.push(layer);
            return Ok(layers);
        };
        let format = header.and_then(|header| header.backing).map(|backing| backing.format);
        known = match format {
            // That the parent of a VMDK is one is not known there.
            Some(RecordedFormat::Known(format)) if layer.format != Format::Vmdk => Known::Declared(format),
            _ if layer.format == Format::Qed => Known::ProbedAndTrusted,
            _ => Known::Probed,
        };
        layers.push(layer);
        match below(&reference, &file)? {
            Some((next, name)) => (location, relative) = (next, name),
            None => return Ok(layers),
        }
    }
}

fn path_of(location: &Location) -> Option<&str> {
    match location {
        Location::File(path) | Location::Block(path) | Location::Dir(path) => Some(path),
        _ => None,
    }
}

/// A source whose header cannot be read: the chain ends there, and what is below it stays unknown.
fn remote(location: Location, relative: Option<String>, known: Known) -> Result<CompatibleLayer, ImageError> {
    let Known::Declared(format) = known else { return Err(guess(location.type_name())) };
    Ok(CompatibleLayer { location, format, backing: None, relative, capacity: 0, encrypted: false })
}

fn directory(path: String, relative: Option<String>, declared: Option<Format>) -> CompatibleLayer {
    let (location, format) = (Location::Dir(path), declared.unwrap_or(Format::Dir));
    CompatibleLayer { location, format, backing: None, relative, capacity: 0, encrypted: false }
}

/// The layer and its header, if it has one that can be understood.
fn examine(
    location: Location,
    relative: Option<String>,
    known: Known,
    length: u64,
    start: &[u8],
) -> Result<(CompatibleLayer, Option<Header>), ImageError> {
    let format = match known {
        Known::Declared(format) => format,
        Known::Probed | Known::ProbedAndTrusted => probed(start),
    };
    let header = read_header(format, length, start);
    let backing = header.as_ref().and_then(|header| header.backing.as_ref());
    let backing = backing.map(|backing| backing.name.clone());
    if matches!(known, Known::Probed) && backing.is_some() {
        return Err(guess(path_of(&location).unwrap_or_default()));
    }
    let encrypted = header.as_ref().is_some_and(|header| header.encryption.is_some());
    // Raw bytes have no capacity of their own, unless a container says where they begin.
    let sized = header.as_ref().filter(|_| format != Format::Raw || encrypted);
    let capacity = sized.map_or(0, |header| header.virtual_size);
    Ok((CompatibleLayer { location, format, backing, relative, capacity, encrypted }, header))
}

/// What libvirt takes the content for: fewer formats than [`recognise`] knows.
fn probed(start: &[u8]) -> Format {
    let known = recognise(start).filter(|format| match format {
        Format::Bochs | Format::Cloop | Format::Dmg | Format::Vhdx => false,
        Format::Qcow2 => matches!(start.get(4..8), Some([0, 0, 0, 2 | 3])),
        Format::Vmdk => start.starts_with(b"KDMV"),
        Format::Parallels => start.starts_with(b"WithouFreSpacExt"),
        _ => true,
    });
    known.unwrap_or(Format::Raw)
}

fn guess(what: &str) -> ImageError {
    let message =
        format!("the format of '{what}' is recorded nowhere, and it names something else or is not local");
    ImageError::new(ErrorKind::FormatMissing, message)
}

/// What the window tells; a header that cannot be understood tells nothing.
fn read_header(format: Format, length: u64, start: &[u8]) -> Option<Header> {
    let luks = format == Format::Raw && start.starts_with(b"LUKS\xba\xbe");
    let inspection = if luks { Inspection::luks(length) } else { Inspection::new(format, length) };
    let mut inspection = inspection.facts_only();
    loop {
        match inspection.advance().ok()? {
            Progress::Done(header) => return Some(*header),
            Progress::Need(range) => {
                let offset = usize::try_from(range.offset).ok()?;
                let bytes = start.get(offset..offset.checked_add(range.length)?)?;
                inspection.supply(bytes.to_vec()).ok()?;
            }
        }
    }
}

/// What `reference` in the image at `above` means, and its name where that is relative. None where it carries what
/// cannot be told to a hypervisor: the chain ends there without an error.
fn below(reference: &str, above: &str) -> Result<Option<(Location, Option<String>)>, ImageError> {
    match read_source(reference, Profile::Compatible) {
        SourceReading::Usable(source) => Ok(Some(placed(source.location, above))),
        SourceReading::WithUnsupported { .. } => Ok(None),
        SourceReading::Malformed { why } => Err(ImageError::new(ErrorKind::ReferenceMalformed, why)),
    }
}

fn placed(location: Location, above: &str) -> (Location, Option<String>) {
    match location {
        Location::File(name) if !name.starts_with('/') => {
            let directory = above.rsplit_once('/').map_or(".", |(directory, _)| directory);
            (Location::File(format!("{directory}/{name}")), Some(name))
        }
        other => (other, None),
    }
}

impl CompatibleLayer {
    /// The network source, where it is one.
    #[must_use]
    pub fn network(&self) -> Option<&NetworkSource> {
        match &self.location {
            Location::Network(source) => Some(source),
            _ => None,
        }
    }

    /// The first server of a network source.
    #[must_use]
    pub fn host(&self) -> Option<&Host> {
        self.network()?.hosts.first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;
    use std::collections::HashMap;

    fn resolve(files: &[(&str, Vec<u8>)], declared: Option<Format>) -> Result<Vec<String>, ErrorKind> {
        let files: HashMap<&str, &Vec<u8>> = files.iter().map(|(path, bytes)| (*path, bytes)).collect();
        let mut look = |path: &str| match files.get(path) {
            Some(bytes) => Ok(Looked::File { length: bytes.len() as u64, start: (*bytes).clone() }),
            None if path.ends_with('/') => Ok(Looked::Directory),
            None => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
        };
        let layers = resolve_compatible(&mut look, "/d/top", declared, 5);
        let shown = |layer: &CompatibleLayer| {
            format!("{} {}", path_of(&layer.location).unwrap_or(layer.location.type_name()), layer.format)
        };
        layers.map(|layers| layers.iter().map(shown).collect()).map_err(|error| error.kind())
    }

    fn overlay(name: &str, format: Option<&str>) -> Vec<u8> {
        Sample::new().backing(name, format).bytes
    }

    #[test]
    fn an_undeclared_image_is_raw_and_a_recorded_format_is_followed() {
        assert_eq!(resolve(&[("/d/top", overlay("base", None))], None).unwrap(), ["/d/top raw"]);
        let files = [("/d/top", overlay("../e/base", Some("raw"))), ("/d/../e/base", overlay("x", None))];
        assert_eq!(resolve(&files, Some(Format::Qcow2)).unwrap(), ["/d/top qcow2", "/d/../e/base raw"]);
    }

    #[test]
    fn a_probed_image_may_name_nothing() {
        let plain = [("/d/top", overlay("base", None)), ("/d/base", Sample::new().bytes)];
        assert_eq!(resolve(&plain, Some(Format::Qcow2)).unwrap(), ["/d/top qcow2", "/d/base qcow2"]);
        let named = [("/d/top", overlay("base", None)), ("/d/base", overlay("x", Some("raw")))];
        assert_eq!(resolve(&named, Some(Format::Qcow2)), Err(ErrorKind::FormatMissing));
    }

    #[test]
    fn fewer_formats_are_probed() {
        assert_eq!(probed(b"KDMV"), Format::Vmdk);
        for unknown in [&b"vhdxfile"[..], b"# Disk DescriptorFile", b"WithoutFreeSpace", b""] {
            assert_eq!(probed(unknown), Format::Raw);
        }
    }

    #[test]
    fn network_sources_end_the_chain() {
        let nbd = |format| [("/d/top", overlay("nbd:example.org:6000:exportname=blah", format))];
        assert_eq!(resolve(&nbd(Some("raw")), Some(Format::Qcow2)).unwrap(), ["/d/top qcow2", "network raw"]);
        assert_eq!(resolve(&nbd(None), Some(Format::Qcow2)), Err(ErrorKind::FormatMissing));
        let credentials = [("/d/top", overlay("https://u:p@h/x", Some("raw")))];
        assert_eq!(resolve(&credentials, Some(Format::Qcow2)).unwrap(), ["/d/top qcow2"]);
    }

    #[test]
    fn missing_files_loops_and_nonsense_are_refused() {
        assert_eq!(resolve(&[], Some(Format::Raw)), Err(ErrorKind::Missing));
        let circle = [("/d/top", overlay("top", Some("qcow2")))];
        assert_eq!(resolve(&circle, Some(Format::Qcow2)), Err(ErrorKind::TooDeep));
        let circle = [("/d/top", overlay("/d/top", Some("qcow2")))];
        assert_eq!(resolve(&circle, Some(Format::Qcow2)), Err(ErrorKind::TooDeep));
        let nonsense = [("/d/top", overlay("json:{", Some("qcow2")))];
        assert_eq!(resolve(&nonsense, Some(Format::Qcow2)), Err(ErrorKind::ReferenceMalformed));
    }
}
