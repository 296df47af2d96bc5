//! `hostler doctor`: what this host can and cannot do.

use clap::Args;
use hostler_domains::{Finding, Status};
use serde_json::json;

use super::view;
use crate::exit::Exit;
use crate::failure::Stop;
use crate::output::colour::Tone;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// Tell what this host can and cannot do, each finding with its remedy
///
/// 'good' works, 'limited' works with a limit worth knowing, 'missing' does not work. Nothing is changed.
#[derive(Debug, Args)]
pub(crate) struct Doctor {}

impl Doctor {
    /// Looks, and fails if something is missing.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let findings = session.block_on(async { Ok(session.reader().await?.doctor().await) })?;
        reply(&findings)
    }
}

fn reply(findings: &[Finding]) -> Result<Reply, Stop> {
    let mut blocks = vec![Block::Table(table(findings))];
    if findings.iter().any(|finding| finding.remedy.is_some()) {
        blocks.push(Block::Heading("What to do".to_owned()));
    }
    for finding in findings {
        if let Some(remedy) = &finding.remedy {
            blocks.push(Block::Line(format!("  {}: {remedy}", finding.title)));
        }
    }
    let missing = findings.iter().any(|finding| finding.status == Status::Missing);
    let exit = if missing { Exit::Failed } else { Exit::Success };
    Ok(Reply::data(json!({"findings": view::to_json(&findings)?}), blocks).exit_with(exit))
}

fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new().words("STATUS").words("CHECK").prose("FOUND");
    for finding in findings {
        let (word, tone) = match finding.status {
            Status::Good => ("good", Tone::Good),
            Status::Limited => ("limited", Tone::Warning),
            Status::Missing => ("missing", Tone::Bad),
        };
        table.row(vec![Cell::new(word).tone(tone), Cell::new(&finding.title), Cell::new(&finding.detail)]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(status: Status, remedy: Option<&str>) -> Finding {
        Finding {
            id: "accelerator.kvm".into(),
            title: "KVM".into(),
            status,
            detail: "/dev/kvm does not answer".into(),
            remedy: remedy.map(str::to_owned),
        }
    }

    #[test]
    fn reply_fails_only_when_something_is_missing() {
        let limited = reply(&[finding(Status::Good, None), finding(Status::Limited, None)]).unwrap();
        assert_eq!(limited.exit(), Exit::Success);
        let missing = reply(&[finding(Status::Good, None), finding(Status::Missing, None)]).unwrap();
        assert_eq!(missing.exit(), Exit::Failed);
    }

    #[test]
    fn reply_lists_remedies_below_the_findings() {
        let reply = reply(&[finding(Status::Missing, Some("load the module"))]).unwrap();
        let expected = "STATUS   CHECK  FOUND\nmissing  KVM    /dev/kvm does not answer\n\nWhat to do\n  KVM: load the module\n";
        assert_eq!(reply.text(None, false, false), expected);
        let json: serde_json::Value = serde_json::from_str(&reply.json_text()).unwrap();
        assert_eq!(json["findings"][0]["status"], "missing");
    }
}
