//! Timers: what each can be told.

use hostler_sdk::domain::clock::{TickPolicy, Timer, TimerName, TimerTrack};

use super::{Broken, Rule, Subject, broken};

pub(super) const RULES: &[Rule] = &[attributes, values];

/// What QEMU can be told about a timer, beside whether there is one.
fn takes(name: TimerName) -> &'static [&'static str] {
    match name {
        TimerName::Rtc => &["track", "tickpolicy"],
        TimerName::Pit | TimerName::Hpet => &["tickpolicy"],
        TimerName::Tsc => &["tickpolicy", "frequency", "mode"],
        TimerName::Platform | TimerName::KvmClock | TimerName::HypervClock | TimerName::ArmVTimer => &[],
    }
}

fn attributes(subject: &Subject<'_>) -> Option<Broken> {
    subject.domain.clock.timers.iter().find_map(|timer| {
        if timer.name == TimerName::Platform {
            let what = "QEMU has no timer 'platform'";
            return broken(subject.timer(timer.name), "qemu.timer", what, "remove the timer");
        }
        let given = [
            ("track", timer.track.is_some()),
            ("tickpolicy", timer.tick_policy.is_some()),
            ("frequency", timer.frequency_hz.is_some()),
            ("mode", timer.mode.is_some()),
        ];
        let (name, _) =
            given.into_iter().find(|(name, given)| *given && !takes(timer.name).contains(name))?;
        let what = format!("timer '{}' has no '{name}'", timer.name);
        broken(subject.timer(timer.name), "qemu.timer", what, "remove the attribute")
    })
}

fn values(subject: &Subject<'_>) -> Option<Broken> {
    let wrong = |timer: &&Timer| match timer.name {
        TimerName::Rtc => {
            timer.track == Some(TimerTrack::Boot)
                || matches!(timer.tick_policy, Some(TickPolicy::Merge | TickPolicy::Discard))
        }
        TimerName::Pit => timer.tick_policy == Some(TickPolicy::Merge),
        _ => false,
    };
    let timer = subject.domain.clock.timers.iter().find(wrong)?;
    let what = format!(
        "timer '{}' cannot do that with ticks that were missed, or cannot follow that clock",
        timer.name
    );
    broken(
        subject.timer(timer.name),
        "qemu.timer",
        what,
        "write tickpolicy='delay' or 'catchup', and track='guest' or 'wall'",
    )
}
