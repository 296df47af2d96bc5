//! Pools that are a volume group: what `lvs` and `vgs` say, as JSON.

use std::path::{Path, PathBuf};
use std::process::Command;

use hostler_domain::StorageName;
use hostler_domain::pool::StoragePool;
use hostler_domain::volume::VolumeType;
use serde::Deserialize;

use super::{Listing, Space};
use crate::error::{ErrorKind, StorageError};
use crate::facts::VolumeFacts;
use crate::probe::{self, Page};
use crate::programs::Programs;
use crate::root::PoolRoot;

/// Options of both programs: machine-readable, whole bytes, no unit.
const PLAIN: [&str; 5] = ["--reportformat", "json", "--units", "b", "--nosuffix"];

/// Lists the group.
pub(super) fn refresh(pool: &StoragePool, programs: &Programs) -> Result<Listing, StorageError> {
    let group = pool.source.name.as_deref().unwrap_or_default();
    let about = |error: StorageError| error.about("pool", pool.name.as_str());
    let space = report(programs.vgs()?, "vg_size,vg_free", group).map_err(about)?;
    let volumes = report(programs.lvs()?, "lv_name,lv_size,lv_attr", group).map_err(about)?;
    let directory = PathBuf::from(format!("/dev/{group}"));
    let found = parse_logical_volumes(&volumes, &directory).map_err(about)?;
    let volumes = match PoolRoot::open_devices(&directory) {
        Ok(root) => found.into_iter().map(|facts| looked_at(&root, facts)).collect(),
        // A group of which nothing is active has no directory.
        Err(_) => found,
    };
    Ok(Listing { volumes, skipped: Vec::new(), space: parse_volume_group(&space).map_err(about)? })
}

/// Adds what the header of an active volume says; one that is not active has no device.
fn looked_at(root: &PoolRoot, facts: VolumeFacts) -> VolumeFacts {
    let Ok(opened) = root.open(&facts.name) else { return facts };
    let length = facts.physical;
    probe::looked_at(facts.clone(), &opened.into(), length, &mut Page::new()).unwrap_or(facts)
}

/// A volume group of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeGroupFound {
    /// Its name.
    pub name: String,
    /// The devices that it is made of.
    pub devices: Vec<String>,
}

/// Every volume group of this machine, by name.
///
/// # Errors
/// [`ErrorKind::Unsupported`] where LVM is not installed; what it says.
pub fn volume_groups(programs: &Programs) -> Result<Vec<VolumeGroupFound>, StorageError> {
    parse_volume_groups(&run(programs.vgs()?, "vg_name,pv_name", None)?)
}

/// The groups in the JSON of `vgs -o vg_name,pv_name`, which has a line for each device.
fn parse_volume_groups(text: &str) -> Result<Vec<VolumeGroupFound>, StorageError> {
    let report: Report<GroupParts> = serde_json::from_str(text).map_err(|error| unreadable("vgs", error))?;
    let mut groups: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    for part in report.report.into_iter().flat_map(|report| report.vg) {
        groups.entry(part.vg_name).or_default().push(part.pv_name);
    }
    Ok(groups.into_iter().map(|(name, devices)| VolumeGroupFound { name, devices }).collect())
}

#[derive(Deserialize)]
struct GroupParts {
    vg: Vec<GroupPart>,
}

#[derive(Deserialize)]
struct GroupPart {
    vg_name: String,
    pv_name: String,
}

fn report(program: &Path, columns: &str, group: &str) -> Result<String, StorageError> {
    run(program, columns, Some(group))
}

fn run(program: &Path, columns: &str, group: Option<&str>) -> Result<String, StorageError> {
    let output = Command::new(program)
        .args(PLAIN)
        .args(["-o", columns, "--"])
        .args(group)
        .env("LC_ALL", "C")
        // It complains about descriptors that whoever started us left open, and nothing else is to be read then.
        .env("LVM_SUPPRESS_FD_WARNINGS", "1")
        .output()
        .map_err(|error| StorageError::io("run", program.display(), error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().next().unwrap_or("it said nothing").trim().to_owned();
    let what = group.map_or("volume groups".to_owned(), |group| format!("the volume group '{group}'"));
    let message = format!("{what} cannot be read by '{}'", program.display());
    Err(StorageError::new(ErrorKind::NotFound, "pool.group-unreadable", message)
        .caused_by(first)
        .hint_command("see which groups there are", "vgs"))
}

#[derive(Deserialize)]
struct Report<T> {
    report: Vec<T>,
}

#[derive(Deserialize)]
struct Volumes {
    lv: Vec<LogicalVolume>,
}

#[derive(Deserialize)]
struct Groups {
    vg: Vec<VolumeGroup>,
}

#[derive(Deserialize)]
struct LogicalVolume {
    lv_name: String,
    lv_size: String,
    lv_attr: String,
}

#[derive(Deserialize)]
struct VolumeGroup {
    vg_size: String,
    vg_free: String,
}

/// The volumes in the JSON of `lvs -o lv_name,lv_size,lv_attr`, without those that hold parts of others.
///
/// # Errors
/// [`ErrorKind::Io`] when it is not what `lvs` writes.
pub fn parse_logical_volumes(text: &str, directory: &Path) -> Result<Vec<VolumeFacts>, StorageError> {
    let report: Report<Volumes> = serde_json::from_str(text).map_err(|error| unreadable("lvs", error))?;
    let mut found = Vec::new();
    for volume in report.report.into_iter().flat_map(|report| report.lv) {
        // A thin pool holds volumes and is none; names in brackets are parts of others.
        let holds_others = volume.lv_attr.starts_with(['t', 'e', 'l']);
        if holds_others || StorageName::existing(&volume.lv_name).is_err() || volume.lv_name.starts_with('[')
        {
            continue;
        }
        let size = bytes("lvs", &volume.lv_size)?;
        let path = directory.join(&volume.lv_name);
        found.push(VolumeFacts::sized(volume.lv_name, VolumeType::Block, path, size, size));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The room in the JSON of `vgs -o vg_size,vg_free`.
///
/// # Errors
/// [`ErrorKind::Io`] when it is not what `vgs` writes.
pub fn parse_volume_group(text: &str) -> Result<Space, StorageError> {
    let report: Report<Groups> = serde_json::from_str(text).map_err(|error| unreadable("vgs", error))?;
    let Some(group) = report.report.into_iter().flat_map(|report| report.vg).next() else {
        return Err(unreadable("vgs", "it names no group"));
    };
    let (capacity, available) = (bytes("vgs", &group.vg_size)?, bytes("vgs", &group.vg_free)?);
    Ok(Space { capacity, allocation: capacity.saturating_sub(available), available })
}

fn bytes(program: &str, text: &str) -> Result<u64, StorageError> {
    text.trim().parse().map_err(|_| unreadable(program, format!("'{}' is no size", text.escape_debug())))
}

fn unreadable(program: &str, reason: impl ToString) -> StorageError {
    let message = format!("the answer of '{program}' cannot be read");
    StorageError::new(ErrorKind::Io, "pool.group-answer", message).caused_by(reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn groups_have_their_devices() {
        let text = r#"{"report": [{"vg": [
            {"vg_name": "b", "pv_name": "/dev/sdc"},
            {"vg_name": "a", "pv_name": "/dev/sda"}, {"vg_name": "a", "pv_name": "/dev/sdb"}]}]}"#;
        let groups = parse_volume_groups(text).unwrap();
        let [a, b] = groups.as_slice() else { panic!("{groups:?}") };
        assert_eq!(
            (a.name.as_str(), a.devices.len(), b.devices.as_slice()),
            ("a", 2, &["/dev/sdc".to_owned()][..])
        );
        assert!(parse_volume_groups("{}").is_err());
        assert!(parse_volume_groups(r#"{"report": [{"vg": []}]}"#).unwrap().is_empty());
    }

    const VOLUMES: &str = r#"{"report": [{"lv": [
        {"lv_name":"root", "lv_size":"10737418240", "lv_attr":"-wi-ao----"},
        {"lv_name":"pool0", "lv_size":"1073741824", "lv_attr":"twi-aotz--"},
        {"lv_name":"thin", "lv_size":"2147483648", "lv_attr":"Vwi-a-tz--"},
        {"lv_name":"[pool0_tmeta]", "lv_size":"4194304", "lv_attr":"ewi-ao----"},
        {"lv_name":"a-snapshot", "lv_size":"4194304", "lv_attr":"swi-a-s---"}
    ]}]}"#;
    const GROUP: &str = r#"{"report": [{"vg": [{"vg_size":"107374182400", "vg_free":"96636764160"}]}]}"#;

    #[test]
    fn volumes_are_those_that_a_guest_can_have() {
        let found = parse_logical_volumes(VOLUMES, Path::new("/dev/vg0")).unwrap();
        let seen: Vec<_> = found.iter().map(|facts| (facts.name.as_str(), facts.capacity)).collect();
        assert_eq!(seen, [("a-snapshot", 4 << 20), ("root", 10 << 30), ("thin", 2 << 30)]);
        assert_eq!((found[1].path.as_path(), found[1].kind), (Path::new("/dev/vg0/root"), VolumeType::Block));
        assert_eq!(parse_volume_group(GROUP).unwrap().allocation, 10 << 30);
    }

    #[test]
    fn answers_that_are_not_of_lvm_are_refused() {
        for text in ["", "{}", r#"{"report":[]}"#, r#"{"report":[{"vg":[{"vg_size":"1g","vg_free":"0"}]}]}"#]
        {
            assert_eq!(parse_volume_group(text).unwrap_err().code(), "pool.group-answer", "{text}");
        }
        assert!(parse_logical_volumes("[]", Path::new("/dev/a")).is_err());
    }

    #[test]
    fn programs_are_asked_and_their_absence_is_told() {
        let pool =
            StoragePool::parse("<pool type='logical'><source><name>hostler-none</name></source></pool>")
                .unwrap();
        let error = refresh(&pool, &Programs::default()).unwrap_err();
        assert_eq!((error.code(), error.kind), ("storage.program-missing", ErrorKind::Unsupported));
        let directory = tempfile::tempdir().unwrap();
        let script = |name: &str, body: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            Some(path)
        };
        // It must be asked about the group by its last word, behind the end of options.
        let answer = |json: &str| {
            format!("case \"$*\" in *'-- hostler-none') cat <<'E'\n{json}\nE\n;; *) exit 9;; esac")
        };
        let programs = Programs {
            qemu_img: None,
            lvs: script("lvs", &answer(VOLUMES)),
            vgs: script("vgs", &answer(GROUP)),
        };
        let found = refresh(&pool, &programs).unwrap();
        assert_eq!((found.volumes.len(), found.space.available), (3, 96_636_764_160));
        let failing =
            Programs { vgs: script("vgs", "echo 'Volume group not found' >&2; exit 5"), ..programs };
        let absent = crate::refresh::find(&pool, "root", &crate::Reach::anywhere()).unwrap_err();
        assert_eq!((absent.code(), absent.kind), ("volume.not-found", ErrorKind::NotFound));
        let error = refresh(&pool, &failing).unwrap_err();
        assert_eq!((error.code(), error.kind), ("pool.group-unreadable", ErrorKind::NotFound));
    }
}
