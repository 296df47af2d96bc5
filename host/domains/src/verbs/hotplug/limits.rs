//! `block limit`: how much a guest may read from a disk and write to it.

use hostler_domain::{Document, Domain, NodeId};

use super::detach::not_found;
use super::{Changed, Scope};
use crate::devices;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::DomainRef;

/// The element of a disk's limits.
const LIMITS: &str = "iotune";

/// One limit of a disk, by its name in `<iotune>`: `total_bytes_sec`. 0 is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskLimit {
    /// The name.
    pub name: String,
    /// Bytes, requests or seconds.
    pub value: u64,
}

impl DiskLimit {
    /// The names that there are.
    #[must_use]
    pub fn names() -> Vec<String> {
        let kinds = ["bytes_sec", "iops_sec"];
        let ways = ["total", "read", "write"];
        let each = |end: &'static str| {
            kinds.into_iter().flat_map(move |kind| ways.map(|way| format!("{way}_{kind}{end}")))
        };
        ["", "_max", "_max_length"].into_iter().flat_map(each).chain(["size_iops_sec".to_owned()]).collect()
    }
}

impl Host {
    /// Gives a disk other limits, and those that share its group: in the guest that runs, and in the stored definition. Limits
    /// that are not named stay.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such disk; [`Kind::Invalid`] for limits that exclude each other;
    /// [`Kind::Unsupported`] for a guest that was started without any for that disk.
    pub async fn limit_disk(
        &self,
        wanted: &DomainRef,
        target: &str,
        limits: &[DiskLimit],
        scope: Scope,
    ) -> Result<Changed, Error> {
        self.edit_device((wanted, target), scope, false, |definition, xml| {
            let domain = Domain::parse(xml)?;
            let found = devices::find(&domain, target)?.filter(|device| device.kind == "disk");
            let device = found.ok_or_else(|| not_found(definition, Some(&domain), target))?;
            let xml = with_limits(&domain, &device.name, limits)?;
            Ok((device, xml))
        })
        .await
    }
}

/// The document with these limits for a disk, and for all that share its group.
fn with_limits(domain: &Domain, target: &str, limits: &[DiskLimit]) -> Result<String, Error> {
    let disks = &domain.devices.disks;
    let group = |disk: &hostler_domain::disk::Disk| disk.iotune.as_ref()?.group_name.clone();
    let shared = disks.iter().find(|disk| disk.target.as_str() == target).and_then(group);
    let is_meant = |disk: &&hostler_domain::disk::Disk| {
        disk.target.as_str() == target || (shared.is_some() && group(disk) == shared)
    };
    let mut document = domain.document().clone();
    for disk in disks.iter().filter(is_meant) {
        limits.iter().try_for_each(|limit| put(&mut document, disk.node, limit))?;
    }
    Ok(document.to_xml())
}

fn put(document: &mut Document, disk: NodeId, limit: &DiskLimit) -> Result<(), Error> {
    if !DiskLimit::names().contains(&limit.name) {
        return Err(Error::new(Kind::Invalid, "block.limit", format!("there is no limit '{}'", limit.name))
            .hint(format!("there are: {}", DiskLimit::names().join(", "))));
    }
    let tune = match document.child(disk, LIMITS) {
        Some(tune) => tune,
        None => document.append_child(disk, &format!("<{LIMITS}/>"))?,
    };
    let one = match document.child(tune, &limit.name) {
        Some(one) => one,
        None => document.append_child(tune, &format!("<{}/>", limit.name))?,
    };
    Ok(document.set_text(one, &limit.value.to_string())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(disks: &str, target: &str, name: &str, value: u64) -> Result<String, Error> {
        let xml = format!(
            "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os><devices>{disks}</devices></domain>"
        );
        with_limits(&Domain::parse(&xml).unwrap(), target, &[DiskLimit { name: name.into(), value }])
    }

    fn disk(target: &str, tune: &str) -> String {
        format!("<disk type='file'><source file='/{target}'/><target dev='{target}'/>{tune}</disk>")
    }

    #[test]
    fn limits_are_those_of_the_disk_and_of_its_group() {
        let tune = "<iotune><total_iops_sec>7</total_iops_sec><group_name>g</group_name></iotune>";
        let disks = [disk("vda", tune), disk("vdb", tune), disk("vdc", "")].concat();
        let both = limited(&disks, "vda", "total_iops_sec", 9).unwrap();
        assert_eq!(both.matches("<total_iops_sec>9</total_iops_sec>").count(), 2, "{both}");
        let alone = limited(&disks, "vdc", "read_bytes_sec", 5).unwrap();
        assert!(alone.contains("<iotune><read_bytes_sec>5</read_bytes_sec></iotune></disk>"), "{alone}");
        assert_eq!(alone.matches("read_bytes_sec").count(), 2);
    }

    #[test]
    fn limit_that_there_is_not_is_refused_with_those_that_there_are() {
        let error = limited(&disk("vda", ""), "vda", "iops", 5).unwrap_err();
        assert!(error.code() == "block.limit" && error.hints[0].text.contains("total_bytes_sec_max_length"));
    }
}
