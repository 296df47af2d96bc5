//! The domain document: byte-exact round trip, and edits that leave the rest as it stands.

use hostler_domain::{Document, Domain, Fragment, NodeId};

/// Elements of one document that are edited; each is edited in every way.
const EDITED: usize = 5;

/// An element as another parser of the same bytes would see it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    path: String,
    position: (u32, u32),
    attributes: Vec<(String, String)>,
    text: String,
}

/// Asserts what holds of any text, document or not.
///
/// # Panics
/// When a promise is broken.
pub fn check(text: &str) {
    let Ok(document) = Document::parse(text) else {
        assert!(Domain::parse(text).is_err(), "a domain in what is no document");
        return;
    };
    assert_eq!(document.to_xml(), text, "the round trip is not byte-exact");
    let elements = preorder(&document);
    let stride = elements.len().div_ceil(EDITED);
    for node in elements.into_iter().step_by(stride) {
        attribute_edit(&document, node);
        append(&document, node);
        remove(&document, node);
    }
    domain(text);
}

/// Sets an attribute, new or present: only its own bytes change, and only it reads differently.
fn attribute_edit(document: &Document, node: NodeId) {
    let present = document.attributes(node).first().map(|attribute| attribute.name.clone());
    for name in present.into_iter().chain(["hostler-new".to_owned()]) {
        let mut edited = document.clone();
        if edited.set_attribute(node, &name, "a<'\"&\n\u{e9}").is_err() {
            continue;
        }
        let (removed, added) = difference(document, &edited);
        assert!(!removed.contains('<') && !added.contains('<'), "{removed:?} became {added:?}");
        let again = reparse(&edited);
        assert_eq!(again.attribute(same_node(document, node, &again), &name), Some("a<'\"&\n\u{e9}"));
        let original = document.attribute(node, &name).map(str::to_owned);
        match original {
            Some(value) => edited.set_attribute(node, &name, &value).expect("the value was there"),
            None => assert!(edited.remove_attribute(node, &name).expect("it is an element")),
        }
        edited.locate();
        let (left, right): (Vec<Seen>, Vec<Seen>) = (seen(&edited), seen(document));
        assert!(left.iter().zip(&right).all(|(l, r)| (&l.attributes, &l.text) == (&r.attributes, &r.text)));
    }
}

/// Appends an element: nothing that stood there goes, and the positions are those of the new text.
fn append(document: &Document, node: NodeId) {
    let mut edited = document.clone();
    let Ok(child) = edited.append_child(node, "<hostler-new a='1'>\n  <b>t</b>\n</hostler-new>") else {
        return;
    };
    let (removed, _) = difference(document, &edited);
    // `<a />` has to be opened up, everything else only gets longer.
    assert!(["", "/"].contains(&removed.trim()), "{removed:?} went");
    edited.locate();
    let again = reparse(&edited);
    assert_eq!(seen(&edited), seen(&again), "the edited tree is not what its text says");
    edited.remove(child).expect("it was just added");
    let bare = |document: &Document| -> Vec<_> {
        seen(document).into_iter().map(|seen| (seen.path, seen.attributes, squeeze(&seen.text))).collect()
    };
    assert_eq!(bare(&edited), bare(document), "adding and removing changed something else");
}

/// Removes an element: every element outside it stays, in order.
fn remove(document: &Document, node: NodeId) {
    let mut edited = document.clone();
    if edited.remove(node).is_err() {
        assert!(document.parent(node).is_none(), "an element that is not the root can go");
        return;
    }
    let gone = subtree(document, node);
    let kept: Vec<NodeId> = preorder(document).into_iter().filter(|other| !gone.contains(other)).collect();
    assert_eq!(preorder(&edited), kept, "more or less than the element is gone");
    for other in kept {
        assert_eq!(document.attributes(other), edited.attributes(other));
        assert_eq!(squeeze(&document.text(other)), squeeze(&edited.text(other)));
    }
    edited.locate();
    assert_eq!(seen(&edited), seen(&reparse(&edited)), "the edited tree is not what its text says");
}

/// The projection: never a panic, and after an edit what a fresh parse of the text says.
fn domain(text: &str) {
    let Ok(mut domain) = Domain::parse(text) else { return };
    assert_eq!(domain.to_xml(), text, "the projection changed the document");
    let root = domain.document().root();
    let appended = domain.append_device(&Fragment::new("hostler-device").attribute("a", "<&'"));
    let added = appended.is_ok() && domain.set_child_text(root, "title", "t & t").is_ok();
    let refreshed = domain.refresh();
    let again = Domain::parse(&domain.to_xml());
    assert_eq!(refreshed.is_ok(), again.is_ok(), "refresh and a fresh parse disagree");
    if let (true, Ok(again)) = (added, again) {
        assert_eq!((domain.name, domain.memory, domain.title), (again.name, again.memory, again.title));
        assert_eq!(domain.devices.disks.len(), again.devices.disks.len());
    }
}

fn reparse(document: &Document) -> Document {
    let text = document.to_xml();
    let again =
        Document::parse(&text).unwrap_or_else(|error| panic!("an edit broke the document: {error}\n{text}"));
    assert_eq!(again.to_xml(), text);
    again
}

/// What lies between the longest common start and the longest common end.
fn difference(before: &Document, after: &Document) -> (String, String) {
    let (before, after) = (before.to_xml(), after.to_xml());
    let start = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
    let whole = |at: &usize| before.is_char_boundary(*at) && after.is_char_boundary(*at);
    let start = (0..=start).rev().find(whole).unwrap_or(0);
    let (old, new) = (before.split_at(start).1, after.split_at(start).1);
    let end = old.bytes().rev().zip(new.bytes().rev()).take_while(|(a, b)| a == b).count();
    let whole = |at: &usize| old.is_char_boundary(old.len() - at) && new.is_char_boundary(new.len() - at);
    let end = (0..=end).rev().find(whole).unwrap_or(0);
    (old.split_at(old.len() - end).0.to_owned(), new.split_at(new.len() - end).0.to_owned())
}

fn preorder(document: &Document) -> Vec<NodeId> {
    subtree(document, document.root())
}

fn subtree(document: &Document, root: NodeId) -> Vec<NodeId> {
    let (mut found, mut waiting) = (Vec::new(), vec![root]);
    while let Some(node) = waiting.pop() {
        found.push(node);
        let mut children: Vec<NodeId> = document.elements(node).collect();
        children.reverse();
        waiting.append(&mut children);
    }
    found
}

/// The node that stands in `other` where `node` stands in `document`.
fn same_node(document: &Document, node: NodeId, other: &Document) -> NodeId {
    let place = preorder(document).iter().position(|found| *found == node).expect("it is in the document");
    preorder(other).get(place).copied().expect("the documents have the same elements")
}

fn seen(document: &Document) -> Vec<Seen> {
    let one = |node| Seen {
        path: document.path(node),
        position: (document.position(node).line, document.position(node).column),
        attributes: document.attributes(node).iter().map(|a| (a.name.clone(), a.value.clone())).collect(),
        text: document.text(node),
    };
    preorder(document).into_iter().map(one).collect()
}

fn squeeze(text: &str) -> String {
    text.split_ascii_whitespace().collect()
}
