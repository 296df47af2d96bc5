//! The daemon: it owns a state directory as long as it runs, and answers libvirt's clients.
//!
//! Every call is a task of its own. What is asked never waits for what is done: verbs that change a domain wait for each
//! other (`jobs`), questions wait for nothing, and ending a domain waits only a moment.

mod budget;
mod client;
mod connection;
mod dispatch;
mod events;
mod failure;
mod jobs;
mod notify;
mod outbox;
mod places;
mod procedures;
mod server;
mod sockets;
mod streams;

pub use server::{ServeError, serve};
pub use sockets::Sockets;
