//! Handles, by the words that stand for them.

use hostler_sdk::internal::driver::hostler::host::endpoint::{Endpoint, File};
use hostler_sdk::internal::driver::hostler::host::value::Handle;
use hostler_sdk::{BootFile, Domain, Error, Image};

/// The handles that a tree names, in order.
#[derive(Default)]
pub(crate) struct Opened {
    words: Vec<String>,
    handles: Vec<Named>,
}

enum Named {
    Image(Image),
    Endpoint(Endpoint),
    File(File),
    Monitor,
    Socket(String),
}

impl Opened {
    /// The number of the handle that this word stands for. A number is itself, whether there is such a handle or not.
    pub(crate) fn number(&mut self, word: &str) -> u32 {
        if let Ok(forged) = word.parse() {
            return forged;
        }
        let known = self.words.iter().position(|known| known == word);
        let index = known.unwrap_or_else(|| {
            self.words.push(word.to_owned());
            self.words.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// Opens what was named.
    pub(crate) fn open(&mut self, domain: &Domain) -> Result<(), Error> {
        for word in &self.words {
            self.handles.push(match word.split_once(':').unwrap_or((word, "")) {
                ("monitor", _) => Named::Monitor,
                ("socket", name) => Named::Socket(name.to_owned()),
                ("endpoint", alias) => Named::Endpoint(domain.endpoint(alias)?),
                ("kernel", _) => match domain.boot_file(BootFile::Kernel)? {
                    Some(file) => Named::File(file),
                    None => Named::Monitor,
                },
                (disk, _) => Named::Image(domain.disk(disk)?.image(0)?),
            });
        }
        Ok(())
    }

    /// What travels with the tree.
    pub(crate) fn lend(&self) -> Vec<Handle<'_>> {
        self.handles.iter().map(Named::lend).collect()
    }
}

impl Named {
    fn lend(&self) -> Handle<'_> {
        match self {
            Self::Image(image) => Handle::Image(image),
            Self::Endpoint(endpoint) => Handle::Endpoint(endpoint),
            Self::File(file) => Handle::File(file),
            Self::Monitor => Handle::Monitor,
            Self::Socket(name) => Handle::Socket(name.clone()),
        }
    }
}
