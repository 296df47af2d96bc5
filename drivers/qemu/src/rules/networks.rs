//! Network interfaces.

use hostler_sdk::domain::interface::{GuestIp, Interface, InterfaceSource, Teaming};

use super::{Broken, Rule, Subject, broken};

pub(super) const RULES: &[Rule] = &[queues, members, places, teams, passt];

fn is_virtio(interface: &Interface) -> bool {
    interface.model.as_deref().is_some_and(|model| model.starts_with("virtio"))
}

fn queues(subject: &Subject<'_>) -> Option<Broken> {
    subject.domain.devices.interfaces.iter().find_map(|interface| {
        let sizes = [interface.driver.rx_queue_size, interface.driver.tx_queue_size];
        let uneven = sizes.into_iter().flatten().find(|size| !size.is_power_of_two())?;
        let what = format!("a queue has {uneven} places, which is no power of two");
        broken(
            subject.within(interface.node, "driver"),
            "qemu.net-queue-size",
            what,
            "write 256, 512 or 1024",
        )
    })
}

fn members(subject: &Subject<'_>) -> Option<Broken> {
    subject.domain.devices.interfaces.iter().find_map(|interface| {
        let user_mode = matches!(interface.source, InterfaceSource::User { .. });
        let (child, what, remedy) = if user_mode && interface.script.is_some() {
            ("script", "an interface of type 'user' runs no script", "remove <script>")
        } else if interface.mtu.is_some_and(|mtu| mtu == 0) {
            ("mtu", "an interface cannot have an MTU of 0", "write size='1500', or remove <mtu>")
        } else if interface.model.is_some()
            && !is_virtio(interface)
            && (interface.driver.rss == Some(true) || interface.driver.rss_hash_report == Some(true))
        {
            (
                "driver",
                "only interfaces of model 'virtio' spread packets over queues",
                "write model type='virtio'",
            )
        } else {
            return None;
        };
        broken(subject.within(interface.node, child), "qemu.net", what, remedy)
    })
}

/// What an interface can be told depends on what is behind it.
fn places(subject: &Subject<'_>) -> Option<Broken> {
    use InterfaceSource::{Bridge, Ethernet, Network, User, Vdpa, VhostUser};
    let document = subject.document();
    subject.domain.devices.interfaces.iter().find_map(|interface| {
        let source = &interface.source;
        let switched = matches!(source, Network { .. } | Bridge { .. });
        let told = |child: &str| document.child(interface.node, child).is_some();
        let addressed = matches!(source, User { .. } | Vdpa { .. });
        let virtio = interface.model.is_none() || is_virtio(interface);
        let unnamed = interface.model.is_none();
        let (child, what, remedy) = if interface.mtu.is_some()
            && !(switched || matches!(source, Ethernet | VhostUser { .. }))
        {
            ("mtu", "the MTU of an interface of this type is not the guest's to be told", "remove <mtu>")
        } else if interface.coalesce_rx_frames.is_some() && !switched {
            ("coalesce", "an interface of this type gathers no packets", "remove <coalesce>")
        } else if interface.port_isolated.is_some() && !switched {
            ("port", "only a port of a bridge can be isolated", "remove <port>")
        } else if (told("route") && !matches!(source, Vdpa { .. }))
            || (!interface.ips.is_empty() && !addressed)
        {
            let child = if told("route") { "route" } else { "ip" };
            (child, "QEMU gives the guest no addresses and routes", "remove <ip> and <route>")
        } else if matches!(source, VhostUser { .. }) && (unnamed || !virtio) {
            ("model", "an interface of type 'vhostuser' is of model 'virtio'", "write model type='virtio'")
        } else {
            return None;
        };
        broken(subject.within(interface.node, child), "qemu.net", what, remedy)
    })
}

fn teams(subject: &Subject<'_>) -> Option<Broken> {
    let interfaces = &subject.domain.devices.interfaces;
    interfaces.iter().find_map(|interface| {
        let what = match interface.teaming.as_ref()? {
            Teaming::Persistent if interface.model.is_some() && !is_virtio(interface) => {
                "the lasting interface of a team is of model 'virtio'"
            }
            Teaming::Transient { persistent } => {
                let named = |other: &Interface| other.info.alias.as_deref() == Some(persistent.as_str());
                if interfaces.iter().any(named) {
                    return None;
                }
                "the interface belongs to a team with an alias that no other interface has"
            }
            Teaming::Persistent => return None,
        };
        broken(
            subject.within(interface.node, "teaming"),
            "qemu.net-team",
            what,
            "correct <model>, or the alias in <teaming>",
        )
    })
}

/// What only passt does, and what it cannot.
fn passt(subject: &Subject<'_>) -> Option<Broken> {
    subject.domain.devices.interfaces.iter().find_map(|interface| {
        let InterfaceSource::User { dev } = &interface.source else { return None };
        let (child, what, remedy) = if interface.is_passt() {
            let count = |six: bool| interface.ips.iter().filter(|ip| ip.is_ipv6() == six).count();
            let long = |ip: &GuestIp| ip.is_ipv6() && ip.prefix.is_some();
            if count(false) > 1 || count(true) > 1 {
                ("ip", "passt gives a guest one address of each family", "leave one <ip> of each family")
            } else if interface.ips.iter().any(long) {
                (
                    "ip",
                    "passt chooses the prefix of an IPv6 address itself",
                    "leave 'prefix' of that <ip> out",
                )
            } else {
                return None;
            }
        } else if dev.is_some() {
            (
                "source",
                "only passt takes its addresses from one device of the host",
                "write <backend type='passt'/>",
            )
        } else if !interface.port_forwards.is_empty() {
            (
                "portForward",
                "only passt has ports of the host lead to the guest",
                "write <backend type='passt'/>",
            )
        } else if interface.backend_log.is_some() {
            ("backend", "only passt writes a log", "remove 'logFile'")
        } else {
            return None;
        };
        broken(subject.within(interface.node, child), "qemu.net-passt", what, remedy)
    })
}
