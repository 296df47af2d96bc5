//! Bad input: whatever a document is, the answer is an error that says where, in time, and nothing breaks.

use crate::bench::{Bench, asked};
use crate::case::{Case, Finding, Needs, fault};
use crate::documents::{self, UUID};
use crate::runner::{Failure, FailureKind, Operation, RunState};

const WHY: &str =
    "users make mistakes: what is told with its place is mended at once, and a trap tells nobody anything";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "input.empty",
        demands: "an empty document is refused with its place",
        why: WHY,
        needs: Needs::Driver,
        run: |bench| refused(bench, ["", " \n\t", "\u{feff}"]),
    },
    Case {
        name: "input.malformed",
        demands: "XML that is not well-formed is refused with its place",
        why: WHY,
        needs: Needs::Driver,
        run: malformed,
    },
    Case {
        name: "input.not-a-domain",
        demands: "XML of something else is refused with its place",
        why: WHY,
        needs: Needs::Driver,
        run: |bench| {
            refused(bench, ["<network><name>a</name></network>", "<domains/>", "<x:domain xmlns:x='urn:x'/>"])
        },
    },
    Case {
        name: "input.wrong-type",
        demands: "a domain of a type that the manifest does not name is refused with its place",
        why: "a domain must not be run by a driver that was not made for it",
        needs: Needs::Driver,
        run: wrong_type,
    },
    Case {
        name: "input.no-name",
        demands: "a domain without a name, or with an empty one, is refused with its place",
        why: WHY,
        needs: Needs::Driver,
        run: no_name,
    },
    Case {
        name: "input.junk",
        demands: "a mebibyte of junk is refused with its place, in time and within memory",
        why: WHY,
        needs: Needs::Driver,
        run: junk,
    },
    Case {
        name: "input.nesting",
        demands: "elements that nest 20,000 deep are refused with their place",
        why: "recursion over a document ends at the stack, and the stack is small",
        needs: Needs::Driver,
        run: nesting,
    },
    Case {
        name: "input.control-characters",
        demands: "NUL and other characters that XML does not have are refused with their place",
        why: "they end texts early, or steer the terminal of whoever reads them",
        needs: Needs::Driver,
        run: control_characters,
    },
    Case {
        name: "input.numbers",
        demands: "numbers that cannot be are refused with their place",
        why: "a number that wraps is another number",
        needs: Needs::Driver,
        run: numbers,
    },
    Case {
        name: "input.at-start",
        demands: "a start with a document that is none is refused, and nothing runs",
        why: "a start checks again: the document may come from an older version of the driver",
        needs: Needs::Driver,
        run: at_start,
    },
];

/// A mebibyte.
const JUNK_BYTES: usize = 1 << 20;
/// Elements within each other.
const NESTED: usize = 20_000;

fn malformed(bench: &Bench<'_>) -> Result<(), Finding> {
    let whole = documents::minimal(bench.kind()?, "a", UUID);
    let torn = whole.get(..whole.len() / 2).unwrap_or_default();
    let documents = [
        torn.to_owned(),
        whole.replace("</vcpu>", "</cpu>"),
        whole.replace("<vcpu>", "<vcpu placement=static>"),
        whole.replace("<vcpu>", "<vcpu a='1' a='2'>"),
        whole.replace("<vcpu>1", "<vcpu>&unknown;"),
        whole.replace("<vcpu>1", "<vcpu>1 & 2"),
        format!("{whole}{whole}"),
        format!("<!DOCTYPE domain [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]>{whole}"),
    ];
    refused(bench, documents.iter().map(String::as_str))
}

fn wrong_type(bench: &Bench<'_>) -> Result<(), Finding> {
    let other = documents::minimal("conformance-other", "a", UUID);
    let none = documents::minimal("", "a", UUID);
    refused(bench, [other.as_str(), &none, &none.replace(" type=''", "")])
}

fn no_name(bench: &Bench<'_>) -> Result<(), Finding> {
    let whole = documents::minimal(bench.kind()?, "a", UUID);
    refused(bench, [whole.replace("  <name>a</name>\n", "").as_str(), &whole.replace(">a<", "><")])
}

fn junk(bench: &Bench<'_>) -> Result<(), Finding> {
    // The same letters at every run: a fault that is seen once can be looked into.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut letters = String::with_capacity(JUNK_BYTES);
    while letters.len() < JUNK_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let [low, ..] = state.to_le_bytes();
        letters.push(char::from(low % 94 + 33));
    }
    let inside = format!("<domain type='{}'>{}", bench.kind()?, letters.replace(['<', '&'], "."));
    refused(bench, [letters.as_str(), &inside, &"<".repeat(JUNK_BYTES), &"&amp;".repeat(JUNK_BYTES / 5)])
}

fn nesting(bench: &Bench<'_>) -> Result<(), Finding> {
    let (open, close) = ("<a>".repeat(NESTED), "</a>".repeat(NESTED));
    let within = documents::around(bench.kind()?, "a", UUID, &format!("{open}{close}"));
    refused(bench, [within.as_str(), &format!("{open}{close}"), &open])
}

fn control_characters(bench: &Bench<'_>) -> Result<(), Finding> {
    let whole = documents::minimal(bench.kind()?, "a", UUID);
    let mut documents = Vec::new();
    for letter in ["\0", "\u{1}", "\u{1b}[2J", "&#0;", "&#27;", "&#xFFFE;"] {
        documents.push(whole.replace(">a<", &format!(">a{letter}b<")));
        documents.push(whole.replace("unit='MiB'", &format!("unit='M{letter}iB'")));
    }
    refused(bench, documents.iter().map(String::as_str))
}

fn numbers(bench: &Bench<'_>) -> Result<(), Finding> {
    let whole = documents::minimal(bench.kind()?, "a", UUID);
    let mut documents = Vec::new();
    for number in ["-1", "18446744073709551615", "99999999999999999999999999", "1e3", "0x10", "", "one"] {
        documents.push(whole.replace(">64<", &format!(">{number}<")));
    }
    for number in ["0", "-1", "4294967296", "99999999999999999999999999", "1.5", "many"] {
        documents.push(whole.replace("<vcpu>1<", &format!("<vcpu>{number}<")));
    }
    refused(bench, documents.iter().map(String::as_str))
}

fn at_start(bench: &Bench<'_>) -> Result<(), Finding> {
    let whole = documents::minimal(bench.kind()?, "a", UUID);
    for xml in ["", &whole.replace("</vcpu>", "</cpu>")] {
        let subject = bench.subject(xml);
        let kinds = [FailureKind::Invalid, FailureKind::Unsupported];
        bench.must_refuse(&subject, Operation::Start { paused: false }, &kinds)?;
        bench.must_be_untouched(&subject, "after the start that was refused")?;
        bench.must_be(&subject, RunState::Off, "after the start that was refused")?;
    }
    Ok(())
}

/// Every one of these documents has to be refused, with its place.
fn refused<'a>(bench: &Bench<'_>, documents: impl IntoIterator<Item = &'a str>) -> Result<(), Finding> {
    for xml in documents {
        let subject = bench.subject(xml);
        let kinds = [FailureKind::Invalid, FailureKind::Unsupported];
        let failure = bench.must_refuse(&subject, Operation::Check, &kinds)?;
        if !tells_where(&failure) {
            let expected = "an error with a line or an element: in its details, or in its sentence";
            return Err(fault(&asked(&subject, &Operation::Check), expected, &failure.to_string()));
        }
    }
    Ok(())
}

/// Whether an error says where: a line or an element, as a detail or in the sentence.
fn tells_where(failure: &Failure) -> bool {
    let detail =
        failure.details.iter().any(|(key, value)| (key == "line" || key == "element") && !value.is_empty());
    let numbered = |(_, after): (&str, &str)| after.starts_with(|letter: char| letter.is_ascii_digit());
    detail || failure.message.contains('<') || failure.message.split_once("line ").is_some_and(numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_detail_or_in_the_sentence() {
        let failure = |message: &str, details: &[(&str, &str)]| Failure {
            kind: FailureKind::Invalid,
            code: "a.b".to_owned(),
            message: message.to_owned(),
            details: details.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        };
        for (message, details, tells) in [
            ("no", &[][..], false),
            ("no", &[("line", "3")], true),
            ("no", &[("element", "")], false),
            ("<name> is missing", &[], true),
            ("line 3: no", &[], true),
            ("out of line here", &[], false),
        ] {
            assert_eq!(tells_where(&failure(message, details)), tells, "{message} {details:?}");
        }
    }
}
