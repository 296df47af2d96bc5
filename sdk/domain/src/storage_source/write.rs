//! A source as the `<source>` element that names it.

use super::{Host, Location, NetworkSource, Slice, Transport};
use crate::address::PciAddress;
use crate::fragment::Fragment;

impl Location {
    /// The `<source>` element of this location, with the window of it that holds the image. It carries no
    /// credentials: those stand in elements of their own.
    #[must_use]
    pub fn to_element(&self, slice: Option<&Slice>) -> Fragment {
        let element = match self {
            Self::Empty => Fragment::new("source"),
            Self::File(path) => Fragment::new("source").attribute("file", path),
            Self::Block(path) | Self::VhostVdpa(path) => Fragment::new("source").attribute("dev", path),
            Self::Dir(path) => Fragment::new("source").attribute("dir", path),
            Self::Network(source) => source.to_element(),
            Self::Volume { pool, volume, mode } => Fragment::new("source")
                .attribute("pool", pool)
                .attribute("volume", volume)
                .maybe_attribute("mode", *mode),
            Self::Nvme { address, namespace, managed } => nvme(*address, *namespace, *managed),
            Self::VhostUser { path, reconnect } => {
                let reconnect = reconnect.map(|reconnect| {
                    Fragment::new("reconnect")
                        .attribute("enabled", yes_no(reconnect.enabled))
                        .maybe_attribute("timeout", reconnect.timeout_s)
                });
                Fragment::new("source")
                    .attribute("type", "unix")
                    .attribute("path", path)
                    .maybe_child(reconnect)
            }
        };
        element.maybe_child(slice.map(slices))
    }

    /// The word for this kind of location in the `type` attribute of `<disk>` and `<backingStore>`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Empty | Self::File(_) => "file",
            Self::Block(_) => "block",
            Self::Dir(_) => "dir",
            Self::Network(_) => "network",
            Self::Volume { .. } => "volume",
            Self::Nvme { .. } => "nvme",
            Self::VhostUser { .. } => "vhostuser",
            Self::VhostVdpa(_) => "vhostvdpa",
        }
    }
}

impl NetworkSource {
    fn to_element(&self) -> Fragment {
        let element = Fragment::new("source")
            .attribute("protocol", self.protocol)
            .maybe_attribute("name", self.name.as_deref())
            .maybe_attribute("query", self.query.as_deref())
            .maybe_attribute("tls", self.tls.map(yes_no))
            .maybe_attribute("tlsHostname", self.tls_hostname.as_deref());
        let element = self.hosts.iter().fold(element, |element, host| element.child(host.to_element()));
        let named = |child: &str, attribute: &str, value: Option<&str>| {
            value.map(|value| Fragment::new(child).attribute(attribute, value))
        };
        let initiator = named("iqn", "name", self.initiator_iqn.as_deref());
        element
            .maybe_child(named("snapshot", "name", self.snapshot.as_deref()))
            .maybe_child(named("config", "file", self.config_file.as_deref()))
            .maybe_child(initiator.map(|iqn| Fragment::new("initiator").child(iqn)))
            .maybe_child(named("ssl", "verify", self.ssl_verify.map(yes_no)))
            .maybe_child(self.cookies_element())
            .maybe_child(self.readahead_bytes.map(|size| Fragment::new("readahead").attribute("size", size)))
            .maybe_child(self.timeout_s.map(|time| Fragment::new("timeout").attribute("seconds", time)))
            .maybe_child(self.identity_element())
            .maybe_child(
                self.reconnect_delay_s.map(|time| Fragment::new("reconnect").attribute("delay", time)),
            )
    }

    fn cookies_element(&self) -> Option<Fragment> {
        (!self.cookies.is_empty()).then(|| {
            self.cookies.iter().fold(Fragment::new("cookies"), |element, cookie| {
                element.child(Fragment::new("cookie").attribute("name", &cookie.name).text(&cookie.value))
            })
        })
    }

    fn identity_element(&self) -> Option<Fragment> {
        (self.nfs_user.is_some() || self.nfs_group.is_some()).then(|| {
            Fragment::new("identity")
                .maybe_attribute("user", self.nfs_user.as_deref())
                .maybe_attribute("group", self.nfs_group.as_deref())
        })
    }
}

impl Host {
    fn to_element(&self) -> Fragment {
        Fragment::new("host")
            .maybe_attribute("name", self.name.as_deref())
            .maybe_attribute("port", self.port)
            .maybe_attribute("transport", (self.transport != Transport::Tcp).then_some(self.transport))
            .maybe_attribute("socket", self.socket.as_deref())
    }
}

fn nvme(address: PciAddress, namespace: u32, managed: bool) -> Fragment {
    let place = Fragment::new("address")
        .attribute("domain", format!("{:#06x}", address.domain))
        .attribute("bus", format!("{:#04x}", address.bus))
        .attribute("slot", format!("{:#04x}", address.slot))
        .attribute("function", format!("{:#x}", address.function));
    Fragment::new("source")
        .attribute("type", "pci")
        .attribute("managed", yes_no(managed))
        .attribute("namespace", namespace)
        .child(place)
}

fn slices(slice: &Slice) -> Fragment {
    let one = Fragment::new("slice")
        .attribute("type", "storage")
        .attribute("offset", slice.offset)
        .attribute("size", slice.size);
    Fragment::new("slices").child(one)
}

fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::super::{Cookie, Protocol};
    use super::*;

    #[test]
    fn a_server_is_written_in_the_order_of_the_documents() {
        let mut source = NetworkSource::new(Protocol::Https);
        source.name = Some("disk".to_owned());
        source.query = Some("a=1&b=2".to_owned());
        source.hosts.push(Host::tcp("h", Some(443)));
        source.ssl_verify = Some(false);
        source.cookies.push(Cookie { name: "c".to_owned(), value: "v".to_owned() });
        source.timeout_s = Some(5);
        let slice = Slice { offset: 512, size: 1024 };
        assert_eq!(
            Location::Network(Box::new(source)).to_element(Some(&slice)).to_xml(),
            "<source protocol='https' name='disk' query='a=1&amp;b=2'>\n  <host name='h' port='443'/>\n  \
             <ssl verify='no'/>\n  <cookies>\n    <cookie name='c'>v</cookie>\n  </cookies>\n  \
             <timeout seconds='5'/>\n  <slices>\n    <slice type='storage' offset='512' size='1024'/>\n  \
             </slices>\n</source>"
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut nbd = NetworkSource::new(Protocol::Nbd);
        nbd.hosts.push(Host::unix("/run/nbd"));
        let address = PciAddress { domain: 1, bus: 2, slot: 3, function: 4, multifunction: None };
        for location in [
            Location::File("/srv/a&b'c".to_owned()),
            Location::Block("/dev/vg/a".to_owned()),
            Location::Network(Box::new(nbd)),
            Location::Nvme { address, namespace: 7, managed: false },
        ] {
            let xml = format!(
                "<domain type='kvm'><name>n</name><memory>1</memory><os><type>hvm</type></os><devices>\
                 <disk type='{}'>{}<target dev='vda'/></disk></devices></domain>",
                location.type_name(),
                location.to_element(None).to_xml()
            );
            let domain = crate::Domain::parse(&xml).unwrap();
            assert_eq!(domain.devices.disks[0].source.location, location);
        }
    }
}
