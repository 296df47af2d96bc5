//! What QEMU says of a passphrase that opens nothing, in words that name the disk.

use hostler_sdk::{Error, Launch, ProblemExt, Symbol, Value, problem};

use super::displays::says;

/// QEMU's words for it.
const WORDS: &str = "Invalid password";

/// A launch that failed: if for a passphrase, it is said of which disk.
pub(super) fn of_launch(error: Error, launch: &Launch) -> Error {
    let told = match &error {
        Error::Hypervisor(told) if says(told, WORDS) => told,
        _ => return error,
    };
    let objects = launch.options.iter().filter_map(|(_, value)| value.as_ref());
    let meant = objects.filter_map(secret).find(|(id, _)| says(told, id));
    match meant {
        Some((_, disk)) => wrong(disk),
        None => error,
    }
}

/// A command for a disk that failed.
pub(super) fn of_disk(error: Error, disk: &str) -> Error {
    match &error {
        Error::Hypervisor(told) if says(told, WORDS) => wrong(disk),
        _ => error,
    }
}

/// The id of an object with a passphrase, and its disk.
fn secret(object: &Value) -> Option<(&str, &str)> {
    match (object.get("id")?, object.get("file")?) {
        (Value::Text(id), Value::Handle(Symbol::DiskSecret { disk, .. })) => Some((id, disk)),
        _ => None,
    }
}

fn wrong(disk: &str) -> Error {
    problem("qemu.passphrase", format!("the passphrase of disk '{disk}' does not open its image"))
        .hint("name the secret that the image was encrypted with, or give it the right value: hostler secret set")
        .detail("disk", disk)
        .invalid()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &str) -> Error {
        problem("launch.hypervisor-failed", "it ended").hint(words).hypervisor()
    }

    #[test]
    fn only_a_passphrase_that_opens_nothing_is_told_of_its_disk() {
        let mut launch = Launch::new("t");
        for (number, disk) in [(1, "vdb"), (2, "vda")] {
            let file = Symbol::DiskSecret { disk: disk.to_owned(), layer: 0 };
            let id = format!("libvirt-{number}-format-encryption-secret0");
            launch.option("object", Value::mapping().with("id", id).with("file", file));
        }
        let words = "-blockdev {\"key-secret\":\"libvirt-2-format-encryption-secret0\"}: Invalid password, cannot unlock";
        let Error::Invalid(problem) = of_launch(told(words), &launch) else { panic!("not told") };
        assert!(problem.code == "qemu.passphrase" && problem.message.contains("'vda'"), "{problem:?}");
        for other in ["Invalid password", "libvirt-2-format-encryption-secret0: No such file"] {
            assert!(matches!(of_launch(told(other), &launch), Error::Hypervisor(_)), "{other}");
        }
        assert!(matches!(of_disk(told("Invalid password"), "vdc"), Error::Invalid(_)));
        assert!(matches!(of_disk(told("no space"), "vdc"), Error::Hypervisor(_)));
    }
}
