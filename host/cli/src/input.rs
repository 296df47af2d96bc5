//! Reads the documents that commands are given: from a file, or from standard input as `-`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::session::Session;

/// Largest document that is read, in bytes. The largest domain XML known to us has 80 KiB.
const LARGEST_DOCUMENT: u64 = 4 * 1024 * 1024;

/// The text of a document.
pub(crate) fn document(path: &Path, session: &Session) -> Result<String, Stop> {
    if path == Path::new("-") {
        let streams = session.output().streams();
        if streams.input_is_terminal() {
            session.output().note("reading the document from the terminal; end it with Ctrl+D");
        }
        let text = read(streams.input(), "standard input")?;
        session.keep_input(text.as_bytes());
        return Ok(text);
    }
    let shown = format!("'{}'", path.display());
    let file = File::open(path)
        .map_err(|error| Failure::io(format!("open {shown}"), &error).about("path", path.display()))?;
    read(file, &shown)
}

/// The bytes of a file, or of standard input as `-`: so many at most.
pub(crate) fn bytes(path: &Path, most: usize, session: &Session) -> Result<Zeroizing<Vec<u8>>, Stop> {
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(most.saturating_add(1)));
    let read = match path == Path::new("-") {
        true => {
            let read = session.output().streams().input().take(limit).read_to_end(&mut bytes);
            session.keep_input(&bytes);
            read
        }
        false => File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    };
    let shown = format!("'{}'", path.display());
    read.map_err(|error| Failure::io(format!("read {shown}"), &error).about("path", path.display()))?;
    if bytes.len() > most {
        let message = format!("{shown} has more than {most} bytes");
        return Err(Failure::new("cli.input-too-large", Exit::Failed, message).users().into());
    }
    Ok(bytes)
}

fn read(source: impl Read, shown: &str) -> Result<String, Stop> {
    let mut bytes = Vec::new();
    source
        .take(LARGEST_DOCUMENT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::io(format!("read {shown}"), &error))?;
    if bytes.len() as u64 > LARGEST_DOCUMENT {
        let message = format!("{shown} is larger than {LARGEST_DOCUMENT} bytes: that is no domain XML");
        return Err(Failure::new("cli.document-too-large", Exit::Failed, message).users().into());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("{shown} is not UTF-8: the byte at offset {at} does not belong there");
        Failure::new("cli.document-encoding", Exit::Failed, message)
            .users()
            .hint("convert it first, for example with iconv -f LATIN1 -t UTF-8", None)
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(source: impl Read) -> Failure {
        match read(source, "'x'") {
            Err(Stop::Failed(failure)) => *failure,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn read_takes_text() {
        assert_eq!(read(&b"<domain/>"[..], "'x'"), Ok("<domain/>".to_owned()));
    }

    #[test]
    fn read_refuses_what_is_no_text_and_says_where() {
        let failure = failure(&b"<domain>\xff"[..]);
        assert_eq!(failure.code, "cli.document-encoding");
        assert!(failure.message.contains("offset 8"), "{}", failure.message);
    }

    #[test]
    fn read_stops_at_the_limit() {
        let failure = failure(std::io::repeat(b'x'));
        assert_eq!(failure.code, "cli.document-too-large");
    }
}
