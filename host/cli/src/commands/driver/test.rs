//! `hostler driver test`: runs the conformance suite against a driver, and reports.

use std::path::PathBuf;

use clap::Args;
use hostler_domains::{
    CaseReport, ConformanceCase, DriverTestOptions, DriverTested, Report, TestedComponent, Verdict,
    conformance_cases, test_driver,
};
use serde_json::{Value, json};

use crate::commands::view;
use crate::exit::Exit;
use crate::failure::Stop;
use crate::input;
use crate::output::colour::Tone;
use crate::output::table::{Cell, Facts, Table};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Run the conformance suite against a driver, whatever it was written in, and report
///
/// The driver need not be installed. It runs in the sandbox, the limits, the policy and the cage that it would have
/// if it were, and in a state directory that is thrown away. What cannot be tried here is skipped, and said so; the
/// command succeeds when nothing failed. Where a driver starts a hypervisor, a real one is started.
#[derive(Debug, Args)]
pub(super) struct Test {
    /// The driver: a component, a folder with one, an OCI layout, or oci://HOST/NAME:TAG in a registry
    #[arg(value_name = "FILE", required_unless_present = "list")]
    file: Option<PathBuf>,
    /// Choose one of several drivers in an OCI layout
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Run these cases only; the part before the dot names a group
    #[arg(long, value_name = "CASE", num_args = 1.., value_delimiter = ',')]
    only: Vec<String>,
    /// Start domains with the document in FILE instead of a minimal one; '-' reads standard input
    #[arg(long, value_name = "FILE")]
    domain: Option<PathBuf>,
    /// Give the driver what it asks for beyond the policy, for the length of the test
    #[arg(long, short)]
    yes: bool,
    /// List the cases and what they demand; run none
    #[arg(long)]
    list: bool,
}

impl Test {
    /// Tests it; the exit status says whether anything failed.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let cases = conformance_cases(&self.only)?;
        let Some(file) = self.file.as_ref().filter(|_| !self.list) else { return list(&cases) };
        let document = self.domain.as_ref().map(|file| input::document(file, session)).transpose()?;
        let options = DriverTestOptions { tag: self.tag, only: self.only, document, consented: self.yes };
        let progress = session.output().progress("testing the driver");
        let mut tell = progress.teller();
        let mut begun = 0.0_f64;
        let all = f64::from(u32::try_from(cases.len()).unwrap_or(u32::MAX));
        let tested = session.block_on(async {
            let config = session.config()?;
            let count = move |_: &ConformanceCase| {
                tell(begun / all);
                begun += 1.0;
            };
            Ok(Box::pin(test_driver(config, file, options, count)).await?)
        });
        drop(progress);
        reply(&tested.map_err(|stop| stop.about("path", file.display()))?)
    }
}

fn list(cases: &[&'static ConformanceCase]) -> Result<Reply, Stop> {
    let mut table = Table::new().words("CASE").prose("DEMANDS").prose("WHY");
    for case in cases {
        table.row(vec![Cell::new(case.name), Cell::new(case.demands), Cell::new(case.why)]);
    }
    Ok(Reply::data(json!({"cases": view::to_json(&cases)?}), vec![Block::Table(table)]))
}

fn reply(tested: &DriverTested) -> Result<Reply, Stop> {
    let DriverTested { component, digest, report } = tested;
    let counts = counts(report);
    let mut facts = Facts::new();
    let named =
        component.name.iter().chain(&component.version).map(String::as_str).collect::<Vec<_>>().join(" ");
    facts.add("driver", if named.is_empty() { "without a manifest".to_owned() } else { named });
    facts.add("digest", digest.as_deref().unwrap_or("too large to be read"));
    let mut blocks = vec![Block::Facts(facts), Block::Line(String::new()), Block::Table(table(report))];
    blocks.extend(report.cases.iter().flat_map(particulars));
    blocks.push(Block::Heading("Verdict".to_owned()));
    blocks.push(Block::Line(format!("  {counts}")));
    let exit = if report.failed() > 0 { Exit::Driver } else { Exit::Success };
    Ok(Reply::data(to_json(tested)?, blocks).exit_with(exit))
}

fn to_json(tested: &DriverTested) -> Result<Value, Stop> {
    let DriverTested { component, digest, report } = tested;
    let TestedComponent { name, version, size, .. } = component;
    Ok(json!({
        "driver": {"name": name, "version": version, "digest": digest, "size": size},
        "passed": report.passed(),
        "failed": report.failed(),
        "skipped": report.skipped(),
        "cases": view::to_json(&report.cases)?,
    }))
}

fn counts(report: &Report) -> String {
    format!("{} passed, {} failed, {} skipped", report.passed(), report.failed(), report.skipped())
}

fn table(report: &Report) -> Table {
    let mut table = Table::new().words("CASE").words("VERDICT").numbers("TIME").prose("DEMANDS");
    for case in &report.cases {
        let verdict = match &case.verdict {
            Verdict::Passed => Cell::new("passed").tone(Tone::Good),
            Verdict::Failed { .. } => Cell::new("FAILED").tone(Tone::Bad),
            Verdict::Skipped { .. } => Cell::new("skipped").tone(Tone::Warning),
        };
        let took = Cell::new(quantity::span(case.took));
        table.row(vec![Cell::new(case.case.name), verdict, took, Cell::new(case.case.demands)]);
    }
    table
}

/// What there is to say about a case that did not pass.
fn particulars(report: &CaseReport) -> Vec<Block> {
    let lines = match &report.verdict {
        Verdict::Passed => return Vec::new(),
        Verdict::Skipped { reason } => vec![("skipped", reason.as_str())],
        Verdict::Failed { fault } => vec![
            ("asked", fault.asked.as_str()),
            ("expected", &fault.expected),
            ("came", &fault.came),
            ("why it matters", report.case.why),
        ],
    };
    let mut facts = Facts::new();
    for (name, text) in lines {
        facts.add(name, text);
    }
    vec![Block::Heading(report.case.name.to_owned()), Block::Facts(facts)]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hostler_domains::ConformanceFault;

    use super::*;

    fn report() -> Report {
        let verdicts = [
            Verdict::Passed,
            Verdict::Failed {
                fault: ConformanceFault { asked: "a".into(), expected: "e".into(), came: "\u{1b}[2J".into() },
            },
            Verdict::Skipped { reason: "w".into() },
        ];
        let cases = conformance_cases(&[]).unwrap();
        let of = |(case, verdict)| CaseReport { case, verdict, took: Duration::from_millis(7) };
        Report { cases: cases.into_iter().zip(verdicts).map(of).collect() }
    }

    #[test]
    fn each_verdict_is_shown_and_what_did_not_pass_is_explained() {
        let report = report();
        assert_eq!(counts(&report), "1 passed, 1 failed, 1 skipped");
        let text = table(&report).render(None, false);
        assert!(text.contains("component.manifest  passed   7 ms"), "{text}");
        let blocks = report.cases.iter().flat_map(particulars).collect();
        let text = Reply::data(json!({}), blocks).text(None, false, true);
        for line in ["component.contract\n", "expected:", "came:", "skipped:"] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains("component.manifest") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn json_has_case_verdict_and_time_on_one_level() {
        let json = view::to_json(&report().cases).unwrap();
        assert_eq!(json[0]["name"], "component.manifest");
        assert_eq!((&json[0]["verdict"], &json[0]["ms"]), (&json!("passed"), &json!(7)));
        assert_eq!((&json[1]["verdict"], &json[1]["fault"]["expected"]), (&json!("failed"), &json!("e")));
        assert_eq!((&json[2]["verdict"], &json[2]["reason"]), (&json!("skipped"), &json!("w")));
    }
}
