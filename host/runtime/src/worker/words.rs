//! The contract's types on the wire: each record's fields in order, each case by its number.

use super::wire::{Malformed, Reader, Wire};
use crate::bindings::block_jobs::exports::hostler::driver::block_jobs::{
    BlockJob, JobKind, JobReport, JobState,
};
use crate::bindings::driver::exports::hostler::driver::about::Description;
use crate::bindings::hotplug::exports::hostler::driver::hotplug::Presence;
use crate::bindings::migration::exports::hostler::driver::migration::{MigrationReport, MigrationState};
use crate::bindings::sizing::exports::hostler::driver::sizing::Amounts;
use crate::bindings::snapshots::exports::hostler::driver::snapshots::Kept;
use crate::bindings::wit::domain::BootFile;
use crate::bindings::wit::firmware::{Attachment, Firmware};
use crate::bindings::wit::log::Level;
use crate::bindings::wit::process::{Companion, Ending, LaunchPlan, OptionEntry, Reaction};
use crate::bindings::wit::qmp::{Command, Event};
use crate::bindings::wit::storage::{Below, Layer};
use crate::bindings::wit::types::{Error, Fact, Problem, RunState};
use crate::bindings::wit::value::{Handle, Node, Tree};
use crate::request::{
    AskedReport, Change, DumpWish, Keys, NewSize, NewSpeed, Question, Reply, Request, Return, Threshold,
};

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
    Companion { name, template, options, environment }
    Command { name, arguments }
    Event { cursor, name, data }
    Tree { nodes }
    Description { title, facts }
    Keys { keys, hold_ms }
    Change { device, options }
    BlockJob { kind, target, top, base, reference, options }
    JobReport { state, done, total, error }
    AskedReport { job, timeout_ms }
    NewSize { target, bytes }
    Kept { name, targets, memory }
    Return { kept, options }
    MigrationReport { state, facts, error }
    Amounts { memory, vcpus }
    NewSpeed { job, bandwidth }
    Question { name, arguments }
    Threshold { target, layer, bytes }
    DumpWish { format, options }
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
        9 Reattach, 10 OnEvent(event), 11 RecoveryComplete, 12 Show, 13 Save(options), 14 Restore(options),
        15 AbandonSave, 16 TakePicture(display), 17 PressKeys(keys), 18 Attach(device), 19 Detach(device),
        20 UpdateDevice(change), 21 SettleDevice(device), 22 BeginBlockJob(job), 23 ReportBlockJob(asked),
        24 CompleteBlockJob(job), 25 CancelBlockJob(job), 26 SettleBlockJob(job), 27 ResizeDisk(size), 28 Keep(kept),
        29 SettleKeep(kept), 30 Forget(kept), 31 BringBack(back), 32 OverlayWithMemory(targets), 40 Reboot,
        41 Dump(wish), 42 ReadStatistics, 60 Overlay(targets), 61 SettleOverlay(targets), 50 BeginMigration(options),
        51 ReportMigration(timeout), 52 AbandonMigration, 53 PrepareGuest(options), 54 ReceiveGuest, 90 ReadAmounts,
        91 SetMemory(bytes), 92 SetVcpus(count), 100 SetJobSpeed(speed), 101 Ask(question), 102 Interrupt, 103 Wake,
        104 CountMemory(seconds), 105 WatchWrites(threshold), 106 MeasureWrites(seconds), 107 PrepareBlockJob(job)
    }
    JobKind { 0 Commit, 1 Pull, 2 Copy }
    JobState { 0 None, 1 Running, 2 Ready, 3 Pending, 4 Done, 5 Failed }
    Reply {
        0 Described(description), 1 Document(answer), 2 State(answer), 3 Done(answer), 4 Presence(answer),
        5 Reported(answer), 8 Facts(answer), 9 Whether(answer), 13 MigrationReported(answer),
        20 Amounts(answer)
    }
    Presence { 0 Present, 1 Absent }
    MigrationState { 0 None, 1 Running, 2 Done, 3 Failed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;
    use crate::worker::frame::arguments;
    use proptest::prelude::*;
    use wasmtime::component::Resource;

    fn encoded(value: &impl Wire) -> Vec<u8> {
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        bytes
    }

    /// What comes out is what went in: as it is shown, and byte for byte.
    fn comes_back<T: Wire + std::fmt::Debug>(value: &T) -> Result<(), TestCaseError> {
        let bytes = encoded(value);
        let read: T = arguments(&bytes).whole().map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(format!("{read:?}"), format!("{value:?}"));
        prop_assert_eq!(encoded(&read), bytes.clone());
        for shorter in 0..bytes.len() {
            prop_assert!(arguments(&bytes[..shorter]).whole::<T>().is_err(), "cut to {} bytes", shorter);
        }
        Ok(())
    }

    fn text() -> impl Strategy<Value = String> {
        "[a-zß\\n]{0,12}"
    }

    fn facts() -> impl Strategy<Value = Vec<Fact>> {
        prop::collection::vec((text(), text()).prop_map(|(key, value)| Fact { key, value }), 0..3)
    }

    fn error() -> impl Strategy<Value = Error> {
        let problem = (text(), text(), prop::collection::vec(text(), 0..3), facts());
        (0..9, problem).prop_map(|(case, (code, message, hints, details))| {
            let problem = Problem { code, message, hints, details };
            match case {
                0 => Error::Invalid(problem),
                1 => Error::Unsupported(problem),
                2 => Error::Denied(problem),
                3 => Error::NotFound(problem),
                4 => Error::Conflict(problem),
                5 => Error::TimedOut(problem),
                6 => Error::Hypervisor(problem),
                7 => Error::Host(problem),
                _ => Error::Other(problem.message),
            }
        })
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let node = prop_oneof![
            Just(Node::Null),
            any::<bool>().prop_map(Node::Boolean),
            any::<i64>().prop_map(Node::Integer),
            text().prop_map(Node::Text),
            prop::collection::vec(any::<u32>(), 0..4).prop_map(Node::Sequence),
            prop::collection::vec((text(), any::<u32>()), 0..4).prop_map(Node::Mapping),
            any::<u32>().prop_map(Node::Handle),
        ];
        prop::collection::vec(node, 0..6).prop_map(|nodes| Tree { nodes })
    }

    fn plan() -> impl Strategy<Value = LaunchPlan> {
        let option = (text(), prop::option::of(tree())).prop_map(|(name, value)| OptionEntry { name, value });
        let reaction = (text(), prop::collection::vec(text(), 0..3))
            .prop_map(|(event, commands)| Reaction { event, commands });
        (text(), prop::collection::vec(option, 0..4), facts(), prop::collection::vec(reaction, 0..3))
            .prop_map(|(template, options, environment, reactions)| LaunchPlan {
                template,
                options,
                environment,
                reactions,
            })
    }

    fn layer() -> impl Strategy<Value = Layer> {
        let below =
            prop_oneof![any::<u32>().prop_map(Below::Layer), Just(Below::Nothing), Just(Below::Unexamined)];
        let numbers = (any::<u64>(), any::<bool>(), prop::option::of(any::<u32>()));
        (text(), text(), text(), numbers, below, facts()).prop_map(
            |(format, kind, description, (virtual_size, read_only, data_file), below, facts)| Layer {
                format,
                kind,
                description,
                virtual_size,
                read_only,
                below,
                data_file,
                facts,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn values_come_back(error in error(), plan in plan(), layer in layer(), tree in tree(), cursor in any::<u64>()) {
            comes_back(&plan)?;
            comes_back(&layer)?;
            comes_back(&Command { name: "query-status".into(), arguments: Some(tree) })?;
            comes_back(&Reply::Done(Err(error.clone())))?;
            comes_back(&Reply::Document(Ok("<domain/>".into())))?;
            comes_back(&Err::<Option<Event>, _>(error))?;
            comes_back(&Request::OnEvent(Event { cursor, name: "STOP".into(), data: "{}".into() }))?;
            comes_back(&Ending::Killed(9))?;
        }

        #[test]
        fn what_is_read_of_any_bytes_is_what_they_say(bytes in prop::collection::vec(prop_oneof![0_u8..3, any::<u8>()], 0..80)) {
            if let Ok(plan) = arguments(&bytes).whole::<LaunchPlan>() {
                prop_assert_eq!(encoded(&plan), bytes.clone());
            }
            if let Ok(reply) = arguments(&bytes).whole::<Reply>() {
                prop_assert_eq!(encoded(&reply), bytes.clone());
            }
            if let Ok(handles) = arguments(&bytes).whole::<Vec<Handle>>() {
                prop_assert_eq!(encoded(&handles), bytes);
            }
        }
    }

    #[test]
    fn resources_of_a_worker_are_only_named_and_those_of_the_host_are_given() {
        let firmware = Firmware {
            attachment: Attachment::Flash,
            code: Resource::new_own(3),
            code_format: "raw".into(),
            store: Some(Resource::new_own(4)),
            store_format: "raw".into(),
            needs_smm: true,
            facts: Vec::new(),
        };
        let bytes = encoded(&firmware);
        let given: Firmware = Reader::of_host(&bytes).whole().unwrap();
        assert!(given.code.owned() && given.code.rep() == 3 && given.store.unwrap().rep() == 4);
        let named: Firmware = arguments(&bytes).whole().unwrap();
        assert!(!named.code.owned());
    }

    #[test]
    fn lengths_that_lie_and_values_too_large_for_a_message_are_refused() {
        let many = encoded(&u32::MAX);
        assert!(arguments(&many).whole::<Vec<Node>>().is_err());
        assert!(arguments(&many).whole::<String>().is_err());
        // One byte each in the message, and much more in memory.
        let count = limits::MESSAGE_MEMORY_BYTES / size_of::<Node>() + 1;
        let nodes = encoded(&Tree { nodes: vec![Node::Null; count] });
        assert!(nodes.len() < limits::MESSAGE_BYTES);
        assert!(arguments(&nodes).whole::<Tree>().unwrap_err().0.contains("more than a message may hold"));
        assert!(arguments(&[2]).whole::<bool>().is_err());
        assert!(arguments(&encoded(&1_u32)).whole::<String>().is_err());
    }
}
