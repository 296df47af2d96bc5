//! Parts of a stored definition that are changed one by one: what there can be at most, what follows an event.

use hostler_domain::{Document, NodeId};
use hostler_state::Definition;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::DomainRef;

/// What a domain's guest does that its definition has an answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// It switches itself off.
    PowerOff,
    /// It begins again.
    Reboot,
    /// It crashes.
    Crash,
}

impl LifecycleEvent {
    fn element(self) -> &'static str {
        match self {
            Self::PowerOff => "on_poweroff",
            Self::Reboot => "on_reboot",
            Self::Crash => "on_crash",
        }
    }
}

impl Host {
    /// Gives a definition another amount of memory at most, in bytes. It counts from the next start.
    ///
    /// # Errors
    /// [`Kind::Conflict`] for a domain that is not kept; what a definition is refused for.
    pub async fn set_memory_limit(&self, wanted: &DomainRef, bytes: u64) -> Result<(), Error> {
        if bytes == 0 || !bytes.is_multiple_of(1024) {
            let message = format!("{bytes} bytes are no amount of memory");
            return Err(Error::new(Kind::Invalid, "domain.memory", message));
        }
        self.redefined(wanted, |document| {
            let root = document.root();
            set_kib(document, "memory", bytes >> 10)?;
            let current = document.child(root, "currentMemory");
            let current = current.and_then(|node| Some((node, kib_of(document, node)?)));
            match current {
                Some((_, now)) if now > bytes >> 10 => set_kib(document, "currentMemory", bytes >> 10),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Gives a definition room for another number of processors. It counts from the next start.
    ///
    /// # Errors
    /// As for [`Host::set_memory_limit`].
    pub async fn set_vcpu_limit(&self, wanted: &DomainRef, count: u32) -> Result<(), Error> {
        if count == 0 {
            return Err(Error::new(Kind::Invalid, "domain.vcpus", "a domain has one processor at least"));
        }
        self.redefined(wanted, |document| {
            let root = document.root();
            let Some(vcpu) = document.child(root, "vcpu") else {
                return Ok(document.append_child(root, &format!("<vcpu>{count}</vcpu>")).map(drop)?);
            };
            document.set_text(vcpu, &count.to_string())?;
            let current = document.attribute(vcpu, "current").and_then(|now| now.parse::<u32>().ok());
            if current.is_some_and(|now| now >= count) {
                document.remove_attribute(vcpu, "current")?;
            }
            Ok(())
        })
        .await
    }

    /// Has a definition answer an event with another action: `destroy`, `restart`, `preserve`, … It counts from the next start.
    ///
    /// # Errors
    /// As for [`Host::set_memory_limit`].
    pub async fn set_lifecycle_action(
        &self,
        wanted: &DomainRef,
        event: LifecycleEvent,
        action: &str,
    ) -> Result<(), Error> {
        self.redefined(wanted, |document| set_child(document, event.element(), action)).await
    }

    /// How often the guest of a definition is to tell how it uses its memory, in seconds; 0 for never.
    ///
    /// # Errors
    /// As for [`Host::set_memory_limit`]; [`Kind::NotFound`] for a definition without a balloon.
    pub async fn set_memory_period(&self, wanted: &DomainRef, seconds: u32) -> Result<(), Error> {
        self.redefined(wanted, |document| {
            let devices = document.child(document.root(), "devices");
            let balloon = devices.and_then(|devices| document.child(devices, "memballoon"));
            let balloon = balloon.ok_or_else(|| {
                Error::new(Kind::NotFound, "domain.no-balloon", "the definition has no <memballoon>")
            })?;
            let stats = match document.child(balloon, "stats") {
                Some(stats) => stats,
                None => document.append_child(balloon, "<stats/>")?,
            };
            Ok(document.set_attribute(stats, "period", &seconds.to_string())?)
        })
        .await
    }

    /// Changes a stored definition, as its driver takes it.
    pub(super) async fn redefined(
        &self,
        wanted: &DomainRef,
        change: impl Fn(&mut Document) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.owner()?;
        let definition = self.find(wanted)?;
        require_stored(&definition)?;
        let mut document = Document::parse(&definition.xml)?;
        change(&mut document)?;
        let prepared = self.prepare(&document.to_xml(), true).await?;
        self.store_prepared(&prepared)?;
        self.tell(&prepared.definition, "redefined");
        Ok(())
    }
}

fn require_stored(definition: &Definition) -> Result<(), Error> {
    if definition.persistent {
        return Ok(());
    }
    let message = format!("'{}' has no stored definition: it is forgotten when it ends", definition.name);
    Err(Error::new(Kind::Conflict, "domain.transient", message).about("domain", &definition.name))
}

fn set_child(document: &mut Document, name: &str, text: &str) -> Result<(), Error> {
    let root = document.root();
    if let Some(node) = document.child(root, name) {
        return Ok(document.set_text(node, text)?);
    }
    let element = format!("<{name}>{text}</{name}>");
    match document.child(root, "devices") {
        Some(devices) => document.insert_before(devices, &element)?,
        None => document.append_child(root, &element)?,
    };
    Ok(())
}

fn set_kib(document: &mut Document, name: &str, kib: u64) -> Result<(), Error> {
    set_child(document, name, &kib.to_string())?;
    if let Some(node) = document.child(document.root(), name) {
        document.set_attribute(node, "unit", "KiB")?;
    }
    Ok(())
}

/// What an element says that is in KiB, as every completed document has it.
fn kib_of(document: &Document, node: NodeId) -> Option<u64> {
    let unit = document.attribute(node, "unit").unwrap_or("KiB");
    let number: u64 = document.text(node).trim().parse().ok()?;
    let bytes = match unit {
        "b" | "bytes" => number,
        "KiB" | "k" => number.checked_mul(1 << 10)?,
        "MiB" | "M" => number.checked_mul(1 << 20)?,
        "GiB" | "G" => number.checked_mul(1 << 30)?,
        _ => return None,
    };
    Some(bytes >> 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn element_is_replaced_or_put_before_the_devices() {
        let mut document =
            Document::parse("<domain><memory unit='GiB'>1</memory><devices/></domain>").unwrap();
        set_kib(&mut document, "memory", 2_048).unwrap();
        set_child(&mut document, "on_reboot", "destroy").unwrap();
        let wanted =
            "<domain><memory unit='KiB'>2048</memory><on_reboot>destroy</on_reboot><devices/></domain>";
        assert_eq!(document.to_xml(), wanted);
        let memory = document.child(document.root(), "memory").unwrap();
        assert_eq!(kib_of(&document, memory), Some(2_048));
    }
}
