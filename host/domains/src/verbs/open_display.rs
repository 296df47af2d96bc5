//! `open_display`: a connection of somebody's, handed over to a guest's screen.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use hostler_domain::Domain;
use hostler_domain::graphics::GraphicsKind;
use hostler_launch::ShimClient;

use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::process;
use crate::reference::DomainRef;

/// How long a hypervisor may take to accept a connection.
const HANDING_OVER: Duration = Duration::from_secs(10);

impl Host {
    /// Hands a connected socket over to a display, counted from 0, as if its other end had connected where the display
    /// listens. One that is `trusted` is asked for no password. Takes no lock.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the domain does not run; [`Kind::NotFound`] when it has no such display;
    /// [`Kind::Unsupported`] when that is none for connections.
    pub async fn open_display(
        &self,
        wanted: &DomainRef,
        display: usize,
        connection: OwnedFd,
        trusted: bool,
    ) -> Result<(), Error> {
        let definition = self.find(wanted)?;
        let run = self.run_with_displays(&definition)?;
        let document = Domain::parse(&self.current_xml(&definition)?)?;
        let Some(graphics) = document.devices.graphics.get(display) else {
            let found = document.devices.graphics.len();
            let message =
                format!("the domain '{}' has no display {display}; it has {found}", definition.name);
            return Err(Error::new(Kind::NotFound, "display.not-found", message)
                .about("domain", &definition.name)
                .hint_command("see which it has", command("display", &definition.name)));
        };
        if !matches!(graphics.kind, GraphicsKind::Vnc(_) | GraphicsKind::Spice(_)) {
            let message = format!("display {display} of '{}' takes no connections", definition.name);
            return Err(Error::new(Kind::Unsupported, "display.kind", message)
                .about("domain", &definition.name)
                .hint("those of type 'vnc' and 'spice' do"));
        }
        let alias = format!("graphics{display}");
        let handed = process::blocking(move || {
            ShimClient::of(&run).connect_display(&alias, connection.as_fd(), trusted, HANDING_OVER)
        });
        Ok(handed.await??)
    }
}
