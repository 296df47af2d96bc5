//! What this host and its guests can be: documents that clients build their own on. What is not here is not claimed.

use std::path::Path;
use std::sync::Arc;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    ConnectGetCapabilities, ConnectGetCapabilitiesAnswer, ConnectGetDomainCapabilities,
    ConnectGetDomainCapabilitiesAnswer,
};

use super::connect::MAX_VCPUS;
use super::{cpu, hardware, node, only};
use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};

/// The one architecture of guests here.
const ARCH: &str = "x86_64";
/// The program that runs them, as the driver's launch template names it.
const EMULATOR: &str = "/usr/bin/qemu-system-x86_64";
/// Machine types that clients may ask for without a version; the driver knows what they are.
const MACHINES: [&str; 2] = ["q35", "pc"];

/// What QEMU's SPICE is in, where distributions have it.
const SPICE: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/qemu/ui-spice-core.so",
    "/usr/lib64/qemu/ui-spice-core.so",
    "/usr/lib64/qemu-kvm/ui-spice-core.so",
];

/// What serves directories of this host to guests, as its launch template names it.
const VIRTIOFSD: &str = "/usr/lib/qemu/virtiofsd";

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        ConnectGetCapabilities => capabilities,
        ConnectGetDomainCapabilities => domain_capabilities,
    }
}

/// Types of domains that run here, the fastest first.
fn kinds() -> &'static [&'static str] {
    if std::fs::metadata("/dev/kvm").is_ok() { &["kvm", "qemu"] } else { &["qemu"] }
}

async fn capabilities(
    _: Arc<Client>,
    _: ConnectGetCapabilities,
) -> Result<ConnectGetCapabilitiesAnswer, RpcError> {
    let cpus = node::processors();
    let cells: String = (0..cpus)
        .map(|cpu| {
            format!("          <cpu id='{cpu}' socket_id='0' die_id='0' core_id='{cpu}' siblings='{cpu}'/>\n")
        })
        .collect();
    let memory = node::memory("MemTotal")?;
    let (mut sizes, mut pages) = (String::new(), String::new());
    for (kib, number) in hardware::pages(memory) {
        sizes += &format!("      <pages unit='KiB' size='{kib}'/>\n");
        pages += &format!("          <pages unit='KiB' size='{kib}'>{number}</pages>\n");
    }
    let machines: String = MACHINES
        .iter()
        .map(|machine| format!("      <machine maxCpus='{MAX_VCPUS}'>{machine}</machine>\n"))
        .collect();
    let model = cpu::usable_here().first().map(|model| format!("      <model>{model}</model>\n"));
    let model = model.unwrap_or_default();
    let kinds: String = kinds().iter().map(|kind| format!("      <domain type='{kind}'/>\n")).collect();
    Ok(ConnectGetCapabilitiesAnswer {
        capabilities: format!(
            "<capabilities>
  <host>
    <cpu>
      <arch>{ARCH}</arch>
{model}      <topology sockets='1' dies='1' cores='{cpus}' threads='1'/>
{sizes}    </cpu>
    <topology>
      <cells num='1'>
        <cell id='0'>
          <memory unit='KiB'>{memory}</memory>
{pages}          <cpus num='{cpus}'>
{cells}          </cpus>
        </cell>
      </cells>
    </topology>
  </host>
  <guest>
    <os_type>hvm</os_type>
    <arch name='{ARCH}'>
      <wordsize>64</wordsize>
      <emulator>{EMULATOR}</emulator>
{machines}{kinds}    </arch>
    <features>
      <acpi default='on' toggle='yes'/>
      <apic default='on' toggle='no'/>
      <cpuselection/>
      <deviceboot/>
    </features>
  </guest>
</capabilities>
"
        ),
    })
}

async fn domain_capabilities(
    _: Arc<Client>,
    call: ConnectGetDomainCapabilities,
) -> Result<ConnectGetDomainCapabilitiesAnswer, RpcError> {
    only(call.flags, 0, "virConnectGetDomainCapabilities")?;
    let refused = |detail: String| Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail));
    let arch = call.arch.as_deref().unwrap_or(ARCH);
    if arch != ARCH {
        return refused(format!("unable to find any emulator to serve '{arch}' architecture"));
    }
    let emulator = call.emulatorbin.as_deref().unwrap_or(EMULATOR);
    if emulator != EMULATOR {
        return refused(format!("'{emulator}' is no emulator of this host; it has '{EMULATOR}'"));
    }
    let fastest = kinds().first().copied().unwrap_or("qemu");
    let kind = call.virttype.as_deref().unwrap_or(fastest);
    if !kinds().contains(&kind) {
        return refused(format!("the accel '{kind}' is not supported by '{EMULATOR}' on this host"));
    }
    let machine = call.machine.as_deref().unwrap_or("pc");
    if !is_machine(machine) {
        return refused(format!("the machine '{machine}' is not supported by emulator '{EMULATOR}'"));
    }
    Ok(ConnectGetDomainCapabilitiesAnswer { capabilities: document(kind, machine) })
}

fn is_machine(machine: &str) -> bool {
    let versioned = |start: &str| {
        machine.strip_prefix(start).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    MACHINES.contains(&machine) || versioned("pc-q35-") || versioned("pc-i440fx-")
}

fn document(kind: &str, machine: &str) -> String {
    let passthrough = if kind == "kvm" { "yes" } else { "no" };
    let models: String = cpu::usable_here()
        .into_iter()
        .map(|model| format!("      <model usable='yes'>{model}</model>\n"))
        .collect();
    let has_spice = SPICE.iter().any(|module| Path::new(module).exists());
    let (virtiofs, drivers) =
        if Path::new(VIRTIOFSD).exists() { ("yes", "        <value>virtiofs</value>\n") } else { ("no", "") };
    let spice = if has_spice { "        <value>spice</value>\n" } else { "" };
    format!(
        "<domainCapabilities>
  <path>{EMULATOR}</path>
  <domain>{kind}</domain>
  <machine>{machine}</machine>
  <arch>{ARCH}</arch>
  <vcpu max='{MAX_VCPUS}'/>
  <iothreads supported='yes'/>
  <os supported='yes'>
    <enum name='firmware'>
      <value>bios</value>
      <value>efi</value>
    </enum>
    <loader supported='yes'>
      <enum name='type'>
        <value>rom</value>
        <value>pflash</value>
      </enum>
      <enum name='readonly'>
        <value>yes</value>
        <value>no</value>
      </enum>
      <enum name='secure'>
        <value>yes</value>
        <value>no</value>
      </enum>
    </loader>
  </os>
  <cpu>
    <mode name='host-passthrough' supported='{passthrough}'/>
    <mode name='maximum' supported='yes'/>
    <mode name='host-model' supported='no'/>
    <mode name='custom' supported='yes'>
{models}    </mode>
  </cpu>
  <devices>
    <disk supported='yes'>
      <enum name='diskDevice'>
        <value>disk</value>
        <value>cdrom</value>
        <value>floppy</value>
      </enum>
      <enum name='bus'>
        <value>fdc</value>
        <value>scsi</value>
        <value>virtio</value>
        <value>usb</value>
        <value>sata</value>
      </enum>
    </disk>
    <graphics supported='yes'>
      <enum name='type'>
        <value>vnc</value>
{spice}      </enum>
    </graphics>
    <video supported='yes'>
      <enum name='modelType'>
        <value>vga</value>
        <value>virtio</value>
        <value>none</value>
      </enum>
    </video>
    <hostdev supported='no'/>
    <rng supported='yes'>
      <enum name='model'>
        <value>virtio</value>
      </enum>
      <enum name='backendModel'>
        <value>random</value>
      </enum>
    </rng>
    <filesystem supported='{virtiofs}'>
      <enum name='driverType'>
{drivers}      </enum>
    </filesystem>
  </devices>
  <features>
    <gic supported='no'/>
    <vmcoreinfo supported='yes'/>
    <genid supported='yes'/>
    <backup supported='no'/>
    <sev supported='no'/>
  </features>
</domainCapabilities>
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_well_formed() {
        hostler_domain::Document::parse(&document("kvm", "q35")).unwrap();
        assert!(
            is_machine("pc-q35-7.2") && is_machine("q35") && !is_machine("virt") && !is_machine("pc-q35-x")
        );
    }
}
