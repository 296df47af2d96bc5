//! `vol xml`: the document of a volume, from what is measured now.

use std::os::unix::fs::MetadataExt as _;

use hostler_domain::Fragment;
use hostler_state::VolumeSecret;

use crate::error::Error;
use crate::host::Host;
use crate::reference::PoolRef;
use crate::storage_summary::VolumeSummary;

impl Host {
    /// The document that describes a volume as it is now; what a document for a new one would look like.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`]; [`crate::Kind::Conflict`] when the pool is not started.
    pub async fn vol_xml(&self, wanted: &PoolRef, name: &str) -> Result<String, Error> {
        let summary = self.volume_summary(&self.pool(wanted)?, name)?;
        let mut xml = document(&summary).to_xml();
        xml.push('\n');
        Ok(xml)
    }
}

fn document(volume: &VolumeSummary) -> Fragment {
    let bytes = |name: &str, value: u64| Fragment::new(name).attribute("unit", "bytes").text(value);
    let backing = volume.backing.as_ref().map(|path| {
        let format =
            volume.backing_format.as_ref().map(|format| Fragment::new("format").attribute("type", format));
        Fragment::new("backingStore")
            .child(Fragment::new("path").text(below(volume, path)))
            .maybe_child(format)
    });
    Fragment::new("volume")
        .attribute("type", &volume.kind)
        .child(Fragment::new("name").text(&volume.name))
        .child(Fragment::new("key").text(volume.path.display()))
        .child(bytes("capacity", volume.capacity))
        .child(bytes("allocation", volume.allocation))
        .child(bytes("physical", volume.physical))
        .child(target(volume))
        .maybe_child(backing)
}

/// Where what is below a volume lies: a plain name is one beside it. What names a server, or says how it is to be opened, stays.
fn below(volume: &VolumeSummary, name: &str) -> String {
    let is_plain = !name.contains(':') && !name.starts_with('/');
    match volume.path.parent().filter(|_| is_plain) {
        Some(directory) => directory.join(name).display().to_string(),
        None => name.to_owned(),
    }
}

fn target(volume: &VolumeSummary) -> Fragment {
    let format = volume.format.as_ref().or(volume.found_format.as_ref());
    let cluster =
        volume.cluster_size.map(|size| Fragment::new("clusterSize").attribute("unit", "bytes").text(size));
    let compat = volume.compat.as_ref().filter(|_| format.is_some_and(|format| format == "qcow2"));
    Fragment::new("target")
        .child(Fragment::new("path").text(volume.path.display()))
        .maybe_child(format.map(|format| Fragment::new("format").attribute("type", format)))
        .maybe_child(permissions(volume))
        .maybe_child(compat.map(|compat| Fragment::new("compat").text(compat)))
        .maybe_child(cluster)
        .maybe_child(encryption(volume))
}

/// How it was encrypted when it was made, which no start has to guess: of a raw volume that was not made so, the bytes are
/// its guest's.
fn encryption(volume: &VolumeSummary) -> Option<Fragment> {
    let is_raw =
        volume.format.as_ref().or(volume.found_format.as_ref()).is_some_and(|format| format == "raw");
    let made_so = volume.secret.is_some() || !is_raw;
    let format = volume.encryption.as_ref().filter(|_| made_so)?;
    let secret = volume.secret.as_ref().map(|secret| {
        let (word, name) = match secret {
            VolumeSecret::Uuid(uuid) => ("uuid", uuid),
            VolumeSecret::Usage(usage) => ("usage", usage),
        };
        Fragment::new("secret").attribute("type", "passphrase").attribute(word, name)
    });
    Some(Fragment::new("encryption").attribute("format", format).maybe_child(secret))
}

fn permissions(volume: &VolumeSummary) -> Option<Fragment> {
    let metadata = std::fs::metadata(&volume.path).ok()?;
    Some(
        Fragment::new("permissions")
            .child(Fragment::new("mode").text(format!("0{:o}", metadata.mode() & 0o7777)))
            .child(Fragment::new("owner").text(metadata.uid()))
            .child(Fragment::new("group").text(metadata.gid())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_domain::volume::StorageVolume;

    #[test]
    fn document_is_one_that_can_be_read() {
        let volume = VolumeSummary {
            pool: "p".into(),
            name: "a<b".into(),
            kind: "file".into(),
            path: "/nonexistent/a<b".into(),
            format: Some("qcow2".into()),
            found_format: Some("qcow2".into()),
            capacity: 1 << 20,
            allocation: 4096,
            physical: 8192,
            backing: Some("base & co".into()),
            backing_format: Some("raw".into()),
            cluster_size: Some(65536),
            compat: Some("1.1".into()),
            encryption: Some("luks".into()),
            secret: Some(VolumeSecret::Uuid("u".into())),
            problem: None,
        };
        let read = StorageVolume::parse(&document(&volume).to_xml()).unwrap();
        assert!(read.unmodelled().is_empty(), "{:?}", read.unmodelled());
        assert_eq!((read.name.as_str(), read.capacity.0), ("a<b", 1 << 20));
        assert_eq!(read.target.format.as_deref(), Some("qcow2"));
        assert_eq!(read.target.encryption.unwrap().secrets.len(), 1);
        assert_eq!(read.backing.unwrap().path, "/nonexistent/base & co");
        for name in ["/a/b", "nbd://host/x", "json:{}"] {
            assert_eq!(below(&volume, name), name);
        }
    }
}
