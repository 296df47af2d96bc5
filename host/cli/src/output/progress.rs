//! A spinner on standard error for what takes long; never seen by a command that is done at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::streams::Streams;
use super::terminal::GivenTerminal;

/// A command that ends sooner than this shows no spinner: a flash helps nobody.
const PATIENCE: Duration = Duration::from_millis(300);
/// Time between two pictures of the spinner.
const TICK: Duration = Duration::from_millis(120);

/// Stands for a share of the work that nobody has told.
const UNKNOWN: u32 = u32::MAX;

/// Shows that something goes on; the line is wiped when this is dropped.
pub(crate) struct Progress {
    painter: Option<(Sender<()>, JoinHandle<()>)>,
    /// How much is done, in thousandths.
    done: Arc<AtomicU32>,
}

impl Progress {
    /// Shows nothing.
    pub(super) fn silent() -> Self {
        Self { painter: None, done: Arc::new(UNKNOWN.into()) }
    }

    /// Spins on the terminal. A host that has no thread to spare does without.
    pub(super) fn spinner(what: String, streams: &Streams) -> Self {
        let (stop, stopped) = channel::<()>();
        let done = Arc::new(AtomicU32::new(UNKNOWN));
        let told = Arc::clone(&done);
        let streams = streams.clone();
        let paint = move || {
            if stopped.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = ProgressBar::new_spinner().with_message(what.clone());
            if streams.are_given() {
                bar.set_draw_target(ProgressDrawTarget::term_like(Box::new(GivenTerminal(streams))));
            }
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                if let Some(share) = share(told.load(Ordering::Relaxed)) {
                    bar.set_message(format!("{what} {share}"));
                }
                bar.tick();
            }
            bar.finish_and_clear();
        };
        let thread = std::thread::Builder::new().name("progress".into()).spawn(paint);
        Self { painter: thread.ok().map(|thread| (stop, thread)), done }
    }

    /// What is told how much is done, from 0 to 1; told from any thread, shown at the next picture.
    pub(crate) fn teller(&self) -> Box<dyn FnMut(f64) + Send> {
        let done = Arc::clone(&self.done);
        Box::new(move |share| done.store(thousandths(share), Ordering::Relaxed))
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

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "limited to 0 to 1000 before")]
fn thousandths(share: f64) -> u32 {
    (share.clamp(0.0, 1.0) * 1000.0) as u32
}

/// `42.5 %`; nothing as long as nobody has told.
fn share(thousandths: u32) -> Option<String> {
    (thousandths != UNKNOWN).then(|| format!("{}.{} %", thousandths / 10, thousandths % 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_is_told_in_tenths_of_a_percent() {
        assert_eq!(share(UNKNOWN), None);
        assert_eq!(share(thousandths(0.4256)).as_deref(), Some("42.5 %"));
        assert_eq!(share(thousandths(7.0)).as_deref(), Some("100.0 %"));
        assert_eq!(thousandths(f64::NAN), 0);
        let progress = Progress::silent();
        progress.teller()(0.5);
        assert_eq!(progress.done.load(Ordering::Relaxed), 500);
    }
}
