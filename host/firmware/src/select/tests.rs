//! Tests of the selection, over descriptors like those that Debian ships.

use super::*;

fn descriptor(name: &str, machines: &str, features: &str) -> Descriptor {
    let text = format!(
        r#"{{"interface-types":["uefi"],"mapping":{{"device":"flash",
        "executable":{{"filename":"/fw/{name}.code","format":"raw"}},
        "nvram-template":{{"filename":"/fw/{name}.vars","format":"raw"}}}},
        "targets":[{{"architecture":"x86_64","machines":[{machines}]}}],"features":[{features}]}}"#
    );
    Descriptor { path: format!("/d/{name}.json").into(), ..serde_json::from_str(&text).unwrap() }
}

fn debian() -> Vec<Descriptor> {
    let q35 = r#""pc-q35-*""#;
    vec![
        descriptor("40", q35, r#""acpi-s3","enrolled-keys","requires-smm","secure-boot""#),
        descriptor("50", q35, r#""acpi-s3","requires-smm","secure-boot""#),
        descriptor("60", r#""pc-i440fx-*","pc-q35-*""#, r#""acpi-s3""#),
    ]
}

fn efi(machine: &str) -> FirmwareRequest {
    FirmwareRequest::new(Interface::Efi, "x86_64", machine)
}

fn chosen(request: &FirmwareRequest) -> String {
    select(&debian(), request).unwrap().descriptor.display().to_string()
}

#[test]
fn the_first_that_fits_is_chosen_by_versioned_name_and_by_alias() {
    for machine in ["pc-q35-7.2", "q35"] {
        assert_eq!(chosen(&efi(machine)), "/d/40.json");
    }
    for machine in ["pc-i440fx-7.2", "pc"] {
        assert_eq!(chosen(&efi(machine)), "/d/60.json");
    }
    let selection = select(&debian(), &efi("q35")).unwrap();
    assert!(selection.requires_smm && selection.secure_boot && selection.enrolled_keys);
    let Program::Pflash(pair) = selection.program else { panic!("{selection:?}") };
    assert_eq!(pair.template.unwrap().path, PathBuf::from("/fw/40.vars"));
}

#[test]
fn a_host_without_smm_passes_over_what_needs_it() {
    let request = FirmwareRequest { smm_available: false, ..efi("q35") };
    let selection = select(&debian(), &request).unwrap();
    assert_eq!(selection.descriptor, PathBuf::from("/d/60.json"));
    let reasons: Vec<_> = selection.passed_over.iter().map(|passed| passed.reason.as_str()).collect();
    assert_eq!(reasons, ["needs SMM, which this host cannot run"; 2]);
}

#[test]
fn features_filter() {
    assert_eq!(chosen(&FirmwareRequest { enrolled_keys: Some(false), ..efi("q35") }), "/d/50.json");
    assert_eq!(chosen(&FirmwareRequest { secure_boot: Some(false), ..efi("q35") }), "/d/60.json");
    assert_eq!(chosen(&FirmwareRequest { secure: Some(false), ..efi("q35") }), "/d/60.json");
    assert_eq!(chosen(&FirmwareRequest { smm_off: true, ..efi("q35") }), "/d/60.json");
    assert_eq!(chosen(&FirmwareRequest { loader: Some("/fw/50.code".into()), ..efi("q35") }), "/d/50.json");
}

#[test]
fn a_refusal_says_why_each_descriptor_was_passed_over() {
    let request = FirmwareRequest { secure: Some(true), ..efi("pc") };
    let error = select(&debian(), &request).unwrap_err();
    assert_eq!(error.code(), "firmware.no-match");
    let reasons: Vec<_> = error.passed_over().iter().map(|passed| passed.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "is not for machine pc",
            "is not for machine pc",
            "does not protect its variables by SMM, as secure='yes' asks"
        ]
    );
    assert!(error.to_string().contains("'/d/40.json' is not for machine pc"), "{error}");
    for request in [
        FirmwareRequest { acpi_s4: true, ..efi("q35") },
        FirmwareRequest { stateless: true, ..efi("q35") },
        FirmwareRequest { interface: Interface::Bios, ..efi("q35") },
        FirmwareRequest { architecture: "aarch64".to_owned(), ..efi("virt") },
        FirmwareRequest { loader: Some("/other".into()), ..efi("q35") },
    ] {
        assert_eq!(select(&debian(), &request).unwrap_err().passed_over().len(), 3, "{request:?}");
    }
}

#[test]
fn a_host_without_firmware_is_told_what_to_install() {
    let error = select(&[], &efi("q35")).unwrap_err();
    assert!(error.hints()[0].text.contains("ovmf"));
}
