//! What installing a driver would do, for people.

use hostler_domains::{DriverOrigin, DriverPlan, GrantStanding};

use crate::output::colour::Tone;
use crate::output::table::{Cell, Facts, Table};
use crate::output::{Block, quantity};

/// Everything that a plan says, and why the driver would be refused.
pub(super) fn blocks(plan: &DriverPlan) -> Vec<Block> {
    let mut blocks = without_problems(plan);
    blocks.extend(problems(plan));
    blocks
}

/// Everything for which the driver would be refused, with what to do about it.
pub(super) fn problems(plan: &DriverPlan) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !plan.problems.is_empty() {
        blocks.push(Block::Heading("Would be refused".to_owned()));
    }
    for problem in &plan.problems {
        blocks.push(Block::Line(format!("  {}: {}", problem.code, problem.message)));
        blocks.extend(problem.hints.iter().map(|hint| Block::Line(format!("    {hint}"))));
    }
    blocks
}

/// What a plan says beside that.
pub(super) fn without_problems(plan: &DriverPlan) -> Vec<Block> {
    let mut blocks = vec![Block::Facts(facts(plan))];
    if !plan.grants.is_empty() {
        blocks.push(Block::Heading("Grants".to_owned()));
        blocks.push(Block::Table(grants(&plan.grants)));
    }
    blocks.extend(sentences(plan));
    blocks
}

/// What needs consent, and what is odd.
pub(super) fn sentences(plan: &DriverPlan) -> Vec<Block> {
    let mut blocks = Vec::new();
    let sections = [("Needs your consent", &plan.consent), ("Remarks", &plan.remarks)];
    for (heading, sentences) in sections.into_iter().filter(|(_, sentences)| !sentences.is_empty()) {
        blocks.push(Block::Heading(heading.to_owned()));
        blocks.extend(sentences.iter().map(|sentence| Block::Line(format!("  {sentence}"))));
    }
    blocks
}

/// What it imports and exports, and what that comes to here: for its author.
pub(super) fn items(plan: &DriverPlan) -> Vec<Block> {
    let mut blocks = Vec::new();
    let parts = [("Imports", &plan.import_standings), ("Exports", &plan.export_standings)];
    for (heading, interfaces) in parts.into_iter().filter(|(_, interfaces)| !interfaces.is_empty()) {
        blocks.push(Block::Heading(heading.to_owned()));
        let mut table = Table::new().words("INTERFACE").prose("HERE");
        for interface in interfaces {
            table.row(vec![Cell::new(&interface.interface), Cell::new(&interface.standing)]);
        }
        blocks.push(Block::Table(table));
    }
    blocks
}

fn facts(plan: &DriverPlan) -> Facts {
    let unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    let list = |words: &[String]| if words.is_empty() { "none".to_owned() } else { words.join(", ") };
    let mut facts = Facts::new();
    facts.add("driver", format!("{} {}", unknown(&plan.name), unknown(&plan.version)));
    facts
        .add("contract", format!("{} (this host offers {})", unknown(&plan.contract), plan.contract_offered));
    facts.add("digest", &plan.digest);
    facts.add("component", format!("{} ({}), {}", plan.path.display(), plan.form, quantity::size(plan.size)));
    facts.add("signed by", signed(plan));
    facts.add("domain types", list(&plan.domain_types));
    facts.add("abilities", list(&plan.abilities));
    if let Some(replaced) = &plan.replaces {
        let origin = match replaced.origin {
            DriverOrigin::Installed => "installed".to_owned(),
            DriverOrigin::Directory => format!("from '{}'", replaced.path.display()),
        };
        facts.add("replaces", format!("{} ({origin}), {}", replaced.version, replaced.digest));
    }
    if plan.installed {
        facts.add("installed", "yes, just this one");
    }
    facts
}

fn signed(plan: &DriverPlan) -> String {
    match (&plan.signer, plan.signatures) {
        (Some(signer), _) => signer.clone(),
        (None, 0) => "nobody".to_owned(),
        (None, count) => format!("not known: {count} signatures, by nobody whom the policy names"),
    }
}

/// What is asked for, what is given, and who says so.
pub(super) fn grants(standings: &[GrantStanding]) -> Table {
    let mut table = Table::new().words("GRANT").words("GIVEN").words("BY").prose("REMEDY");
    for standing in standings {
        table.row(vec![
            Cell::new(&standing.grant),
            given(standing),
            Cell::new(&standing.by),
            remedy(standing),
        ]);
    }
    table
}

pub(super) fn given(standing: &GrantStanding) -> Cell {
    if standing.given { Cell::new("yes").tone(Tone::Good) } else { Cell::new("no").tone(Tone::Warning) }
}

pub(super) fn remedy(standing: &GrantStanding) -> Cell {
    Cell::optional(standing.remedy.as_deref())
}
