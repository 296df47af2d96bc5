//! Which firmware a document means: chosen among the installed ones, or named by path. Opens nothing.

use std::path::{Path, PathBuf};

use hostler_domain::Domain as Document;
use hostler_domain::os::{Firmware, FirmwareFeatureName, Loader, LoaderType, Nvram, Os};
use hostler_domain::storage_source::Location;
use hostler_firmware::{
    Descriptor, FirmwareError, FirmwareRequest, FlashFormat, FlashImage, Interface, Program, SearchPath,
    Selection, select, template_for_loader,
};

use crate::bindings::wit::firmware::Attachment;

/// Architecture of a document that is silent about it: this host's.
const ARCHITECTURE: &str = std::env::consts::ARCH;
/// Machine of a document that is silent about it; drivers complete it in `check`.
const MACHINE: &str = "pc";

/// What a domain's machine starts with.
#[derive(Debug)]
pub(crate) struct FirmwarePlan {
    pub(crate) attachment: Attachment,
    pub(crate) code: FlashImage,
    pub(crate) code_origin: CodeOrigin,
    pub(crate) store: Option<StorePlan>,
    pub(crate) needs_smm: bool,
    pub(crate) facts: Vec<(&'static str, String)>,
}

/// Who says where the code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeOrigin {
    /// A firmware descriptor of this host.
    Installed,
    /// The document alone.
    Document,
}

/// A domain's variable store.
#[derive(Debug)]
pub(crate) struct StorePlan {
    pub(crate) path: PathBuf,
    pub(crate) format: FlashFormat,
    pub(crate) template: Option<FlashImage>,
    /// Whether it is where the host keeps them, not where the document says.
    pub(crate) is_default: bool,
    block: bool,
}

impl StorePlan {
    /// Whether it is a file that a template can be copied to.
    pub(crate) fn is_plain(&self) -> bool {
        self.format == FlashFormat::Raw && !self.block
    }
}

/// The firmware of a document; none when its machine brings its own. `default_store` is where the host keeps
/// this domain's variable store.
///
/// # Errors
/// Why none of the installed ones fits.
pub(crate) fn plan(
    document: &Document,
    default_store: PathBuf,
) -> Result<Option<FirmwarePlan>, FirmwareError> {
    let os = &document.os;
    if os.firmware.is_none() && os.loader.as_ref().is_none_or(|loader| loader.path.is_none()) {
        return Ok(None);
    }
    let installed = SearchPath::system().load().found;
    match (os.firmware, &os.loader) {
        (Some(firmware), _) => {
            let selection = select(&installed, &request(document, firmware))?;
            Ok(Some(from_selection(os, selection, default_store)))
        }
        (None, Some(loader)) => Ok(from_loader(os, loader, &installed, default_store)),
        (None, None) => Ok(None),
    }
}

fn request(document: &Document, firmware: Firmware) -> FirmwareRequest {
    let os = &document.os;
    let interface = match firmware {
        Firmware::Efi => Interface::Efi,
        Firmware::Bios => Interface::Bios,
    };
    let wanted = |name: FirmwareFeatureName| {
        os.firmware_features.iter().find(|feature| feature.name == name).map(|feature| feature.enabled)
    };
    let loader = os.loader.clone().unwrap_or_default();
    FirmwareRequest {
        loader: loader.path.map(PathBuf::from),
        secure: loader.secure,
        secure_boot: wanted(FirmwareFeatureName::SecureBoot),
        enrolled_keys: wanted(FirmwareFeatureName::EnrolledKeys),
        acpi_s3: document.pm.suspend_to_mem == Some(true),
        acpi_s4: document.pm.suspend_to_disk == Some(true),
        stateless: loader.stateless == Some(true),
        ..FirmwareRequest::new(
            interface,
            os.arch.as_deref().unwrap_or(ARCHITECTURE),
            os.machine.as_deref().unwrap_or(MACHINE),
        )
    }
}

fn from_selection(os: &Os, selection: Selection, default_store: PathBuf) -> FirmwarePlan {
    let (attachment, code, template) = match selection.program {
        Program::Pflash(pair) => (Attachment::Flash, pair.code, pair.template),
        Program::Rom(path) => (Attachment::Rom, FlashImage { path, format: FlashFormat::Raw }, None),
    };
    let store = template.map(|template| store(os.nvram.as_ref(), Some(template), default_store));
    let mut plan = FirmwarePlan {
        attachment,
        code,
        code_origin: CodeOrigin::Installed,
        store,
        needs_smm: selection.requires_smm,
        facts: vec![("descriptor", selection.descriptor.display().to_string())],
    };
    plan.state("secure-boot", selection.secure_boot);
    plan.state("enrolled-keys", selection.enrolled_keys);
    plan
}

fn from_loader(
    os: &Os,
    loader: &Loader,
    installed: &[Descriptor],
    default_store: PathBuf,
) -> Option<FirmwarePlan> {
    let path = PathBuf::from(loader.path.as_deref()?);
    let attachment = match loader.kind {
        Some(LoaderType::Pflash) => Attachment::Flash,
        Some(LoaderType::Rom) | None => Attachment::Rom,
    };
    let keeps_variables = attachment == Attachment::Flash && loader.stateless != Some(true);
    let template = template_for_loader(installed, &path);
    Some(FirmwarePlan {
        attachment,
        code_origin: if is_installed(installed, &path) {
            CodeOrigin::Installed
        } else {
            CodeOrigin::Document
        },
        code: FlashImage { path, format: format(loader.format.as_deref()) },
        store: keeps_variables.then(|| store(os.nvram.as_ref(), template, default_store)),
        needs_smm: loader.secure == Some(true),
        facts: Vec::new(),
    })
}

fn is_installed(installed: &[Descriptor], path: &Path) -> bool {
    use hostler_firmware::Mapping;
    installed.iter().any(|descriptor| match &descriptor.mapping {
        Mapping::Flash { executable, .. } => executable.filename == path,
        Mapping::Memory { filename } => filename == path,
        _ => false,
    })
}

fn store(nvram: Option<&Nvram>, template: Option<FlashImage>, default_store: PathBuf) -> StorePlan {
    let named = nvram.and_then(|nvram| nvram.template.as_ref()).map(|path| FlashImage {
        path: PathBuf::from(path),
        format: format(nvram.and_then(|nvram| nvram.template_format.as_deref())),
    });
    let location = nvram.and_then(|nvram| nvram.source.as_ref()).map(|source| &source.location);
    let (path, block) = match location {
        Some(Location::File(path)) => (Some(path), false),
        Some(Location::Block(path)) => (Some(path), true),
        _ => (None, false),
    };
    StorePlan {
        is_default: path.is_none(),
        path: path.map_or(default_store, PathBuf::from),
        format: format(nvram.and_then(|nvram| nvram.format.as_deref())),
        template: named.or(template),
        block,
    }
}

/// A flash image's format: raw unless the document says otherwise.
fn format(name: Option<&str>) -> FlashFormat {
    name.and_then(FlashFormat::from_name).unwrap_or(FlashFormat::Raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn skip(why: &str) {
        eprintln!("skipped: {why}");
    }

    fn planned(os: &str) -> Option<FirmwarePlan> {
        let xml = format!(
            "<domain type='kvm'><name>a</name><memory>1048576</memory><os><type arch='x86_64' machine='q35'>hvm</type>{os}</os></domain>"
        );
        plan(&Document::parse(&xml).unwrap(), PathBuf::from("/state/nvram.fd")).unwrap()
    }

    #[test]
    fn document_without_firmware_has_none() {
        assert!(planned("").is_none());
    }

    #[test]
    fn loader_by_path_has_a_store_where_the_document_says() {
        let plan = planned(
            "<loader type='pflash' readonly='yes' secure='yes'>/fw/code.fd</loader>\
             <nvram template='/fw/vars.fd'>/srv/a.fd</nvram>",
        )
        .unwrap();
        assert_eq!(
            (plan.attachment, plan.code_origin, plan.needs_smm),
            (Attachment::Flash, CodeOrigin::Document, true)
        );
        let store = plan.store.unwrap();
        assert_eq!(
            (store.path.to_str(), store.is_default, store.is_plain()),
            (Some("/srv/a.fd"), false, true)
        );
        assert_eq!(store.template.unwrap().path, Path::new("/fw/vars.fd"));
    }

    #[test]
    fn rom_and_stateless_firmware_keep_no_variables() {
        let rom = planned("<loader type='rom'>/fw/bios.bin</loader>").unwrap();
        assert_eq!((rom.attachment, rom.store.is_none()), (Attachment::Rom, true));
        let stateless = planned("<loader type='pflash' stateless='yes'>/fw/code.fd</loader>").unwrap();
        assert!(stateless.store.is_none());
    }

    #[test]
    fn store_without_a_path_is_kept_by_the_host() {
        let store = planned("<loader type='pflash'>/fw/code.fd</loader>").unwrap().store.unwrap();
        assert_eq!((store.path.to_str(), store.is_default), (Some("/state/nvram.fd"), true));
    }

    #[test]
    fn installed_firmware_is_chosen_with_its_template() {
        if !Path::new("/usr/share/qemu/firmware").is_dir() {
            skip("no firmware descriptors are installed");
            return;
        }
        let xml = "<domain type='kvm'><name>a</name><memory>1048576</memory>\
                   <os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type></os></domain>";
        let plan = plan(&Document::parse(xml).unwrap(), PathBuf::from("/state/nvram.fd")).unwrap().unwrap();
        assert_eq!((plan.attachment, plan.code_origin), (Attachment::Flash, CodeOrigin::Installed));
        assert!(plan.store.unwrap().template.is_some());
        assert!(plan.facts.iter().any(|(key, _)| *key == "descriptor"));
    }
}
