//! The per-domain shim: started by [`start::launch`], served by [`serve`], talked to by [`client::ShimClient`].

pub mod client;
pub mod orphan;
pub(crate) mod protocol;
pub mod record;
pub mod start;
pub(crate) mod wire;
