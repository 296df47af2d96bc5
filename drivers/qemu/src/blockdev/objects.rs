//! Objects that must be there before a layer's nodes: secrets, certificates, helpers, limits.

use hostler_sdk::domain::storage_source::{
    EncryptionEngine, Location, Protocol, Reservations, StorageSource,
};

use super::names::LayerNames;

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The password for a server.
    Server,
    /// Cookies for a server.
    Cookies,
    /// The password of the client's own key.
    CertificateKey,
    /// A key of the content of the layer with this index.
    Content(u32),
}

/// One object that nodes refer to by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A secret.
    Secret {
        /// Its id.
        id: String,
        /// What it is for.
        purpose: Purpose,
    },
    /// The certificates of a client.
    Certificates {
        /// Its id.
        id: String,
        /// The id of the object with the password of the key.
        key: Option<String>,
        /// The protocol that it is for.
        protocol: Protocol,
    },
    /// A helper for persistent reservations.
    Reservations {
        /// Its id.
        id: String,
        /// The socket of a helper that somebody else runs; none for the one that is started with the domain.
        socket: Option<String>,
    },
}

/// The objects of one layer.
pub(crate) struct Needed<'a> {
    /// Where the bytes are, when the document says it and the layer reaches it by itself.
    source: Option<&'a StorageSource>,
    names: &'a LayerNames,
    /// The index of the layer.
    layer: u32,
}

impl<'a> Needed<'a> {
    /// What this source needs.
    pub(crate) fn of(source: Option<&'a StorageSource>, names: &'a LayerNames, layer: u32) -> Self {
        Self { source, names, layer }
    }

    /// What the node that holds the bytes refers to.
    pub(crate) fn below_storage(&self) -> Vec<Object> {
        let Some(source) = self.source else { return Vec::new() };
        let mut objects = Vec::new();
        objects.extend(self.reservations());
        // A volume's pool knows how to reach it; what the disk says about that does not count.
        if source.auth.is_some() && !matches!(source.location, Location::Volume { .. }) {
            objects.push(secret(&self.names.server_secret, Purpose::Server));
        }
        if let Location::Network(network) = &source.location {
            if !network.cookies.is_empty() {
                objects.push(secret(&self.names.cookie_secret, Purpose::Cookies));
            }
            if network.tls == Some(true) {
                let key = self.names.certificate_secret.clone();
                objects.extend(key.as_deref().map(|id| secret(id, Purpose::CertificateKey)));
                let id = self.names.certificates.clone();
                objects.push(Object::Certificates { id, key, protocol: network.protocol });
            }
        }
        if by_client(source) {
            objects.extend(self.content_secrets());
        }
        objects
    }

    /// What the node that reads the format refers to.
    pub(crate) fn below_format(&self) -> Vec<Object> {
        let own = self.source.is_some_and(|source| !by_client(source));
        if own { self.content_secrets() } else { Vec::new() }
    }

    /// The ids of the keys of the content, outermost first.
    pub(crate) fn content_keys(&self) -> Vec<String> {
        let encryption = self.source.and_then(|source| source.encryption.as_ref());
        let count = encryption.map_or(0, |encryption| encryption.secrets.len());
        (0..count).map(|index| self.names.content_secret(index)).collect()
    }

    /// The id of the helper for reservations.
    pub(crate) fn reservations_id(&self) -> Option<String> {
        let wanted = self.source?.reservations.as_ref()?;
        Some(self.names.reservations(*wanted == Reservations::Managed))
    }

    fn reservations(&self) -> Option<Object> {
        let id = self.reservations_id()?;
        let socket = match self.source?.reservations.as_ref()? {
            Reservations::Managed => None,
            Reservations::Unmanaged(path) => Some(path.clone()),
        };
        Some(Object::Reservations { id, socket })
    }

    fn content_secrets(&self) -> Vec<Object> {
        self.content_keys().iter().map(|id| secret(id, Purpose::Content(self.layer))).collect()
    }
}

/// Whether an object holds a key for a node of this name, as a start or a plug has called it.
pub(crate) fn is_key_of(object: &str, node: &str) -> bool {
    object.strip_prefix(node).is_some_and(|rest| rest.starts_with("-encryption-secret"))
}

/// Whether the server's client decrypts, and not QEMU.
pub(crate) fn by_client(source: &StorageSource) -> bool {
    let engine = source.encryption.as_ref().and_then(|encryption| encryption.engine);
    engine == Some(EncryptionEngine::Librbd)
}

fn secret(id: &str, purpose: Purpose) -> Object {
    Object::Secret { id: id.to_owned(), purpose }
}
