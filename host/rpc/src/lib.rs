//! The protocol that libvirt's clients speak: values, frames, procedures, errors. Pure: opens nothing, knows no domain.
//!
//! What comes from a client is hostile until it is decoded. [`frame::Assembler`] cuts bytes into frames without
//! believing a length; [`xdr::Decoder`] makes values of a payload and allocates no more than the payload could fill.

pub mod error;
pub mod frame;
mod macros;
pub mod own;
pub mod procedure;
pub mod subject;
mod tables;
pub mod typed;
pub mod xdr;

/// The arguments and answers of every call, and the content of every event, by their names.
pub mod wire {
    pub use crate::tables::calls_connect::*;
    pub use crate::tables::calls_domain::*;
    pub use crate::tables::calls_other::*;
    pub use crate::tables::events::*;
    pub use crate::tables::records::*;
}

/// Numbers of errors and of what they are about.
pub mod codes {
    pub use crate::tables::codes::*;
}
