//! Structured values with handles as leaves, and how they are written flat for the contract.

use hostler_domain::storage_source::{Properties, Property};

use crate::BootFile;
use crate::bindings::driver::hostler::host::value::{Node, Tree};

/// Names a handle in a [`Value`] before it is resolved, so that a launch can be computed and
/// compared without holding any resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// One layer of the disk with this target name.
    Image {
        /// The disk's target name: `vda`.
        disk: String,
        /// The layer's index in its chain; 0 is the active layer.
        layer: u32,
    },
    /// The firmware's code.
    Code,
    /// The firmware's variable store.
    VariableStore,
    /// The host's end of the character device with this alias.
    Endpoint(String),
    /// A file for direct boot.
    File(BootFile),
    /// Where the operation writes to.
    Output,
    /// What the operation reads from.
    Input,
    /// The host's end of the monitor.
    Monitor,
    /// A socket that the hypervisor makes, by its name in the domain's directory.
    Socket(String),
    /// The link to the companion of this name.
    Link(String),
    /// The host's end of the network interface at this position among the document's interfaces.
    Interface(u32),
    /// The ports of the host that lead to the guest by a forward of an interface.
    ForwardedPorts {
        /// The interface's position among the document's.
        interface: u32,
        /// The forward's position in it.
        forward: u32,
    },
    /// The domain's directory of this name, for a companion to keep files in.
    Directory(String),
    /// The directory that the filesystem at this position among the document's filesystems shares.
    SharedFolder(u32),
    /// The socket that the host listens on for the display with this alias.
    Listener(String),
    /// The connections to a display.
    Viewers {
        /// The display's alias.
        alias: String,
        /// Whether the host accepts them where the document says.
        listening: bool,
    },
    /// The passphrase of a layer of the disk with this target name. What it is, no driver sees.
    DiskSecret {
        /// The disk's target name: `vda`.
        disk: String,
        /// The layer's index in its chain; 0 is the active layer.
        layer: u32,
    },
}

/// A value as a driver writes it: a scalar, a list, a mapping, or a handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Explicitly nothing.
    Null,
    /// On or off.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(String),
    /// Values in order.
    Sequence(Vec<Value>),
    /// Named values in order.
    Mapping(Vec<(String, Value)>),
    /// A handle, by its symbol.
    Handle(Symbol),
}

impl Value {
    /// An empty mapping, to be filled with [`Value::with`].
    pub fn mapping() -> Self {
        Value::Mapping(Vec::new())
    }

    /// Adds a named value. On anything but a mapping it does nothing.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.set(key, value);
        self
    }

    /// Adds a named value if there is one.
    #[must_use]
    pub fn with_some(self, key: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Adds a named value in place. On anything but a mapping it does nothing.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        if let Value::Mapping(entries) = self {
            entries.push((key.to_owned(), value.into()));
        }
    }

    /// The named value, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Mapping(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Writes the value flat. Every symbol met is added to `symbols`, once.
    pub(crate) fn flatten(&self, symbols: &mut Vec<Symbol>) -> Tree {
        let mut nodes = Vec::new();
        push(self, &mut nodes, symbols);
        Tree { nodes }
    }
}

fn push(value: &Value, nodes: &mut Vec<Node>, symbols: &mut Vec<Symbol>) -> u32 {
    let index = nodes.len();
    nodes.push(Node::Null);
    let node = match value {
        Value::Null => Node::Null,
        Value::Boolean(value) => Node::Boolean(*value),
        Value::Integer(value) => Node::Integer(*value),
        Value::Text(value) => Node::Text(value.clone()),
        Value::Sequence(items) => {
            Node::Sequence(items.iter().map(|item| push(item, nodes, symbols)).collect())
        }
        Value::Mapping(entries) => Node::Mapping(
            entries.iter().map(|(key, item)| (key.clone(), push(item, nodes, symbols))).collect(),
        ),
        Value::Handle(symbol) => Node::Handle(place(symbol, symbols)),
    };
    if let Some(slot) = nodes.get_mut(index) {
        *slot = node;
    }
    number(index)
}

fn place(symbol: &Symbol, symbols: &mut Vec<Symbol>) -> u32 {
    let known = symbols.iter().position(|known| known == symbol);
    number(known.unwrap_or_else(|| {
        symbols.push(symbol.clone());
        symbols.len() - 1
    }))
}

/// Indexes are far below 2³²; the host refuses a longer tree anyway.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Boolean(value)
    }
}
impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}
impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Value::Integer(i64::from(value))
    }
}
impl From<u64> for Value {
    /// Numbers beyond the contract's range are given as text, which every QEMU visitor reads too.
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Integer)
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}
impl From<Symbol> for Value {
    fn from(value: Symbol) -> Self {
        Value::Handle(value)
    }
}
impl From<Properties> for Value {
    fn from(properties: Properties) -> Self {
        Value::Mapping(properties.into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}
impl From<Property> for Value {
    fn from(value: Property) -> Self {
        match value {
            Property::Boolean(value) => value.into(),
            Property::Number(number) => number.into(),
            Property::Text(text) => text.into(),
            Property::List(items) => Value::Sequence(items.into_iter().map(Value::from).collect()),
            Property::Group(members) => members.into(),
        }
    }
}
impl From<Vec<Value>> for Value {
    fn from(value: Vec<Value>) -> Self {
        Value::Sequence(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flattening_keeps_order_and_numbers_children_after_parents() {
        let value = Value::mapping()
            .with("driver", "qcow2")
            .with("file", Symbol::Monitor)
            .with("list", vec![Value::Integer(1), Value::Handle(Symbol::Monitor)]);
        let mut symbols = Vec::new();
        let tree = value.flatten(&mut symbols);
        assert_eq!(symbols, [Symbol::Monitor], "one handle, named twice");
        let Node::Mapping(entries) = &tree.nodes[0] else { panic!("root is {:?}", tree.nodes[0]) };
        assert_eq!(
            entries.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
            ["driver", "file", "list"]
        );
        assert!(entries.iter().all(|(_, child)| *child > 0));
        assert_eq!(tree.nodes.len(), 6);
    }

    #[test]
    fn numbers_beyond_the_range_become_text() {
        assert_eq!(Value::from(u64::MAX), Value::Text(u64::MAX.to_string()));
        assert_eq!(Value::from(7_u64), Value::Integer(7));
    }
}
