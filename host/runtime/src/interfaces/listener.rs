//! `domain.listener` and `domain.viewers`: the sockets that displays are reached by, bound by the host.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use hostler_domain::graphics::{Graphics, GraphicsKind, Reached};
use hostler_domain::{Document, XmlError};
use hostler_grant::Capability;
use hostler_launch::{Role, listen_tcp, listen_tcp_from, listen_unix, loopback};
use hostler_state::RunRecord;
use wasmtime::component::Resource;

use super::domain::{Subject, state_failed};
use super::endpoint::{Endpoint, unopened};
use crate::answer;
use crate::bindings::wit::types::Error;
use crate::call::CallState;
use crate::context::RunDocument;
use crate::limits;
use crate::opened::Opened;
use crate::text;

/// The first port that a display is given: VNC's display 0.
const FIRST_PORT: u16 = 5900;
/// Where a display listens when its document names no address.
const LOCAL: &str = "127.0.0.1";

/// Where a display is reached.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// At a port of this address; the first that is free without one.
    Port(IpAddr, Option<u16>),
    /// At a socket; in the run directory without a path.
    Socket(Option<PathBuf>),
}

impl CallState {
    /// The socket of the display with this alias, and the document of the run says where it is.
    pub(crate) async fn open_listener(
        &mut self,
        subject: Arc<Subject>,
        alias: String,
    ) -> wasmtime::Result<Result<Resource<Endpoint>, Error>> {
        if let Err(denied) = self.require(Capability::Endpoint, "") {
            return Ok(Err(denied));
        }
        let opened = self
            .blocking("domain.listener", limits::FILE_DEADLINE, move |_| {
                let socket = open(&subject, &alias)?;
                Ok(Endpoint::Listener { alias, socket })
            })
            .await?;
        match opened {
            Ok(endpoint) => Ok(Ok(self.table.push(endpoint)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Connections to the display with this alias, and the socket that they come to where it is listened for.
    pub(crate) async fn open_viewers(
        &mut self,
        subject: Arc<Subject>,
        alias: String,
        listening: bool,
    ) -> wasmtime::Result<Result<Resource<Endpoint>, Error>> {
        if let Err(denied) = self.require(Capability::Endpoint, "") {
            return Ok(Err(denied));
        }
        let opened = self
            .blocking("domain.viewers", limits::FILE_DEADLINE, move |_| {
                let socket = match listening {
                    true => Some(open(&subject, &alias)?),
                    false => found(&subject, &alias).map(|_| None)?,
                };
                Ok(Endpoint::Viewers { alias, socket })
            })
            .await?;
        match opened {
            Ok(endpoint) => Ok(Ok(self.table.push(endpoint)?)),
            Err(error) => Ok(Err(error)),
        }
    }
}

fn open(subject: &Subject, alias: &str) -> Result<Opened, Error> {
    if subject.describes() {
        let message = "nothing listens while a document is checked or shown";
        return Err(Error::Conflict(answer::problem("domain.described", message)));
    }
    let (position, display) = found(subject, alias)?;
    let (fd, path) = match place(display)? {
        Place::Socket(path) => listen_at_path(subject, alias, path)?,
        Place::Port(address, wanted) => {
            let (fd, port) = listen_at_port(address, wanted)?;
            record(subject, position, address, port)?;
            (fd, PathBuf::from(SocketAddr::new(address, port).to_string()))
        }
    };
    Ok(Opened { fd: Some(fd), writable: true, role: Role::Listener, format: "raw", data_apart: false, path })
}

/// The display with this alias, and its position among the document's displays.
fn found<'a>(subject: &'a Subject, alias: &str) -> Result<(usize, &'a Graphics), Error> {
    let graphics = &subject.document()?.devices.graphics;
    let position = alias.strip_prefix("graphics").and_then(|digits| digits.parse::<usize>().ok());
    let found = position.and_then(|position| Some((position, graphics.get(position)?)));
    found.filter(|(position, _)| format!("graphics{position}") == alias).ok_or_else(|| {
        let message = format!("the document has no display '{}'", text::escape(alias, 64));
        Error::NotFound(answer::problem("display.not-found", message))
    })
}

/// Where the document wants a display to be reached.
fn place(display: &Graphics) -> Result<Place, Error> {
    if !matches!(display.kind, GraphicsKind::Vnc(_) | GraphicsKind::Spice(_)) {
        let message = "only a display of type 'vnc' or 'spice' is reached by a socket of the host's";
        return Err(Error::Unsupported(answer::problem("display.kind", message)));
    }
    let (address, port) = match display.reached() {
        Some(Reached::Socket(path)) => return Ok(Place::Socket(path.map(PathBuf::from))),
        Some(Reached::Port { address, port }) => (address.unwrap_or(LOCAL), port),
        None => {
            let message = "the display listens nowhere";
            return Err(Error::Conflict(answer::problem("display.nowhere", message)));
        }
    };
    let Some(address) = loopback(address) else {
        let message = format!(
            "'{}' is an address that others reach, and what a display shows is sent unencrypted",
            text::escape(address, limits::TEXT_BYTES)
        );
        let problem = answer::problem("display.address", message)
            .hint("listen on 127.0.0.1 and let ssh forward the port: ssh -L 5900:127.0.0.1:5900 HOST")
            .hint("or listen on a socket: <listen type='socket'/>");
        return Err(Error::Denied(problem));
    };
    Ok(Place::Port(address, port))
}

fn listen_at_port(address: IpAddr, wanted: Option<u16>) -> Result<(OwnedFd, u16), Error> {
    let listening = match wanted {
        Some(port) => listen_tcp(address, port),
        None => listen_tcp_from(address, FIRST_PORT),
    };
    let listening = listening.and_then(|listening| Ok((listening.local_addr()?.port(), listening)));
    let (port, listening) =
        listening.map_err(|error| taken(address, wanted.unwrap_or(FIRST_PORT), &error))?;
    Ok((listening.into(), port))
}

/// At the path that the document names, or in the run directory: a path that the host chose is in no document, for that
/// may go to another state directory.
fn listen_at_path(
    subject: &Subject,
    alias: &str,
    named: Option<PathBuf>,
) -> Result<(OwnedFd, PathBuf), Error> {
    let context = &subject.context;
    if let Some(path) = named.as_ref().filter(|path| !context.roots.covers(path)) {
        return Err(unopened(path, &crate::roots::beneath_none()));
    }
    let path =
        named.unwrap_or_else(|| context.state.directory().run_dir(context.uuid).display_socket_path(alias));
    let listening = listen_unix(&path).map_err(|error| {
        let message = format!("cannot listen at '{}': {error}", path.display());
        let problem = answer::problem("display.socket", message).detail("path", path.display().to_string());
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                Error::Conflict(problem.hint("something is there: name another path"))
            }
            io::ErrorKind::NotFound => Error::NotFound(problem.hint("make the directory where it is to be")),
            _ => Error::Host(problem),
        }
    })?;
    Ok((listening.into(), path))
}

fn taken(address: IpAddr, port: u16, error: &io::Error) -> Error {
    let message = format!("cannot listen on port {port} of {address}: {error}");
    let problem = answer::problem("display.port", message).detail("port", port.to_string());
    match error.kind() {
        io::ErrorKind::AddrInUse => Error::Conflict(
            problem
                .hint("let the host choose a free one: autoport='yes'")
                .hint("or see who has it: ss -ltnp"),
        ),
        io::ErrorKind::PermissionDenied => Error::Denied(problem),
        _ => Error::Host(problem),
    }
}

/// Writes into the document of the run at which port a display is reached.
fn record(subject: &Subject, position: usize, address: IpAddr, port: u16) -> Result<(), Error> {
    let context = &subject.context;
    let run = context.state.directory().run_dir(context.uuid);
    let running: Option<RunDocument> = run.read(RunRecord::Document).map_err(|error| state_failed(&error))?;
    let Some(mut running) = running else {
        let message = "a display is listened for once its hypervisor runs";
        return Err(Error::Conflict(answer::problem("domain.off", message)));
    };
    running.xml = told(&running.xml, position, address, port).map_err(|error| {
        Error::Host(answer::problem(
            "display.document",
            format!("the run's document cannot be changed: {error}"),
        ))
    })?;
    run.write(RunRecord::Document, &running).map_err(|error| state_failed(&error))
}

/// The document with the port in it. What has the host choose one stays in it, so that the next run chooses again.
fn told(xml: &str, position: usize, address: IpAddr, port: u16) -> Result<String, XmlError> {
    let mut document = Document::parse(xml)?;
    let devices = document.child(document.root(), "devices");
    let display = devices.and_then(|devices| {
        document.elements(devices).filter(|element| document.name(*element) == "graphics").nth(position)
    });
    let Some(display) = display else { return Ok(document.to_xml()) };
    if matches!(document.attribute(display, "port"), None | Some("-1")) {
        document.set_attribute(display, "autoport", "yes")?;
    }
    document.set_attribute(display, "port", &port.to_string())?;
    let (element, name) =
        document.child(display, "listen").map_or((display, "listen"), |listen| (listen, "address"));
    document.set_attribute(element, name, &address.to_string())?;
    Ok(document.to_xml())
}

#[cfg(test)]
mod tests {
    use hostler_domain::Domain;

    use super::*;

    fn document(graphics: &str) -> String {
        format!(
            "<domain type='kvm'><name>a</name><memory>1</memory><os><type>hvm</type></os>\
             <devices>{graphics}</devices></domain>"
        )
    }

    fn wanted(graphics: &str) -> Result<Place, Error> {
        place(&Domain::parse(&document(graphics)).unwrap().devices.graphics[0])
    }

    fn port(wanted: Option<u16>) -> Place {
        Place::Port("127.0.0.1".parse().unwrap(), wanted)
    }

    #[test]
    fn place_is_what_the_document_says_and_open_to_this_host_only() {
        for (graphics, expected) in [
            ("<graphics type='vnc'/>", port(None)),
            ("<graphics type='vnc' port='-1' autoport='yes'/>", port(None)),
            ("<graphics type='vnc' port='5907' autoport='yes'/>", port(None)),
            ("<graphics type='vnc' port='5907' listen='localhost'/>", port(Some(5907))),
            ("<graphics type='vnc' socket='/s'/>", Place::Socket(Some("/s".into()))),
            ("<graphics type='vnc'><listen type='socket'/></graphics>", Place::Socket(None)),
            ("<graphics type='spice' autoport='yes'/>", port(None)),
            ("<graphics type='spice' port='-1'/>", port(None)),
            ("<graphics type='spice' port='5907'/>", port(Some(5907))),
            (
                "<graphics type='spice'><listen type='socket' socket='/s'/></graphics>",
                Place::Socket(Some("/s".into())),
            ),
        ] {
            assert_eq!(wanted(graphics).unwrap(), expected, "{graphics}");
        }
        let open = wanted("<graphics type='vnc' listen='0.0.0.0'/>").unwrap_err();
        let Error::Denied(problem) = open else { panic!("{open:?}") };
        assert!(problem.code == "display.address" && problem.hints.len() == 2);
        assert!(matches!(wanted("<graphics type='dbus'/>"), Err(Error::Unsupported(_))));
        for nowhere in ["<graphics type='vnc'><listen type='none'/></graphics>", "<graphics type='spice'/>"] {
            assert!(matches!(wanted(nowhere), Err(Error::Conflict(_))), "{nowhere}");
        }
    }

    #[test]
    fn document_of_the_run_says_where_and_the_next_run_chooses_again() {
        let here = "127.0.0.1".parse().unwrap();
        let told_of = |graphics: &str| told(&document(graphics), 0, here, 5903).unwrap();
        assert_eq!(
            told_of("<graphics type='vnc' port='-1'/>"),
            document("<graphics type='vnc' port='5903' autoport='yes' listen='127.0.0.1'/>")
        );
        assert_eq!(
            told_of("<graphics type='vnc' port='5903'><listen type='address'/></graphics>"),
            document(
                "<graphics type='vnc' port='5903'><listen type='address' address='127.0.0.1'/></graphics>"
            )
        );
    }
}
