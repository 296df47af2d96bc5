//! `<clock>` and its timers.

use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;

keywords! {
    /// What the guest's clock starts from.
    ClockBasis { Utc = "utc", Localtime = "localtime" }
}
keywords! {
    /// A clock of the guest.
    TimerName {
        Platform = "platform", Pit = "pit", Rtc = "rtc", Hpet = "hpet", Tsc = "tsc", KvmClock = "kvmclock",
        HypervClock = "hypervclock", ArmVTimer = "armvtimer",
    }
}
keywords! {
    /// What becomes of ticks that the guest missed.
    TickPolicy { Delay = "delay", Catchup = "catchup", Merge = "merge", Discard = "discard" }
}
keywords! {
    /// What the timer follows.
    TimerTrack { Boot = "boot", Guest = "guest", Wall = "wall", Realtime = "realtime" }
}
keywords! {
    /// Whether the time stamp counter is emulated.
    TscMode { Auto = "auto", Native = "native", Emulate = "emulate", Paravirt = "paravirt", SmpSafe = "smpsafe" }
}

/// What the guest's clock starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClockOffset {
    /// The host's time in UTC.
    Utc {
        /// How the clock may have been moved; none when not given.
        adjustment: Option<ClockAdjustment>,
    },
    /// The host's local time.
    Localtime {
        /// As for UTC.
        adjustment: Option<ClockAdjustment>,
    },
    /// A time zone by name, such as `Europe/Paris`.
    Timezone(String),
    /// A difference that the guest may change.
    Variable {
        /// Seconds to add to the basis.
        adjustment: i64,
        /// What they are added to.
        basis: ClockBasis,
    },
    /// A fixed time.
    Absolute {
        /// Seconds since 1970.
        start: u64,
    },
}

/// How far a UTC or local clock may have been moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockAdjustment {
    /// Back to the host's time at every start.
    Reset,
    /// By this many seconds.
    Seconds(i64),
}

/// The `<clock>` element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    /// What the guest's clock starts from.
    pub offset: ClockOffset,
    /// The timers, in document order.
    pub timers: Vec<Timer>,
}

/// One `<timer>`; none where the document is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Which clock.
    pub name: TimerName,
    /// Whether the guest has it.
    pub present: Option<bool>,
    /// What becomes of ticks that the guest missed.
    pub tick_policy: Option<TickPolicy>,
    /// What it follows.
    pub track: Option<TimerTrack>,
    /// Its frequency, in Hz.
    pub frequency_hz: Option<u64>,
    /// Whether it is emulated (tsc).
    pub mode: Option<TscMode>,
    /// How missed ticks are caught up.
    pub catchup: Option<Catchup>,
}

/// `<catchup>`, in microseconds where libvirt says nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Catchup {
    /// From when on.
    pub threshold: Option<u64>,
    /// How fast.
    pub slew: Option<u64>,
    /// How much at most.
    pub limit: Option<u64>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { offset: ClockOffset::Utc { adjustment: None }, timers: Vec::new() }
    }
}

impl Clock {
    /// The timer of this name, if the document has it.
    pub fn timer(&self, name: TimerName) -> Option<&Timer> {
        self.timers.iter().find(|timer| timer.name == name)
    }

    pub(crate) fn read(clock: Element<'_>) -> Result<Self, XmlError> {
        let offset = match clock.get("offset").unwrap_or("utc") {
            "utc" => ClockOffset::Utc { adjustment: read_adjustment(clock)? },
            "localtime" => ClockOffset::Localtime { adjustment: read_adjustment(clock)? },
            "timezone" => ClockOffset::Timezone(clock.need_string("timezone")?),
            "variable" => ClockOffset::Variable {
                adjustment: clock.signed("adjustment")?.unwrap_or(0),
                basis: clock.keyword("basis")?.unwrap_or(ClockBasis::Utc),
            },
            "absolute" => ClockOffset::Absolute { start: clock.need_number("start")? },
            other => {
                let known = ["utc", "localtime", "timezone", "variable", "absolute"];
                return Err(clock.unknown(Some("offset"), other, &known));
            }
        };
        Ok(Self { offset, timers: read_timers(clock)? })
    }
}

fn read_adjustment(clock: Element<'_>) -> Result<Option<ClockAdjustment>, XmlError> {
    match clock.get("adjustment") {
        None => Ok(None),
        Some("reset") => Ok(Some(ClockAdjustment::Reset)),
        Some(_) => Ok(clock.signed("adjustment")?.map(ClockAdjustment::Seconds)),
    }
}

fn read_timers(clock: Element<'_>) -> Result<Vec<Timer>, XmlError> {
    let mut timers: Vec<Timer> = Vec::new();
    for element in clock.children("timer") {
        let timer = read_timer(element)?;
        if timers.iter().any(|known| known.name == timer.name) {
            return Err(
                element.error(XmlErrorKind::Conflict, format!("timer '{}' is given twice", timer.name))
            );
        }
        timers.push(timer);
    }
    Ok(timers)
}

fn read_timer(timer: Element<'_>) -> Result<Timer, XmlError> {
    Ok(Timer {
        name: timer.need_keyword("name")?,
        present: timer.yes_no("present")?,
        tick_policy: timer.keyword("tickpolicy")?,
        track: timer.keyword("track")?,
        frequency_hz: timer.number("frequency")?,
        mode: timer.keyword("mode")?,
        catchup: timer.maybe("catchup", |catchup| {
            Ok(Catchup {
                threshold: catchup.number("threshold")?,
                slew: catchup.number("slew")?,
                limit: catchup.number("limit")?,
            })
        })?,
    })
}
