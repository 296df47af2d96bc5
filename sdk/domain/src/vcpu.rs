//! `<vcpu>`, `<vcpus>`, `<iothreads>`: processors and I/O threads.

use crate::error::{XmlError, XmlErrorKind};
use crate::numatune::Placement;
use crate::read::Element;

/// The virtual processors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vcpus {
    /// How many there can be, at least 1.
    pub maximum: u32,
    /// How many there are at start; none for all.
    pub current: Option<u32>,
    /// Host processors they may use.
    pub cpuset: Option<String>,
    /// Who chooses host processors.
    pub placement: Option<Placement>,
    /// What is said about single ones, in document order.
    pub each: Vec<Vcpu>,
}

/// One `<vcpu>` of `<vcpus>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vcpu {
    /// Its number.
    pub id: u32,
    /// Whether it is there at start.
    pub enabled: bool,
    /// Whether it can be unplugged.
    pub hotpluggable: Option<bool>,
    /// When it is added, from 1.
    pub order: Option<u32>,
}

impl Default for Vcpus {
    fn default() -> Self {
        Self { maximum: 1, current: None, cpuset: None, placement: None, each: Vec::new() }
    }
}

impl Vcpus {
    /// How many there are at start.
    pub fn at_start(&self) -> u32 {
        self.current.unwrap_or(self.maximum)
    }

    pub(crate) fn read(domain: Element<'_>) -> Result<Self, XmlError> {
        let each = domain.maybe("vcpus", |vcpus| vcpus.each("vcpu", read_vcpu))?.unwrap_or_default();
        let Some(vcpu) = domain.child("vcpu") else { return Ok(Self { each, ..Self::default() }) };
        let maximum: u32 = if vcpu.content().is_empty() { 1 } else { vcpu.content_number()? };
        if maximum == 0 {
            return Err(vcpu.error(XmlErrorKind::OutOfRange, "a domain needs at least 1 virtual CPU"));
        }
        let current = vcpu.number("current")?;
        if current.is_some_and(|current| current == 0 || current > maximum) {
            let message = format!("attribute 'current' of 'vcpu' is not between 1 and {maximum}");
            return Err(vcpu.fault(Some("current"), XmlErrorKind::OutOfRange, message));
        }
        let placement = vcpu.keyword("placement")?;
        Ok(Self { maximum, current, cpuset: vcpu.filled("cpuset"), placement, each })
    }
}

fn read_vcpu(vcpu: Element<'_>) -> Result<Vcpu, XmlError> {
    Ok(Vcpu {
        id: vcpu.need_number("id")?,
        enabled: vcpu.yes_no("enabled")?.ok_or_else(|| vcpu.missing("enabled"))?,
        hotpluggable: vcpu.yes_no("hotpluggable")?,
        order: vcpu.number("order")?,
    })
}

/// The I/O threads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IoThreads {
    /// How many there are in all; those that are not listed get the lowest free ids.
    pub count: u32,
    /// What is said about single ones, in document order.
    pub listed: Vec<IoThread>,
    /// Limits of the main loop's pool of workers.
    pub default: Option<ThreadPool>,
}

/// One `<iothread>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoThread {
    /// Its id, from 1.
    pub id: u32,
    /// Limits of its pool of workers.
    pub pool: ThreadPool,
}

/// Limits of a pool of workers; none for the hypervisor's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ThreadPool {
    /// Workers that always exist.
    pub min: Option<u32>,
    /// Workers there can be.
    pub max: Option<u32>,
}

/// Most I/O threads of a domain: far more than hosts have processors.
const MAX_IOTHREADS: u32 = 4096;

impl IoThreads {
    /// Every I/O thread: the listed ones, then the rest with the lowest free ids.
    pub fn all(&self) -> Vec<IoThread> {
        let mut threads = self.listed.clone();
        let mut next = 1;
        while threads.len() < self.count as usize {
            if !threads.iter().any(|thread| thread.id == next) {
                threads.push(IoThread { id: next, pool: ThreadPool::default() });
            }
            next += 1;
        }
        threads
    }

    pub(crate) fn read(domain: Element<'_>) -> Result<Self, XmlError> {
        let listed =
            domain.maybe("iothreadids", |ids| ids.each("iothread", read_iothread))?.unwrap_or_default();
        let given = domain.maybe("iothreads", Element::content_number::<u32>)?.unwrap_or(0);
        let count = given.max(u32::try_from(listed.len()).unwrap_or(u32::MAX));
        if count > MAX_IOTHREADS {
            let message = format!("{count} I/O threads are more than {MAX_IOTHREADS}");
            return Err(domain.error(XmlErrorKind::OutOfRange, message));
        }
        Ok(Self { count, listed, default: domain.maybe("defaultiothread", read_pool)? })
    }
}

fn read_iothread(thread: Element<'_>) -> Result<IoThread, XmlError> {
    let id = thread.need_number("id")?;
    if id == 0 {
        let message = "attribute 'id' of 'iothread' is 0; ids count from 1".to_owned();
        return Err(thread.fault(Some("id"), XmlErrorKind::OutOfRange, message));
    }
    Ok(IoThread { id, pool: read_pool(thread)? })
}

fn read_pool(thread: Element<'_>) -> Result<ThreadPool, XmlError> {
    let pool = ThreadPool { min: thread.number("thread_pool_min")?, max: thread.number("thread_pool_max")? };
    if let (Some(min), Some(max)) = (pool.min, pool.max)
        && min > max
    {
        let message = format!("a pool of at least {min} and at most {max} threads cannot be");
        return Err(thread.fault(Some("thread_pool_min"), XmlErrorKind::OutOfRange, message));
    }
    Ok(pool)
}
