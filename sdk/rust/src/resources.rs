//! The opened resources of one domain, by the symbols that a launch names them with.

use crate::bindings::driver::hostler::host::endpoint::{Endpoint, File};
use crate::bindings::driver::hostler::host::value::Handle;
use crate::{Domain, Error, Firmware, Image, ProblemExt, Symbol, error::problem};

/// Opens what symbols name, and lends the handles.
///
/// Resources are opened when they are first asked for and closed when this is dropped.
#[derive(Default)]
pub struct Resources {
    next: bool,
    images: Vec<(String, u32, Image)>,
    firmware: Option<Firmware>,
    endpoints: Vec<(String, Endpoint)>,
    files: Vec<(crate::BootFile, File)>,
    output: Option<File>,
    input: Option<File>,
    links: Vec<(String, Endpoint)>,
    directories: Vec<(String, File)>,
    folders: Vec<(u32, File)>,
    listeners: Vec<(String, Endpoint)>,
    viewers: Vec<(String, Endpoint)>,
    interfaces: Vec<(u32, Endpoint)>,
    secrets: Vec<(String, u32, File)>,
    ports: Vec<(u32, u32, Endpoint)>,
}

impl Resources {
    /// Resources whose images, passphrases, far ends of character devices and network interfaces are those of [`Domain::next_config`].
    #[must_use]
    pub fn of_next() -> Self {
        Resources { next: true, ..Self::default() }
    }

    /// Takes over the firmware that the driver has asked the domain for.
    #[must_use]
    pub fn with_firmware(mut self, firmware: Option<Firmware>) -> Self {
        self.firmware = firmware;
        self
    }

    /// Opens everything that `symbols` name.
    ///
    /// # Errors
    /// What the host answers for an image, endpoint or file; it names disk and remedy.
    pub(crate) fn open(&mut self, domain: &Domain, symbols: &[Symbol]) -> Result<(), Error> {
        symbols.iter().try_for_each(|symbol| self.open_one(domain, symbol))
    }

    fn open_one(&mut self, domain: &Domain, symbol: &Symbol) -> Result<(), Error> {
        match symbol {
            Symbol::Image { disk, layer } if !self.images.iter().any(|(d, l, _)| d == disk && l == layer) => {
                let chain = if self.next { domain.next_disk(disk)? } else { domain.disk(disk)? };
                let image = chain.image(*layer)?;
                self.images.push((disk.clone(), *layer, image));
            }
            Symbol::Endpoint(alias) if !self.endpoints.iter().any(|(known, _)| known == alias) => {
                let endpoint =
                    if self.next { domain.next_endpoint(alias)? } else { domain.endpoint(alias)? };
                self.endpoints.push((alias.clone(), endpoint));
            }
            Symbol::File(which) if !self.files.iter().any(|(known, _)| known == which) => {
                let file = domain.boot_file(*which)?.ok_or_else(|| {
                    problem("sdk.no-such-file", format!("the document names no file for {which:?}")).invalid()
                })?;
                self.files.push((*which, file));
            }
            Symbol::Output if self.output.is_none() => self.output = Some(domain.output()?),
            Symbol::Input if self.input.is_none() => self.input = Some(domain.input()?),
            Symbol::Link(name) if !self.links.iter().any(|(known, _)| known == name) => {
                self.links.push((name.clone(), domain.link(name)?));
            }
            Symbol::Interface(at) if !self.interfaces.iter().any(|(known, _)| known == at) => {
                let made = match self.next {
                    true => domain.next_network_interface(*at)?,
                    false => domain.network_interface(*at)?,
                };
                self.interfaces.push((*at, made));
            }
            Symbol::DiskSecret { disk, layer }
                if !self.secrets.iter().any(|(d, l, _)| d == disk && l == layer) =>
            {
                let secret = match self.next {
                    true => domain.next_disk_secret(disk, *layer)?,
                    false => domain.disk_secret(disk, *layer)?,
                };
                self.secrets.push((disk.clone(), *layer, secret));
            }
            Symbol::ForwardedPorts { interface, forward }
                if !self.ports.iter().any(|(i, f, _)| i == interface && f == forward) =>
            {
                let ports = domain.forwarded_ports(*interface, *forward)?;
                self.ports.push((*interface, *forward, ports));
            }
            Symbol::Directory(name) if !self.directories.iter().any(|(known, _)| known == name) => {
                self.directories.push((name.clone(), domain.directory(name)?));
            }
            Symbol::SharedFolder(at) if !self.folders.iter().any(|(known, _)| known == at) => {
                self.folders.push((*at, domain.shared_folder(*at)?));
            }
            Symbol::Listener(alias) if !self.listeners.iter().any(|(known, _)| known == alias) => {
                self.listeners.push((alias.clone(), domain.listener(alias)?));
            }
            Symbol::Viewers { alias, listening } if !self.viewers.iter().any(|(known, _)| known == alias) => {
                self.viewers.push((alias.clone(), domain.viewers(alias, *listening)?));
            }
            _ => {}
        }
        Ok(())
    }

    /// The handles for `symbols`, in their order.
    ///
    /// # Errors
    /// A symbol for which nothing is open: firmware that the machine does not have.
    pub(crate) fn lend(&self, symbols: &[Symbol]) -> Result<Vec<Handle<'_>>, Error> {
        symbols.iter().map(|symbol| self.lend_one(symbol).ok_or_else(|| missing(symbol))).collect()
    }

    fn lend_one(&self, symbol: &Symbol) -> Option<Handle<'_>> {
        Some(match symbol {
            Symbol::Image { disk, layer } => Handle::Image(
                self.images.iter().find(|(d, l, _)| d == disk && l == layer).map(|(_, _, image)| image)?,
            ),
            Symbol::Code => Handle::Code(&self.firmware.as_ref()?.code),
            Symbol::VariableStore => Handle::VariableStore(self.firmware.as_ref()?.store.as_ref()?),
            Symbol::Endpoint(alias) => {
                Handle::Endpoint(self.endpoints.iter().find(|(known, _)| known == alias).map(|(_, end)| end)?)
            }
            Symbol::File(which) => {
                Handle::File(self.files.iter().find(|(known, _)| known == which).map(|(_, file)| file)?)
            }
            Symbol::Output => Handle::File(self.output.as_ref()?),
            Symbol::Input => Handle::File(self.input.as_ref()?),
            Symbol::Monitor => Handle::Monitor,
            Symbol::Socket(name) => Handle::Socket(name.clone()),
            Symbol::Link(name) => Handle::Endpoint(found(&self.links, name)?),
            Symbol::Interface(at) => {
                Handle::Endpoint(self.interfaces.iter().find(|(known, _)| known == at).map(|(_, end)| end)?)
            }
            Symbol::ForwardedPorts { interface, forward } => Handle::Endpoint(
                self.ports
                    .iter()
                    .find(|(i, f, _)| i == interface && f == forward)
                    .map(|(_, _, ports)| ports)?,
            ),
            Symbol::Directory(name) => Handle::File(found(&self.directories, name)?),
            Symbol::SharedFolder(at) => {
                Handle::File(self.folders.iter().find(|(known, _)| known == at).map(|(_, file)| file)?)
            }
            Symbol::Listener(alias) => Handle::Endpoint(found(&self.listeners, alias)?),
            Symbol::Viewers { alias, .. } => Handle::Endpoint(found(&self.viewers, alias)?),
            Symbol::DiskSecret { disk, layer } => Handle::File(
                self.secrets.iter().find(|(d, l, _)| d == disk && l == layer).map(|(_, _, file)| file)?,
            ),
        })
    }
}

fn found<'a, T>(open: &'a [(String, T)], name: &str) -> Option<&'a T> {
    open.iter().find(|(known, _)| known == name).map(|(_, resource)| resource)
}

fn missing(symbol: &Symbol) -> Error {
    problem("sdk.handle-missing", format!("nothing is open for {symbol:?}"))
        .hint("give Resources the firmware before launching")
        .invalid()
}
