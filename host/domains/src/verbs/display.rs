//! `display`: where a guest's screen is reached.

use hostler_domain::Domain;
use hostler_domain::graphics::{Graphics, GraphicsKind, Reached};
use hostler_state::{Definition, RunDir};
use serde::Serialize;

use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::reference::DomainRef;

/// One way to a guest's screen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Display {
    /// Its name among the domain's displays: `graphics0`.
    pub alias: String,
    /// The document's word for it: `vnc`, `spice`.
    pub kind: String,
    /// Where it is reached, as viewers take it; nothing when it listens nowhere.
    pub uri: Option<String>,
}

/// The displays of a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Displays {
    /// The domain.
    pub name: String,
    /// In the order of the document.
    pub displays: Vec<Display>,
}

impl Host {
    /// Where the screen of a running domain is reached. Takes no lock and asks nobody.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it does not run; [`Kind::NotFound`] when it has no display.
    pub async fn display(&self, wanted: &DomainRef) -> Result<Displays, Error> {
        let definition = self.find(wanted)?;
        let run = self.run_with_displays(&definition)?;
        let displays = displays(&Domain::parse(&self.current_xml(&definition)?)?, &run);
        if displays.is_empty() {
            return Err(none(&definition));
        }
        Ok(Displays { name: definition.name, displays })
    }

    /// The run of a domain whose displays are wanted.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it does not run.
    pub(super) fn run_with_displays(&self, definition: &Definition) -> Result<RunDir, Error> {
        let run = self.state().run_dir(definition.uuid);
        if run.is_held()? {
            return Ok(run);
        }
        let message = format!("the domain '{}' is off, so it has no display", definition.name);
        Err(Error::new(Kind::Conflict, "domain.off", message)
            .about("domain", &definition.name)
            .hint_command("start it", command("start", &definition.name)))
    }
}

fn none(definition: &Definition) -> Error {
    Error::new(Kind::NotFound, "display.none", format!("the domain '{}' has no display", definition.name))
        .about("domain", &definition.name)
        .hint("give it one: <graphics type='vnc'/> under <devices>, then start it anew")
}

/// The displays of a document of a run.
fn displays(domain: &Domain, run: &RunDir) -> Vec<Display> {
    let all = domain.devices.graphics.iter().enumerate();
    all.map(|(position, graphics)| {
        let alias = format!("graphics{position}");
        Display { kind: kind(&graphics.kind).to_owned(), uri: uri(graphics, &alias, run), alias }
    })
    .collect()
}

fn kind(kind: &GraphicsKind) -> &'static str {
    match kind {
        GraphicsKind::Vnc(_) => "vnc",
        GraphicsKind::Spice(_) => "spice",
        GraphicsKind::Sdl { .. } => "sdl",
        GraphicsKind::EglHeadless { .. } => "egl-headless",
        GraphicsKind::Dbus { .. } => "dbus",
        GraphicsKind::Rdp { .. } => "rdp",
        GraphicsKind::Desktop => "desktop",
    }
}

fn uri(graphics: &Graphics, alias: &str, run: &RunDir) -> Option<String> {
    let kind = kind(&graphics.kind);
    let (address, port) = match graphics.reached()? {
        Reached::Socket(Some(path)) => return Some(format!("{kind}+unix://{path}")),
        Reached::Socket(None) => {
            return Some(format!("{kind}+unix://{}", run.display_socket_path(alias).display()));
        }
        Reached::Port { address, .. } => (address.unwrap_or("127.0.0.1"), port(graphics)?),
    };
    Some(match address.contains(':') {
        true => format!("{kind}://[{address}]:{port}"),
        false => format!("{kind}://{address}:{port}"),
    })
}

/// The port that the document of the run says, whoever has chosen it.
fn port(graphics: &Graphics) -> Option<u16> {
    match &graphics.kind {
        GraphicsKind::Vnc(vnc) => vnc.port,
        GraphicsKind::Spice(spice) => spice.port,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hostler_state::{StateDir, Uuid};

    use super::*;

    #[test]
    fn addresses_are_what_viewers_take() {
        let place = tempfile::tempdir().unwrap();
        let owner = StateDir::open_owner(place.path(), Duration::ZERO).unwrap();
        let run = owner.create_run_dir(Uuid::new_v4()).unwrap();
        let uri_of = |graphics: &str| {
            let xml = format!(
                "<domain type='kvm'><name>a</name><memory>1</memory><os><type>hvm</type></os>\
                 <devices>{graphics}</devices></domain>"
            );
            displays(&Domain::parse(&xml).unwrap(), &run).remove(0).uri
        };
        let own = format!("vnc+unix://{}", run.path().join("graphics0.sock").display());
        for (graphics, expected) in [
            ("<graphics type='vnc' port='5901' listen='127.0.0.1'/>", Some("vnc://127.0.0.1:5901")),
            ("<graphics type='vnc' port='5901' listen='::1'/>", Some("vnc://[::1]:5901")),
            ("<graphics type='vnc' socket='/srv/s'/>", Some("vnc+unix:///srv/s")),
            ("<graphics type='vnc'><listen type='socket'/></graphics>", Some(own.as_str())),
            ("<graphics type='vnc'><listen type='none'/></graphics>", None),
            ("<graphics type='egl-headless'/>", None),
            ("<graphics type='spice' port='5902' autoport='yes'/>", Some("spice://127.0.0.1:5902")),
            (
                "<graphics type='spice'><listen type='socket' socket='/srv/s'/></graphics>",
                Some("spice+unix:///srv/s"),
            ),
            ("<graphics type='spice'/>", None),
        ] {
            assert_eq!(uri_of(graphics).as_deref(), expected, "{graphics}");
        }
    }
}
