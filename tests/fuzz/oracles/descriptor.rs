//! Choosing firmware: the first descriptor that meets every wish, and a reason for each one before it.

use hostler_firmware::{
    Descriptor, FirmwareRequest, FlashMode, Interface, Mapping, Program, Selection, select,
};

use super::shown;

/// Asserts what holds of any descriptors and any request.
///
/// # Panics
/// When a promise is broken.
pub fn check(descriptors: &[Descriptor], request: &FirmwareRequest) {
    let fits = |descriptor: &Descriptor| fits(descriptor, request);
    match select(descriptors, request) {
        Ok(selection) => {
            let at = selection.passed_over.len();
            assert_eq!(descriptors.iter().position(fits), Some(at), "{request:?}: {selection:?}");
            chosen(&descriptors[at], &selection);
        }
        Err(error) => {
            assert!(!descriptors.iter().any(fits), "{request:?}: {error}");
            assert_eq!(error.passed_over().len(), descriptors.len());
            error.passed_over().iter().for_each(|one| assert!(!one.reason.is_empty()));
            if !request.machine.chars().any(char::is_control) {
                shown::safe(&error);
            }
        }
    }
}

/// What was chosen is what the descriptor says.
fn chosen(descriptor: &Descriptor, selection: &Selection) {
    assert_eq!(selection.descriptor, descriptor.path);
    match (&selection.program, &descriptor.mapping) {
        (Program::Rom(rom), Mapping::Memory { filename }) => assert_eq!(rom, filename),
        (Program::Pflash(pair), Mapping::Flash { mode, executable, nvram_template }) => {
            assert_eq!(pair.code.path, executable.filename);
            assert_eq!(pair.template.is_some(), *mode == FlashMode::Split, "variables are kept or not");
            if let (Some(template), Some(named)) = (&pair.template, nvram_template) {
                assert_eq!(template.path, named.filename);
            }
        }
        other => panic!("{other:?} do not belong together"),
    }
    assert_eq!(selection.requires_smm, descriptor.has("requires-smm"));
    assert_eq!(selection.secure_boot, descriptor.has("secure-boot"));
}

/// Every wish, read a second time.
fn fits(descriptor: &Descriptor, request: &FirmwareRequest) -> bool {
    let interface = if request.interface == Interface::Efi { "uefi" } else { "bios" };
    let machine = request.machine.as_str();
    let alias = match machine {
        "q35" => "pc-q35-".to_owned(),
        "pc" => "pc-i440fx-".to_owned(),
        other => format!("{other}-"),
    };
    let on_machine = |pattern: &String| [machine, &alias].iter().any(|name| glob(pattern, name));
    let on_target = descriptor
        .targets
        .iter()
        .any(|target| target.architecture == request.architecture && target.machines.iter().any(on_machine));
    let wish = |feature, wanted: Option<bool>| wanted.is_none_or(|wanted| descriptor.has(feature) == wanted);
    let smm = descriptor.has("requires-smm");
    let usable = |format: &str| matches!(format, "raw" | "qcow2");
    let (mapped, code) = match &descriptor.mapping {
        Mapping::Memory { filename } => (true, Some(filename)),
        Mapping::Flash { mode, executable, nvram_template } => {
            let variables = match mode {
                FlashMode::Combined => false,
                FlashMode::Stateless => request.stateless,
                FlashMode::Split => {
                    !request.stateless && nvram_template.as_ref().is_some_and(|file| usable(&file.format))
                }
            };
            (variables && usable(&executable.format), Some(&executable.filename))
        }
        Mapping::Kernel { .. } | Mapping::Unknown => (false, None),
    };
    descriptor.interface_types.iter().any(|name| name == interface)
        && on_target
        && (!request.acpi_s3 || descriptor.has("acpi-s3"))
        && (!request.acpi_s4 || descriptor.has("acpi-s4"))
        && wish("secure-boot", request.secure_boot)
        && wish("enrolled-keys", request.enrolled_keys)
        && request.secure.is_none_or(|secure| secure == smm)
        && (!smm || request.smm_available)
        && mapped
        && request.loader.as_ref().is_none_or(|loader| code == Some(loader))
}

/// Patterns by table, row by row: nothing here is clever, and nothing backtracks.
fn glob(pattern: &str, text: &str) -> bool {
    let text = text.as_bytes();
    let mut reached: Vec<bool> = (0..=text.len()).map(|at| at == 0).collect();
    for wanted in pattern.bytes() {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            let here = || at > 0 && reached[at - 1];
            next[at] = match wanted {
                b'*' => reached[at] || at > 0 && next[at - 1],
                b'?' => here(),
                byte => here() && text[at - 1] == byte,
            };
        }
        reached = next;
    }
    reached[text.len()]
}
