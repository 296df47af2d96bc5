//! Round trip, positions and edits of documents.

use super::*;
use crate::error::XmlErrorKind;
use proptest::prelude::*;

const SAMPLE: &str = "<?xml version='1.0' encoding=\"UTF-8\"?>\n<!-- c -->\n<domain type = 'kvm'\n  xmlns:q='urn:q' >\r\n  \
    <name>a &amp; <![CDATA[<b>]]></name>\n  <devices>\n    <disk/>\n    <disk a=\"1\"></disk >\n  </devices>\n  \
    <q:x/>\n  <m><z:y xmlns:z='urn:z'/></m>\n</domain>\n<!-- end -->\n";

fn parse(text: &str) -> Document {
    Document::parse(text).unwrap()
}

fn error(text: &str) -> (XmlErrorKind, u32, u32) {
    let error = Document::parse(text).unwrap_err();
    (error.kind, error.position.line, error.position.column)
}

#[test]
fn nothing_is_lost() {
    assert_eq!(parse(SAMPLE).to_xml(), SAMPLE);
    let marked = format!("\u{FEFF}{SAMPLE}");
    assert_eq!(parse(&marked).to_xml(), marked);
}

#[test]
fn values_are_decoded() {
    let document = parse(SAMPLE);
    let name = document.child(document.root(), "name").unwrap();
    assert_eq!(document.text(name), "a & <b>");
    assert_eq!(document.attribute(document.root(), "type"), Some("kvm"));
}

#[test]
fn positions_count_lines_and_characters() {
    let document = parse(SAMPLE);
    let at = |node| (document.position(node).line, document.position(node).column);
    assert_eq!(at(document.root()), (3, 1));
    assert_eq!(document.attributes(document.root())[1].position, Position { line: 4, column: 3 });
    let devices = document.child(document.root(), "devices").unwrap();
    let second = document.elements(devices).nth(1).unwrap();
    assert_eq!(at(second), (8, 5));
    assert_eq!(document.path(second), "domain/devices/disk[2]");
    let wide = parse("<é>ü<b/></é>");
    assert_eq!(wide.position(wide.child(wide.root(), "b").unwrap()).column, 5);
}

#[test]
fn locating_anew_changes_nothing_without_an_edit() {
    let mut document = parse(SAMPLE);
    let before: Vec<Position> = document.nodes.iter().map(|node| node.position).collect();
    document.locate();
    let after: Vec<Position> = document.nodes.iter().map(|node| node.position).collect();
    assert_eq!(before, after);
}

#[test]
fn prefixes_resolve_to_the_nearest_declaration() {
    let document = parse(SAMPLE);
    let x = document.child(document.root(), "q:x").unwrap();
    assert_eq!((document.local_name(x), document.namespace(x)), ("x", Some("urn:q")));
    let y = document.elements(document.child(document.root(), "m").unwrap()).next().unwrap();
    assert_eq!(document.namespace(y), Some("urn:z"));
    assert_eq!(document.resolve_prefix(x, "z"), None);
}

#[test]
fn malformed_text_is_refused_where_it_is_wrong() {
    use XmlErrorKind::{Doctype, Syntax};
    assert_eq!(error(""), (Syntax, 1, 1));
    assert_eq!(error("<a>\n  <b>\n</a>"), (Syntax, 3, 1));
    assert_eq!(error("<a>\n  <b"), (Syntax, 2, 3));
    assert_eq!(error("<a>\n&nbsp;</a>"), (Syntax, 2, 1));
    assert_eq!(error("<a>x & y</a>"), (Syntax, 1, 6));
    assert_eq!(error("<a b='1'\n b='2'/>"), (Syntax, 2, 2));
    assert_eq!(error("<a b=1/>"), (Syntax, 1, 4));
    assert_eq!(error("<a b='x&y;'/>"), (Syntax, 1, 8));
    assert_eq!(error("<a b='1'c='2'/>"), (Syntax, 1, 9));
    assert_eq!(error("<a b='<'/>"), (Syntax, 1, 7));
    assert_eq!(error("<a/><b/>"), (Syntax, 1, 5));
    assert_eq!(error("<a/>\n x"), (Syntax, 2, 2));
    assert_eq!(error("<a/>&amp;"), (Syntax, 1, 5));
    assert_eq!(error("<a>\u{1}</a>"), (Syntax, 1, 4));
    assert_eq!(error("<1a/>"), (Syntax, 1, 2));
    assert_eq!(error("<a/><?xml version='1.0'?>"), (Syntax, 1, 5));
    assert_eq!(error("<?xml version='1.0' encoding='latin1'?><a/>"), (Syntax, 1, 21));
    assert_eq!(error("\n<!DOCTYPE a [<!ENTITY b 'c'>]>\n<a/>"), (Doctype, 2, 1));
}

#[test]
fn codes_are_stable() {
    let code = |text: &str| Document::parse(text).unwrap_err().code();
    assert_eq!(code("<a>"), "xml.syntax");
    assert_eq!(code("<!DOCTYPE a><a/>"), "xml.doctype");
    assert_eq!(code(&"<a>".repeat(MAX_DEPTH + 1)), "xml.limit");
}

#[test]
fn characters_that_xml_cannot_carry_are_refused_by_edits() {
    let mut document = parse("<a/>");
    let root = document.root();
    assert_eq!(document.set_attribute(root, "b", "\u{1}").unwrap_err().code(), "xml.invalid-value");
    assert_eq!(document.set_text(root, "\u{0}").unwrap_err().code(), "xml.invalid-value");
    let built = crate::Fragment::new("c").attribute("d", "\u{1}").to_xml();
    assert_eq!(document.append_child(root, &built).unwrap_err().code(), "xml.syntax");
    assert_eq!(document.to_xml(), "<a/>");
}

#[test]
fn limits_hold_exactly() {
    let deep = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
    assert!(Document::parse(&deep(MAX_DEPTH)).is_ok());
    assert_eq!(error(&deep(MAX_DEPTH + 1)).0, XmlErrorKind::Limit);
    let attributes = |count: usize| {
        let list: String = (0..count).map(|number| format!(" a{number}=''")).collect();
        format!("<a{list}/>")
    };
    assert!(Document::parse(&attributes(MAX_ATTRIBUTES)).is_ok());
    assert_eq!(error(&attributes(MAX_ATTRIBUTES + 1)).0, XmlErrorKind::Limit);
    let wide = |count: usize| format!("<a>{}</a>", "<b/>".repeat(count));
    assert!(Document::parse(&wide(MAX_NODES - 1)).is_ok());
    assert_eq!(error(&wide(MAX_NODES)).0, XmlErrorKind::Limit);
    let long = |bytes: usize| format!("<a>{}</a>", " ".repeat(bytes - 7));
    assert!(Document::parse(&long(MAX_DOCUMENT_BYTES)).is_ok());
    assert_eq!(error(&long(MAX_DOCUMENT_BYTES + 1)).0, XmlErrorKind::Limit);
}

#[test]
fn attributes_are_edited_in_place() {
    let mut document = parse("<a  b = \"1\"\n c='2' />");
    document.set_attribute(NodeId(1), "b", "x\"y").unwrap();
    document.set_attribute(NodeId(1), "d", "4").unwrap();
    assert!(document.remove_attribute(NodeId(1), "c").unwrap());
    assert!(!document.remove_attribute(NodeId(1), "c").unwrap());
    assert_eq!(document.to_xml(), "<a  b = \"x&quot;y\" d='4' />");
    assert!(document.set_attribute(NodeId(1), "x y", "").is_err());
}

#[test]
fn new_elements_are_indented_like_their_siblings() {
    let mut document = parse("<a>\n\t<b/>\n\t<c/>\n</a>");
    let root = document.root();
    document.append_child(root, "<d>\n  <e/>\n</d>").unwrap();
    let b = document.child(root, "b").unwrap();
    document.append_child(b, "<f/>").unwrap();
    document.insert_before(b, "<g/>").unwrap();
    let written = "<a>\n\t<g/>\n\t<b>\n\t  <f/>\n\t</b>\n\t<c/>\n\t<d>\n\t  <e/>\n\t</d>\n</a>";
    assert_eq!(document.to_xml(), written);
    document.remove(b).unwrap();
    assert_eq!(document.to_xml(), "<a>\n\t<g/>\n\t<c/>\n\t<d>\n\t  <e/>\n\t</d>\n</a>");
}

#[test]
fn one_line_documents_stay_on_one_line() {
    let mut document = parse("<a><b/></a>");
    document.append_child(document.root(), "<c/>").unwrap();
    assert_eq!(document.to_xml(), "<a><b/><c/></a>");
    let mut mixed = parse("<a>\n<b/></a>");
    mixed.append_child(mixed.root(), "<c/>").unwrap();
    assert_eq!(mixed.to_xml(), "<a>\n<b/>\n<c/></a>");
}

#[test]
fn text_is_replaced_and_escaped() {
    let mut document = parse("<a>\n  <b/>\n  <c>old<!-- x --></c>\n</a>");
    let (b, c) =
        (document.child(document.root(), "b").unwrap(), document.child(document.root(), "c").unwrap());
    document.set_text(b, "1 < 2").unwrap();
    document.set_text(c, "new").unwrap();
    assert_eq!(document.to_xml(), "<a>\n  <b>1 &lt; 2</b>\n  <c>new</c>\n</a>");
}

#[test]
fn edits_keep_the_depth_limit() {
    let mut document = parse(&("<a>".repeat(MAX_DEPTH) + &"</a>".repeat(MAX_DEPTH)));
    let deepest = (0..MAX_DEPTH - 1).fold(document.root(), |at, _| document.child(at, "a").unwrap());
    let refused = document.append_child(deepest, "<b/>").unwrap_err();
    assert_eq!(refused.kind, XmlErrorKind::Limit);
    assert_eq!(document.remove(document.root()).unwrap_err().code(), "xml.edit");
    assert!(document.append_child(deepest, "<b>").is_err());
}

/// Documents of every kind of node, with white space and quotes in unusual places.
fn any_element() -> impl Strategy<Value = String> {
    let text = "[ \\n\\ta-z\u{e9}]{0,6}(&amp;|&#x41;|<!-- c -->|<\\?p q\\?>|<!\\[CDATA\\[<&\\]\\]>)?";
    let attributes = "( ?| a='x&lt;y'|\\n b = \"'\"|  c=''){1}";
    let leaf = (attributes, text).prop_map(|(attributes, text)| format!("<l{attributes}>{text}</l >"));
    leaf.prop_recursive(4, 40, 5, move |inner| {
        (attributes, proptest::collection::vec((text, inner), 0..5)).prop_map(|(attributes, parts)| {
            let inside: String = parts.into_iter().map(|(text, element)| text + &element).collect();
            if inside.is_empty() {
                format!("<e{attributes}/>")
            } else {
                format!("<n:e{attributes}>{inside}</n:e>")
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_document_round_trips(element in any_element(), before in "(\\n|<!-- x -->)?", after in "(\\n|<\\?z\\?>)?") {
        let text = format!("{before}{element}{after}");
        let document = Document::parse(&text).unwrap();
        prop_assert_eq!(document.to_xml(), text);
    }

    #[test]
    fn an_appended_element_changes_nothing_else(element in any_element()) {
        let mut document = Document::parse(&element).unwrap();
        let root = document.root();
        let added = document.append_child(root, "<new x='1'/>").unwrap();
        Document::parse(&document.to_xml()).unwrap();
        document.remove(added).unwrap();
        let written = document.to_xml();
        let strip = |text: &str| text.split_whitespace().collect::<String>();
        let opened = written.strip_suffix("></e>").map(|open| format!("{open}/>"));
        prop_assert!(
            strip(&written) == strip(&element) || opened.is_some_and(|opened| strip(&opened) == strip(&element)),
            "{} became {}", element, written
        );
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,60}|[<>/a&;'\"= !\\[\\]?\\-\\n#x]{0,40}") {
        if let Ok(document) = Document::parse(&text) {
            prop_assert_eq!(document.to_xml(), text);
        }
    }

    #[test]
    fn a_cut_document_never_panics(cut in 0..SAMPLE.len(), junk in "[<>&'\"]?") {
        let text = format!("{}{junk}", &SAMPLE[..cut]);
        if let Ok(document) = Document::parse(&text) {
            prop_assert_eq!(document.to_xml(), text);
        }
    }
}
