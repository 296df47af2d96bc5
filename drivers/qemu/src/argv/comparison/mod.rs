//! What libvirt 8.5 writes and this driver never would: for `hostler native --for-comparison` only.
//!
//! The recorded command lines that we compare with hold paths, descriptors and secrets of libvirt's own
//! test host. They are made up here, in one place; nothing in this module is reached by a launch.

mod backend;
mod device;
mod disk;
mod firmware;
mod syntax;

pub(super) use backend::{backend, hosted_backend, vhost_user_socket};
pub(crate) use device::volume;
pub(super) use device::{
    passt, scsi_generic_path, sd_card, tap, tpm_emulator, tpm_passthrough, vdpa, vhost_user_gpu, virtiofs,
};
pub(super) use disk::{certificates, own_reservations, reservations};
pub(crate) use firmware::firmware;
pub(super) use firmware::{code_path, flash_images};
pub(super) use syntax::{keeps_text, netdev};

use hostler_sdk::domain::graphics::Graphics;
use hostler_sdk::domain::{Domain, NodeId};
use hostler_sdk::{Error, ProblemExt, Value};

use super::builder::Builder;

/// The number of a domain that does not run.
const DOMAIN_ID: &str = "-1";

/// How much of a name libvirt puts in a path, in characters.
const SHORT_NAME_CHARACTERS: usize = 20;

/// The generation identifier that libvirt's tests generate.
pub(super) const GENERATED_ID: &str = "00010203-0405-4607-8809-0a0b0c0d0e0f";

/// The time at which libvirt's tests run, in seconds since 1970.
pub(super) const NOW: u64 = 1_234_567_890;

/// What stands for a port for browsers that is chosen at the start.
pub(super) const UNCHOSEN_WEBSOCKET: i64 = -1;

/// The graphics card of libvirt's test host.
pub(super) const RENDER_NODE: &str = "/dev/dri/foo";

/// The first context that a guest's socket device can have.
pub(super) const FIRST_CONTEXT_ID: u32 = 3;

/// The descriptor of the socket device in libvirt's tests.
pub(super) const VSOCK_DESCRIPTOR: &str = "6789";

/// The descriptor of every listening socket in libvirt's tests.
const LISTENING_DESCRIPTOR: u32 = 1729;

/// A secret of libvirt's tests, encrypted with their master key, and how.
const SECRET_DATA: &str = "9eao5F8qtkGt+seB1HYivWIxbtwUu6MQtg1zpj/oDtUsPr1q8wBYM91uEHCn6j/1";
const SECRET_IV: &str = "AAECAwQFBgcICQoLDA0ODw==";

/// Whether a path is the one real CD drive of libvirt's test host.
pub(crate) fn is_cdrom_drive(path: &str) -> bool {
    path == "/dev/cdrom"
}

/// A disk's serial number with its blanks escaped, as libvirt once had to for other syntaxes.
pub(super) fn serial(serial: &str) -> String {
    serial.replace(' ', "\\ ")
}

/// Options of virtio that libvirt leaves out of a primary graphics card.
pub(super) fn has_virtio_options(primary: bool) -> bool {
    !primary
}

/// A file in libvirt's directory for the domain.
pub(super) fn domain_path(domain: &Domain, name: &str) -> String {
    format!("/tmp/lib/domain-{}/{name}", short_name(domain))
}

/// What libvirt calls a domain in names of files.
fn short_name(domain: &Domain) -> String {
    let short: String = domain.name.as_str().chars().take(SHORT_NAME_CHARACTERS).collect();
    format!("{DOMAIN_ID}-{short}")
}

/// The file that libvirt keeps memory in.
pub(super) fn memory_path(domain: &Domain, huge_page: Option<u64>, id: &str) -> String {
    let short = short_name(domain);
    match huge_page {
        Some(size) if size >= 1 << 30 => format!("/dev/hugepages1G/libvirt/qemu/{short}"),
        Some(_) => format!("/dev/hugepages2M/libvirt/qemu/{short}"),
        // Modules go by their own name, and not by their object's.
        None => {
            let name = id.strip_prefix("mem").unwrap_or(id);
            format!("/var/lib/libvirt/qemu/ram/{short}/{name}")
        }
    }
}

/// The key that libvirt encrypts all other secrets with.
pub(super) fn master_key(builder: &mut Builder<'_>) -> Result<(), Error> {
    if builder.inputs.facts.comparison {
        let object = Value::mapping()
            .with("qom-type", "secret")
            .with("id", "masterKey0")
            .with("format", "raw")
            .with("file", domain_path(builder.domain, "master-key.aes"));
        builder.option("object", object);
    }
    Ok(())
}

/// The environment of libvirt's tests.
pub(super) fn environment(builder: &mut Builder<'_>) -> Result<(), Error> {
    if builder.inputs.facts.comparison {
        let home = domain_path(builder.domain, "");
        let home = home.trim_end_matches('/');
        let own = [
            ("HOME", home.to_owned()),
            ("USER", "test".to_owned()),
            ("LOGNAME", "test".to_owned()),
            ("XDG_DATA_HOME", format!("{home}/.local/share")),
            ("XDG_CACHE_HOME", format!("{home}/.cache")),
            ("XDG_CONFIG_HOME", format!("{home}/.config")),
        ];
        builder.launch.environment.splice(0..0, own.map(|(key, value)| (key.to_owned(), value)));
    }
    Ok(())
}

/// An object that holds a secret for a server. Outside a comparison there is none: hosts offer passphrases of images only.
///
/// # Errors
/// Always, outside a comparison.
pub(super) fn secret(builder: &mut Builder<'_>, id: &str, user: NodeId) -> Result<(), Error> {
    if !builder.inputs.facts.comparison {
        return Err(builder
            .at(
                user,
                "qemu.secret",
                "needs a secret for a server, and this host hands on passphrases of images only",
            )
            .hint("use a server that needs no password")
            .unsupported());
    }
    let object = Value::mapping()
        .with("qom-type", "secret")
        .with("id", id)
        .with("data", SECRET_DATA)
        .with("keyid", "masterKey0")
        .with("iv", SECRET_IV)
        .with("format", "base64");
    builder.option("object", object);
    Ok(())
}

/// A display's socket: the document's, or where libvirt has it.
pub(super) fn socket(builder: &Builder<'_>, path: Option<&str>, name: &str) -> String {
    path.map_or_else(|| domain_path(builder.domain, name), str::to_owned)
}

/// The certificates of libvirt's SPICE servers.
///
/// # Errors
/// Always, outside a comparison.
pub(super) fn spice_tls(builder: &Builder<'_>, graphics: &Graphics, value: &mut Value) -> Result<(), Error> {
    if !builder.inputs.facts.comparison {
        return Err(builder
            .not_offered(graphics.node, "has a port with TLS, for which this host offers no certificates"));
    }
    value.set("x509-dir", "/etc/pki/libvirt-spice");
    Ok(())
}

/// Hands a descriptor of libvirt's tests to QEMU, and says under which path it is then known.
fn add_descriptor(builder: &mut Builder<'_>, descriptor: u32, what: &str) -> String {
    let set = builder.launch.options.iter().filter(|(name, _)| name == "add-fd").count();
    let value = Value::mapping().with("set", set.to_string()).with("fd", descriptor).with("opaque", what);
    builder.option("add-fd", value);
    format!("/dev/fdset/{set}")
}
