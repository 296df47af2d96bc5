//! `hostler image check`: whether a start would take an image, and what to do if it would not.

use std::path::Path;

use clap::Args;
use hostler_domains::{Error, ImageCheck, ImageLayer};
use serde_json::{Value, json};

use super::Looked;
use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::output::colour::Tone;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// Check an image and everything it stands on: would a start take it, are its tables sound, who may open it
///
/// Every finding comes with the command that mends it. Nothing is written.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    image: Looked,
    /// Check that this user (a name, or UID:GID) can open each file by its name
    #[arg(long, value_name = "USER")]
    as_user: Option<String>,
}

/// One thing that was looked at.
struct Finding {
    image: String,
    rule: &'static str,
    problem: Option<Failure>,
}

impl Check {
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let Looked { file, format } = self.image;
        let check = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.image_check(&file, format.as_deref(), self.as_user.as_deref()).await?)
        });
        let check = check.map_err(|stop| stop.about("image", file.display()))?;
        let good = check.is_good();
        let findings = findings(check, self.as_user.is_some(), &file);
        let members: Vec<Value> = findings.iter().map(Finding::to_json).collect();
        let reply = Reply::data(json!({"good": good, "findings": members}), blocks(&findings));
        Ok(if good { reply } else { reply.exit_with(Exit::Refused) })
    }
}

/// What was looked at: for each layer its tables and, where asked, the way to it; then the chain as a whole.
fn findings(check: ImageCheck, access: bool, file: &Path) -> Vec<Finding> {
    let ImageCheck { chain, tables } = check;
    let mut findings = Vec::new();
    for (layer, table) in chain.layers.iter().zip(tables) {
        let image = layer.path.to_string_lossy().into_owned();
        findings.push(Finding { image: image.clone(), rule: "tables", problem: table.map(Failure::from) });
        if access {
            findings.push(Finding { image, rule: "access", problem: barrier(layer) });
        }
    }
    let problem = chain.refusal.map(|refusal: Error| Failure::from(refusal));
    findings.push(Finding { image: file.to_string_lossy().into_owned(), rule: "chain", problem });
    findings
}

fn barrier(layer: &ImageLayer) -> Option<Failure> {
    let barrier = layer.barrier.as_ref()?;
    let hint = "give the user that right, or put the image where it has it; hostler itself hands images to a \
                hypervisor as open files, so only who runs hostler needs it";
    Some(Failure::new("image.access", Exit::Refused, barrier).hint(hint, None))
}

impl Finding {
    fn to_json(&self) -> Value {
        let problem = self.problem.as_ref().map(Failure::to_json);
        json!({"image": self.image, "rule": self.rule, "good": self.problem.is_none(), "problem": problem})
    }
}

fn blocks(findings: &[Finding]) -> Vec<Block> {
    let mut table = Table::new().words("RULE").words("VERDICT").prose("IMAGE");
    for finding in findings {
        let (word, tone) = match finding.problem {
            None => ("good", Tone::Good),
            Some(_) => ("refused", Tone::Bad),
        };
        table.row(vec![Cell::new(finding.rule), Cell::new(word).tone(tone), Cell::new(&finding.image)]);
    }
    let mut blocks = vec![Block::Table(table)];
    for failure in findings.iter().filter_map(|finding| finding.problem.as_ref()) {
        blocks.push(Block::Heading(failure.message.clone()));
        for hint in &failure.hints {
            let command = hint.command.as_ref().map(|command| format!(": {command}")).unwrap_or_default();
            blocks.push(Block::Line(format!("  {}{command}", hint.text)));
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use hostler_domains::Kind;

    use super::*;
    use crate::commands::image::tree::samples;

    #[test]
    fn every_layer_and_the_chain_are_judged_and_remedies_follow() {
        let mut chain = samples::chain();
        chain.layers[1].barrier = Some("user 7 may not search '/srv'".into());
        let broken = Error::new(Kind::Denied, "image.malformed", "two tables overlap")
            .hint_command("repair it", "qemu-img check -r all");
        let check = ImageCheck { chain, tables: vec![Some(broken), None] };
        assert!(!check.is_good());
        let text =
            Reply::data(json!({}), blocks(&findings(check, true, Path::new("web")))).text(None, false, false);
        let expected = "\
RULE    VERDICT  IMAGE
tables  refused  /srv/web.qcow2
access  good     /srv/web.qcow2
tables  good     /srv/base.img
access  refused  /srv/base.img
chain   good     web

two tables overlap
  repair it: qemu-img check -r all

user 7 may not search '/srv'
";
        assert!(text.starts_with(expected), "{text}");
    }
}
