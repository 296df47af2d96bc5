//! Whether everything that a document names lies beneath the storage roots of its tenant.
//!
//! Judged by the names alone, so that it is told before anything is opened; what is opened later is opened beneath the
//! roots and through no link.

use std::path::Path;

use hostler_domain::chardev::{CharBackend, Chardev};
use hostler_domain::pool::StoragePool;
use hostler_domain::storage_source::{Location, StorageSource};
use hostler_domain::{DeviceLimit, Domain, Limit};
use hostler_firmware::{SearchPath, is_installed};
use hostler_launch::control_group::Layout;

use crate::error::{Error, Kind};
use crate::host::Host;

/// What the code of firmware is called.
const LOADER: &str = "loader";

/// A place that a document names.
struct Named<'a> {
    what: String,
    path: &'a str,
}

impl Host {
    /// Refuses a pool whose directory lies elsewhere than beneath the tenant's storage roots.
    ///
    /// # Errors
    /// [`Kind::Denied`] with the place, the rule and the remedy.
    pub(crate) fn require_pool_within(&self, pool: &StoragePool) -> Result<(), Error> {
        let Some(tenant) = self.tenant() else { return Ok(()) };
        let Some(path) = pool.target.path.as_deref().map(Path::new) else { return Ok(()) };
        self.reach()
            .require(path)
            .map_err(|error| outside(error.into(), path, &tenant.name).about("pool", pool.name.as_str()))
    }

    /// Refuses a document that names files elsewhere than beneath the tenant's storage roots, or that claims more of the host than
    /// others have.
    ///
    /// # Errors
    /// [`Kind::Denied`] with the place, the rule and the remedy.
    pub(crate) fn require_allowed_to_tenant(&self, domain: &Domain) -> Result<(), Error> {
        let Some(tenant) = self.tenant() else { return Ok(()) };
        let (reach, name) = (self.reach(), tenant.name.as_str());
        let installed = &self.config.firmware;
        require_own_store(domain, installed, name)?;
        require_nothing_by_name(domain, name)?;
        require_usual_weights(domain, name)?;
        for named in places(domain) {
            // Code of installed firmware is the host's, whoever names it: so are the firmware and its template written
            // into a document when they are chosen.
            if named.what == LOADER && is_installed(installed, Some(Path::new(named.path)), None) {
                continue;
            }
            reach.require(Path::new(named.path)).map_err(|error| {
                outside(error.into(), Path::new(named.path), name).about("element", named.what)
            })?;
        }
        Ok(())
    }
}

/// Weights count beside those of other tenants' guests: a tenant may have its own stand back, and not push ahead.
fn require_usual_weights(domain: &Domain, tenant: &str) -> Result<(), Error> {
    let most = |limit: &Limit| match limit {
        Limit::CpuShares(shares) => Some((*shares, usual_shares())),
        Limit::BlockWeight(weight) => Some((u64::from(*weight), USUAL_WEIGHT)),
        Limit::BlockDevice(DeviceLimit::Weight, _, weight) => Some((*weight, USUAL_WEIGHT)),
        _ => None,
    };
    for limit in &domain.limits {
        if let Some((wanted, usual)) = most(limit).filter(|(wanted, usual)| wanted > usual) {
            let message = format!(
                "a guest of a tenant has at most the usual weight in '{}': {usual}, not {wanted}",
                limit.name()
            );
            return Err(Error::new(Kind::Denied, "tenant.weight", message)
                .about("tenant", tenant)
                .hint(format!("write {usual} or less, or take the element out")));
        }
    }
    Ok(())
}

/// The kernel's own weight beside others at a block device.
const USUAL_WEIGHT: u64 = 100;

/// The kernel's own weight beside others at processors; where it cannot be told, the lower one of both versions.
fn usual_shares() -> u64 {
    Layout::of_this_host().map_or(USUAL_WEIGHT, |layout| layout.usual_shares())
}

/// The same refusal with what a tenant can do about it.
pub(crate) fn outside(error: Error, path: &Path, tenant: &str) -> Error {
    let directory = path.parent().unwrap_or(path).display().to_string();
    error.about("tenant", tenant).hint("put it beneath one of the storage roots").hint_command(
        "the operator can add a root",
        format!("hostler tenant allow {tenant} --storage-root {}", hostler_image::shell_quote(&directory)),
    )
}

/// A variable store is copied from its template and written to before a guest has it. So that no name that a tenant
/// chooses has a part in that, it is in the tenant's state directory, and its template is that of installed firmware.
fn require_own_store(domain: &Domain, installed: &SearchPath, tenant: &str) -> Result<(), Error> {
    let Some(nvram) = &domain.os.nvram else { return Ok(()) };
    let what = match (&nvram.source, &nvram.template) {
        (Some(_), _) => "where its variable store is",
        (None, Some(template)) if is_installed(installed, None, Some(Path::new(template))) => return Ok(()),
        (None, Some(_)) => "a template for its variable store",
        (None, None) => return Ok(()),
    };
    let message = format!("the document says {what}, which is the host's to choose for a tenant");
    Err(Error::new(Kind::Denied, "tenant.nvram", message)
        .about("tenant", tenant)
        .about("domain", domain.name.as_str())
        .hint("leave <nvram> empty or out, and let firmware be chosen: <os firmware='efi'>"))
}

fn places(domain: &Domain) -> Vec<Named<'_>> {
    let mut places = Vec::new();
    for disk in &domain.devices.disks {
        let what = format!("disk {}", disk.target);
        let layers = disk.source.layers().filter_map(place);
        places.extend(layers.map(|path| Named { what: what.clone(), path }));
    }
    let os = &domain.os;
    let boot = [
        (LOADER, os.loader.as_ref().and_then(|loader| loader.path.as_deref())),
        ("kernel", os.kernel.as_deref()),
        ("initrd", os.initrd.as_deref()),
        ("dtb", os.dtb.as_deref()),
        ("acpi table", os.acpi_slic.as_deref()),
    ];
    for (what, path) in boot {
        places.extend(path.map(|path| Named { what: what.to_owned(), path }));
    }
    places.extend(character_devices(domain).filter_map(far_end));
    places
}

fn place(source: &StorageSource) -> Option<&str> {
    match &source.location {
        Location::File(path) | Location::Block(path) | Location::Dir(path) => Some(path),
        _ => None,
    }
}

fn far_end(device: &Chardev) -> Option<Named<'_>> {
    match &device.source.backend {
        CharBackend::File { path, .. } => Some(Named { what: "file of a character device".to_owned(), path }),
        _ => None,
    }
}

/// Sockets, pipes and devices that the hypervisor would open by their names: whatever lies beneath a root when the name
/// is judged, a link may lie there when it is opened.
fn require_nothing_by_name(domain: &Domain, tenant: &str) -> Result<(), Error> {
    let sources = domain.devices.disks.iter().flat_map(|disk| disk.source.layers());
    let disks = sources.filter_map(|source| match &source.location {
        Location::VhostUser { path, .. } => Some(("socket of a disk", path)),
        Location::VhostVdpa(path) => Some(("device of a disk", path)),
        _ => None,
    });
    let ends = character_devices(domain).filter_map(|device| match &device.source.backend {
        CharBackend::Unix { path: Some(path), .. } => Some(("socket of a character device", path)),
        CharBackend::Pipe { path } => Some(("pipe of a character device", path)),
        CharBackend::Dev { path } => Some(("device behind a character device", path)),
        CharBackend::Nmdm { master, .. } => Some(("null modem of a character device", master)),
        _ => None,
    });
    let Some((what, path)) = disks.chain(ends).next() else { return Ok(()) };
    let message = format!("'{path}' is the {what}, which a hypervisor would open by its name");
    Err(Error::new(Kind::Denied, "tenant.opened-by-name", message)
        .about("tenant", tenant)
        .about("domain", domain.name.as_str())
        .hint("leave the path of a socket out, and the host makes one; or use <serial type='pty'> and 'hostler console'"))
}

fn character_devices(domain: &Domain) -> impl Iterator<Item = &Chardev> {
    let devices = &domain.devices;
    devices.serials.iter().chain(&devices.parallels).chain(&devices.consoles).chain(&devices.channels)
}
