//! Disks that share something on one command line.

use hostler_sdk::{Error, Symbol, Value};

use super::Case;
use crate::facts::Facts;

fn launch(second: &str) -> Result<Case, Error> {
    let disk = |target: &str, limit: &str| {
        format!(
            "<disk type='file'><driver type='raw'/><source file='/{target}'/><target dev='{target}' bus='virtio'/>\
             <iotune><total_bytes_sec>{limit}</total_bytes_sec><group_name>gold</group_name></iotune></disk>"
        )
    };
    let xml = format!(
        "<domain type='qemu'><name>n</name><memory>65536</memory><os><type arch='x86_64' machine='q35'>hvm</type></os>\
         <devices>{}{}</devices></domain>",
        disk("vda", "1000"),
        disk("vdb", second)
    );
    Case::of(&xml, &Facts::default())
}

#[test]
fn disks_of_a_group_with_one_mind_are_taken() {
    launch("1000").unwrap();
}

#[test]
fn a_group_with_two_minds_is_refused() {
    let Err(Error::Invalid(problem)) = launch("2000") else { panic!("accepted") };
    assert_eq!(problem.code, "qemu.iotune-group");
    assert!(!problem.hints.is_empty());
}

#[test]
fn encrypted_layers_have_objects_that_hold_what_only_the_host_knows() {
    let encryption = "<encryption format='luks'><secret type='passphrase' usage='/a'/></encryption>";
    let xml = format!(
        "<domain type='qemu'><name>n</name><memory>65536</memory><os><type arch='x86_64' machine='q35'>hvm</type></os>\
         <devices><disk type='file'><driver type='qcow2'/><source file='/a'>{encryption}</source>\
         <backingStore type='file'><format type='raw'/><source file='/b'>{encryption}</source><backingStore/></backingStore>\
         <target dev='vda' bus='virtio'/></disk></devices></domain>"
    );
    let case = Case::of(&xml, &Facts::default()).unwrap();
    let options: Vec<_> = case.launch.options.iter().filter_map(|(_, value)| value.as_ref()).collect();
    let place =
        |key: &str, wanted: &Value| options.iter().position(|value| value.get(key) == Some(wanted)).unwrap();
    for (layer, number, key) in [(0, 1, None), (1, 2, Some("key-secret"))] {
        let id = Value::from(format!("libvirt-{number}-format-encryption-secret0"));
        let object = place("id", &id);
        let expected = Value::mapping()
            .with("qom-type", "secret")
            .with("id", id.clone())
            .with("file", Symbol::DiskSecret { disk: "vda".to_owned(), layer });
        assert_eq!(options[object], &expected);
        let node = place("node-name", &Value::from(format!("libvirt-{number}-format")));
        assert!(object < node, "the object is there before its node");
        let named = match key {
            Some(key) => options[node].get(key),
            None => options[node].get("encrypt").and_then(|encrypt| encrypt.get("key-secret")),
        };
        assert_eq!(named, Some(&id));
    }
}
