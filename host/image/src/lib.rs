//! Storage-chain core: header parsing, backing references, policy and the chain walk; no I/O inside.
//!
//! Nothing here opens or reads a file. A parser says which bytes it needs ([`Inspection`]); the walk says
//! which reference it wants opened ([`Walk`]); the caller does both and stays in control of what is
//! reachable. [`resolve_chain`] drives the two over an [`Opener`], so that the descriptor whose header was
//! checked is the one in the finished [`Chain`].
//!
//! Rules that hold everywhere: every byte of an image is hostile, at most [`READ_BUDGET`] of them are read,
//! a format is declared and never discovered, and a reference found in an image is a request that the
//! [`ReferencePolicy`] answers.

mod assess;
mod chain;
mod compatible;
mod content;
mod error;
mod format;
mod formats;
mod inspection;
mod location;
mod lookup;
mod opener;
mod policy;
mod recognise;
mod reference;
mod relative;
mod repair;
mod request;
#[cfg(test)]
mod sample;
mod source;
mod walk;
mod windows;

pub use assess::{Assessed, Assessment, Declared, MAX_IMPORT_SIZE, NamedFile, NamedKind, Verdict, assess};
pub use chain::{Below, Chain, DataFile, FormatOrigin, Layer, Note};
pub use compatible::{COMPATIBLE_WINDOW, CompatibleLayer, Looked, resolve_compatible};
pub use error::{ErrorKind, Hint, ImageError};
pub use format::Format;
pub use formats::{
    BackingRecord, Compression, DataFileRecord, EmptyQcow2, Encryption, ExtentRecord, FeatureBits, Features,
    Header, Luks, MAX_REFERENCE_BYTES, NewImage, RecordedFormat, usable,
};
pub use inspection::{Inspection, Progress};
pub use location::ImagePath;
pub use lookup::{LayerNotFound, LayerQuery, NamedLayer, find_layer};
pub use opener::{BrokenChain, OpenFailure, Opener, explore_chain, read_range, resolve_chain};
pub use policy::{Grant, ReferencePolicy};
pub use recognise::{RECOGNISE_BYTES, Recognition, recognise};
pub use reference::{Parsed, Reference, Unsupported, parse_reference, redact};
pub use relative::relative_name;
pub use repair::{rebase_command, shell_quote};
pub use request::{ChainRequest, DeclaredLayer, Limits, MAX_DEPTH, MAX_VIRTUAL_SIZE, Tail};
pub use source::{
    BackingSource, Json, Profile, SourceReading, SshOptions, read_source, reference_text, target_properties,
};
pub use walk::{Access, FileKind, Identity, OpenRequest, Opened, Role, Step, Via, Walk};
pub use windows::{ByteRange, READ_BUDGET};
