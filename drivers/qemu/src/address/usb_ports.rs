//! The ports of one USB bus, with the hubs plugged into them.

/// Ports of a hub.
pub(super) const HUB_PORTS: usize = 8;
/// Most ports on the way to a device, its own counted.
const MAX_TIERS: usize = 4;

#[derive(Debug, Clone)]
enum Port {
    Free,
    Taken,
    Hub(Ports),
}

/// Why a port cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PortRefusal {
    /// Something else is there.
    Taken,
    /// There is no such port.
    Absent,
    /// No hub is at the port on the way with this path.
    NoHub(String),
}

/// A row of ports: those of a controller or of a hub.
#[derive(Debug, Clone)]
pub(super) struct Ports(Vec<Port>);

impl Ports {
    /// A row of free ports.
    pub(super) fn new(count: usize) -> Self {
        Self(vec![Port::Free; count])
    }

    /// How many ports there are, hubs not counted.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes the port with this path; `hub` says whether a hub is plugged there.
    pub(super) fn take(&mut self, path: &[usize], hub: bool) -> Result<(), PortRefusal> {
        let mut row = self;
        let (last, way) = path.split_last().ok_or(PortRefusal::Absent)?;
        for (depth, step) in way.iter().enumerate() {
            row = match row.0.get_mut(step.wrapping_sub(1)) {
                Some(Port::Hub(below)) => below,
                Some(_) => return Err(PortRefusal::NoHub(text(path.get(..=depth).unwrap_or(way)))),
                None => return Err(PortRefusal::Absent),
            };
        }
        match row.0.get_mut(last.wrapping_sub(1)) {
            Some(port @ Port::Free) => {
                *port = if hub { Port::Hub(Self::new(HUB_PORTS)) } else { Port::Taken };
                Ok(())
            }
            Some(_) => Err(PortRefusal::Taken),
            None => Err(PortRefusal::Absent),
        }
    }

    /// The path of the first free port: in this row, else below its hubs in order.
    pub(super) fn first_free(&self) -> Option<Vec<usize>> {
        self.free_at(1)
    }

    fn free_at(&self, tier: usize) -> Option<Vec<usize>> {
        if tier > MAX_TIERS {
            return None;
        }
        if let Some(place) = self.0.iter().position(|port| matches!(port, Port::Free)) {
            return Some(vec![place + 1]);
        }
        self.0.iter().enumerate().find_map(|(place, port)| match port {
            Port::Hub(below) => below.free_at(tier + 1).map(|mut path| {
                path.insert(0, place + 1);
                path
            }),
            Port::Free | Port::Taken => None,
        })
    }
}

/// A path as the document writes it.
pub(super) fn text(path: &[usize]) -> String {
    path.iter().map(usize::to_string).collect::<Vec<_>>().join(".")
}

/// The path that a text stands for; empty when it is none.
pub(super) fn parse(text: &str) -> Vec<usize> {
    text.split('.').map(|step| step.parse().ok()).collect::<Option<_>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_below_hubs_come_after_those_of_the_row() {
        let mut ports = Ports::new(2);
        ports.take(&[1], true).unwrap();
        assert_eq!(ports.first_free(), Some(vec![2]));
        ports.take(&[2], false).unwrap();
        assert_eq!(ports.first_free(), Some(vec![1, 1]));
        assert_eq!(ports.take(&[2, 1], false), Err(PortRefusal::NoHub("2".to_owned())));
        assert_eq!(ports.take(&[1, 9], false), Err(PortRefusal::Absent));
        assert_eq!(ports.take(&[2], false), Err(PortRefusal::Taken));
        assert_eq!(ports.take(&[], false), Err(PortRefusal::Absent));
    }

    #[test]
    fn hubs_end_at_the_last_tier() {
        let mut ports = Ports::new(1);
        for path in [&[1][..], &[1, 1], &[1, 1, 1], &[1, 1, 1, 1]] {
            ports.take(path, true).unwrap();
        }
        for port in 2..=8 {
            ports.take(&[1, port], false).unwrap();
            ports.take(&[1, 1, port], false).unwrap();
            ports.take(&[1, 1, 1, port], false).unwrap();
        }
        assert_eq!(ports.first_free(), None);
    }
}
