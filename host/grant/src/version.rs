//! The order of drivers' versions, by which an upgrade is told from a step back.

use std::cmp::Ordering;

/// Compares two versions as a manifest writes them.
///
/// As in Semantic Versioning, for any number of parts: numbers by value, words by their letters, numbers before words,
/// a missing part as 0; what follows `-` is a version before the one without it; what follows `+` does not count.
#[must_use]
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    let (a, b) = (parts(a), parts(b));
    compare_parts(a.0, b.0, Some("0")).then_with(|| match (a.1, b.1) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => compare_parts(a, b, None),
    })
}

/// The version and what it is before, if anything.
fn parts(text: &str) -> (&str, Option<&str>) {
    let text = text.split('+').next().unwrap_or(text);
    text.split_once('-').map_or((text, None), |(version, before)| (version, Some(before)))
}

fn compare_parts(a: &str, b: &str, missing: Option<&'static str>) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => match (a.or(missing), b.or(missing)) {
                (Some(a), Some(b)) => compare_part(a, b),
                (a, b) => a.is_some().cmp(&b.is_some()),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn compare_part(a: &str, b: &str) -> Ordering {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match (number(a), number(b)) {
        // By length, then by digits: numbers of any size, without counting them.
        (true, true) => {
            let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        }
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_in_order() {
        let sorted = [
            "0.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0",
            "1.0.1",
            "1.2",
            "1.10",
            "2",
            "99999999999999999999999",
            "a",
        ];
        for (at, a) in sorted.iter().enumerate() {
            for (other, b) in sorted.iter().enumerate() {
                assert_eq!(compare_versions(a, b), at.cmp(&other), "{a} {b}");
            }
        }
        for (a, b) in [("1", "1.0.0"), ("1.0", "1.00"), ("1.0+a", "1.0+b")] {
            assert_eq!(compare_versions(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

        #[test]
        fn order_is_one(a in "[0-2a.+-]{1,6}", b in "[0-2a.+-]{1,6}", c in "[0-2a.+-]{1,6}") {
            prop_assert_eq!(compare_versions(&a, &b), compare_versions(&b, &a).reverse());
            if compare_versions(&a, &b).is_le() && compare_versions(&b, &c).is_le() {
                prop_assert!(compare_versions(&a, &c).is_le(), "{} {} {}", a, b, c);
            }
        }
    }
}
