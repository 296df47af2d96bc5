//! What a call is about: the handles in its arguments and its answer.

use crate::tables::records::{
    DomainHandle, InterfaceHandle, NetworkHandle, NetworkPortHandle, NodeDeviceHandle, NwfilterBindingHandle,
    NwfilterHandle, SecretHandle, StoragePoolHandle, StorageVolHandle,
};

/// A handle as it is found in arguments or an answer. One of a snapshot shows that of its domain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Handle<'a> {
    /// Of a domain.
    Domain(&'a DomainHandle),
    /// Of a host's interface.
    Interface(&'a InterfaceHandle),
    /// Of a network.
    Network(&'a NetworkHandle),
    /// Of a network's port.
    NetworkPort(&'a NetworkPortHandle),
    /// Of a device of the host.
    NodeDevice(&'a NodeDeviceHandle),
    /// Of a network filter.
    Filter(&'a NwfilterHandle),
    /// Of where a network filter is used.
    FilterBinding(&'a NwfilterBindingHandle),
    /// Of a secret.
    Secret(&'a SecretHandle),
    /// Of a storage pool.
    Pool(&'a StoragePoolHandle),
    /// Of a volume.
    Volume(&'a StorageVolHandle),
}

impl Handle<'_> {
    /// The kind of object, as permissions begin with it.
    #[must_use]
    pub fn object(&self) -> &'static str {
        match self {
            Self::Domain(_) => "domain",
            Self::Interface(_) => "interface",
            Self::Network(_) => "network",
            Self::NetworkPort(_) => "network_port",
            Self::NodeDevice(_) => "node_device",
            Self::Filter(_) => "nwfilter",
            Self::FilterBinding(_) => "nwfilter_binding",
            Self::Secret(_) => "secret",
            Self::Pool(_) => "storage_pool",
            Self::Volume(_) => "storage_vol",
        }
    }
}

/// A text among arguments, which some calls have to have and others may leave out.
pub(crate) trait MaybeText {
    fn as_text(&self) -> Option<&str>;
}

impl MaybeText for String {
    fn as_text(&self) -> Option<&str> {
        Some(self)
    }
}

impl MaybeText for Option<String> {
    fn as_text(&self) -> Option<&str> {
        self.as_deref()
    }
}

pub(crate) fn text(text: &impl MaybeText) -> Option<&str> {
    text.as_text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procedure::Call as _;
    use crate::tables::calls_connect::{ConnectListAllDomainsAnswer, NodeDeviceGetParent};
    use crate::tables::calls_domain::{DomainDefineXml, DomainRename};
    use crate::tables::calls_other::DomainSnapshotCreateXml;
    use crate::xdr::{List, Xdr as _};

    fn domain(name: &str) -> DomainHandle {
        DomainHandle { name: name.to_owned(), uuid: [7; 16], id: -1 }
    }

    fn objects(value: &impl crate::xdr::Xdr) -> Vec<&'static str> {
        let mut objects = Vec::new();
        value.handles(&mut |handle| objects.push(handle.object()));
        objects
    }

    #[test]
    fn handles_are_found_wherever_they_are() {
        let listed = ConnectListAllDomainsAnswer { domains: List(vec![domain("a"), domain("b")]), ret: 2 };
        let mut names = Vec::new();
        listed.handles(&mut |handle| {
            let Handle::Domain(domain) = handle else { unreachable!() };
            names.push(domain.name.as_str());
        });
        assert_eq!(names, ["a", "b"]);
        let call = DomainSnapshotCreateXml { dom: domain("a"), xml_desc: "<x/>".to_owned(), flags: 0 };
        assert_eq!((objects(&call), call.document()), (vec!["domain"], Some("<x/>")));
        let none = DomainDefineXml { xml: "<domain/>".to_owned() };
        assert_eq!((objects(&none), none.document(), none.name()), (vec![], Some("<domain/>"), None));
        let rename = DomainRename { dom: domain("a"), new_name: Some("b".to_owned()), flags: 0 };
        assert_eq!((objects(&rename), rename.name()), (vec!["domain"], None));
        assert_eq!(rename.new_name(), Some("b"));
        assert_eq!(NodeDeviceGetParent { name: "pci".to_owned() }.name(), Some("pci"));
    }
}
