//! Control groups around a real QEMU: limits that hold, and groups that go.

use hostler_domain::{Bytes, CpuUser, Limit, MemoryLimit};
use hostler_launch::control_group::{Group, GroupErrorKind, GroupThread, Layout, sweep};
use hostler_launch::{Ending, LaunchContext, LaunchError, LaunchErrorKind, ProcessRecord, ShimClient};
use hostler_state::RunRecord;

use crate::support::{Domain, PATIENCE, context, kill, shim_pid};

/// What this host has, if it has enough.
fn layout() -> Option<Layout> {
    let layout = Layout::of_this_host().unwrap();
    let all = ["cpu", "memory"].into_iter().all(|name| layout.describe().contains(name));
    if !all || !rustix::process::geteuid().is_root() {
        eprintln!("skipped: limits need root and control groups; this host has: {}", layout.describe());
        return None;
    }
    Some(layout)
}

fn start(domain: &mut Domain, limits: &[Limit]) -> Result<ShimClient, LaunchError> {
    let checked = hostler_launch::check(&domain.plan, &domain.handles, &crate::support::qemu())?;
    let context = LaunchContext { limits: limits.to_vec(), ..context() };
    let handles = std::mem::take(&mut domain.handles);
    hostler_launch::launch(&domain.run, &context, checked, vec![], handles, PATIENCE)
}

fn group(layout: &Layout, domain: &Domain) -> Group {
    let record: ProcessRecord = domain.run.read(RunRecord::Process).unwrap().unwrap();
    Group::of_process(layout, record.program.pid).unwrap()
}

fn memory(kind: MemoryLimit, mib: u64) -> Limit {
    Limit::Memory(kind, Some(Bytes(mib << 20)))
}

#[test]
fn guest_is_held_to_its_limits_and_its_group_goes_with_it() {
    let Some(layout) = layout() else { return };
    let mut domain = Domain::new("none");
    let limits = [
        Limit::CpuShares(77),
        Limit::CpuQuota(CpuUser::Guest, Some(30_000)),
        Limit::CpuPeriod(CpuUser::Guest, 60_000),
        memory(MemoryLimit::Hard, 512),
        memory(MemoryLimit::Soft, 256),
    ];
    let client = start(&mut domain, &limits).unwrap();
    let group = group(&layout, &domain);
    let kept = group.read();
    for limit in &limits {
        assert!(kept.contains(limit), "{limit:?} is not among {kept:?}");
    }
    assert!(Group::of_process(&layout, shim_pid(&domain.run)).is_err(), "the shim is no part of its guest");
    assert_eq!(client.end(false, PATIENCE).unwrap(), Ending::Killed(9));
    assert_eq!(group.read(), [], "the group stays behind");
}

#[test]
fn limits_change_together_or_not_at_all() {
    let Some(layout) = layout() else { return };
    let mut domain = Domain::new("none");
    let client = start(&mut domain, &[memory(MemoryLimit::Hard, 512), Limit::CpuShares(100)]).unwrap();
    let group = group(&layout, &domain);
    group.set(&[Limit::CpuShares(300), memory(MemoryLimit::Hard, 400)]).unwrap();
    let before = group.read();
    assert!(before.contains(&Limit::CpuShares(300)) && before.contains(&memory(MemoryLimit::Hard, 400)));
    // No program lives in so little.
    let refused = group.set(&[Limit::CpuShares(20), Limit::CpuPeriod(CpuUser::Guest, 1)]).unwrap_err();
    assert_eq!(refused.kind, GroupErrorKind::Refused, "{refused}");
    assert_eq!(group.read(), before);
    group.set(&[Limit::Memory(MemoryLimit::Hard, None)]).unwrap();
    assert!(group.read().contains(&Limit::Memory(MemoryLimit::Hard, None)));
    client.end(false, PATIENCE).unwrap();
}

#[test]
fn threads_have_limits_of_their_own() {
    let Some(layout) = layout() else { return };
    let mut domain = Domain::new("none");
    let client = start(&mut domain, &[]).unwrap();
    let record: ProcessRecord = domain.run.read(RunRecord::Process).unwrap().unwrap();
    // Nothing of it waits for turns of a group until there is a limit for one.
    let before = group(&layout, &domain);
    assert!(before.set(&[Limit::CpuShares(5)]).is_err());
    let usual = before.read_all(&layout);
    assert!(usual.contains(&Limit::CpuQuota(CpuUser::Guest, None)), "{usual:?}");
    assert!(usual.iter().any(|limit| matches!(limit, Limit::CpuShares(shares) if *shares >= 100)));
    let group = Group::with_cpu(&layout, record.program.pid).unwrap();
    assert_eq!(group.read(), usual);
    assert_eq!(Group::with_cpu(&layout, record.program.pid).unwrap(), group);
    let quota = Limit::CpuQuota(CpuUser::Emulator, Some(9_000));
    let free = [Limit::CpuPeriod(CpuUser::Vcpu, 100_000), Limit::CpuQuota(CpuUser::Vcpu, None)];
    let gone = GroupThread { user: CpuUser::Vcpu, number: 0, tasks: vec![u32::MAX >> 2] };
    let main = GroupThread { user: CpuUser::Emulator, number: 0, tasks: vec![record.program.pid] };
    group.limit_threads(&[main, gone], std::slice::from_ref(&quota)).unwrap();
    assert!(group.read_threads(CpuUser::Emulator, 0).contains(&quota));
    assert_eq!(group.read_threads(CpuUser::Vcpu, 0), free);
    // Where its first thread is in a group of its own, the guest's is found all the same.
    let found = Group::of_process(&layout, record.program.pid).unwrap();
    assert_eq!(found.read(), group.read());
    client.end(false, PATIENCE).unwrap();
    assert_eq!(group.read(), [], "the group stays behind");
}

#[test]
fn limit_that_cannot_be_kept_starts_nothing() {
    let Some(layout) = layout() else { return };
    for limit in [Limit::CpuPeriod(CpuUser::Guest, 1), Limit::Nodes("4000".to_owned())] {
        let mut domain = Domain::new("none");
        let error = start(&mut domain, &[Limit::CpuShares(5), limit]).unwrap_err();
        assert_eq!(error.kind, LaunchErrorKind::LimitFailed, "{error}");
        assert!(!error.hints.is_empty() && !domain.run.is_held().unwrap());
    }
    sweep(&layout, &Domain::new("none").run).unwrap();
}

#[test]
fn group_of_an_orphan_goes_with_it() {
    let Some(layout) = layout() else { return };
    let mut domain = Domain::new("none");
    start(&mut domain, &[]).unwrap();
    let group = group(&layout, &domain);
    kill(shim_pid(&domain.run));
    assert_ne!(group.read(), []);
    hostler_launch::end_orphan(&domain.run).unwrap();
    assert_eq!(group.read(), [], "the group stays behind");
}
