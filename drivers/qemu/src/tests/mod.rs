//! Whole command lines: against the recorded corpus, and against goldens of our own.

mod corpus;
mod disks;
mod golden;
mod render;
mod said;

use hostler_sdk::domain::Domain;
use hostler_sdk::{Error, Launch};

use crate::argv::{self, Inputs, comparison};
use crate::blockdev::has_nodes;
use crate::chains::{Chains, declared};
use crate::facts::Facts;
use crate::{alias, complete};

/// A completed document and the launch that it means.
struct Case {
    domain: Domain,
    launch: Launch,
}

impl Case {
    /// Completes a document and builds its launch, with images as the document declares them.
    fn of(xml: &str, facts: &Facts) -> Result<Self, Error> {
        let written = Domain::parse(xml)?;
        let author = written.document().clone();
        let domain = complete::complete(written, |bytes| bytes.fill(0x5a))?;
        let aliases = alias::assign(&domain);
        let mut chains = Chains::default();
        for disk in domain.devices.disks.iter().filter(|disk| has_nodes(disk)) {
            chains.insert(disk.target.as_str(), declared(disk));
        }
        let firmware = comparison::firmware(&domain);
        let inputs = Inputs {
            domain: &domain,
            author: &author,
            aliases: &aliases,
            chains: &chains,
            firmware: firmware.as_ref(),
            facts,
        };
        let launch = argv::command_line(inputs)?;
        Ok(Case { domain, launch })
    }
}
