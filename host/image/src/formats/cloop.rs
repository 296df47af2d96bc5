//! Compressed loop images: a shell script that mounts itself, then compressed blocks. Read only.

use super::{Header, not_of_format};
use crate::error::{ErrorKind, ImageError};
use crate::windows::{Halt, Windows, malformed};

const MAGIC: &[u8] = b"#!/bin/sh\n#V2.0 Format\n";
const OFFSET_BLOCK: u64 = 128;
const OFFSET_BLOCKS: u64 = 132;
const OFFSET_TABLE: u64 = 136;
const ENTRY_BYTES: u64 = 8;

const SECTOR: u32 = 512;
/// What QEMU accepts: blocks of up to 64 MiB, a table of up to 512 MiB.
const MAX_BLOCK: u32 = 64 << 20;
const MAX_TABLE_BYTES: u64 = 512 << 20;

pub(super) fn parse(image: &Windows) -> Result<Header, Halt> {
    if image.bytes(0, MAGIC.len())? != MAGIC {
        return Err(not_of_format("cloop", 0));
    }
    let (block, blocks) = (image.u32_be(OFFSET_BLOCK)?, u64::from(image.u32_be(OFFSET_BLOCKS)?));
    if block == 0 || block > MAX_BLOCK || !block.is_multiple_of(SECTOR) {
        let message = format!("a block has {block} bytes, allowed are whole sectors up to {MAX_BLOCK}");
        return Err(malformed(OFFSET_BLOCK, message));
    }
    // One entry more than blocks says where the last one ends.
    let table = blocks.saturating_add(1) * ENTRY_BYTES;
    if blocks == 0 || table > MAX_TABLE_BYTES {
        return Err(malformed(OFFSET_BLOCKS, format!("it has {blocks} blocks, which no image has")));
    }
    let end = OFFSET_TABLE.saturating_add(table);
    if end > image.length() {
        let message = format!("the table of blocks ends at byte {end}, behind the end of the image");
        return Err(ImageError::new(ErrorKind::Truncated, message).at(OFFSET_BLOCKS).into());
    }
    Ok(Header { cluster_size: Some(u64::from(block)), ..Header::of_size(blocks * u64::from(block)) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::Format;
    use crate::sample::{self, Bytes};
    use crate::windows::READ_BUDGET;

    fn sample() -> Bytes {
        Bytes::zeros(4096).put(0, MAGIC).be32(128, 65_536).be32(132, 16)
    }

    #[test]
    fn its_size_is_that_of_its_blocks() {
        let header = sample::inspect(Format::Cloop, &sample().0).0.unwrap();
        assert_eq!((header.virtual_size, header.cluster_size), (1 << 20, Some(65_536)));
    }

    #[test]
    fn every_field_is_checked() {
        for (what, image, kind) in [
            ("magic", sample().put(3, b"X"), ErrorKind::Malformed),
            ("block 0", sample().be32(128, 0), ErrorKind::Malformed),
            ("block odd", sample().be32(128, 1000), ErrorKind::Malformed),
            ("block", sample().be32(128, 1 << 31), ErrorKind::Malformed),
            ("no blocks", sample().be32(132, 0), ErrorKind::Malformed),
            ("blocks", sample().be32(132, u32::MAX), ErrorKind::Malformed),
            ("table behind the end", sample().be32(132, 1 << 20), ErrorKind::Truncated),
        ] {
            assert_eq!(sample::facts(Format::Cloop, &image).unwrap_err().kind(), kind, "{what}");
        }
    }

    proptest! {
        #[test]
        fn changed_headers_never_panic(block in any::<u32>(), blocks in any::<u32>(), cut in 0usize..4096) {
            let image = sample().be32(128, block).be32(132, blocks);
            for bytes in [&image.0[..], &image.0[..cut]] {
                prop_assert!(sample::inspect(Format::Cloop, bytes).1 <= READ_BUDGET);
            }
        }
    }
}
