//! What a driver without policy, or a hypervisor taken over, can do to its host: everything when it runs openly,
//! nothing when it is caged, and nothing either by namespaces alone. The effect is looked for on the host.
//!
//! No policy is in between, and QEMU's own sandbox is off: what stops these is the cage.

mod channels;
mod files;
mod scene;

use hostler_launch::CageSetting;
use scene::Scene;

/// One thing to try; whether it had its effect.
type Abuse = (&'static str, fn(&mut Scene) -> bool);

fn succeeded(cage: CageSetting) -> (Vec<&'static str>, usize) {
    let mut scene = Scene::new(cage);
    let abuses: Vec<Abuse> = files::ABUSES.iter().chain(channels::ABUSES).copied().collect();
    let all = abuses.len();
    let done = abuses.into_iter().filter(|(_, abuse)| {
        scene.revive();
        abuse(&mut scene)
    });
    (done.map(|(name, _)| name).collect(), all)
}

fn may_try() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: files of other users are made by root");
    }
    root
}

#[test]
fn none_succeeds_against_all_walls() {
    if may_try() {
        assert_eq!(succeeded(CageSetting::Require).0, Vec::<&str>::new());
    }
}

#[test]
fn none_succeeds_without_landlock() {
    if may_try() {
        assert_eq!(succeeded(CageSetting::WithoutLandlock).0, Vec::<&str>::new());
    }
}

/// The counter-check: what these find is there to be found.
#[test]
fn all_succeed_against_no_wall() {
    if may_try() {
        let (done, all) = succeeded(CageSetting::Off);
        let names: Vec<_> = files::ABUSES.iter().chain(channels::ABUSES).map(|(name, _)| *name).collect();
        let missed: Vec<_> = names.iter().filter(|name| !done.contains(name)).collect();
        assert!(missed.is_empty() && all >= 35, "{missed:?} of {all}");
    }
}
