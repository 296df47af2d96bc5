//! Work on disks that needs new block nodes, and is not done where one of them would need a passphrase.

use hostler_domain::Domain;
use hostler_domain::disk::Disk;

use crate::error::{Error, Kind};

/// Whether a document says that a disk, or an image below it, is encrypted.
pub(crate) fn is_encrypted(disk: &Disk) -> bool {
    disk.source.layers().any(|layer| layer.encryption.is_some())
}

/// Refuses what would leave the content of an encrypted disk in an image that is not, or open an image without its
/// passphrase.
///
/// # Errors
/// [`Kind::Unsupported`].
pub(crate) fn require_plain(xml: &str, target: &str) -> Result<(), Error> {
    let domain = Domain::parse(xml)?;
    let disk = domain.devices.disks.iter().find(|disk| disk.target.as_str() == target);
    if !disk.is_some_and(is_encrypted) {
        return Ok(());
    }
    let message = format!(
        "the disk '{target}' is encrypted, and block jobs and new sizes of raw images are for plain disks only"
    );
    Err(Error::new(Kind::Unsupported, "block.encrypted", message)
        .about("disk", target)
        .hint("copy from disk to disk inside the guest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_with_an_encrypted_layer_are_refused_and_others_are_not() {
        let encryption = "<encryption format='luks'><secret type='passphrase' usage='/a'/></encryption>";
        let xml = format!(
            "<domain type='kvm'><name>n</name><memory>1</memory><os><type>hvm</type></os><devices>\
             <disk type='file'><source file='/a'/><backingStore type='file'><format type='raw'/>\
             <source file='/b'>{encryption}</source><backingStore/></backingStore><target dev='vda'/></disk>\
             <disk type='file'><source file='/c'/><target dev='vdb'/></disk></devices></domain>"
        );
        let error = require_plain(&xml, "vda").unwrap_err();
        assert_eq!((error.kind, error.code()), (Kind::Unsupported, "block.encrypted"));
        require_plain(&xml, "vdb").unwrap();
    }
}
