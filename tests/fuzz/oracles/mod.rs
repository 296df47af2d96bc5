//! What must hold whatever comes in. Each file is one part of the product.

pub mod command_line;
pub mod descriptor;
pub mod disk_nodes;
pub mod grant;
pub mod header;
pub mod image;
pub mod opener;
pub mod qmp;
pub mod reference;
pub mod rpc;
pub mod shown;
pub mod source;
pub mod storage_xml;
pub mod store;
pub mod xml;
