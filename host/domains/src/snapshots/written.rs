//! A snapshot as libvirt's document.

use hostler_domain::document::{escape_attribute, escape_text};
use hostler_state::{Snapshot, SnapshotKind, SnapshotState};

/// The `<domainsnapshot>` of a snapshot.
pub(crate) fn document(snapshot: &Snapshot) -> String {
    let mut xml = format!("<domainsnapshot>\n  <name>{}</name>\n", escape_text(&snapshot.name));
    if let Some(description) = &snapshot.description {
        xml += &format!("  <description>{}</description>\n", escape_text(description));
    }
    xml += &format!("  <state>{}</state>\n", state(snapshot.state));
    if let Some(parent) = &snapshot.parent {
        xml += &format!("  <parent>\n    <name>{}</name>\n  </parent>\n", escape_text(parent));
    }
    xml += &format!("  <creationTime>{}</creationTime>\n", snapshot.created_unix_ms / 1000);
    xml += &match (&snapshot.memory, snapshot.kind, snapshot.state) {
        (Some(file), ..) => {
            format!("  <memory snapshot='external' file='{}'/>\n", escape_attribute(&file.to_string_lossy()))
        }
        (None, SnapshotKind::Internal, SnapshotState::Running | SnapshotState::Paused) => {
            "  <memory snapshot='internal'/>\n".to_owned()
        }
        _ => "  <memory snapshot='no'/>\n".to_owned(),
    };
    xml += "  <disks>\n";
    for disk in &snapshot.disks {
        let target = escape_attribute(&disk.target);
        xml += &match &disk.overlay {
            None => format!("    <disk name='{target}' snapshot='internal'/>\n"),
            Some(overlay) => format!(
                "    <disk name='{target}' snapshot='external' type='file'>\n      <driver type='qcow2'/>\n      \
                 <source file='{}'/>\n    </disk>\n",
                escape_attribute(&overlay.to_string_lossy())
            ),
        };
    }
    xml += "  </disks>\n";
    xml += &indented(&snapshot.xml);
    if let Some(stored) = &snapshot.stored_xml {
        let renamed = stored.trim().strip_prefix("<domain").and_then(|rest| rest.strip_suffix("</domain>"));
        if let Some(content) = renamed {
            xml += &indented(&format!("<inactiveDomain{content}</inactiveDomain>"));
        }
    }
    xml + "</domainsnapshot>\n"
}

/// As it is: what stands on several lines may be text of an element.
fn indented(xml: &str) -> String {
    format!("  {}\n", xml.trim())
}

/// The state in libvirt's words.
fn state(state: SnapshotState) -> &'static str {
    match state {
        SnapshotState::Off => "shutoff",
        SnapshotState::Running => "running",
        SnapshotState::Paused => "paused",
        SnapshotState::DiskOnly => "disk-snapshot",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_domain::Document;
    use hostler_state::SnapshotDisk;

    #[test]
    fn document_is_sound_and_says_what_was_kept() {
        let disk = |overlay: Option<&str>| SnapshotDisk {
            target: "vda".into(),
            image: "/i/a".into(),
            format: "qcow2".into(),
            overlay: overlay.map(Into::into),
        };
        let mut snapshot = Snapshot {
            name: "a<b".into(),
            operation: 1,
            parent: Some("p".into()),
            description: Some("x & y".into()),
            created_unix_ms: 5_999,
            kind: SnapshotKind::External,
            state: SnapshotState::DiskOnly,
            xml: "<domain type='qemu'>\n</domain>\n".into(),
            stored_xml: Some("<domain type='qemu'><name>n</name></domain>\n".into()),
            disks: vec![disk(Some("/i/a.s"))],
            memory: None,
            store: None,
            being_deleted: false,
        };
        let text = document(&snapshot);
        let parsed = Document::parse(&text).unwrap();
        let child = |name: &str| parsed.child(parsed.root(), name).unwrap();
        assert_eq!(
            (parsed.text(child("name")), parsed.text(child("state"))),
            ("a<b".into(), "disk-snapshot".into())
        );
        assert_eq!(parsed.text(child("creationTime")), "5");
        assert!(
            text.contains("<source file='/i/a.s'/>") && text.contains("<inactiveDomain type='qemu'>"),
            "{text}"
        );
        snapshot.kind = SnapshotKind::Internal;
        snapshot.state = SnapshotState::Paused;
        snapshot.disks = vec![disk(None)];
        assert!(document(&snapshot).contains("<memory snapshot='internal'/>"));
    }
}
