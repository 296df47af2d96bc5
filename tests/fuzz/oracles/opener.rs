//! Storage chains: what is opened and read, and what a finished chain promises.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Component, Path};

use hostler_image::{
    Access, Below, Chain, ChainRequest, ErrorKind, Format, Identity, OpenFailure, OpenRequest, Opened,
    Opener, READ_BUDGET, ReferencePolicy, Role, Tail, Via, resolve_chain,
};

use super::shown;
use crate::generators::chain::{File, Prepared, ROOT};

/// Files in memory; refuses, by panicking, whatever the request does not cover.
struct Watched {
    request: ChainRequest,
    files: HashMap<String, File>,
    opens: usize,
    /// Bytes read of each open file, by its path.
    read: HashMap<String, u64>,
}

/// Asserts what holds of any request over any files; returns the number of layers or why there are none.
///
/// # Errors
/// What the walk refused.
///
/// # Panics
/// When a promise is broken.
pub fn check(case: Prepared) -> Result<usize, ErrorKind> {
    let Prepared { request, files } = case;
    let mut opener = Watched { request: request.clone(), files, opens: 0, read: HashMap::new() };
    let outcome = resolve_chain(&mut opener, request.clone());
    assert!(opener.opens <= 2 * request.limits.depth + 1, "{} files are opened", opener.opens);
    match outcome {
        Ok(chain) => {
            complete(&chain, &request, &opener);
            Ok(chain.layers.len())
        }
        Err(error) => {
            shown::safe(&error);
            Err(error.kind())
        }
    }
}

impl Opener for Watched {
    type File = String;

    fn open(&mut self, request: &OpenRequest) -> Result<Opened<String>, OpenFailure> {
        self.opens += 1;
        self.within_policy(request);
        self.mode(request);
        let path = request.path.to_string();
        let file = self.files.get(&path).ok_or(OpenFailure::Missing)?;
        self.read.insert(path.clone(), 0);
        Ok(Opened {
            file: path,
            identity: Identity::File { device: 1, inode: file.inode },
            kind: file.kind,
            length: file.content.length,
            physical_bytes: 512,
        })
    }

    fn read_at(&mut self, path: &String, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        // Less than is asked for, so that the walk has to come back.
        let bytes = self.files[path].content.read(offset, buffer.len().div_ceil(2));
        let total = self.read.get_mut(path).expect("only open files are read");
        *total += u64::try_from(bytes.len()).expect("a length fits");
        assert!(*total <= READ_BUDGET, "{total} bytes of {path} are read");
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl Watched {
    /// Declared, or granted by the policy as this oracle reads it.
    fn within_policy(&self, asked: &OpenRequest) {
        let path = asked.path.as_path();
        let layers = || std::iter::once(&self.request.top).chain(&self.request.below);
        let Via::Granted(grant) = &asked.via else {
            let image = layers().nth(asked.layer).expect("a declared layer");
            let declared = match asked.role {
                Role::Image => Some(&image.path),
                Role::DataFile => image.data_file.as_ref(),
            };
            assert_eq!(declared, Some(&asked.path), "what was not declared is opened as declared");
            return;
        };
        assert_eq!(grant.directory.join(&grant.relative), path);
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        assert!(grant.relative.components().count() > 0 && grant.relative.components().all(plain));
        let policy = &self.request.policy;
        let roots = [ReferencePolicy::declared_only(), ReferencePolicy::same_directory()]
            .map(|policy| policy.with_root(ROOT));
        let rooted = roots.contains(policy) && path.starts_with(ROOT);
        let beside = [ReferencePolicy::same_directory(), roots[1].clone()].contains(policy)
            && path.parent() == Some(Path::new(&grant.directory))
            && self.read.keys().any(|open| Path::new(open).parent() == path.parent())
            && !path.starts_with("/dev");
        assert!(rooted || beside, "{} is opened under {policy:?}", path.display());
    }

    fn mode(&self, asked: &OpenRequest) {
        let writable = asked.layer == 0 && !self.request.read_only;
        let wanted = if writable { Access::ReadWrite } else { Access::ReadOnly };
        assert_eq!(asked.access, wanted, "layer {}", asked.layer);
    }
}

/// A finished chain: bounded, without repetition, and explicit about what is below each layer.
fn complete(chain: &Chain<String>, request: &ChainRequest, opener: &Watched) {
    let count = chain.layers.len();
    assert!((1..=request.limits.depth).contains(&count), "{count} layers");
    assert!(count > request.below.len(), "a declared layer is missing");
    if request.tail == Tail::Nothing {
        assert_eq!(count, request.below.len() + 1);
    }
    let mut seen = HashSet::new();
    for (index, layer) in chain.layers.iter().enumerate() {
        let below = if index + 1 < count { Below::Layer(index + 1) } else { Below::Nothing };
        assert_eq!(layer.below, below);
        assert_eq!(layer.read_only, index > 0 || request.read_only);
        assert!(layer.header.virtual_size <= request.limits.virtual_size || layer.format == Format::Raw);
        assert_eq!(layer.header.data_file.is_some(), layer.data_file.is_some());
        if layer.format == Format::Raw {
            assert_eq!(opener.read[&layer.file], 0, "the content of a raw image is read");
            assert_eq!(layer.below, Below::Nothing);
        }
        let files = std::iter::once(layer.identity).chain(layer.data_file.iter().map(|file| file.identity));
        assert!(files.into_iter().all(|identity| seen.insert(identity)), "a file is there twice");
    }
    chain.notes.iter().for_each(shown::safe);
}
