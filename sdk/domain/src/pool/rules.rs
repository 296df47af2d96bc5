//! What a pool of each type must say, and which words its formats have.

use super::{PoolType, StoragePool};
use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;

/// Formats of a local file system.
const FILE_SYSTEMS: &[&str] = &[
    "auto", "ext2", "ext3", "ext4", "ufs", "iso9660", "udf", "gfs", "gfs2", "vfat", "hfs+", "xfs", "ocfs2",
    "vmfs",
];
/// Formats of a file system on a server.
const NETWORK_FILE_SYSTEMS: &[&str] = &["auto", "nfs", "glusterfs", "cifs"];
/// Formats of a volume group.
const GROUPS: &[&str] = &["unknown", "lvm2"];
/// Formats of a partition table.
const PARTITION_TABLES: &[&str] = &["unknown", "dos", "dvh", "gpt", "mac", "bsd", "pc98", "sun", "lvm2"];

/// What a source has to have.
struct Needs {
    /// At least so many hosts, at most so many.
    hosts: (usize, usize),
    devices: (usize, usize),
    dir: bool,
    name: bool,
    adapter: bool,
    initiator: bool,
    formats: &'static [&'static str],
}

/// Nothing in particular.
const NOTHING: Needs = Needs {
    hosts: (0, usize::MAX),
    devices: (0, usize::MAX),
    dir: false,
    name: false,
    adapter: false,
    initiator: false,
    formats: &[],
};

fn needs(kind: PoolType) -> Needs {
    let one = (1, 1);
    match kind {
        PoolType::Dir | PoolType::Mpath => NOTHING,
        PoolType::Fs => Needs { devices: one, formats: FILE_SYSTEMS, ..NOTHING },
        PoolType::Netfs => {
            Needs { hosts: (1, usize::MAX), dir: true, formats: NETWORK_FILE_SYSTEMS, ..NOTHING }
        }
        PoolType::Logical => Needs { name: true, formats: GROUPS, ..NOTHING },
        PoolType::Disk => Needs { devices: one, formats: PARTITION_TABLES, ..NOTHING },
        PoolType::Iscsi => Needs { hosts: one, devices: one, ..NOTHING },
        PoolType::IscsiDirect => Needs { hosts: (1, usize::MAX), devices: one, initiator: true, ..NOTHING },
        PoolType::Scsi => Needs { adapter: true, ..NOTHING },
        PoolType::Rbd | PoolType::Zfs | PoolType::Vstorage => Needs { name: true, ..NOTHING },
        PoolType::Sheepdog | PoolType::Gluster => Needs { hosts: (1, usize::MAX), name: true, ..NOTHING },
    }
}

/// Refuses a pool that lacks what its type needs.
pub(super) fn check(root: Element<'_>, pool: &StoragePool) -> Result<(), XmlError> {
    let (needs, kind, source) = (needs(pool.kind), pool.kind, &pool.source);
    let at = root.child("source").unwrap_or(root);
    let missing = |what: &str| {
        let message = format!("a pool of type '{kind}' needs {what}, and has none");
        Err(at.error(XmlErrorKind::MissingElement, message))
    };
    count(at, kind, "host", source.hosts.len(), needs.hosts)?;
    count(at, kind, "device", source.devices.len(), needs.devices)?;
    if needs.dir && source.dir.is_none() {
        return missing("a 'dir' with a path in its source");
    }
    if needs.name && source.name.is_none() {
        return missing("a 'name' in its source");
    }
    if needs.adapter && source.adapter.is_none() {
        return missing("an 'adapter' in its source");
    }
    if needs.initiator && source.initiator_iqn.is_none() {
        return missing("an 'initiator' with an 'iqn' in its source");
    }
    if kind.has_target() && pool.target.path.is_none() {
        return missing("a 'path' in its target");
    }
    check_format(at, pool, needs.formats)?;
    check_name(at, pool)
}

fn count(
    at: Element<'_>,
    kind: PoolType,
    what: &str,
    found: usize,
    (least, most): (usize, usize),
) -> Result<(), XmlError> {
    if found < least {
        let message = format!("a pool of type '{kind}' needs a '{what}' in its source, and has none");
        return Err(at.error(XmlErrorKind::MissingElement, message));
    }
    if found > most {
        let message = format!("a pool of type '{kind}' takes {most} '{what}' in its source, and has {found}");
        return Err(at.error(XmlErrorKind::Conflict, message));
    }
    Ok(())
}

fn check_format(at: Element<'_>, pool: &StoragePool, known: &[&str]) -> Result<(), XmlError> {
    match (&pool.source.format, at.child("format")) {
        (Some(format), Some(element)) if !known.is_empty() && !known.contains(&format.as_str()) => {
            Err(element.unknown(Some("type"), format, known))
        }
        _ => Ok(()),
    }
}

/// The name of a volume group becomes part of a path and of command lines.
fn check_name(at: Element<'_>, pool: &StoragePool) -> Result<(), XmlError> {
    let Some(name) = &pool.source.name else { return Ok(()) };
    let plain = |part: &str| crate::storage_name::StorageName::parse(part).map(drop);
    let checked = match pool.kind {
        // A data set is a path of plain names.
        PoolType::Zfs => name.split('/').try_for_each(plain),
        PoolType::Logical => plain(name),
        _ => Ok(()),
    };
    let subject = at.child("name").unwrap_or(at);
    checked.map_err(|wrong| {
        subject.error(XmlErrorKind::InvalidValue, format!("the source name of the pool {wrong}"))
    })
}
