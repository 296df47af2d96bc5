//! `<bandwidth>`: how much may go through an interface, or between a network and its host.

use crate::document::{Document, NodeId};
use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;

/// How much may go through, each way; a way without a rate is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bandwidth {
    /// To the guest, or the network.
    pub inbound: Option<Rate>,
    /// From the guest, or the network.
    pub outbound: Option<Rate>,
}

/// What may go one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Kilobytes (of 1,000 bytes) in a second.
    pub average: u32,
    /// The same for a short time, to the guest only.
    pub peak: Option<u32>,
    /// KiB that may go at once, before the average counts.
    pub burst: Option<u32>,
}

impl Bandwidth {
    /// The names of both ways, as elements.
    pub const WAYS: [&'static str; 2] = ["inbound", "outbound"];

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.inbound.is_none() && self.outbound.is_none()
    }

    pub(crate) fn read(bandwidth: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self {
            inbound: bandwidth.maybe("inbound", Rate::read)?.flatten(),
            outbound: bandwidth.maybe("outbound", Rate::read)?.flatten(),
        })
    }

    /// Has an interface of a document say so, in place of what it says.
    ///
    /// # Errors
    /// What the document does not take.
    pub fn write(&self, document: &mut Document, interface: NodeId) -> Result<(), XmlError> {
        if let Some(old) = document.child(interface, "bandwidth") {
            document.remove(old)?;
        }
        if self.is_unlimited() {
            return Ok(());
        }
        let ways = Self::WAYS.into_iter().zip([self.inbound, self.outbound]);
        let inside: String = ways.filter_map(|(way, rate)| Some(rate?.element(way))).collect();
        document.append_child(interface, &format!("<bandwidth>{inside}</bandwidth>")).map(drop)
    }
}

impl Rate {
    fn read(rate: Element<'_>) -> Result<Option<Self>, XmlError> {
        let some = |name| Ok::<_, XmlError>(rate.number::<u32>(name)?.filter(|number| *number > 0));
        let (average, peak, burst) = (some("average")?, some("peak")?, some("burst")?);
        match average {
            Some(average) => Ok(Some(Self { average, peak, burst })),
            // What is promised to an interface is left of what its network has.
            None if peak.is_none() && burst.is_none() => Ok(None),
            None => {
                let message = format!("'{}' has a peak or a burst, and no average", rate.name());
                Err(rate.error(XmlErrorKind::MissingAttribute, message).hint("add average='…'"))
            }
        }
    }

    fn element(self, way: &str) -> String {
        let more = [("peak", self.peak), ("burst", self.burst)];
        let more = more.into_iter().filter_map(|(name, value)| Some(format!(" {name}='{}'", value?)));
        format!("<{way} average='{}'{}/>", self.average, more.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Domain;

    fn domain(inside: &str) -> Result<Domain, XmlError> {
        Domain::parse(&format!(
            "<domain type='kvm'><name>n</name><memory>1024</memory><os><type>hvm</type></os><devices>\
             <interface type='bridge'><source bridge='br0'/>{inside}</interface></devices></domain>"
        ))
    }

    #[test]
    fn rates_that_are_written_are_those_that_are_read() {
        let rate = |average, peak, burst| Some(Rate { average, peak, burst });
        for wanted in [
            Bandwidth { inbound: rate(1_000, Some(5_000), Some(512)), outbound: rate(128, None, None) },
            Bandwidth { inbound: None, outbound: rate(1, None, Some(1)) },
            Bandwidth::default(),
        ] {
            let before = domain("<bandwidth><inbound average='7'/></bandwidth>").unwrap();
            let (mut document, node) = (before.document().clone(), before.devices.interfaces[0].node);
            wanted.write(&mut document, node).unwrap();
            let read = Domain::parse(&document.to_xml()).unwrap();
            assert_eq!(read.devices.interfaces[0].bandwidth, wanted);
            assert!(read.unmodelled().is_empty(), "{:?}", read.unmodelled());
        }
    }

    #[test]
    fn zero_is_no_limit_and_a_peak_needs_an_average() {
        let none = domain("<bandwidth><inbound average='0'/><outbound/></bandwidth>").unwrap();
        assert!(none.devices.interfaces[0].bandwidth.is_unlimited());
        let wrong = domain("<bandwidth><inbound peak='5'/></bandwidth>").unwrap_err();
        assert_eq!(wrong.code(), "xml.missing-attribute");
        assert!(domain("<bandwidth><inbound average='much'/></bandwidth>").is_err());
        // A promise is of the network's, which none keeps here.
        let floor = domain("<bandwidth><inbound floor='5'/></bandwidth>").unwrap();
        assert_eq!(floor.unmodelled().len(), 1);
    }
}
