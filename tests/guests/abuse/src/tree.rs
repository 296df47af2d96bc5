//! JSON as the contract's flat tree; a text in angle brackets is a handle.

use hostler_sdk::internal::driver::hostler::host::value::{Node, Tree};
use serde_json::Value as Json;

use crate::handles::Opened;

/// The tree, and in `opened` the handles that it names.
pub(crate) fn tree(value: &Json, opened: &mut Opened) -> Tree {
    let mut nodes = Vec::new();
    push(value, &mut nodes, opened);
    Tree { nodes }
}

fn push(value: &Json, nodes: &mut Vec<Node>, opened: &mut Opened) -> u32 {
    let index = nodes.len();
    nodes.push(Node::Null);
    let node = match value {
        Json::Null => Node::Null,
        Json::Bool(on) => Node::Boolean(*on),
        Json::Number(number) => Node::Integer(number.as_i64().unwrap_or(i64::MAX)),
        Json::String(text) => match text.strip_prefix('<').and_then(|text| text.strip_suffix('>')) {
            Some(word) => Node::Handle(opened.number(word)),
            None => Node::Text(text.clone()),
        },
        Json::Array(items) => Node::Sequence(items.iter().map(|item| push(item, nodes, opened)).collect()),
        Json::Object(members) => Node::Mapping(
            members.iter().map(|(key, inner)| (key.clone(), push(inner, nodes, opened))).collect(),
        ),
    };
    if let Some(slot) = nodes.get_mut(index) {
        *slot = node;
    }
    u32::try_from(index).unwrap_or(u32::MAX)
}
