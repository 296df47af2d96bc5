//! Sets of numbers as documents write them: `0-3,^2,8`.

use std::collections::BTreeSet;

/// The largest member of a set: more processors than any host or machine type has.
const HIGHEST: u32 = 16_383;

/// The members of a set, sorted; none when the text is no set.
#[must_use]
pub fn number_set(text: &str) -> Option<Vec<u32>> {
    let mut set = BTreeSet::new();
    for part in text.split(',').map(str::trim) {
        if let Some(without) = part.strip_prefix('^') {
            set.remove(&without.parse().ok()?);
            continue;
        }
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last > HIGHEST {
            return None;
        }
        set.extend(first..=last);
    }
    Some(set.into_iter().collect())
}

/// A set as documents write it.
#[must_use]
pub fn number_set_text(members: &[u32]) -> String {
    let set: BTreeSet<u32> = members.iter().copied().collect();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for member in set {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(member) => *last = member,
            _ => ranges.push((member, member)),
        }
    }
    let texts = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    texts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_as_libvirt_writes_them() {
        assert_eq!(number_set("0-3,^2,8"), Some(vec![0, 1, 3, 8]));
        assert_eq!(number_set("3"), Some(vec![3]));
        for bad in ["", "a", "-", "3-1", "-1", "1-", "0-99999999", "0-4294967295", "^x"] {
            assert_eq!(number_set(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn sets_are_written_as_they_are_read() {
        for text in ["0-1,3,8", "5", "0-16383"] {
            assert_eq!(number_set_text(&number_set(text).unwrap()), text);
        }
        assert_eq!(number_set_text(&[3, 1, 2, 2]), "1-3");
    }
}
