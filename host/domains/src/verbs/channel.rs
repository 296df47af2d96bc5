//! `channel`: a line to a program in a guest.

use std::time::Duration;

use hostler_domain::Domain;
use hostler_runtime::channel_alias;

use super::console::ConsoleStream;
use crate::channels::FarEnd;
use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::process;
use crate::reference::DomainRef;

/// How long a channel's far end may take to let somebody in: it is one's alone.
const WAIT: Duration = Duration::from_secs(5);

impl Host {
    /// Attaches to a channel, named by its target or by its alias; to the first one without a name.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it does not run; [`Kind::NotFound`] when it has no such channel; [`Kind::Unsupported`] for one
    /// whose far end is not the host's; [`Kind::Host`] for one that somebody else has.
    pub async fn channel(&self, wanted: &DomainRef, named: Option<&str>) -> Result<ConsoleStream, Error> {
        let definition = self.find(wanted)?;
        let run = self.state().run_dir(definition.uuid);
        if !run.is_held()? {
            let message = format!("the domain '{}' is off, so it has no channel", definition.name);
            return Err(Error::new(Kind::Conflict, "domain.off", message)
                .hint_command("start it", command("start", &definition.name)));
        }
        let channels = Domain::parse(&self.current_xml(&definition)?)?.devices.channels;
        let found = channels.iter().enumerate().find(|(position, channel)| {
            named.is_none_or(|named| {
                channel.target.name.as_deref() == Some(named) || channel_alias(channel, *position) == named
            })
        });
        let (position, channel) = found.ok_or_else(|| {
            let named = named.unwrap_or("channel0");
            let message = format!("the domain '{}' has no channel '{named}'", definition.name);
            let error =
                Error::new(Kind::NotFound, "channel.not-found", message).about("domain", &definition.name);
            let names: Vec<_> =
                channels.iter().filter_map(|channel| channel.target.name.as_deref()).collect();
            if names.is_empty() { error } else { error.hint(format!("it has {}", names.join(", "))) }
        })?;
        let far_end = FarEnd::of(channel, position, &run).ok_or_else(|| {
            let message = format!("the far end of '{}' is not the host's", channel_alias(channel, position));
            Error::new(Kind::Unsupported, "channel.elsewhere", message).about("domain", &definition.name)
        })?;
        process::blocking(move || far_end.connect(&run, WAIT)).await?.map_err(|error| {
            Error::new(Kind::Host, "channel.unreachable", "the channel cannot be reached")
                .caused_by(error)
                .hint("somebody else may be speaking to it: it is one's alone")
        })
    }
}
