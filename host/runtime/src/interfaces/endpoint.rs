//! `endpoint`: the host's side of character devices, and files that the document names for reading.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_domain::given_alias::CHOSEN_PREFIX;
use hostler_domain::interface::PortProtocol;
use hostler_domain::os::Os;
use hostler_grant::Capability;
use hostler_launch::{EndpointKind, EndpointSpec, Handle, Role, Transport};
use hostler_network::{Forward, Taps};
use wasmtime::component::Resource;

use super::domain::{Subject, Tense};
use crate::answer;
use crate::bindings::wit::domain::BootFile;
use crate::bindings::wit::endpoint::{Fact, Host, HostEndpoint, HostFile};
use crate::bindings::wit::types::Error;
use crate::call::CallState;
use crate::chardev;
use crate::limits;
use crate::opened::Opened;
use crate::roots::{Mark, Roots};

/// What the host holds the other end of, or hands to a companion.
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub enum Endpoint {
    /// A character device's far end, and the document's word for it.
    Device { spec: EndpointSpec, word: &'static str },
    /// A link to the companion of this name.
    Link(String),
    /// The socket of the display with this alias.
    Listener { alias: String, socket: Opened },
    /// Connections to the display with this alias, and the socket that they come to.
    Viewers { alias: String, socket: Option<Opened> },
    /// Ports of the host that lead to the guest.
    Ports(Forward),
    /// A tap device; without descriptors when nothing may be made.
    Tap { taps: Taps, queues: u32 },
}

/// A file opened for reading.
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct File(pub(crate) Arc<Opened>);

impl Endpoint {
    /// The launcher's handle, with a descriptor of its own.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub(crate) fn handle(&self) -> io::Result<Handle> {
        Ok(match self {
            Self::Device { spec: EndpointSpec { alias, kind }, .. } => {
                Handle::Endpoint(EndpointSpec { alias: alias.clone(), kind: chardev::duplicate(kind)? })
            }
            Self::Link(companion) => Handle::Link(companion.clone()),
            Self::Listener { socket, .. } => socket.handle()?,
            Self::Viewers { alias, socket } => {
                let socket = socket.as_ref().and_then(|socket| socket.fd.as_ref());
                Handle::Viewers { alias: alias.clone(), socket: socket.map(OwnedFd::try_clone).transpose()? }
            }
            Self::Ports(Forward { protocol, ports }) => Handle::Ports {
                transport: match protocol {
                    PortProtocol::Tcp => Transport::Tcp,
                    PortProtocol::Udp => Transport::Udp,
                },
                ports: ports.clone(),
            },
            Self::Tap { taps, queues } => Handle::Tap {
                fds: taps.fds.iter().map(OwnedFd::try_clone).collect::<io::Result<_>>()?,
                queues: *queues,
                name: taps.name.clone(),
            },
        })
    }
}

impl Host for CallState {}

impl HostEndpoint for CallState {
    async fn facts(&mut self, me: Resource<Endpoint>) -> wasmtime::Result<Vec<Fact>> {
        self.enter("endpoint.facts")?;
        let (alias, kind) = match self.table.get(&me)? {
            // What it is called on the host is nothing to a driver.
            Endpoint::Tap { queues, .. } => {
                return Ok(vec![answer::fact("kind", "tap"), answer::fact("queues", queues.to_string())]);
            }
            Endpoint::Ports(forward) => {
                let kind = format!("{}-ports", forward.protocol.as_str());
                return Ok(vec![answer::fact("kind", kind)]);
            }
            Endpoint::Device { spec, word } => (spec.alias.clone(), *word),
            Endpoint::Link(companion) => (companion.clone(), "link"),
            Endpoint::Listener { alias, .. } => (alias.clone(), "listener"),
            Endpoint::Viewers { alias, .. } => (alias.clone(), "viewers"),
        };
        Ok(vec![answer::fact("alias", alias), answer::fact("kind", kind)])
    }

    async fn drop(&mut self, me: Resource<Endpoint>) -> wasmtime::Result<()> {
        self.table.delete(me)?;
        Ok(())
    }
}

impl HostFile for CallState {
    async fn drop(&mut self, me: Resource<File>) -> wasmtime::Result<()> {
        self.table.delete(me)?;
        Ok(())
    }
}

impl CallState {
    /// The device of this alias, its file opened where it has one.
    pub(crate) async fn open_endpoint(
        &mut self,
        subject: Arc<Subject>,
        tense: Tense,
        alias: String,
    ) -> wasmtime::Result<Result<Resource<Endpoint>, Error>> {
        if let Err(denied) = self.require(Capability::Endpoint, "") {
            return Ok(Err(denied));
        }
        let opened = self
            .blocking("domain.endpoint", limits::FILE_DEADLINE, move |_| {
                let devices = &subject.told(tense)?.0.devices;
                // What an author has not chosen is that of another run, where one is about to begin.
                let counts = tense == Tense::Next || alias.starts_with(CHOSEN_PREFIX);
                let told = chardev::told(devices, &alias).filter(|_| counts);
                let found = told.or_else(|| chardev::find(devices, &alias));
                let device = found.ok_or_else(|| no_device(&alias))?;
                let mut kind = chardev::far_end(device);
                prepare(&subject, &alias, &mut kind)?;
                let word = chardev::word(&device.source.backend);
                Ok(Endpoint::Device { spec: EndpointSpec { alias, kind }, word })
            })
            .await?;
        match opened {
            Ok(endpoint) => Ok(Ok(self.table.push(endpoint)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// A file for direct boot, opened for reading.
    pub(crate) async fn open_boot_file(
        &mut self,
        subject: Arc<Subject>,
        which: BootFile,
    ) -> wasmtime::Result<Result<Option<Resource<File>>, Error>> {
        if let Err(denied) = self.require(Capability::Endpoint, "") {
            return Ok(Err(denied));
        }
        let opened = self
            .blocking("domain.boot-file", limits::FILE_DEADLINE, move |_| {
                let Some(path) = boot_path(&subject.document()?.os, which) else { return Ok(None) };
                let path = PathBuf::from(path);
                let fd = match subject.describes() {
                    true => None,
                    false => Some(
                        open_input(&subject.context.roots, &path).map_err(|error| unopened(&path, &error))?,
                    ),
                };
                Ok(Some(Opened {
                    fd,
                    writable: false,
                    role: Role::File,
                    format: "raw",
                    data_apart: false,
                    path,
                }))
            })
            .await?;
        match opened {
            Ok(Some(opened)) => Ok(Ok(Some(self.table.push(File(Arc::new(opened)))?))),
            Ok(None) => Ok(Ok(None)),
            Err(error) => Ok(Err(error)),
        }
    }
}

fn boot_path(os: &Os, which: BootFile) -> Option<&str> {
    match which {
        BootFile::Kernel => os.kernel.as_deref(),
        BootFile::InitialRamDisk => os.initrd.as_deref(),
        BootFile::DeviceTree => os.dtb.as_deref(),
        BootFile::AcpiTable => os.acpi_slic.as_deref(),
    }
}

/// Opens a regular file for reading.
pub(crate) fn open_input(roots: &Roots, path: &Path) -> io::Result<OwnedFd> {
    let file = std::fs::File::from(roots.open_declared(path, Mark::ReadOnly)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file.into())
}

/// Opens the file of a far end, and gives a socket without a path its place in the run directory.
fn prepare(subject: &Subject, alias: &str, kind: &mut EndpointKind) -> Result<(), Error> {
    let context = &subject.context;
    match kind {
        EndpointKind::File { fd, append, path } if !subject.describes() => {
            let opened = context.roots.open_output(path, append.unwrap_or(false));
            *fd = Some(opened.map_err(|error| unopened(path, &error))?);
        }
        EndpointKind::Unix { path, .. } if path.as_os_str().is_empty() => {
            *path = context.state.directory().run_dir(context.uuid).path().join(format!("{alias}.sock"));
        }
        EndpointKind::Unix { path, .. } if !context.roots.covers(path) => {
            return Err(unopened(path, &crate::roots::beneath_none()));
        }
        _ => {}
    }
    Ok(())
}

/// What the driver is told when a file of the document cannot be opened.
pub(crate) fn unopened(path: &Path, error: &io::Error) -> Error {
    let message = format!("cannot open '{}': {error}", path.display());
    let problem = |code| answer::problem(code, message.clone()).detail("path", path.display().to_string());
    match error.kind() {
        io::ErrorKind::NotFound => Error::NotFound(problem("file.missing")),
        io::ErrorKind::PermissionDenied => Error::Denied(problem("file.denied")),
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            let refused = problem("file.link").hint("links are not followed: name the file itself");
            let target = std::fs::canonicalize(path);
            Error::Denied(target.map_or_else(
                |_| refused.clone(),
                |to| refused.clone().hint(format!("it leads to {}", to.display())),
            ))
        }
        _ => Error::Host(problem("file.io")),
    }
}

fn no_device(alias: &str) -> Error {
    let message = format!("the document has no character device '{}'", crate::text::escape(alias, 64));
    Error::NotFound(answer::problem("endpoint.not-found", message))
}
