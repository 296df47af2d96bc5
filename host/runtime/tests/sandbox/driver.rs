//! Drivers as the host runs them: their faults, their limits, their manifests, their notes.

use std::time::{Duration, Instant};

use crate::setting::{
    Place, Setting, both, component, load_with, patched, policy, runtime_with_stack, tenant,
};
use hostler_network::Attachments;
use hostler_runtime::{
    CacheOutcome, Case, DomainContext, Limits, Next, Operation, RunState, Runtime, RuntimeConfig,
    RuntimeError, RuntimeErrorKind,
};
use hostler_storage::Translations;

fn assert_names_the_call(error: &RuntimeError) {
    let text = error.to_string();
    assert!(text.starts_with("driver fault 0.1.0, start: "), "{text}");
    assert_eq!(error.operation(), Some(Operation::Start));
    assert!(error.driver().unwrap().digest.starts_with("sha256:"));
}

/// Starts a domain of the misbehaving driver, then shows that driver and host go on.
async fn misbehave(place: Place, behaviour: &str) -> RuntimeError {
    let setting = Setting::new("fault", behaviour);
    let driver = setting.load(place, "guests/fault.wasm");
    let error = driver.start(&setting.context(), &[]).await.unwrap_err();
    assert_names_the_call(&error);
    assert_eq!(driver.query(&setting.context()).await.unwrap(), RunState::Off, "the next call works");
    error
}

both! {
    async fn trap_names_driver_version_and_operation_and_loses_only_the_call(place) {
        let error = misbehave(place, "trap").await;
        assert_eq!(error.kind, RuntimeErrorKind::Trap);
        assert!(error.message().contains("unreachable"), "{error}");
    }

    async fn endless_loop_ends_at_its_processor_time(place) {
        let begun = Instant::now();
        let error = misbehave(place, "loop").await;
        assert_eq!(error.kind, RuntimeErrorKind::Timeout);
        assert!(error.message().contains("processor time"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }

    async fn storm_of_host_calls_ends_at_the_rate_of_its_tenant(place) {
        // A rate so low that it, and not the processor time, ends the call on any machine.
        let limits = Limits { host_call_burst: 1_000, host_calls_per_second: 1, ..Limits::default() };
        let setting = Setting::new("fault", "host-calls");
        let error = load_with(place, limits, "guests/fault.wasm").start(&setting.context(), &[]).await.unwrap_err();
        assert_names_the_call(&error);
        assert_eq!(error.kind, RuntimeErrorKind::Rate);
    }

    async fn memory_bomb_ends_at_the_limit(place) {
        let error = misbehave(place, "memory").await;
        assert_eq!(error.kind, RuntimeErrorKind::Memory);
        assert!(error.message().contains("bytes of memory"), "{error}");
    }

    async fn endless_recursion_traps(place) {
        let error = misbehave(place, "recursion").await;
        assert_eq!(error.kind, RuntimeErrorKind::Trap);
        assert!(error.message().contains("stack"), "{error}");
    }

    async fn stack_is_as_large_as_the_runtime_says(place) {
        let setting = Setting::new("fault", "deep-recursion");
        setting.load(place, "guests/fault.wasm").start(&setting.context(), &[]).await.unwrap();
        let small = runtime_with_stack(place, 64 << 10);
        let driver = small.load(&component("guests/fault.wasm"), &policy(), &tenant()).unwrap();
        let error = driver.start(&setting.context(), &[]).await.unwrap_err();
        assert!(error.kind == RuntimeErrorKind::Trap && error.message().contains("stack"), "{error}");
    }

    async fn flood_of_log_lines_does_not_stop_the_driver(place) {
        // Its lines are escaped one by one, which costs an unoptimised host more processor time than a call has.
        let limits = Limits { cpu: Duration::from_secs(60), ..Limits::default() };
        let setting = Setting::new("fault", "log-flood");
        let driver = load_with(place, limits, "guests/fault.wasm");
        driver.start(&setting.context(), &[]).await.unwrap();
    }

    async fn wall_deadline_ends_a_call_that_still_has_processor_time(place) {
        let limits =
            Limits { cpu: Duration::from_secs(60), start: Duration::from_millis(50), ..Limits::default() };
        let setting = Setting::new("fault", "loop");
        let driver = load_with(place, limits, "guests/fault.wasm");
        let error = driver.start(&setting.context(), &[]).await.unwrap_err();
        assert_names_the_call(&error);
        assert_eq!(
            (error.kind, error.message()),
            (RuntimeErrorKind::Timeout, "the driver did not answer within 50 ms")
        );
        assert_eq!(driver.query(&setting.context()).await.unwrap(), RunState::Off);
    }

    async fn cancelled_call_loses_nothing(place) {
        let setting = Setting::new("fault", "loop");
        let driver = setting.load(place, "guests/fault.wasm");
        let context = setting.context();
        let call = driver.start(&context, &[]);
        assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
        assert_eq!(driver.query(&context).await.unwrap(), RunState::Off);
    }

    async fn next_document_is_there_only_in_an_operation_that_has_one(place) {
        let setting = Setting::new("fault", "next-config");
        let driver = setting.load(place, "guests/fault.wasm");
        let context = setting.context();
        let error = driver.start(&context, &[]).await.unwrap_err();
        assert_eq!((error.kind, error.code()), (RuntimeErrorKind::Driver, "domain.no-next"));
        let next = Next { xml: "<domain/>".to_owned(), volumes: Translations::default(), networks: Attachments::default() };
        let context = DomainContext { next: Some(next), ..context };
        driver.start(&context, &[]).await.unwrap();
        assert_eq!(setting.notes().as_deref(), Some(b"<domain/>".as_slice()));
    }

    async fn next_disk_needs_the_grant_of_every_disk(place) {
        let setting = Setting::new("fault", "next-disk");
        let driver = setting.load(place, "guests/fault.wasm");
        let error = driver.start(&setting.context(), &[]).await.unwrap_err();
        assert_eq!((error.kind, error.code()), (RuntimeErrorKind::Driver, "grant.denied"));
    }

    async fn calls_of_one_driver_run_side_by_side(place) {
        let setting = Setting::new("test", "a");
        let driver = setting.load(place, "drivers/test.wasm");
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let driver = driver.clone();
                tokio::spawn(async move { driver.describe().await })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap().title, "in-memory test hypervisor");
        }
    }

    async fn life_of_a_domain_is_kept_in_notes_and_events(place) {
        let setting = Setting::new("test", "vm1");
        let driver = setting.load(place, "drivers/test.wasm");
        let context = setting.context();
        assert_eq!(driver.check(&context).await.unwrap(), context.xml);
        assert_eq!(driver.query(&context).await.unwrap(), RunState::Off);
        driver.start(&context, &[("paused".to_owned(), "yes".to_owned())]).await.unwrap();
        assert_eq!(driver.query(&context).await.unwrap(), RunState::Paused);
        driver.resume(&context).await.unwrap();
        driver.suspend(&context).await.unwrap();
        driver.resume(&context).await.unwrap();
        driver.reset(&context).await.unwrap();
        // Another load of the driver, as after an upgrade, finds the same domain.
        let other = setting.load(place, "drivers/test.wasm");
        assert_eq!(other.reattach(&context).await.unwrap(), RunState::Running);
        other.recovery_complete().await.unwrap();
        other.shutdown(&context).await.unwrap();
        assert_eq!(driver.query(&context).await.unwrap(), RunState::Off);
        driver.destroy(&context).await.unwrap();
        let kinds = setting.events();
        let expected = ["started", "resumed", "suspended", "resumed", "reset", "stopped", "stopped"];
        assert_eq!(kinds, expected);
    }

    async fn error_of_a_driver_is_kept_whole(place) {
        let setting = Setting::new("test", "vm1");
        let driver = setting.load(place, "drivers/test.wasm");
        let error = driver.resume(&setting.context()).await.unwrap_err();
        assert_eq!((error.kind, error.code()), (RuntimeErrorKind::Driver, "domain.state"));
        assert_eq!(error.problem().unwrap().case, Case::Conflict);
        assert!(error.to_string().starts_with("driver test 0.1.0, resume: the domain 'vm1'"), "{error}");
    }

    async fn refused_document_says_where(place) {
        let setting = Setting::new("test", "vm1");
        let driver = setting.load(place, "drivers/test.wasm");
        let mut context = setting.context();
        context.xml = "<domain type='test'>\n  <nme>a</nme>\n</domain>".to_owned();
        let error = driver.check(&context).await.unwrap_err();
        let problem = error.problem().unwrap();
        assert_eq!(problem.case, Case::Invalid);
        assert!(problem.details.iter().any(|(key, value)| key == "line" && !value.is_empty()), "{problem:?}");
    }

    async fn process_that_only_reads_changes_nothing(place) {
        let setting = Setting::new("test", "vm1");
        let driver = setting.load(place, "drivers/test.wasm");
        let error = driver.start(&setting.reader_context(), &[]).await.unwrap_err();
        assert_eq!(error.code(), "domain.read-only");
        assert_eq!(driver.query(&setting.reader_context()).await.unwrap(), RunState::Off);
    }

    async fn driver_without_native_config_says_so(place) {
        let setting = Setting::new("test", "vm1");
        let driver = setting.load(place, "drivers/test.wasm");
        assert!(!driver.has_native_config());
        let error = driver.show(&setting.context()).await.unwrap_err();
        assert_eq!((error.kind, error.operation()), (RuntimeErrorKind::Contract, Some(Operation::Show)));
    }

    async fn launch_is_shown_without_launching(place) {
        let setting = Setting::new("qemu", "vm1");
        let driver = setting.load(place, "drivers/qemu.wasm");
        assert!(driver.has_native_config());
        let mut context = setting.context();
        context.xml = driver.check(&context).await.unwrap();
        let recorded = driver.show(&context).await.unwrap();
        assert_eq!(recorded.plan.template, "qemu-system-x86_64");
        assert!(recorded.handles.iter().all(|handle| handle.fd().is_none()), "{recorded:?}");
        assert_eq!(driver.query(&context).await.unwrap(), RunState::Off);
        assert!(setting.events().is_empty());
    }
}

#[test]
fn second_load_comes_from_the_cache_and_a_forged_entry_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let load = || {
        let config = RuntimeConfig { cache_dir: Some(cache.clone()), ..RuntimeConfig::default() };
        let runtime = Runtime::new(config).unwrap();
        runtime.load(&component("drivers/test.wasm"), &policy(), &tenant()).unwrap().compiled()
    };
    assert_eq!(load(), CacheOutcome::Compiled);
    assert_eq!(load(), CacheOutcome::Cached);
    let entries = || std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path());
    let entry = entries().find(|path| path.extension().is_some_and(|ending| ending == "cwasm")).unwrap();
    let mut bytes = std::fs::read(&entry).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&entry, bytes).unwrap();
    assert_eq!(load(), CacheOutcome::Compiled, "a forged entry is not loaded");
    assert_eq!(load(), CacheOutcome::Cached, "and is replaced");
}

#[test]
fn manifest_is_refused_before_anything_is_compiled() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new.wasm");
    let mut bytes =
        patched(&component("drivers/test.wasm"), "\"contract\":\"0.1.1\"", "\"contract\":\"0.9.0\"");
    // A section that no compiler accepts: had it been compiled, the error would be another.
    bytes.extend_from_slice(&[0x7f, 1, 0]);
    std::fs::write(&path, bytes).unwrap();
    let cache = directory.path().join("cache");
    let config = RuntimeConfig { cache_dir: Some(cache.clone()), ..RuntimeConfig::default() };
    let error = Runtime::new(config).unwrap().load(&path, &policy(), &tenant()).err().unwrap();
    assert_eq!(error.kind, RuntimeErrorKind::Contract);
    assert!(error.message().contains("driver needs contract 0.9.0, host offers 0.1.1"), "{error}");
    assert!(error.hints()[0].contains("update hostler"));
    // The key, and which digest the file has: nothing that was compiled.
    let entries: Vec<_> =
        std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let digests = entries.iter().filter(|name| name.to_string_lossy().ends_with(".digest")).count();
    assert_eq!((entries.len(), digests), (2, 1), "{entries:?}");
}

#[test]
fn file_that_is_no_driver_is_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.wasm");
    let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
    for (bytes, reason) in
        [(&b"\x7fELF"[..], "not WebAssembly"), (b"\0asm\x01\0\0\0", "core module"), (b"", "not WebAssembly")]
    {
        std::fs::write(&path, bytes).unwrap();
        let error = runtime.load(&path, &policy(), &tenant()).err().unwrap();
        assert_eq!(error.kind, RuntimeErrorKind::Load);
        assert!(error.message().contains(reason), "{error}");
    }
    let error = runtime.load(directory.path(), &policy(), &tenant()).err().unwrap();
    assert_eq!(error.kind, RuntimeErrorKind::Load);
}

#[test]
fn damaged_component_is_refused_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.wasm");
    let mut bytes = std::fs::read(component("drivers/test.wasm")).unwrap();
    bytes.extend_from_slice(&[0x7f, 1, 0]);
    std::fs::write(&path, bytes).unwrap();
    let error =
        Runtime::new(RuntimeConfig::default()).unwrap().load(&path, &policy(), &tenant()).err().unwrap();
    assert_eq!((error.kind, error.driver().unwrap().name.as_str()), (RuntimeErrorKind::Load, "test"));
}
