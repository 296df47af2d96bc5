//! What a guest may use of its host: `<cputune>` (shares and times), `<memtune>`, `<blkiotune>` and the nodes of `<numatune>`.
//!
//! Each limit is one value with a name, so that a document, what a client sets and what a host enforces are the same list.

use crate::document::{Document, NodeId};
use crate::error::{XmlError, XmlErrorKind};
use crate::fragment::Fragment;
use crate::numatune::NumaMode;
use crate::read::Element;
use crate::units::Bytes;

/// Whose time on processors is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CpuUser {
    /// All of the guest together: `<global_period>`, `<global_quota>`.
    Guest,
    /// Each of its processors: `<period>`, `<quota>`.
    Vcpu,
    /// What is neither a processor nor an I/O thread: `<emulator_period>`, `<emulator_quota>`.
    Emulator,
    /// Each I/O thread: `<iothread_period>`, `<iothread_quota>`.
    IoThread,
}

impl CpuUser {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Guest, Self::Vcpu, Self::Emulator, Self::IoThread];

    fn elements(self) -> (&'static str, &'static str) {
        match self {
            Self::Guest => ("global_period", "global_quota"),
            Self::Vcpu => ("period", "quota"),
            Self::Emulator => ("emulator_period", "emulator_quota"),
            Self::IoThread => ("iothread_period", "iothread_quota"),
        }
    }
}

/// What is limited of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemoryLimit {
    /// Memory of the host: `<hard_limit>`.
    Hard,
    /// The same while others need it: `<soft_limit>`.
    Soft,
    /// Memory and swap together: `<swap_hard_limit>`.
    HardWithSwap,
}

impl MemoryLimit {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Hard, Self::Soft, Self::HardWithSwap];

    /// The element, and what libvirt calls its parameter.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hard => "hard_limit",
            Self::Soft => "soft_limit",
            Self::HardWithSwap => "swap_hard_limit",
        }
    }
}

/// What is limited of a block device of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceLimit {
    /// Its share beside others.
    Weight,
    /// Bytes read in a second.
    ReadBytes,
    /// Bytes written in a second.
    WriteBytes,
    /// Reads in a second.
    ReadRequests,
    /// Writes in a second.
    WriteRequests,
}

impl DeviceLimit {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::Weight, Self::ReadRequests, Self::WriteRequests, Self::ReadBytes, Self::WriteBytes];

    /// The element within `<device>`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::ReadBytes => "read_bytes_sec",
            Self::WriteBytes => "write_bytes_sec",
            Self::ReadRequests => "read_iops_sec",
            Self::WriteRequests => "write_iops_sec",
        }
    }
}

/// One limit with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// The guest's weight beside others when processors are wanted by several: `<shares>`.
    CpuShares(u64),
    /// The length of a period, in microseconds.
    CpuPeriod(CpuUser, u64),
    /// Time on processors in each period, in microseconds; nothing is no limit.
    CpuQuota(CpuUser, Option<u64>),
    /// Memory; nothing is no limit.
    Memory(MemoryLimit, Option<Bytes>),
    /// The guest's weight beside others when a block device is wanted by several: `<weight>`.
    BlockWeight(u32),
    /// Use of the block device at this path; 0 is no limit.
    BlockDevice(DeviceLimit, String, u64),
    /// The nodes that memory may come from: `<memory nodeset>` of `<numatune>`, as a set of numbers.
    Nodes(String),
}

impl Limit {
    /// Whether it is about threads that are told apart, and not the guest as a whole.
    #[must_use]
    pub fn is_of_threads(&self) -> bool {
        matches!(self, Self::CpuPeriod(user, _) | Self::CpuQuota(user, _) if *user != CpuUser::Guest)
    }

    /// Whether it is of time on processors.
    #[must_use]
    pub fn is_of_cpu(&self) -> bool {
        matches!(self, Self::CpuShares(_) | Self::CpuPeriod(..) | Self::CpuQuota(..))
    }

    /// Whether both are the same limit, maybe with other values.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::CpuPeriod(one, _), Self::CpuPeriod(other, _))
            | (Self::CpuQuota(one, _), Self::CpuQuota(other, _)) => one == other,
            (Self::Memory(one, _), Self::Memory(other, _)) => one == other,
            (Self::BlockDevice(one, path, _), Self::BlockDevice(other, at, _)) => one == other && path == at,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// Its name: that of its element, for a device behind its path (`/dev/sda:read_bytes_sec`).
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::CpuShares(_) => "shares".to_owned(),
            Self::CpuPeriod(user, _) => user.elements().0.to_owned(),
            Self::CpuQuota(user, _) => user.elements().1.to_owned(),
            Self::Memory(kind, _) => kind.name().to_owned(),
            Self::BlockWeight(_) => "weight".to_owned(),
            Self::BlockDevice(kind, path, _) => format!("{path}:{}", kind.name()),
            Self::Nodes(_) => "nodeset".to_owned(),
        }
    }

    /// Its value as text: bytes, microseconds, a weight, a set; nothing where it is no limit.
    #[must_use]
    pub fn value(&self) -> Option<String> {
        match self {
            Self::CpuShares(value) | Self::CpuPeriod(_, value) => Some(value.to_string()),
            Self::CpuQuota(_, value) => value.map(|value| value.to_string()),
            Self::Memory(_, size) => size.map(|size| size.0.to_string()),
            Self::BlockWeight(value) => Some(value.to_string()),
            Self::BlockDevice(_, _, value) => (*value > 0).then(|| value.to_string()),
            Self::Nodes(nodes) => Some(nodes.clone()),
        }
    }

    /// Those of a document, in the order in which they stand here.
    pub(crate) fn read(root: Element<'_>) -> Result<Vec<Self>, XmlError> {
        let mut limits = Vec::new();
        if let Some(tune) = root.child("cputune") {
            ["vcpupin", "emulatorpin", "iothreadpin"].into_iter().for_each(|pin| tune.keep(pin));
            limits.extend(read_cpu(tune)?);
        }
        if let Some(tune) = root.child("memtune") {
            for kind in MemoryLimit::ALL {
                let size = tune.maybe(kind.name(), |limit| limit.size("KiB"))?;
                limits.extend(size.map(|size| Self::Memory(kind, Some(Bytes::from_kib(size.kib())))));
            }
        }
        if let Some(tune) = root.child("blkiotune") {
            limits.extend(tune.maybe("weight", Element::content_number)?.map(Self::BlockWeight));
            for device in tune.children("device") {
                limits.extend(read_device(device)?);
            }
        }
        let memory = root.child("numatune").and_then(|tune| tune.child("memory"));
        if let Some(memory) = memory {
            // Any other mode is a wish, which whoever has the memory is told.
            let mode = memory.keyword("mode")?.unwrap_or(NumaMode::Strict);
            let binds = matches!(mode, NumaMode::Strict | NumaMode::Restrictive);
            limits.extend(memory.filled("nodeset").filter(|_| binds).map(Self::Nodes));
        }
        Ok(limits)
    }

    /// Has a document say so, in place of what it says. A limit that is none is taken out.
    ///
    /// # Errors
    /// What the document does not take.
    pub fn write(&self, document: &mut Document) -> Result<(), XmlError> {
        match self {
            Self::CpuShares(shares) => put(document, "cputune", "shares", Some(&shares.to_string())),
            Self::CpuPeriod(user, period) => {
                put(document, "cputune", user.elements().0, Some(&period.to_string()))
            }
            Self::CpuQuota(user, quota) => {
                let text = quota.map_or_else(|| "-1".to_owned(), |quota| quota.to_string());
                put(document, "cputune", user.elements().1, Some(&text))
            }
            Self::Memory(kind, size) => {
                let text = size.map(|size| size.kib().to_string());
                put(document, "memtune", kind.name(), text.as_deref())?;
                let own = document.child(document.root(), "memtune");
                match own.and_then(|tune| document.child(tune, kind.name())) {
                    Some(element) => document.set_attribute(element, "unit", "KiB"),
                    None => Ok(()),
                }
            }
            Self::BlockWeight(weight) => put(document, "blkiotune", "weight", Some(&weight.to_string())),
            Self::BlockDevice(kind, path, value) => write_device(document, *kind, path, *value),
            Self::Nodes(nodes) => {
                let tune = place(document, "numatune")?;
                let memory = match document.child(tune, "memory") {
                    Some(memory) => memory,
                    None => document.append_child(tune, "<memory mode='strict'/>")?,
                };
                document.set_attribute(memory, "nodeset", nodes)
            }
        }
    }
}

fn read_cpu(tune: Element<'_>) -> Result<Vec<Limit>, XmlError> {
    let mut limits = Vec::new();
    limits.extend(tune.maybe("shares", Element::content_number)?.map(Limit::CpuShares));
    for user in CpuUser::ALL {
        let (period, quota) = user.elements();
        // Of both, zero is what the host does anyway.
        let period = tune.maybe(period, Element::content_number::<u64>)?.filter(|period| *period > 0);
        limits.extend(period.map(|period| Limit::CpuPeriod(user, period)));
        let quota = tune.maybe(quota, read_quota)?.filter(|quota| *quota != Some(0));
        limits.extend(quota.map(|quota| Limit::CpuQuota(user, quota)));
    }
    Ok(limits)
}

/// Any negative number is no limit.
fn read_quota(quota: Element<'_>) -> Result<Option<u64>, XmlError> {
    let text = quota.word();
    let number = text.parse::<i64>().map_err(|_| {
        let message = format!("the quota '{text}' is no number of microseconds");
        quota.error(XmlErrorKind::InvalidValue, message).hint("write -1 for no limit")
    })?;
    Ok(u64::try_from(number).ok())
}

fn read_device(device: Element<'_>) -> Result<Vec<Limit>, XmlError> {
    let path = device.need_child("path")?.word();
    let one = |kind: DeviceLimit| {
        let value = device.maybe(kind.name(), Element::content_number::<u64>)?;
        Ok(value.map(|value| Limit::BlockDevice(kind, path.clone(), value)))
    };
    let read = DeviceLimit::ALL.map(one).into_iter().collect::<Result<Vec<_>, XmlError>>()?;
    Ok(read.into_iter().flatten().collect())
}

/// The element of this name below the root, made where there is none.
fn place(document: &mut Document, name: &str) -> Result<NodeId, XmlError> {
    let root = document.root();
    if let Some(found) = document.child(root, name) {
        return Ok(found);
    }
    let element = format!("<{name}/>");
    match document.child(root, "devices") {
        Some(devices) => document.insert_before(devices, &element),
        None => document.append_child(root, &element),
    }
}

/// Gives an element of one of the families this text; takes it out without one.
fn put(document: &mut Document, family: &str, name: &str, text: Option<&str>) -> Result<(), XmlError> {
    let family = place(document, family)?;
    put_within(document, family, name, text)
}

fn put_within(
    document: &mut Document,
    parent: NodeId,
    name: &str,
    text: Option<&str>,
) -> Result<(), XmlError> {
    match (document.child(parent, name), text) {
        (Some(element), Some(text)) => document.set_text(element, text),
        (Some(element), None) => document.remove(element),
        (None, Some(text)) => {
            document.append_child(parent, &Fragment::new(name).text(text).to_xml()).map(drop)
        }
        (None, None) => Ok(()),
    }
}

fn write_device(document: &mut Document, kind: DeviceLimit, path: &str, value: u64) -> Result<(), XmlError> {
    let tune = place(document, "blkiotune")?;
    let of_path = |device: &NodeId| {
        let named = document.child(*device, "path").map(|named| document.text(named));
        document.name(*device) == "device" && named.is_some_and(|named| named.trim() == path)
    };
    let found = document.elements(tune).find(of_path);
    let device = match found {
        Some(device) => device,
        None if value == 0 => return Ok(()),
        None => {
            let path = Fragment::new("path").text(path).to_xml();
            document.append_child(tune, &format!("<device>{path}</device>"))?
        }
    };
    let text = (value > 0).then(|| value.to_string());
    put_within(document, device, kind.name(), text.as_deref())?;
    // A device of which nothing is said any more.
    if document.elements(device).count() <= 1 { document.remove(device) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Domain;

    fn domain(more: &str) -> Domain {
        let xml = format!(
            "<domain type='kvm'><name>n</name><memory>1024</memory><os><type>hvm</type></os>{more}</domain>"
        );
        Domain::parse(&xml).unwrap()
    }

    fn all() -> Vec<Limit> {
        let device = |kind, value| Limit::BlockDevice(kind, "/dev/a&b".to_owned(), value);
        vec![
            Limit::CpuShares(512),
            Limit::CpuPeriod(CpuUser::Guest, 100_000),
            Limit::CpuQuota(CpuUser::Guest, None),
            Limit::CpuPeriod(CpuUser::Vcpu, 50_000),
            Limit::CpuQuota(CpuUser::Vcpu, Some(25_000)),
            Limit::CpuQuota(CpuUser::Emulator, Some(9_000)),
            Limit::CpuQuota(CpuUser::IoThread, Some(8_000)),
            Limit::Memory(MemoryLimit::Hard, Some(Bytes(3 << 30))),
            Limit::Memory(MemoryLimit::Soft, Some(Bytes(1 << 30))),
            Limit::Memory(MemoryLimit::HardWithSwap, Some(Bytes(4 << 30))),
            Limit::BlockWeight(500),
            device(DeviceLimit::Weight, 200),
            device(DeviceLimit::ReadRequests, 10),
            device(DeviceLimit::WriteBytes, 1 << 20),
            Limit::Nodes("0-1".to_owned()),
        ]
    }

    #[test]
    fn limits_that_are_written_are_those_that_are_read() {
        let mut document = domain("<devices/>").document().clone();
        all().iter().for_each(|limit| limit.write(&mut document).unwrap());
        let read = Domain::parse(&document.to_xml()).unwrap();
        assert_eq!(read.limits, all());
        assert!(read.unmodelled().is_empty(), "{:?}", read.unmodelled());
        // A second time nothing is written twice.
        let once = document.to_xml();
        all().iter().for_each(|limit| limit.write(&mut document).unwrap());
        assert_eq!(document.to_xml(), once);
    }

    #[test]
    fn limits_that_are_none_are_taken_out_again() {
        let mut document = domain("<devices/>").document().clone();
        all().iter().for_each(|limit| limit.write(&mut document).unwrap());
        Limit::Memory(MemoryLimit::Soft, None).write(&mut document).unwrap();
        for kind in DeviceLimit::ALL {
            Limit::BlockDevice(kind, "/dev/a&b".to_owned(), 0).write(&mut document).unwrap();
        }
        Limit::BlockDevice(DeviceLimit::Weight, "/dev/other".to_owned(), 0).write(&mut document).unwrap();
        let left = Domain::parse(&document.to_xml()).unwrap().limits;
        assert!(!document.to_xml().contains("<device>"), "{}", document.to_xml());
        assert_eq!(left.len(), all().len() - 4);
    }

    #[test]
    fn units_are_taken_and_what_means_nothing_is_none() {
        let read = domain(
            "<cputune><vcpupin vcpu='0' cpuset='1'/><period>0</period><quota>0</quota>\
             <emulator_quota>-7</emulator_quota></cputune>\
             <memtune><hard_limit unit='GiB'>1</hard_limit></memtune>",
        );
        let quota = Limit::CpuQuota(CpuUser::Emulator, None);
        assert_eq!(read.limits, [quota, Limit::Memory(MemoryLimit::Hard, Some(Bytes(1 << 30)))]);
        assert!(read.unmodelled().is_empty());
    }

    #[test]
    fn what_is_no_limit_is_refused_where_it_stands() {
        for (wrong, code) in [
            ("<cputune><shares>many</shares></cputune>", "xml.invalid-value"),
            ("<cputune><quota>1s</quota></cputune>", "xml.invalid-value"),
            ("<memtune><hard_limit unit='parsec'>1</hard_limit></memtune>", "xml.unknown-value"),
            ("<blkiotune><device><weight>1</weight></device></blkiotune>", "xml.missing-element"),
            ("<blkiotune><weight>-1</weight></blkiotune>", "xml.invalid-value"),
        ] {
            let xml = format!(
                "<domain type='kvm'><name>n</name><memory>1</memory><os><type>hvm</type></os>{wrong}</domain>"
            );
            assert_eq!(Domain::parse(&xml).unwrap_err().code(), code, "{wrong}");
        }
    }

    #[test]
    fn same_limit_is_told_by_what_it_is_about() {
        let quota = |user, value| Limit::CpuQuota(user, Some(value));
        assert!(quota(CpuUser::Vcpu, 1).is_same_as(&quota(CpuUser::Vcpu, 2)));
        assert!(!quota(CpuUser::Vcpu, 1).is_same_as(&quota(CpuUser::Guest, 1)));
        assert!(!Limit::BlockWeight(1).is_same_as(&Limit::CpuShares(1)));
        assert!(quota(CpuUser::Emulator, 1).is_of_threads() && !quota(CpuUser::Guest, 1).is_of_threads());
    }
}
