//! What a QEMU may lack, by name, and where a document asks for it.
//!
//! `<qemu:capabilities><qemu:del capability='NAME'/>` takes an ability away from the QEMU that runs the domain: what
//! needs it is refused as if the program were older. The names are libvirt's, where it has one.

mod known;

use hostler_sdk::domain::{Document, Domain, NodeId, nearest};
use hostler_sdk::{Error, ProblemExt, problem};

pub use known::KNOWN;

/// Something that a QEMU can do or not.
#[derive(Debug)]
pub struct Capability {
    /// The name that a document takes it away by.
    pub name: &'static str,
    /// The first version that has it, major and minor.
    pub since: (u32, u32),
    /// Where a document asks for it; one is enough.
    signs: &'static [Sign],
}

/// A place in a document that asks for a capability. A path begins below the root; `*` is any element.
#[derive(Debug)]
enum Sign {
    /// The element is there.
    Has(&'static [&'static str]),
    /// The element has this attribute.
    Says(&'static [&'static str], &'static str),
    /// The element has this attribute with this value.
    Is(&'static [&'static str], &'static str, &'static str),
    /// The element is there twice.
    Twice(&'static [&'static str]),
}

impl Sign {
    fn find(&self, document: &Document) -> Option<NodeId> {
        let attribute = |node: &NodeId, name| document.attribute(*node, name);
        match self {
            Self::Has(path) => reach(document, path).first().copied(),
            Self::Twice(path) => reach(document, path).get(1).copied(),
            Self::Says(path, name) => {
                reach(document, path).into_iter().find(|node| attribute(node, name).is_some())
            }
            Self::Is(path, name, value) => {
                reach(document, path).into_iter().find(|node| attribute(node, name) == Some(value))
            }
        }
    }
}

/// All elements that a path leads to, in document order.
fn reach(document: &Document, path: &[&str]) -> Vec<NodeId> {
    path.iter().fold(vec![document.root()], |found, name| {
        let children = found.into_iter().flat_map(|node| document.elements(node));
        children.filter(|child| *name == "*" || document.name(*child) == *name).collect()
    })
}

/// Refuses what asks for a capability that the document takes away. A name that nobody knows is passed over where the
/// command line is only compared.
///
/// # Errors
/// `unsupported`, for the first element that needs one of them, or a name that is not known.
pub(crate) fn refuse(domain: &Domain, comparison: bool) -> Result<(), Error> {
    let document = domain.document();
    for name in &domain.qemu.capabilities_del {
        let Some(taken) = KNOWN.iter().find(|capability| capability.name == name) else {
            if comparison {
                continue;
            }
            return Err(unknown(document, name));
        };
        if let Some(node) = taken.signs.iter().find_map(|sign| sign.find(document)) {
            let what = format!(
                "<{}> needs '{name}', which this domain's QEMU is said not to have",
                document.name(node)
            );
            return Err(at(document, node, "qemu.capability-missing", what)
                .hint(format!(
                    "leave the element or attribute out, or remove <qemu:del capability='{name}'/>"
                ))
                .unsupported());
        }
    }
    Ok(())
}

fn unknown(document: &Document, name: &str) -> Error {
    let place = document.elements(document.root()).find(|node| document.local_name(*node) == "capabilities");
    let message = format!("no capability is called '{name}'");
    let problem = at(document, place.unwrap_or(document.root()), "qemu.capability-unknown", message);
    match nearest(name, KNOWN.iter().map(|known| known.name)) {
        Some(near) => problem.hint(format!("did you mean '{near}'?")),
        None => problem.hint("remove it: it would have no effect"),
    }
    .unsupported()
}

fn at(document: &Document, node: NodeId, code: &str, message: String) -> hostler_sdk::Problem {
    let position = document.position(node);
    problem(code, message)
        .detail("line", position.line.to_string())
        .detail("column", position.column.to_string())
        .detail("element", document.path(node))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(deleted: &str, devices: &str) -> Option<String> {
        let xml = format!(
            "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>n</name>\
             <memory>65536</memory><os><type>hvm</type></os><devices>{devices}</devices>\
             <qemu:capabilities><qemu:del capability='{deleted}'/></qemu:capabilities></domain>"
        );
        let domain = Domain::parse(&xml).unwrap();
        match refuse(&domain, false) {
            Ok(()) => None,
            Err(Error::Unsupported(problem)) => {
                assert!(!problem.hints.is_empty());
                assert!(problem.details.iter().any(|fact| fact.key == "column"));
                Some(problem.code)
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_taken_away_is_missed_where_it_is_needed() {
        let missing = Some("qemu.capability-missing".to_owned());
        let packed = "<rng model='virtio'><backend model='builtin'/><driver packed='on'/></rng>";
        assert_eq!(code("virtio-packed", packed), missing);
        assert_eq!(code("virtio-packed", "<rng model='virtio'><backend model='builtin'/></rng>"), None);
        assert_eq!(code("rng-builtin", packed), missing);
        let audio = |id: u8| format!("<audio id='{id}' type='none'/>");
        assert_eq!(code("audiodev", &audio(1)), None);
        assert_eq!(code("audiodev", &(audio(1) + &audio(2))), missing);
        assert_eq!(code("virtio-packt", ""), Some("qemu.capability-unknown".to_owned()));
    }

    #[test]
    fn every_name_is_given_once() {
        let mut names: Vec<_> = KNOWN.iter().map(|capability| capability.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
