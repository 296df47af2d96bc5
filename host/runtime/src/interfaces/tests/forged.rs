//! The host's side of a worker that has been taken over: messages that no driver could have caused.

use std::os::unix::net::UnixStream;
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::bindings::wit::clock::Host as _;
use crate::call::MemoryLimit;
use crate::request::{Reply, Request};
use crate::worker::calls::{self, Unanswered};
use crate::worker::frame::{Asked, Finished, Incoming, Outgoing};
use crate::worker::serve::{Broken, Line, Unfinished};
use crate::worker::state::{self, WorkerState};

fn scene() -> Scene {
    Scene::new(Purpose::Describe, "qemu", "")
}

/// One operation whose worker is a thread of this test.
fn converse(
    scene: &mut Scene,
    worker: impl FnOnce(WorkerState) + Send + 'static,
) -> Result<Finished, Unfinished> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let acting = thread::spawn(move || {
        let mut line = state::Line::new(theirs);
        line.receive().unwrap().unwrap();
        worker(WorkerState { line, memory: MemoryLimit::new(InstanceLimits::default()), lost: None });
    });
    let asked = Asked { domain: Some(scene.rep), request: Request::Start(Vec::new()) };
    let mut incoming = Incoming::new(limits::MESSAGE_BYTES);
    let performed =
        tokio.block_on(async { Line::over(&ours, &mut incoming, 0).perform(&mut scene.state, &asked).await });
    drop(ours);
    acting.join().unwrap();
    performed
}

/// What a worker does that was asked something.
type Act = fn(WorkerState);

fn finish(state: &mut WorkerState) {
    let finished = Finished { cpu_ns: 5, answer: Ok(Reply::Done(Ok(()))) };
    state.line.send(&Outgoing::finished(&finished)).unwrap();
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn honest_worker_gets_what_a_driver_in_this_process_gets() {
    let mut scene = scene();
    let rep = scene.rep;
    let finished = converse(&mut scene, move |mut state| {
        block_on(async {
            assert_eq!(state.name(Resource::new_borrow(rep)).await.unwrap(), "vm");
            assert_eq!(state.random(7).await.unwrap().len(), 7);
            let disk = state.disk(Resource::new_borrow(rep), "vdz".into()).await.unwrap();
            assert!(matches!(disk, Err(Error::NotFound(_))), "{disk:?}");
        });
        finish(&mut state);
    });
    let finished = finished.unwrap();
    assert!(matches!(finished, Finished { cpu_ns: 5, answer: Ok(Reply::Done(Ok(()))) }), "{finished:?}");
    assert_eq!(scene.state.activity.host_calls(), 3);
}

#[test]
fn places_that_are_no_handles_of_the_call_end_it() {
    let mut scene = scene();
    let known = scene.rep;
    for rep in (0..64).chain([1_023, 1_024, 1 << 20, u32::MAX]).filter(|rep| *rep != known) {
        let ended = converse(&mut scene, move |mut state| {
            block_on(state.config(Resource::new_borrow(rep))).unwrap_err();
        });
        assert!(matches!(ended, Err(Unfinished::Ends(_))), "{rep}");
    }
    let other_kind = converse(&mut scene, move |mut state| {
        block_on(HostProcess::ending(&mut state, Resource::new_borrow(known))).unwrap_err();
    });
    assert!(matches!(other_kind, Err(Unfinished::Ends(_))), "the domain is no process");
    let dropped = converse(&mut scene, move |mut state| {
        block_on(HostDomain::drop(&mut state, Resource::new_own(known))).unwrap();
        block_on(state.config(Resource::new_borrow(known))).unwrap_err();
    });
    assert!(matches!(dropped, Err(Unfinished::Ends(_))), "what it let go of is gone, for it alone");
}

#[test]
fn messages_that_no_worker_sends_break_it() {
    let endings: [(&str, Act); 6] = [
        ("of no kind", |mut state| state.line.send(&Outgoing::of(&9_u8)).unwrap()),
        ("it is empty", |mut state| state.line.send(&Outgoing::of(&())).unwrap()),
        ("something else", |mut state| state.line.send(&Outgoing::ready()).unwrap()),
        ("a call that there is not", |mut state| state.line.send(&Outgoing::call(200, &())).unwrap()),
        ("after its end", |mut state| state.line.send(&Outgoing::call(1, &7_u8)).unwrap()),
        ("goes on after the end", |mut state| {
            let finished = Finished { cpu_ns: 0, answer: Ok(Reply::Done(Ok(()))) };
            let both = [Outgoing::finished(&finished), Outgoing::ready()];
            let bytes: Vec<u8> = both.iter().flat_map(|one| one.bytes().unwrap().to_vec()).collect();
            state.line.send_raw(&bytes).unwrap();
        }),
    ];
    for (part, act) in endings {
        let broken = converse(&mut scene(), act);
        let Err(Unfinished::Broken(Broken::Malformed(malformed))) = broken else {
            panic!("{part}: {broken:?}")
        };
        assert!(malformed.to_string().contains(part), "{malformed}");
    }
    let long = converse(&mut scene(), |mut state| state.line.send_raw(&u32::MAX.to_le_bytes()).unwrap());
    assert!(matches!(long, Err(Unfinished::Broken(Broken::Malformed(_)))), "{long:?}");
    let gone = converse(&mut scene(), drop);
    assert!(matches!(gone, Err(Unfinished::Broken(Broken::Gone(_)))), "{gone:?}");
}

#[test]
fn any_bytes_as_a_call_are_answered_or_refused() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let scene = std::cell::RefCell::new(scene());
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) };
    let byte = prop_oneof![0_u8..4, any::<u8>()];
    let calls = (0_u8..40, prop::collection::vec(byte, 0..60));
    let judged = proptest::test_runner::TestRunner::new(config).run(&calls, |(number, given)| {
        match tokio.block_on(calls::make(&mut scene.borrow_mut().state, number, &given)) {
            Ok(_) => {}
            Err(Unanswered::Ends(error)) => prop_assert!(!error.to_string().is_empty()),
            Err(Unanswered::Malformed(malformed)) => prop_assert!(!malformed.0.is_empty()),
        }
        Ok(())
    });
    judged.unwrap();
}
