//! How alike two texts are, from 0 to 1: twice the matching characters over all characters.

use std::collections::HashMap;
use std::ops::Range;

/// Ratcliff and Obershelp's measure: the longest common run, then the same to its left and right.
pub(crate) fn ratio(left: &str, right: &str) -> f64 {
    if left == right {
        return 1.0;
    }
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut places: HashMap<char, Vec<usize>> = HashMap::new();
    for (index, c) in right.iter().enumerate() {
        places.entry(*c).or_default().push(index);
    }
    let mut matching = 0;
    let mut todo = vec![(0..left.len(), 0..right.len())];
    while let Some((a, b)) = todo.pop() {
        let run = longest_run(&left, a.clone(), b.clone(), &places);
        if run.length > 0 {
            matching += run.length;
            todo.push((a.start..run.a, b.start..run.b));
            todo.push((run.a + run.length..a.end, run.b + run.length..b.end));
        }
    }
    fraction(2 * matching, left.len() + right.len())
}

/// `part / whole`; 1 when there is nothing to compare.
pub(crate) fn fraction(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 1.0;
    }
    // Command lines are far below 2^32 characters, where both conversions are exact.
    f64::from(u32::try_from(part).unwrap_or(u32::MAX)) / f64::from(u32::try_from(whole).unwrap_or(u32::MAX))
}

#[derive(Default)]
struct Run {
    a: usize,
    b: usize,
    length: usize,
}

/// The longest run of characters common to both ranges; among equals the earliest in `a`, then in `b`.
fn longest_run(left: &[char], a: Range<usize>, b: Range<usize>, places: &HashMap<char, Vec<usize>>) -> Run {
    let mut best = Run::default();
    // Length of the run that ends at the previous character of `a` and at this place of `b`.
    let mut ending: HashMap<usize, usize> = HashMap::new();
    for (i, c) in left.iter().enumerate().take(a.end).skip(a.start) {
        let mut next = HashMap::new();
        for &j in places.get(c).into_iter().flatten().filter(|j| b.contains(j)) {
            let before = j.checked_sub(1).and_then(|j| ending.get(&j)).copied().unwrap_or(0);
            let length = before + 1;
            next.insert(j, length);
            if length > best.length {
                best = Run { a: i + 1 - length, b: j + 1 - length, length };
            }
        }
        ending = next;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::ratio;

    fn close(left: &str, right: &str, expected: f64) {
        let found = ratio(left, right);
        assert!((found - expected).abs() < 1e-9, "{left} {right}: {found}");
    }

    /// Figures from Python's `difflib.SequenceMatcher(None, a, b, autojunk=False).ratio()`.
    #[test]
    fn known_figures() {
        close("", "", 1.0);
        close("abc", "", 0.0);
        close("abcd", "bcde", 0.75);
        close("qemu64,+vmx", "qemu32,-vmx", 8.0 / 11.0);
        close("private Thread currentThread;", "private volatile Thread currentThread;", 58.0 / 67.0);
    }
}
