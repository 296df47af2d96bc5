//! Patterns: `*` stands for any characters, `?` for one.

/// Whether a text is one that a pattern stands for. Takes no more steps than the two have characters, multiplied.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where the last star is, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || Some(wanted) == text.get(seen) => {
                at += 1;
                seen += 1;
            }
            _ => match &mut star {
                Some((place, taken)) => {
                    *taken += 1;
                    (at, seen) = (*place + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|left| *left == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn stars_and_question_marks_stand_for_what_they_do_in_shells() {
        let fits = [
            ("", ""),
            ("*", ""),
            ("*", "a"),
            ("web-*", "web-"),
            ("web-*", "web-1"),
            ("?", "ä"),
            ("a*b*c", "aXbYbZc"),
            ("C=GB,*,CN=al?ce", "C=GB,O=Lab,CN=alice"),
            ("**", "x"),
        ];
        let differ = [
            ("", "a"),
            ("a", ""),
            ("?", ""),
            ("web-*", "web"),
            ("a*b", "aXc"),
            ("CN=alice", "O=x,CN=alice"),
            ("[ab]", "a"),
        ];
        for (pattern, text) in fits {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in differ {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn pattern_of_many_stars_takes_no_time() {
        let begun = Instant::now();
        assert!(!matches(&format!("{}b", "*a".repeat(200)), &"a".repeat(4_000)));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
