//! Changes of a part of a network's document, as clients ask for them.

use std::net::IpAddr;

use crate::document::{Document, NodeId};
use crate::error::{XmlError, XmlErrorKind};
use crate::fragment::Fragment;
use crate::interface::MacAddress;
use crate::read::Element;
use crate::trace::Trace;

use super::{Dhcp, DhcpHost, Network, NetworkIp};

/// What is done to a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkCommand {
    /// Put in the place of the one that it is about.
    Modify,
    /// Taken out.
    Delete,
    /// Added behind all others.
    AddLast,
    /// Added before all others.
    AddFirst,
}

/// Which part that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkSection {
    /// `<host>` of `<dhcp>`.
    DhcpHost,
    /// `<range>` of `<dhcp>`.
    DhcpRange,
    /// `<host>` of `<dns>`.
    DnsHost,
    /// `<txt>` of `<dns>`.
    DnsTxt,
}

/// Why a part is not changed.
#[derive(Debug)]
pub enum NetworkUpdateError {
    /// What is given is wrong in itself.
    Wrong(XmlError),
    /// It does not fit what is there: there is one already, or none.
    Conflict(String),
    /// It is not done to parts of this kind.
    Unsupported(String),
}

impl From<XmlError> for NetworkUpdateError {
    fn from(error: XmlError) -> Self {
        Self::Wrong(error)
    }
}

impl NetworkSection {
    /// The element that it has.
    fn element(self) -> &'static str {
        match self {
            Self::DhcpHost | Self::DnsHost => "host",
            Self::DhcpRange => "range",
            Self::DnsTxt => "txt",
        }
    }

    /// How it is called.
    fn called(self) -> &'static str {
        match self {
            Self::DhcpHost => "dhcp host",
            Self::DhcpRange => "dhcp range",
            Self::DnsHost => "DNS HOST",
            Self::DnsTxt => "DNS TXT",
        }
    }
}

impl Network {
    /// The network with this change. `parent` says which `<ip>` it is about, where there are several; without it, it is the
    /// one with a server of addresses, or else the first.
    ///
    /// # Errors
    /// [`NetworkUpdateError`].
    pub fn updated(
        &self,
        command: NetworkCommand,
        section: NetworkSection,
        parent: Option<usize>,
        fragment: &str,
    ) -> Result<Self, NetworkUpdateError> {
        let part = Part::read(section, fragment)?;
        let matching = self.matching(section, parent, &part, command)?;
        let mut document = self.document.clone();
        match (command, matching) {
            (NetworkCommand::AddFirst | NetworkCommand::AddLast, None) => {
                let group = self.group(&mut document, section, parent)?;
                let first = document.elements(group).find(|node| document.name(*node) == section.element());
                match first.filter(|_| command == NetworkCommand::AddFirst) {
                    Some(first) => document.insert_before(first, fragment.trim())?,
                    None => document.append_child(group, fragment.trim())?,
                };
            }
            (NetworkCommand::AddFirst | NetworkCommand::AddLast, Some(_)) => {
                return Err(self.conflict(section, "there is an existing", "entry that matches"));
            }
            (NetworkCommand::Modify, Some(node)) => {
                document.insert_before(node, fragment.trim())?;
                document.remove(node)?;
            }
            (NetworkCommand::Delete, Some(node)) => document.remove(node)?,
            (NetworkCommand::Modify | NetworkCommand::Delete, None) => {
                return Err(self.conflict(section, "couldn't locate a matching", "entry"));
            }
        }
        Ok(Self::parse(&document.to_xml())?)
    }

    fn conflict(&self, section: NetworkSection, what: &str, which: &str) -> NetworkUpdateError {
        NetworkUpdateError::Conflict(format!(
            "{what} {} {which} in network '{}'",
            section.called(),
            self.name
        ))
    }

    /// The `<ip>` that a change of addresses is about.
    fn updated_ip(&self, parent: Option<usize>) -> Result<&NetworkIp, NetworkUpdateError> {
        let found = match parent {
            Some(at) => self.ips.get(at),
            None => self.ips.iter().find(|ip| ip.dhcp.is_some()).or(self.ips.first()),
        };
        found.ok_or_else(|| {
            let which = parent.map(|at| format!(" {at}")).unwrap_or_default();
            NetworkUpdateError::Conflict(format!("there is no <ip>{which} in network '{}'", self.name))
        })
    }

    /// The element that the part is in, made where it is not there.
    fn group(
        &self,
        document: &mut Document,
        section: NetworkSection,
        parent: Option<usize>,
    ) -> Result<NodeId, NetworkUpdateError> {
        let root = document.root();
        let (within, name) = match section {
            NetworkSection::DhcpHost | NetworkSection::DhcpRange => (self.updated_ip(parent)?.node, "dhcp"),
            NetworkSection::DnsHost | NetworkSection::DnsTxt => (root, "dns"),
        };
        if let Some(found) = document.child(within, name) {
            return Ok(found);
        }
        let element = Fragment::new(name).to_xml();
        let ip = document.child(root, "ip").filter(|_| name == "dns");
        Ok(match ip {
            Some(ip) => document.insert_before(ip, &element)?,
            None => document.append_child(within, &element)?,
        })
    }

    /// The element that is there and is what the part is about.
    fn matching(
        &self,
        section: NetworkSection,
        parent: Option<usize>,
        part: &Part,
        command: NetworkCommand,
    ) -> Result<Option<NodeId>, NetworkUpdateError> {
        let unchanged = || {
            let what = section.called();
            Err(NetworkUpdateError::Unsupported(format!(
                "{what} entries cannot be modified, only added or deleted"
            )))
        };
        let none = Dhcp::default();
        match section {
            NetworkSection::DhcpHost => {
                let dhcp = self.updated_ip(parent)?.dhcp.as_ref().unwrap_or(&none);
                let found = dhcp.hosts.iter().find(|host| part.is_host(host, command));
                Ok(found.map(|host| host.node))
            }
            NetworkSection::DhcpRange if command == NetworkCommand::Modify => unchanged(),
            NetworkSection::DhcpRange => {
                let dhcp = self.updated_ip(parent)?.dhcp.as_ref().unwrap_or(&none);
                let same = dhcp.ranges.iter().find(|range| part.range == Some((range.start, range.end)));
                Ok(same.map(|range| range.node))
            }
            NetworkSection::DnsHost | NetworkSection::DnsTxt if command == NetworkCommand::Modify => {
                unchanged()
            }
            NetworkSection::DnsHost | NetworkSection::DnsTxt => self.matching_name(section, part),
        }
    }

    /// The only record of names that has something of the part.
    fn matching_name(
        &self,
        section: NetworkSection,
        part: &Part,
    ) -> Result<Option<NodeId>, NetworkUpdateError> {
        let Some(dns) = self.document.child(self.document.root(), "dns") else { return Ok(None) };
        let own = self.document.elements(dns).filter(|node| self.document.name(*node) == section.element());
        let mut found = own.filter(|node| {
            let other = Part::of(&self.document, *node);
            match section {
                NetworkSection::DnsTxt => other.name == part.name,
                _ => {
                    other.ip.is_some_and(|ip| part.ip == Some(ip))
                        || other.names.iter().any(|name| part.names.contains(name))
                }
            }
        });
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(self.conflict(section, "multiple matching", "records were found")),
            (first, _) => Ok(first),
        }
    }
}

/// What is said of a part.
#[derive(Debug, Default)]
struct Part {
    mac: Option<MacAddress>,
    name: Option<String>,
    ip: Option<IpAddr>,
    range: Option<(IpAddr, IpAddr)>,
    names: Vec<String>,
}

impl Part {
    fn read(section: NetworkSection, fragment: &str) -> Result<Self, NetworkUpdateError> {
        let document = Document::parse(fragment)?;
        let (root, wanted) = (document.root(), section.element());
        if document.name(root) != wanted {
            let found = document.name(root);
            let message = format!("the element of a {} entry is '{wanted}', not '{found}'", section.called());
            let trace = Trace::default();
            return Err(Element::new(&document, &trace, root).error(XmlErrorKind::WrongRoot, message).into());
        }
        Ok(Self::of(&document, root))
    }

    fn of(document: &Document, node: NodeId) -> Self {
        let word = |name: &str| document.attribute(node, name).filter(|text| !text.is_empty());
        let address = |name: &str| word(name)?.parse().ok();
        let names = document.elements(node).filter(|child| document.name(*child) == "hostname");
        Self {
            mac: word("mac").and_then(MacAddress::parse),
            name: word("name").map(str::to_owned),
            ip: address("ip"),
            range: address("start").zip(address("end")),
            names: names.map(|child| document.text(child).trim().to_owned()).collect(),
        }
    }

    /// Whether it is about a host that is known: one that would be there twice, one that is to be replaced, or one with all
    /// that is said of it.
    fn is_host(&self, host: &DhcpHost, command: NetworkCommand) -> bool {
        let mac = self.mac.is_some() && self.mac == host.mac;
        let name = self.name.is_some() && self.name == host.name;
        let ip = self.ip == Some(host.ip);
        match command {
            NetworkCommand::AddFirst | NetworkCommand::AddLast => mac || name || ip,
            NetworkCommand::Modify if self.mac.is_some() => mac,
            NetworkCommand::Modify => name,
            NetworkCommand::Delete => {
                let fits = [(self.mac.is_some(), mac), (self.name.is_some(), name), (self.ip.is_some(), ip)];
                fits.iter().any(|(said, _)| *said) && fits.iter().all(|(said, fits)| !said || *fits)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = "<network>\n  <name>n</name>\n  <ip address='10.0.0.1' prefix='24'>\n    <dhcp>\n      \
        <range start='10.0.0.2' end='10.0.0.9'/>\n      <host mac='52:54:00:00:00:01' name='a' ip='10.0.0.20'/>\n    \
        </dhcp>\n  </ip>\n</network>\n";

    fn update(
        network: &Network,
        command: NetworkCommand,
        section: NetworkSection,
        fragment: &str,
    ) -> Result<Network, String> {
        network.updated(command, section, None, fragment).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn known_hosts_are_added_changed_and_taken_out() {
        use NetworkCommand::{AddFirst, AddLast, Delete, Modify};
        let section = NetworkSection::DhcpHost;
        let network = Network::parse(XML).unwrap();
        let more =
            update(&network, AddFirst, section, "<host mac='52:54:00:00:00:02' ip='10.0.0.21'/>").unwrap();
        let hosts = |network: &Network| network.ips[0].dhcp.clone().unwrap().hosts;
        assert_eq!(hosts(&more)[0].ip.to_string(), "10.0.0.21");
        for twice in
            ["mac='52:54:00:00:00:01' ip='10.0.0.30'", "name='a' ip='10.0.0.30'", "name='c' ip='10.0.0.20'"]
        {
            let error = update(&network, AddLast, section, &format!("<host {twice}/>")).unwrap_err();
            assert!(error.contains("existing dhcp host"), "{error}");
        }
        let moved = update(&more, Modify, section, "<host mac='52:54:00:00:00:01' name='b' ip='10.0.0.22'/>")
            .unwrap();
        assert_eq!((hosts(&moved)[1].name.as_deref(), hosts(&moved).len()), (Some("b"), 2));
        assert!(update(&network, Modify, section, "<host mac='52:54:00:00:00:09' ip='10.0.0.22'/>").is_err());
        let less = update(&moved, Delete, section, "<host mac='52:54:00:00:00:01'/>").unwrap();
        assert_eq!(hosts(&less).len(), 1);
        assert!(update(&network, Delete, section, "<host mac='52:54:00:00:00:01' ip='10.0.0.21'/>").is_err());
        assert!(update(&network, AddLast, section, "<host mac='52:54:00:00:00:02' ip='10.0.1.1'/>").is_err());
        assert!(update(&network, AddLast, section, "<range/>").unwrap_err().contains("'host'"));
    }

    #[test]
    fn ranges_and_names_are_added_and_taken_out_and_nothing_else() {
        use NetworkCommand::{AddLast, Delete, Modify};
        let network = Network::parse(XML).unwrap();
        let range = "<range start='10.0.0.50' end='10.0.0.60'/>";
        let more = update(&network, AddLast, NetworkSection::DhcpRange, range).unwrap();
        assert_eq!(more.ips[0].dhcp.as_ref().unwrap().ranges.len(), 2);
        assert!(update(&more, AddLast, NetworkSection::DhcpRange, range).is_err());
        assert!(update(&more, Modify, NetworkSection::DhcpRange, range).unwrap_err().contains("Unsupported"));
        let less = update(&more, Delete, NetworkSection::DhcpRange, range).unwrap();
        assert_eq!(less.ips[0].dhcp.as_ref().unwrap().ranges.len(), 1);
        let name = "<host ip='10.0.0.5'><hostname>x</hostname></host>";
        let named = update(&network, AddLast, NetworkSection::DnsHost, name).unwrap();
        assert_eq!(named.dns.hosts.len(), 1);
        let same = "<host ip='10.0.0.6'><hostname>x</hostname></host>";
        assert!(update(&named, AddLast, NetworkSection::DnsHost, same).is_err());
        let gone =
            update(&named, Delete, NetworkSection::DnsHost, "<host><hostname>x</hostname></host>").unwrap();
        assert!(gone.dns.hosts.is_empty());
        let text = update(&network, AddLast, NetworkSection::DnsTxt, "<txt name='t' value='v'/>").unwrap();
        assert_eq!(text.dns.texts.len(), 1);
        assert!(
            update(&text, Delete, NetworkSection::DnsTxt, "<txt name='t'/>").unwrap().dns.texts.is_empty()
        );
    }
}
