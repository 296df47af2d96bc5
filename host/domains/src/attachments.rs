//! What the network interfaces of a document are connected to: looked up before a driver is asked for anything.

use hostler_domain::Domain;
use hostler_domain::interface::{Interface, InterfaceSource, PortForward};
use hostler_domain::network::ForwardMode;
use hostler_network::{Attachment, Attachments, ErrorKind, Forward, NetworkError};
use hostler_state::TenantRecord;

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::networks::{self, network_command};

/// Allows a tenant every network.
const EVERY: &str = "*";

impl Host {
    /// What the interfaces of a document are connected to. One that cannot be fails only who wants it.
    pub(crate) fn attachments(&self, xml: &str) -> Result<Attachments, Error> {
        let mut attachments = Attachments::default();
        // Many documents have none, and are not read for that.
        let Some(domain) = xml.contains("<interface").then(|| Domain::parse(xml).ok()).flatten() else {
            return Ok(attachments);
        };
        for (position, interface) in domain.devices.interfaces.iter().enumerate() {
            if let Some(found) = self.attachment(interface)? {
                attachments.insert(position, found);
            }
            for (at, forward) in interface.port_forwards.iter().enumerate().filter(|_| interface.is_passt()) {
                attachments.insert_forward(position, at, self.forward(forward));
            }
        }
        Ok(attachments)
    }

    fn attachment(&self, interface: &Interface) -> Result<Option<Result<Attachment, NetworkError>>, Error> {
        let joined = |bridge: Option<String>| Attachment {
            bridge,
            device: interface.target_dev.clone(),
            existing: interface.target_managed == Some(false),
            mac: interface.mac.map(|mac| mac.0),
            mtu: interface.mtu,
            queues: 1,
        };
        let found = match &interface.source {
            InterfaceSource::Network { network, .. } => {
                self.bridge_of(network)?.map(|bridge| joined(Some(bridge)))
            }
            InterfaceSource::Bridge { bridge } => {
                allowed(self.tenant(), "bridge", bridge, |tenant| &tenant.bridges)
                    .map(|()| joined(Some(bridge.clone())))
            }
            InterfaceSource::Ethernet => standing_alone(self.tenant()).map(|()| joined(None)),
            _ => return Ok(None),
        };
        Ok(Some(found.map(|found| match &interface.source {
            // Only a device that stands alone can be somebody else's.
            InterfaceSource::Ethernet => found,
            _ => Attachment { existing: false, ..found },
        })))
    }

    /// The ports of the host that lead to a guest. Those that others than the host's users reach are the operator's.
    fn forward(&self, forward: &PortForward) -> Result<Forward, NetworkError> {
        if let Some(tenant) = self.tenant().filter(|_| !hostler_network::is_local(forward)) {
            let message = format!(
                "the tenant '{}' may not have ports of this host that others than its users reach",
                tenant.name
            );
            return Err(NetworkError::new(ErrorKind::Denied, "tenant.network", message)
                .about("tenant", &tenant.name)
                .hint("write address='127.0.0.1' in <portForward>: ssh forwards it (ssh -L PORT:127.0.0.1:PORT HOST)")
                .hint("or use <interface type='network'> with a network that the operator allows"));
        }
        Forward::of(forward)
    }

    /// The bridge of a network, which is the operator's whoever asks.
    fn bridge_of(&self, name: &str) -> Result<Result<String, NetworkError>, Error> {
        if let Err(refused) = allowed(self.tenant(), "network", name, |tenant| &tenant.networks) {
            return Ok(Err(refused));
        }
        let operator = self.tenancy.as_ref().map(crate::tenants::Tenancy::operator).transpose()?;
        let state = operator.as_ref().map_or(self.state(), crate::host::Held::state);
        let found =
            networks::definition(state, name).and_then(|definition| networks::opened(state, definition));
        let network = match found {
            Ok(network) => network,
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::Invalid) => {
                return Ok(Err(converted(&error)));
            }
            Err(error) => return Err(error),
        };
        let Some(running) = &network.running else {
            let message = format!("the network '{name}' is not started");
            return Ok(Err(NetworkError::new(ErrorKind::Conflict, "network.inactive", message)
                .about("network", name)
                .hint_command("start it", network_command("start", name))
                .hint_command("have it started after each boot", network_command("autostart", name))));
        };
        Ok(match (running.mode(), &running.bridge.name) {
            (
                Some(
                    ForwardMode::Private
                    | ForwardMode::Vepa
                    | ForwardMode::Passthrough
                    | ForwardMode::Hostdev,
                ),
                _,
            )
            | (_, None) => Err(NetworkError::new(
                ErrorKind::Unsupported,
                "network.unsupported",
                format!(
                    "the network '{name}' has no bridge, and its interfaces are put on nothing else here"
                ),
            )
            .about("network", name)),
            (_, Some(bridge)) => Ok(bridge.clone()),
        })
    }
}

/// Refuses what the operator has not allowed a tenant. It is not told whether there is such a thing.
fn allowed(
    tenant: Option<&TenantRecord>,
    what: &'static str,
    name: &str,
    list: impl Fn(&TenantRecord) -> &Vec<String>,
) -> Result<(), NetworkError> {
    let Some(tenant) = tenant else { return Ok(()) };
    if list(tenant).iter().any(|known| known == name || (what == "network" && known == EVERY)) {
        return Ok(());
    }
    let message = format!("the tenant '{}' may not use the {what} '{}'", tenant.name, name.escape_debug());
    Err(NetworkError::new(ErrorKind::Denied, "tenant.network", message)
        .about("tenant", &tenant.name)
        .hint_command(
            "the operator can allow it",
            format!("hostler tenant allow {} --{what} {}", tenant.name, hostler_image::shell_quote(name)),
        )
        .hint("<interface type='user'> reaches the network without a device of the host"))
}

/// A device that stands alone is connected to whatever somebody does with it.
fn standing_alone(tenant: Option<&TenantRecord>) -> Result<(), NetworkError> {
    let Some(tenant) = tenant else { return Ok(()) };
    let message =
        "an interface of type 'ethernet' is a network device of the host, which tenants do not have";
    Err(NetworkError::new(ErrorKind::Denied, "tenant.network", message)
        .about("tenant", &tenant.name)
        .hint("use <interface type='network'> with a network that the operator allows"))
}

fn converted(error: &Error) -> NetworkError {
    let kind = if error.kind == Kind::NotFound { ErrorKind::NotFound } else { ErrorKind::Invalid };
    let code = if error.kind == Kind::NotFound { "network.not-found" } else { "network.unreadable" };
    error.hints.iter().fold(NetworkError::new(kind, code, error.to_string()), |converted, hint| {
        match &hint.command {
            Some(command) => converted.hint_command(&hint.text, command),
            None => converted.hint(&hint.text),
        }
    })
}
