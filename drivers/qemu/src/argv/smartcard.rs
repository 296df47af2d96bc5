//! Smartcards.

use hostler_sdk::domain::address::Address;
use hostler_sdk::domain::controller::ControllerType;
use hostler_sdk::domain::smartcard::{Smartcard, SmartcardSource};
use hostler_sdk::{Error, Value};

use super::builder::{Builder, set_some};
use super::chardev::{self, Owner};

/// Where the host's certificates lie when the document does not say.
const DEFAULT_DATABASE: &str = "/etc/pki/nssdb";

/// All smartcards.
pub(super) fn smartcards(builder: &mut Builder<'_>) -> Result<(), Error> {
    for card in &builder.domain.devices.smartcards {
        let mut value = source(builder, card)?.with("id", builder.id(card.node)?);
        let controller = match card.info.address {
            Some(Address::Ccid { controller, .. }) => controller,
            _ => 0,
        };
        value
            .set("bus", format!("{}.0", builder.controller_id(ControllerType::Ccid, controller, card.node)?));
        builder.device(card.node, value);
    }
    Ok(())
}

fn source(builder: &mut Builder<'_>, card: &Smartcard) -> Result<Value, Error> {
    let value = Value::mapping();
    Ok(match &card.source {
        SmartcardSource::Host => value.with("driver", "ccid-card-emulated").with("backend", "nss-emulated"),
        SmartcardSource::HostCertificates { certificates, database } => {
            let mut value = value.with("driver", "ccid-card-emulated").with("backend", "certificates");
            for (key, certificate) in ["cert1", "cert2", "cert3"].iter().zip(certificates) {
                value.set(key, certificate.as_str());
            }
            set_some(&mut value, "db", Some(database.as_deref().unwrap_or(DEFAULT_DATABASE)));
            value
        }
        SmartcardSource::Passthrough(source) => {
            let owner = Owner {
                node: card.node,
                alias: builder.id(card.node)?,
                spice_name: "smartcard",
                hosted: false,
            };
            let chardev = chardev::add(builder, &owner, source)?;
            value.with("driver", "ccid-card-passthru").with("chardev", chardev)
        }
    })
}
