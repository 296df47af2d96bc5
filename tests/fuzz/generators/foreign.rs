//! Images of other programs' formats: sound, with right checksums, but for what a case breaks on purpose.

use super::pieces::Pieces;

const MIB: u64 = 1 << 20;

/// A VHD of 1 MiB: growing, differing from a parent, or of fixed size.
#[must_use]
pub fn vhd(variant: u8) -> Pieces {
    match variant % 3 {
        2 => footer(Pieces::new(MIB + 512).piece(MIB, 512), MIB, 2),
        kind => {
            let pieces = Pieces::new(2560).piece(0, 2560);
            let pieces = footer(footer(pieces, 0, 3 + kind), 2048, 3 + kind);
            let pieces = pieces.put(512, b"cxsparse").put(528, &1536_u64.to_be_bytes());
            let pieces = pieces.put(536, &0x1_0000_u32.to_be_bytes()).put(540, &1_u32.to_be_bytes());
            let pieces = pieces.put(544, &(2_u32 << 20).to_be_bytes()).put(1536, &[0xff; 512]);
            pieces.put(576, b"\0b\0a\0s\0e").summed(512..1536, 548, inverted)
        }
    }
}

fn footer(pieces: Pieces, at: u64, kind: u8) -> Pieces {
    let pieces = pieces.put(at, b"conectix").put(at + 12, &[0, 1, 0, 0]).put(at + 16, &512_u64.to_be_bytes());
    let pieces = pieces.put(at + 28, b"win ").put(at + 48, &MIB.to_be_bytes());
    let pieces = pieces.put(at + 56, &[0, 30, 4, 17]).put(at + 60, &[0, 0, 0, kind]);
    pieces.summed(at..at + 512, at + 64, inverted)
}

fn inverted(bytes: &[u8]) -> [u8; 4] {
    (!bytes.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)))).to_be_bytes()
}

/// A VHDX of 8 MiB, with a parent in every other case.
#[must_use]
pub fn vhdx(variant: u8) -> Pieces {
    let mut pieces = Pieces::new(5 * MIB).piece(0, 8).put(0, b"vhdxfile");
    for (at, number) in [(64 << 10, 1_u64), (128 << 10, 2)] {
        pieces = pieces.piece(at, 4096).put(at, b"head").put(at + 8, &number.to_le_bytes());
        pieces = pieces
            .put(at + 66, &[1])
            .put(at + 68, &(1_u32 << 20).to_le_bytes())
            .put(at + 72, &MIB.to_le_bytes());
        pieces = pieces.summed(at..at + 4096, at + 4, crc32c);
    }
    for at in [192 << 10, 256 << 10] {
        pieces = pieces.piece(at, 64 << 10).put(at, b"regi").put(at + 8, &[2]);
        for (entry, id, place) in [(at + 16, BLOCKS, 3 * MIB), (at + 48, METADATA, 2 * MIB)] {
            pieces = pieces.put(entry, id).put(entry + 16, &place.to_le_bytes());
            pieces = pieces.put(entry + 24, &(1_u32 << 20).to_le_bytes()).put(entry + 28, &[1]);
        }
        pieces = pieces.summed(at..at + (64 << 10), at + 4, crc32c);
    }
    let parent = variant % 2 == 1;
    pieces = pieces
        .piece(2 * MIB, 32 + 5 * 32)
        .put(2 * MIB, b"metadata")
        .put(2 * MIB + 10, &[4 + u8::from(parent)]);
    pieces = pieces.piece(2 * MIB + (64 << 10), 256).piece(3 * MIB, 64);
    let items: [(&[u8], u64, u8); 5] = [
        (
            b"\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b",
            1 << 20 | u64::from(parent) << 33,
            8,
        ),
        (b"\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8", 8 << 20, 8),
        (b"\x1d\xbf\x41\x81\x6f\xa9\x09\x47\xba\x47\xf2\x33\xa8\xfa\xab\x5f", 512, 4),
        (b"\xc7\x48\xa3\xcd\x5d\x44\x71\x44\x9c\xc9\xe9\x88\x52\x51\xc5\x56", 4096, 4),
        (b"\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c", 0, 128),
    ];
    for (entry, (id, value, length)) in (2 * MIB + 32..).step_by(32).zip(items) {
        let offset = (64 << 10) + (entry - 2 * MIB - 32) / 4;
        pieces =
            pieces.put(entry, id).put(entry + 16, &u32::try_from(offset).expect("it fits").to_le_bytes());
        pieces = pieces.put(entry + 20, &[length]).put(2 * MIB + offset, &value.to_le_bytes());
    }
    // One name in the locator of the parent.
    let locator = 2 * MIB + (64 << 10) + 32;
    let name: Vec<u8> = "relative_pathb".bytes().flat_map(|byte| [byte, 0]).collect();
    pieces
        .put(locator + 18, &[1])
        .put(locator + 20, &[40, 0, 0, 0, 66, 0, 0, 0, 26, 0, 2, 0])
        .put(locator + 40, &name)
}

const BLOCKS: &[u8] = b"\x66\x77\xc2\x2d\x23\xf6\x00\x42\x9d\x64\x11\x5e\x9b\xfd\x4a\x08";
const METADATA: &[u8] = b"\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e";

fn crc32c(bytes: &[u8]) -> [u8; 4] {
    let step = |sum: u32, _| if sum & 1 == 1 { sum >> 1 ^ 0x82F6_3B78 } else { sum >> 1 };
    let table: Vec<u32> = (0..256).map(|byte| (0..8).fold(byte, step)).collect();
    let add = |sum: u32, byte: &u8| sum >> 8 ^ table[usize::from(sum.to_le_bytes()[0] ^ byte)];
    (!bytes.iter().fold(u32::MAX, add)).to_le_bytes()
}

/// A VDI of 2 MiB, growing or static, whose second block is there.
#[must_use]
pub fn vdi(variant: u8) -> Pieces {
    let numbers = [
        (64, 0xBEDA_107F),
        (68, 0x1_0001),
        (72, 400),
        (76, u32::from(variant % 4) + 1),
        (340, 512),
        (344, 1024),
    ];
    let more = [(360, 512), (368, 2 << 20), (376, 1 << 20), (384, 2), (388, 1), (512, u32::MAX)];
    little(Pieces::new(1024 + MIB).piece(0, 520), &[&numbers[..], &more].concat())
}

/// The formats that are read only or seldom: Parallels, Bochs, cloop, DMG.
#[must_use]
pub fn seldom(variant: u8) -> Pieces {
    let pieces = Pieces::new(8192).piece(0, 512).piece(8192 - 512, 512);
    match variant % 4 {
        0 => little(pieces.put(0, b"WithouFreSpacExt"), &[(16, 2), (28, 2048), (32, 1), (36, 2048)]),
        1 => {
            let pieces = pieces.put(0, b"Bochs Virtual HD Image").put(32, b"Redolog").put(48, b"Growing");
            little(pieces, &[(64, 0x2_0000), (68, 512), (72, 2), (80, 512 << 10), (88, 1 << 20)])
        }
        2 => pieces.put(0, b"#!/bin/sh\n#V2.0 Format\n").put(128, &[0, 1, 0, 0, 0, 0, 0, 16]),
        _ => {
            let at = 8192 - 512;
            pieces.put(at, b"koly\0\0\0\x04").put(at + 32, &4096_u64.to_be_bytes()).put(at + 498, &[8, 0])
        }
    }
}

fn little(pieces: Pieces, numbers: &[(u64, u32)]) -> Pieces {
    numbers.iter().fold(pieces, |pieces, (at, number)| pieces.put(*at, &number.to_le_bytes()))
}
