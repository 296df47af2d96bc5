//! Networks as the verbs work with them: found by name, with their document and how far they have been made.

use hostler_domain::network::{ForwardMode, Network as Document};
use hostler_network::{NetworkPlan, find, namespace, start, stop};
use hostler_state::{NetworkActivity, NetworkDefinition, NetworkPhase, StateDir, Uuid, boot_id};

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::network_summary::NetworkSummary;
use crate::process;
use crate::reference::NetworkRef;

/// A network that was found.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) definition: NetworkDefinition,
    pub(crate) document: Document,
    /// What it was made from, where it has been made: a later definition counts from its next start.
    pub(crate) running: Option<Document>,
}

impl Network {
    pub(crate) fn is_active(&self) -> bool {
        self.running.is_some()
    }

    /// Refuses a network that is started.
    pub(crate) fn require_inactive(&self, why: &str) -> Result<(), Error> {
        if !self.is_active() {
            return Ok(());
        }
        let name = &self.definition.name;
        let message = format!("the network '{name}' is started; {why}");
        Err(Error::new(Kind::Conflict, "network.active", message)
            .about("network", name)
            .hint_command("stop it first", network_command("stop", name)))
    }

    /// What it is made of: as it was made, or else as it would be.
    pub(crate) fn plan(&self, state: &StateDir) -> Result<NetworkPlan, Error> {
        let document = self.running.as_ref().unwrap_or(&self.document);
        plan(document, self.definition.uuid, state)
    }

    pub(crate) fn summary(&self) -> NetworkSummary {
        let shown = self.running.as_ref().unwrap_or(&self.document);
        NetworkSummary {
            name: self.definition.name.clone(),
            uuid: self.definition.uuid,
            mode: shown.mode().map_or("isolated", ForwardMode::as_str).to_owned(),
            active: self.is_active(),
            persistent: self.definition.persistent,
            autostart: self.definition.autostart,
            bridge: shown.bridge.name.clone(),
            addresses: shown.ips.iter().map(|ip| format!("{}/{}", ip.address, ip.prefix)).collect(),
            problem: None,
        }
    }
}

/// What a network of this document is made of.
pub(crate) fn plan(document: &Document, uuid: Uuid, state: &StateDir) -> Result<NetworkPlan, Error> {
    Ok(NetworkPlan::of(document, &uuid.simple().to_string(), &state.network_dir(uuid))?)
}

/// The line about a network whose document cannot be read: stored by another version, perhaps.
pub(crate) fn unreadable(definition: &NetworkDefinition, problem: &Error) -> NetworkSummary {
    NetworkSummary {
        name: definition.name.clone(),
        uuid: definition.uuid,
        mode: "unknown".to_owned(),
        active: false,
        persistent: definition.persistent,
        autostart: definition.autostart,
        bridge: None,
        addresses: Vec::new(),
        problem: Some(format!("its document cannot be read: {problem}")),
    }
}

/// A network in this state directory, with what it was made from in this boot.
pub(crate) fn opened(state: &StateDir, definition: NetworkDefinition) -> Result<Network, Error> {
    let document = Document::parse(&definition.xml)?;
    let made = state.network_activity(definition.uuid)?.filter(|activity| activity.boot == boot_id());
    let running = made.filter(|activity| activity.phase == NetworkPhase::Active);
    let running = running.map(|activity| Document::parse(&activity.xml)).transpose()?;
    Ok(Network { definition, document, running })
}

/// The definition that is meant by a name or an identifier.
///
/// # Errors
/// [`Kind::NotFound`] with the nearest name.
pub(crate) fn definition(state: &StateDir, text: &str) -> Result<NetworkDefinition, Error> {
    let uuid = Uuid::parse_str(text).ok();
    let networks = state.networks()?;
    let found = networks.iter().find(|network| Some(network.uuid) == uuid);
    if let Some(found) = found.or_else(|| networks.iter().find(|network| network.name == text)) {
        return Ok(found.clone());
    }
    let message = format!("no network is called '{text}'");
    let error = Error::new(Kind::NotFound, "network.not-found", message).about("network", text);
    let names = networks.iter().map(|network| network.name.as_str());
    Err(match hostler_domain::nearest(text, names) {
        Some(near) => error.hint(format!("did you mean '{near}'?")),
        None => error.hint_command("see which there are", "hostler net list --all"),
    })
}

impl Host {
    /// The network that the user means.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the nearest name; [`Kind::Denied`] on behalf of a tenant: networks are the operator's.
    pub(crate) fn network(&self, wanted: &NetworkRef) -> Result<Network, Error> {
        self.require_network_operator()?;
        opened(self.state(), definition(self.state(), wanted.text())?)
    }

    /// Networks are the host's, and so the operator's.
    pub(crate) fn require_network_operator(&self) -> Result<(), Error> {
        let Some(tenant) = self.tenant() else { return Ok(()) };
        let message = "networks are the operator's to make, change and remove";
        Err(Error::new(Kind::Denied, "network.operator-only", message).about("tenant", &tenant.name).hint(
            "leave out --tenant; a tenant's domains may be connected to networks that the operator allows it",
        ))
    }

    /// Every network whose document can be read, by name.
    pub(crate) fn networks(&self) -> Result<Vec<Network>, Error> {
        let mut networks = Vec::new();
        for definition in self.state().networks()? {
            let name = definition.name.clone();
            match opened(self.state(), definition) {
                Ok(network) => networks.push(network),
                Err(error) => {
                    tracing::warn!(network = name, %error, "the document of a network cannot be read")
                }
            }
        }
        Ok(networks)
    }

    /// Refuses to work on a network from elsewhere than where it was made.
    pub(crate) fn require_here(&self, network: &Network) -> Result<(), Error> {
        let noted = self.state().network_activity(network.definition.uuid)?;
        let (name, here) = (&network.definition.name, namespace()?);
        match noted.filter(|activity| network.is_active() && activity.namespace != here) {
            None => Ok(()),
            Some(activity) => {
                let message = format!("the network '{name}' was started in another network namespace");
                Err(Error::new(Kind::Conflict, "network.elsewhere", message).about("network", name).hint(
                    format!(
                        "run this where it was started: in net:[{}], and this is net:[{here}]",
                        activity.namespace
                    ),
                ))
            }
        }
    }

    /// Notes how far a network has come.
    pub(crate) fn note_phase(&self, network: Uuid, phase: NetworkPhase, xml: String) -> Result<(), Error> {
        let activity = NetworkActivity { boot: boot_id(), namespace: namespace()?, phase, xml };
        Ok(self.owner()?.put_network_activity(network, &activity)?)
    }

    /// Makes a network, or leaves nothing of it. What is noted comes first: whoever is killed in between is followed by
    /// somebody who takes away what there is.
    pub(crate) async fn make_network(&self, uuid: Uuid, document: &Document) -> Result<(), Error> {
        let xml = document.to_xml();
        if document.mode() == Some(ForwardMode::Bridge) && document.bridge.name.is_some() {
            // It is the host's bridge: nothing is made, and whether it is there is seen when a guest is connected.
            return self.note_phase(uuid, NetworkPhase::Active, xml);
        }
        let plan = plan(document, uuid, self.state())?;
        self.note_phase(uuid, NetworkPhase::Starting, xml.clone())?;
        let made = {
            let plan = plan.clone();
            process::blocking(move || start(&plan)).await?
        };
        match made {
            Ok(()) => self.note_phase(uuid, NetworkPhase::Active, xml),
            Err(error) => {
                let error = Error::from(error);
                match process::blocking(move || stop(&plan)).await? {
                    Ok(()) => self.note_phase(uuid, NetworkPhase::Stopped, xml)?,
                    // With its phase as it is the next owner tries again.
                    Err(left) => return Err(error.hint(format!("not all of it could be taken away: {left}"))),
                }
                Err(error)
            }
        }
    }

    /// Takes a network away.
    pub(crate) async fn unmake_network(&self, uuid: Uuid, document: &Document) -> Result<(), Error> {
        let (xml, plan) = (document.to_xml(), plan(document, uuid, self.state())?);
        self.note_phase(uuid, NetworkPhase::Stopping, xml.clone())?;
        process::blocking(move || stop(&plan)).await??;
        self.note_phase(uuid, NetworkPhase::Stopped, xml)
    }

    /// What every owner does: finishes what an owner before it was killed in, makes whole again what is not, and starts
    /// after a boot what is to be started. What fails is told, and tried again by the next owner.
    pub(crate) async fn settle_networks(&self) -> Result<(), Error> {
        for definition in self.state().networks()? {
            let name = definition.name.clone();
            if let Err(error) = self.settle_network(definition).await {
                tracing::warn!(network = name, %error, "the network is not what it is to be; the next command tries again");
            }
        }
        Ok(())
    }

    /// Forgets a network that is not started any more, if it was there for that long only.
    pub(crate) fn forget_transient(&self, definition: &NetworkDefinition) -> Result<(), Error> {
        match definition.persistent {
            true => Ok(()),
            false => Ok(self.owner()?.remove_network(definition.uuid)?),
        }
    }

    async fn settle_network(&self, definition: NetworkDefinition) -> Result<(), Error> {
        let noted = self.state().network_activity(definition.uuid)?;
        let Some(activity) = noted.filter(|activity| activity.boot == boot_id()) else {
            return match (definition.persistent, definition.autostart) {
                (false, _) => Ok(self.owner()?.remove_network(definition.uuid)?),
                (true, true) => self.make_network(definition.uuid, &Document::parse(&definition.xml)?).await,
                (true, false) => Ok(()),
            };
        };
        if activity.namespace != namespace()? {
            // What it is made of is elsewhere, and nothing of it is looked for or made here.
            return Ok(());
        }
        match activity.phase {
            NetworkPhase::Stopped => self.forget_transient(&definition),
            NetworkPhase::Starting | NetworkPhase::Stopping => {
                self.unmake_network(definition.uuid, &Document::parse(&activity.xml)?).await?;
                self.forget_transient(&definition)
            }
            NetworkPhase::Active => {
                let document = Document::parse(&activity.xml)?;
                if !document.makes_bridge() {
                    return Ok(());
                }
                let plan = plan(&document, definition.uuid, self.state())?;
                let made_anew = process::blocking(move || match find(&plan) {
                    Ok(found) if found.is_whole() => Ok(false),
                    Ok(_) => {
                        tracing::warn!(
                            network = plan.name,
                            "a part of the network was gone, and is made anew"
                        );
                        start(&plan).map(|()| true)
                    }
                    Err(error) => Err(error),
                })
                .await??;
                if made_anew {
                    self.rejoin(&opened(self.state(), definition)?).await;
                }
                Ok(())
            }
        }
    }
}

/// A command about a network that can be pasted.
pub(crate) fn network_command(verb: &str, network: &str) -> String {
    format!("hostler net {verb} {}", hostler_image::shell_quote(network))
}
