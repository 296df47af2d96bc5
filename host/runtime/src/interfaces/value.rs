//! `value`: trees with handles as leaves, checked against the contract and turned into the launcher's values.

use std::collections::HashSet;

use hostler_launch::{Handle, Value};

use crate::bindings::wit::value::{Handle as WitHandle, Host, Node, Tree};
use crate::call::{CallState, ContractViolation, HostFault};
use crate::limits;

impl Host for CallState {}

/// A finished node, waiting for the node that it is a child of.
struct Built {
    value: Value,
    depth: usize,
}

/// The value that a flat tree stands for.
///
/// # Errors
/// A tree that is none: it traps the driver, because no document can be the reason.
pub(crate) fn tree(tree: Tree, handles: usize) -> Result<Value, ContractViolation> {
    if tree.nodes.len() > limits::TREE_NODES {
        return violation(format!("a tree of {} nodes, at most {}", tree.nodes.len(), limits::TREE_NODES));
    }
    let mut built: Vec<Option<Built>> = Vec::new();
    built.resize_with(tree.nodes.len(), || None);
    let mut text_left = limits::TREE_TEXT_BYTES;
    // From the end: children have higher indexes, so they are finished before their parent.
    for (index, node) in tree.nodes.into_iter().enumerate().rev() {
        let finished = finish(node, index, handles, &mut built, &mut text_left)?;
        if finished.depth > limits::TREE_DEPTH {
            return violation(format!("a tree of more than {} levels", limits::TREE_DEPTH));
        }
        if let Some(slot) = built.get_mut(index) {
            *slot = Some(finished);
        }
    }
    let mut nodes = built.into_iter();
    let root = nodes.next().flatten();
    if nodes.any(|rest| rest.is_some()) {
        return violation("a node of a tree is nobody's child".to_owned());
    }
    match root {
        Some(root) => Ok(root.value),
        None => violation("a tree without nodes".to_owned()),
    }
}

fn finish(
    node: Node,
    index: usize,
    handles: usize,
    built: &mut [Option<Built>],
    text_left: &mut usize,
) -> Result<Built, ContractViolation> {
    let leaf = |value| Ok(Built { value, depth: 1 });
    match node {
        Node::Null => leaf(Value::Null),
        Node::Boolean(value) => leaf(Value::Boolean(value)),
        Node::Integer(value) => leaf(Value::Integer(value)),
        Node::Text(text) => leaf(Value::Text(counted(text, text_left)?)),
        Node::Handle(handle) => match usize::try_from(handle) {
            Ok(handle) if handle < handles => leaf(Value::Handle(handle)),
            _ => violation(format!("a tree refers to handle {handle}, and {handles} travel with it")),
        },
        Node::Sequence(children) => {
            let mut items = Vec::with_capacity(children.len());
            let mut depth = 0;
            for child in children {
                let child = take(child, index, built)?;
                depth = depth.max(child.depth);
                items.push(child.value);
            }
            Ok(Built { value: Value::Sequence(items), depth: depth + 1 })
        }
        Node::Mapping(children) => {
            let mut pairs = Vec::with_capacity(children.len());
            let mut depth = 0;
            for (name, child) in children {
                let child = take(child, index, built)?;
                depth = depth.max(child.depth);
                pairs.push((counted(name, text_left)?, child.value));
            }
            Ok(Built { value: Value::Mapping(pairs), depth: depth + 1 })
        }
    }
}

fn take(child: u32, parent: usize, built: &mut [Option<Built>]) -> Result<Built, ContractViolation> {
    let index = usize::try_from(child).unwrap_or(usize::MAX);
    if index <= parent {
        return violation(format!("node {parent} of a tree has the child {child}, which is not higher"));
    }
    let taken = built.get_mut(index).and_then(Option::take);
    taken.ok_or_else(|| ContractViolation(format!("node {child} of a tree is missing, or a child twice")))
}

fn counted(text: String, left: &mut usize) -> Result<String, ContractViolation> {
    *left = left.checked_sub(text.len()).ok_or_else(|| {
        ContractViolation(format!("a tree with more than {} KiB of text", limits::TREE_TEXT_BYTES >> 10))
    })?;
    if text.contains('\0') {
        return violation("a text with NUL in a tree".to_owned());
    }
    Ok(text)
}

fn violation<T>(why: String) -> Result<T, ContractViolation> {
    Err(ContractViolation(why))
}

impl CallState {
    /// The handles that travel with a tree, each standing for a descriptor of its own.
    ///
    /// # Errors
    /// A handle that is none, or a socket name that is none, traps; no descriptor left is the host's fault.
    pub(crate) fn handles(&self, handles: &[WitHandle]) -> wasmtime::Result<Vec<Handle>> {
        if handles.len() > limits::HANDLES {
            // Each takes a descriptor of the host.
            return Err(
                ContractViolation(format!("{} handles, at most {}", handles.len(), limits::HANDLES)).into()
            );
        }
        let mut sockets = HashSet::new();
        handles.iter().map(|handle| self.handle(handle, &mut sockets)).collect()
    }

    fn handle<'a>(&self, handle: &'a WitHandle, sockets: &mut HashSet<&'a str>) -> wasmtime::Result<Handle> {
        let duplicated = match handle {
            WitHandle::Image(image) => self.table.get(image)?.0.handle(),
            WitHandle::Code(code) => self.table.get(code)?.0.handle(),
            WitHandle::VariableStore(store) => self.table.get(store)?.0.handle(),
            WitHandle::File(file) => self.table.get(file)?.0.handle(),
            WitHandle::Endpoint(endpoint) => self.table.get(endpoint)?.handle(),
            WitHandle::Monitor => Ok(Handle::Monitor),
            WitHandle::Socket(name) => {
                check_socket_name(name)?;
                if !sockets.insert(name) {
                    return Err(ContractViolation(format!("two sockets named '{name}'")).into());
                }
                Ok(Handle::Socket(name.clone()))
            }
        };
        Ok(duplicated.map_err(|error| HostFault(format!("duplicating a descriptor: {error}")))?)
    }
}

fn check_socket_name(name: &str) -> Result<(), ContractViolation> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let dots = name.bytes().all(|byte| byte == b'.');
    if name.len() > limits::SOCKET_NAME_BYTES || dots || !name.bytes().all(fine) {
        return violation(format!("'{}' is no name for a socket", name.escape_debug()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn convert(nodes: Vec<Node>) -> Result<Value, String> {
        tree(Tree { nodes }, 2).map_err(|violation| violation.0)
    }

    #[test]
    fn flat_tree_becomes_a_value() {
        let nodes = vec![
            Node::Mapping(vec![("driver".into(), 1), ("list".into(), 2)]),
            Node::Text("raw".into()),
            Node::Sequence(vec![3, 4, 5, 6]),
            Node::Null,
            Node::Boolean(true),
            Node::Integer(-1),
            Node::Handle(1),
        ];
        let list =
            Value::Sequence(vec![Value::Null, Value::Boolean(true), Value::Integer(-1), Value::Handle(1)]);
        let expected = Value::mapping([("driver", Value::text("raw")), ("list", list)]);
        assert_eq!(convert(nodes).unwrap(), expected);
    }

    #[test]
    fn tree_against_the_contract_is_a_violation() {
        let two = || vec![Node::Null, Node::Null];
        for (nodes, reason) in [
            (vec![], "without nodes"),
            (vec![Node::Sequence(vec![0])], "not higher"),
            (vec![Node::Sequence(vec![1])], "missing"),
            (vec![Node::Sequence(vec![u32::MAX])], "missing"),
            (vec![Node::Sequence(vec![1, 1]), Node::Null], "twice"),
            (two(), "nobody's child"),
            (vec![Node::Handle(2)], "handle 2"),
            (vec![Node::Text("a\0".into())], "NUL"),
            (vec![Node::Mapping(vec![("a\0".into(), 1)]), Node::Null], "NUL"),
            (vec![Node::Null; limits::TREE_NODES + 1], "nodes"),
            (vec![Node::Text("x".repeat(limits::TREE_TEXT_BYTES + 1))], "KiB"),
        ] {
            let error = convert(nodes).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn depth_is_limited() {
        let chain = |levels: u32| -> Vec<Node> {
            let inner = (1..levels).map(|child| Node::Sequence(vec![child]));
            inner.chain([Node::Null]).collect()
        };
        assert!(convert(chain(64)).is_ok());
        assert!(convert(chain(65)).unwrap_err().contains("levels"));
        assert!(convert(chain(10_000)).unwrap_err().contains("levels"));
    }

    #[test]
    fn socket_names_stay_in_the_directory() {
        for (name, good) in [("qga.sock", true), ("..", false), ("a/b", false), ("", false), ("a\n", false)] {
            assert_eq!(check_socket_name(name).is_ok(), good, "{name:?}");
        }
        assert!(check_socket_name(&"a".repeat(65)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn any_children_are_judged_without_panic(lists in prop::collection::vec(prop::collection::vec(0_u32..12, 0..4), 0..10)) {
            let nodes: Vec<_> = lists.into_iter().map(Node::Sequence).collect();
            let count = nodes.len();
            if let Ok(value) = convert(nodes) {
                prop_assert_eq!(size(&value), count);
            }
        }
    }

    fn size(value: &Value) -> usize {
        match value {
            Value::Sequence(items) => 1 + items.iter().map(size).sum::<usize>(),
            _ => 1,
        }
    }
}
