//! What the document says about the encryption of images, held against what their headers say.

use hostler_domain::disk::Disk;
use hostler_domain::storage_source::Encryption;
use hostler_image::Chain;

use crate::answer;
use crate::bindings::wit::types::{Error, Problem};

/// Refuses a chain before anything is started with it: an image that is encrypted and has no secret, or is said to be
/// encrypted and is not. A raw image is what the document says; its bytes are the guest's.
///
/// # Errors
/// `invalid` with the layer and what to write.
pub(crate) fn agree<F>(disk: &Disk, chain: &Chain<F>) -> Result<(), Error> {
    let mut sources = disk.source.layers();
    for (index, layer) in chain.layers.iter().enumerate() {
        let declared = sources.next().and_then(|source| source.encryption.as_ref());
        let path = layer.path.to_string();
        match (declared, &layer.header.encryption) {
            (None, Some(found)) => return Err(no_secret(disk, (index, &path), found.name())),
            (Some(encryption), Some(found)) if encryption.secrets.is_empty() => {
                return Err(no_secret(disk, (index, &path), found.name()));
            }
            (Some(encryption), None) => return Err(not_encrypted(disk, (index, &path), encryption)),
            (Some(encryption), Some(found)) if encryption.format != found.name() => {
                let message = format!(
                    "the image '{path}' of disk '{}' is encrypted with '{}', and the document says '{}'",
                    disk.target,
                    found.name(),
                    encryption.format
                );
                let hint = format!("write <encryption format='{}'>", found.name());
                return Err(wrong("storage.encryption-other", message, (disk, index), &[hint]));
            }
            _ => {}
        }
    }
    Ok(())
}

fn no_secret(disk: &Disk, (index, path): (usize, &str), found: &str) -> Error {
    let message = format!(
        "the image '{path}' (layer {index} of disk '{}') is encrypted with {found}, and the document names no secret for it",
        disk.target
    );
    let place = if index == 0 { "in the disk's <source>" } else { "in the <source> of its <backingStore>" };
    let element = "<encryption format='luks'><secret type='passphrase' uuid='…'/></encryption>";
    let hints =
        [format!("write {place}: {element}"), "see which secrets there are: hostler secret list".to_owned()];
    wrong("storage.secret-missing", message, (disk, index), &hints)
}

fn not_encrypted(disk: &Disk, (index, path): (usize, &str), declared: &Encryption) -> Error {
    let message = format!(
        "the document says that the image '{path}' of disk '{}' is encrypted with '{}', and it is not",
        disk.target, declared.format
    );
    let hint = "name the right image, or take <encryption> out of its <source>".to_owned();
    wrong("storage.not-encrypted", message, (disk, index), &[hint])
}

/// A problem with one layer: what is wrong is the document's.
fn wrong(code: &str, message: String, (disk, layer): (&Disk, usize), hints: &[String]) -> Error {
    let problem = answer::problem(code, message)
        .detail("disk", disk.target.as_str())
        .detail("layer", layer.to_string());
    Error::Invalid(hints.iter().fold(problem, Problem::hint))
}
