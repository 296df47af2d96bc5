//! What the nodes and objects of a layer are called.
//!
//! Names are made from a number that the layer has while its guest lives. A name of a running domain that
//! somebody recorded is used as it stands.

use hostler_sdk::domain::storage_source::{SourceStatus, StorageSource};
use hostler_sdk::{Error, ProblemExt, problem};

/// The longest name of a node, in bytes: QEMU has 32 for a name and its end.
pub const LONGEST_NODE_NAME: usize = 31;

/// Where the names of a chain come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Made from numbers; this is the active layer's, and each layer below has the next.
    Numbered(u32),
    /// As the document of a running domain has recorded them.
    Recorded,
}

impl Names {
    /// The names of one layer.
    ///
    /// # Errors
    /// A recorded name that is missing, or too long for QEMU.
    pub(crate) fn of_layer(self, index: u32, source: Option<&StorageSource>) -> Result<LayerNames, Error> {
        match self {
            Names::Numbered(first) => Ok(LayerNames::numbered(first.saturating_add(index))),
            Names::Recorded => {
                let status = source.and_then(|source| source.status.as_deref());
                LayerNames::recorded(status.ok_or_else(|| unnamed(index))?, index)
            }
        }
    }
}

/// The object of the helper that is started with a domain and serves all its disks.
pub(crate) const OWN_RESERVATIONS: &str = "pr-helper0";

/// The names of one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerNames {
    /// The node that holds the bytes.
    pub(crate) storage: String,
    /// The node of the window into them.
    pub(crate) slice: String,
    /// The node that reads the format.
    pub(crate) format: String,
    /// The object with the password for the server.
    pub(crate) server_secret: String,
    /// The object with the cookies.
    pub(crate) cookie_secret: String,
    /// The object with the client's certificates.
    pub(crate) certificates: String,
    /// The object with the password of the client's own key, where there is one.
    pub(crate) certificate_secret: Option<String>,
    /// The object that reaches a helper for reservations, where that is recorded.
    recorded_reservations: Option<String>,
    content_secrets: Vec<String>,
}

impl LayerNames {
    /// The names of the layer with this number.
    #[must_use]
    pub fn numbered(number: u32) -> Self {
        Self::of_nodes(
            format!("libvirt-{number}-storage"),
            format!("libvirt-{number}-slice-sto"),
            format!("libvirt-{number}-format"),
        )
    }

    fn of_nodes(storage: String, slice: String, format: String) -> Self {
        Self {
            server_secret: format!("{storage}-auth-secret0"),
            cookie_secret: format!("{storage}-httpcookie-secret0"),
            certificates: format!("obj{storage}_tls0"),
            certificate_secret: None,
            recorded_reservations: None,
            content_secrets: Vec::new(),
            storage,
            slice,
            format,
        }
    }

    /// The names that a running domain has recorded for the layer with this index.
    ///
    /// # Errors
    /// A name that is missing, or too long for QEMU.
    pub fn recorded(status: &SourceStatus, index: u32) -> Result<Self, Error> {
        let (Some(storage), Some(format)) = (&status.storage_node, &status.format_node) else {
            return Err(unnamed(index));
        };
        let slice = status.slice_node.clone().unwrap_or_else(|| format!("{storage}-slice"));
        for name in [Some(storage), Some(format), status.slice_node.as_ref()].into_iter().flatten() {
            check_node_name(name)?;
        }
        let mut names = Self::of_nodes(storage.clone(), slice, format.clone());
        let take = |name: &mut String, recorded: &Option<String>| {
            recorded.iter().for_each(|recorded| name.clone_from(recorded));
        };
        take(&mut names.server_secret, &status.server_secret);
        take(&mut names.cookie_secret, &status.cookie_secret);
        take(&mut names.certificates, &status.tls_credentials);
        names.recorded_reservations.clone_from(&status.reservations);
        names.certificate_secret.clone_from(&status.tls_key_secret);
        names.content_secrets.clone_from(&status.content_secrets);
        Ok(names)
    }

    /// The object that reaches the helper for reservations: the domain's own, or one of this layer.
    pub(crate) fn reservations(&self, own: bool) -> String {
        let made = || if own { OWN_RESERVATIONS.to_owned() } else { format!("pr-helper-{}", self.storage) };
        self.recorded_reservations.clone().unwrap_or_else(made)
    }

    /// The object with this key of the content, counted from 0.
    pub(crate) fn content_secret(&self, index: usize) -> String {
        let recorded = self.content_secrets.get(index).cloned();
        recorded.unwrap_or_else(|| format!("{}-encryption-secret{index}", self.format))
    }
}

/// Refuses a name that QEMU would refuse.
///
/// # Errors
/// It is longer than [`LONGEST_NODE_NAME`].
pub(crate) fn check_node_name(name: &str) -> Result<(), Error> {
    if name.len() <= LONGEST_NODE_NAME {
        return Ok(());
    }
    let message = format!(
        "the block node name '{name}' has {} bytes, and QEMU takes at most {LONGEST_NODE_NAME}",
        name.len()
    );
    Err(problem("qemu.node-name", message)
        .hint("shorten it: a copy-on-read node is called 'libvirt-CoR-' and the target name of its disk")
        .invalid())
}

fn unnamed(index: u32) -> Error {
    let message =
        format!("the document of a running domain names no block nodes for layer {index} of a disk");
    problem("qemu.node-name", message)
        .hint("let the hypervisor's own record be read, or start the domain again")
        .invalid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_names_always_fit() {
        let names = LayerNames::numbered(u32::MAX);
        for name in [&names.storage, &names.slice, &names.format] {
            check_node_name(name).unwrap();
        }
    }

    #[test]
    fn recorded_names_are_used_as_they_stand_up_to_31_bytes() {
        let mut status = SourceStatus {
            storage_node: Some("#block004".to_owned()),
            format_node: Some("f".repeat(31)),
            tls_credentials: Some("t".to_owned()),
            content_secrets: vec!["k".to_owned()],
            ..SourceStatus::default()
        };
        let names = LayerNames::recorded(&status, 0).unwrap();
        assert_eq!((names.storage.as_str(), names.certificates.as_str()), ("#block004", "t"));
        assert_eq!(names.content_secret(0), "k");
        assert!(names.content_secret(1).ends_with("-encryption-secret1"));
        status.format_node = Some("f".repeat(32));
        let Err(Error::Invalid(problem)) = LayerNames::recorded(&status, 0) else { panic!("taken") };
        assert_eq!(problem.code, "qemu.node-name");
        status.format_node = None;
        assert!(LayerNames::recorded(&status, 0).is_err());
    }
}
