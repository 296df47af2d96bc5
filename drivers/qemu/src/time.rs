//! Points in time, as documents write them.

/// Days of the months of a year that has no leap day.
const DAYS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Seconds since 1970 at `YYYY-MM-DDTHH:MM:SS` in UTC; none when it is no such moment.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let leap = |year: u64| (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let index = usize::try_from(month.checked_sub(1)?).ok()?;
    let leap_day = u64::from(month == 2 && leap(year));
    if !(1..=DAYS.get(index)? + leap_day).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let years = (1970..year.max(1970)).map(|year| 365 + u64::from(leap(year))).sum::<u64>();
    let months = DAYS.iter().take(index).sum::<u64>() + u64::from(month > 2 && leap(year));
    let days = (year >= 1970).then_some(years + months + day - 1)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Three numbers with so many digits each.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(between);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits)?;
        *number = part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_counted_from_1970_and_others_are_none() {
        for (text, expected) in [
            ("1970-01-01T00:00:00", Some(0)),
            ("2000-02-29T23:59:59", Some(951_868_799)),
            ("2000-03-01T00:00:00", Some(951_868_800)),
            ("2024-12-31T12:30:15", Some(1_735_648_215)),
            ("2100-03-01T00:00:00", Some(4_107_542_400)),
            ("2100-02-29T00:00:00", None),
            ("1969-12-31T23:59:59", None),
            ("2024-13-01T00:00:00", None),
            ("2024-00-01T00:00:00", None),
            ("2024-01-01T24:00:00", None),
            ("2024-01-01 00:00:00", None),
            ("2024-1-1T00:00:00", None),
            ("+024-01-01T00:00:00", None),
            ("2024-01-01T00:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
