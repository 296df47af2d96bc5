//! The contract's types on the wire: each record's fields in order, each case by its number.

use super::wire::{Malformed, Reader, Wire};
use crate::bindings::driver::exports::hostler::driver::about::Description;
use crate::bindings::wit::domain::BootFile;
use crate::bindings::wit::firmware::{Attachment, Firmware};
use crate::bindings::wit::log::Level;
use crate::bindings::wit::process::{Ending, LaunchPlan, OptionEntry, Reaction};
use crate::bindings::wit::qmp::{Command, Event};
use crate::bindings::wit::storage::{Below, Layer};
use crate::bindings::wit::types::{Error, Fact, Problem, RunState};
use crate::bindings::wit::value::{Handle, Node, Tree};
use crate::request::{Reply, Request};

macro_rules! records {
    ($($type:ident { $($field:ident),* })*) => {
        $(impl Wire for $type {
            fn encode(&self, to: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($field.encode(to);)*
            }

            fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
                Ok(Self { $($field: Wire::decode(from)?),* })
            }
        })*
    };
}

/// A case carries one value, or none.
macro_rules! variants {
    ($($type:ident { $($number:literal $case:ident $(($value:ident))?),* })*) => {
        $(impl Wire for $type {
            fn encode(&self, to: &mut Vec<u8>) {
                match self {
                    $(Self::$case $(($value))? => {
                        to.push($number);
                        $($value.encode(to);)?
                    })*
                }
            }

            fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
                match u8::decode(from)? {
                    $($number => Ok(Self::$case $(({ let $value = Wire::decode(from)?; $value }))?),)*
                    _ => Err(Malformed("a case that there is not")),
                }
            }
        })*
    };
}

records! {
    Fact { key, value }
    Problem { code, message, hints, details }
    Layer { format, kind, description, virtual_size, read_only, below, data_file, facts }
    Firmware { attachment, code, code_format, store, store_format, needs_smm, facts }
    OptionEntry { name, value }
    Reaction { event, commands }
    LaunchPlan { template, options, environment, reactions }
    Command { name, arguments }
    Event { cursor, name, data }
    Tree { nodes }
    Description { title, facts }
}

variants! {
    Error {
        0 Invalid(problem), 1 Unsupported(problem), 2 Denied(problem), 3 NotFound(problem), 4 Conflict(problem),
        5 TimedOut(problem), 6 Hypervisor(problem), 7 Host(problem), 8 Other(message)
    }
    RunState { 0 Off, 1 Starting, 2 Running, 3 Paused, 4 ShuttingDown, 5 Crashed, 6 Sleeping }
    Level { 0 Trace, 1 Debug, 2 Info, 3 Warn, 4 Error }
    BootFile { 0 Kernel, 1 InitialRamDisk, 2 DeviceTree, 3 AcpiTable }
    Attachment { 0 Flash, 1 Rom }
    Below { 0 Layer(index), 1 Nothing, 2 Unexamined }
    Ending { 0 Exited(status), 1 Killed(signal), 2 Unknown }
    Handle {
        0 Image(resource), 1 Code(resource), 2 VariableStore(resource), 3 Endpoint(resource), 4 File(resource),
        5 Monitor, 6 Socket(name)
    }
    Node {
        0 Null, 1 Boolean(value), 2 Integer(value), 3 Text(text), 4 Sequence(children), 5 Mapping(children),
        6 Handle(index)
    }
    Request {
        0 Describe, 1 Check, 2 Start(options), 3 Shutdown, 4 Destroy, 5 Suspend, 6 Resume, 7 Reset, 8 Query,
        9 Reattach, 10 OnEvent(event), 11 RecoveryComplete, 12 Show
    }
    Reply { 0 Described(description), 1 Document(answer), 2 State(answer), 3 Done(answer) }
}
