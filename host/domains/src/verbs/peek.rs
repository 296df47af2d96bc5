//! A few bytes of a guest's memory or of its disks, for whoever looks into it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use hostler_domain::Domain;
use hostler_runtime::{DomainContext, Transfer, open_chain};
use object::elf::PT_LOAD;
use object::read::elf::{ElfFile, ElfFile32, ElfFile64, FileHeader, ProgramHeader as _};
use object::{Endianness, FileKind};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use crate::context::Purpose;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::process;
use crate::reference::DomainRef;

/// Most that is looked at, in bytes: what a client of libvirt may ask for (`REMOTE_DOMAIN_MEMORY_PEEK_BUFFER_MAX`).
pub(crate) const PEEK_MAX_BYTES: u32 = 4 << 20;
/// Room for what a dump has beside the memory, in bytes: headers, and the registers of up to some hundred processors.
const AROUND_BYTES: u64 = 1 << 20;

impl Host {
    /// The bytes at this place of a guest's memory, as its machine counts it. The guest stands still meanwhile.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for more than 4 MiB, none, or a place where there is no memory; [`Kind::Conflict`] when the
    /// domain does not run; [`Kind::Unsupported`] when its driver writes no dumps; what the hypervisor says.
    pub async fn peek(&self, wanted: &DomainRef, begin: u64, bytes: u32) -> Result<Vec<u8>, Error> {
        let end = begin.checked_add(u64::from(bytes)).filter(|_| (1..=PEEK_MAX_BYTES).contains(&bytes));
        let Some(end) = end else {
            let message = format!("{bytes} bytes at {begin} cannot be looked at: 1 to {PEEK_MAX_BYTES} can");
            return Err(Error::new(Kind::Invalid, "memory.range", message));
        };
        let definition = self.active(wanted).await?;
        let driver = self.with_ability(&definition, "dump")?;
        let size = u64::from(bytes) + AROUND_BYTES;
        let (file, output) = sealed(size).map_err(unread)?;
        let context = DomainContext {
            transfer: Some(Transfer::Output(Arc::new(output), "a look at memory".into())),
            ..self.context(&definition, Purpose::Operate)?
        };
        let range = [("begin", begin), ("length", u64::from(bytes))];
        let options = range.map(|(key, number)| (key.to_owned(), number.to_string()));
        driver.dump(&context, "elf", &options).await?;
        let mut dump = vec![0; usize::try_from(size).unwrap_or_default()];
        file.read_exact_at(&mut dump, 0).map_err(unread)?;
        within(&dump, begin..end).ok_or_else(|| {
            let message = format!("the guest of '{}' has no memory at {begin} to {end}", definition.name);
            Error::new(Kind::Invalid, "memory.none", message).about("domain", &definition.name)
        })
    }
}

impl Host {
    /// The bytes at this place of a plain disk, which are those that its guest sees there.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for a disk that there is not; [`Kind::Unsupported`] for one whose image is not raw; [`Kind::Invalid`]
    /// for more than 4 MiB, or a place behind its end; what opening and reading say.
    pub async fn peek_disk(
        &self,
        wanted: &DomainRef,
        target: &str,
        (offset, bytes): (u64, u32),
    ) -> Result<Vec<u8>, Error> {
        let definition = self.find(wanted)?;
        let range = |what: String| Error::new(Kind::Invalid, "disk.range", what);
        if bytes > PEEK_MAX_BYTES {
            return Err(range(format!("a look has at most {PEEK_MAX_BYTES} bytes, not {bytes}")));
        }
        let document = Domain::parse(&self.shown_xml(&definition))?;
        let disk =
            document.devices.disks.iter().find(|disk| disk.target.as_str() == target).ok_or_else(|| {
                let message = format!("'{}' has no disk '{target}'", definition.name);
                Error::new(Kind::NotFound, "block.no-disk", message)
            })?;
        let volumes = self.context(&definition, Purpose::Describe)?.volumes;
        let chain = open_chain(disk, &self.roots(), &volumes)?;
        let Some(layer) = chain.layers().first().filter(|layer| layer.format == "raw") else {
            let message =
                format!("peeking is only supported for disk with 'raw' format, which '{target}' is not");
            return Err(Error::new(Kind::Unsupported, "disk.format", message));
        };
        let Some(file) = chain.descriptors(0, false)?.into_iter().next().map(File::from) else {
            return Err(Error::new(Kind::NotFound, "block.no-layer", "the drive is empty"));
        };
        let path = layer.path.display().to_string();
        let read = process::blocking(move || {
            let mut content = vec![0; usize::try_from(bytes).unwrap_or_default()];
            file.read_exact_at(&mut content, offset).map(|()| content)
        });
        read.await?.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => range(format!("'{target}' has no {bytes} bytes at {offset}")),
            _ => Error::new(Kind::Host, "disk.unread", format!("cannot read '{path}'")).caused_by(error),
        })
    }
}

/// A file in memory that whoever writes to it cannot make larger, and the same file for somebody who can only write.
fn sealed(bytes: u64) -> io::Result<(File, OwnedFd)> {
    let file = memfd_create(c"hostler-peek", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&file, bytes)?;
    fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK)?;
    let again = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok((File::from(file), File::options().write(true).open(again)?.into()))
}

fn unread(error: io::Error) -> Error {
    Error::new(Kind::Host, "memory.unread", "cannot look at the guest's memory").caused_by(error)
}

/// The bytes of a range of memory in a dump, if all of them are there. Untrusted: a driver has had it written.
fn within(dump: &[u8], range: Range<u64>) -> Option<Vec<u8>> {
    match FileKind::parse(dump).ok()? {
        FileKind::Elf32 => copied(&ElfFile32::<Endianness>::parse(dump).ok()?, dump, range),
        FileKind::Elf64 => copied(&ElfFile64::<Endianness>::parse(dump).ok()?, dump, range),
        _ => None,
    }
}

fn copied<'a, E: FileHeader<Endian = Endianness>>(
    dump: &ElfFile<'a, E>,
    bytes: &'a [u8],
    range: Range<u64>,
) -> Option<Vec<u8>> {
    let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
    let (mut found, mut missing) = (vec![0; length], length);
    for piece in dump.elf_program_headers() {
        let endian = dump.endian();
        if piece.p_type(endian) != PT_LOAD {
            continue;
        }
        let (memory, content): (u64, _) = (piece.p_paddr(endian).into(), piece.data(endian, bytes).ok()?);
        let ends = memory.checked_add(u64::try_from(content.len()).ok()?)?;
        let (from, to) = (memory.max(range.start), ends.min(range.end));
        if from >= to {
            continue;
        }
        let at = |place: u64, start: u64| usize::try_from(place.checked_sub(start)?).ok();
        let content = content.get(at(from, memory)?..at(to, memory)?)?;
        found.get_mut(at(from, range.start)?..at(to, range.start)?)?.copy_from_slice(content);
        // Pieces of a dump do not overlap: one whose pieces do has more than there is.
        missing = missing.checked_sub(content.len())?;
    }
    (missing == 0).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A dump of 64 bits with pieces of memory, by where they are in it.
    fn dump(pieces: &[(u64, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
        bytes.resize(16, 0);
        let count = u16::try_from(pieces.len()).unwrap();
        for word in [4_u16, 62] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(1_u32.to_le_bytes());
        for word in [0_u64, 64, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(0_u32.to_le_bytes());
        for word in [64_u16, 56, count, 0, 0, 0] {
            bytes.extend(word.to_le_bytes());
        }
        let mut offset = 64 + 56 * pieces.len() as u64;
        for (place, content) in pieces {
            let size = content.len() as u64;
            bytes.extend(1_u32.to_le_bytes());
            bytes.extend(0_u32.to_le_bytes());
            for word in [offset, 0, *place, size, size, 0] {
                bytes.extend(word.to_le_bytes());
            }
            offset += size;
        }
        pieces.iter().for_each(|(_, content)| bytes.extend_from_slice(content));
        bytes
    }

    #[test]
    fn range_is_put_together_from_pieces_and_what_is_missing_is_seen() {
        let dump = dump(&[(0x1000, b"abcd"), (0x1004, b"efgh")]);
        assert_eq!(within(&dump, 0x1002..0x1006).unwrap(), b"cdef");
        assert_eq!(within(&dump, 0x1000..0x1008).unwrap(), b"abcdefgh");
        assert_eq!(within(&dump, 0x0fff..0x1002), None);
        assert_eq!(within(&dump, 0x1006..0x1009), None);
        assert_eq!(within(b"no dump at all", 0..1), None);
    }

    #[test]
    fn pieces_that_overlap_are_no_dump() {
        assert_eq!(within(&dump(&[(0, b"abcd"), (2, b"cdef"), (0, b"abcd")]), 0..6), None);
        assert_eq!(within(&dump(&[(u64::MAX - 1, b"abcd")]), 0..2), None);
    }

    proptest! {
        #[test]
        fn hostile_dumps_are_refused_or_give_what_was_asked_for(
            bytes in prop::collection::vec(any::<u8>(), 0..256), at in 0..256_usize, byte in any::<u8>()
        ) {
            within(&bytes, 0..16);
            let mut damaged = dump(&[(0, b"abcdefgh"), (8, b"ijklmnop")]);
            let at = at % damaged.len();
            damaged[at] = byte;
            if let Some(found) = within(&damaged, 4..12) {
                prop_assert_eq!(found.len(), 8);
            }
        }
    }

    #[test]
    fn hypervisor_cannot_make_the_file_larger() {
        use std::io::Write as _;
        let (file, output) = sealed(4).unwrap();
        let mut output = File::from(output);
        output.write_all(b"abcd").unwrap();
        assert!(output.write_all(b"e").is_err());
        assert_eq!(file.metadata().unwrap().len(), 4);
    }
}
