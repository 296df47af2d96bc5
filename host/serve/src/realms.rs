//! The tenants that are served, each with a state directory, turns and listeners to events of its own. One is opened when
//! somebody comes for it, or when something of it runs, and stays.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostler_domains::ServedTenant;
use tokio::sync::Mutex as Turn;

use crate::events::{self, Following};
use crate::server::{ServeError, Server};

/// How long a daemon waits for a command that holds the state directory.
const OWNER_WAIT: Duration = Duration::from_secs(30);

/// The tenants that are served.
#[derive(Default)]
pub(crate) struct Realms {
    /// A turn for each: nobody waits for another tenant to be opened.
    turns: Mutex<HashMap<String, Arc<Turn<Option<Realm>>>>>,
}

/// One that is open.
struct Realm {
    /// What of its record was so when it was opened. Limits and drivers come with it.
    tenant: ServedTenant,
    server: Arc<Server>,
    following: Following,
}

impl Realm {
    /// Ends its connections and lets its state directory go.
    async fn end(self) {
        if let Err(error) = self.server.host.withdraw() {
            tracing::warn!(tenant = self.tenant.name(), %error, "a tenant's directory is said to be held");
        }
        self.server.end().await;
        self.following.end();
    }
}

impl Realms {
    fn turn(&self, name: &str) -> Arc<Turn<Option<Realm>>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(name.to_owned()).or_default())
    }

    /// What is served to a tenant. One whose record has changed since is opened anew, and who is connected has to come again:
    /// what a tenant may is fixed when it is opened.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) async fn of(
        &self,
        operator: &Server,
        tenant: &ServedTenant,
    ) -> Result<Arc<Server>, ServeError> {
        let turn = self.turn(tenant.name());
        let mut realm = turn.lock().await;
        if let Some(realm) = realm.as_ref().filter(|realm| realm.tenant == *tenant) {
            return Ok(Arc::clone(&realm.server));
        }
        if let Some(old) = realm.take() {
            old.end().await;
        }
        let host = operator.host.open_tenant(tenant, OWNER_WAIT).await?;
        if let Some(address) = &operator.shared.address {
            host.announce(&format!("{address}&tenant={}", tenant.name()))?;
        }
        let server = Arc::new(Server::new(host, operator.shared.clone()));
        let following = events::follow(&server)?;
        tracing::info!(tenant = tenant.name(), "serving a tenant");
        *realm = Some(Realm { tenant: tenant.clone(), server: Arc::clone(&server), following });
        Ok(server)
    }

    /// Opens those of which something runs, or is to be started after a boot. One that cannot be opened keeps none of the
    /// others from it.
    pub(crate) async fn open_those_at_work(&self, operator: &Server) {
        let tenants = operator.host.served_tenants().unwrap_or_else(|error| {
            tracing::error!(%error, "which tenants there are cannot be found out");
            Vec::new()
        });
        for tenant in tenants {
            let opened = match operator.host.tenant_is_at_work(&tenant) {
                Ok(false) => continue,
                Ok(true) => self.of(operator, &tenant).await.map(drop),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = opened {
                tracing::error!(tenant = tenant.name(), %error, "a tenant of which something runs is not looked after");
            }
        }
    }

    /// Ends one of them, if it is open.
    pub(crate) async fn release(&self, name: &str) {
        let turn = self.turn(name);
        let realm = turn.lock().await.take();
        if let Some(realm) = realm {
            realm.end().await;
        }
    }

    /// Ends all of them.
    pub(crate) async fn end(&self) {
        let turns = std::mem::take(&mut *self.turns.lock().unwrap_or_else(PoisonError::into_inner));
        let ending = turns.into_values().map(|turn| async move {
            if let Some(realm) = turn.lock().await.take() {
                realm.end().await;
            }
        });
        let mut tasks: tokio::task::JoinSet<()> = ending.collect();
        while tasks.join_next().await.is_some() {}
    }
}
