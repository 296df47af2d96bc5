//! A spinner on standard error for what takes long; never seen by a command that is done at once.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A command that ends sooner than this shows no spinner: a flash helps nobody.
const PATIENCE: Duration = Duration::from_millis(300);
/// Time between two pictures of the spinner.
const TICK: Duration = Duration::from_millis(120);

/// Shows that something goes on; the line is wiped when this is dropped.
pub(crate) struct Progress {
    painter: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Shows nothing.
    pub(super) fn silent() -> Self {
        Self { painter: None }
    }

    /// Spins on the terminal. A host that has no thread to spare does without.
    pub(super) fn spinner(what: String) -> Self {
        let (stop, stopped) = channel::<()>();
        let paint = move || {
            if stopped.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = ProgressBar::new_spinner().with_message(what);
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                bar.tick();
            }
            bar.finish_and_clear();
        };
        let thread = std::thread::Builder::new().name("progress".into()).spawn(paint);
        Self { painter: thread.ok().map(|thread| (stop, thread)) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.painter.take() {
            drop(stop);
            // Joined, so that the line is wiped before anything else is written.
            if thread.join().is_err() {
                tracing::debug!("the spinner has failed");
            }
        }
    }
}
