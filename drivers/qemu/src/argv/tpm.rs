//! Trusted platform modules.

use hostler_sdk::domain::tpm::{Tpm, TpmBackend};
use hostler_sdk::{Error, Value};

use super::builder::Builder;
use super::comparison;

/// All modules. Both kinds of back end need something of the host that it does not offer yet.
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
        refuse(builder, tpm)?;
        let alias = builder.id(tpm.node)?;
        let id = format!("tpm-{alias}");
        let back_end = match &tpm.backend {
            TpmBackend::Passthrough { .. } => comparison::tpm_passthrough(builder, alias, &id),
            TpmBackend::Emulator { .. } | TpmBackend::External { .. } => {
                comparison::tpm_emulator(builder, &tpm.backend, &id)
            }
        };
        builder.option("tpmdev", back_end);
        let mut value = Value::mapping().with("driver", driver).with("tpmdev", id).with("id", alias);
        builder.place(&mut value, tpm.node, &tpm.info)?;
        builder.device(tpm.node, value);
    }
    Ok(())
}

fn refuse(builder: &Builder<'_>, tpm: &Tpm) -> Result<(), Error> {
    if builder.inputs.facts.comparison {
        return Ok(());
    }
    let what = match tpm.backend {
        TpmBackend::Passthrough { .. } => "needs the host's module, which this host does not hand on",
        TpmBackend::Emulator { .. } | TpmBackend::External { .. } => {
            "needs swtpm, a helper that this host does not run"
        }
    };
    Err(builder.not_offered(tpm.node, what))
}
