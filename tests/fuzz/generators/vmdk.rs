//! VMDK: descriptors line by line, alone or in a sparse extent.

use arbitrary::Arbitrary;

use super::pieces::{Harm, Pieces};

/// Words that a descriptor is made of.
const KEYS: [&str; 8] = [
    "version",
    "CID",
    "parentCID",
    "createType",
    "parentFileNameHint",
    "createtype",
    "ddb.comment",
    "encoding",
];
const VALUES: [&str; 8] =
    ["1", "ffffffff", "12345678", "monolithicSparse", "monolithicFlat", "streamOptimized", "/etc/passwd", ""];
const ACCESSES: [&str; 4] = ["RW", "RDONLY", "NOACCESS", "rw"];
const KINDS: [&str; 6] = ["SPARSE", "FLAT", "ZERO", "VMFS", "SESPARSE", "OTHER"];
const NAMES: [&str; 4] = ["disk.vmdk", "/etc/passwd", "json:{}", "createType=\\"];

/// An image as the fuzzer makes it.
#[derive(Debug, Arbitrary)]
pub struct VmdkCase<'a> {
    container: Container,
    lines: Vec<Line<'a>>,
    /// Lines without which no descriptor is one.
    sound: bool,
    harm: Harm,
}

#[derive(Debug, Arbitrary)]
enum Container {
    Text,
    Sparse,
    Stream,
    /// An extent without a capacity, which is nothing but its descriptor.
    Empty,
}

#[derive(Debug, Arbitrary)]
enum Line<'a> {
    Key { key: u8, value: u8, spaced: bool, quoted: bool },
    Extent { access: u8, kind: u8, sectors: u32, name: u8, offset: Option<u8> },
    Comment(u8),
    Text(&'a str),
}

impl Line<'_> {
    fn text(&self) -> String {
        let word = |words: &[&'static str], index: u8| words[usize::from(index) % words.len()];
        match self {
            Self::Key { key, value, spaced, quoted } => {
                let (gap, quote) = (if *spaced { " " } else { "" }, if *quoted { "\"" } else { "" });
                format!("{}{gap}={gap}{quote}{}{quote}", word(&KEYS, *key), word(&VALUES, *value))
            }
            Self::Extent { access, kind, sectors, name, offset } => {
                let (access, kind, name) =
                    (word(&ACCESSES, *access), word(&KINDS, *kind), word(&NAMES, *name));
                let offset = offset.map_or(String::new(), |offset| format!(" {offset}"));
                let name = if kind == "ZERO" { String::new() } else { format!(" \"{name}\"") };
                format!("{access} {sectors} {kind}{name}{offset}")
            }
            Self::Comment(key) => format!("# {}=\"x\"", word(&KEYS, *key)),
            Self::Text(text) => (*text).to_owned(),
        }
    }
}

impl VmdkCase<'_> {
    /// The image.
    #[must_use]
    pub fn image(&self) -> Pieces {
        let mut text = "# Disk DescriptorFile\n".to_owned();
        if self.sound {
            text.push_str(
                "version=1\nparentCID=ffffffff\ncreateType=\"monolithicSparse\"\nRW 2048 SPARSE \"d\"\n",
            );
        }
        for line in &self.lines {
            text.push_str(&line.text());
            text.push('\n');
        }
        let image = match self.container {
            Container::Text => Pieces::from(text.as_bytes()),
            Container::Sparse => sparse(&text, 2048),
            Container::Empty => sparse(&text, 0),
            Container::Stream => stream(&text),
        };
        image.harmed(&self.harm)
    }
}

/// 1 MiB in grains of 64 KiB, none of which is there.
#[must_use]
pub fn sparse(text: &str, capacity: u64) -> Pieces {
    let text = &text.as_bytes()[..text.len().min(20 * 512)];
    let pieces = Pieces::new(64 << 10).piece(0, 128).piece(512, text.len()).put(512, text);
    let pieces = pieces.piece(21 * 512, 4).put(21 * 512, &[22]).piece(26 * 512, 4).put(26 * 512, &[27]);
    let pieces = header(pieces, 0, 3, capacity).put(48, &[21]).put(56, &[26]);
    pieces.piece(27 * 512, 2048)
}

fn stream(text: &str) -> Pieces {
    let text = &text.as_bytes()[..text.len().min(20 * 512)];
    let end = 64 << 10;
    let pieces = Pieces::new(end + 1536).piece(0, 128).piece(512, text.len()).put(512, text);
    let pieces = header(pieces, 0, 0x3_0001, 2048).put(56, &[0xff; 8]).put(77, &[1]);
    let pieces = pieces.piece(end, 1536).put(end + 12, &[3]);
    header(pieces, end + 512, 0x3_0001, 2048).put(end + 512 + 56, &[26]).put(end + 512 + 77, &[1])
}

fn header(pieces: Pieces, at: u64, flags: u32, capacity: u64) -> Pieces {
    let pieces =
        pieces.put(at, b"KDMV\x01").put(at + 8, &flags.to_le_bytes()).put(at + 12, &capacity.to_le_bytes());
    let pieces = pieces.put(at + 20, &[128]).put(at + 28, &[1]).put(at + 36, &[20]).put(at + 44, &[0, 2]);
    pieces.put(at + 73, b"\n \r\n")
}
