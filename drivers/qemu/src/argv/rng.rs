//! Sources of randomness.

use hostler_sdk::domain::rng::{Rng, RngBackend};
use hostler_sdk::{Error, Value};

use super::builder::{Builder, set_some};
use super::chardev::{self, Owner};
use super::virtio;

/// Where randomness comes from when the document does not say.
const DEFAULT_SOURCE: &str = "/dev/random";

/// How long a limit counts, in milliseconds, when the document does not say.
const DEFAULT_PERIOD_MS: u32 = 1000;

/// All devices, each after the object that feeds it.
pub(super) fn rngs(builder: &mut Builder<'_>) -> Result<(), Error> {
    builder.domain.devices.rngs.iter().try_for_each(|rng| one(builder, rng))
}

/// One device, after the object that feeds it.
///
/// # Errors
/// A back end that this host does not offer; an address that is not there.
pub(super) fn one(builder: &mut Builder<'_>, rng: &Rng) -> Result<(), Error> {
    let id = format!("obj{}", builder.id(rng.node)?);
    let object = object(builder, rng, &id)?;
    builder.option("object", object);
    let mut value = virtio::device("virtio-rng", &rng.info, Some(rng.model.as_str()), &rng.virtio)
        .with("rng", id)
        .with("id", builder.id(rng.node)?);
    if let Some(rate) = &rng.rate {
        value.set("max-bytes", rate.bytes);
        value.set("period", rate.period_ms.unwrap_or(DEFAULT_PERIOD_MS));
    }
    builder.place(&mut value, rng.node, &rng.info)?;
    builder.device(rng.node, value);
    Ok(())
}

fn object(builder: &mut Builder<'_>, rng: &Rng, id: &str) -> Result<Value, Error> {
    let value = Value::mapping();
    Ok(match &rng.backend {
        RngBackend::Random(path) => {
            let mut value = value.with("qom-type", "rng-random").with("id", id);
            set_some(&mut value, "filename", Some(path.as_deref().unwrap_or(DEFAULT_SOURCE)));
            value
        }
        RngBackend::Egd(source) => {
            let owner =
                Owner { node: rng.node, alias: builder.id(rng.node)?, spice_name: "rng", hosted: false };
            let chardev = chardev::add(builder, &owner, source)?;
            value.with("qom-type", "rng-egd").with("id", id).with("chardev", chardev)
        }
        RngBackend::Builtin => value.with("qom-type", "rng-builtin").with("id", id),
    })
}
