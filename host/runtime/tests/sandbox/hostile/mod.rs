//! Every hostile driver is refused or contained, the error names it, and host and other drivers go on.
//!
//! The attacks are those of the security brief's catalogue. A guest is a text in `tests/guests/hostile`, or made in
//! `generated.rs` where it would be too long to write.

mod encode;
mod generated;

use std::time::Duration;

use encode::{Contract, OURS, driver, text};
use hostler_grant::Policy;
use hostler_runtime::{Driver, Limits, RunState, Runtime, RuntimeConfig, RuntimeError, RuntimeErrorKind};
use wit_component::StringEncoding;

use crate::setting::{Place, Setting, both, component, runtime, tenant};

/// What the host makes of a guest.
enum Expected {
    /// It is not loaded: the kind of the refusal, and a part of its sentence.
    Refused(RuntimeErrorKind, &'static str),
    /// It is loaded, and its `start` ends like this.
    Ends(RuntimeErrorKind, &'static str),
    /// It does no harm: `start` succeeds.
    Runs,
}

use Expected::{Ends, Refused, Runs};
use RuntimeErrorKind::{Contract as OtherContract, Denied, Load, Memory, Rate, Timeout, Trap};

/// A policy that gives everything to everybody: what holds is not the grants.
fn generous() -> Policy {
    Policy::parse(br#"{"default":{"allow":["*"]}}"#).unwrap()
}

/// Time enough that only the rate of host calls can end a guest.
fn patient() -> Limits {
    Limits {
        cpu: Duration::from_secs(60),
        host_call_burst: 3_000,
        host_calls_per_second: 1,
        ..Limits::default()
    }
}

fn load(runtime: &Runtime, bytes: &[u8], policy: &Policy) -> Result<Driver, RuntimeError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hostile.wasm");
    std::fs::write(&path, bytes).unwrap();
    runtime.load(&path, policy, &tenant())
}

/// Loads and starts a guest, and shows that a neighbour in the same process goes on.
async fn meet(place: Place, bytes: impl AsRef<[u8]>, limits: Limits, expected: Expected) {
    meet_under(place, bytes, limits, &generous(), expected).await;
}

async fn meet_under(
    place: Place,
    bytes: impl AsRef<[u8]>,
    limits: Limits,
    policy: &Policy,
    expected: Expected,
) {
    let neighbour_setting = Setting::new("test", "neighbour");
    let neighbour_context = neighbour_setting.context();
    let runtime = runtime(place, limits);
    let neighbour = runtime.load(&component("drivers/test.wasm"), &generous(), &crate::setting::neighbour());
    let neighbour = neighbour.unwrap();
    neighbour.start(&neighbour_context, &[]).await.unwrap();
    match load(&runtime, bytes.as_ref(), policy) {
        Err(error) => refused(&error, &expected),
        Ok(hostile) => contained(&hostile, expected).await,
    }
    assert_eq!(
        neighbour.query(&neighbour_context).await.unwrap(),
        RunState::Running,
        "the neighbour goes on"
    );
    neighbour.destroy(&neighbour_context).await.unwrap();
}

fn refused(error: &RuntimeError, expected: &Expected) {
    let Refused(kind, part) = expected else { panic!("refused: {error}") };
    assert_eq!(error.kind, *kind, "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

async fn contained(hostile: &Driver, expected: Expected) {
    let setting = Setting::new("hostile", "victim");
    let context = setting.context();
    let (ended, expected) = (hostile.start(&context, &[]).await, expected);
    match (ended, expected) {
        (Ok(()), Runs) => {}
        (Err(error), Ends(kind, part)) => {
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.message().contains(part), "{error}");
            assert!(error.to_string().starts_with("driver hostile 6.6.6, start: "), "{error}");
        }
        (Ok(()), _) => panic!("it ran"),
        (Err(error), _) => panic!("ended: {error}"),
    }
}

/// Two tests for each guest, in this process and in one of its own: the name of the test, how the guest is made, under
/// which limits, what comes of it.
macro_rules! guests {
    ($($test:ident: $bytes:expr, $limits:expr, $expected:expr;)*) => {
        both! {
            $(async fn $test(place) {
                meet(place, $bytes, $limits, $expected).await;
            })*
        }
    };
}

/// A guest of the folder.
fn guest(name: &str) -> Vec<u8> {
    driver(&text(name), OURS)
}

/// A guest of the folder that is a component as a whole.
fn whole(name: &str) -> Vec<u8> {
    encode::component(&text(&format!("{name}.component")))
}

/// An ordinary driver with a guest of the folder within it, which only a compiler looks into.
fn within(name: &str) -> Vec<u8> {
    generated::with_component(&text(&format!("{name}.component")))
}

/// A guest that imports `touch` of a package that is not ours.
fn foreign(name: &str, package: &str, import: &str) -> Vec<u8> {
    driver(&text(name), Contract { foreign: Some((package, import)), ..OURS })
}

fn usual() -> Limits {
    Limits::default()
}

/// A policy that sets limits of the hostile driver, and none of its neighbour.
fn strict(limits: &str) -> Policy {
    let text = format!(
        r#"{{"default":{{"allow":["*"]}},"drivers":{{"hostile":{{"allow":["*"],"limits":{{{limits}}}}}}}}}"#
    );
    Policy::parse(text.as_bytes()).unwrap()
}

mod of_the_policy {
    use super::*;

    both! {
        async fn limits_of_the_policy_hold_for_the_driver_that_they_name(place) {
            for (bytes, limits, expected) in [
                (guest("handle-hoard"), r#""handles":16"#, Ends(Memory, "more than 16 handles")),
                (guest("table-initial"), r#""table-elements":100"#, Ends(Memory, "may have 100")),
                (guest("uses-the-host"), r#""core-instances":1"#, Ends(Trap, "instance count too high at 2")),
                (guest("ordinary"), r#""core-instances":8,"tables":2,"message-kib":64"#, Runs),
            ] {
                meet_under(place, bytes, patient(), &strict(limits), expected).await;
            }
        }
    }
}

guests! {
    hostile_ordinary: guest("ordinary"), usual(), Runs;
    hostile_uses_the_host: guest("uses-the-host"), usual(), Runs;
    hostile_cpu_loop: guest("cpu-loop"), usual(), Ends(Timeout, "processor time");
    hostile_cpu_loop_at_instantiation: guest("cpu-loop-at-instantiation"), usual(), Ends(Timeout, "processor time");
    hostile_cpu_loop_in_realloc: guest("cpu-loop-in-realloc"), usual(), Ends(Timeout, "processor time");
    hostile_cpu_loop_in_post_return: guest("cpu-loop-in-post-return"), usual(), Ends(Timeout, "processor time");
    hostile_cpu_recursion: guest("cpu-recursion"), usual(), Ends(Trap, "stack");
    hostile_cpu_call_storm: guest("cpu-call-storm"), patient(), Ends(Rate, "host calls");
    hostile_cpu_bulk_fill: guest("cpu-bulk-fill"), usual(), Ends(Timeout, "processor time");
    hostile_memory_grow: guest("memory-grow"), usual(), Runs;
    hostile_memory_initial: guest("memory-initial"), usual(), Ends(Memory, "bytes of memory");
    hostile_memory_many: guest("memory-many"), usual(), Ends(Trap, "memory count too high");
    hostile_memory_few_large: guest("memory-few-large"), usual(), Ends(Memory, "bytes of memory");
    hostile_table_grow: guest("table-grow"), usual(), Runs;
    hostile_table_initial: guest("table-initial"), usual(), Ends(Memory, "a table of 100000000 elements");
    hostile_table_many: guest("table-many"), usual(), Ends(Trap, "table count too high");
    hostile_many_instances: generated::many_instances(), usual(), Ends(Trap, "instance count too high");
    hostile_text_out_of_bounds: guest("text-out-of-bounds"), usual(), Ends(Trap, "out of bounds");
    hostile_text_invalid_utf8: guest("text-invalid-utf8"), usual(), Ends(Trap, "utf-8");
    hostile_text_escapes: guest("text-escapes"), usual(), Runs;
    hostile_text_utf16: driver(&text("text-out-of-bounds"), Contract { encoding: StringEncoding::UTF16, ..OURS }),
        usual(), Refused(Load, "UTF-8");
    hostile_text_latin1: driver(&text("text-out-of-bounds"), Contract { encoding: StringEncoding::CompactUTF16, ..OURS }),
        usual(), Refused(Load, "UTF-8");
    hostile_list_amplified: guest("list-amplified"), usual(), Ends(Trap, "fuel allocated for hostcalls");
    hostile_list_wraps: guest("list-wraps"), usual(), Ends(Trap, "");
    hostile_message_too_large: guest("message-too-large"), usual(), Ends(Trap, "fuel allocated for hostcalls");
    hostile_realloc_out_of_bounds: guest("realloc-out-of-bounds"), usual(), Ends(Trap, "realloc");
    hostile_realloc_traps: guest("realloc-traps"), usual(), Ends(Trap, "unreachable");
    hostile_realloc_aliases: guest("realloc-aliases"), usual(), Runs;
    hostile_handle_forged: guest("handle-forged"), usual(), Ends(Trap, "unknown handle index");
    hostile_handle_scan: guest("handle-scan"), usual(), Ends(Trap, "unknown handle index");
    hostile_handle_of_another_kind: guest("handle-of-another-kind"), usual(), Ends(Trap, "handle index");
    hostile_handle_after_drop: guest("handle-after-drop"), usual(), Ends(Trap, "unknown handle index");
    hostile_handle_double_drop: guest("handle-double-drop"), usual(), Ends(Trap, "unknown handle index");
    hostile_handle_borrowed_drop: guest("handle-borrowed-drop"), usual(), Ends(Trap, "unknown handle index");
    hostile_handle_kept: guest("handle-kept"), usual(), Ends(Trap, "borrow handles still remain");
    hostile_handle_hoard: guest("handle-hoard"), patient(), Ends(Memory, "handles");
    hostile_flood_log: guest("flood-log"), patient(), Ends(Rate, "host calls");
    hostile_flood_events: guest("flood-events"), patient(), Ends(Rate, "host calls");
    hostile_flood_launches: guest("flood-launches"), patient(), Ends(Rate, "host calls");
    hostile_random_hoard: guest("random-hoard"), usual(), Runs;
    hostile_link_newer_contract:
        driver(&text("link-newer-contract"), Contract { changed: &[("0.1.1", "0.2.0")], ..OURS }),
        usual(), Refused(OtherContract, "0.2.0");
    hostile_link_unknown_interface: driver(&text("link-unknown-interface"),
        Contract { changed: &[("interface clock {", "interface everything { touch: func(); } interface clock {"),
            ("world driver {", "world driver { import hostler:host/everything@0.1.1;")], ..OURS }),
        usual(), Refused(OtherContract, "hostler:host/everything@0.1.1");
    hostile_link_other_type:
        driver(&text("link-other-type"), Contract { changed: &[("monotonic-ms: func() -> u64", "monotonic-ms: func() -> string")], ..OURS }),
        usual(), Refused(OtherContract, "not those of the contract");
    hostile_link_wasi_filesystem: foreign("link-wasi-filesystem",
        "package wasi:filesystem@0.2.0; interface types { touch: func(); }", "wasi:filesystem/types@0.2.0"),
        usual(), Refused(Denied, "wasi:filesystem/types@0.2.0");
    hostile_link_wasi_sockets: foreign("link-wasi-sockets",
        "package wasi:sockets@0.2.0; interface tcp { touch: func(); }", "wasi:sockets/tcp@0.2.0"),
        usual(), Refused(Denied, "wasi:sockets/tcp@0.2.0");
    hostile_link_wasi_environment: foreign("link-wasi-environment",
        "package wasi:cli@0.2.0; interface environment { touch: func(); }", "wasi:cli/environment@0.2.0"),
        usual(), Refused(Denied, "wasi:cli/environment@0.2.0");
    hostile_link_wasi_http: foreign("link-wasi-http",
        "package wasi:http@0.2.0; interface outgoing-handler { touch: func(); }", "wasi:http/outgoing-handler@0.2.0"),
        usual(), Refused(Denied, "wasi:http/outgoing-handler@0.2.0");
    hostile_link_admin: foreign("link-admin",
        "package hostler:hostile@0.1.1; interface domain { touch: func(); }", "hostler:hostile/domain@0.1.1"),
        usual(), Refused(Denied, "hostler:hostile/domain@0.1.1");
    hostile_link_no_export: whole("link-no-export"), usual(), Refused(OtherContract, "does not export");
    hostile_bad_empty: "", usual(), Refused(Load, "not WebAssembly");
    hostile_bad_garbage: (0..=255).cycle().take(4_096).collect::<Vec<u8>>(), usual(), Refused(Load, "not WebAssembly");
    hostile_bad_core_module: b"\0asm\x01\0\0\0", usual(), Refused(Load, "core module");
    hostile_bad_section_length: b"\0asm\x0d\0\x01\0\x07\xff\xff\xff\xff\x0f", usual(), Refused(Load, "damaged");
    hostile_bad_version: b"\0asm\x63\0\x01\0", usual(), Refused(Load, "another version");
    hostile_bad_compiled: [b"\x7fELF".to_vec(), vec![0; 4_092]].concat(), usual(), Refused(Load, "not WebAssembly");
    hostile_bad_nesting: generated::nested_components(), usual(), Refused(Load, "nests deeper");
    hostile_bad_type_bomb: generated::type_bomb(), usual(), Refused(Load, "not valid");
    hostile_feature_threads: within("feature-threads"), usual(), Refused(Load, "switched off");
    hostile_feature_memory64: within("feature-memory64"), usual(), Refused(Load, "switched off");
    hostile_compile_many_locals: generated::many_locals(), usual(), Runs;
    hostile_compile_many_functions: generated::many_functions(), usual(), Runs;
    hostile_compile_deep_blocks: generated::deep_blocks(), usual(), Runs;
}

/// Every text of the folder is met by a test above.
#[test]
fn every_guest_of_the_folder_has_a_test() {
    let here = include_str!("mod.rs");
    for entry in encode::folder().read_dir().unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = name.strip_suffix(".wat") else { panic!("{name} is no guest") };
        let name = name.trim_end_matches(".component");
        assert!(name == "driver" || here.contains(&format!("(\"{name}\"")), "{name} has no test");
    }
}

/// Numbers that are handles of one tenant's call are no handles in another's.
#[tokio::test]
async fn no_number_of_one_call_is_a_handle_of_another() {
    let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
    let hoarder = load(&runtime, &guest("handle-hoard"), &generous()).unwrap();
    let scanner = load(&runtime, &guest("handle-scan"), &generous()).unwrap();
    let (one, other) = (Setting::new("hostile", "one"), Setting::new("hostile", "other"));
    let (one, other) = (one.context(), other.context());
    let (hoarded, scanned) = tokio::join!(hoarder.start(&one, &[]), scanner.start(&other, &[]));
    assert_eq!(hoarded.unwrap_err().kind, Memory);
    assert!(scanned.unwrap_err().message().contains("unknown handle index"));
}
