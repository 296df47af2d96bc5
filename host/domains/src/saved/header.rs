//! The file that a guest is put away in: a header, the domain's document, and what the hypervisor wrote.
//!
//! The layout is that of libvirt's files (version 2), so that either reads what the other wrote: 16 bytes of magic, 19
//! words of 32 bits, the document up to a NUL, room for a longer one, and the hypervisor's own stream to the end.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;

/// What a whole file begins with.
const WHOLE: &[u8; 16] = b"LibvirtQemudSave";
/// What it begins with while it is being written.
const UNFINISHED: &[u8; 16] = b"LibvirtQemudPart";
/// The version of the layout.
const VERSION: u32 = 2;
/// The header, in bytes.
const HEADER_BYTES: usize = 92;
/// Room behind the document, in bytes, so that it can be edited in place.
const SLACK_BYTES: usize = 64 << 10;
/// The longest document with its room, in bytes.
const DATA_MAX_BYTES: u32 = 16 << 20;
/// Programs that the stream can have gone through, by number; 0 is none.
const COMPRESSIONS: [&str; 6] = ["none", "gzip", "bzip2", "xz", "lzop", "zstd"];

/// What a file says about the guest in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedHeader {
    /// The domain's document, as it ran.
    pub xml: String,
    /// Whether its processors ran.
    pub running: bool,
    /// Where the hypervisor's stream begins, in bytes from the beginning of the file.
    pub stream_begins: u64,
}

/// Why a file is not a saved guest that can be brought back.
#[derive(Debug)]
#[non_exhaustive]
pub enum HeaderError {
    /// It is something else.
    Foreign,
    /// Whoever wrote it never finished.
    Unfinished,
    /// It is newer, or of a kind that is not read here.
    Unsupported(String),
    /// It contradicts itself, or ends early.
    Damaged(String),
    /// The operating system failed.
    Io(io::Error),
}

/// Begins a file: everything before the stream, marked as unfinished. The file stands where the stream begins then.
///
/// # Errors
/// A document that is too long, as `InvalidInput`; what the operating system says.
pub(crate) fn begin(file: &mut File, xml: &str, running: bool) -> io::Result<u64> {
    let length = xml.len() + 1 + SLACK_BYTES;
    let too_long =
        || io::Error::new(io::ErrorKind::InvalidInput, "the document is too long for a saved guest");
    let data = u32::try_from(length).ok().filter(|length| *length <= DATA_MAX_BYTES).ok_or_else(too_long)?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + length);
    bytes.extend_from_slice(UNFINISHED);
    for word in [VERSION, data, u32::from(running), 0, 0] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.resize(HEADER_BYTES, 0);
    bytes.extend_from_slice(xml.as_bytes());
    bytes.resize(HEADER_BYTES + length, 0);
    file.write_all(&bytes)?;
    file.stream_position()
}

/// Makes a file whole: its stream first, and only then the mark; durable when this returns.
///
/// # Errors
/// What the operating system says.
pub(crate) fn finish(file: &File) -> io::Result<()> {
    file.sync_all()?;
    file.write_all_at(WHOLE, 0)?;
    file.sync_all()
}

/// Whether a file that was begun has some of a stream.
///
/// # Errors
/// What the operating system says; one that was never begun.
pub(crate) fn has_stream(file: &mut File) -> io::Result<bool> {
    let mut head = [0; HEADER_BYTES];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut head)?;
    let [_, length, ..] = first_words(head.split_at(WHOLE.len()).1);
    Ok(file.metadata()?.len() > HEADER_BYTES as u64 + u64::from(length))
}

/// Reads what is before the stream. The file stands where the stream begins then. Untrusted: it may be anybody's file.
///
/// # Errors
/// See [`HeaderError`].
pub fn read_saved_header(file: &mut File) -> Result<SavedHeader, HeaderError> {
    file.seek(SeekFrom::Start(0)).map_err(HeaderError::Io)?;
    let mut head = [0; HEADER_BYTES];
    fill(file, &mut head)?;
    let (magic, words) = head.split_at(WHOLE.len());
    if magic == UNFINISHED {
        return Err(HeaderError::Unfinished);
    }
    if magic != WHOLE {
        return Err(HeaderError::Foreign);
    }
    let [version, length, running, compression, cookie] = first_words(words);
    if version != VERSION {
        return Err(HeaderError::Unsupported(format!("layout {version}, and this reads {VERSION}")));
    }
    if compression != 0 {
        let found = usize::try_from(compression).ok().and_then(|found| COMPRESSIONS.get(found));
        return Err(HeaderError::Unsupported(format!("it is compressed ({})", found.unwrap_or(&"unknown"))));
    }
    if length == 0 || length > DATA_MAX_BYTES {
        return Err(HeaderError::Damaged(format!("a document of {length} bytes")));
    }
    let document = if cookie == 0 { length } else { cookie.min(length) };
    let mut data = vec![0; usize::try_from(length).unwrap_or_default()];
    fill(file, &mut data)?;
    data.truncate(usize::try_from(document).unwrap_or_default());
    let end = data.iter().position(|byte| *byte == 0);
    data.truncate(end.ok_or_else(|| HeaderError::Damaged("its document has no end".into()))?);
    let xml =
        String::from_utf8(data).map_err(|_| HeaderError::Damaged("its document is not UTF-8".into()))?;
    let stream_begins = file.stream_position().map_err(HeaderError::Io)?;
    Ok(SavedHeader { xml, running: running != 0, stream_begins })
}

/// The first five words, in the byte order in which the version makes sense.
fn first_words(bytes: &[u8]) -> [u32; 5] {
    let mut words = [0; 5];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = bytes.try_into().map(u32::from_le_bytes).unwrap_or_default();
    }
    if words[0] == VERSION.swap_bytes() { words.map(u32::swap_bytes) } else { words }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> Result<(), HeaderError> {
    file.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => HeaderError::Foreign,
        _ => HeaderError::Io(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn header(words: [u32; 5], data: &[u8]) -> File {
        let mut bytes = WHOLE.to_vec();
        words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        bytes.resize(HEADER_BYTES, 0);
        bytes.extend_from_slice(data);
        made(&bytes)
    }

    #[test]
    fn what_was_begun_is_read_when_it_is_finished_and_not_before() {
        let mut file = tempfile::tempfile().unwrap();
        let begins = begin(&mut file, "<domain/>", true).unwrap();
        file.write_all(b"stream").unwrap();
        assert!(matches!(read_saved_header(&mut file), Err(HeaderError::Unfinished)));
        finish(&file).unwrap();
        let read = read_saved_header(&mut file).unwrap();
        assert_eq!(read, SavedHeader { xml: "<domain/>".into(), running: true, stream_begins: begins });
        let mut rest = Vec::new();
        file.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"stream", "it stands where the stream begins");
    }

    #[test]
    fn file_of_the_other_byte_order_with_a_cookie_is_read() {
        let mut bytes = WHOLE.to_vec();
        for word in [VERSION, 20, 0, 0, 10] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.resize(HEADER_BYTES, 0);
        bytes.extend_from_slice(b"<domain/>\0<cookie/>\0QEVM");
        let read = read_saved_header(&mut made(&bytes)).unwrap();
        assert_eq!((read.xml.as_str(), read.running, read.stream_begins), ("<domain/>", false, 112));
    }

    #[test]
    fn what_is_no_saved_guest_is_told_apart() {
        use HeaderError::{Damaged, Foreign, Unsupported};
        assert!(matches!(read_saved_header(&mut made(b"")), Err(Foreign)));
        assert!(matches!(read_saved_header(&mut made(&[0; 200])), Err(Foreign)));
        assert!(matches!(read_saved_header(&mut header([3, 9, 0, 0, 0], b"")), Err(Unsupported(_))));
        let compressed = read_saved_header(&mut header([2, 9, 0, 1, 0], b"<domain/>"));
        assert!(matches!(compressed, Err(Unsupported(what)) if what.contains("gzip")));
        assert!(matches!(read_saved_header(&mut header([2, u32::MAX, 0, 0, 0], b"")), Err(Damaged(_))));
        assert!(matches!(read_saved_header(&mut header([2, 4, 0, 0, 0], b"abcd")), Err(Damaged(_))));
        assert!(matches!(read_saved_header(&mut header([2, 4, 0, 0, 0], b"\xff\xff\0\0")), Err(Damaged(_))));
        assert!(matches!(read_saved_header(&mut header([2, 400, 0, 0, 0], b"short")), Err(Foreign)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn any_bytes_are_judged_without_panic(words in prop::array::uniform5(any::<u32>()), data in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(read) = read_saved_header(&mut header(words, &data)) {
                prop_assert!(read.stream_begins > 92 && !read.xml.contains('\0'));
            }
        }
    }
}
