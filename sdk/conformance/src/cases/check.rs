//! `check`: a document is checked and completed, once, for good.

use std::collections::BTreeSet;

use crate::bench::Bench;
use crate::case::{Case, Finding, Needs, fault};
use crate::documents;
use crate::runner::{FailureKind, Operation, RunState, Subject};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "check.minimal",
        demands: "the least document of each domain type that the manifest names is accepted, and comes back as one",
        why: "a user writes what matters, and the driver chooses the rest",
        needs: Needs::Driver,
        run: minimal,
    },
    Case {
        name: "check.idempotent",
        demands: "a completed document comes back as it is, byte by byte",
        why: "a machine whose addresses changed at each definition would be another machine at each start",
        needs: Needs::Driver,
        run: idempotent,
    },
    Case {
        name: "check.keeps-foreign",
        demands: "comments, metadata of others, titles and spelling stay verbatim and in their order",
        why: "the document is its user's: other programs keep their notes in it",
        needs: Needs::Driver,
        run: keeps_foreign,
    },
    Case {
        name: "check.unknown-elements",
        demands: "an element that the driver does not know is kept as it is, or refused by name; never dropped",
        why: "what is dropped in silence is missed at the worst time",
        needs: Needs::Driver,
        run: unknown_elements,
    },
    Case {
        name: "check.changes-nothing",
        demands: "check starts nothing, writes no notes, tells of no events, and asks for none of that",
        why: "a document that is only looked at must not have an effect",
        needs: Needs::Driver,
        run: changes_nothing,
    },
    Case {
        name: "check.opens-nothing",
        demands: "a document whose images are not there yet is accepted, or refused as unsupported",
        why: "domains are defined before their images are made",
        needs: Needs::Driver,
        run: opens_nothing,
    },
];

/// Host calls that have an effect, or are for a domain that runs.
const EFFECTS: &[&str] =
    &["domain.launch", "domain.put-state", "domain.emit", "process.end", "qmp.execute", "qmp.execute-all"];

/// What others write into a document, as the parts that have to stay.
const FOREIGN: &[&str] = &[
    "<!-- conformance: at the top -->",
    "<title>kept  title</title>",
    "<description>kept &amp; kept</description>",
    "<note:memo xmlns:note='urn:example:conformance' one=\"1\" two='2'>some  text<!-- inside --><note:empty/></note:memo>",
    "<!-- conformance: among devices -->",
    "<!-- conformance: at the end -->",
];

fn minimal(bench: &Bench<'_>) -> Result<(), Finding> {
    bench.kind()?;
    for kind in &bench.component().domain_types {
        let subject = bench.minimal(kind);
        let completed = bench.document(&subject)?;
        match documents::kind(&completed) {
            Some(found) if found == *kind => {}
            found => {
                let came = found
                    .map_or_else(|| format!("no domain: {completed}"), |found| format!("type '{found}'"));
                return Err(fault(&asked(&subject), &format!("a domain of type '{kind}'"), &came));
            }
        }
    }
    Ok(())
}

fn idempotent(bench: &Bench<'_>) -> Result<(), Finding> {
    bench.kind()?;
    for kind in &bench.component().domain_types {
        let written = bench.minimal(kind);
        let once = bench.document(&written)?;
        let twice = bench.document(&Subject { xml: once.clone(), ..written })?;
        if once != twice {
            let (before, after) = first_difference(&once, &twice);
            return Err(fault("check of a document that check has completed", before, after));
        }
    }
    Ok(())
}

/// The first lines in which two texts differ.
fn first_difference<'a>(one: &'a str, other: &'a str) -> (&'a str, &'a str) {
    let mut lines = one.lines().zip(other.lines());
    lines.find(|(one, other)| one != other).unwrap_or((one, other))
}

fn keeps_foreign(bench: &Bench<'_>) -> Result<(), Finding> {
    let [top, title, description, memo, devices, end] = FOREIGN else {
        return Err(fault("the parts of the document", "six", "others"));
    };
    let more = format!(
        "  {top}\n  {title}\n  {description}\n  <metadata>\n    {memo}\n  </metadata>\n  <devices>\n    {devices}\n  \
         </devices>\n  {end}\n"
    );
    let subject = bench.with(bench.kind()?, &more);
    let completed = bench.document(&subject)?;
    let mut rest = completed.as_str();
    for part in FOREIGN {
        let Some((_, after)) = rest.split_once(part) else {
            return Err(fault(&asked(&subject), &format!("'{part}' in its place"), &completed));
        };
        rest = after;
    }
    Ok(())
}

fn unknown_elements(bench: &Bench<'_>) -> Result<(), Finding> {
    let element = "<conformance-element since='today'>kept</conformance-element>";
    let subject = bench.with(bench.kind()?, &format!("  {element}\n"));
    match bench.runner().call(&subject, &Operation::Check) {
        Ok(answer) if answer.to_string().contains(element) => Ok(()),
        Ok(answer) => Err(fault(&asked(&subject), &format!("'{element}' kept"), &answer.to_string())),
        Err(failure)
            if matches!(failure.kind, FailureKind::Invalid | FailureKind::Unsupported)
                && failure.to_string().contains("conformance-element") =>
        {
            Ok(())
        }
        Err(failure) => {
            let expected = "error 'invalid' or 'unsupported' that names the element, or the element kept";
            Err(fault(&asked(&subject), expected, &failure.to_string()))
        }
    }
}

fn changes_nothing(bench: &Bench<'_>) -> Result<(), Finding> {
    let subject = bench.minimal(bench.kind()?);
    let _before = bench.runner().host_calls();
    bench.document(&subject)?;
    let effects: BTreeSet<_> =
        bench.runner().host_calls().into_iter().filter(|call| EFFECTS.contains(&call.as_str())).collect();
    if !effects.is_empty() {
        let came = effects.into_iter().collect::<Vec<_>>().join(", ");
        return Err(fault(&asked(&subject), "no host call that has an effect", &came));
    }
    bench.must_be_untouched(&subject, "after check")?;
    bench.must_be(&subject, RunState::Off, "after check")
}

fn opens_nothing(bench: &Bench<'_>) -> Result<(), Finding> {
    let disk = "  <devices>\n    <disk type='file' device='disk'>\n      <driver type='qcow2'/>\n      \
                <source file='/nonexistent/conformance.qcow2'/>\n      <target dev='vda' bus='virtio'/>\n    \
                </disk>\n  </devices>\n";
    let subject = bench.with(bench.kind()?, disk);
    match bench.runner().call(&subject, &Operation::Check) {
        Ok(_) => bench.must_be_untouched(&subject, "after check"),
        Err(failure) if failure.kind == FailureKind::Unsupported => Ok(()),
        Err(failure) => Err(fault(&asked(&subject), "success or error 'unsupported'", &failure.to_string())),
    }
}

fn asked(subject: &Subject) -> String {
    crate::bench::asked(subject, &Operation::Check)
}
