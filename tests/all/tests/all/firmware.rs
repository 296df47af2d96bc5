//! UEFI: a Linux guest boots from its disk, its variable store is its own, and it can be made anew.

use crate::workbench::{GUEST_SECONDS, Workbench, guest};

fn uefi_domain(bench: &Workbench) -> String {
    std::fs::copy(guest("uefi.qcow2"), bench.path("uefi.qcow2")).unwrap();
    format!(
        "<domain type='qemu'>
  <name>uefi</name>
  <memory unit='MiB'>384</memory>
  <vcpu>1</vcpu>
  <os firmware='efi'>
    <type arch='x86_64' machine='q35'>hvm</type>
    <firmware>
      <feature enabled='no' name='enrolled-keys'/>
      <feature enabled='no' name='secure-boot'/>
    </firmware>
    <boot dev='hd'/>
  </os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <serial type='pty'/>
  </devices>
</domain>
",
        disk = bench.path("uefi.qcow2").display()
    )
}

#[test]
fn linux_boots_through_uefi_from_its_disk() {
    let bench = Workbench::new();
    bench.define(&uefi_domain(&bench));
    bench.ok(&["start", "uefi"]);
    let console =
        bench.ok(&["console", "uefi", "--until", "hostler-guest: ready", "--timeout", GUEST_SECONDS]);
    assert!(console.contains("firmware=uefi"), "{console}");
    let details = bench.json(&["show", "uefi"]);
    let store = details["variable_store"].as_str().expect("a UEFI guest has a variable store").to_owned();
    bench.ok(&["shutdown", "uefi", &format!("--wait={GUEST_SECONDS}")]);

    let used = std::fs::read(&store).unwrap();
    bench.ok(&["start", "uefi", "--paused"]);
    bench.ok(&["destroy", "uefi"]);
    assert_eq!(std::fs::read(&store).unwrap(), used, "a start does not touch the store");

    bench.ok(&["start", "uefi", "--paused", "--reset-nvram"]);
    bench.ok(&["destroy", "uefi"]);
    let pristine = std::fs::read(&store).unwrap();
    assert_ne!(pristine, used, "the guest had written its variables, and they are gone");

    let kept = bench.json(&["undefine", "uefi", "--keep-nvram"]);
    let kept = kept["kept_variable_store"].as_str().unwrap();
    assert_eq!(std::fs::read(kept).unwrap(), pristine);
    assert!(!std::path::Path::new(&store).exists());
}

#[test]
fn variable_store_of_a_running_guest_is_kept_when_that_is_asked_for() {
    let bench = Workbench::new();
    bench.define(&uefi_domain(&bench));
    bench.ok(&["start", "uefi", "--paused"]);
    let kept = bench.json(&["undefine", "uefi", "--keep-nvram"]);
    let kept = kept["kept_variable_store"].as_str().unwrap().to_owned();
    bench.ok(&["destroy", "uefi"]);
    assert_eq!(bench.state_of("uefi"), None);
    assert!(std::fs::metadata(kept).unwrap().len() > 0);
}

#[test]
fn s0_flash_nodes_have_nothing_below_in_a_real_qemu() {
    let bench = Workbench::new();
    bench.define(&uefi_domain(&bench));
    bench.ok(&["start", "uefi", "--paused"]);
    let nodes = crate::storage::block_nodes(&bench, "uefi");
    let flash: Vec<_> = nodes
        .iter()
        .filter(|node| {
            node["node-name"].as_str().is_some_and(|name| name.contains("pflash") && name.ends_with("format"))
        })
        .collect();
    assert_eq!(flash.len(), 2, "{nodes:?}");
    for node in flash {
        assert!(node.get("backing_file").is_none() && node["image"].get("backing-image").is_none(), "{node}");
    }
    let line = bench.json(&["native", "uefi"])["argv"].to_string();
    assert!(line.contains("pflash"), "{line}");
}
