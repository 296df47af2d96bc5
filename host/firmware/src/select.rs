//! Choosing firmware: the first descriptor in the order of the search that meets every wish.

use std::path::PathBuf;

use crate::descriptor::{Descriptor, FlashMode, Mapping};
use crate::error::{ErrorKind, FirmwareError, PassedOver};
use crate::glob;
use crate::pflash::PflashPair;

const ACPI_S3: &str = "acpi-s3";
const ACPI_S4: &str = "acpi-s4";
const ENROLLED_KEYS: &str = "enrolled-keys";
const REQUIRES_SMM: &str = "requires-smm";
const SECURE_BOOT: &str = "secure-boot";

/// The interface that firmware offers to a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// `firmware='efi'`.
    Efi,
    /// `firmware='bios'`.
    Bios,
}

/// What a domain asks of its firmware, and what the host can do. `None` means that either will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareRequest {
    /// Which interface.
    pub interface: Interface,
    /// The code by path, when the domain names it.
    pub loader: Option<PathBuf>,
    /// The format of the code, when the domain names it.
    pub code_format: Option<String>,
    /// Architecture as QEMU names it, for example `x86_64`.
    pub architecture: String,
    /// Machine type, versioned (`pc-q35-7.2`) or an alias (`q35`).
    pub machine: String,
    /// `<loader secure=…>`: whether the firmware must protect its variables by SMM.
    pub secure: Option<bool>,
    /// `<feature name='secure-boot'>`.
    pub secure_boot: Option<bool>,
    /// `<feature name='enrolled-keys'>`.
    pub enrolled_keys: Option<bool>,
    /// `<suspend-to-mem>` asked for.
    pub acpi_s3: bool,
    /// `<suspend-to-disk>` asked for.
    pub acpi_s4: bool,
    /// `<loader stateless='yes'>`: no variable store is kept.
    pub stateless: bool,
    /// `<smm state='off'>`: the machine is to have no SMM.
    pub smm_off: bool,
    /// Whether this host can run SMM under the accelerator that the domain will use.
    pub smm_available: bool,
}

impl FirmwareRequest {
    /// The plain `firmware='efi'` or `'bios'` of a machine, on a host that can run SMM.
    #[must_use]
    pub fn new(interface: Interface, architecture: &str, machine: &str) -> Self {
        Self {
            interface,
            loader: None,
            code_format: None,
            architecture: architecture.to_owned(),
            machine: machine.to_owned(),
            secure: None,
            secure_boot: None,
            enrolled_keys: None,
            acpi_s3: false,
            acpi_s4: false,
            stateless: false,
            smm_off: false,
            smm_available: true,
        }
    }
}

/// The firmware that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The descriptor it comes from.
    pub descriptor: PathBuf,
    /// What the machine is built from.
    pub program: Program,
    /// Whether SMM must be switched on for it.
    pub requires_smm: bool,
    /// Whether it can enforce secure boot.
    pub secure_boot: bool,
    /// Whether the template has keys enrolled.
    pub enrolled_keys: bool,
    /// The descriptors before it, and why each was passed over.
    pub passed_over: Vec<PassedOver>,
}

/// What a machine is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// Flash devices.
    Pflash(PflashPair),
    /// A ROM image, by path.
    Rom(PathBuf),
}

/// Chooses firmware among the descriptors of a search.
///
/// # Errors
/// [`ErrorKind::NoMatch`], with every descriptor and the reason why it was passed over.
pub fn select(descriptors: &[Descriptor], request: &FirmwareRequest) -> Result<Selection, FirmwareError> {
    let mut passed_over = Vec::new();
    for descriptor in descriptors {
        match consider(descriptor, request) {
            Ok(program) => {
                return Ok(Selection {
                    descriptor: descriptor.path.clone(),
                    program,
                    requires_smm: descriptor.has(REQUIRES_SMM),
                    secure_boot: descriptor.has(SECURE_BOOT),
                    enrolled_keys: descriptor.has(ENROLLED_KEYS),
                    passed_over,
                });
            }
            Err(reason) => passed_over.push(PassedOver { descriptor: descriptor.path.clone(), reason }),
        }
    }
    Err(no_match(passed_over, request))
}

fn no_match(passed_over: Vec<PassedOver>, request: &FirmwareRequest) -> FirmwareError {
    let message = format!(
        "no firmware on this host fits machine '{}' ({}); {} descriptors were looked at",
        request.machine,
        request.architecture,
        passed_over.len()
    );
    let error = FirmwareError::new(ErrorKind::NoMatch, message);
    let error = if passed_over.is_empty() {
        error.hint("install firmware, on Debian: apt-get install ovmf")
    } else {
        error.hint("ask for less, or name the code and the template by path in <loader> and <nvram>")
    };
    error.passing_over(passed_over)
}

/// The program of a descriptor that meets every wish, or the first reason why it does not.
pub(crate) fn consider(descriptor: &Descriptor, request: &FirmwareRequest) -> Result<Program, String> {
    check_interface(descriptor, request.interface)?;
    check_target(descriptor, request)?;
    check_features(descriptor, request)?;
    check_smm(descriptor, request)?;
    let program = program(descriptor, request.stateless)?;
    let (code, format) = match &program {
        Program::Pflash(pair) => (&pair.code.path, pair.code.format.name()),
        Program::Rom(path) => (path, "raw"),
    };
    match (&request.loader, &request.code_format) {
        (Some(loader), _) if loader != code => {
            Err(format!("has the code '{}', but '{}' is asked for", code.display(), loader.display()))
        }
        (_, Some(wanted)) if wanted != format => {
            Err(format!("has code in format {format}, but format {wanted} is asked for"))
        }
        _ => Ok(program),
    }
}

fn check_interface(descriptor: &Descriptor, interface: Interface) -> Result<(), String> {
    let wanted = match interface {
        Interface::Efi => "uefi",
        Interface::Bios => "bios",
    };
    if descriptor.interface_types.iter().any(|name| name == wanted) {
        return Ok(());
    }
    Err(format!("does not offer the interface {wanted}"))
}

fn check_target(descriptor: &Descriptor, request: &FirmwareRequest) -> Result<(), String> {
    let mut targets =
        descriptor.targets.iter().filter(|target| target.architecture == request.architecture).peekable();
    if targets.peek().is_none() {
        return Err(format!("is not for architecture {}", request.architecture));
    }
    let names = machine_names(&request.machine);
    let fits = |pattern: &String| names.iter().any(|name| glob::matches(pattern, name));
    if targets.any(|target| target.machines.iter().any(fits)) {
        return Ok(());
    }
    Err(format!("is not for machine {}", request.machine))
}

/// The names under which a machine may be meant by a pattern. Patterns are written for versioned names, so an
/// alias stands for that name with an empty version.
fn machine_names(machine: &str) -> Vec<String> {
    let alias = match machine {
        "pc" => "pc-i440fx-".to_owned(),
        "q35" => "pc-q35-".to_owned(),
        other => format!("{other}-"),
    };
    vec![machine.to_owned(), alias]
}

fn check_features(descriptor: &Descriptor, request: &FirmwareRequest) -> Result<(), String> {
    let sleep = [(ACPI_S3, request.acpi_s3.then_some(true)), (ACPI_S4, request.acpi_s4.then_some(true))];
    let boot = [(SECURE_BOOT, request.secure_boot), (ENROLLED_KEYS, request.enrolled_keys)];
    for (feature, wanted) in sleep.into_iter().chain(boot) {
        match wanted {
            Some(true) if !descriptor.has(feature) => return Err(format!("lacks the feature {feature}")),
            Some(false) if descriptor.has(feature) => {
                return Err(format!("has the feature {feature}, which must be off"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_smm(descriptor: &Descriptor, request: &FirmwareRequest) -> Result<(), String> {
    match (descriptor.has(REQUIRES_SMM), request.secure) {
        (false, Some(true)) => Err("does not protect its variables by SMM, as secure='yes' asks".to_owned()),
        (true, Some(false)) => Err("needs SMM, which secure='no' excludes".to_owned()),
        (true, _) if request.smm_off => Err("needs SMM, which <smm state='off'> excludes".to_owned()),
        (true, _) if !request.smm_available => Err("needs SMM, which this host cannot run".to_owned()),
        _ => Ok(()),
    }
}

fn program(descriptor: &Descriptor, stateless: bool) -> Result<Program, String> {
    let (mode, executable, template) = match &descriptor.mapping {
        Mapping::Flash { mode, executable, nvram_template } => (*mode, executable, nvram_template),
        Mapping::Memory { filename } => return Ok(Program::Rom(filename.clone())),
        Mapping::Kernel { .. } => return Err("is started as a kernel, which is not supported".to_owned()),
        Mapping::Unknown => return Err("is put into the machine in a way that is not known".to_owned()),
    };
    let code = executable.image().ok_or_else(|| format!("has code in format {}", executable.format))?;
    match (mode, stateless, template) {
        (FlashMode::Combined, ..) => {
            Err("has code and variables in one file, which is not supported".to_owned())
        }
        (FlashMode::Stateless, true, _) => Ok(Program::Pflash(PflashPair { code, template: None })),
        (FlashMode::Stateless, false, _) => {
            Err("keeps no variables, but a variable store is asked for".to_owned())
        }
        (FlashMode::Split, true, _) => {
            Err("needs a variable store, but stateless firmware is asked for".to_owned())
        }
        (FlashMode::Split, false, None) => Err("has no template for the variable store".to_owned()),
        (FlashMode::Split, false, Some(template)) => {
            let image =
                template.image().ok_or_else(|| format!("has a template in format {}", template.format))?;
            Ok(Program::Pflash(PflashPair { code, template: Some(image) }))
        }
    }
}

#[cfg(test)]
mod tests;
