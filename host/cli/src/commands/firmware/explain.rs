//! `hostler firmware explain`: for each descriptor, why a domain's firmware comes from it or does not.

use std::path::PathBuf;

use clap::Args;
use hostler_domains::{
    ChosenBy, ConsideredDescriptor, DomainRef, FirmwareExplanation, FirmwareInUse, FirmwareSource, StoreInUse,
};

use crate::commands::view;
use crate::failure::Stop;
use crate::input;
use crate::output::colour::Tone;
use crate::output::table::{Cell, Facts, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// Tell for each descriptor why a domain's firmware comes from it, or does not
///
/// Of a domain that is defined, the firmware is what was chosen then; the descriptors are judged as they are now. That
/// none fits is an answer too.
#[derive(Debug, Args)]
#[command(
    override_usage = "hostler firmware explain [OPTIONS] <DOMAIN>\n       hostler firmware explain [OPTIONS] --file <FILE>"
)]
pub(super) struct Explain {
    /// Name or UUID of the domain
    #[arg(value_name = "DOMAIN", required_unless_present = "file", conflicts_with = "file")]
    domain: Option<String>,
    /// Take the domain XML from FILE instead; '-' reads standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Explain {
    /// Explains it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let source = match (&self.file, self.domain) {
            (Some(file), _) => FirmwareSource::Xml(input::document(file, session)?),
            (None, domain) => FirmwareSource::Domain(DomainRef::new(domain.unwrap_or_default())),
        };
        let explanation = session
            .block_on(async { Ok(session.reader().await?.explain_firmware(source).await?) })
            .map_err(|stop| match &self.file {
                Some(file) => stop.in_file(file),
                None => stop,
            })?;
        let mut blocks = vec![Block::Facts(facts(&explanation))];
        if !explanation.descriptors.is_empty() {
            blocks.push(Block::Heading("descriptors, in the order in which they are tried".to_owned()));
            blocks.push(Block::Table(table(&explanation.descriptors)));
        }
        Ok(Reply::data(view::to_json(&explanation)?, blocks))
    }
}

fn facts(explanation: &FirmwareExplanation) -> Facts {
    let mut facts = Facts::new();
    facts.add("domain", &explanation.name);
    facts.add("chosen by", chooser(explanation.chosen_by));
    facts.add("asked for", explanation.wishes.join(", "));
    if let Some(problem) = &explanation.problem {
        facts.add("firmware", Cell::new(format!("none: {problem}")).tone(Tone::Warning));
    }
    for hint in &explanation.hints {
        facts.add("hint", hint);
    }
    match &explanation.firmware {
        Some(firmware) => add_firmware(&mut facts, firmware),
        None if explanation.problem.is_none() => facts.add("firmware", "none of this host's"),
        None => {}
    }
    facts
}

fn chooser(chosen_by: ChosenBy) -> &'static str {
    match chosen_by {
        ChosenBy::Definition => "the host, when the domain was defined",
        ChosenBy::Host => "the host, among what is installed now",
        ChosenBy::Document => "the document, which names the code",
        ChosenBy::Machine => "nobody: the machine brings its own",
    }
}

fn add_firmware(facts: &mut Facts, firmware: &FirmwareInUse) {
    let code = format!("{} ({}, {})", firmware.code.display(), firmware.attachment, firmware.code_format);
    facts.add("code", present(code, firmware.code_exists));
    if let Some(descriptor) = &firmware.descriptor {
        facts.add("described by", descriptor.display().to_string());
    }
    let offers = [(firmware.secure_boot, "secure boot"), (firmware.enrolled_keys, "enrolled keys")];
    for (offered, what) in offers {
        if let Some(offered) = offered {
            facts.add(what, if offered { "yes" } else { "no" });
        }
    }
    facts.add("needs SMM", if firmware.needs_smm { "yes" } else { "no" });
    match &firmware.variable_store {
        Some(store) => add_store(facts, store),
        None => facts.add("variable store", "none: this firmware keeps no variables"),
    }
}

fn add_store(facts: &mut Facts, store: &StoreInUse) {
    let made = if store.exists { "there" } else { "made at the first start" };
    facts.add("variable store", format!("{} ({}, {made})", store.path.display(), store.format));
    match &store.template {
        Some(template) => {
            let format = store.template_format.unwrap_or("raw");
            facts.add(
                "template",
                present(format!("{} ({format})", template.display()), store.template_exists),
            );
        }
        None => facts.add("template", Cell::new("none is known").tone(Tone::Warning)),
    }
}

fn present(text: String, exists: bool) -> Cell {
    match exists {
        true => Cell::new(text),
        false => Cell::new(format!("{text}: not there")).tone(Tone::Warning),
    }
}

fn table(descriptors: &[ConsideredDescriptor]) -> Table {
    let mut table = Table::new().words("NAME").words("VERDICT").prose("WHY");
    for descriptor in descriptors {
        let tone = if descriptor.verdict == "chosen" { Tone::Good } else { Tone::Plain };
        table.row(vec![
            Cell::new(&descriptor.name).tone(tone),
            Cell::new(descriptor.verdict).tone(tone),
            Cell::new(&descriptor.reason),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explanation() -> FirmwareExplanation {
        FirmwareExplanation {
            name: "web".into(),
            chosen_by: ChosenBy::Definition,
            wishes: vec!["UEFI".into(), "no secure-boot".into()],
            firmware: Some(FirmwareInUse {
                attachment: "flash",
                code: "/fw/code".into(),
                code_format: "raw",
                code_exists: true,
                descriptor: Some("/d/60.json".into()),
                secure_boot: Some(false),
                enrolled_keys: Some(false),
                needs_smm: false,
                variable_store: Some(StoreInUse {
                    path: "/s/nvram.fd".into(),
                    format: "qcow2",
                    exists: true,
                    template: Some("/fw/vars".into()),
                    template_format: Some("raw"),
                    template_exists: false,
                }),
            }),
            problem: None,
            hints: Vec::new(),
            descriptors: Vec::new(),
        }
    }

    #[test]
    fn firmware_and_store_are_told_with_what_is_missing() {
        let text = facts(&explanation()).render(false);
        for part in [
            "the host, when the domain was defined",
            "UEFI, no secure-boot",
            "/fw/code (flash, raw)\n",
            "/s/nvram.fd (qcow2, there)",
            "/fw/vars (raw): not there",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_cannot_be_had_is_an_answer() {
        let refused = FirmwareExplanation {
            firmware: None,
            problem: Some("no firmware fits".into()),
            hints: vec!["ask for less".into()],
            ..explanation()
        };
        let text = facts(&refused).render(false);
        assert!(text.contains("none: no firmware fits") && text.contains("ask for less"), "{text}");
    }
}
