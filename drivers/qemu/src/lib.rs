//! The QEMU driver: domain XML to argv, QMP, lifecycle.
//!
//! A document is completed once, when it is defined ([`complete`]); a launch is a pure function of the
//! completed document, its chains and its firmware ([`argv`], [`blockdev`]); what happens to a running
//! guest is a conversation with its monitor ([`lifecycle`]).

mod address;
mod alias;
mod argv;
mod blockdev;
mod chains;
mod complete;
mod facts;
mod machine;
mod machine_version;

#[cfg(test)]
mod tests;
