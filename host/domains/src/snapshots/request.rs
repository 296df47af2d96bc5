//! What a snapshot is to be: from options, or from libvirt's `<domainsnapshot>`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hostler_domain::{Document, NodeId};
use hostler_state::{SnapshotKind, unix_ms};

use crate::error::{Error, Kind};

/// Most bytes of a name, which names of files are made from.
const NAME_MAX_BYTES: usize = 128;

/// A snapshot that is wanted. What is not said is chosen.
#[derive(Clone, Debug, Default)]
pub struct NewSnapshot {
    /// Its name.
    pub name: Option<String>,
    /// What is said about it.
    pub description: Option<String>,
    /// A `<domainsnapshot>` document; what else is said here goes before it.
    pub xml: Option<String>,
    /// How the data of disks is kept.
    pub kind: Option<SnapshotKind>,
    /// Keep the disks alone of a guest that runs.
    pub disk_only: bool,
    /// Keep the guest's memory in a file too.
    pub memory: bool,
    /// Have the guest write everything to its disks first.
    pub quiesce: bool,
}

/// What is said of one disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiskChoice {
    /// Whether it takes part, and how; nothing when that is not said.
    pub(crate) kind: Option<Option<SnapshotKind>>,
    /// The overlay.
    pub(crate) overlay: Option<PathBuf>,
}

/// A wanted snapshot with a name, checked as far as that goes without its domain.
#[derive(Clone, Debug)]
pub(crate) struct Requested {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) kind: Option<SnapshotKind>,
    pub(crate) disk_only: bool,
    pub(crate) memory: bool,
    /// The guest writes everything to its disks before.
    pub(crate) quiesce: bool,
    /// By target name.
    pub(crate) disks: BTreeMap<String, DiskChoice>,
}

/// What options and document come to together.
///
/// # Errors
/// [`Kind::Invalid`] for a name that cannot be one, or a document with something that this host does not do.
pub(crate) fn requested(new: &NewSnapshot) -> Result<Requested, Error> {
    let mut wanted = match &new.xml {
        Some(xml) => from_document(xml)?,
        None => Requested {
            name: String::new(),
            description: None,
            kind: None,
            disk_only: false,
            memory: false,
            quiesce: false,
            disks: BTreeMap::new(),
        },
    };
    wanted.kind = new.kind.or(wanted.kind);
    wanted.disk_only |= new.disk_only;
    wanted.memory |= new.memory;
    wanted.quiesce = new.quiesce;
    wanted.description = new.description.clone().or(wanted.description);
    if let Some(name) = &new.name {
        wanted.name.clone_from(name);
    }
    if wanted.name.is_empty() {
        wanted.name = format!("snapshot-{}", unix_ms() / 1000);
    }
    check_name(&wanted.name)?;
    if wanted.quiesce && !wanted.disk_only {
        let message = "what a guest has not written yet is in its memory, and that is kept too";
        return Err(invalid("snapshot.options", message)
            .hint("--quiesce goes with --disk-only: the disks alone are whole then"));
    }
    if wanted.disk_only && wanted.memory {
        return Err(invalid("snapshot.options", "a snapshot of the disks alone has no memory"));
    }
    if (wanted.disk_only || wanted.memory) && wanted.kind == Some(SnapshotKind::Internal) {
        let message = "an internal snapshot keeps disks and memory of a guest that runs within the images";
        return Err(invalid("snapshot.options", message)
            .hint("leave --disk-only and --memory out, or take an external one"));
    }
    if wanted.disk_only || wanted.memory {
        wanted.kind = Some(SnapshotKind::External);
    }
    Ok(wanted)
}

/// A `<domainsnapshot>`.
///
/// # Errors
/// [`Kind::Invalid`] for anything else.
pub(super) fn parsed(xml: &str) -> Result<Document, Error> {
    let document = Document::parse(xml)?;
    let name = document.name(document.root());
    if name == "domainsnapshot" {
        return Ok(document);
    }
    let message = format!("a snapshot is a <domainsnapshot>, and this is a <{name}>");
    Err(invalid("snapshot.document", message))
}

/// What an element of this name says, if it is there and says anything.
pub(super) fn text_of(document: &Document, parent: NodeId, name: &str) -> Option<String> {
    let node = document.child(parent, name)?;
    Some(document.text(node).trim().to_owned()).filter(|text| !text.is_empty())
}

/// That disks are not kept in one way.
pub(super) fn mixed(target: &str) -> Error {
    let message = "a snapshot is internal or external for all of its disks";
    Error::new(Kind::Unsupported, "snapshot.mixed", message).about("disk", target)
}

fn from_document(xml: &str) -> Result<Requested, Error> {
    let document = parsed(xml)?;
    let root = document.root();
    let memory = document.child(root, "memory");
    if memory.is_some_and(|memory| document.attribute(memory, "file").is_some()) {
        let message = "memory/@file says where the memory goes, and this host keeps it beside its records";
        return Err(
            Error::new(Kind::Unsupported, "snapshot.memory-place", message).hint("leave the attribute out")
        );
    }
    let memory = memory.and_then(|memory| document.attribute(memory, "snapshot"));
    let mut wanted = Requested {
        name: text_of(&document, root, "name").unwrap_or_default(),
        description: text_of(&document, root, "description"),
        kind: None,
        disk_only: memory == Some("no"),
        memory: false,
        quiesce: false,
        disks: BTreeMap::new(),
    };
    match memory {
        None | Some("no" | "internal") => {}
        Some("external") => wanted.memory = true,
        Some(other) => return Err(unknown("memory/@snapshot", other)),
    }
    let disks = document.child(root, "disks").into_iter().flat_map(|disks| document.elements(disks));
    for disk in disks.filter(|disk| document.name(*disk) == "disk") {
        let (target, choice) = disk_choice(&document, disk)?;
        if let Some(Some(kind)) = choice.kind {
            if wanted.kind.is_some_and(|other| other != kind) {
                return Err(mixed(&target));
            }
            wanted.kind = Some(kind);
        }
        wanted.disks.insert(target, choice);
    }
    if memory == Some("internal") && wanted.kind.is_none() {
        wanted.kind = Some(SnapshotKind::Internal);
    }
    Ok(wanted)
}

fn disk_choice(document: &Document, disk: NodeId) -> Result<(String, DiskChoice), Error> {
    let Some(target) = document.attribute(disk, "name") else {
        return Err(invalid("snapshot.document", "a <disk> of a snapshot has no name"));
    };
    let kind = match document.attribute(disk, "snapshot") {
        None => None,
        Some("no") => Some(None),
        Some("internal") => Some(Some(SnapshotKind::Internal)),
        Some("external") => Some(Some(SnapshotKind::External)),
        Some(other) => return Err(unknown("disk/@snapshot", other)),
    };
    if let Some(other) = document.attribute(disk, "type").filter(|kind| *kind != "file") {
        return Err(unknown("disk/@type", other).hint("overlays are files"));
    }
    let format = document.child(disk, "driver").and_then(|driver| document.attribute(driver, "type"));
    if let Some(other) = format.filter(|format| *format != "qcow2") {
        return Err(unknown("disk/driver/@type", other).hint("overlays are of format qcow2"));
    }
    let source = document.child(disk, "source").and_then(|source| document.attribute(source, "file"));
    Ok((target.to_owned(), DiskChoice { kind, overlay: source.map(PathBuf::from) }))
}

pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let wrong = if name.len() > NAME_MAX_BYTES {
        "is longer than 128 bytes"
    } else if name.starts_with('.') || name.contains('/') || name.chars().any(char::is_control) {
        "begins with a dot, or has a slash or a control character"
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
    Err(invalid("snapshot.name", format!("the name '{shown}' of a snapshot {wrong}")))
}

pub(super) fn unknown(place: &str, value: &str) -> Error {
    let message = format!("{place} is '{value}', which this host does not do");
    Error::new(Kind::Unsupported, "snapshot.document", message)
}

pub(super) fn invalid(code: &str, message: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(xml: &str) -> Result<Requested, Error> {
        requested(&NewSnapshot { xml: Some(xml.to_owned()), ..NewSnapshot::default() })
    }

    #[test]
    fn document_and_options_say_what_is_wanted() {
        let xml = "<domainsnapshot><name>a</name><description>before</description><disks>\
                   <disk name='vda' snapshot='external'><driver type='qcow2'/><source file='/i/o'/></disk>\
                   <disk name='vdb' snapshot='no'/></disks></domainsnapshot>";
        let wanted = of(xml).unwrap();
        assert_eq!((wanted.name.as_str(), wanted.description.as_deref()), ("a", Some("before")));
        assert_eq!(wanted.kind, Some(SnapshotKind::External));
        assert_eq!(wanted.disks["vda"].overlay, Some(PathBuf::from("/i/o")));
        assert_eq!(wanted.disks["vdb"].kind, Some(None));
        let named = NewSnapshot { name: Some("b".into()), xml: Some(xml.into()), ..NewSnapshot::default() };
        assert_eq!(requested(&named).unwrap().name, "b");
        assert!(requested(&NewSnapshot::default()).unwrap().name.starts_with("snapshot-"));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        let disk = |attributes: &str| {
            format!("<domainsnapshot><disks><disk {attributes}/></disks></domainsnapshot>")
        };
        for (xml, code) in [
            ("<domain/>".to_owned(), "snapshot.document"),
            (disk("snapshot='no'"), "snapshot.document"),
            (disk("name='vda' snapshot='manual'"), "snapshot.document"),
            (disk("name='vda' type='network'"), "snapshot.document"),
            (disk("name='a' snapshot='internal'/><disk name='b' snapshot='external'"), "snapshot.mixed"),
            ("<domainsnapshot><name>../x</name></domainsnapshot>".to_owned(), "snapshot.name"),
            ("<domainsnapshot><memory snapshot='maybe'/></domainsnapshot>".to_owned(), "snapshot.document"),
            (
                "<domainsnapshot><memory snapshot='external' file='/m'/></domainsnapshot>".to_owned(),
                "snapshot.memory-place",
            ),
        ] {
            assert_eq!(of(&xml).unwrap_err().code(), code, "{xml}");
        }
        let both = NewSnapshot { disk_only: true, memory: true, ..NewSnapshot::default() };
        assert_eq!(requested(&both).unwrap_err().code(), "snapshot.options");
        let within =
            NewSnapshot { disk_only: true, kind: Some(SnapshotKind::Internal), ..NewSnapshot::default() };
        assert_eq!(requested(&within).unwrap_err().code(), "snapshot.options");
    }
}
