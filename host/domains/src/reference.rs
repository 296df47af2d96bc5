//! How a user names a domain, a pool, a network or a secret: by its name, or by its identifier.

use std::fmt;

/// A domain's name or identifier, as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainRef(String);

impl DomainRef {
    /// Takes what the user wrote.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What the user wrote.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DomainRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pool's name or identifier, as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolRef(String);

impl PoolRef {
    /// Takes what the user wrote.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What the user wrote.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PoolRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A network's name or identifier, as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkRef(String);

impl NetworkRef {
    /// Takes what the user wrote.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What the user wrote.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NetworkRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A secret's identifier, or what it is for, as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRef(String);

impl SecretRef {
    /// Takes what the user wrote.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What the user wrote.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}
