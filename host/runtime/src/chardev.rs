//! Character devices of a document: found by alias, and what their far ends are to the launcher.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use hostler_domain::Domain as Document;
use hostler_domain::chardev::{CharBackend, Chardev, ChardevKind, TcpProtocol};
use hostler_domain::devices::Devices;
use hostler_domain::given_alias;
use hostler_launch::EndpointKind;

/// The device with this alias: kind and position. The first console of type `serial` is `serial0` under another
/// name, so it stands for that one.
pub(crate) fn find<'a>(devices: &'a Devices, alias: &str) -> Option<&'a Chardev> {
    let digits = alias.find(|character: char| character.is_ascii_digit())?;
    let (kind, digits) = alias.split_at_checked(digits)?;
    // "serial00" would be a second far end, and a second log, of the same device.
    let position: usize = digits.parse().ok().filter(|position: &usize| position.to_string() == digits)?;
    match kind {
        "serial" => devices.serials.get(position).or_else(|| serial_console(devices, position)),
        "parallel" => devices.parallels.get(position),
        "channel" => devices.channels.get(position),
        "console" => {
            let console = devices.consoles.get(position)?;
            let same = position == 0 && is_serial(console);
            devices.serials.first().filter(|_| same).or(Some(console))
        }
        _ => None,
    }
}

/// The device whose element has this alias. In a guest that has lost one it is not the one at that position.
pub(crate) fn told<'a>(devices: &'a Devices, alias: &str) -> Option<&'a Chardev> {
    let Devices { serials, parallels, channels, consoles, .. } = devices;
    let mut all = serials.iter().chain(parallels).chain(channels).chain(consoles);
    all.find(|device| given_alias::is_word(alias) && device.info.alias.as_deref() == Some(alias))
}

/// What the channel at this position among the channels of a running guest is called: as its element says, or by its position.
#[must_use]
pub fn channel_alias(channel: &Chardev, position: usize) -> String {
    let told = channel.info.alias.as_ref().filter(|alias| given_alias::is_word(alias));
    told.cloned().unwrap_or_else(|| format!("channel{position}"))
}

/// The aliases of the devices that a console can be attached to: those whose far end the host keeps. A console
/// that is the serial port under another name is left out.
#[must_use]
pub fn console_aliases(domain: &Document) -> Vec<String> {
    let Devices { serials, consoles, channels, parallels, .. } = &domain.devices;
    let of_kind = |kind: &str, devices: &[Chardev]| -> Vec<String> {
        let kept = |device: &Chardev| matches!(device.source.backend, CharBackend::Pty { .. });
        let found = devices.iter().enumerate().filter(|(_, device)| kept(device));
        found.map(|(position, _)| format!("{kind}{position}")).collect()
    };
    let mut aliases = of_kind("serial", serials);
    let same = consoles.first().is_some_and(is_serial) && !serials.is_empty();
    aliases.extend(of_kind("console", consoles).into_iter().filter(|alias| !same || alias != "console0"));
    aliases.extend(of_kind("parallel", parallels));
    let is_kept = |channel: &Chardev| matches!(channel.source.backend, CharBackend::Pty { .. });
    let kept = channels.iter().enumerate().filter(|(_, channel)| is_kept(channel));
    aliases.extend(kept.map(|(position, channel)| channel_alias(channel, position)));
    aliases
}

/// The document's word for where a device's bytes go.
pub(crate) fn word(backend: &CharBackend) -> &'static str {
    match backend {
        CharBackend::Null => "null",
        CharBackend::Vc => "vc",
        CharBackend::Stdio => "stdio",
        CharBackend::Pty { .. } => "pty",
        CharBackend::Dev { .. } => "dev",
        CharBackend::File { .. } => "file",
        CharBackend::Pipe { .. } => "pipe",
        CharBackend::Tcp { .. } => "tcp",
        CharBackend::Udp { .. } => "udp",
        CharBackend::Unix { .. } => "unix",
        CharBackend::SpiceVmc => "spicevmc",
        CharBackend::SpicePort { .. } => "spiceport",
        CharBackend::Nmdm { .. } => "nmdm",
        CharBackend::QemuVdagent { .. } => "qemu-vdagent",
        CharBackend::Dbus { .. } => "dbus",
    }
}

/// A document may give the serial port as a console only.
fn serial_console(devices: &Devices, position: usize) -> Option<&Chardev> {
    let console = devices.consoles.first().filter(|console| is_serial(console))?;
    (position == 0 && devices.serials.is_empty()).then_some(console)
}

fn is_serial(console: &Chardev) -> bool {
    console.target.kind.as_deref().is_none_or(|kind| kind == "serial")
}

/// A far end as the launcher knows it; nothing is opened. Back ends that are no far end of the host go by the
/// hypervisor's own names for them.
pub(crate) fn far_end(device: &Chardev) -> EndpointKind {
    let other = |backend: &str, pairs: &[(&str, &str)]| EndpointKind::Other {
        backend: backend.to_owned(),
        pairs: pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    };
    match &device.source.backend {
        CharBackend::Null => EndpointKind::Null,
        CharBackend::Pty { .. } => EndpointKind::Pty,
        CharBackend::File { path, append } => {
            EndpointKind::File { fd: None, append: *append, path: PathBuf::from(path) }
        }
        CharBackend::Unix { path, listen, reconnect } => EndpointKind::Unix {
            path: PathBuf::from(path.as_deref().unwrap_or_default()),
            listen: *listen,
            reconnect: reconnect
                .filter(|reconnect| reconnect.enabled)
                .and_then(|reconnect| reconnect.timeout_s),
        },
        CharBackend::Tcp { host, service, listen, protocol, reconnect, .. } => EndpointKind::Tcp {
            host: host.clone(),
            service: service.clone(),
            listen: *listen,
            telnet: matches!(protocol, TcpProtocol::Telnet | TcpProtocol::Telnets),
            reconnect: reconnect
                .filter(|reconnect| reconnect.enabled)
                .and_then(|reconnect| reconnect.timeout_s),
        },
        CharBackend::Udp { connect_host, connect_service, bind_host, bind_service } => EndpointKind::Udp {
            host: connect_host.clone(),
            service: connect_service.clone(),
            local_host: bind_host.clone(),
            local_service: bind_service.clone(),
        },
        CharBackend::Vc => other("vc", &[]),
        CharBackend::Stdio => other("stdio", &[]),
        CharBackend::Dev { path } if device.kind == ChardevKind::Parallel => {
            other("parallel", &[("path", path)])
        }
        CharBackend::Dev { path } => other("serial", &[("path", path)]),
        CharBackend::Pipe { path } => other("pipe", &[("path", path)]),
        CharBackend::SpiceVmc => other("spicevmc", &[]),
        CharBackend::SpicePort { channel } => other("spiceport", &[("channel", channel)]),
        CharBackend::Nmdm { master, slave } => other("nmdm", &[("master", master), ("slave", slave)]),
        CharBackend::QemuVdagent { .. } => other("qemu-vdagent", &[]),
        CharBackend::Dbus { channel } => other("dbus", &[("channel", channel)]),
    }
}

/// The same far end, with a descriptor of its own.
///
/// # Errors
/// When the process has no descriptor left.
pub(crate) fn duplicate(kind: &EndpointKind) -> io::Result<EndpointKind> {
    Ok(match kind {
        EndpointKind::Pty => EndpointKind::Pty,
        EndpointKind::Null => EndpointKind::Null,
        EndpointKind::File { fd, append, path } => EndpointKind::File {
            fd: fd.as_ref().map(OwnedFd::try_clone).transpose()?,
            append: *append,
            path: path.clone(),
        },
        EndpointKind::Unix { path, listen, reconnect } => {
            EndpointKind::Unix { path: path.clone(), listen: *listen, reconnect: *reconnect }
        }
        EndpointKind::Tcp { host, service, listen, telnet, reconnect } => EndpointKind::Tcp {
            host: host.clone(),
            service: service.clone(),
            listen: *listen,
            telnet: *telnet,
            reconnect: *reconnect,
        },
        EndpointKind::Udp { host, service, local_host, local_service } => EndpointKind::Udp {
            host: host.clone(),
            service: service.clone(),
            local_host: local_host.clone(),
            local_service: local_service.clone(),
        },
        EndpointKind::Other { backend, pairs } => {
            EndpointKind::Other { backend: backend.clone(), pairs: pairs.clone() }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aliases(devices: &str) -> Vec<String> {
        let xml = format!(
            "<domain type='kvm'><name>a</name><memory>1</memory><os><type>hvm</type></os><devices>{devices}</devices></domain>"
        );
        console_aliases(&Document::parse(&xml).unwrap())
    }

    #[test]
    fn device_has_one_alias() {
        let xml = "<domain type='kvm'><name>a</name><memory>1</memory><os><type>hvm</type></os>\
                   <devices><serial type='pty'/></devices></domain>";
        let document = Document::parse(xml).unwrap();
        assert!(find(&document.devices, "serial0").is_some());
        for other in ["serial00", "serial1", "serial", "serial0x", "Serial0", "0"] {
            assert!(find(&document.devices, other).is_none(), "{other}");
        }
    }

    #[test]
    fn channel_is_called_as_its_element_says() {
        let channel = |alias: &str| format!("<channel type='pty'><target type='virtio'/>{alias}</channel>");
        let devices = [channel("<alias name='channel2'/>"), channel("<alias name='ua-../x'/>")].concat();
        let xml = format!(
            "<domain type='kvm'><name>a</name><memory>1</memory><os><type>hvm</type></os><devices>{devices}</devices></domain>"
        );
        let document = Document::parse(&xml).unwrap();
        let channels = &document.devices.channels;
        assert_eq!(told(&document.devices, "channel2"), channels.first());
        assert_eq!(told(&document.devices, "ua-../x"), None, "no part of a path");
        assert_eq!(channel_alias(&channels[1], 1), "channel1");
        assert_eq!(aliases(&devices), ["channel2", "channel1"]);
    }

    #[test]
    fn consoles_are_the_devices_whose_far_end_the_host_keeps() {
        let devices = "<serial type='pty'/><serial type='null'/><console type='pty'/>\
                       <console type='pty'><target type='virtio'/></console>";
        assert_eq!(aliases(devices), ["serial0", "console1"]);
        assert_eq!(aliases("<console type='pty'/>"), ["console0"]);
        assert!(aliases("").is_empty());
    }
}
