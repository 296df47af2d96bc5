//! Tests of the choice that is written into a document.

use super::*;
use crate::descriptor::Descriptor;
use crate::request;
use hostler_domain::os::Firmware;

fn descriptor(text: &str) -> Descriptor {
    Descriptor { path: "/d/50.json".into(), ..serde_json::from_str(text).unwrap() }
}

fn flash(format: &str, features: &str) -> Descriptor {
    descriptor(&format!(
        r#"{{"interface-types":["uefi"],"mapping":{{"device":"flash",
        "executable":{{"filename":"/fw/code","format":"{format}"}},
        "nvram-template":{{"filename":"/fw/v&rs","format":"{format}"}}}},
        "targets":[{{"architecture":"x86_64","machines":["pc-q35-*"]}}],"features":[{features}]}}"#
    ))
}

fn resolved(descriptor: Descriptor, os: &str) -> String {
    let xml = format!(
        "<domain type='kvm'>\n  <name>a</name>\n  <memory>1024</memory>\n  <os firmware='efi'>\n    \
         <type arch='x86_64' machine='q35'>hvm</type>\n{os}  </os>\n</domain>\n"
    );
    let mut document = Document::parse(&xml).unwrap();
    let selection = select(&[descriptor], &request::of(&document, Firmware::Efi, true)).unwrap();
    write(&mut document, &selection).unwrap();
    let written = document.to_xml();
    // A choice that is written already changes nothing.
    write(&mut document, &selection).unwrap();
    assert_eq!(document.to_xml(), written);
    written
}

#[test]
fn code_and_template_are_written_and_the_wish_stays() {
    let xml = resolved(flash("raw", r#""requires-smm""#), "");
    assert!(
        xml.contains(
            "<os firmware='efi'>\n    <type arch='x86_64' machine='q35'>hvm</type>\n    \
             <loader type='pflash' readonly='yes' secure='yes'>/fw/code</loader>\n    \
             <nvram template='/fw/v&amp;rs'/>\n  </os>"
        ),
        "{xml}"
    );
}

#[test]
fn formats_that_are_not_raw_are_written() {
    let xml = resolved(flash("qcow2", ""), "    <nvram>/srv/a.qcow2</nvram>\n");
    assert!(xml.contains("<loader type='pflash' readonly='yes' format='qcow2'>/fw/code</loader>"), "{xml}");
    assert!(
        xml.contains(
            "<nvram template='/fw/v&amp;rs' templateFormat='qcow2' format='qcow2'>/srv/a.qcow2</nvram>"
        ),
        "{xml}"
    );
}

#[test]
fn what_the_author_says_stays() {
    let os = "    <loader secure='no'/>\n    <nvram template='/my/vars' templateFormat='raw'/>\n";
    let xml = resolved(flash("qcow2", ""), os);
    assert!(
        xml.contains("secure='no'") && xml.contains("<nvram template='/my/vars' templateFormat='raw'/>"),
        "{xml}"
    );
}

#[test]
fn a_rom_has_no_store() {
    let rom = descriptor(
        r#"{"interface-types":["uefi"],"mapping":{"device":"memory","filename":"/fw/rom"},
        "targets":[{"architecture":"x86_64","machines":["pc-q35-*"]}]}"#,
    );
    let xml = resolved(rom, "");
    assert!(xml.contains("<loader type='rom'>/fw/rom</loader>") && !xml.contains("nvram"), "{xml}");
}
