//! What a disk may ask for: combinations that QEMU does not have, or would silently pass over.
//!
//! Each layer that the document names is looked at, not only the active one. A document of libvirt that breaks
//! a rule here is refused there too, except for the rules in [`own`], which are about the QEMU that is installed.

mod cookies;
mod encryption;
mod formats;
mod limits;
mod lun;
mod own;
mod served;
mod servers;

use hostler_sdk::domain::Domain;
use hostler_sdk::domain::disk::Disk;
use hostler_sdk::domain::storage_source::StorageSource;
use hostler_sdk::{Error, ProblemExt, problem};

/// One layer of a disk, looked at.
#[derive(Clone, Copy)]
struct Subject<'a> {
    disk: &'a Disk,
    /// Its index in the chain; 0 is the active layer.
    layer: usize,
    source: &'a StorageSource,
}

impl Subject<'_> {
    /// The format that its bytes are read with; raw where nobody says.
    fn format(&self) -> &str {
        self.source.format.as_deref().unwrap_or("raw")
    }

    fn is_active(&self) -> bool {
        self.layer == 0
    }
}

/// A rule that is broken.
#[derive(Debug)]
struct Broken {
    /// The last part of the error's code.
    rule: &'static str,
    /// What is wrong, after the words for disk and layer.
    what: String,
    /// What to write instead.
    remedy: &'static str,
}

/// A rule that is broken, with its remedy.
fn broken(rule: &'static str, what: impl Into<String>, remedy: &'static str) -> Option<Broken> {
    Some(Broken { rule, what: what.into(), remedy })
}

/// Looks at one layer.
type Rule = fn(&Subject<'_>) -> Option<Broken>;

const RULES: &[Rule] =
    &[served::rule, formats::rule, lun::rule, encryption::rule, servers::rule, cookies::rule, limits::rule];

/// Refuses what no disk may ask for. A document that is only compared may ask for what another QEMU had.
///
/// # Errors
/// `unsupported`, for the first rule that is broken, with disk, layer, element and remedy.
pub(crate) fn refuse(domain: &Domain, comparison: bool) -> Result<(), Error> {
    let own: &[Rule] = if comparison { &[] } else { &[own::rule] };
    for disk in &domain.devices.disks {
        for (layer, source) in disk.source.layers().enumerate() {
            let subject = Subject { disk, layer, source };
            if let Some(broken) = RULES.iter().chain(own).find_map(|rule| rule(&subject)) {
                return Err(at(domain, &subject, &broken));
            }
        }
    }
    Ok(())
}

fn at(domain: &Domain, subject: &Subject<'_>, broken: &Broken) -> Error {
    let document = domain.document();
    let target = subject.disk.target.as_str();
    let layer = match subject.layer {
        0 => String::new(),
        layer => format!(", layer {layer} of its chain"),
    };
    let position = document.position(subject.source.node);
    problem(&format!("qemu.storage-{}", broken.rule), format!("disk '{target}'{layer} {}", broken.what))
        .hint(broken.remedy)
        .detail("disk", target)
        .detail("layer", subject.layer.to_string())
        .detail("line", position.line.to_string())
        .detail("column", position.column.to_string())
        .detail("element", document.path(subject.source.node))
        .unsupported()
}

#[cfg(test)]
mod tests;
