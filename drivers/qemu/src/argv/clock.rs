//! `-rtc` and the timers of the machine.

use hostler_sdk::domain::clock::{
    ClockAdjustment, ClockBasis, ClockOffset, TickPolicy, Timer, TimerName, TimerTrack,
};
use hostler_sdk::{Error, ProblemExt, Value, problem};

use super::builder::{Builder, set_some};

/// `-rtc`, and options of the other timers.
pub(super) fn clock(builder: &mut Builder<'_>) -> Result<(), Error> {
    let clock = &builder.domain.clock;
    let mut value = Value::mapping().with("base", base(builder)?);
    for timer in clock.timers.iter().filter(|timer| timer.name == TimerName::Rtc) {
        set_some(&mut value, "clock", timer.track.and_then(source_of));
        set_some(&mut value, "driftfix", (timer.tick_policy == Some(TickPolicy::Catchup)).then_some("slew"));
    }
    builder.option("rtc", value);
    for timer in &clock.timers {
        add_timer(builder, timer);
    }
    Ok(())
}

fn source_of(track: TimerTrack) -> Option<&'static str> {
    match track {
        TimerTrack::Guest => Some("vm"),
        TimerTrack::Wall => Some("host"),
        TimerTrack::Realtime => Some("rt"),
        TimerTrack::Boot => None,
    }
}

/// What the guest's clock shows at start.
fn base(builder: &mut Builder<'_>) -> Result<String, Error> {
    Ok(match &builder.domain.clock.offset {
        ClockOffset::Utc { adjustment: None | Some(ClockAdjustment::Reset) } => "utc".to_owned(),
        ClockOffset::Localtime { adjustment: None | Some(ClockAdjustment::Reset) } => "localtime".to_owned(),
        ClockOffset::Timezone(zone) => {
            builder.launch.environment.push(("TZ".to_owned(), zone.clone()));
            "localtime".to_owned()
        }
        ClockOffset::Utc { adjustment: Some(ClockAdjustment::Seconds(seconds)) }
        | ClockOffset::Variable { adjustment: seconds, basis: ClockBasis::Utc } => {
            date(now(builder).saturating_add_signed(*seconds))
        }
        ClockOffset::Absolute { start } => date(*start),
        ClockOffset::Localtime { adjustment: Some(ClockAdjustment::Seconds(_)) }
        | ClockOffset::Variable { basis: ClockBasis::Localtime, .. } => {
            return Err(problem(
                "qemu.clock-localtime",
                "an adjustment to local time needs the host's time zone, which drivers do not know",
            )
            .hint("adjust from UTC: <clock offset='variable' basis='utc' adjustment='…'/>")
            .unsupported());
        }
    })
}

fn now(builder: &Builder<'_>) -> u64 {
    if builder.inputs.facts.comparison { super::comparison::NOW } else { builder.inputs.facts.unix_seconds }
}

/// A time as QEMU reads it, `1970-01-01T00:20:34`, from seconds since 1970.
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March here, so that the leap day is a year's last; 146,097 days are 400 years.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

fn add_timer(builder: &mut Builder<'_>, timer: &Timer) {
    match (timer.name, timer.tick_policy) {
        (TimerName::Pit, None | Some(TickPolicy::Delay)) => lost_ticks(builder, "delay"),
        (TimerName::Pit, Some(TickPolicy::Discard)) => lost_ticks(builder, "discard"),
        (TimerName::Hpet, _) if timer.present == Some(false) => builder.launch.flag("no-hpet"),
        _ => {}
    }
}

fn lost_ticks(builder: &mut Builder<'_>, policy: &str) {
    builder.option("global", Value::mapping().with("kvm-pit.lost_tick_policy", policy));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01T00:00:00");
        assert_eq!(date(1234), "1970-01-01T00:20:34");
        assert_eq!(date(951_782_400), "2000-02-29T00:00:00");
        assert_eq!(date(1_234_567_890), "2009-02-13T23:31:30");
    }
}
