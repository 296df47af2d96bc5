//! Sizes, durations and ages as people read them. JSON carries the plain numbers instead.

use std::time::Duration;

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// A size in bytes with the largest binary unit that leaves a whole part, at most one decimal:
/// `512 B`, `64 MiB`, `1.5 GiB`. Never rounds up to the next unit.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut scale = 1024_u64;
    let mut unit = UNITS.iter().peekable();
    let mut name = unit.next().copied().unwrap_or("KiB");
    while bytes / scale >= 1024
        && let Some(next) = unit.next()
    {
        scale *= 1024;
        name = next;
    }
    let whole = bytes / scale;
    // Tenths, rounded down: a disk must not look larger than it is.
    let tenths = u128::from(bytes % scale) * 10 / u128::from(scale);
    if tenths == 0 { format!("{whole} {name}") } else { format!("{whole}.{tenths} {name}") }
}

/// A span of time in its two largest units: `850 ms`, `12 s`, `3 min 4 s`, `5 h 0 min`, `2 d 7 h`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if seconds == 0 {
        format!("{} ms", span.as_millis())
    } else if minutes == 0 {
        format!("{seconds} s")
    } else if hours == 0 {
        format!("{minutes} min {} s", seconds % 60)
    } else if days == 0 {
        format!("{hours} h {} min", minutes % 60)
    } else {
        format!("{days} d {} h", hours % 24)
    }
}

/// A moment (milliseconds since 1970, UTC) as `2026-11-21T09:10:55.123Z`.
pub(crate) fn moment(unix_ms: u64) -> String {
    let (days, day_ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (seconds, ms) = (day_ms / 1000, day_ms % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Year, month, day of a count of days since 1970-01-01 in the Gregorian calendar. Counts from
/// 1 March of year 0, so that the leap day is the last of its year; an era is 400 years.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_picks_the_unit_and_rounds_down() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (1024 * 1024 - 1, "1023.9 KiB"),
            (64 << 20, "64 MiB"),
            ((1 << 30) + (512 << 20), "1.5 GiB"),
            (u64::MAX, "15.9 EiB"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(size(bytes), shown, "{bytes}");
        }
    }

    #[test]
    fn span_shows_two_units() {
        let cases = [
            (850, "850 ms"),
            (12_999, "12 s"),
            (184_000, "3 min 4 s"),
            (5 * 3_600_000, "5 h 0 min"),
            (198_000_000, "2 d 7 h"),
        ];
        for (ms, shown) in cases {
            assert_eq!(span(Duration::from_millis(ms)), shown, "{ms}");
        }
    }

    #[test]
    fn moment_follows_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_252_255_123, "2026-11-21T09:10:55.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (ms, shown) in cases {
            assert_eq!(moment(ms), shown, "{ms}");
        }
    }
}
