//! `hostler bandwidth`: how much may go through a network interface.

use clap::Args;
use hostler_domains::{Bandwidth, BandwidthChange, Rate};
use serde_json::{Value, json};

use super::attach::{Where, place};
use super::{Target, view};
use crate::failure::Stop;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// Show or change how much may go through a network interface of a domain
///
/// Rates are kilobytes in a second, and bursts KiB, as in 'bandwidth' of the XML. A way of which nothing is said stays as it is,
/// and 'none' frees it. The interface of the guest that runs is changed, and the stored definition; --live and --config
/// choose one of both. Only what a bridge, a network or a tap of this host connects can be limited.
#[derive(Debug, Args)]
pub(crate) struct BandwidthOf {
    #[command(flatten)]
    target: Target,
    /// The interface, by its MAC address, its alias or the device that connects it
    #[arg(value_name = "INTERFACE")]
    interface: String,
    /// To the guest: an average, and maybe a peak and a burst
    #[arg(long, value_name = "AVERAGE[,PEAK[,BURST]]", value_parser = rate)]
    inbound: Option<Way>,
    /// From the guest
    #[arg(long, value_name = "AVERAGE[,PEAK[,BURST]]", value_parser = rate)]
    outbound: Option<Way>,
    #[command(flatten)]
    scope: Where,
}

/// A rate, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way(Option<Rate>);

fn rate(text: &str) -> Result<Way, String> {
    if text == "none" {
        return Ok(Way(None));
    }
    let numbers: Result<Vec<u32>, _> = text.split(',').map(str::parse).collect();
    let some = |number: Option<&u32>| number.copied().filter(|number| *number > 0);
    match numbers.as_deref() {
        Ok([average, more @ ..]) if *average > 0 && more.len() <= 2 => {
            Ok(Way(Some(Rate { average: *average, peak: some(more.first()), burst: some(more.get(1)) })))
        }
        _ => Err("expected kilobytes in a second, such as 1000 or 1000,5000,512, or 'none'".to_owned()),
    }
}

impl BandwidthOf {
    /// Shows it, or sets it and says where.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let wanted = self.target.reference();
        let change = BandwidthChange {
            inbound: self.inbound.map(|way| way.0),
            outbound: self.outbound.map(|way| way.0),
        };
        if change == BandwidthChange::default() {
            let which = self.scope.scope().which();
            let told = session.block_on(async {
                Ok(session.reader().await?.bandwidth(&wanted, &self.interface, which).await?)
            })?;
            return Ok(shown(&told));
        }
        let limited = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.set_bandwidth(&wanted, &self.interface, change, self.scope.scope()).await?)
        })?;
        let place = place(limited.live, limited.stored);
        let line = format!("{} of '{}' is limited anew{place}", self.interface, limited.summary.name);
        Ok(Reply::confirmation(view::to_json(&limited)?, vec![Block::Line(line)]))
    }
}

fn shown(bandwidth: &Bandwidth) -> Reply {
    let mut table = Table::new().words("WAY").numbers("AVERAGE").numbers("PEAK").numbers("BURST");
    let mut ways = serde_json::Map::new();
    for (way, rate) in Bandwidth::WAYS.into_iter().zip([bandwidth.inbound, bandwidth.outbound]) {
        let cell = |number: Option<u32>| Cell::optional(number.map(|number| number.to_string()));
        let (peak, burst) = (rate.and_then(|rate| rate.peak), rate.and_then(|rate| rate.burst));
        let average = rate.map(|rate| rate.average);
        table.row(vec![Cell::new(way), cell(average), cell(peak), cell(burst)]);
        let rate = rate.map(|_| json!({"average": average, "peak": peak, "burst": burst}));
        ways.insert(way.to_owned(), rate.unwrap_or(Value::Null));
    }
    Reply::data(Value::Object(ways), vec![Block::Table(table)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_one_to_three_numbers() {
        let rate_of = |average, peak, burst| Ok(Way(Some(Rate { average, peak, burst })));
        assert_eq!(rate("1000"), rate_of(1_000, None, None));
        assert_eq!(rate("1000,5000"), rate_of(1_000, Some(5_000), None));
        assert_eq!(rate("1000,0,512"), rate_of(1_000, None, Some(512)));
        assert_eq!(rate("none"), Ok(Way(None)));
        for wrong in ["", "0", "fast", "1,2,3,4", "1MiB", "-1", "99999999999"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
