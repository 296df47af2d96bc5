//! Tests of what documents mean.

use super::*;
use crate::store_plan::StorePlace;

fn document(attributes: &str, os: &str) -> Document {
    let xml = format!(
        "<domain type='kvm'><name>a</name><memory>1048576</memory>\
         <os{attributes}><type arch='x86_64' machine='q35'>hvm</type>{os}</os></domain>"
    );
    Document::parse(&xml).unwrap()
}

/// A host with one descriptor: code `/fw/code` and template `/fw/vars`, both qcow2.
fn host() -> (tempfile::TempDir, SearchPath) {
    let home = tempfile::tempdir().unwrap();
    let text = r#"{"interface-types":["uefi"],"mapping":{"device":"flash",
        "executable":{"filename":"/fw/code","format":"qcow2"},
        "nvram-template":{"filename":"/fw/vars","format":"qcow2"}},
        "targets":[{"architecture":"x86_64","machines":["pc-q35-*"]}],"features":["requires-smm","secure-boot"]}"#;
    std::fs::write(home.path().join("50.json"), text).unwrap();
    let search = SearchPath::new([home.path()]);
    (home, search)
}

fn planned(os: &str) -> Result<Option<FirmwarePlan>, FirmwareError> {
    let (_home, search) = host();
    plan(&document("", os), &search, "/state/nvram.fd".into())
}

fn store(os: &str) -> StorePlan {
    planned(os).unwrap().unwrap().store.unwrap()
}

#[test]
fn document_without_firmware_has_none() {
    assert_eq!(planned("").unwrap(), None);
}

#[test]
fn loader_by_path_has_a_store_where_the_document_says() {
    let plan = planned(
        "<loader type='pflash' readonly='yes' secure='yes'>/other/code.fd</loader>\
         <nvram template='/other/vars.fd'>/srv/a.fd</nvram>",
    );
    let plan = plan.unwrap().unwrap();
    assert_eq!(
        (plan.attachment, plan.code_origin, plan.needs_smm, plan.described),
        (Attachment::Flash, CodeOrigin::Document, true, None)
    );
    let store = plan.store.unwrap();
    assert_eq!((store.place, store.format), (StorePlace::File("/srv/a.fd".into()), FlashFormat::Raw));
    assert_eq!(store.template.unwrap().path, Path::new("/other/vars.fd"));
}

#[test]
fn rom_and_stateless_firmware_keep_no_variables() {
    let rom = planned("<loader type='rom'>/fw/bios.bin</loader>").unwrap().unwrap();
    assert_eq!((rom.attachment, rom.store), (Attachment::Rom, None));
    let stateless = planned("<loader type='pflash' stateless='yes'>/fw/code.fd</loader>").unwrap().unwrap();
    assert_eq!(stateless.store, None);
}

#[test]
fn store_without_a_path_is_kept_by_the_host() {
    let store = store("<loader type='pflash'>/other/code.fd</loader>");
    assert_eq!(store.place, StorePlace::Host("/state/nvram.fd".into()));
    assert_eq!(store.template, None);
}

#[test]
fn formats_follow_template_then_code_and_are_never_guessed() {
    let qcow2 = FlashFormat::Qcow2;
    // Known code brings its format and its template's.
    let plan = planned("<loader type='pflash'>/fw/code</loader>").unwrap().unwrap();
    assert_eq!((plan.code.format, plan.store.unwrap().format), (qcow2, qcow2));
    // A template of the document's own is raw unless it says otherwise, whatever the code is.
    let own = store("<loader type='pflash'>/fw/code</loader><nvram template='/my/vars'/>");
    assert_eq!((own.template.unwrap().format, own.format), (FlashFormat::Raw, FlashFormat::Raw));
    let said = store(
        "<loader type='pflash'>/fw/code</loader><nvram template='/my/vars' templateFormat='qcow2' format='raw'/>",
    );
    assert_eq!((said.template.unwrap().format, said.format), (qcow2, FlashFormat::Raw));
    // The template that a descriptor has is of the format that it says.
    let named = store("<loader type='pflash' format='qcow2'>/fw/code</loader><nvram template='/fw/vars'/>");
    assert_eq!(named.template.unwrap().format, qcow2);
    // Without a template the store is as the code.
    let bare = store("<loader type='pflash' format='qcow2'>/other/code</loader>");
    assert_eq!((bare.template, bare.format), (None, qcow2));
    let error = planned("<loader type='pflash' format='vmdk'>/fw/code</loader>").unwrap_err();
    assert_eq!(error.code(), "firmware.format-unknown");
}

#[test]
fn places_that_cannot_be_had_are_refused_with_the_reason() {
    let loader = "<loader type='pflash' readonly='yes'>/fw/code</loader>";
    let network =
        "<nvram type='network'><source protocol='nbd' name='x'><host name='h' port='1'/></source></nvram>";
    let error = planned(&format!("{loader}{network}")).unwrap_err();
    assert_eq!(error.code(), "firmware.store-elsewhere");
    assert!(error.to_string().contains("on a server"), "{error}");
    // The same with a template of its own, which libvirt lets pass.
    let network = network.replace("<nvram ", "<nvram template='/fw/vars' ");
    assert_eq!(planned(&format!("{loader}{network}")).unwrap_err().code(), "firmware.store-elsewhere");
    let block = store(&format!("{loader}<nvram type='block'><source dev='/dev/vg/vars'/></nvram>"));
    assert_eq!(block.place, StorePlace::Block("/dev/vg/vars".into()));
    let writable = planned("<loader type='pflash' readonly='no'>/fw/code</loader>").unwrap_err();
    assert_eq!(writable.code(), "firmware.code-writable");
}

#[test]
fn choice_is_made_where_none_is_written_and_kept_where_one_is() {
    let (home, search) = host();
    let open = document(" firmware='efi'", "");
    let chosen = plan(&open, &search, "/s".into()).unwrap().unwrap();
    assert_eq!((chosen.code_origin, chosen.needs_smm), (CodeOrigin::Installed, true));
    let described = chosen.described.unwrap();
    assert!(described.secure_boot && !described.enrolled_keys);
    let written = document(
        " firmware='efi'",
        "<loader readonly='yes' secure='yes' type='pflash' format='qcow2'>/fw/code</loader>\
         <nvram template='/fw/vars' templateFormat='qcow2' format='qcow2'/>",
    );
    let kept = plan(&written, &search, "/s".into()).unwrap().unwrap();
    assert_eq!((&kept.code, &kept.store, kept.needs_smm), (&chosen.code, &chosen.store, true));
    // Without its descriptor the domain is what it was, only nobody describes it.
    std::fs::remove_file(home.path().join("50.json")).unwrap();
    let alone = plan(&written, &search, "/s".into()).unwrap().unwrap();
    assert_eq!((&alone.code, &alone.store, alone.described), (&chosen.code, &chosen.store, None));
    assert_eq!(plan(&open, &search, "/s".into()).unwrap_err().code(), "firmware.no-match");
}

#[test]
fn protected_variables_need_a_machine_with_smm() {
    let (_home, search) = host();
    let secure = document("", "<loader type='pflash' secure='yes'>/fw/code</loader>").to_xml();
    let secure = secure.replace("</os>", "</os><features><smm state='off'/></features>");
    let error = plan(&Document::parse(&secure).unwrap(), &search, "/s".into()).unwrap_err();
    assert_eq!(error.code(), "firmware.smm-excluded");
    let open = secure.replace("secure='yes'", "secure='no'");
    plan(&Document::parse(&open).unwrap(), &search, "/s".into()).unwrap();
}

#[test]
fn installed_files_are_told_from_others() {
    let (_home, search) = host();
    let known = |code: Option<&str>, template: Option<&str>| {
        is_installed(&search, code.map(Path::new), template.map(Path::new))
    };
    assert!(known(Some("/fw/code"), Some("/fw/vars")) && known(None, None));
    assert!(!known(Some("/fw/vars"), None) && !known(None, Some("/etc/shadow")));
}
