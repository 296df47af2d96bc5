//! `endpoint`: the host's side of character devices, and files that the document names for reading.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_domain::Domain as Document;
use hostler_domain::chardev::{CharBackend, Chardev, TcpProtocol};
use hostler_domain::devices::Devices;
use hostler_domain::os::Os;
use hostler_grant::Capability;
use hostler_launch::{EndpointKind, EndpointSpec, Handle, Role};
use rustix::fs::OFlags;
use wasmtime::component::Resource;

use super::domain::Subject;
use crate::answer;
use crate::bindings::wit::domain::BootFile;
use crate::bindings::wit::endpoint::{Fact, Host, HostEndpoint, HostFile};
use crate::bindings::wit::types::Error;
use crate::call::CallState;
use crate::limits;
use crate::opened::Opened;
use crate::roots::{Mark, Roots};

/// A character device's far end.
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct Endpoint(EndpointSpec);

/// A file opened for reading.
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct File(pub(crate) Arc<Opened>);

impl Endpoint {
    /// The launcher's handle, with a descriptor of its own.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub(crate) fn handle(&self) -> io::Result<Handle> {
        Ok(Handle::Endpoint(EndpointSpec { alias: self.0.alias.clone(), kind: duplicate(&self.0.kind)? }))
    }
}

fn duplicate(kind: &EndpointKind) -> io::Result<EndpointKind> {
    Ok(match kind {
        EndpointKind::Pty => EndpointKind::Pty,
        EndpointKind::Null => EndpointKind::Null,
        EndpointKind::File { fd, append, path } => EndpointKind::File {
            fd: fd.as_ref().map(OwnedFd::try_clone).transpose()?,
            append: *append,
            path: path.clone(),
        },
        EndpointKind::Unix { path, listen, reconnect } => {
            EndpointKind::Unix { path: path.clone(), listen: *listen, reconnect: *reconnect }
        }
        EndpointKind::Tcp { host, service, listen, telnet, reconnect } => EndpointKind::Tcp {
            host: host.clone(),
            service: service.clone(),
            listen: *listen,
            telnet: *telnet,
            reconnect: *reconnect,
        },
        EndpointKind::Udp { host, service, local_host, local_service } => EndpointKind::Udp {
            host: host.clone(),
            service: service.clone(),
            local_host: local_host.clone(),
            local_service: local_service.clone(),
        },
        EndpointKind::Other { backend, pairs } => {
            EndpointKind::Other { backend: backend.clone(), pairs: pairs.clone() }
        }
    })
}

impl Host for CallState {}

impl HostEndpoint for CallState {
    async fn facts(&mut self, me: Resource<Endpoint>) -> wasmtime::Result<Vec<Fact>> {
        let spec = &self.table.get(&me)?.0;
        Ok(vec![answer::fact("alias", spec.alias.clone()), answer::fact("kind", spec.kind.name())])
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
        alias: String,
    ) -> wasmtime::Result<Result<Resource<Endpoint>, Error>> {
        if let Err(denied) = self.require(Capability::Endpoint, "") {
            return Ok(Err(denied));
        }
        let spec = self
            .blocking("domain.endpoint", limits::FILE_DEADLINE, move |_| {
                let device = find(&subject.document()?.devices, &alias).ok_or_else(|| no_device(&alias))?;
                let mut kind = kind(&device.source.backend);
                if let EndpointKind::File { fd, append, path } = &mut kind
                    && !subject.describes()
                {
                    *fd = Some(
                        open_output(path, append.unwrap_or(false)).map_err(|error| unopened(path, &error))?,
                    );
                }
                Ok(EndpointSpec { alias, kind })
            })
            .await?;
        spec.map(|spec| self.table.push(Endpoint(spec)).map_err(Into::into))
            .map_or_else(|error| Ok(Err(error)), |pushed| pushed.map(Ok))
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
                Ok(Some(Opened { fd, writable: false, role: Role::File, path }))
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

/// Opens a file that a guest writes to, made when absent. Devices such as `/dev/null` are fine; links are not.
fn open_output(path: &Path, append: bool) -> io::Result<OwnedFd> {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600).custom_flags(output_flags());
    let options = if append { options.append(true) } else { options.write(true) };
    let file = options.open(path)?;
    let kind = file.metadata()?.file_type();
    if !kind.is_file() && !kind.is_char_device() {
        return Err(io::Error::other("it is neither a regular file nor a character device"));
    }
    if kind.is_file() && !append {
        file.set_len(0)?;
    }
    Ok(file.into())
}

#[expect(clippy::cast_possible_wrap, reason = "open flags are a bit set; the sign carries nothing")]
fn output_flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32
}

/// What the driver is told when a file of the document cannot be opened.
pub(crate) fn unopened(path: &Path, error: &io::Error) -> Error {
    let message = format!("cannot open \"{}\": {error}", path.display());
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

/// The device with this alias: kind and position. The first console of type `serial` is `serial0` under another
/// name, so it stands for that one.
fn find<'a>(devices: &'a Devices, alias: &str) -> Option<&'a Chardev> {
    let digits = alias.find(|character: char| character.is_ascii_digit())?;
    let (kind, position) = alias.split_at_checked(digits)?;
    let position: usize = position.parse().ok()?;
    match kind {
        "serial" => devices.serials.get(position).or_else(|| serial_console(devices, position)),
        "parallel" => devices.parallels.get(position),
        "channel" => devices.channels.get(position),
        "console" => {
            let console = devices.consoles.get(position)?;
            let same = position == 0 && is_serial(console);
            devices.serials.first().filter(|_| same).or(Some(console))
        }
        _ => None,
    }
}

/// The aliases of the devices that a console can be attached to: those whose far end the host keeps. A console
/// that is the serial port under another name is left out.
#[must_use]
pub fn console_aliases(domain: &Document) -> Vec<String> {
    let Devices { serials, consoles, channels, parallels, .. } = &domain.devices;
    let of_kind = |kind: &str, devices: &[Chardev]| -> Vec<String> {
        let kept = |device: &Chardev| matches!(device.source.backend, CharBackend::Pty { .. });
        let found = devices.iter().enumerate().filter(|(_, device)| kept(device));
        found.map(|(position, _)| format!("{kind}{position}")).collect()
    };
    let mut aliases = of_kind("serial", serials);
    let same = consoles.first().is_some_and(is_serial) && !serials.is_empty();
    aliases.extend(of_kind("console", consoles).into_iter().filter(|alias| !same || alias != "console0"));
    aliases.extend(of_kind("parallel", parallels));
    aliases.extend(of_kind("channel", channels));
    aliases
}

/// A document may give the serial port as a console only.
fn serial_console(devices: &Devices, position: usize) -> Option<&Chardev> {
    let console = devices.consoles.first().filter(|console| is_serial(console))?;
    (position == 0 && devices.serials.is_empty()).then_some(console)
}

fn is_serial(console: &Chardev) -> bool {
    console.target.kind.as_deref().is_none_or(|kind| kind == "serial")
}

fn kind(backend: &CharBackend) -> EndpointKind {
    let other = |backend: &str, pairs: &[(&str, &str)]| EndpointKind::Other {
        backend: backend.to_owned(),
        pairs: pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    };
    match backend {
        CharBackend::Null => EndpointKind::Null,
        CharBackend::Pty { .. } => EndpointKind::Pty,
        CharBackend::File { path, append } => {
            EndpointKind::File { fd: None, append: *append, path: PathBuf::from(path) }
        }
        CharBackend::Unix { path, listen, reconnect } => EndpointKind::Unix {
            path: PathBuf::from(path.as_deref().unwrap_or_default()),
            listen: *listen,
            reconnect: reconnect
                .filter(|reconnect| reconnect.enabled)
                .and_then(|reconnect| reconnect.timeout_s),
        },
        CharBackend::Tcp { host, service, listen, protocol, reconnect, .. } => EndpointKind::Tcp {
            host: host.clone(),
            service: service.clone(),
            listen: *listen,
            telnet: matches!(protocol, TcpProtocol::Telnet | TcpProtocol::Telnets),
            reconnect: reconnect
                .filter(|reconnect| reconnect.enabled)
                .and_then(|reconnect| reconnect.timeout_s),
        },
        CharBackend::Udp { connect_host, connect_service, bind_host, bind_service } => EndpointKind::Udp {
            host: connect_host.clone(),
            service: connect_service.clone(),
            local_host: bind_host.clone(),
            local_service: bind_service.clone(),
        },
        CharBackend::Vc => other("vc", &[]),
        CharBackend::Stdio => other("stdio", &[]),
        CharBackend::Dev { path } => other("dev", &[("path", path)]),
        CharBackend::Pipe { path } => other("pipe", &[("path", path)]),
        CharBackend::SpiceVmc => other("spicevmc", &[]),
        CharBackend::SpicePort { channel } => other("spiceport", &[("channel", channel)]),
        CharBackend::Nmdm { master, slave } => other("nmdm", &[("master", master), ("slave", slave)]),
        CharBackend::QemuVdagent { .. } => other("qemu-vdagent", &[]),
        CharBackend::Dbus { channel } => other("dbus", &[("channel", channel)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aliases(devices: &str) -> Vec<String> {
        let xml = format!(
            "<domain type='kvm'><name>a</name><memory>1</memory><os><type>hvm</type></os><devices>{devices}</devices></domain>"
        );
        console_aliases(&Document::parse(&xml).unwrap())
    }

    #[test]
    fn consoles_are_the_devices_whose_far_end_the_host_keeps() {
        let devices = "<serial type='pty'/><serial type='null'/><console type='pty'/>\
                       <console type='pty'><target type='virtio'/></console>";
        assert_eq!(aliases(devices), ["serial0", "console1"]);
        assert_eq!(aliases("<console type='pty'/>"), ["console0"]);
        assert!(aliases("").is_empty());
    }
}
