//! What this daemon counts, in the text format of OpenMetrics.

mod endpoint;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use hostler_domains::{DriverStats, Host};
use hostler_rpc::procedure::Priority;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use thiserror::Error;

pub(crate) use endpoint::{Endpoint, serve};

/// Bounds of the times of calls, in seconds: from what is answered from memory to what a guest takes for its shutdown.
const CALL_SECONDS: [f64; 10] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0];
/// What a call is counted as that no procedure stands for: names that clients make up are not to fill a memory.
const UNKNOWN: &str = "unknown";

/// Labels of what happens often: nothing is allocated for them.
type Words<const N: usize> = [(&'static str, &'static str); N];
type Labels<const N: usize> = [(&'static str, String); N];
type Seconds = Counter<f64, AtomicU64>;

/// What goes on in the protocol.
pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<Words<2>, Counter>,
    call_seconds: Family<Words<1>, Histogram>,
    clients: Gauge,
    turned_away: Counter,
    events: Family<Labels<1>, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let calls = Family::default();
        let call_seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        let (clients, turned_away, events) = (Gauge::default(), Counter::default(), Family::default());
        let mut registry = Registry::with_prefix("hostler");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What this daemon is", version);
        registry.register("rpc_calls", "Calls of clients, by procedure and outcome", Family::clone(&calls));
        registry.register_with_unit(
            "rpc_call",
            "Time from a call to its answer, by whether it may wait for a hypervisor",
            Unit::Seconds,
            Family::clone(&call_seconds),
        );
        registry.register("rpc_clients", "Clients that are connected", Gauge::clone(&clients));
        let about = "Clients that were turned away because there were too many";
        registry.register("rpc_clients_turned_away", about, Counter::clone(&turned_away));
        registry.register("events", "Events of domains, by kind", Family::clone(&events));
        Self { registry, calls, call_seconds, clients, turned_away, events }
    }
}

fn histogram() -> Histogram {
    Histogram::new(CALL_SECONDS)
}

impl Metrics {
    /// A call was answered.
    pub(crate) fn called(&self, call: Option<(&'static str, Priority)>, good: bool, took: Duration) {
        let name = call.map_or(UNKNOWN, |(name, _)| name);
        let outcome = if good { "good" } else { "failed" };
        self.calls.get_or_create(&[("procedure", name), ("outcome", outcome)]).inc();
        if let Some((_, priority)) = call {
            let waits = if priority == Priority::Low { "yes" } else { "no" };
            self.call_seconds.get_or_create(&[("may_wait", waits)]).observe(took.as_secs_f64());
        }
    }

    /// A client has come; it goes when this is dropped.
    pub(crate) fn connected(&self) -> Connected {
        self.clients.inc();
        Connected(Gauge::clone(&self.clients))
    }

    /// A client was turned away.
    pub(crate) fn turned_away(&self) {
        self.turned_away.inc();
    }

    /// Something has happened to a domain.
    pub(crate) fn happened(&self, kind: &str) {
        self.events.get_or_create(&[("kind", kind.to_owned())]).inc();
    }

    /// All of it, with how things stand at this moment.
    ///
    /// # Errors
    /// When the state directory cannot be read.
    async fn text(&self, host: &Host) -> Result<String, Unreadable> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &standing(host).await?)?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

/// One client, as it is counted.
pub(crate) struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Why there are no figures.
#[derive(Debug, Error)]
enum Unreadable {
    #[error(transparent)]
    State(#[from] hostler_domains::Error),
    #[error("the figures cannot be written")]
    Text(#[from] fmt::Error),
}

/// Domains and drivers, as the state directory has them. No hypervisor is asked: one that hangs is not to hold this up.
async fn standing(host: &Host) -> Result<Registry, Unreadable> {
    let domains = host.identities().await?;
    let running = domains.iter().filter(|domain| domain.run_number.is_some()).count();
    let mut registry = Registry::with_prefix("hostler");
    let states = Family::<Words<1>, Gauge>::default();
    registry.register("domains", "Domains, by whether they run", Family::clone(&states));
    for (state, count) in [("running", running), ("off", domains.len() - running)] {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        states.get_or_create(&[("state", state)]).set(count);
    }
    drivers(&mut registry, host.driver_stats_now()?);
    Ok(registry)
}

fn drivers(registry: &mut Registry, all: Vec<DriverStats>) {
    let operations = Family::<Labels<3>, Counter>::default();
    let operation_seconds = Family::<Labels<2>, Seconds>::default();
    let cpu_seconds = Family::<Labels<1>, Seconds>::default();
    let about = "Operations of drivers, by driver, operation and outcome";
    registry.register("driver_operations", about, Family::clone(&operations));
    let about = "Time that operations of drivers took";
    registry.register_with_unit("driver_operation", about, Unit::Seconds, Family::clone(&operation_seconds));
    let about = "Processor time of drivers' own code";
    registry.register_with_unit("driver_cpu", about, Unit::Seconds, Family::clone(&cpu_seconds));
    for stats in all {
        let driver = ("driver", stats.driver.clone());
        cpu_seconds.get_or_create(std::array::from_ref(&driver)).inc_by(seconds(stats.cpu_us));
        for line in stats.operations {
            let operation = ("operation", line.name);
            for (outcome, count) in [("good", line.count - line.failed), ("failed", line.failed)] {
                let labels = [driver.clone(), operation.clone(), ("outcome", outcome.to_owned())];
                operations.get_or_create(&labels).inc_by(count);
            }
            operation_seconds.get_or_create(&[driver.clone(), operation]).inc_by(seconds(line.time_us));
        }
    }
}

fn seconds(microseconds: u64) -> f64 {
    Duration::from_micros(microseconds).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures of the protocol alone.
    fn text_of(metrics: &Metrics) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &metrics.registry).unwrap();
        text
    }

    #[test]
    fn calls_clients_and_events_are_counted() {
        let metrics = Metrics::default();
        let client = metrics.connected();
        metrics.called(Some(("domain_create", Priority::Low)), true, Duration::from_millis(7));
        metrics.called(Some(("domain_create", Priority::Low)), false, Duration::from_millis(3));
        metrics.called(None, false, Duration::ZERO);
        metrics.happened("started");
        let text = text_of(&metrics);
        for line in [
            "hostler_rpc_calls_total{procedure=\"domain_create\",outcome=\"good\"} 1",
            "hostler_rpc_calls_total{procedure=\"domain_create\",outcome=\"failed\"} 1",
            "hostler_rpc_calls_total{procedure=\"unknown\",outcome=\"failed\"} 1",
            "hostler_rpc_call_seconds_bucket{le=\"0.005\",may_wait=\"yes\"} 1",
            "hostler_rpc_call_seconds_count{may_wait=\"yes\"} 2",
            "hostler_rpc_clients 1",
            "hostler_events_total{kind=\"started\"} 1",
            "# TYPE hostler_rpc_call_seconds histogram",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
        drop(client);
        assert!(text_of(&metrics).contains("hostler_rpc_clients 0"));
    }
}
