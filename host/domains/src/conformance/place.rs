//! Where drivers are tried: a state directory that is made for it and thrown away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use hostler_state::StateDir;
use tempfile::TempDir;

use crate::config::Config;
use crate::error::{Error, Kind};

/// How long an interrupted test may take to finish the call that it is in: a start has a minute.
const LAST_CALL_WAIT: Duration = Duration::from_secs(65);

/// The state directory of one test. Whatever runs in it is ended, and it is removed, when this is dropped, whether
/// the test came to its end or was interrupted.
pub(crate) struct Place {
    directory: TempDir,
    config: Config,
    stopped: Arc<AtomicBool>,
    /// Ends when the test's thread does.
    finished: Option<Receiver<()>>,
}

impl Place {
    /// A place on this host: its programs, its policies and its cage; its state, drivers and tenants are not there.
    ///
    /// # Errors
    /// [`Kind::Host`] when it cannot be made.
    pub(crate) fn new(config: Config) -> Result<Self, Error> {
        let failed = |error| {
            Error::new(Kind::Host, "conformance.place", "cannot make a state directory for the test")
                .caused_by(error)
        };
        let directory = tempfile::Builder::new().prefix("hostler-driver-test-").tempdir().map_err(failed)?;
        let own = |name: &str| directory.path().join(name);
        let cache_dir = if config.cache_dir.starts_with(&config.state_dir) {
            own("cache")
        } else {
            config.cache_dir.clone()
        };
        let config =
            Config { state_dir: own("state"), cache_dir, driver_dirs: Vec::new(), tenant: None, ..config };
        Ok(Self { directory, config, stopped: Arc::default(), finished: None })
    }

    /// Where things are in it.
    pub(crate) fn config(&self) -> Config {
        self.config.clone()
    }

    /// What is set when the test is to stop.
    pub(crate) fn stopped(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stopped)
    }

    /// What the test's thread drops at its end.
    pub(crate) fn thread(&mut self) -> Sender<()> {
        let (sender, receiver) = channel();
        self.finished = Some(receiver);
        sender
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(finished) = &self.finished {
            // Either way it is looked at what runs: an error says no more than that the thread has ended.
            finished.recv_timeout(LAST_CALL_WAIT).ok();
        }
        let Ok(state) = StateDir::open_reader(&self.config.state_dir) else { return };
        for run in state.run_dirs().unwrap_or_default() {
            if let Err(error) = super::end(&run) {
                tracing::warn!(place = %self.directory.path().display(), error, "what was tried cannot be ended");
            }
        }
    }
}
