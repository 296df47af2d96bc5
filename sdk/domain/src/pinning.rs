//! `<vcpu cpuset>` and the pins of `<cputune>`: which processors of the host the threads of a guest run on.

use crate::document::{Document, NodeId};
use crate::number_set::{number_set, number_set_text};

/// A thread that a pin is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinnedThread {
    /// A processor of the guest: `<vcpupin vcpu>`.
    Vcpu(u32),
    /// An I/O thread: `<iothreadpin iothread>`.
    IoThread(u32),
    /// Everything else: `<emulatorpin>`.
    Emulator,
}

impl PinnedThread {
    fn element(self) -> (&'static str, Option<(&'static str, u32)>) {
        match self {
            Self::Vcpu(number) => ("vcpupin", Some(("vcpu", number))),
            Self::IoThread(number) => ("iothreadpin", Some(("iothread", number))),
            Self::Emulator => ("emulatorpin", None),
        }
    }

    /// Whether an element is about it; one may be about several, as a set.
    fn is_of(self, document: &Document, node: NodeId) -> bool {
        let (name, key) = self.element();
        document.name(node) == name
            && key.is_none_or(|(key, number)| {
                let named = document.attribute(node, key).and_then(number_set);
                named.is_some_and(|named| named.contains(&number))
            })
    }
}

/// The pins of a document.
#[derive(Debug, Clone, Copy)]
pub struct Pinning<'a>(&'a Document);

impl<'a> Pinning<'a> {
    /// Those of this document.
    #[must_use]
    pub fn of(document: &'a Document) -> Self {
        Self(document)
    }

    /// Whether anything is said of where threads run.
    #[must_use]
    pub fn is_empty(self) -> bool {
        let pins = ["vcpupin", "iothreadpin", "emulatorpin"];
        self.default_text().is_none() && self.elements().all(|node| !pins.contains(&self.0.name(node)))
    }

    /// Where a thread runs; nothing where the document leaves that open.
    ///
    /// # Errors
    /// The text of a set that is none.
    pub fn of_thread(self, thread: PinnedThread) -> Result<Option<Vec<u32>>, &'a str> {
        let own = self.elements().find(|node| thread.is_of(self.0, *node));
        let text = own.and_then(|node| self.0.attribute(node, "cpuset")).or_else(|| self.default_text());
        text.map(|text| number_set(text).filter(|set| !set.is_empty()).ok_or(text)).transpose()
    }

    fn default_text(self) -> Option<&'a str> {
        self.0.attribute(self.0.child(self.0.root(), "vcpu")?, "cpuset")
    }

    fn elements(self) -> impl Iterator<Item = NodeId> + 'a {
        let document = self.0;
        document.child(document.root(), "cputune").into_iter().flat_map(|node| document.elements(node))
    }
}

/// Has a document say where a thread runs, in place of what it says.
///
/// # Errors
/// What the document does not take.
pub fn set_pin(document: &mut Document, thread: PinnedThread, cpus: &[u32]) -> Result<(), crate::XmlError> {
    let root = document.root();
    let (name, key) = thread.element();
    let tune = match document.child(root, "cputune") {
        Some(tune) => tune,
        None => document.append_child(root, "<cputune/>")?,
    };
    let alone = |node: &NodeId| {
        document.name(*node) == name
            && key.is_none_or(|(key, number)| document.attribute(*node, key) == Some(&number.to_string()))
    };
    let (found, first) = (document.elements(tune).find(alone), document.elements(tune).next());
    let pin = match (found, first) {
        (Some(pin), _) => pin,
        // Before one that is about several, which no longer counts for this one.
        (None, Some(first)) => document.insert_before(first, &format!("<{name}/>"))?,
        (None, None) => document.append_child(tune, &format!("<{name}/>"))?,
    };
    if let Some((key, number)) = key {
        document.set_attribute(pin, key, &number.to_string())?;
    }
    document.set_attribute(pin, "cpuset", &number_set_text(cpus))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(inside: &str) -> Document {
        Document::parse(&format!("<domain>{inside}</domain>")).unwrap()
    }

    #[test]
    fn threads_run_where_their_own_pin_says_and_else_where_all_do() {
        let document = document(
            "<vcpu cpuset='0-3,^1'>4</vcpu><cputune><vcpupin vcpu='0' cpuset='1'/><vcpupin vcpu='2-3' cpuset='5'/>\
             <emulatorpin cpuset='7'/><iothreadpin iothread='1' cpuset='x'/></cputune>",
        );
        let pinning = Pinning::of(&document);
        assert!(!pinning.is_empty());
        let of = |thread| pinning.of_thread(thread);
        assert_eq!(of(PinnedThread::Vcpu(0)), Ok(Some(vec![1])));
        assert_eq!(of(PinnedThread::Vcpu(1)), Ok(Some(vec![0, 2, 3])));
        assert_eq!(of(PinnedThread::Vcpu(3)), Ok(Some(vec![5])));
        assert_eq!(of(PinnedThread::Emulator), Ok(Some(vec![7])));
        assert_eq!(of(PinnedThread::IoThread(1)), Err("x"));
        assert_eq!(of(PinnedThread::IoThread(2)), Ok(Some(vec![0, 2, 3])));
    }

    #[test]
    fn document_that_says_nothing_leaves_it_open() {
        let document = document("<vcpu>2</vcpu><cputune><shares>5</shares></cputune>");
        assert!(Pinning::of(&document).is_empty());
        assert_eq!(Pinning::of(&document).of_thread(PinnedThread::Vcpu(0)), Ok(None));
    }

    #[test]
    fn pins_are_set_one_by_one() {
        let mut document = document("<vcpu>2</vcpu><cputune><vcpupin vcpu='0-1' cpuset='9'/></cputune>");
        for (thread, cpus) in [
            (PinnedThread::Vcpu(1), &[0, 1, 3][..]),
            (PinnedThread::Vcpu(1), &[2]),
            (PinnedThread::Emulator, &[0, 1]),
        ] {
            set_pin(&mut document, thread, cpus).unwrap();
            assert_eq!(Pinning::of(&document).of_thread(thread), Ok(Some(cpus.to_vec())));
        }
        assert_eq!(Pinning::of(&document).of_thread(PinnedThread::Vcpu(0)), Ok(Some(vec![9])));
        assert_eq!(document.to_xml().matches("vcpu='1'").count(), 1);
    }
}
