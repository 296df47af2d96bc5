//! Images that `qemu-img` cannot make, from the descriptions of their formats: the least that can be opened.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Where the windows of the samples begin.
const SLICE_OFFSET: u64 = 1 << 20;

/// A directory with a file in it.
pub(super) fn directory(home: &Path) -> io::Result<()> {
    fs::create_dir(home.join("tree"))?;
    fs::write(home.join("tree/hello.txt"), "hello\n")
}

/// The image `inner`, in a window of `a`.
pub(super) fn sliced_qcow2(home: &Path) -> io::Result<()> {
    slice(home)
}

/// As [`sliced_qcow2`].
pub(super) fn sliced_luks(home: &Path) -> io::Result<()> {
    slice(home)
}

fn slice(home: &Path) -> io::Result<()> {
    let inner = fs::read(home.join("inner"))?;
    File::options().write(true).open(home.join("a"))?.write_all_at(&inner, SLICE_OFFSET)?;
    fs::remove_file(home.join("inner"))
}

/// A growing redo log of 64 KiB of which nothing is written yet.
pub(super) fn bochs(home: &Path) -> io::Result<()> {
    const SECTOR: u32 = 512;
    const EXTENT: u32 = 65_536;
    let mut image = vec![0_u8; 512];
    let mut put = |offset: usize, bytes: &[u8]| {
        if let Some(place) = image.get_mut(offset..offset + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    put(0, b"Bochs Virtual HD Image");
    put(32, b"Redolog");
    put(48, b"Growing");
    // Version, size of the header, entries of the catalog, bytes of a bitmap, bytes of an extent.
    for (place, value) in [0x0002_0000_u32, SECTOR, 1, SECTOR, EXTENT].iter().enumerate() {
        put(64 + 4 * place, &value.to_le_bytes());
    }
    put(88, &u64::from(EXTENT).to_le_bytes());
    // The only extent is not allocated.
    image.extend([0xff; 4]);
    image.resize(2 * 512, 0);
    fs::write(home.join("a"), image)
}

/// One block, said to be compressed, of an image that nobody reads.
pub(super) fn cloop(home: &Path) -> io::Result<()> {
    const BLOCK: u32 = 65_536;
    const COMPRESSED: u64 = 512;
    let mut file = File::create(home.join("a"))?;
    let mut preamble =
        b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n".to_vec();
    preamble.resize(128, 0);
    file.write_all(&preamble)?;
    file.write_all(&BLOCK.to_be_bytes())?;
    file.write_all(&1_u32.to_be_bytes())?;
    let first = 128 + 8 + 2 * 8_u64;
    file.write_all(&first.to_be_bytes())?;
    file.write_all(&(first + COMPRESSED).to_be_bytes())?;
    file.write_all(&[0; 512])
}

/// Eight sectors of zeroes, described in a property list at the end.
pub(super) fn dmg(home: &Path) -> io::Result<()> {
    const TRAILER: usize = 512;
    let mut table = vec![0_u8; 204];
    write_at(&mut table, 0, b"mish");
    write_at(&mut table, 4, &1_u32.to_be_bytes());
    write_at(&mut table, 16, &8_u64.to_be_bytes());
    write_at(&mut table, 200, &2_u32.to_be_bytes());
    // Zeroes for the eight sectors, then the end; both entries of 40 bytes.
    let entry = |kind: u32, first: u64, count: u64| {
        let mut entry = vec![0_u8; 40];
        write_at(&mut entry, 0, &kind.to_be_bytes());
        write_at(&mut entry, 8, &first.to_be_bytes());
        write_at(&mut entry, 16, &count.to_be_bytes());
        entry
    };
    table.extend(entry(2, 0, 8));
    table.extend(entry(0xffff_ffff, 8, 0));
    let list = format!(
        "<?xml version=\"1.0\"?><plist><dict><key>resource-fork</key><dict><key>blkx</key><array><dict><key>Data</key>\
         <data>{}</data></dict></array></dict></dict></plist>",
        base64(&table)
    );
    let mut trailer = vec![0_u8; TRAILER];
    write_at(&mut trailer, 0, b"koly");
    write_at(&mut trailer, 4, &4_u32.to_be_bytes());
    write_at(&mut trailer, 8, &512_u32.to_be_bytes());
    // Where the list is; what it describes begins at 0 and has no bytes.
    let length = u64::try_from(list.len()).unwrap_or(u64::MAX);
    write_at(&mut trailer, 0xd8, &512_u64.to_be_bytes());
    write_at(&mut trailer, 0xe0, &length.to_be_bytes());
    write_at(&mut trailer, 0x1ec, &8_u64.to_be_bytes());
    let mut image = vec![0_u8; 512];
    image.extend(list.into_bytes());
    image.extend(trailer);
    fs::write(home.join("a"), image)
}

fn write_at(bytes: &mut [u8], offset: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(offset..offset + value.len()) {
        place.copy_from_slice(value);
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let index = usize::try_from(word >> (18 - 6 * place) & 63).unwrap_or(0);
            let letter = LETTERS.get(index).copied().map_or('=', char::from);
            text.push(if place <= chunk.len() { letter } else { '=' });
        }
    }
    text
}
