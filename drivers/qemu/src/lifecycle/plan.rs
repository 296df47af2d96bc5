//! From a domain's handle to the launch that it means.

use hostler_sdk::domain::{Document as Text, Domain as Document};
use hostler_sdk::{Domain, Error, Launch, Resources, clock};

use super::{reactions, refuse, refuse_silent};
use crate::alias;
use crate::argv::{self, Inputs, comparison};
use crate::blockdev::{has_nodes, in_order};
use crate::capability;
use crate::chains::{Chains, FirmwareFacts, declared};
use crate::complete;
use crate::facts::Facts;
use crate::rules;
use crate::storage_rules;

/// A launch, and what it was made from.
pub(super) struct Plan {
    /// The completed document.
    pub(super) document: Document,
    /// The launch.
    pub(super) launch: Launch,
    /// What it names, as far as it is open already.
    pub(super) resources: Resources,
}

/// A document, completed.
pub(super) struct Completed {
    /// What follows from it.
    pub(super) domain: Document,
    /// As its author wrote it: what is wrong is shown where it stands there.
    pub(super) author: Text,
}

/// The domain's document, completed. Completing a completed one gives it back.
///
/// # Errors
/// What is wrong with the document, or cannot be done, with its place.
pub(super) fn document(domain: &Domain, facts: &Facts) -> Result<Completed, Error> {
    let random = |buffer: &mut [u8]| {
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        buffer.iter_mut().zip(clock::random(length)).for_each(|(byte, random)| *byte = random);
    };
    settle(Document::parse(&domain.config())?, facts, random)
}

/// A document as its author wrote it, judged and completed.
///
/// # Errors
/// As [`document`].
pub(super) fn settle(
    written: Document,
    facts: &Facts,
    random: impl FnMut(&mut [u8]),
) -> Result<Completed, Error> {
    rules::refuse(&written)?;
    capability::refuse(&written, facts.comparison)?;
    refuse::refuse(&written)?;
    storage_rules::refuse(&written, facts.comparison)?;
    if !facts.comparison {
        refuse_silent::refuse(&written)?;
    }
    let author = written.document().clone();
    Ok(Completed { domain: complete::complete(written, random)?, author })
}

/// What the host says about itself and this run.
pub(super) fn facts(domain: &Domain) -> Facts {
    Facts::read(&domain.facts(), clock::unix_seconds())
}

/// The launch of a domain.
///
/// # Errors
/// What the document asks for and cannot be had; what the host says about its disks and firmware,
/// unchanged.
pub(super) fn plan(domain: &Domain) -> Result<Plan, Error> {
    let facts = facts(domain);
    let completed = document(domain, &facts)?;
    let document = &completed.domain;
    let chains = chains(domain, document, &facts)?;
    let (firmware_facts, resources) = if facts.comparison {
        (comparison::firmware(document), Resources::default())
    } else {
        let firmware = domain.firmware()?;
        (firmware.as_ref().map(FirmwareFacts::from), Resources::default().with_firmware(firmware))
    };
    let mut launch = launch(&completed, &chains, firmware_facts.as_ref(), &facts)?;
    let owned = |commands: &[&str]| commands.iter().map(|command| (*command).to_owned()).collect();
    launch.reactions = reactions::reactions(document)
        .into_iter()
        .map(|(event, commands)| (event.to_owned(), owned(commands)))
        .collect();
    Ok(Plan { document: completed.domain, launch, resources })
}

/// The launch, from data alone.
///
/// # Errors
/// What the document asks for and cannot be had.
pub(super) fn launch(
    completed: &Completed,
    chains: &Chains,
    firmware: Option<&FirmwareFacts>,
    facts: &Facts,
) -> Result<Launch, Error> {
    let Completed { domain, author } = completed;
    let aliases = alias::assign(domain);
    argv::command_line(Inputs { domain, author, aliases: &aliases, chains, firmware, facts })
}

/// The layers of all disks: as the host resolved them, or as declared when they are only compared.
fn chains(domain: &Domain, document: &Document, facts: &Facts) -> Result<Chains, Error> {
    let mut chains = Chains::default();
    for disk in in_order(&document.devices.disks).into_iter().filter(|disk| has_nodes(disk)) {
        let target = disk.target.as_str();
        let layers = if facts.comparison { declared(disk) } else { domain.disk(target)?.layers() };
        chains.insert(target, layers);
    }
    Ok(chains)
}
