//! Images as block nodes: for every layer of a chain a protocol node, and a format node above it.
//!
//! Two rules hold everywhere here. S0: a format that can have something below says explicitly what is
//! below, a node or nothing; so the hypervisor never follows a name that it finds in an image. S1:
//! protocol nodes open read-only until something needs more (`auto-read-only`), and it is the format
//! node that says `read-only`; so a block job can reopen a layer for writing and back.

mod chain;
mod flash;
mod format;
mod network;
mod options;
mod order;
mod protocol;
mod secrets;

pub(crate) use chain::{Chain, Node};
pub(crate) use flash::{FlashImages, flash_nodes, format_name as flash_format_name};
pub(crate) use network::{iscsi, properties as network_properties};
pub(crate) use options::{Options, write_cache};
pub(crate) use order::{first_numbers, has_nodes, in_order};
