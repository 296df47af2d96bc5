//! Named values that describe a block node, for whoever writes them: as JSON, or as a driver's values.

/// One value of a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Property {
    /// On or off.
    Boolean(bool),
    /// A whole number.
    Number(u64),
    /// Text.
    Text(String),
    /// Values in order.
    List(Vec<Property>),
    /// Named values.
    Group(Properties),
}

/// Named values in the order in which they are written; no name appears twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties(Vec<(String, Property)>);

impl Properties {
    /// No values.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The beginning of a description for this block driver of QEMU.
    pub(super) fn of_driver(driver: &str) -> Self {
        Self::new().with("driver", driver)
    }

    /// Adds a value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Property>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a value when there is one.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Into<Property>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

impl IntoIterator for Properties {
    type Item = (String, Property);
    type IntoIter = std::vec::IntoIter<(String, Property)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<bool> for Property {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<u64> for Property {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Property {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Property {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<Self>> for Property {
    fn from(items: Vec<Self>) -> Self {
        Self::List(items)
    }
}

impl From<Properties> for Property {
    fn from(group: Properties) -> Self {
        Self::Group(group)
    }
}
