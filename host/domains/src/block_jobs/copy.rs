//! The image that a disk is copied to: what is asked for, made for the job or taken as it is, and in the document afterwards.

use std::path::{Path, PathBuf};

use hostler_domain::Document;
use hostler_domain::permissions::Permissions;
use hostler_image::Format;
use hostler_runtime::{BlockJob, BlockJobKind, OpenChain, OpenLayer, RunDocument};
use hostler_state::{Definition, Intent};
use hostler_storage::{BackingRequest, CreateRequest, Draft, create_volume};
use serde::{Deserialize, Serialize};

use super::record::{Pending, Record, step};
use super::summary::BlockJobSummary;
use super::{begin, lend};
use crate::declared_chain::{self, DeclaredChain, Found};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::images::{Place, declared_format};
use crate::pools::programs;
use crate::process;
use crate::reference::DomainRef;
use crate::verbs::known_format;

/// How a disk is copied.
#[derive(Clone, Debug)]
pub struct CopyOptions {
    /// The image that it is copied to.
    pub to: PathBuf,
    /// The format of that image, by its name in documents; qcow2 for a new one that nobody says anything about.
    pub format: Option<String>,
    /// Whether only the active layer is copied: the copy stands on what that stands on.
    pub shallow: bool,
    /// Whether the image is there already; else it is made.
    pub reuse: bool,
    /// Most bytes a second.
    pub bandwidth: Option<u64>,
}

/// Everything that an owner to come must know of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CopyTarget {
    pub(crate) path: PathBuf,
    /// Its format, by its name in documents.
    pub(crate) format: String,
    /// Whether it is a file; else it is a block device.
    pub(crate) is_file: bool,
    /// What it stands on, and the format of that; nothing for a copy of everything.
    base: Option<(PathBuf, String)>,
    /// What a guest sees, in bytes.
    size: u64,
    /// Whether it stays whatever becomes of the job: it was there before, or is complete and wanted.
    stays: bool,
    /// Which file it is, once it was made: nothing else is ever removed.
    identity: Option<String>,
}

impl Host {
    /// Lets the content of a disk be copied to another image, while the guest runs. Returns once it works. What the guest
    /// writes meanwhile goes to both; when the job ends, the guest goes on with the copy, or as before.
    ///
    /// # Errors
    /// As for [`Host::block_commit`]; [`Kind::Exists`] when there is an image already that is not to be used;
    /// [`Kind::Conflict`] when another disk has it.
    pub async fn block_copy(
        &self,
        wanted: &DomainRef,
        target: &str,
        options: &CopyOptions,
    ) -> Result<BlockJobSummary, Error> {
        let (definition, runs) = self.active_and_runs(wanted).await?;
        self.require_ready_for_job(&definition, target, runs).await?;
        let before = lend::started_with(self, &definition)?;
        let chain = lend::opened(self, &before, target)?;
        let record = self.planned_copy(&definition, &chain, before, (target, options))?;
        self.begin_planned(&definition, &chain, record).await
    }

    fn planned_copy(
        &self,
        definition: &Definition,
        chain: &OpenChain,
        before: RunDocument,
        (target, options): (&str, &CopyOptions),
    ) -> Result<Record, Error> {
        let layers = chain.layers();
        begin::require_whole(layers, target)?;
        let copy = self.copy_target(definition, layers, (target, options))?;
        let base = options.shallow.then_some(1);
        let (kind, bandwidth) = (BlockJobKind::Copy, options.bandwidth);
        let job = BlockJob { kind, target: target.to_owned(), top: 0, base, reference: None, bandwidth };
        Ok(Record {
            job,
            owner: self.job_owner(),
            chain: layers.iter().map(begin::place).collect(),
            // Its locks are taken anew when the job stands above it.
            lent: vec![0],
            after: document_with(&before, target, &copy)?,
            before,
            copy: Some(copy),
        })
    }

    fn copy_target(
        &self,
        definition: &Definition,
        layers: &[OpenLayer],
        (target, options): (&str, &CopyOptions),
    ) -> Result<CopyTarget, Error> {
        let Some(active) = layers.first() else {
            return Err(Error::new(Kind::NotFound, "block.empty", format!("disk '{target}' has no image")));
        };
        let base = layers.get(1).filter(|_| options.shallow);
        if options.shallow && base.is_none() {
            let message = format!("disk '{target}' has one layer, and nothing below it");
            return Err(Error::new(Kind::Invalid, "block.one-layer", message)
                .hint("copy all of it: without --shallow"));
        }
        let area = self.area();
        let place = Place::of(&options.to, &area)?;
        let format = match (options.reuse, options.format.as_deref()) {
            (true, said) => declared_format(&place.path, said, "--format", &area.roots)?,
            (false, said) => known_format(&place.name, said.unwrap_or(Format::Qcow2.xml_name()))?,
        };
        if options.shallow && format != Format::Qcow2 {
            let message = format!("an image of format {} stands on no other", format.xml_name());
            return Err(Error::new(Kind::Invalid, "block.shallow", message)
                .hint("make the copy qcow2, or copy all of it: without --shallow"));
        }
        let is_file = match options.reuse {
            true => self.require_unused(definition, &place)?,
            false => place.require_free().map(|()| true)?,
        };
        Ok(CopyTarget {
            path: place.path,
            format: format.xml_name().to_owned(),
            is_file,
            base: base.map(|base| (base.path.clone(), base.format.clone())),
            size: active.virtual_size,
            stays: options.reuse,
            identity: None,
        })
    }

    /// Refuses an image that a disk has. Whether it is a file.
    fn require_unused(&self, definition: &Definition, place: &Place) -> Result<bool, Error> {
        if let Some(using) = self.image_uses(&place.path)?.first() {
            let message = format!(
                "'{}' is in use by disk {} of the domain '{}'",
                place.path.display(),
                using.disk,
                using.domain
            );
            return Err(Error::new(Kind::Conflict, "block.copy-in-use", message)
                .about("domain", &definition.name)
                .hint("copy to an image that nobody uses"));
        }
        let facts = std::fs::metadata(&place.path).map_err(|error| {
            let message = format!("cannot look at '{}'", place.path.display());
            Error::new(Kind::NotFound, "block.no-copy", message).caused_by(error)
        })?;
        Ok(facts.is_file())
    }

    /// Makes the image of a job, unless it is there already: finished and durable, and noted before it gets its name.
    pub(super) async fn make_copy(&self, intent: &mut Intent, record: &mut Record) -> Result<(), Error> {
        let Some(copy) = record.copy.clone().filter(|copy| !copy.stays) else { return Ok(()) };
        let area = self.area();
        let place = Place::of(&copy.path, &area)?;
        let request = copy.request(&place)?;
        let charged = self.charge_new(&copy.path, &request)?;
        let operation = intent.id;
        let made = process::blocking(move || {
            let draft = Draft::begin(&place.root, operation)?;
            create_volume(&draft, &request, &programs(), &mut |_| {})?;
            let identity = draft.identity()?.to_string();
            draft.keep();
            Ok::<_, Error>(identity)
        });
        let made = made.await.and_then(|made| made);
        let published = made.and_then(|identity| {
            record.copy = Some(CopyTarget { identity: Some(identity), ..copy.clone() });
            intent.payload = serde_json::json!(record);
            self.owner()?.journal().advance(intent, step::BEGUN)?;
            let place = Place::of(&copy.path, &area)?;
            Ok(Draft::publish_left(&place.root, operation, &place.name)?)
        });
        self.close(charged, published.is_ok())?;
        published
    }

    /// Has the image of a job stay that is complete.
    pub(super) fn keep_copy(&self, pending: &mut Pending) -> Result<(), Error> {
        let Some(copy) = &mut pending.record.copy else { return Ok(()) };
        copy.stays = true;
        pending.intent.payload = serde_json::json!(pending.record);
        let now = pending.intent.step.clone();
        Ok(self.owner()?.journal().advance(&mut pending.intent, &now)?)
    }

    /// Removes the image of a job that came to nothing, if it was made for it, and what was never finished of it. Done already
    /// is done.
    pub(super) fn unmake_copy(&self, intent: &Intent, record: &Record) -> Result<(), Error> {
        let Some(copy) = record.copy.as_ref().filter(|copy| !copy.stays) else { return Ok(()) };
        let place = Place::of(&copy.path, &self.area())?;
        Draft::sweep(&place.root, intent.id)?;
        let there = place.root.identity_of(&place.name);
        if there.is_ok_and(|there| Some(there.to_string()) == copy.identity) {
            place.root.remove_file(&place.name)?;
            self.discharge(&copy.path)?;
        }
        Ok(())
    }
}

impl CopyTarget {
    fn request(&self, place: &Place) -> Result<CreateRequest, Error> {
        let format = known_format(&place.name, &self.format)?;
        let backing = self.base.as_ref().map(|(path, format)| {
            known_format("the base", format).map(|format| BackingRequest { path: path.clone(), format })
        });
        Ok(CreateRequest {
            backing: backing.transpose()?,
            // Nothing of it is set aside.
            allocation: Some(0),
            permissions: Permissions { mode: Some(0o600), ..Permissions::default() },
            ..CreateRequest::new(&place.name, format, self.size)?
        })
    }
}

/// A document in which a disk has its copy.
fn document_with(before: &RunDocument, target: &str, copy: &CopyTarget) -> Result<RunDocument, Error> {
    Ok(RunDocument { xml: with_copy(&before.xml, target, copy)?, ..before.clone() })
}

/// The same for any document.
///
/// # Errors
/// A document that cannot be read, or has no such disk.
pub(super) fn with_copy(xml: &str, target: &str, copy: &CopyTarget) -> Result<String, Error> {
    let mut document = Document::parse(xml)?;
    let declared = DeclaredChain::of(&document, target);
    let disk = declared.and_then(|declared| declared.disk()).ok_or_else(|| {
        Error::new(Kind::NotFound, "block.no-disk", format!("the document has no disk '{target}'"))
    })?;
    let image = Found { path: Path::new(&copy.path), format: &copy.format, is_file: copy.is_file };
    declared_chain::set_found(&mut document, disk, image)?;
    let below = document.child(disk, "backingStore");
    if let Some(below) = below.filter(|_| copy.base.is_none()) {
        document.remove(below)?;
    }
    Ok(document.to_xml())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(base: Option<(PathBuf, String)>) -> CopyTarget {
        CopyTarget {
            path: "/srv/copy".into(),
            format: "qcow2".to_owned(),
            is_file: true,
            base,
            size: 1,
            stays: false,
            identity: None,
        }
    }

    #[test]
    fn disk_has_its_copy_and_what_that_stands_on() {
        let xml = "<domain type='qemu'><name>n</name><memory>1</memory><os><type>hvm</type></os><devices>\
            <disk type='block'><driver name='qemu' type='raw' cache='none'/><source dev='/dev/x'/>\
            <backingStore type='file'><format type='raw'/><source file='/srv/base'/></backingStore>\
            <target dev='vda'/></disk></devices></domain>";
        let whole = with_copy(xml, "vda", &copy(None)).unwrap();
        assert!(
            whole.contains("<disk type='file'>") && whole.contains("<source file='/srv/copy'/>"),
            "{whole}"
        );
        assert!(whole.contains("type='qcow2' cache='none'") && !whole.contains("backingStore"), "{whole}");
        let shallow = with_copy(xml, "vda", &copy(Some(("/srv/base".into(), "raw".to_owned())))).unwrap();
        assert!(shallow.contains("/srv/copy") && shallow.contains("<source file='/srv/base'/>"), "{shallow}");
        assert_eq!(with_copy(xml, "vdz", &copy(None)).unwrap_err().code(), "block.no-disk");
    }
}
