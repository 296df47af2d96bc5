//! `<target>` of a pool: where it shows on this host.

use super::{PoolSource, PoolType};
use crate::error::{XmlError, XmlErrorKind};
use crate::permissions::Permissions;
use crate::read::Element;

/// Where a pool shows on this host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolTarget {
    /// The directory that its volumes are named beneath: absolute, without `..`.
    pub path: Option<String>,
    /// How that directory is made.
    pub permissions: Permissions,
}

impl PoolTarget {
    pub(super) fn read(target: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self {
            path: target.maybe("path", read_path)?.flatten(),
            permissions: target.maybe("permissions", Permissions::read)?.unwrap_or_default(),
        })
    }

    /// The target with what follows from type and source where the document is silent.
    pub(super) fn completed(self, kind: PoolType, source: &PoolSource) -> Self {
        let named = |directory: &str| source.name.as_ref().map(|name| format!("{directory}/{name}"));
        let path = match kind {
            // There is one place for these, whatever the document says.
            PoolType::Logical => named("/dev"),
            PoolType::Zfs => named("/dev/zvol"),
            PoolType::Mpath => Some("/dev/mapper".to_owned()),
            _ if !kind.has_target() => None,
            _ => self.path,
        };
        Self { path, ..self }
    }
}

fn read_path(path: Element<'_>) -> Result<Option<String>, XmlError> {
    let text = path.content();
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = if !text.starts_with('/') {
        "it does not begin with '/'"
    } else if text.split('/').any(|part| part == "..") {
        "it has '..' in it"
    } else if text.contains('\0') || text.chars().any(char::is_control) {
        "it has a control character in it"
    } else {
        return Ok(Some(text));
    };
    let message = format!("the target path of the pool is no plain absolute path: {wrong}");
    Err(path.error(XmlErrorKind::InvalidValue, message))
}
