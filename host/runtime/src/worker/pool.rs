//! The workers of one driver of one tenant. Each carries out one operation at a time, so that what is ended with it is
//! that operation alone, and what it used is what that operation used. There are as many as operations at once.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::frame::{Asked, Finished, Setup};
use super::process::{Starter, Worker};
use super::serve::{Broken, Unfinished};
use crate::call::CallState;
use crate::error::{RuntimeError, RuntimeErrorKind};
use crate::fault;
use crate::limits::{self, InstanceLimits, Limits};
use crate::meter::Meter;
use crate::request::Reply;

/// See the module.
pub(crate) struct Workers {
    idle: Mutex<Vec<Worker>>,
    turns: Semaphore,
    artifact: OwnedFd,
    starter: Arc<Starter>,
    /// For whom: tenant and driver.
    key: String,
    limits: Limits,
    stack_bytes: usize,
    /// When an operation was last ended whose worker had made way: its driver may loop again.
    ended_busy: Mutex<Option<Instant>>,
}

/// A worker for one operation. It is ended unless it is given back; in any case what it used is counted.
struct Taken<'a> {
    /// None once it was given back.
    worker: Option<Worker>,
    /// What it says that its driver used of the processor.
    reported: Duration,
    meter: Arc<Meter>,
    workers: &'a Workers,
}

/// An operation without an answer.
struct Failure {
    /// Whether the worker ended by itself.
    gone: bool,
    error: RuntimeError,
}

impl Workers {
    pub(crate) fn new(
        starter: Arc<Starter>,
        artifact: OwnedFd,
        key: String,
        limits: Limits,
        stack_bytes: usize,
    ) -> Self {
        let (idle, turns) = (Mutex::default(), Semaphore::new(limits::WORKERS));
        let ended_busy = Mutex::default();
        Self { idle, turns, artifact, starter, key, limits, stack_bytes, ended_busy }
    }

    /// Lets a worker carry out an operation. What it uses of the processor is counted by `meter`, also when nobody
    /// waits for the end.
    ///
    /// # Errors
    /// [`RuntimeErrorKind::Worker`] when no worker can be started, or it ends before it has answered; everything that
    /// an operation in this process can end with.
    pub(crate) async fn perform(
        &self,
        state: &mut CallState,
        asked: &Asked,
        meter: &Arc<Meter>,
    ) -> Result<Reply, RuntimeError> {
        let _turn =
            self.turns.acquire().await.map_err(|closed| unusable("there are none").caused_by(closed))?;
        if let Some(worker) = self.idle_one() {
            match self.perform_in(worker, state, asked, meter).await {
                // It was ending when it was taken, and nothing of the operation has happened.
                Err(Failure { gone: true, error }) if state.activity.host_calls() == 0 => {
                    tracing::warn!(%error, "an idle process of the driver has ended; another takes the operation");
                }
                performed => return performed.map_err(|failure| failure.error),
            }
        }
        let worker = self.start().await?;
        self.perform_in(worker, state, asked, meter).await.map_err(|failure| failure.error)
    }

    async fn perform_in(
        &self,
        worker: Worker,
        state: &mut CallState,
        asked: &Asked,
        meter: &Arc<Meter>,
    ) -> Result<Reply, Failure> {
        let reported = Duration::ZERO;
        // From here on it is ended with the operation.
        let mut taken = Taken { worker: None, reported, meter: Arc::clone(meter), workers: self };
        let worker = taken.worker.insert(worker);
        let makes_way = worker.priority.lowered_when_busy(self.burst());
        let performed = tokio::select! {
            performed = worker.perform(state, asked) => performed,
            never = makes_way => match never {},
        };
        let error = match performed {
            Ok(Finished { cpu_ns, answer }) => {
                taken.reported = Duration::from_nanos(cpu_ns);
                taken.give_back();
                return answer.map_err(|ended| {
                    let error = fault::told(ended.kind.kind(), &ended.message, &ended.cause);
                    Failure { gone: false, error }
                });
            }
            Err(Unfinished::Ends(error)) => fault::of_call(error, state),
            Err(Unfinished::Broken(broken)) => {
                let gone = matches!(broken, Broken::Gone(_));
                return Err(Failure { gone, error: worker.fault(broken) });
            }
        };
        Err(Failure { gone: false, error })
    }

    /// How much an operation may compute before its worker makes way: nothing where the driver was ended for that of late.
    fn burst(&self) -> Duration {
        match self.ended_busy().is_some_and(|at| at.elapsed() < limits::WORKER_WARY) {
            true => Duration::ZERO,
            false => limits::WORKER_BURST,
        }
    }

    fn idle_one(&self) -> Option<Worker> {
        loop {
            let mut worker = self.lock().pop()?;
            if worker.lives() {
                return Some(worker);
            }
            tracing::warn!(pid = worker.id(), "an idle process of the driver has ended");
        }
    }

    async fn start(&self) -> Result<Worker, RuntimeError> {
        let cannot = |error: io::Error| unusable("it cannot be started").caused_by(error);
        let mut worker = self.starter.start(&self.artifact, &self.key).await.map_err(cannot)?;
        if self.burst().is_zero() {
            // Getting ready is work too, and is done anew after each operation that was ended.
            worker.priority.lower();
        }
        let setup = Setup {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            user: worker.user(),
            instance: self.limits.instance.within(&InstanceLimits::default()),
            stack_bytes: self.stack_bytes,
            cpu_ns: u64::try_from(self.limits.cpu.as_nanos()).unwrap_or(u64::MAX),
        };
        match tokio::time::timeout(limits::WORKER_START, worker.set_up(&setup)).await {
            Ok(Ok(())) => Ok(worker),
            Ok(Err(broken)) => Err(worker.fault(broken)),
            Err(_) => {
                let seconds = limits::WORKER_START.as_secs();
                Err(unusable(&format!("it was not ready within {seconds} s")))
            }
        }
    }

    fn ended_busy(&self) -> MutexGuard<'_, Option<Instant>> {
        self.ended_busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Worker>> {
        // The list is whole between any two statements, so a panic elsewhere does not spoil it.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken<'_> {
    /// Counts what it used: the kernel's account, which has everything, or what it says where that is more or there is
    /// no account. Keeps it for another operation, unless enough are idle or it has made way and nobody may undo that.
    fn give_back(mut self) {
        let Some(mut worker) = self.worker.take() else { return };
        self.meter.add(worker.used().max(self.reported));
        if !worker.priority.raise() {
            return;
        }
        let mut idle = self.workers.lock();
        if idle.len() < limits::WORKERS_IDLE {
            idle.push(worker);
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(worker) = &mut self.worker {
            self.meter.add(worker.used());
            if worker.priority.is_low() {
                *self.workers.ended_busy() = Some(Instant::now());
            }
        }
        self.meter.settle();
    }
}

/// The error for a worker that is not to be had.
fn unusable(why: &str) -> RuntimeError {
    RuntimeError::new(RuntimeErrorKind::Worker, format!("the process that runs the driver: {why}"))
}

impl Worker {
    /// The error for what ended an operation from outside the driver. Ends the worker.
    fn fault(&mut self, broken: Broken) -> RuntimeError {
        match broken {
            Broken::Refused(why) => unusable(&why)
                .hint("drivers run in the command's own process with --workers=off (HOSTLER_WORKERS=off)"),
            Broken::Malformed(malformed) => unusable(&format!("it sent {malformed}"))
                .hint("it is ended, and the next operation has a new one")
                .hint("report it to the driver's author, with the log: no driver can do this by its calls"),
            Broken::Gone(error) => {
                let ended = match self.end() {
                    Ok(status) => format!("it ended during the operation ({status})"),
                    Err(error) => format!("it is gone ({error})"),
                };
                unusable(&ended)
                    .hint("what was asked for may or may not have happened: look at the domain's state")
                    .hint("the next operation has a new process; should this happen again, look at the host's memory")
                    .caused_by(error)
            }
        }
    }
}
