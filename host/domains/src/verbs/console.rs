//! `console`: a line to one of the guest's character devices.

use std::os::unix::net::UnixStream;

use hostler_domain::Domain;
use hostler_launch::ShimClient;
use hostler_runtime::console_aliases;
use hostler_state::Definition;

use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::process;
use crate::reference::DomainRef;

/// Raw bytes to and from a guest. What comes is untrusted: it goes to a terminal as the guest wrote it.
pub type ConsoleStream = UnixStream;

impl Host {
    /// Attaches to a character device, the first serial port unless `alias` says otherwise. Several may be
    /// attached at once. With `replay`, what the guest wrote last comes first.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it does not run; [`Kind::NotFound`] when it has no such device.
    pub async fn console(
        &self,
        wanted: &DomainRef,
        alias: Option<&str>,
        replay: bool,
    ) -> Result<ConsoleStream, Error> {
        let definition = self.find(wanted)?;
        let run = self.state().run_dir(definition.uuid);
        if !run.is_held()? {
            let message = format!("the domain '{}' is off, so it has no console", definition.name);
            return Err(Error::new(Kind::Conflict, "domain.off", message)
                .hint_command("start it", command("start", &definition.name)));
        }
        let consoles = console_aliases(&Domain::parse(&self.current_xml(&definition)?)?);
        let alias = match alias {
            Some(alias) if consoles.iter().any(|known| known == alias) => alias.to_owned(),
            Some(alias) => return Err(no_console(&definition, alias, &consoles)),
            None => consoles.first().cloned().ok_or_else(|| no_console(&definition, "serial0", &consoles))?,
        };
        Ok(process::blocking(move || ShimClient::connect(&run)?.console(&alias, replay)).await??)
    }
}

fn no_console(definition: &Definition, alias: &str, known: &[String]) -> Error {
    let message = format!("the domain '{}' has no console '{alias}'", definition.name);
    let error = Error::new(Kind::NotFound, "console.not-found", message).about("domain", &definition.name);
    if known.is_empty() {
        return error.hint("give it one: <serial type='pty'/> under <devices>, then start it anew");
    }
    error.hint(format!("it has {}", known.join(", ")))
}
