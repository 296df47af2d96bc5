//! What counts as refused as recorded.

use super::refusal::Answer;
use super::{Difference, Recorded, Stage, judge};
use crate::corpus::answer::Refusal;

fn recorded(error: &str, category: &str) -> Recorded {
    Recorded {
        arch: "x86_64".to_owned(),
        phase: Stage::Define,
        error: error.to_owned(),
        category: category.to_owned(),
        caps: "latest".to_owned(),
        fake_caps: Vec::new(),
        version_dependent: false,
    }
}

fn refused(code: &str, change: impl Fn(&mut Refusal)) -> Answer {
    let mut refusal = Refusal {
        code: code.to_owned(),
        message: "wrong".to_owned(),
        element: "domain/os".to_owned(),
        line: 1,
        column: 2,
        hints: 1,
    };
    change(&mut refusal);
    Answer::Refused { stage: Stage::Define, refusal }
}

#[test]
fn a_case_is_met_with_stage_category_place_and_hint() {
    let case = recorded("wrong", "machine-or-arch");
    let judge = |answer: &Answer| judge(&case, answer);
    assert_eq!(judge(&refused("qemu.machine-tseg", |_| ())), None);
    assert_eq!(judge(&Answer::Accepted), Some(Difference::Accepted));
    assert_eq!(judge(&refused("qemu.net", |_| ())), Some(Difference::Category(vec!["net"])));
    let without = |change: fn(&mut Refusal)| judge(&refused("qemu.machine-tseg", change));
    assert_eq!(without(|refusal| refusal.column = 0), Some(Difference::Without("line and column")));
    assert_eq!(without(|refusal| refusal.element.clear()), Some(Difference::Without("an element")));
    assert_eq!(without(|refusal| refusal.hints = 0), Some(Difference::Without("a hint")));
    let Answer::Refused { refusal, .. } = refused("qemu.machine-tseg", |_| ()) else { panic!("refused") };
    let later = Answer::Refused { stage: Stage::Start, refusal };
    assert_eq!(judge(&later), Some(Difference::Stage));
}

#[test]
fn the_architecture_is_no_excuse() {
    let arch = refused("qemu.arch", |_| ());
    let case = recorded("HTM is not supported", "capability-missing");
    assert_eq!(judge(&case, &arch), Some(Difference::Architecture));
    let case = recorded("the emulator does not support arch 'alpha'", "capability-missing");
    assert_eq!(judge(&case, &arch), None);
}
