//! What happens to networks, pools and secrets. Whoever changes one tells of it: no other process changes any while the daemon has
//! the state directory, and no log has them.

use hostler_rpc::procedure::EventContent as _;
use hostler_rpc::wire::{
    NetworkEventCallbackMetadataChange, NetworkEventLifecycle, NetworkHandle, SecretEventLifecycle,
    SecretEventValueChanged, SecretHandle, StoragePoolEventLifecycle, StoragePoolEventRefresh,
    StoragePoolHandle,
};
use hostler_rpc::xdr::{EncodeError, Xdr, encode};
use uuid::Uuid;

use super::Hub;
use crate::access::object::Object;
use crate::client::Client;

/// What a client wants to be told of: a kind of thing, and the number of an event among those of that kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Domain(i32),
    Network(i32),
    Pool(i32),
    Secret(i32),
    /// Something that is asked for and does not happen here: nobody is ever told of it.
    Never,
}

/// Events of each kind, as clients ask for them: the first is of its life.
pub(crate) mod kind {
    pub(crate) const LIFECYCLE: i32 = 0;
    /// What is written about a network has changed.
    pub(crate) const METADATA: i32 = 1;
    /// A pool was looked at anew.
    pub(crate) const REFRESH: i32 = 1;
    /// A secret has another value.
    pub(crate) const VALUE: i32 = 1;
    /// The last of each kind.
    pub(crate) const LAST: i32 = 1;
}

/// Steps of a life, as clients know them by number; networks have the first four, secrets the first two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Defined = 0,
    Undefined = 1,
    Started = 2,
    Stopped = 3,
    Created = 4,
    Deleted = 5,
}

/// Something that has happened, ready to be told.
#[derive(Debug)]
pub(crate) struct Happening {
    pub(super) topic: Topic,
    pub(super) about: Uuid,
    /// Its name; of a secret, what it is for.
    called: String,
    /// The number of the message.
    pub(super) procedure: i32,
    /// The message, without the number that it is wanted under.
    pub(super) content: Vec<u8>,
}

impl Happening {
    fn new(
        topic: Topic,
        (about, called): ([u8; 16], &str),
        procedure: i32,
        content: Result<Vec<u8>, EncodeError>,
    ) -> Option<Self> {
        if let Err(error) = &content {
            tracing::error!(procedure, %error, "an event cannot be told");
        }
        let about = Uuid::from_bytes(about);
        Some(Self { topic, about, called: called.to_owned(), procedure, content: content.ok()? })
    }

    /// Whether a client may be told: it may if it may be shown what this is about.
    fn is_shown_to(&self, client: &Client) -> bool {
        let named = Object::named(&self.called, Some(self.about));
        match self.topic {
            Topic::Network(_) => client.sees("network.getattr", &named),
            Topic::Pool(_) => client.sees("storage_pool.getattr", &named),
            Topic::Secret(_) => client.sees("secret.getattr", &Object::secret(self.about, &self.called)),
            // Domains are told of from the log; and of the others there is nothing to tell.
            Topic::Domain(_) | Topic::Never => false,
        }
    }

    fn of_network(network: &NetworkHandle, step: Step) -> Option<Self> {
        let topic = Topic::Network(kind::LIFECYCLE);
        let content = followed(network, &(step as i32, 0));
        Self::new(topic, (network.uuid, &network.name), NetworkEventLifecycle::NUMBER, content)
    }

    fn of_pool(pool: &StoragePoolHandle, step: Step) -> Option<Self> {
        let topic = Topic::Pool(kind::LIFECYCLE);
        let content = followed(pool, &(step as i32, 0));
        Self::new(topic, (pool.uuid, &pool.name), StoragePoolEventLifecycle::NUMBER, content)
    }

    fn of_secret(secret: &SecretHandle, step: Step) -> Option<Self> {
        let topic = Topic::Secret(kind::LIFECYCLE);
        let content = followed(secret, &(step as i32, 0));
        Self::new(topic, (secret.uuid, &secret.usage_id), SecretEventLifecycle::NUMBER, content)
    }
}

/// One value behind another.
fn followed(first: &impl Xdr, second: &impl Xdr) -> Result<Vec<u8>, EncodeError> {
    let mut content = encode(first)?;
    content.extend(encode(second)?);
    Ok(content)
}

impl Hub {
    /// Tells of a step in the life of a network.
    pub(crate) fn network(&self, network: &NetworkHandle, step: Step) {
        self.tell(Happening::of_network(network, step));
    }

    /// Tells that what is written about a network has changed.
    pub(crate) fn network_metadata(&self, network: &NetworkHandle, r#type: i32, uri: Option<String>) {
        let procedure = NetworkEventCallbackMetadataChange::NUMBER;
        let content = followed(network, &(r#type, uri));
        self.tell(Happening::new(
            Topic::Network(kind::METADATA),
            (network.uuid, &network.name),
            procedure,
            content,
        ));
    }

    /// Tells of a step in the life of a pool.
    pub(crate) fn pool(&self, pool: &StoragePoolHandle, step: Step) {
        self.tell(Happening::of_pool(pool, step));
    }

    /// Tells that a pool was looked at anew.
    pub(crate) fn pool_refreshed(&self, pool: &StoragePoolHandle) {
        let topic = Topic::Pool(kind::REFRESH);
        let what = (pool.uuid, pool.name.as_str());
        self.tell(Happening::new(topic, what, StoragePoolEventRefresh::NUMBER, encode(pool)));
    }

    /// Tells of a step in the life of a secret.
    pub(crate) fn secret(&self, secret: &SecretHandle, step: Step) {
        self.tell(Happening::of_secret(secret, step));
    }

    /// Tells that a secret has another value.
    pub(crate) fn secret_value(&self, secret: &SecretHandle) {
        let topic = Topic::Secret(kind::VALUE);
        let what = (secret.uuid, secret.usage_id.as_str());
        self.tell(Happening::new(topic, what, SecretEventValueChanged::NUMBER, encode(secret)));
    }

    fn tell(&self, happening: Option<Happening>) {
        let Some(happening) = happening else { return };
        for client in self.clients().iter().filter(|client| happening.is_shown_to(client)) {
            client.callbacks.tell_of(client, &happening);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_what_the_tables_say_but_for_their_number() {
        let whole = |happening: Option<Happening>| {
            let happening = happening.unwrap();
            ([9_i32.to_be_bytes().to_vec(), happening.content].concat(), happening.topic)
        };
        let network = NetworkHandle { name: "n".to_owned(), uuid: [1; 16] };
        let (bytes, topic) = whole(Happening::of_network(&network, Step::Stopped));
        let read: NetworkEventLifecycle = hostler_rpc::xdr::decode(&bytes).unwrap();
        assert_eq!((read.callback_id, read.net, read.event, read.detail), (9, network, 3, 0));
        assert_eq!(topic, Topic::Network(0));
        let pool = StoragePoolHandle { name: "p".to_owned(), uuid: [2; 16] };
        let (bytes, topic) = whole(Happening::of_pool(&pool, Step::Deleted));
        let read: StoragePoolEventLifecycle = hostler_rpc::xdr::decode(&bytes).unwrap();
        assert_eq!((read.pool, read.event, topic), (pool, 5, Topic::Pool(0)));
        let secret = SecretHandle { uuid: [3; 16], usage_type: 1, usage_id: "/v".to_owned() };
        let (bytes, topic) = whole(Happening::of_secret(&secret, Step::Undefined));
        let read: SecretEventLifecycle = hostler_rpc::xdr::decode(&bytes).unwrap();
        assert_eq!((read.secret, read.event, topic), (secret, 1, Topic::Secret(0)));
    }
}
