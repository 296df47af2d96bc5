//! Guests with a virtiofs filesystem, which stay where they are: what its server knows of files that are open, and QEMU of the
//! filesystem, goes into no stream. QEMU says so as well, but only after the guest was stopped.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::domain::filesystem::FilesystemDriver;
use hostler_sdk::{Domain, Error, ProblemExt, problem};

/// Refuses to write a guest out that has one.
///
/// # Errors
/// `unsupported`, naming the filesystem and what cannot be done.
pub(super) fn refuse(domain: &Domain, done: &str) -> Result<(), Error> {
    refuse_document(&Document::parse(&domain.config())?, done)
}

fn refuse_document(document: &Document, done: &str) -> Result<(), Error> {
    let filesystems = &document.devices.filesystems;
    let is_virtiofs = |driver: Option<FilesystemDriver>| driver == Some(FilesystemDriver::Virtiofs);
    let Some(filesystem) = filesystems.iter().find(|filesystem| is_virtiofs(filesystem.driver)) else {
        return Ok(());
    };
    let text = document.document();
    let position = text.position(filesystem.node);
    let message = format!(
        "a guest with a virtiofs filesystem ('{}') cannot be {done}: QEMU has no way to write down what its server knows",
        filesystem.target
    );
    Err(problem("qemu.virtiofs-state", message)
        .hint("the guest goes on; switch it off instead, or keep its disks alone (hostler snapshot create --disk-only)")
        .detail("line", position.line.to_string())
        .detail("column", position.column.to_string())
        .detail("element", text.path(filesystem.node))
        .unsupported())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(devices: &str) -> Result<(), Error> {
        let xml = format!(
            "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os><devices>{devices}</devices></domain>"
        );
        refuse_document(&Document::parse(&xml).unwrap(), "saved")
    }

    #[test]
    fn guest_with_virtiofs_is_not_written_out_and_others_are() {
        let share =
            "<filesystem><driver type='virtiofs'/><source dir='/a'/><target dir='home'/></filesystem>";
        let Err(Error::Unsupported(problem)) = refused(share) else { panic!("not refused") };
        assert_eq!(problem.code, "qemu.virtiofs-state");
        assert!(
            problem.message.contains("'home'") && problem.message.contains("saved"),
            "{}",
            problem.message
        );
        assert!(refused("<filesystem><source dir='/a'/><target dir='a'/></filesystem>").is_ok());
        assert!(refused("").is_ok());
    }
}
