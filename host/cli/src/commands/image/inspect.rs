//! `hostler image inspect`: everything that one image says about itself.

use clap::Args;
use hostler_domains::{ImageReport, ReferenceReport};

use super::Looked;
use crate::commands::view;
use crate::failure::Stop;
use crate::output::colour::Tone;
use crate::output::table::{Cell, Facts};
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Show everything that one image says about itself; what it names is told, not opened
#[derive(Debug, Args)]
pub(super) struct Inspect {
    #[command(flatten)]
    image: Looked,
}

impl Inspect {
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let Looked { file, format } = self.image;
        let report = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.image_inspect(&file, format.as_deref()).await?)
        });
        let report = report.map_err(|stop| stop.about("image", file.display()))?;
        Ok(Reply::data(view::to_json(&report)?, vec![Block::Facts(facts(&report))]))
    }
}

fn facts(report: &ImageReport) -> Facts {
    let mut facts = Facts::new();
    facts.add("image", report.path.to_string_lossy());
    let said = if report.recognised { "told by its content" } else { "as declared" };
    let variant = [report.subformat, report.compat].into_iter().flatten();
    let variant: String = variant.map(|word| format!(" {word}")).collect();
    facts.add("format", format!("{}{variant}, {said}", report.format));
    if let Some(content) = report.content.filter(|content| *content != report.format) {
        facts.add("looks like", Cell::new(content).tone(Tone::Warning));
    }
    facts.add("virtual size", size(report.virtual_size));
    facts.add("file", format!("{} long, {} on disk", size(report.length), quantity::size(report.allocated)));
    if let Some(cluster) = report.cluster_size {
        facts.add("cluster size", quantity::size(cluster));
    }
    for (name, record) in [("stands on", &report.backing), ("data file", &report.data_file)] {
        add_reference(&mut facts, name, record.as_ref());
    }
    for extent in &report.extents {
        add_reference(&mut facts, "extent", Some(extent));
    }
    if let Some(encryption) = &report.encryption {
        facts.add("encryption", encryption);
    }
    if !report.features.is_empty() {
        facts.add("features", report.features.join(", "));
    }
    if report.internal_snapshots > 0 {
        facts.add("internal snapshots", report.internal_snapshots.to_string());
    }
    facts.add("owner", format!("{}:{}, mode {}", report.uid, report.gid, report.mode));
    match &report.refusal {
        Some(refusal) => facts.add("a start", Cell::new(format!("refuses it: {refusal}")).tone(Tone::Bad)),
        None => facts.add("a start", Cell::new("takes it, if what it names is allowed").tone(Tone::Good)),
    }
    facts
}

fn add_reference(facts: &mut Facts, name: &'static str, record: Option<&ReferenceReport>) {
    let Some(ReferenceReport { recorded, format, source, problem }) = record else { return };
    let format = format.as_deref().unwrap_or("no recorded format");
    facts.add(name, format!("{recorded}, {format}"));
    // A plain name says all there is; a description of something else is shown as what it means.
    if let Some(source) = source.as_ref().filter(|_| recorded.contains(':')) {
        let line: Vec<&str> = source.lines().map(str::trim).collect();
        facts.add("meaning", line.concat());
    }
    if let Some(problem) = problem {
        facts.add("problem", Cell::new(problem).tone(Tone::Warning));
    }
}

/// `2 GiB (2147483648 bytes)`.
fn size(bytes: u64) -> String {
    format!("{} ({bytes} bytes)", quantity::size(bytes))
}
