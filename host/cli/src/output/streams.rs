//! Where a command reads and writes: the streams of this process, or those that came with a command of another one.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write};
use std::os::fd::AsFd as _;
use std::sync::Arc;

/// The streams of a command, and the variables that say how to write to them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams(Option<Arc<Given>>);

/// Streams that came from elsewhere.
#[derive(Debug)]
pub(crate) struct Given {
    /// What is read.
    pub(crate) input: File,
    /// Where data goes.
    pub(crate) output: File,
    /// Where everything else goes.
    pub(crate) errors: File,
    /// Variables of whoever gave them.
    pub(crate) environment: Vec<(String, String)>,
}

impl Streams {
    /// Those that were given instead of our own.
    pub(crate) fn given(given: Given) -> Self {
        Self(Some(Arc::new(given)))
    }

    /// Standard output.
    pub(crate) fn output(&self) -> Box<dyn Write + Send + 'static> {
        match &self.0 {
            None => Box::new(io::stdout()),
            Some(given) => Box::new(Shared(Arc::clone(given), |given| &given.output)),
        }
    }

    /// Standard error.
    pub(crate) fn errors(&self) -> Box<dyn Write + Send + 'static> {
        match &self.0 {
            None => Box::new(io::stderr()),
            Some(given) => Box::new(Shared(Arc::clone(given), |given| &given.errors)),
        }
    }

    /// Standard input.
    pub(crate) fn input(&self) -> Box<dyn Read + Send + 'static> {
        match &self.0 {
            None => Box::new(io::stdin()),
            Some(given) => Box::new(Shared(Arc::clone(given), |given| &given.input)),
        }
    }

    /// Whether somebody types.
    pub(crate) fn input_is_terminal(&self) -> bool {
        self.0.as_ref().map_or_else(|| io::stdin().is_terminal(), |given| given.input.is_terminal())
    }

    /// Whether somebody reads the data.
    pub(crate) fn output_is_terminal(&self) -> bool {
        self.0.as_ref().map_or_else(|| io::stdout().is_terminal(), |given| given.output.is_terminal())
    }

    /// Whether somebody reads the rest.
    pub(crate) fn errors_are_on_terminal(&self) -> bool {
        self.0.as_ref().map_or_else(|| io::stderr().is_terminal(), |given| given.errors.is_terminal())
    }

    /// Whether these are not the streams of this process.
    pub(crate) fn are_given(&self) -> bool {
        self.0.is_some()
    }

    /// A variable of the environment.
    pub(crate) fn variable(&self, name: &str) -> Option<OsString> {
        let Some(given) = &self.0 else { return std::env::var_os(name) };
        given.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.into())
    }

    /// Columns of the terminal that standard output is.
    pub(crate) fn columns(&self) -> Option<usize> {
        let size = match &self.0 {
            None => rustix::termios::tcgetwinsize(io::stdout()),
            Some(given) => rustix::termios::tcgetwinsize(given.output.as_fd()),
        };
        size.ok().map(|size| usize::from(size.ws_col))
    }
}

/// One of the streams that were given.
struct Shared(Arc<Given>, fn(&Given) -> &File);

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1(&self.0).read(buffer)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1(&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Seek as _;

    use super::*;

    #[test]
    fn what_was_given_is_used_and_nothing_of_this_process() {
        let file = tempfile::tempfile().unwrap();
        let [input, output, errors] = [(); 3].map(|()| file.try_clone().unwrap());
        let environment = vec![("TERM".to_owned(), "x".to_owned())];
        let streams = Streams::given(Given { input, output, errors, environment });
        streams.output().write_all(b"to read").unwrap();
        (&file).rewind().unwrap();
        let mut text = String::new();
        streams.input().read_to_string(&mut text).unwrap();
        assert_eq!(text, "to read");
        assert_eq!(streams.variable("TERM"), Some("x".into()));
        assert_eq!(streams.variable("PATH"), None);
        assert!(!streams.output_is_terminal() && streams.are_given() && streams.columns().is_none());
    }
}
