//! Compiling a driver in a bounded process of its own: where a hostile component costs most, and where the compiler's
//! own faults would land.

use std::io::{self, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use hostler_launch::{RoomLimits, close_inherited, enter_room};
use hostler_package::COMPONENT_MAX_BYTES;

use crate::engine;
use crate::error::{RuntimeError, RuntimeErrorKind};
use crate::limits;
use crate::text;

/// The one argument by which a program is told to compile its standard input.
pub const COMPILE_ARGUMENT: &str = "compile-driver-from-stdin";
/// What is wrong with a component that the compiler refuses.
pub(crate) const NOT_VALID: &str = "the component is not valid, or uses a feature that is switched off";

/// The compiler's side: locks this process in, compiles the component on its standard input, and writes the machine
/// code to its standard output. To be called first of all in a program: it closes every other descriptor, and must be the
/// only thread.
///
/// # Errors
/// What the compiler says, for the standard error; the process should end with a failure.
pub fn compile_here() -> Result<(), String> {
    close_inherited().map_err(|error| format!("what was left open cannot be closed: {error}"))?;
    enter_room(RoomLimits { memory_bytes: limits::COMPILE_MEMORY_BYTES, cpu: limits::COMPILE_CPU })
        .map_err(|failure| failure.to_string())?;
    let mut component = Vec::new();
    let read = io::stdin().take(COMPONENT_MAX_BYTES + 1).read_to_end(&mut component);
    read.map_err(|error| format!("cannot read the component: {error}"))?;
    let engine = engine::engine(engine::Allocation::OnDemand, limits::STACK_BYTES)
        .map_err(|error| format!("{error:#}"))?;
    let artifact = engine.precompile_component(&component).map_err(|error| format!("{error:#}"))?;
    let mut output = io::stdout().lock();
    let written = output.write_all(&artifact).and_then(|()| output.flush());
    written.map_err(|error| format!("cannot hand over the machine code: {error}"))
}

/// The host's side: the machine code of a component, made by this program in a process of its own.
///
/// # Errors
/// [`RuntimeErrorKind::Load`] when the component does not compile, or not within the limits;
/// [`RuntimeErrorKind::Io`] when the process cannot be started.
pub(crate) fn compile_apart(program: &Path, component: &[u8]) -> Result<Vec<u8>, RuntimeError> {
    let failed = |error: io::Error| {
        let message = format!("the process that compiles drivers ('{}') failed", program.display());
        RuntimeError::new(RuntimeErrorKind::Io, message).caused_by(error)
    };
    let child = Command::new(program)
        .arg(COMPILE_ARGUMENT)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let Finished { status, artifact, said } = converse(child, component).map_err(failed)?;
    if status.success() && artifact.len() as u64 <= limits::ARTIFACT_BYTES {
        return Ok(artifact);
    }
    Err(refusal(status, artifact.len(), &said))
}

/// What a compiler left.
struct Finished {
    status: ExitStatus,
    artifact: Vec<u8>,
    said: String,
}

/// Feeds the child and drains it at the same time, and ends it when it takes too long.
fn converse(mut child: Child, component: &[u8]) -> io::Result<Finished> {
    let (input, output, error) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut artifact, mut said) = (Vec::new(), Vec::new());
    let (done, waiting) = mpsc::channel::<()>();
    let status = thread::scope(|scope| {
        // A compiler that ends early breaks the pipe; its status tells why.
        scope.spawn(move || input.map(|mut input| input.write_all(component)));
        scope.spawn(|| drain(error, limits::TEXT_BYTES as u64, &mut said));
        let draining = scope.spawn(|| {
            let drained = drain(output, limits::ARTIFACT_BYTES + 1, &mut artifact);
            drop(done);
            drained
        });
        if waiting.recv_timeout(limits::COMPILE_WALL) == Err(RecvTimeoutError::Timeout) {
            child.kill()?;
        }
        draining.join().map_err(|_| io::Error::other("a thread stopped"))??;
        // It has closed its output, or written more than anybody wants.
        child
            .kill()
            .or_else(|error| if error.kind() == io::ErrorKind::InvalidInput { Ok(()) } else { Err(error) })?;
        child.wait()
    })?;
    Ok(Finished { status, artifact, said: String::from_utf8_lossy(&said).into_owned() })
}

fn drain(from: Option<impl Read>, limit: u64, into: &mut Vec<u8>) -> io::Result<()> {
    match from {
        Some(from) => from.take(limit).read_to_end(into).map(drop),
        None => Ok(()),
    }
}

fn refusal(status: ExitStatus, length: usize, said: &str) -> RuntimeError {
    let load = |message: String| RuntimeError::new(RuntimeErrorKind::Load, message);
    if status.success() {
        return load(format!("its machine code has more than {length} bytes"))
            .hint("make the driver smaller: no driver needs so much code");
    }
    if status.code() == Some(1) && !said.is_empty() {
        return load(NOT_VALID.to_owned()).hint(text::sentence(said, limits::TEXT_BYTES));
    }
    let (seconds, mebibytes) = (limits::COMPILE_CPU.as_secs(), limits::COMPILE_MEMORY_BYTES >> 20);
    load(format!("compiling it was ended ({status})"))
        .hint(format!("compiling may take {seconds} s of processor time and {mebibytes} MiB of memory"))
}
