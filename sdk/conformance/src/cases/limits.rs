//! Large documents: within the time and the memory that a call has.

use std::fmt::Write as _;

use crate::bench::{Bench, asked};
use crate::case::{Case, Finding, Needs, fault};
use crate::runner::{Operation, Subject};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "limits.large-document",
        demands: "a document of 64 KiB is checked within the limits of a call, kept whole, and checked again",
        why: "users keep what they like in metadata, and a driver that copies it once for each element is too slow",
        needs: Needs::Driver,
        run: large_document,
    },
    Case {
        name: "limits.long-values",
        demands: "a title, a comment and a metadata text of 16 KiB each are kept whole",
        why: "nothing in a document has a fixed size",
        needs: Needs::Driver,
        run: long_values,
    },
];

/// How large a document is that a driver has to take, in bytes.
const LARGE_BYTES: usize = 64 << 10;
/// How long a single value is, in bytes.
const LONG_BYTES: usize = 16 << 10;

fn large_document(bench: &Bench<'_>) -> Result<(), Finding> {
    let mut notes = String::new();
    let mut number = 0;
    while notes.len() < LARGE_BYTES {
        number += 1;
        // Writing to a string cannot fail.
        writeln!(notes, "    <n:note number='{number}'>note {number} &lt;of many&gt;</n:note>").ok();
    }
    let more = format!(
        "  <metadata>\n  <n:notes xmlns:n='urn:example:conformance'>\n{notes}  </n:notes>\n  </metadata>\n"
    );
    kept(bench, &more, &[&notes])
}

fn long_values(bench: &Bench<'_>) -> Result<(), Finding> {
    let parts = ["t", "c", "m"].map(|letter| letter.repeat(LONG_BYTES));
    let [title, comment, text] = &parts;
    let more = format!(
        "  <title>{title}</title>\n  <!--{comment}-->\n  <metadata>\n    <n:note xmlns:n='urn:example:conformance'>{text}\
         </n:note>\n  </metadata>\n"
    );
    kept(bench, &more, &[title, comment, text])
}

/// The document with this in it has to be completed twice, with all of these parts.
fn kept(bench: &Bench<'_>, more: &str, parts: &[&str]) -> Result<(), Finding> {
    let subject = bench.with(bench.kind()?, more);
    let completed = bench.document(&subject)?;
    let lost = parts.iter().find(|part| !completed.contains(**part));
    if let Some(lost) = lost {
        let asked = asked(&subject, &Operation::Check);
        return Err(fault(&asked, &format!("{lost} in the answer"), "an answer without it"));
    }
    let again = bench.document(&Subject { xml: completed.clone(), ..subject })?;
    if again == completed {
        return Ok(());
    }
    Err(fault("check of a large document that check has completed", "the same document", "another"))
}
