//! Trusted platform modules.

use hostler_sdk::domain::tpm::{Tpm, TpmBackend, TpmVersion};
use hostler_sdk::{Companion, Error, Symbol, Value};

use super::builder::Builder;
use super::comparison;

/// The template of the host that says what swtpm may be given; the driver's grant names it too.
const TEMPLATE: &str = "swtpm";
/// The id of the control channel to the emulated module. A machine has one module.
const CHANNEL: &str = "chrtpm";

/// All modules.
pub(super) fn tpms(builder: &mut Builder<'_>) -> Result<(), Error> {
    for tpm in &builder.domain.devices.tpms {
        let driver = match tpm.model.as_deref() {
            None | Some("tpm-tis") => "tpm-tis",
            Some("tpm-crb") => "tpm-crb",
            Some(other) => {
                return Err(
                    builder.unsupported(tpm.node, &format!("of model '{other}' is not for x86 machines"))
                );
            }
        };
        let alias = builder.id(tpm.node)?;
        let id = format!("tpm-{alias}");
        let back_end = back_end(builder, tpm, alias, &id)?;
        builder.option("tpmdev", back_end);
        let mut value = Value::mapping().with("driver", driver).with("tpmdev", id).with("id", alias);
        builder.place(&mut value, tpm.node, &tpm.info)?;
        builder.device(tpm.node, value);
    }
    Ok(())
}

fn back_end(builder: &mut Builder<'_>, tpm: &Tpm, alias: &str, id: &str) -> Result<Value, Error> {
    if builder.inputs.facts.comparison {
        return Ok(match tpm.backend {
            TpmBackend::Passthrough { .. } => comparison::tpm_passthrough(builder, alias, id),
            TpmBackend::Emulator { .. } | TpmBackend::External { .. } => {
                comparison::tpm_emulator(builder, &tpm.backend, id)
            }
        });
    }
    let what = match &tpm.backend {
        TpmBackend::Passthrough { .. } => "needs the host's module, which this host does not hand on",
        TpmBackend::External { .. } => "names a socket of the host, which this host does not connect to",
        TpmBackend::Emulator { encryption_secret: Some(_), .. } => {
            "has a state that is encrypted with a secret, and this host hands no secrets on"
        }
        TpmBackend::Emulator { active_pcr_banks, .. } if !active_pcr_banks.is_empty() => {
            "chooses its banks of hashes, which swtpm_setup does and this host does not run; all banks are active"
        }
        TpmBackend::Emulator { version, .. } => return Ok(emulator(builder, *version, alias, id)),
    };
    Err(builder.not_offered(tpm.node, what))
}

/// An emulated module: swtpm beside QEMU, which talks to it over a link. A document that does not say which version of
/// the specification has the newer one.
fn emulator(builder: &mut Builder<'_>, version: Option<TpmVersion>, alias: &str, id: &str) -> Value {
    let old = version == Some(TpmVersion::V1_2);
    // States of different versions are not each other's.
    let state = Symbol::Directory(if old { "tpm1.2" } else { "tpm2" }.to_owned());
    let link = || Symbol::Link(alias.to_owned());
    let mut module = Companion::new(alias, TEMPLATE);
    module.option("ctrl", Value::mapping().with("client", link()));
    module.option("tpmstate", Value::mapping().with("dir", state).with("mode", "0600"));
    module.flag("terminate");
    if !old {
        module.flag("tpm2");
    }
    builder.launch.companions.push(module);
    builder.option("chardev", Value::mapping().with("backend", link()).with("id", CHANNEL));
    Value::mapping().with("type", "emulator").with("id", id).with("chardev", CHANNEL)
}
