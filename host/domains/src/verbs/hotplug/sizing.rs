//! `set-memory` and `set-vcpus`: more or less of what a domain has, while it runs and as it is stored.

use hostler_domain::{Document, Domain};
use hostler_runtime::{Amounts, DomainContext, Driver, RuntimeError, RuntimeErrorKind};
use hostler_state::{Definition, Intent};
use serde::{Deserialize, Serialize};

use super::Scope;
use super::attach::unwritable;
use super::change::Stored;
use crate::context::Purpose;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::recovery::verb;
use crate::reference::DomainRef;
use crate::summary::DomainSummary;
use crate::verbs::define::Prepared;

/// What there is more or less of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Amount {
    /// In bytes.
    Memory(u64),
    /// Processors.
    Vcpus(u32),
}

/// What became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Sized {
    /// The domain.
    #[serde(flatten)]
    pub summary: DomainSummary,
    /// Whether the guest that runs has been asked.
    pub live: bool,
    /// Whether the stored definition has been changed.
    pub stored: bool,
    /// What the guest that was asked had when it was looked at last.
    pub now: Option<Amounts>,
}

/// What an intent tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Wish {
    amount: Amount,
    /// The definition that is stored then.
    stored: Option<Stored>,
}

impl Host {
    /// Gives a domain another amount of memory, at most what its document has as `memory`. A guest that runs is asked: it may
    /// take its time, or never give any back.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for more than there can be; [`Kind::Unsupported`] for a machine whose guest cannot be asked; what
    /// driver and hypervisor answer.
    pub async fn set_memory(&self, wanted: &DomainRef, bytes: u64, scope: Scope) -> Result<Sized, Error> {
        self.set_amount(wanted, Amount::Memory(bytes), scope).await
    }

    /// Gives a domain another number of processors, at most what its document has room for.
    ///
    /// # Errors
    /// As for [`Host::set_memory`].
    pub async fn set_vcpus(&self, wanted: &DomainRef, count: u32, scope: Scope) -> Result<Sized, Error> {
        self.set_amount(wanted, Amount::Vcpus(count), scope).await
    }

    async fn set_amount(&self, wanted: &DomainRef, amount: Amount, scope: Scope) -> Result<Sized, Error> {
        self.owner()?;
        let definition = self.find(wanted)?;
        let places = self.places(&definition, scope)?;
        let prepared = match places.stored {
            true => Some(self.prepare(&with_amount(&definition.xml, amount)?, true).await?),
            false => None,
        };
        let now = match places.live {
            true => Some(self.set_live(&definition, amount, prepared.as_ref()).await?),
            false => None,
        };
        if let (None, Some(prepared)) = (now, &prepared) {
            self.store(prepared)?;
        }
        let definition = self.state().definition_by_uuid(definition.uuid)?.unwrap_or(definition);
        let summary = self.summarise(&definition).await?;
        Ok(Sized { summary, live: places.live, stored: places.stored, now })
    }

    /// Asks the guest, and stores what is to be stored, journalled.
    async fn set_live(
        &self,
        definition: &Definition,
        amount: Amount,
        prepared: Option<&Prepared>,
    ) -> Result<Amounts, Error> {
        let driver = self.with_ability(definition, "sizing")?;
        let context = self.context(definition, Purpose::Operate)?;
        // Its bounds are those that it was started with.
        with_amount(&context.xml, amount)?;
        let owner = self.owner()?;
        let wish = Wish { amount, stored: prepared.map(Stored::of) };
        let payload = serde_json::to_value(&wish).map_err(unwritable)?;
        let intent = owner.journal().begin(verb::RESIZE, definition.uuid, "begun", payload)?;
        let now = match ask(&driver, &context, amount).await {
            Ok(now) => now,
            Err(error) if error.kind == RuntimeErrorKind::Driver => {
                self.note_processors(definition, &driver, &context, amount).await?;
                owner.journal().finish(&intent)?;
                return Err(error.into());
            }
            Err(error) => return Err(Error::from(error).hint("the next command finds out what became of it")),
        };
        self.note_amount(definition, amount, now)?;
        if matches!(amount, Amount::Vcpus(_)) {
            // Those that have come run where the document says, like the others.
            self.place_threads(definition).await?;
        }
        let kept = matches!(amount, Amount::Vcpus(count) if now.vcpus != count);
        if let (false, Some(prepared)) = (kept, prepared) {
            self.store(prepared)?;
        }
        owner.journal().finish(&intent)?;
        if kept { Err(not_let_go(definition, amount, now.vcpus)) } else { Ok(now) }
    }

    /// After a refusal: some processors may have come or gone before it.
    async fn note_processors(
        &self,
        definition: &Definition,
        driver: &Driver,
        context: &DomainContext,
        amount: Amount,
    ) -> Result<(), Error> {
        if matches!(amount, Amount::Memory(_)) {
            return Ok(());
        }
        let now = driver.read_amounts(context).await?;
        self.note_amount(definition, amount, now)
    }

    /// Writes into the document of the run what the guest was asked to do with, or has.
    fn note_amount(&self, definition: &Definition, wished: Amount, now: Amounts) -> Result<(), Error> {
        let true_amount = match wished {
            Amount::Memory(bytes) => Amount::Memory(bytes),
            Amount::Vcpus(_) => Amount::Vcpus(now.vcpus),
        };
        let context = self.context(definition, Purpose::Operate)?;
        let next = self.next_of(&context, with_amount(&context.xml, true_amount)?)?;
        self.replace_run_document(definition, &next)
    }
}

async fn ask(driver: &Driver, context: &DomainContext, amount: Amount) -> Result<Amounts, RuntimeError> {
    match amount {
        Amount::Memory(bytes) => driver.set_memory(context, bytes).await,
        Amount::Vcpus(count) => driver.set_vcpus(context, count).await,
    }
}

fn not_let_go(definition: &Definition, wanted: Amount, now: u32) -> Error {
    let fewer = match wanted {
        Amount::Vcpus(count) => format!(", and was asked to do with {count}"),
        Amount::Memory(_) => String::new(),
    };
    let message = format!("the guest of '{}' has {now} processors{fewer}", definition.name);
    Error::new(Kind::TimedOut, "domain.vcpus-kept", message)
        .about("domain", &definition.name)
        .hint("a guest lets go of a processor when it can; ask again, or see in the guest what keeps it")
}

/// What a new owner does about a guest that was asked and whose answer nobody saw: it is asked again. Whether that could be
/// done.
pub(crate) async fn sized(host: &Host, intent: &Intent) -> bool {
    match settle(host, intent).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(id = intent.id, %error, "what a guest has is not known; the next command looks again");
            false
        }
    }
}

async fn settle(host: &Host, intent: &Intent) -> Result<(), Error> {
    let wish: Wish = serde_json::from_value(intent.payload.clone()).map_err(unwritable)?;
    let Some(definition) = host.state().definition_by_uuid(intent.domain)? else { return Ok(()) };
    if !host.state().run_dir(definition.uuid).is_held()? {
        // The guest is gone, and what is stored is as it was before, or as it was to be.
        return Ok(());
    }
    let driver = host.drivers.by_name(&definition.driver)?;
    let context = host.context(&definition, Purpose::Operate)?;
    match ask(&driver, &context, wish.amount).await {
        Ok(now) => {
            host.note_amount(&definition, wish.amount, now)?;
            match (wish.amount, wish.stored) {
                (Amount::Vcpus(count), _) if now.vcpus != count => Ok(()),
                (_, Some(stored)) => host.store_noted(intent, &stored),
                (_, None) => Ok(()),
            }
        }
        Err(error) if error.kind == RuntimeErrorKind::Driver => {
            tracing::warn!(%error, "a guest cannot have what was asked for");
            host.note_processors(&definition, &driver, &context, wish.amount).await
        }
        Err(error) => Err(error.into()),
    }
}

/// A document with another amount of something.
///
/// # Errors
/// More than there can be, none, or processors that are listed one by one.
fn with_amount(xml: &str, amount: Amount) -> Result<String, Error> {
    let domain = Domain::parse(xml)?;
    let mut document = Document::parse(xml)?;
    match amount {
        Amount::Memory(bytes) => {
            require_memory(&domain, bytes)?;
            put_memory(&mut document, bytes >> 10)?;
        }
        Amount::Vcpus(count) => {
            require_vcpus(&domain, count)?;
            if let Some(vcpu) = document.child(document.root(), "vcpu") {
                document.set_attribute(vcpu, "current", &count.to_string())?;
            }
        }
    }
    Ok(document.to_xml())
}

fn require_memory(domain: &Domain, bytes: u64) -> Result<(), Error> {
    let most = domain.memory.0;
    let invalid = |message: String| Error::new(Kind::Invalid, "domain.memory", message);
    if bytes == 0 || !bytes.is_multiple_of(1024) {
        return Err(invalid(format!("{bytes} bytes are no amount of memory"))
            .hint("give a whole number of KiB, such as 512MiB"));
    }
    if bytes > most {
        let (wanted, most) = (hostler_domain::Bytes(bytes), hostler_domain::Bytes(most));
        return Err(invalid(format!(
            "'{}' has {most} of memory at most, not {wanted}",
            domain.name.as_str()
        ))
        .hint(
            "what there can be at most is <memory>: change it in the definition, and start the domain anew",
        ));
    }
    Ok(())
}

fn put_memory(document: &mut Document, kib: u64) -> Result<(), Error> {
    let root = document.root();
    if let Some(current) = document.child(root, "currentMemory") {
        document.set_attribute(current, "unit", "KiB")?;
        document.set_text(current, &kib.to_string())?;
        return Ok(());
    }
    let element = format!("<currentMemory unit='KiB'>{kib}</currentMemory>");
    match document.child(root, "vcpu").or_else(|| document.child(root, "os")) {
        Some(behind) => document.insert_before(behind, &element)?,
        None => document.append_child(root, &element)?,
    };
    Ok(())
}

fn require_vcpus(domain: &Domain, count: u32) -> Result<(), Error> {
    let most = domain.vcpus.maximum;
    let invalid = |message: String| Error::new(Kind::Invalid, "domain.vcpus", message);
    if !domain.vcpus.each.is_empty() {
        let message = format!("the processors of '{}' are listed one by one", domain.name.as_str());
        return Err(Error::new(Kind::Unsupported, "domain.vcpus-listed", message)
            .hint("remove <vcpus> from the definition, and start the domain anew"));
    }
    if count == 0 {
        return Err(invalid("a domain has one processor at least".to_owned()));
    }
    if count > most {
        let message = format!("'{}' has {most} processors at most, not {count}", domain.name.as_str());
        return Err(invalid(message)
            .hint("how many there can be is the number in <vcpu>: change it in the definition, and start the domain anew"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(size: &str) -> String {
        format!("<domain type='qemu'><name>n</name>{size}<os><type>hvm</type></os></domain>")
    }

    #[test]
    fn document_has_what_was_asked_for_and_keeps_its_bounds() {
        let with = |size: &str, amount| with_amount(&document(size), amount).unwrap();
        assert_eq!(
            with("<memory unit='MiB'>64</memory>", Amount::Memory(32 << 20)),
            document("<memory unit='MiB'>64</memory><currentMemory unit='KiB'>32768</currentMemory>")
        );
        assert_eq!(
            with(
                "<memory>2048</memory><currentMemory unit='MiB'>1</currentMemory><vcpu>2</vcpu>",
                Amount::Memory(2 << 20)
            ),
            document("<memory>2048</memory><currentMemory unit='KiB'>2048</currentMemory><vcpu>2</vcpu>")
        );
        assert_eq!(
            with("<memory>2048</memory><vcpu placement='static'>4</vcpu>", Amount::Vcpus(3)),
            document("<memory>2048</memory><vcpu placement='static' current='3'>4</vcpu>")
        );
    }

    #[test]
    fn what_there_cannot_be_is_refused_with_the_bound() {
        let listed = "<vcpus><vcpu id='0' enabled='yes'/></vcpus>";
        for (size, amount, code, told) in [
            ("<memory>2048</memory>", Amount::Memory(4 << 20), "domain.memory", "2 MiB"),
            ("<memory>2048</memory>", Amount::Memory(0), "domain.memory", "no amount"),
            ("<memory>2048</memory>", Amount::Memory(1025), "domain.memory", "no amount"),
            ("<memory>2048</memory><vcpu>2</vcpu>", Amount::Vcpus(3), "domain.vcpus", "2 processors"),
            ("<memory>2048</memory><vcpu>2</vcpu>", Amount::Vcpus(0), "domain.vcpus", "one processor"),
            (
                &format!("<memory>2048</memory><vcpu>1</vcpu>{listed}"),
                Amount::Vcpus(1),
                "domain.vcpus-listed",
                "",
            ),
        ] {
            let error = with_amount(&document(size), amount).unwrap_err();
            assert!(error.code() == code && error.to_string().contains(told), "{size}: {error}");
        }
    }
}
