//! Commands that clients send: what one is, and what whoever carries them out has to do.

use std::fs::File;
use std::sync::Arc;

use hostler_domains::{DomainRef, Host};
use thiserror::Error;
use tokio::runtime::Handle;

use crate::client::Client;
use crate::jobs::{Job, WAIT};

/// What a daemon needs of the program that it is a part of.
pub trait Program: Send + Sync {
    /// Does what a command says and returns the status that its process would end with. Runs on a thread of its own, and
    /// may block.
    fn run(&self, line: SentLine, command: Command) -> i32;

    /// Reads its settings again, and does what follows from them for a daemon that runs. What is wrong with them is told in
    /// the log; those of before hold on then.
    fn reload(&self);
}

/// What a client has sent: what to do, and what to read and write meanwhile.
pub struct SentLine {
    /// The words, without the name of the program. Paths in them are absolute.
    pub words: Vec<String>,
    /// The variables that matter, by their names.
    pub environment: Vec<(String, String)>,
    /// What its user was told before it was sent, in this order, and is not to be told again.
    pub said: Vec<String>,
    /// What it reads.
    pub input: File,
    /// Where its data goes.
    pub output: File,
    /// Where everything else goes.
    pub errors: File,
}

/// A command of a client that may change everything here, as long as it is carried out.
pub struct Command {
    /// What runs the asynchronous part of it.
    pub runtime: Handle,
    pub(crate) client: Arc<Client>,
}

/// The right to change a domain, until it is dropped.
pub struct Turn {
    _job: Job,
}

/// Another change of the domain has taken too long.
#[derive(Debug, Error)]
#[error("another change of the domain goes on")]
pub struct StillBusy;

impl Command {
    /// The library, as the owner of the state directory.
    #[must_use]
    pub fn host(&self) -> Arc<Host> {
        Arc::clone(&self.client.server.host)
    }

    /// Waits for the right to change a domain, which other clients want too. What names no domain has nobody to wait for.
    ///
    /// # Errors
    /// That another change takes too long.
    pub async fn turn(&self, domain: &str) -> Result<Option<Turn>, StillBusy> {
        // The verb says what is wrong with the name.
        let Ok(found) = self.client.host().identity(&DomainRef::new(domain)).await else { return Ok(None) };
        let job = self.client.server.jobs.begin_within(found.uuid, WAIT).await.ok_or(StillBusy)?;
        if let Err(error) = self.client.host().settle_snapshots(found.uuid).await {
            tracing::warn!(domain, %error, "a snapshot that was not done stays so");
        }
        Ok(Some(Turn { _job: job }))
    }

    /// Lets the state directory of a tenant go. Who is connected there has to come again, and then it is held again.
    pub async fn release_tenant(&self, name: &str) {
        self.client.server.shared.realms.release(name).await;
    }

    /// Returns when nobody waits for it any more. What it has begun is to be brought to an end all the same.
    pub async fn abandoned(&self) {
        self.client.outbox.closed().await;
    }
}
