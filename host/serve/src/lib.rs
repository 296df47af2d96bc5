//! The daemon: it owns a state directory as long as it runs, and answers libvirt's clients.
//!
//! Every call is a task of its own. What is asked never waits for what is done: verbs that change a domain wait for each
//! other (`jobs`), questions wait for nothing, and ending a domain waits only a moment.
//!
//! A client is met at the gate, which finds out who it is, what is served to it (the operator's state directory or a
//! tenant's) and what it may (`access`).

mod access;
mod arrivals;
mod autodestroy;
mod budget;
mod client;
mod command;
mod connection;
mod daemon;
mod dispatch;
mod events;
mod failure;
mod gate;
mod identity;
mod jobs;
mod metrics;
mod names;
mod notify;
mod outbox;
mod peer;
mod places;
mod polkit;
mod procedures;
mod realms;
mod seats;
mod server;
mod sockets;
mod source;
mod streams;
mod tls;
mod transmit;

pub use access::{AccessSettings, Auth, nearest_key};
pub use command::{Command, Program, SentLine, StillBusy, Turn};
pub use daemon::{Settings, serve};
pub use server::ServeError;
pub use sockets::Sockets;
pub use tls::TlsSettings;
