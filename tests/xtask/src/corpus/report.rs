//! The report on a corpus: cases, categories, reasons, and the closing line.

use super::cases::Case;
use super::similarity::fraction;
use super::translate::Outcome;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Which parts of the report are wanted beside the totals.
#[derive(Debug, Default)]
pub(crate) struct Detail {
    /// A line for every case.
    pub(crate) cases: bool,
    /// Every difference of every case.
    pub(crate) differences: bool,
}

#[derive(Default)]
struct Total {
    cases: usize,
    exact: usize,
    score: f64,
}

impl Total {
    fn add(&mut self, outcome: &Outcome) {
        self.cases += 1;
        self.exact += usize::from(is_exact(outcome));
        self.score += score(outcome);
    }

    fn mean(&self) -> f64 {
        if self.cases == 0 { 0.0 } else { self.score * fraction(1, self.cases) }
    }
}

fn is_exact(outcome: &Outcome) -> bool {
    outcome.as_ref().is_ok_and(|verdict| verdict.exact)
}

fn score(outcome: &Outcome) -> f64 {
    outcome.as_ref().map_or(0.0, |verdict| verdict.score)
}

/// The whole report; its last line is `exact N of M, mean S`.
pub(crate) fn render(cases: &[Case], outcomes: &[Outcome], detail: &Detail) -> String {
    let mut text = String::new();
    let mut all = Total::default();
    let mut categories: BTreeMap<&str, Total> = BTreeMap::new();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (case, outcome) in cases.iter().zip(outcomes) {
        all.add(outcome);
        categories.entry(&case.category).or_default().add(outcome);
        if let Err(reason) = outcome {
            *reasons.entry(reason.clone()).or_default() += 1;
        }
        if detail.cases {
            text += &case_lines(case, outcome, detail.differences);
        }
    }
    for (name, total) in &categories {
        let line = format_args!(
            "{name:<20} exact {:>3} of {:>3}, mean {:.3}",
            total.exact,
            total.cases,
            total.mean()
        );
        // Writing to a String cannot fail.
        let _written = writeln!(text, "{line}");
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    for (reason, count) in reasons {
        let _written = writeln!(text, "{count:>3} × {reason}");
    }
    let _written = writeln!(text, "exact {} of {}, mean {:.3}", all.exact, all.cases, all.mean());
    text
}

fn case_lines(case: &Case, outcome: &Outcome, differences: bool) -> String {
    let mark = if is_exact(outcome) { "exact" } else { "-" };
    let mut text = format!("{mark:<5} {:.4} {}\n", score(outcome), case.name);
    match outcome {
        Ok(verdict) if differences => {
            for line in &verdict.differences {
                let _written = writeln!(text, "      {line}");
            }
        }
        Ok(_) => {}
        Err(reason) => {
            let _written = writeln!(text, "      {reason}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Detail, render};
    use crate::corpus::cases::Case;
    use crate::corpus::compare::Verdict;

    #[test]
    fn closing_line_counts_failures_as_nothing() {
        let case = |name: &str| Case {
            name: name.to_owned(),
            category: "disk".to_owned(),
            xml: "x".into(),
            expected: String::new(),
        };
        let outcomes = [
            Ok(Verdict { exact: true, score: 1.0, differences: vec![] }),
            Err("exit status: 1: no such element".to_owned()),
        ];
        let text = render(&[case("a"), case("b")], &outcomes, &Detail { cases: true, differences: false });
        assert_eq!(text.lines().last(), Some("exact 1 of 2, mean 0.500"));
        assert!(text.contains("exact 1.0000 a\n"));
        assert!(text.contains("  1 × exit status: 1: no such element\n"));
    }
}
