//! `image inspect`: everything that one image says about itself.

use std::path::{Path, PathBuf};

use hostler_image::{
    Encryption, Format, Header, Profile, RecordedFormat, SourceReading, read_source, redact,
};
use hostler_runtime::{ImageFacts, inspect_header};

use crate::error::Error;
use crate::host::Host;
use crate::image_summary::{ImageReport, ReferenceReport};
use crate::process;

impl Host {
    /// Reads the header of one image; what it names is told, not opened.
    ///
    /// # Errors
    /// What is wrong with the file or its header.
    pub async fn image_inspect(&self, path: &Path, format: Option<&str>) -> Result<ImageReport, Error> {
        let (roots, area) = (self.roots(), self.area());
        let (path, format) = (path.to_owned(), format.map(str::to_owned));
        process::blocking(move || {
            let path = area.full_path(&path)?;
            let facts = inspect_header(&path, format.as_deref(), &roots)?;
            Ok(report(path, facts))
        })
        .await?
    }
}

fn report(path: PathBuf, facts: ImageFacts) -> ImageReport {
    let header = facts.header;
    let extents = header.extents.iter();
    ImageReport {
        path,
        format: facts.format.xml_name(),
        recognised: facts.recognised,
        content: facts.file.content.map(Format::xml_name),
        virtual_size: header.virtual_size,
        length: facts.length,
        allocated: facts.physical_bytes,
        cluster_size: header.cluster_size,
        subformat: header.subformat,
        compat: header.compat,
        backing: header.backing.as_ref().map(|record| reference(&record.name, recorded(&record.format))),
        data_file: header
            .data_file
            .as_ref()
            .map(|record| reference(&record.name, record.raw.then(|| Format::Raw.xml_name().to_owned()))),
        extents: extents.map(|extent| reference(&extent.name, Some(extent.kind.to_owned()))).collect(),
        encryption: header.encryption.as_ref().map(encryption),
        features: features(&header),
        internal_snapshots: header.features.internal_snapshots,
        uid: facts.file.uid,
        gid: facts.file.gid,
        mode: format!("{:04o}", facts.file.mode),
        refusal: facts.refusal.map(|error| error.message().to_owned()),
    }
}

fn recorded(format: &RecordedFormat) -> Option<String> {
    match format {
        RecordedFormat::Absent => None,
        RecordedFormat::Known(format) => Some(format.xml_name().to_owned()),
        RecordedFormat::Unknown(name) => Some(format!("{name} (no format)")),
    }
}

fn reference(name: &str, format: Option<String>) -> ReferenceReport {
    let (source, problem) = match read_source(name, Profile::Strict) {
        SourceReading::Usable(source) => (Some(source.without_secrets().to_xml()), None),
        SourceReading::WithUnsupported { source, what } => (
            Some(source.without_secrets().to_xml()),
            Some(format!("it carries {what}, which cannot be passed on")),
        ),
        SourceReading::Malformed { why } => (None, Some(why)),
    };
    ReferenceReport { recorded: redact(name), format, source, problem }
}

fn encryption(encryption: &Encryption) -> String {
    match encryption {
        Encryption::Aes => "the legacy AES of qcow".to_owned(),
        Encryption::Luks(luks) => format!(
            "LUKS{} {} with a key of {} bits, {} key slots in use",
            luks.version, luks.cipher, luks.key_bits, luks.active_slots
        ),
    }
}

fn features(header: &Header) -> Vec<String> {
    let features = header.features;
    let marks = [
        (features.dirty, "dirty"),
        (features.corrupt, "corrupt"),
        (features.lazy_refcounts, "lazy-refcounts"),
        (features.extended_l2, "extended-l2"),
        (features.bitmaps, "bitmaps"),
        (features.compression == hostler_image::Compression::Zstd, "zstd"),
    ];
    marks.iter().filter(|(set, _)| *set).map(|(_, name)| (*name).to_owned()).collect()
}
