//! The report: what differs and why, then figures.

use super::refusal::Answer;
use super::{Difference, Outcome};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Cases as recorded, and all.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Share {
    met: usize,
    all: usize,
}

impl Share {
    fn add(&mut self, met: bool) {
        self.met += usize::from(met);
        self.all += 1;
    }
}

/// The whole report; its last line is `refused as recorded N of M, …`.
pub(super) fn render(outcomes: &[Outcome], verbose: bool) -> String {
    let mut text = String::new();
    let (mut all, mut timeless, mut earlier) = (Share::default(), Share::default(), 0_usize);
    let mut categories: BTreeMap<&str, Share> = BTreeMap::new();
    for outcome in outcomes {
        let (recorded, met) = (&outcome.case.recorded, outcome.difference.is_none());
        all.add(met);
        categories.entry(&recorded.category).or_default().add(met);
        if !recorded.version_dependent {
            timeless.add(met);
        }
        earlier += usize::from(outcome.difference == Some(Difference::Stage));
        if verbose || !met {
            text += &lines(outcome);
        }
    }
    // Writing to a String cannot fail.
    for (category, share) in categories {
        let _written = writeln!(text, "{category:<20} {:>3} of {:>3}", share.met, share.all);
    }
    let dependent = all.all - timeless.all;
    let _written = writeln!(
        text,
        "{dependent} depend on a version: what their QEMU lacked was taken away from this one by <qemu:del>"
    );
    let _written = writeln!(
        text,
        "refused as recorded {} of {}, {} of the {} that do not depend on a version; {earlier} more at another stage",
        all.met, all.all, timeless.met, timeless.all
    );
    text
}

fn lines(outcome: &Outcome) -> String {
    let recorded = &outcome.case.recorded;
    let mut text = format!(
        "{}\n      recorded: {:?}, {}: {}\n",
        outcome.case.name, recorded.phase, recorded.category, recorded.error
    );
    if let Answer::Refused { stage, refusal } = &outcome.answer {
        let _written = writeln!(
            text,
            "      here:     {stage:?}, {}: {} ({}:{} {}, {} hints)",
            refusal.code, refusal.message, refusal.line, refusal.column, refusal.element, refusal.hints
        );
    }
    if let Some(difference) = &outcome.difference {
        let _written = writeln!(text, "      differs:  {}", reason(outcome, difference));
    }
    text
}

/// Why a case comes out otherwise.
fn reason(outcome: &Outcome, difference: &Difference) -> String {
    let recorded = &outcome.case.recorded;
    match difference {
        Difference::Accepted if recorded.version_dependent => {
            format!(
                "accepted: the QEMU here can do it, the recorded one ({}) could not, and nothing here tells them apart",
                recorded.caps
            )
        }
        Difference::Accepted => "accepted".to_owned(),
        Difference::Architecture => {
            format!("refused before that: this driver runs no guests of architecture '{}'", recorded.arch)
        }
        Difference::Category(found) if found.is_empty() => "refused for what the host has".to_owned(),
        Difference::Category(found) => format!("refused for another kind of reason: {}", found.join(" or ")),
        Difference::Stage => {
            "refused at another stage: a document that could never start is not stored".to_owned()
        }
        Difference::Without(what) => format!("refused without {what}"),
    }
}
