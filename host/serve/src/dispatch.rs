//! From a frame to what carries it out, and whether it may be.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::frame::{Frame, Header};
use hostler_rpc::procedure::{self, Call, Priority, Procedure, ReadOnly, program};
use hostler_rpc::xdr::{self, Xdr};

use crate::access::checks;
use crate::client::{Client, internal};
use crate::procedures;
use crate::streams::StreamBody;

/// What a call came to.
pub(crate) struct Answered {
    pub(crate) payload: Vec<u8>,
    /// The stream that it opened.
    pub(crate) stream: Option<StreamBody>,
    /// What goes with the answer.
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Answered {
    /// An answer with nothing beside it.
    pub(crate) fn plain(payload: Vec<u8>) -> Self {
        Self { payload, stream: None, descriptors: Vec::new() }
    }
}

/// A call that is being carried out.
pub(crate) type Work<'a> = Pin<Box<dyn Future<Output = Result<Answered, RpcError>> + Send + 'a>>;

/// A call that has come.
#[derive(Clone, Copy)]
pub(crate) struct Incoming<'a> {
    client: &'a Arc<Client>,
    frame: &'a Frame,
    procedure: &'static Procedure,
    descriptors: &'a Mutex<Vec<OwnedFd>>,
}

/// The programs whose procedures are known, if not all served.
const PROGRAMS: [u32; 4] = [program::REMOTE, program::QEMU, program::LXC, program::HOSTLER];

/// Carries a call out, and counts it.
///
/// # Errors
/// That it is unknown, may not be made, cannot be understood, or what it came to.
pub(crate) async fn answer(
    client: &Arc<Client>,
    frame: &Frame,
    descriptors: Vec<OwnedFd>,
) -> Result<Answered, RpcError> {
    let begun = Instant::now();
    let known = procedure::find(frame.header.program, frame.header.procedure);
    let answered = carry_out(client, frame, known, descriptors).await;
    let known = known.map(|procedure| (procedure.name, procedure.priority));
    client.server.shared.metrics.called(known, answered.is_ok(), begun.elapsed());
    answered
}

async fn carry_out(
    client: &Arc<Client>,
    frame: &Frame,
    known: Option<&'static Procedure>,
    descriptors: Vec<OwnedFd>,
) -> Result<Answered, RpcError> {
    let header = &frame.header;
    if !PROGRAMS.contains(&header.program) || header.version != program::VERSION {
        return Err(no_program(header));
    }
    let unknown = || RpcError::unknown_procedure(header.procedure);
    let procedure = known.ok_or_else(unknown)?;
    let incoming = Incoming { client, frame, procedure, descriptors: &Mutex::new(descriptors) };
    let served = match header.program {
        program::REMOTE => procedures::route(incoming),
        program::QEMU => procedures::route_qemu(incoming),
        program::HOSTLER => procedures::route_own(incoming),
        _ => None,
    };
    let work = served.ok_or_else(unknown)?;
    tracing::trace!(procedure = procedure.name, "called");
    if procedure.priority == Priority::High {
        return work.await;
    }
    // What may take its time has one of so many places.
    client.server.places.within(work).await
}

/// What is said of a program that there is not.
pub(crate) fn no_program(header: &Header) -> RpcError {
    RpcError::protocol(format!("Cannot find program {} version {}", header.program, header.version))
}

impl<'a> Incoming<'a> {
    /// The number of what is called.
    pub(crate) fn number(&self) -> i32 {
        self.frame.header.procedure
    }

    /// The descriptors that came with it.
    pub(crate) fn take_descriptors(&self) -> Vec<OwnedFd> {
        std::mem::take(&mut *self.descriptors.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Decodes, checks, carries out, encodes.
    pub(crate) fn answer<A, F, W>(self, serve: F) -> Work<'a>
    where
        A: Call + Send + Sync + 'a,
        A::Answer: Send + Sync,
        F: FnOnce(Arc<Client>, A) -> W + Send + 'a,
        W: Future<Output = Result<A::Answer, RpcError>> + Send + 'a,
    {
        Box::pin(async move {
            let arguments = self.arguments::<A>()?;
            let open = checks::admit(self.client, self.procedure, &arguments).await?;
            let answer = serve(Arc::clone(self.client), arguments).await?;
            checks::reveal(self.client, self.procedure, &open, &answer).await?;
            Ok(Answered::plain(encoded(&answer)?))
        })
    }

    /// The same for a call that opens a stream.
    pub(crate) fn open<A, F, W>(self, serve: F) -> Work<'a>
    where
        A: Call + Send + Sync + 'a,
        A::Answer: Send + Sync,
        F: FnOnce(Arc<Client>, A) -> W + Send + 'a,
        W: Future<Output = Result<(A::Answer, StreamBody), RpcError>> + Send + 'a,
    {
        Box::pin(async move {
            let arguments = self.arguments::<A>()?;
            checks::admit(self.client, self.procedure, &arguments).await?;
            let (answer, stream) = serve(Arc::clone(self.client), arguments).await?;
            Ok(Answered { stream: Some(stream), ..Answered::plain(encoded(&answer)?) })
        })
    }

    /// The same for a call whose answer has descriptors beside it.
    pub(crate) fn hand_out<A, F, W>(self, serve: F) -> Work<'a>
    where
        A: Call + Send + Sync + 'a,
        A::Answer: Send + Sync,
        F: FnOnce(Arc<Client>, A) -> W + Send + 'a,
        W: Future<Output = Result<(A::Answer, Vec<OwnedFd>), RpcError>> + Send + 'a,
    {
        Box::pin(async move {
            let arguments = self.arguments::<A>()?;
            checks::admit(self.client, self.procedure, &arguments).await?;
            let (answer, descriptors) = serve(Arc::clone(self.client), arguments).await?;
            Ok(Answered { descriptors, ..Answered::plain(encoded(&answer)?) })
        })
    }

    fn arguments<A: Call>(&self) -> Result<A, RpcError> {
        let arguments: A = xdr::decode(&self.frame.payload)
            .map_err(|error| RpcError::protocol(format!("Unable to decode message payload: {error}")))?;
        self.permit(arguments.flags())?;
        Ok(arguments)
    }

    /// Refuses what a client may not call that only reads.
    fn permit(&self, flags: u64) -> Result<(), RpcError> {
        let refused = match self.procedure.read_only {
            ReadOnly::Allowed => false,
            ReadOnly::Refused => true,
            ReadOnly::RefusedWith(refused) => flags & u64::from(refused) != 0,
        };
        if self.client.session().read_only && refused {
            let detail = format!("read only access prevents {}", self.procedure.name);
            return Err(RpcError::new(codes::ERR_OPERATION_DENIED, codes::FROM_RPC, detail));
        }
        Ok(())
    }
}

pub(crate) fn encoded(answer: &impl Xdr) -> Result<Vec<u8>, RpcError> {
    xdr::encode(answer).map_err(|error| internal(&format!("the answer cannot be sent: {error}")))
}

/// The calls of a family, each with what carries it out.
macro_rules! routes {
    ($incoming:expr; $($call:ident => $serve:expr,)* $(; $($opening:ident => $open:expr,)*)?) => {
        match $incoming.number() {
            $(hostler_rpc::wire::$call::NUMBER => {
                Some($incoming.answer::<hostler_rpc::wire::$call, _, _>($serve))
            })*
            $($(hostler_rpc::wire::$opening::NUMBER => {
                Some($incoming.open::<hostler_rpc::wire::$opening, _, _>($open))
            })*)?
            _ => None,
        }
    };
}

pub(crate) use routes;
