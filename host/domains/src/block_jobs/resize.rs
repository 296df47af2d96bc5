//! Another size for a disk of a running guest.

use hostler_runtime::RunDocument;
use hostler_state::RunRecord;
use hostler_storage::Resize;
use serde::Serialize;

use super::lend;
use crate::context::Purpose;
use crate::encrypted::require_plain;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::DomainRef;

/// How a disk is resized.
#[derive(Clone, Copy, Debug)]
pub struct DiskResizeOptions {
    /// The size that is wanted.
    pub size: Resize,
    /// Whether it may become smaller; what lies behind the new end is lost.
    pub shrink: bool,
}

/// A disk that was resized.
#[derive(Clone, Debug, Serialize)]
pub struct DiskResized {
    /// The domain.
    pub domain: String,
    /// The target name of the disk.
    pub target: String,
    /// What the guest saw before, in bytes.
    pub before: u64,
    /// What it sees now, in bytes.
    pub bytes: u64,
}

impl Host {
    /// Gives a disk of a running guest another size; the guest is told.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the domain is off or the disk has a job; [`Kind::Invalid`] for a smaller size without leave;
    /// [`Kind::Unsupported`]; what the hypervisor says.
    pub async fn block_resize(
        &self,
        wanted: &DomainRef,
        target: &str,
        options: DiskResizeOptions,
    ) -> Result<DiskResized, Error> {
        let definition = self.active(wanted).await?;
        let driver = self.drivers.by_name(&definition.driver)?;
        self.require_no_job(&definition, target)?;
        let run = self.state().run_dir(definition.uuid);
        let document: Option<RunDocument> = run.read(RunRecord::Document)?;
        let document = document.ok_or_else(|| {
            Error::new(Kind::Conflict, "domain.no-document", "nothing tells what this guest was started with")
        })?;
        let chain = lend::opened(self, &document, target)?;
        let Some(active) = chain.layers().first() else {
            return Err(Error::new(Kind::NotFound, "block.no-layer", "the drive is empty"));
        };
        if active.format == "raw" {
            // In an encrypted file the guest's part is not all, and nobody has tried to have one grow.
            require_plain(&document.xml, target)?;
        }
        let before = active.virtual_size;
        let bytes = resized(before, options)?;
        let format = hostler_image::Format::from_xml_name(&active.format);
        if active.format == "raw" {
            // To have the file grow takes one more lock, which QEMU's own stale ones would be in the way of.
            self.freshen(&definition, &[target.to_owned()]).await?;
        }
        let charged =
            format.map(|format| self.charge_resize(&active.path, format, Resize::To(bytes))).transpose()?;
        let done = driver.resize_disk(&self.context(&definition, Purpose::Operate)?, target, bytes).await;
        if let Some(charged) = charged {
            self.close(charged, done.is_ok())?;
        }
        done?;
        Ok(DiskResized { domain: definition.name, target: target.to_owned(), before, bytes })
    }
}

/// The size in bytes: whole sectors, and not smaller without leave.
fn resized(before: u64, options: DiskResizeOptions) -> Result<u64, Error> {
    const SECTOR: u64 = 512;
    let bytes = match options.size {
        Resize::To(bytes) => Some(bytes),
        Resize::By(more) => before.checked_add(more),
        Resize::LessBy(less) => before.checked_sub(less),
    };
    let invalid = |code: &str, message: &str| Error::new(Kind::Invalid, code, message);
    let bytes = bytes.and_then(|bytes| bytes.checked_next_multiple_of(SECTOR)).filter(|bytes| *bytes > 0);
    let bytes = bytes.ok_or_else(|| invalid("block.size", "no disk has that size"))?;
    if bytes < before && !options.shrink {
        let message = format!("{bytes} bytes are less than the {before} that the disk has");
        return Err(invalid("block.shrink", &message)
            .hint("what lies behind the new end is lost; shrink the file systems in the guest first, then say --shrink"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_only_grow_without_leave_and_are_whole_sectors() {
        let size = |size, shrink| {
            resized(1 << 20, DiskResizeOptions { size, shrink }).map_err(|e| e.code().to_owned())
        };
        assert_eq!(size(Resize::By(1), false), Ok((1 << 20) + 512));
        assert_eq!(size(Resize::To(2 << 20), false), Ok(2 << 20));
        assert_eq!(size(Resize::To(512), false), Err("block.shrink".to_owned()));
        assert_eq!(size(Resize::To(512), true), Ok(512));
        assert_eq!(size(Resize::LessBy(2 << 20), true), Err("block.size".to_owned()));
        assert_eq!(size(Resize::By(u64::MAX), false), Err("block.size".to_owned()));
    }
}
