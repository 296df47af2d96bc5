//! `hostler show`: everything about one domain.

use clap::Args;
use hostler_domains::{BlockJobSummary, CompanionSummary, DiskSummary, DomainDetails};
use serde_json::{Value, json};

use super::{Target, view};
use crate::failure::Stop;
use crate::output::table::{Cell, Facts};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Show everything about one domain
///
/// State, size, disks with their chains as they are on the disk now, consoles.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    target: Target,
}

impl Show {
    /// Shows it.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let details = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.show(&self.target.reference()).await?)
        })?;
        reply(&details)
    }
}

fn reply(details: &DomainDetails) -> Result<Reply, Stop> {
    let mut blocks = vec![Block::Facts(facts(details))];
    details.disks.iter().for_each(|disk| blocks.extend(disk_blocks(disk)));
    let mut domain = view::to_json(details)?;
    if let Some(disks) = domain.get_mut("disks") {
        *disks = details.disks.iter().map(disk_json).collect::<Result<Vec<_>, _>>()?.into();
    }
    Ok(Reply::data(domain, blocks))
}

fn facts(details: &DomainDetails) -> Facts {
    let summary = &details.summary;
    let mut facts = Facts::new();
    facts.add("name", &summary.name);
    facts.add("uuid", summary.uuid.to_string());
    facts.add_known("title", details.title.as_deref());
    facts.add("state", view::state(summary.state));
    facts.add_known("reason", view::reason(summary).as_deref());
    facts.add("kind", view::kind(summary));
    facts.add("driver", &summary.driver);
    facts.add_known("machine", details.machine.as_deref());
    facts.add("vcpus", summary.vcpus.to_string());
    facts.add("memory", quantity::size(summary.memory_bytes));
    facts.add_known("pid", summary.pid.map(|pid| pid.to_string()));
    facts.add_known("started", summary.started_unix_ms.map(quantity::moment));
    facts.add_known("up", view::uptime(summary.started_unix_ms));
    facts.add_known("cage", details.confinement.as_ref().map(view::confinement));
    let companions: Vec<_> = details.companions.iter().map(companion).collect();
    let companions = Some(companions.join(", ")).filter(|companions| !companions.is_empty());
    facts.add_known("companions", companions.map(Cell::new));
    facts.add("defined", quantity::moment(details.created_unix_ms));
    facts.add("generation", details.generation.to_string());
    facts.add_known("variable store", details.variable_store.as_ref().map(|path| path.display().to_string()));
    let dumps: Vec<_> = details.crash_dumps.iter().map(|path| path.display().to_string()).collect();
    facts.add_known("crash dumps", Some(dumps.join(", ")).filter(|dumps| !dumps.is_empty()).map(Cell::new));
    let jobs: Vec<_> = details.jobs.iter().map(job).collect();
    facts.add_known("jobs", Some(jobs.join(", ")).filter(|jobs| !jobs.is_empty()).map(Cell::new));
    facts.add(
        "consoles",
        if details.consoles.is_empty() { "none".into() } else { details.consoles.join(", ") },
    );
    let kept = Some(details.unmodelled.join(", ")).filter(|elements| !elements.is_empty());
    facts.add_known("kept unused", kept.map(Cell::new));
    facts
}

/// A program beside the hypervisor.
fn companion(companion: &CompanionSummary) -> String {
    let CompanionSummary { name, program, pid } = companion;
    match pid {
        Some(pid) => format!("{name} ({program}, pid {pid})"),
        None => format!("{name} ({program}, ended; the guest goes on without it)"),
    }
}

/// A job, whose it is and since when.
fn job(job: &BlockJobSummary) -> String {
    let (kind, disk, pid) = (job.kind.word(), &job.target, job.owner.pid);
    format!("{kind} of disk {disk}, begun {} s ago by process {pid}", job.age_ms / 1000)
}

fn disk_blocks(disk: &DiskSummary) -> [Block; 2] {
    let shown = match &disk.chain {
        Ok(layers) if layers.is_empty() => Block::Line("empty".to_owned()),
        Ok(layers) => Block::Table(view::layers(layers)),
        Err(problem) => Block::Line(format!("cannot be resolved: {problem}")),
    };
    [Block::Heading(format!("{} {}", disk.device, disk.target)), shown]
}

/// A disk in JSON: its layers, or the problem that hides them.
fn disk_json(disk: &DiskSummary) -> Result<Value, Stop> {
    let (layers, problem) = match &disk.chain {
        Ok(layers) => (view::to_json(layers)?, None),
        Err(problem) => (Value::Null, Some(problem)),
    };
    Ok(json!({"target": disk.target, "device": disk.device, "layers": layers, "problem": problem}))
}

#[cfg(test)]
mod tests {
    use hostler_domains::{Confinement, RunState};

    use super::*;
    use view::samples;

    fn details() -> DomainDetails {
        let disk = |target: &str, chain| DiskSummary { target: target.into(), device: "disk".into(), chain };
        DomainDetails {
            summary: samples::summary("web", RunState::Running),
            title: None,
            machine: Some("q35".into()),
            generation: 3,
            created_unix_ms: 0,
            confinement: Some(Confinement::None),
            companions: vec![
                CompanionSummary { name: "tpm0".into(), program: "swtpm".into(), pid: Some(7) },
                CompanionSummary { name: "fs0".into(), program: "virtiofsd".into(), pid: None },
            ],
            disks: vec![
                disk("vda", Ok(samples::chain())),
                disk("vdb", Err("it is gone\x1b[1m".into())),
                disk("sda", Ok(vec![])),
            ],
            jobs: Vec::new(),
            consoles: vec!["serial0".into()],
            variable_store: None,
            crash_dumps: Vec::new(),
            unmodelled: Vec::new(),
        }
    }

    #[test]
    fn text_shows_disks_with_their_chains_or_problems() {
        let text = reply(&details()).unwrap().text(None, false, false);
        assert!(text.contains("none: not caged\n"), "{text}");
        assert!(text.contains("tpm0 (swtpm, pid 7), fs0 (virtiofsd, ended"), "{text}");
        assert!(text.contains("machine:     q35\n"), "{text}");
        assert!(text.contains("\ndisk vda\nLAYER"), "{text}");
        assert!(text.contains("\ndisk vdb\ncannot be resolved: it is gone\\u{1b}[1m\n"), "{text}");
        assert!(text.contains("\ndisk sda\nempty\n"), "{text}");
    }

    #[test]
    fn json_has_layers_or_a_problem_for_each_disk() {
        let text = reply(&details()).unwrap().json_text();
        let json: Value = serde_json::from_str(&text).unwrap();
        let disks = &json["disks"];
        assert_eq!((&json["name"], &json["generation"]), (&"web".into(), &3.into()));
        assert_eq!((&disks[0]["layers"][0]["format"], &disks[0]["problem"]), (&"qcow2".into(), &Value::Null));
        assert_eq!((&disks[1]["layers"], &disks[1]["problem"]), (&Value::Null, &"it is gone\x1b[1m".into()));
    }
}
