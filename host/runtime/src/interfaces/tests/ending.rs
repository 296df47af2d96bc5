//! A domain that ends between two questions.

use std::os::unix::net::UnixListener;
use std::sync::Arc;

use super::Scene;
use crate::bindings::wit::domain::HostDomain;
use crate::context::StateAccess;

/// Listens as a shim does that is ending: whoever asks is let go without an answer. Then it lets go of the lock, or not.
async fn asked(lets_go: bool) -> bool {
    let mut scene = Scene::made("qemu", "", "", |context| context);
    let me = scene.me();
    let subject = scene.state.subject(&me).unwrap();
    let StateAccess::Owner(owner) = &subject.context.state else { unreachable!("an owner") };
    let run = Arc::new(owner.create_run_dir(subject.context.uuid).unwrap());
    let lock = run.acquire().unwrap();
    let listener = UnixListener::bind(run.path().join("shim.sock")).unwrap();
    let shim = std::thread::spawn(move || {
        drop(listener.accept().unwrap());
        if lets_go { None } else { Some(lock) }
    });
    let answer = scene.state.process(me).await;
    let kept = shim.join().unwrap();
    assert_eq!(kept.is_some(), !lets_go);
    matches!(answer, Ok(None))
}

#[tokio::test]
async fn domain_whose_shim_is_ending_is_off_once_its_lock_is_free() {
    assert!(asked(true).await);
}

#[tokio::test]
async fn silence_of_a_shim_that_keeps_its_lock_is_not_absence() {
    assert!(!asked(false).await);
}
