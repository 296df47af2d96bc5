//! Name and identifier of a domain are its user's, whatever they are.

use crate::bench::Bench;
use crate::case::{Case, Finding, Needs, fault};
use crate::documents;
use crate::runner::Operation;

pub(super) const CASES: &[Case] = &[Case {
    name: "check.keeps-identity",
    demands: "name and identifier come back as they were given, whatever letters the name has",
    why: "the host refuses an answer about another domain",
    needs: Needs::Driver,
    run: keeps_identity,
}];

/// Names as users give them: markup, quotes, other scripts, what a shell or an option parser would trip over.
const NAMES: &[(&str, &str)] = &[
    ("web-1", "web-1"),
    ("a &amp; b &lt;c&gt;", "a & b <c>"),
    ("größer 名前 🖥", "größer 名前 🖥"),
    ("it's, \"id=x\",file=y", "it's, \"id=x\",file=y"),
    ("$(x) %s -drive", "$(x) %s -drive"),
];

fn keeps_identity(bench: &Bench<'_>) -> Result<(), Finding> {
    let kind = bench.kind()?;
    for (written, name) in NAMES {
        let subject = bench.subject(&documents::minimal(kind, written, documents::UUID));
        let completed = bench.document(&subject)?;
        for (element, wanted) in [("name", *name), ("uuid", documents::UUID)] {
            let found = documents::element(&completed, element);
            if found.as_deref() != Some(wanted) {
                let asked = crate::bench::asked(&subject, &Operation::Check);
                let came = found.unwrap_or_else(|| format!("no <{element}>"));
                return Err(fault(&asked, &format!("<{element}> '{wanted}'"), &came));
            }
        }
    }
    Ok(())
}
