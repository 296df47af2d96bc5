//! `hostler firmware list`: the descriptors of this host in the order in which they are tried.

use clap::Args;
use hostler_domains::{DescriptorStanding, DescriptorSummary};

use crate::commands::view;
use crate::failure::Stop;
use crate::output::colour::Tone;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// List the firmware descriptors in the order in which they are tried
///
/// A file takes the place of one with the same name in a less important directory; an empty file takes it away. Both
/// are listed, and say which they are.
#[derive(Debug, Args)]
pub(super) struct List {}

impl List {
    /// Lists them.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let list = session.block_on(async { Ok(session.reader().await?.firmware()) })?;
        for broken in list.descriptors.iter().filter_map(|descriptor| descriptor.problem.as_ref()) {
            session.output().warning(&format!("a descriptor cannot be used: {broken}"));
        }
        if list.descriptors.is_empty() {
            session.output().note("no firmware is described; on Debian: apt-get install ovmf");
        }
        Ok(Reply::data(view::to_json(&list)?, vec![Block::Table(table(&list.descriptors))]))
    }
}

fn table(descriptors: &[DescriptorSummary]) -> Table {
    let mut table = Table::new()
        .words("NAME")
        .words("STANDING")
        .words("INTERFACE")
        .words("AS")
        .words("FORMAT")
        .words("NEEDS")
        .prose("FEATURES")
        .prose("MACHINES")
        .prose("CODE")
        .prose("TEMPLATE")
        .prose("FROM");
    for descriptor in descriptors {
        let tone = match descriptor.standing {
            DescriptorStanding::Used => Tone::Plain,
            DescriptorStanding::Hidden | DescriptorStanding::Masked => Tone::Faint,
            DescriptorStanding::Invalid => Tone::Warning,
        };
        let list = |words: &[String]| Cell::optional(Some(words.join(",")).filter(|text| !text.is_empty()));
        let path =
            |path: Option<&std::path::PathBuf>| Cell::optional(path.map(|path| path.display().to_string()));
        table.row(vec![
            Cell::new(&descriptor.name).tone(tone),
            Cell::new(descriptor.standing.word()).tone(tone),
            list(&descriptor.interfaces),
            Cell::optional(kind(descriptor)),
            Cell::optional(descriptor.code_format.as_deref()),
            list(&descriptor.needs),
            list(&descriptor.features),
            list(&descriptor.targets),
            path(descriptor.code.as_ref()),
            path(descriptor.template.as_ref()),
            Cell::new(from(descriptor)),
        ]);
    }
    table
}

/// `flash`, or `flash,stateless` where that is not a pair of code and variables.
fn kind(descriptor: &DescriptorSummary) -> Option<String> {
    let mode = descriptor.mode.as_deref().filter(|mode| *mode != "split");
    let words = std::iter::once(descriptor.attachment.as_str()).chain(mode);
    Some(words.collect::<Vec<_>>().join(",")).filter(|kind| !kind.is_empty())
}

/// The directory, and the file that counts in its place.
fn from(descriptor: &DescriptorSummary) -> String {
    let directory = descriptor.path.parent().unwrap_or(&descriptor.path).display();
    match &descriptor.hidden_by {
        Some(by) => format!("{directory}, hidden by {}", by.display()),
        None => directory.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_standing_is_told() {
        let used = DescriptorSummary {
            name: "50.json".into(),
            path: "/etc/qemu/firmware/50.json".into(),
            interfaces: vec!["uefi".into()],
            attachment: "flash".into(),
            mode: Some("stateless".into()),
            needs: vec!["smm".into()],
            ..DescriptorSummary::default()
        };
        let masked = DescriptorSummary {
            name: "60.json".into(),
            path: "/usr/share/qemu/firmware/60.json".into(),
            standing: DescriptorStanding::Masked,
            hidden_by: Some("/etc/qemu/firmware/60.json".into()),
            ..DescriptorSummary::default()
        };
        let text = table(&[used, masked]).render(None, false);
        assert!(text.contains("50.json  used      uefi       flash,stateless  -       smm"), "{text}");
        assert!(text.contains("60.json  masked    -          -"), "{text}");
        assert!(text.contains("/usr/share/qemu/firmware, hidden by /etc/qemu/firmware/60.json"), "{text}");
    }
}
