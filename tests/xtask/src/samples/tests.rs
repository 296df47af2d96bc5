//! What a real QEMU makes of what the driver describes.

use super::{created, kinds};

#[test]
fn every_local_kind_is_opened_as_it_is_described() {
    let outcomes = super::open_all().unwrap();
    let wrong: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(outcomes.len() >= 20, "only {} were tried", outcomes.len());
}

#[test]
fn a_running_qemu_makes_images_that_record_what_is_below() {
    let home = tempfile::tempdir().unwrap();
    let told = created::create(home.path(), "qcow2", "").unwrap();
    assert_eq!(told["format"], "qcow2");
    assert_eq!(told["virtual-size"], 1 << 20);
    assert_eq!(told["backing-filename-format"], "raw");
    assert_eq!(told["format-specific"]["data"]["compat"], "1.1");
    let home = tempfile::tempdir().unwrap();
    let told = created::create(home.path(), "qed", "").unwrap();
    assert!(told["backing-filename"].as_str().unwrap().ends_with("/below"), "{told}");
}

#[test]
fn a_running_qemu_encrypts_what_it_makes() {
    // With SHA-256 a processor that has instructions for it is too fast for QEMU to count how often it can.
    const LUKS: &str = "<encryption format='luks'><secret type='passphrase' usage='u'/>\
                        <cipher name='aes' size='256' mode='xts' hash='sha512'/><ivgen name='plain64'/></encryption>";
    let home = tempfile::tempdir().unwrap();
    let told = created::create(home.path(), "raw", LUKS).unwrap();
    assert_eq!(told["format"], "luks");
    assert_eq!(told["format-specific"]["data"]["cipher-alg"], "aes-256");
    let home = tempfile::tempdir().unwrap();
    let told = created::create(home.path(), "qcow2", LUKS).unwrap();
    assert_eq!(told["format-specific"]["data"]["encrypt"]["format"], "luks");
}

#[test]
fn s1_a_layer_below_is_reopened_for_writing() {
    let home = tempfile::tempdir().unwrap();
    let chain = kinds::all().into_iter().find(|sample| sample.name == "qcow2 chain").unwrap();
    // The base is raw, so it is the layer above it whose own header would be written at once.
    let two = kinds::Sample { files: &[("a", true), ("b", false)], ..chain };
    assert_eq!(created::reopen(&two, home.path(), "libvirt-2-format").unwrap(), (false, true));
}
