//! Disks that share something on one command line.

use hostler_sdk::{Error, Value};

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
fn disks_of_a_group_share_its_limits() {
    let case = launch("1000").unwrap();
    let options = case.launch.options.iter().filter_map(|(_, value)| value.as_ref());
    let groups =
        options.clone().filter(|value| value.get("qom-type") == Some(&Value::from("throttle-group")));
    assert_eq!(groups.count(), 1);
    let filters = options.filter(|value| value.get("driver") == Some(&Value::from("throttle")));
    assert_eq!(filters.count(), 2);
}

#[test]
fn a_group_with_two_minds_is_refused() {
    let Err(Error::Invalid(problem)) = launch("2000") else { panic!("accepted") };
    assert_eq!(problem.code, "qemu.iotune-group");
    assert!(!problem.hints.is_empty());
}
