//! Completion against recorded machines, under properties, and where it must refuse.

mod corpus;
mod defaults;
mod properties;
mod refusals;
mod report;

use hostler_sdk::domain::Domain;

use super::complete;

/// Completes with random bytes that are always the same.
fn completed(xml: &str) -> Domain {
    complete(Domain::parse(xml).unwrap(), |bytes| bytes.fill(0x5a)).unwrap()
}

/// A domain of this machine with these devices.
fn domain(machine: &str, devices: &str) -> String {
    format!(
        "<domain type='qemu'>\n  <name>guest</name>\n  <memory>65536</memory>\n  <vcpu>1</vcpu>\n  \
         <os>\n    <type arch='x86_64' machine='{machine}'>hvm</type>\n  </os>\n  \
         <devices>\n{devices}  </devices>\n</domain>\n"
    )
}
