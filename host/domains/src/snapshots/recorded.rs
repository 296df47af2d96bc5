//! What libvirt's `<domainsnapshot>` says of a snapshot that was taken before: what `snapshot xml` writes, read again.

use std::path::PathBuf;

use hostler_domain::{Document, Domain, NodeId};
use hostler_state::{SnapshotKind, SnapshotState};

use super::request::{check_name, invalid, mixed, parsed, text_of, unknown};
use crate::error::Error;

/// A snapshot as a document tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) parent: Option<String>,
    /// In milliseconds since 1970.
    pub(crate) created_unix_ms: Option<u64>,
    pub(crate) state: SnapshotState,
    pub(crate) kind: SnapshotKind,
    /// The file with the guest's memory.
    pub(crate) memory: Option<PathBuf>,
    /// Target names of the disks that take part, with their overlays.
    pub(crate) disks: Vec<(String, Option<PathBuf>)>,
    /// The domain's document at that time.
    pub(crate) xml: String,
    /// The line on which that begins, counted from 1.
    line: u32,
    /// The definition at that time, where it was another document.
    pub(crate) stored_xml: Option<String>,
}

impl Recorded {
    /// The domain at that time.
    ///
    /// # Errors
    /// [`crate::Kind::Invalid`] with the place in the whole document.
    pub(crate) fn domain(&self) -> Result<Domain, Error> {
        let above = usize::try_from(self.line).unwrap_or(1).saturating_sub(1);
        Ok(Domain::parse(&format!("{}{}", "\n".repeat(above), self.xml))?)
    }
}

/// Reads such a document.
///
/// # Errors
/// [`crate::Kind::Invalid`] for one that leaves something out; [`crate::Kind::Unsupported`] for what this host does not do.
pub(crate) fn recorded(xml: &str) -> Result<Recorded, Error> {
    let document = parsed(xml)?;
    let root = document.root();
    let text = |parent: NodeId, name: &str| text_of(&document, parent, name);
    let name = text(root, "name").ok_or_else(|| missing("name"))?;
    check_name(&name)?;
    let domain = document.child(root, "domain").ok_or_else(|| missing("domain"))?;
    let disks = taking_part(&document)?;
    let memory = document.child(root, "memory");
    let kept_in = memory.and_then(|memory| document.attribute(memory, "snapshot"));
    let memory = memory.and_then(|memory| document.attribute(memory, "file")).map(PathBuf::from);
    let is_above = |(_, kind, _): &(String, SnapshotKind, Option<PathBuf>)| *kind == SnapshotKind::External;
    let kind = match (disks.iter().any(is_above), kept_in) {
        (true, _) | (_, Some("external")) => SnapshotKind::External,
        _ => SnapshotKind::Internal,
    };
    if let Some((target, ..)) = disks.iter().find(|(_, own, _)| *own != kind) {
        return Err(mixed(target));
    }
    let stored = document.child(root, "inactiveDomain").map(|node| document.node_to_xml(node));
    Ok(Recorded {
        name,
        description: text(root, "description"),
        parent: document.child(root, "parent").and_then(|parent| text(parent, "name")),
        created_unix_ms: text(root, "creationTime").map(|time| moment(&time)).transpose()?,
        state: state(&text(root, "state").ok_or_else(|| missing("state"))?)?,
        kind,
        memory,
        disks: disks.into_iter().map(|(target, _, overlay)| (target, overlay)).collect(),
        xml: format!("{}\n", document.node_to_xml(domain)),
        line: document.position(domain).line,
        stored_xml: stored.as_deref().and_then(as_domain),
    })
}

/// The disks that take part, each with how its data is kept.
fn taking_part(document: &Document) -> Result<Vec<(String, SnapshotKind, Option<PathBuf>)>, Error> {
    let disks = document.child(document.root(), "disks");
    let disks = disks.into_iter().flat_map(|disks| document.elements(disks));
    let mut found = Vec::new();
    for disk in disks.filter(|disk| document.name(*disk) == "disk") {
        let target = document.attribute(disk, "name").ok_or_else(|| missing("disk/@name"))?;
        let source = document.child(disk, "source").and_then(|source| document.attribute(source, "file"));
        match (document.attribute(disk, "snapshot"), source) {
            (Some("no"), _) => {}
            (Some("internal"), _) => found.push((target.to_owned(), SnapshotKind::Internal, None)),
            (Some("external") | None, Some(file)) => {
                found.push((target.to_owned(), SnapshotKind::External, Some(file.into())));
            }
            (Some("external") | None, None) => return Err(missing("disk/source/@file")),
            (Some(other), _) => return Err(unknown("disk/@snapshot", other)),
        }
    }
    Ok(found)
}

/// A definition under the name that it has within a snapshot, under its own.
fn as_domain(xml: &str) -> Option<String> {
    let content = xml.trim().strip_prefix("<inactiveDomain")?.strip_suffix("</inactiveDomain>")?;
    Some(format!("<domain{content}</domain>\n"))
}

fn moment(seconds: &str) -> Result<u64, Error> {
    let parsed = seconds.parse::<u64>().ok().and_then(|seconds| seconds.checked_mul(1000));
    parsed.ok_or_else(|| {
        let shown: String = seconds.chars().take(64).flat_map(char::escape_debug).collect();
        invalid(
            "snapshot.document",
            format!("<creationTime> is '{shown}', and no count of seconds since 1970"),
        )
    })
}

fn state(word: &str) -> Result<SnapshotState, Error> {
    match word {
        "shutoff" => Ok(SnapshotState::Off),
        "running" => Ok(SnapshotState::Running),
        "paused" => Ok(SnapshotState::Paused),
        "disk-snapshot" => Ok(SnapshotState::DiskOnly),
        other => Err(unknown("state", other)),
    }
}

fn missing(place: &str) -> Error {
    invalid("snapshot.document", format!("{place} is missing in the document of the snapshot"))
        .hint("change a document that this host has written: virsh snapshot-dumpxml, hostler snapshot xml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshots::document;
    use hostler_state::{Snapshot, SnapshotDisk};

    fn snapshot(kind: SnapshotKind, overlay: Option<&str>) -> Snapshot {
        Snapshot {
            name: "a<b".into(),
            operation: 1,
            parent: Some("p".into()),
            description: Some("x & y".into()),
            created_unix_ms: 5_000,
            kind,
            state: SnapshotState::Running,
            xml: "<domain type='qemu'>\n  <name>n</name>\n</domain>\n".into(),
            stored_xml: Some("<domain type='qemu'><name>n</name></domain>\n".into()),
            disks: vec![SnapshotDisk {
                target: "vda".into(),
                image: "/i/a".into(),
                format: "qcow2".into(),
                overlay: overlay.map(Into::into),
            }],
            memory: overlay.map(|_| "/m".into()),
            store: None,
            being_deleted: false,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (kind, overlay) in [(SnapshotKind::External, Some("/i/a.s")), (SnapshotKind::Internal, None)] {
            let written = snapshot(kind, overlay);
            let read = recorded(&document(&written)).unwrap();
            assert_eq!(
                (read.name, read.parent, read.description),
                (written.name, written.parent, written.description)
            );
            assert_eq!((read.kind, read.state, read.memory), (written.kind, written.state, written.memory));
            assert_eq!(read.created_unix_ms, Some(5_000));
            assert_eq!(read.disks, [("vda".to_owned(), overlay.map(PathBuf::from))]);
            assert_eq!((read.xml, read.stored_xml), (written.xml, written.stored_xml));
        }
    }

    #[test]
    fn what_is_left_out_or_not_known_is_named() {
        let whole = document(&snapshot(SnapshotKind::External, Some("/i/a.s")));
        let mixed = "<disk name='vdb' snapshot='internal'/></disks>";
        for (from, to, code, part) in [
            ("<name>a&lt;b</name>", "", "snapshot.document", "name is missing"),
            ("a&lt;b", "../b", "snapshot.name", "slash"),
            ("<state>running</state>", "", "snapshot.document", "state is missing"),
            (">running<", ">asleep<", "snapshot.document", "'asleep'"),
            (">5<", ">soon<", "snapshot.document", "'soon'"),
            (">5<", ">18446744073709551615<", "snapshot.document", "seconds"),
            ("<source file='/i/a.s'/>", "", "snapshot.document", "disk/source/@file"),
            ("</disks>", mixed, "snapshot.mixed", "all of its disks"),
        ] {
            let error = recorded(&whole.replacen(from, to, 1)).unwrap_err();
            assert_eq!(error.code(), code, "{to}: {error}");
            assert!(error.to_string().contains(part), "{to}: {error}");
        }
        let bare = "<domainsnapshot><name>a</name><state>shutoff</state></domainsnapshot>";
        assert!(recorded(bare).unwrap_err().to_string().contains("domain is missing"));
        assert_eq!(recorded("<domain/>").unwrap_err().code(), "snapshot.document");
    }
}
