//! The worker's own process: it takes the machine code, locks itself in, and carries out what it is asked.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use hostler_launch::{CellLimits, close_inherited, enter_cell};
use rustix::fs::{Mode, OFlags, open};
use tokio::runtime::Builder;
use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker, Resource};

use super::frame::{Asked, Ended, EndedKind, Finished, Outgoing, Setup};
use super::state::{Line, WorkerState};
use super::wire::Reader;
use crate::bindings::driver::Driver as World;
use crate::cache;
use crate::call::MemoryLimit;
use crate::engine::{self, Allocation, Ticker};
use crate::fault;
use crate::limits::{self, InstanceLimits};
use crate::linked::{Linked, limited_store};
use crate::meter::Meter;

/// What a worker may take of the host.
const CELL: CellLimits = CellLimits {
    space_bytes: limits::WORKER_SPACE_BYTES,
    memory_bytes: limits::WORKER_MEMORY_BYTES,
    threads: limits::WORKER_THREADS,
    files: limits::WORKER_FILES,
};

/// What a worker works with.
struct Inside {
    engine: Engine,
    linked: Linked<WorkerState>,
    ticker: Ticker,
    limits: InstanceLimits,
    cpu: Duration,
}

/// The whole of a worker: takes the host's socket from the standard input and the driver's machine code from the
/// standard output, locks this process in, and carries out operations until the host closes the socket. To be called
/// first of all in a program: it closes every other descriptor, and must be the only thread.
///
/// # Errors
/// Why it cannot go on; the host has been told where that was possible.
pub fn work_here() -> Result<(), String> {
    close_inherited().map_err(|error| format!("what was left open cannot be closed: {error}"))?;
    let socket = io::stdin().as_fd().try_clone_to_owned().map_err(|error| format!("no socket: {error}"))?;
    let mut line = Line::new(UnixStream::from(socket));
    let inside = match set_up(&mut line) {
        Ok(Some(inside)) => inside,
        Ok(None) => return Ok(()),
        Err(why) => {
            line.send(&Outgoing::failed(&why)).map_err(|error| format!("{why}; {error}"))?;
            return Err(why);
        }
    };
    serve(line, &inside).map_err(|error| format!("the host is gone: {error}"))
}

/// Everything that is done before the walls are up. Nothing of the driver runs here.
fn set_up(line: &mut Line) -> Result<Option<Inside>, String> {
    let Some(message) = line.receive().map_err(|error| error.to_string())? else { return Ok(None) };
    let setup: Setup = Reader::of_host(&message).whole().map_err(|error| error.to_string())?;
    if setup.version != env!("CARGO_PKG_VERSION") {
        return Err(format!("it is of version {}, the host of {}", env!("CARGO_PKG_VERSION"), setup.version));
    }
    // A driver that no pool has room for meets the limits when it runs, where each has its own words.
    let (engine, linked) = link(Allocation::PoolOfOne, setup.stack_bytes)
        .or_else(|_| link(Allocation::OnDemand, setup.stack_bytes))
        .map_err(|error| format!("{error:#}"))?;
    let nothing = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    nothing.and_then(rustix::stdio::dup2_stdout).map_err(|error| format!("no /dev/null: {error}"))?;
    rustix::thread::set_name(c"hostler-worker").map_err(|error| error.to_string())?;
    enter_cell(CELL, setup.user).map_err(|failure| failure.to_string())?;
    Ok(Some(Inside {
        ticker: Ticker::new(engine.clone()),
        engine,
        linked,
        limits: setup.instance,
        cpu: Duration::from_nanos(setup.cpu_ns),
    }))
}

/// The machine code at the standard output, ready to be run.
fn link(allocation: Allocation, stack_bytes: usize) -> wasmtime::Result<(Engine, Linked<WorkerState>)> {
    let engine = engine::engine(allocation, stack_bytes)?;
    let component = cache::deserialize(&engine, &io::stdout())?;
    let mut linker = Linker::new(&engine);
    World::add_to_linker::<_, HasSelf<WorkerState>>(&mut linker, |state| state)?;
    let linked = Linked::new(&engine, &linker, &component)?;
    Ok((engine, linked))
}

fn serve(mut line: Line, inside: &Inside) -> io::Result<()> {
    // It drives nothing but guests, which never wait: calls to the host block this thread.
    let executor = Builder::new_current_thread().build()?;
    line.send(&Outgoing::ready())?;
    while let Some(message) = line.receive()? {
        let asked: Asked = Reader::of_host(&message).whole().map_err(io::Error::other)?;
        line = executor.block_on(perform(line, inside, &asked))?;
    }
    Ok(())
}

/// One operation, in a fresh instance under all limits. The socket comes back.
async fn perform(line: Line, inside: &Inside, asked: &Asked) -> io::Result<Line> {
    let ticking = inside.ticker.tick()?;
    let meter = Arc::new(Meter::new(None));
    let state = WorkerState { line, memory: MemoryLimit::new(inside.limits), lost: None };
    let mut store = limited_store(&inside.engine, state, &meter, inside.cpu);
    let domain = asked.domain.map(Resource::new_borrow);
    let performing = inside.linked.perform(&mut store, domain, &asked.request);
    let performed = Arc::clone(&meter).count(performing).await;
    let answer = performed.map_err(|error| {
        let (kind, message) = fault::sort(&error, &store.data().memory);
        Ended { kind: EndedKind::of(kind), message, cause: format!("{error:#}") }
    });
    drop(ticking);
    let cpu_ns = u64::try_from(meter.settle().as_nanos()).unwrap_or(u64::MAX);
    let finished = Outgoing::finished(&Finished { cpu_ns, answer });
    let state = store.data_mut();
    if let Some(lost) = state.lost.take() {
        return Err(lost);
    }
    // The host goes on while the instance is taken apart.
    state.line.send(&finished)?;
    Ok(store.into_data().line)
}
