//! The terminal of a command that came from another process, for what is painted on it.

use std::fmt;
use std::io;

use indicatif::TermLike;

use super::streams::Streams;

/// Columns of a terminal whose width nobody tells.
const COLUMNS: u16 = 80;

/// The standard error of such a command.
pub(super) struct GivenTerminal(pub(super) Streams);

impl GivenTerminal {
    fn write(&self, text: &str) -> io::Result<()> {
        self.0.errors().write_all(text.as_bytes())
    }

    fn moved(&self, by: usize, letter: char) -> io::Result<()> {
        if by == 0 { Ok(()) } else { self.write(&format!("\x1b[{by}{letter}")) }
    }
}

impl fmt::Debug for GivenTerminal {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("GivenTerminal")
    }
}

// The sequences are those of ECMA-48, which every terminal of today knows.
impl TermLike for GivenTerminal {
    fn width(&self) -> u16 {
        self.0.columns().and_then(|columns| u16::try_from(columns).ok()).unwrap_or(COLUMNS)
    }

    fn move_cursor_up(&self, by: usize) -> io::Result<()> {
        self.moved(by, 'A')
    }

    fn move_cursor_down(&self, by: usize) -> io::Result<()> {
        self.moved(by, 'B')
    }

    fn move_cursor_right(&self, by: usize) -> io::Result<()> {
        self.moved(by, 'C')
    }

    fn move_cursor_left(&self, by: usize) -> io::Result<()> {
        self.moved(by, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write(&format!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.write(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.write("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
