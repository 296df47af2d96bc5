//! Every host call on both sides of the socket: in the worker it is sent, in the host it is the same call that a driver
//! in this process makes.

use wasmtime::component::Resource;

use super::frame::{Outgoing, arguments};
use super::state::WorkerState;
use super::wire::{Malformed, Wire};
use crate::bindings::wit;
use crate::bindings::wit::domain::{BootFile, Firmware};
use crate::bindings::wit::log::Level;
use crate::bindings::wit::process::{Companion, Ending, LaunchPlan};
use crate::bindings::wit::qmp::{Command, Event};
use crate::bindings::wit::storage::Layer;
use crate::bindings::wit::types::{Error, Fact};
use crate::bindings::wit::value::Handle;
use crate::call::CallState;
use crate::interfaces::domain::Domain;
use crate::interfaces::endpoint::{Endpoint, File};
use crate::interfaces::firmware::{Code, VariableStore};
use crate::interfaces::process::Process;
use crate::interfaces::qmp::Monitor;
use crate::interfaces::storage::{Chain, Image};

/// Why a call that a worker asked for has no answer.
pub(crate) enum Unanswered {
    /// The worker sent what is no call: it is not to be trusted with anything any more.
    Malformed(Malformed),
    /// The operation ends, as it would for a driver in this process.
    Ends(wasmtime::Error),
}

impl From<Malformed> for Unanswered {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// How a finished call goes back. A call that is `told` has no answer, and nobody waits for it.
mod back {
    use super::{Outgoing, Wire};

    pub(super) fn asked(answer: &impl Wire) -> Option<Outgoing> {
        Some(Outgoing::of(answer))
    }

    pub(super) fn told((): &()) -> Option<Outgoing> {
        None
    }
}

macro_rules! calls {
    ($($interface:ident::$trait:ident {
        $($number:literal $how:ident $method:ident($($name:ident: $type:ty),*) -> $answer:ty;)*
        $(drop $drop:literal $resource:ty;)?
    })*) => {
        $(impl wit::$interface::$trait for WorkerState {
            $(async fn $method(&mut self, $($name: $type),*) -> wasmtime::Result<$answer> {
                self.$how($number, &($($name,)*))
            })*

            $(async fn drop(&mut self, me: Resource<$resource>) -> wasmtime::Result<()> {
                self.told($drop, &(me,))
            })?
        })*

        /// Makes the call of this number with these arguments; the answer, where somebody waits for it.
        ///
        /// # Errors
        /// See [`Unanswered`].
        pub(crate) async fn make(
            state: &mut CallState,
            number: u8,
            given: &[u8],
        ) -> Result<Option<Outgoing>, Unanswered> {
            match number {
                $($($number => {
                    let ($($name,)*): ($($type,)*) = arguments(given).whole()?;
                    let made = <CallState as wit::$interface::$trait>::$method(state, $($name),*).await;
                    let answer: $answer = made.map_err(Unanswered::Ends)?;
                    Ok(back::$how(&answer))
                })*
                $($drop => {
                    let me: Resource<$resource> = arguments(given).whole()?;
                    let own = Resource::new_own(me.rep());
                    <CallState as wit::$interface::$trait>::drop(state, own).await.map_err(Unanswered::Ends)?;
                    Ok(None)
                })?)*
                _ => Err(Malformed("a call that there is not").into()),
            }
        }

        /// What the contract calls it, with underscores; for the log.
        pub(crate) fn name(number: u8) -> &'static str {
            match number {
                $($($number => concat!(stringify!($interface), ".", stringify!($method)),)*
                $($drop => concat!(stringify!($resource), ".drop"),)?)*
                _ => "none",
            }
        }

        /// Whether these are arguments of the call of this number.
        ///
        /// # Errors
        /// They are not, or there is no such call.
        pub(super) fn judge(number: u8, given: &[u8]) -> Result<(), Malformed> {
            match number {
                $($($number => arguments(given).whole::<($($type,)*)>().map(drop),)*
                $($drop => arguments(given).whole::<Resource<$resource>>().map(drop),)?)*
                _ => Err(Malformed("a call that there is not")),
            }
        }
    };
}

calls! {
    types::Host {}
    storage::Host {}
    firmware::Host {}
    endpoint::Host {}
    value::Host {}
    process::Host {}
    qmp::Host {}
    domain::Host {}
    log::Host {
        0 told write(level: Level, message: String, facts: Vec<Fact>) -> ();
    }
    clock::Host {
        1 asked monotonic_ms() -> u64;
        2 asked unix_seconds() -> u64;
        3 asked random(length: u32) -> Vec<u8>;
    }
    storage::HostImage {
        drop 4 Image;
    }
    storage::HostChain {
        5 asked layers(me: Resource<Chain>) -> Vec<Layer>;
        6 asked image(me: Resource<Chain>, index: u32) -> Result<Resource<Image>, Error>;
        drop 7 Chain;
    }
    firmware::HostCode {
        drop 8 Code;
    }
    firmware::HostVariableStore {
        drop 9 VariableStore;
    }
    endpoint::HostEndpoint {
        10 asked facts(me: Resource<Endpoint>) -> Vec<Fact>;
        drop 11 Endpoint;
    }
    endpoint::HostFile {
        drop 12 File;
    }
    process::HostProcess {
        13 asked ending(me: Resource<Process>) -> Option<Ending>;
        14 asked wait(me: Resource<Process>, timeout_ms: u64) -> Result<Ending, Error>;
        15 asked end(me: Resource<Process>, gracefully: bool, timeout_ms: u64) -> Result<Ending, Error>;
        16 asked output_tail(me: Resource<Process>) -> String;
        drop 17 Process;
    }
    qmp::HostMonitor {
        18 asked execute(me: Resource<Monitor>, command: Command, handles: Vec<Handle>) -> Result<String, Error>;
        19 asked execute_all(me: Resource<Monitor>, commands: Vec<Command>, handles: Vec<Handle>)
            -> Vec<Result<String, Error>>;
        20 asked cursor(me: Resource<Monitor>) -> u64;
        21 asked wait_event(me: Resource<Monitor>, names: Vec<String>, cursor: u64, timeout_ms: u64)
            -> Result<Option<Event>, Error>;
        50 asked answer_once(me: Resource<Monitor>, event: String, commands: Vec<String>, unless: Vec<String>)
            -> Result<(), Error>;
        drop 22 Monitor;
    }
    domain::HostDomain {
        23 asked name(me: Resource<Domain>) -> String;
        24 asked uuid(me: Resource<Domain>) -> String;
        25 asked config(me: Resource<Domain>) -> String;
        26 asked facts(me: Resource<Domain>) -> Vec<Fact>;
        27 asked state(me: Resource<Domain>) -> Result<Vec<u8>, Error>;
        28 asked put_state(me: Resource<Domain>, notes: Vec<u8>) -> Result<(), Error>;
        29 asked disk(me: Resource<Domain>, target: String) -> Result<Resource<Chain>, Error>;
        30 asked firmware(me: Resource<Domain>) -> Result<Option<Firmware>, Error>;
        31 asked boot_file(me: Resource<Domain>, which: BootFile) -> Result<Option<Resource<File>>, Error>;
        32 asked endpoint(me: Resource<Domain>, alias: String) -> Result<Resource<Endpoint>, Error>;
        33 asked launch(me: Resource<Domain>, plan: LaunchPlan, handles: Vec<Handle>)
            -> Result<Resource<Process>, Error>;
        34 asked process(me: Resource<Domain>) -> Option<Resource<Process>>;
        35 asked monitor(me: Resource<Domain>) -> Result<Resource<Monitor>, Error>;
        38 asked output(me: Resource<Domain>) -> Result<Resource<File>, Error>;
        39 asked input(me: Resource<Domain>) -> Result<Resource<File>, Error>;
        40 asked next_config(me: Resource<Domain>) -> Result<String, Error>;
        41 asked next_disk(me: Resource<Domain>, target: String) -> Result<Resource<Chain>, Error>;
        70 asked launch_with(me: Resource<Domain>, plan: LaunchPlan, companions: Vec<Companion>, handles: Vec<Handle>)
            -> Result<Resource<Process>, Error>;
        71 asked link(me: Resource<Domain>, companion: String) -> Result<Resource<Endpoint>, Error>;
        72 asked directory(me: Resource<Domain>, name: String) -> Result<Resource<File>, Error>;
        73 asked shared_folder(me: Resource<Domain>, position: u32) -> Result<Resource<File>, Error>;
        90 asked listener(me: Resource<Domain>, alias: String) -> Result<Resource<Endpoint>, Error>;
        91 asked viewers(me: Resource<Domain>, alias: String, listening: bool) -> Result<Resource<Endpoint>, Error>;
        80 asked network_interface(me: Resource<Domain>, position: u32) -> Result<Resource<Endpoint>, Error>;
        81 asked next_network_interface(me: Resource<Domain>, position: u32) -> Result<Resource<Endpoint>, Error>;
        110 asked disk_secret(me: Resource<Domain>, target: String, layer: u32) -> Result<Resource<File>, Error>;
        111 asked next_disk_secret(me: Resource<Domain>, target: String, layer: u32) -> Result<Resource<File>, Error>;
        112 asked next_endpoint(me: Resource<Domain>, alias: String) -> Result<Resource<Endpoint>, Error>;
        113 asked forwarded_ports(me: Resource<Domain>, network_interface: u32, forward: u32)
            -> Result<Resource<Endpoint>, Error>;
        114 asked name_devices(me: Resource<Domain>, names: Vec<(u32, String)>) -> Result<(), Error>;
        36 told emit(me: Resource<Domain>, kind: String, facts: Vec<Fact>) -> ();
        drop 37 Domain;
    }
}
