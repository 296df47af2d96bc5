//! Guests on their way, for clients that move them in steps: those that are waited for, between the call that prepares for
//! one and the call that takes it, and those that are being sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hostler_domains::{MigrationListener, Started};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use crate::failure;
use crate::server::Server;

/// How long a guest that was prepared for may take to be offered. Its sender is told to offer it at once.
const OFFER_WAIT: Duration = Duration::from_secs(60);
/// Most guests that are waited for at once.
const WAITED_FOR: usize = 64;

/// What came of one.
type Outcome = Result<Started, RpcError>;

/// A guest that is waited for.
pub(crate) struct Arrival {
    outcome: oneshot::Receiver<Outcome>,
    unwanted: Arc<Notify>,
}

impl Arrival {
    /// Returns when the guest is here, or will not come.
    pub(crate) async fn outcome(self) -> Outcome {
        self.outcome.await.unwrap_or_else(|_| Err(failed("the daemon stopped waiting for it")))
    }

    /// Says that nobody sends it. One that is here already, or on its way, comes all the same.
    pub(crate) fn give_up(&self) {
        self.unwanted.notify_one();
    }

    fn is_over(&mut self) -> bool {
        !matches!(self.outcome.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }
}

/// The guests that are waited for, by the names of their domains.
#[derive(Default)]
pub(crate) struct Arrivals(Mutex<HashMap<String, Arrival>>);

impl Arrivals {
    fn known(&self) -> MutexGuard<'_, HashMap<String, Arrival>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one, in the place of one of that name whose outcome nobody has asked for.
    fn add(&self, name: &str, arrival: Arrival) -> Result<(), RpcError> {
        let mut known = self.known();
        if known.get_mut(name).is_some_and(|known| !known.is_over()) {
            return Err(busy(&format!("a guest of the name '{name}' is waited for already")));
        }
        if known.len() >= WAITED_FOR {
            // Outcomes are kept for whoever asks, as long as there is room.
            known.retain(|_, arrival| !arrival.is_over());
        }
        if known.len() >= WAITED_FOR {
            return Err(busy(&format!("{WAITED_FOR} guests are waited for already")));
        }
        known.insert(name.to_owned(), arrival);
        Ok(())
    }

    /// The one of this name. Whoever has it is told what comes of it.
    pub(crate) fn take(&self, name: &str) -> Option<Arrival> {
        self.known().remove(name)
    }
}

/// Begins to wait for a guest of this name, and takes it when it comes.
///
/// # Errors
/// That one of that name is waited for already, or too many are.
pub(crate) fn expect(server: &Arc<Server>, name: &str, listener: MigrationListener) -> Result<(), RpcError> {
    let (told, outcome) = oneshot::channel();
    let unwanted = Arc::new(Notify::new());
    server.arrivals.add(name, Arrival { outcome, unwanted: Arc::clone(&unwanted) })?;
    let (waiting, name) = (Arc::clone(server), name.to_owned());
    server.work(async move {
        let came = arrive(&waiting, &name, &listener, &unwanted).await;
        if let Err(Err(error)) = told.send(came) {
            tracing::info!(
                domain = name,
                error = error.message,
                "a guest that nobody asks for any more did not come"
            );
        }
    });
    Ok(())
}

async fn arrive(server: &Server, name: &str, listener: &MigrationListener, unwanted: &Notify) -> Outcome {
    let offered = tokio::select! {
        offered = listener.offered(OFFER_WAIT) => offered.map_err(|error| failure::of_domain(&error))?,
        () = unwanted.notified() => return Err(failed("its sender does not send it")),
        () = server.stopping() => return Err(failed("the daemon ends")),
    };
    if offered.name() != name {
        let why = format!("another guest is waited for here: '{name}'");
        offered.refuse(&why).await;
        return Err(failed("another guest was offered in its place"));
    }
    server.host.receive(offered, listener).await.map_err(|error| failure::of_domain(&error))
}

fn failed(why: &str) -> RpcError {
    RpcError::new(codes::ERR_OPERATION_FAILED, codes::FROM_QEMU, format!("the guest did not come: {why}"))
}

fn busy(why: &str) -> RpcError {
    RpcError::new(codes::ERR_OPERATION_INVALID, codes::FROM_QEMU, why)
}

/// The guests that are being sent, by their domains, and whether that is to be given up.
#[derive(Default)]
pub(crate) struct Departures(Mutex<HashMap<Uuid, Arc<AtomicBool>>>);

/// One of them, as long as it is being sent.
pub(crate) struct Departure<'a> {
    departures: &'a Departures,
    domain: Uuid,
    given_up: Arc<AtomicBool>,
}

impl Departures {
    fn known(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<AtomicBool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A guest begins to be sent, by whoever has the turn to change its domain.
    pub(crate) fn begin(&self, domain: Uuid) -> Departure<'_> {
        let given_up = Arc::default();
        self.known().insert(domain, Arc::clone(&given_up));
        Departure { departures: self, domain, given_up }
    }

    /// Has a guest stay, if it is being sent. Whether it is.
    pub(crate) fn give_up(&self, domain: Uuid) -> bool {
        self.known().get(&domain).inspect(|given_up| given_up.store(true, Ordering::Relaxed)).is_some()
    }
}

impl Departure<'_> {
    /// Whether it is to be given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        self.departures.known().remove(&self.domain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_being_sent_is_given_up() {
        let (departures, domain) = (Departures::default(), Uuid::from_u128(1));
        assert!(!departures.give_up(domain));
        let departure = departures.begin(domain);
        assert!(!departure.is_given_up());
        assert!(departures.give_up(domain) && departure.is_given_up());
        drop(departure);
        assert!(!departures.give_up(domain));
    }

    fn arrival() -> (oneshot::Sender<Outcome>, Arrival) {
        let (told, outcome) = oneshot::channel();
        (told, Arrival { outcome, unwanted: Arc::default() })
    }

    #[tokio::test]
    async fn outcome_is_there_for_whoever_asks_also_when_another_guest_is_waited_for_meanwhile() {
        let arrivals = Arrivals::default();
        let (told, first) = arrival();
        arrivals.add("a", first).unwrap();
        assert_eq!(arrivals.add("a", arrival().1).unwrap_err().code, codes::ERR_OPERATION_INVALID);
        told.send(Err(failed("this is why"))).unwrap();
        let (_waiting, second) = arrival();
        arrivals.add("b", second).unwrap();
        let outcome = arrivals.take("a").unwrap().outcome().await;
        assert!(outcome.unwrap_err().message.contains("this is why"));
    }

    #[test]
    fn only_so_many_are_waited_for_and_one_of_the_same_name_takes_the_place_of_one_that_is_over() {
        let arrivals = Arrivals::default();
        let waiting: Vec<_> = (0..WAITED_FOR)
            .map(|number| {
                let (told, arrival) = arrival();
                arrivals.add(&number.to_string(), arrival).unwrap();
                told
            })
            .collect();
        assert_eq!(arrivals.add("more", arrival().1).unwrap_err().code, codes::ERR_OPERATION_INVALID);
        drop(waiting);
        arrivals.add("0", arrival().1).unwrap();
        arrivals.add("more", arrival().1).unwrap();
        assert!(arrivals.take("more").is_some());
    }

    #[tokio::test]
    async fn arrival_is_over_once_it_is_told_and_tells_that_nobody_waits() {
        let (told, mut known) = arrival();
        assert!(!known.is_over());
        drop(told);
        assert!(known.is_over());
        let (_, arrival) = arrival();
        assert_eq!(arrival.outcome().await.unwrap_err().code, codes::ERR_OPERATION_FAILED);
    }
}
