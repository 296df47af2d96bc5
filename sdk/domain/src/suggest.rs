//! The nearest known name, for "did you mean".

/// Farthest edit distance at which a name still counts as a slip of the other.
const MAX_SLIP: usize = 2;

/// The known name nearest to `word`, if it is near enough to be a slip.
pub fn nearest<'n>(word: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // Two edits turn any short word into any other, so short words get fewer.
    let allowed = match word.len() {
        0..=2 => 0,
        3..=4 => 1,
        _ => MAX_SLIP,
    };
    let near = known.into_iter().map(|name| (distance(word, name), name));
    near.filter(|(distance, _)| *distance > 0 && *distance <= allowed).min().map(|(_, name)| name)
}

/// Edit distance where swapping two neighbours counts as one edit; far apart is `usize::MAX`.
fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > MAX_SLIP {
        return usize::MAX;
    }
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = 0;
    for (row, from) in a.bytes().enumerate() {
        let mut next = vec![row + 1];
        for (column, to) in b.bytes().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&last, column) + usize::from(from != to))
                .min(at(&last, column + 1) + 1)
                .min(at(&next, column) + 1);
            let swapped =
                column > 0 && row > 0 && previous == to && b.as_bytes().get(column - 1) == Some(&from);
            if swapped {
                best = best.min(at(&before, column - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut last, next);
        previous = from;
    }
    let edits = last.last().copied().unwrap_or(0);
    // A slip of case alone is a slip too.
    if edits == 0 { 1 } else { edits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let known = ["memory", "device", "disk", "bus"];
        assert_eq!(nearest("memroy", known), Some("memory"));
        assert_eq!(nearest("dveice", known), Some("device"));
        assert_eq!(nearest("dsik", known), Some("disk"));
        assert_eq!(nearest("Disk", known), Some("disk"));
        assert_eq!(nearest("dev", known), None);
        assert_eq!(nearest("us", known), None);
        assert_eq!(nearest("transport", known), None);
    }
}
