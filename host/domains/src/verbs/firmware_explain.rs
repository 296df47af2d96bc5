//! `firmware explain`: how a domain comes to its firmware, descriptor by descriptor.

use hostler_domain::Domain;
use hostler_domain::os::Firmware;
use hostler_firmware::{Attachment, FirmwarePlan, StorePlan, Verdict, explain};
use hostler_state::Uuid;

use crate::context::{Purpose, Subject};
use crate::error::Error;
use crate::firmware;
use crate::firmware_summary::{
    ChosenBy, ConsideredDescriptor, FirmwareExplanation, FirmwareInUse, StoreInUse,
};
use crate::host::Host;
use crate::reference::DomainRef;

/// Whose firmware is explained.
#[derive(Clone, Debug)]
pub enum FirmwareSource {
    /// A defined domain's.
    Domain(DomainRef),
    /// That of a document that need not be defined.
    Xml(String),
}

impl Host {
    /// Tells for each descriptor of this host why a domain's firmware comes from it or does not. That none fits is an
    /// answer, not an error.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`]; what is wrong with the document.
    pub async fn explain_firmware(&self, source: FirmwareSource) -> Result<FirmwareExplanation, Error> {
        let (domain, uuid) = match source {
            FirmwareSource::Domain(wanted) => {
                let definition = self.find(&wanted)?;
                (Domain::parse(&definition.xml)?, definition.uuid)
            }
            FirmwareSource::Xml(xml) => self.completed(xml).await?,
        };
        Ok(self.explained(&domain, uuid))
    }

    /// A document as its driver completes it: its machine decides about its firmware.
    async fn completed(&self, xml: String) -> Result<(Domain, Uuid), Error> {
        let domain = Domain::parse(&xml)?;
        let driver = self.drivers.for_type(domain.kind.as_str())?;
        let uuid = domain.uuid.as_ref().map_or_else(Uuid::nil, |uuid| Uuid::from_bytes(*uuid.as_bytes()));
        let subject = Subject { uuid, name: domain.name.as_str().to_owned(), xml };
        let completed = driver.check(&self.context_for(&subject, Purpose::Describe)?).await?;
        Ok((Domain::parse(&completed)?, uuid))
    }

    fn explained(&self, domain: &Domain, uuid: Uuid) -> FirmwareExplanation {
        let installed = self.config.firmware.load().found;
        let considered = explain(domain, &installed, firmware::runs_smm(domain));
        let (in_use, refusal) = match self.firmware_seen(domain, uuid) {
            Ok(plan) => (plan.as_ref().map(in_use), None),
            Err(error) => (None, Some(error)),
        };
        FirmwareExplanation {
            name: domain.name.as_str().to_owned(),
            chosen_by: chosen_by(domain),
            wishes: wishes(domain),
            firmware: in_use,
            problem: refusal.as_ref().map(ToString::to_string),
            hints: refusal
                .map(|error| error.hints.into_iter().map(|hint| hint.text).collect())
                .unwrap_or_default(),
            descriptors: considered
                .into_iter()
                .map(|considered| ConsideredDescriptor {
                    name: considered
                        .descriptor
                        .file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned(),
                    path: considered.descriptor,
                    verdict: verdict(considered.verdict),
                    reason: considered.reason,
                })
                .collect(),
        }
    }

    /// What the document has, or would be given if it were defined now.
    fn firmware_seen(&self, domain: &Domain, uuid: Uuid) -> Result<Option<FirmwarePlan>, Error> {
        let mut domain = domain.clone();
        if chosen_by(&domain) == ChosenBy::Host
            && let Some(selection) =
                hostler_firmware::resolve(&domain, &self.config.firmware, firmware::runs_smm(&domain))?
        {
            hostler_firmware::write_choice(&mut domain, &selection)?;
        }
        self.firmware_of(&domain, uuid)
    }
}

fn chosen_by(domain: &Domain) -> ChosenBy {
    let loader = domain.os.loader.as_ref().filter(|loader| loader.path.is_some());
    match (domain.os.firmware, loader) {
        (Some(_), Some(loader)) if loader.kind.is_some() => ChosenBy::Definition,
        (Some(_), _) => ChosenBy::Host,
        (None, Some(_)) => ChosenBy::Document,
        (None, None) => ChosenBy::Machine,
    }
}

fn wishes(domain: &Domain) -> Vec<String> {
    let os = &domain.os;
    let interface = os.firmware.map(|firmware| match firmware {
        Firmware::Efi => "UEFI",
        Firmware::Bios => "BIOS",
    });
    let mut wishes: Vec<String> = interface.into_iter().map(str::to_owned).collect();
    wishes.extend(os.arch.clone());
    wishes.extend(os.machine.as_ref().map(|machine| format!("machine {machine}")));
    for feature in &os.firmware_features {
        let without = if feature.enabled { "" } else { "no " };
        wishes.push(format!("{without}{}", feature.name.as_str()));
    }
    let loader = os.loader.clone().unwrap_or_default();
    let said = [
        (loader.secure == Some(true), "variables protected by SMM"),
        (loader.secure == Some(false), "no SMM"),
        (loader.stateless == Some(true), "no variable store"),
        (domain.pm.suspend_to_mem == Some(true), "acpi-s3"),
        (domain.pm.suspend_to_disk == Some(true), "acpi-s4"),
    ];
    wishes.extend(said.into_iter().filter(|(holds, _)| *holds).map(|(_, wish)| wish.to_owned()));
    wishes
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Chosen => "chosen",
        Verdict::Fits => "fits",
        Verdict::PassedOver => "passed-over",
    }
}

fn in_use(plan: &FirmwarePlan) -> FirmwareInUse {
    let described = plan.described.as_ref();
    FirmwareInUse {
        attachment: match plan.attachment {
            Attachment::Flash => "flash",
            Attachment::Rom => "rom",
        },
        code: plan.code.path.clone(),
        code_format: plan.code.format.name(),
        code_exists: plan.code.path.exists(),
        descriptor: described.map(|described| described.descriptor.clone()),
        secure_boot: described.map(|described| described.secure_boot),
        enrolled_keys: described.map(|described| described.enrolled_keys),
        needs_smm: plan.needs_smm,
        variable_store: plan.store.as_ref().map(store_in_use),
    }
}

fn store_in_use(store: &StorePlan) -> StoreInUse {
    let template = store.template.as_ref();
    StoreInUse {
        path: store.place.path().to_owned(),
        format: store.format.name(),
        exists: store.place.path().exists(),
        template: template.map(|template| template.path.clone()),
        template_format: template.map(|template| template.format.name()),
        template_exists: template.is_some_and(|template| template.path.exists()),
    }
}
