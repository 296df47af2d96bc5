//! Who else depends on an image.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hostler_runtime::inspect_header;
use hostler_state::Definition;

use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::pools::is_same_file;

/// Refuses to change or remove an image that anything but the domain and its snapshots needs: another domain, a snapshot of
/// another, an image that stands on it. `own` are the images that the plan knows.
///
/// # Errors
/// [`Kind::Conflict`], naming who needs it.
pub(crate) fn require_independent(
    host: &Host,
    definition: &Definition,
    image: &Path,
    own: &BTreeSet<PathBuf>,
) -> Result<(), Error> {
    if let Some(user) = host.image_uses(image)?.into_iter().find(|one| one.domain != definition.name) {
        let message = format!(
            "the disk {} of the domain '{}' needs the image '{}'",
            user.disk,
            user.domain,
            image.display()
        );
        return Err(needed(message).about("domain", &user.domain));
    }
    for other in host.definitions()?.into_iter().filter(|other| other.uuid != definition.uuid) {
        let tree = host.state().snapshots(other.uuid)?;
        let holds = |path: &Path| is_same_file(path, image);
        let holder =
            tree.snapshots.iter().find(|snapshot| snapshot.disks.iter().any(|disk| holds(&disk.image)));
        if let Some(holder) = holder {
            let message = format!(
                "the snapshot '{}' of the domain '{}' needs the image '{}'",
                holder.name,
                other.name,
                image.display()
            );
            return Err(needed(message).about("domain", &other.name));
        }
    }
    match stranger_above(host, image, own)? {
        None => Ok(()),
        Some(stranger) => {
            let message = format!("the image '{}' stands on '{}'", stranger.display(), image.display());
            Err(needed(message).about("image", stranger.display().to_string()))
        }
    }
}

fn needed(message: String) -> Error {
    Error::new(Kind::Conflict, "snapshot.needed", message)
        .hint("the data would change under it; flatten or remove it first, or keep the snapshot")
}

/// An image in the same directory that stands on this one, and is not known.
fn stranger_above(host: &Host, image: &Path, own: &BTreeSet<PathBuf>) -> Result<Option<PathBuf>, Error> {
    let directory = image.parent().unwrap_or(image);
    if directory.starts_with("/dev") {
        return Ok(None);
    }
    let roots = host.roots();
    let failed = |error| {
        let message = format!("what else is in '{}' cannot be read", directory.display());
        Error::new(Kind::Host, "image.directory", message).caused_by(error)
    };
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let other = entry.map_err(failed)?.path();
        if own.iter().any(|own| is_same_file(own, &other)) {
            continue;
        }
        // What is no image stands on nothing.
        let Ok(facts) = inspect_header(&other, None, &roots) else { continue };
        let backing = facts.header.backing.iter().map(|record| &record.name);
        let mut named = backing.chain(facts.header.data_file.iter().map(|record| &record.name));
        if named.any(|name| is_same_file(&other.with_file_name(name), image)) {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// Refuses to forget a domain with snapshots.
///
/// # Errors
/// [`Kind::Conflict`].
pub(crate) fn require_no_snapshots(host: &Host, definition: &Definition) -> Result<(), Error> {
    let tree = host.state().snapshots(definition.uuid)?;
    let Some(first) = tree.snapshots.first() else { return Ok(()) };
    let name = &definition.name;
    let message = format!("'{name}' has {} snapshots, '{}' among them", tree.snapshots.len(), first.name);
    Err(Error::new(Kind::Conflict, "domain.has-snapshots", message)
        .about("domain", name)
        .hint_command("see them", command("snapshot list", name))
        .hint_command(
            "or forget it with what is known of them; their images stay",
            format!("{} --snapshots", command("undefine", name)),
        ))
}
