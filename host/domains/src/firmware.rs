//! Firmware of domains: what a document means, and what is chosen for it when it is defined.

use hostler_domain::{Domain, DomainType};
use hostler_firmware::{
    ErrorKind, FirmwareError, FirmwarePlan, PassedOver, Program, Selection, plan, resolve, write_choice,
};
use hostler_grant::Capability;
use hostler_runtime::Driver;
use hostler_state::{Definition, Uuid};

use crate::error::{Error, Kind};
use crate::firmware_summary::{FirmwareChoice, PassedOverDescriptor};
use crate::host::Host;
use crate::summary::Warning;

impl Host {
    /// The firmware of a document; none when its machine brings its own.
    ///
    /// # Errors
    /// Why none of the installed ones fits, or what the document asks for and cannot have.
    pub(crate) fn firmware_of(&self, domain: &Domain, uuid: Uuid) -> Result<Option<FirmwarePlan>, Error> {
        Ok(plan(domain, &self.config.firmware, self.state().variable_store_path(uuid))?)
    }

    /// Chooses firmware for a document that is being defined, and writes the choice into it. What an older definition
    /// of the same domain was given it keeps, also when no descriptor tells of it any more.
    ///
    /// # Errors
    /// Why none of the installed ones fits, with every descriptor; what the document asks for and cannot have.
    pub(crate) fn choose_firmware(
        &self,
        driver: &Driver,
        domain: &mut Domain,
        uuid: Uuid,
        older: Option<&Definition>,
    ) -> Result<(Option<FirmwareChoice>, Vec<Warning>), Error> {
        if !has_firmware_of_ours(driver) {
            return Ok((None, Vec::new()));
        }
        let is_open = domain.os.loader.as_ref().is_none_or(|loader| loader.path.is_none());
        let (mut chosen, mut warnings) = (None, Vec::new());
        match resolve(domain, &self.config.firmware, runs_smm(domain)) {
            Ok(Some(selection)) => {
                write_choice(domain, &selection)?;
                chosen = is_open.then(|| choice(selection));
            }
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::NoMatch && has_same_firmware(older, domain) => {
                warnings.push(Warning {
                    message:
                        "no descriptor of this host describes the firmware any more; it stays what it was"
                            .to_owned(),
                });
            }
            Err(error) if error.kind() == ErrorKind::NoMatch && !runs_smm(domain) => {
                // Only this host cannot run what fits: that keeps the domain from starting here, not from being defined.
                let Ok(Some(selection)) = resolve(domain, &self.config.firmware, true) else {
                    return Err(error.into());
                };
                write_choice(domain, &selection)?;
                chosen = is_open.then(|| choice(selection));
                warnings.push(Warning { message: no_smm(domain.name.as_str()) });
            }
            Err(error) => return Err(error.into()),
        }
        self.firmware_of(domain, uuid)?;
        Ok((chosen, warnings))
    }
}

/// Refuses to start what needs system management mode where KVM has none; QEMU would end with fewer words.
///
/// # Errors
/// [`Kind::Unsupported`].
pub(crate) fn require_smm(domain: &Domain, plan: Option<&FirmwarePlan>) -> Result<(), Error> {
    if plan.is_none_or(|plan| !plan.needs_smm) || runs_smm(domain) {
        return Ok(());
    }
    Err(Error::new(Kind::Unsupported, "firmware.no-smm", no_smm(domain.name.as_str()))
        .about("domain", domain.name.as_str())
        .hint("let it be emulated: <domain type='qemu'>")
        .hint("or do without what needs it: <loader secure='no'/>, and no wish for enrolled keys or secure boot"))
}

fn no_smm(name: &str) -> String {
    format!("'{name}' needs system management mode for its firmware, which KVM does not run on this host")
}

fn choice(selection: Selection) -> FirmwareChoice {
    let told = |passed: PassedOver| PassedOverDescriptor { path: passed.descriptor, reason: passed.reason };
    FirmwareChoice {
        descriptor: selection.descriptor,
        code: match selection.program {
            Program::Pflash(pair) => pair.code.path,
            Program::Rom(path) => path,
        },
        passed_over: selection.passed_over.into_iter().map(told).collect(),
    }
}

/// Whether the host finds firmware for the domains of a driver: one that may not ask for it brings its own.
pub(crate) fn has_firmware_of_ours(driver: &Driver) -> bool {
    driver.granted().allows(Capability::Firmware, "")
}

/// Whether this host runs system management mode for a domain. Where that cannot be asked it is taken to be so: a start
/// would say.
pub(crate) fn runs_smm(domain: &Domain) -> bool {
    domain.kind != DomainType::Kvm || hostler_launch::accelerator::kvm_runs_smm().unwrap_or(true)
}

fn has_same_firmware(older: Option<&Definition>, domain: &Domain) -> bool {
    let older = older.and_then(|older| Domain::parse(&older.xml).ok());
    older.is_some_and(|older| {
        let parts = |domain: &Domain| {
            let os = &domain.os;
            let loader = os.loader.clone().filter(|loader| loader.path.is_some());
            (
                os.firmware,
                os.firmware_features.clone(),
                loader,
                os.nvram.as_ref().map(|nvram| nvram.template.clone()),
            )
        };
        let (before, now) = (parts(&older), parts(domain));
        before == now && now.2.is_some()
    })
}

impl From<FirmwareError> for Error {
    fn from(error: FirmwareError) -> Self {
        let kind = match error.kind() {
            ErrorKind::NoMatch | ErrorKind::TemplateMissing | ErrorKind::StoreMissing => Kind::NotFound,
            ErrorKind::StoreInvalid | ErrorKind::StoreInUse | ErrorKind::StoreNotAFile => Kind::Conflict,
            ErrorKind::StoreUnsupported | ErrorKind::StoreElsewhere | ErrorKind::CodeWritable => {
                Kind::Unsupported
            }
            ErrorKind::Io | ErrorKind::FormatUnreadable => Kind::Host,
            _ => Kind::Invalid,
        };
        let mut converted = Self::new(kind, error.code(), error.to_string());
        if let Some(path) = error.path() {
            converted = converted.about("path", path.display().to_string());
        }
        for passed in error.passed_over() {
            converted = converted.about(&passed.descriptor.display().to_string(), passed.reason.clone());
        }
        for hint in error.hints() {
            converted = converted.hint(&hint.text);
        }
        match error.kind() {
            ErrorKind::NoMatch => {
                converted.hint("'hostler firmware explain --file' tells about every descriptor")
            }
            _ => converted,
        }
        .under(error)
    }
}
