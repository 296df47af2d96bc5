//! The document of a run as it is shown: with what is true at this moment, and in no document that is kept.

use hostler_domain::chardev::Chardev;
use hostler_domain::interface::Interface;
use hostler_domain::{Document, Domain, XmlError};
use hostler_runtime::OpenChannels;
use hostler_state::{Definition, RunRecord};

use crate::error::Error;
use crate::host::Host;
use crate::verbs::InterfaceDevice;

impl Host {
    /// The document of a domain, of one that runs with the devices of this host that connect its network interfaces, and with
    /// whether its channels are open. No hypervisor is asked.
    ///
    /// # Errors
    /// What reading says.
    pub(crate) async fn moment(&self, definition: &Definition) -> Result<String, Error> {
        let xml = self.current_xml(definition)?;
        let run = self.state().run_dir(definition.uuid);
        if !run.is_held()? {
            return Ok(xml);
        }
        let domain = Domain::parse(&xml)?;
        let devices = self.devices_connecting(definition, &domain).await?;
        let open: OpenChannels = run.read(RunRecord::Channels)?.unwrap_or_default();
        Ok(shown(&domain, &devices, &open)?)
    }
}

fn shown(domain: &Domain, devices: &[InterfaceDevice], open: &OpenChannels) -> Result<String, XmlError> {
    let mut document = domain.document().clone();
    for interface in &domain.devices.interfaces {
        connect(&mut document, interface, devices)?;
    }
    for channel in &domain.devices.channels {
        say_state(&mut document, channel, open)?;
    }
    Ok(document.to_xml())
}

/// Says by which device an interface is connected (libvirt's `target` element). A name like theirs in a document is no choice
/// of its author: the next run makes its own.
fn connect(
    document: &mut Document,
    interface: &Interface,
    devices: &[InterfaceDevice],
) -> Result<(), XmlError> {
    let Some(mac) = interface.mac.map(|mac| mac.to_string()) else { return Ok(()) };
    let Some(device) = devices.iter().find(|device| device.mac == mac) else { return Ok(()) };
    let target = match (document.child(interface.node, "target"), document.child(interface.node, "model")) {
        (Some(target), _) => target,
        (None, Some(model)) => document.insert_before(model, "<target/>")?,
        (None, None) => document.append_child(interface.node, "<target/>")?,
    };
    document.set_attribute(target, "dev", &device.device)
}

/// Says whether something in the guest has a channel open (libvirt's `state` of its `target`).
fn say_state(document: &mut Document, channel: &Chardev, open: &OpenChannels) -> Result<(), XmlError> {
    let is_virtio = channel.target.kind.as_deref() == Some("virtio");
    let (true, Some(name), Some(target)) =
        (is_virtio, &channel.target.name, document.child(channel.node, "target"))
    else {
        return Ok(());
    };
    let state = if open.0.contains(name) { "connected" } else { "disconnected" };
    document.set_attribute(target, "state", state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(devices: &str) -> String {
        format!(
            "<domain type='kvm'><name>a</name><memory>1</memory><os><type>hvm</type></os><devices>{devices}</devices></domain>"
        )
    }

    fn read(xml: &str) -> Domain {
        Domain::parse(xml).unwrap()
    }

    #[test]
    fn interfaces_are_shown_with_the_devices_that_connect_them() {
        let interfaces = |more: &str| {
            document(&format!(
                "<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='b'/>{more}</interface>\
                 <interface type='user'><mac address='52:54:00:00:00:02'/></interface>"
            ))
        };
        let device = InterfaceDevice {
            mac: "52:54:00:00:00:01".to_owned(),
            device: "vnet3".to_owned(),
            received: [0; 4],
            sent: [0; 4],
        };
        let shown = |more: &str, devices: &[InterfaceDevice]| {
            shown(&read(&interfaces(more)), devices, &OpenChannels::default()).unwrap()
        };
        let devices = std::slice::from_ref(&device);
        let model = "<model type='virtio'/>";
        assert_eq!(shown(model, devices), interfaces(&format!("<target dev='vnet3'/>{model}")));
        assert_eq!(shown("<target dev='vnet0'/>", devices), interfaces("<target dev='vnet3'/>"));
        assert_eq!(shown("", &[]), interfaces(""));
    }

    #[test]
    fn channels_are_shown_with_whether_something_in_the_guest_has_them_open() {
        let channels = |first: &str, second: &str| {
            document(&format!(
                "<channel type='unix'><target type='virtio' name='a'{first}/></channel>\
                 <channel type='unix'><target type='virtio' name='b'{second}/></channel>\
                 <channel type='pty'><target type='guestfwd' address='10.0.2.1' port='7'/></channel>"
            ))
        };
        let open = OpenChannels(["b".to_owned()].into());
        let state = |state: &str| format!(" state='{state}'");
        let told = channels(&state("disconnected"), &state("connected"));
        assert_eq!(shown(&read(&channels("", "")), &[], &open).unwrap(), told);
        assert_eq!(shown(&read(&channels(&state("connected"), "")), &[], &open).unwrap(), told);
    }
}
