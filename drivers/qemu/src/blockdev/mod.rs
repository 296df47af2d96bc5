//! Images as block nodes: for every layer of a chain a protocol node, and a format node above it.
//!
//! Two rules hold everywhere here. S0: a format that can have something below says explicitly what is
//! below, a node or nothing; so the hypervisor never follows a name that it finds in an image. S1:
//! protocol nodes open read-only until something needs more (`auto-read-only`), and it is the format
//! node that says `read-only`; so a block job can reopen a layer for writing and back.

//!
//! Nothing here is done: a list of nodes is plain data with handles as leaves. So tools can hold it against
//! records, and it is public for them only.

mod chain;
mod create;
mod filters;
mod flash;
mod format;
mod names;
mod objects;
mod open;
mod options;
mod order;
mod protocol;

pub use crate::chains::declared;
pub use chain::{Chain, Node};
pub use create::{Creation, Layout, Reference, Version};
pub(crate) use flash::{FlashImages, flash_nodes, format_name as flash_format_name};
pub(crate) use format::{is_readable, names_nothing};
pub(crate) use names::OWN_RESERVATIONS;
pub use names::{LONGEST_NODE_NAME, LayerNames, Names};
pub(crate) use objects::is_key_of;
pub use objects::{Object, Purpose};
pub(crate) use open::{Openers, properties as server_properties};
pub(crate) use options::write_cache;
pub(crate) use order::{first_numbers, has_nodes, in_order};
