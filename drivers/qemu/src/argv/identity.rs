//! Who the guest is: name, identifiers, and that nothing is configured behind the document's back.

use hostler_sdk::{Error, Value};

use super::builder::Builder;

/// The generation identifier that nobody chose: it must change whenever the guest goes back in time.
const GENERATION_ID: &str = "auto";

/// `-name`
pub(super) fn name(builder: &mut Builder<'_>) -> Result<(), Error> {
    let name = builder.domain.name.as_str();
    builder.option("name", Value::mapping().with("guest", name).with("debug-threads", true));
    Ok(())
}

/// `-S`: the guest waits until the driver lets it go.
pub(super) fn stopped(builder: &mut Builder<'_>) -> Result<(), Error> {
    builder.launch.flag("S");
    Ok(())
}

/// `-uuid`
pub(super) fn uuid(builder: &mut Builder<'_>) -> Result<(), Error> {
    if let Some(uuid) = &builder.domain.uuid {
        builder.option("uuid", uuid.to_string());
    }
    Ok(())
}

/// The device that tells the guest when it went back in time.
pub(super) fn generation_id(builder: &mut Builder<'_>) -> Result<(), Error> {
    if let Some(genid) = &builder.domain.genid {
        let value = match &genid.value {
            Some(uuid) => uuid.to_string(),
            None if builder.inputs.facts.comparison => super::comparison::GENERATED_ID.to_owned(),
            None => GENERATION_ID.to_owned(),
        };
        builder.bare_device(
            Value::mapping().with("driver", "vmgenid").with("guid", value).with("id", "vmgenid0"),
        );
    }
    Ok(())
}

/// No configuration files, no devices that the document does not name.
pub(super) fn no_defaults(builder: &mut Builder<'_>) -> Result<(), Error> {
    builder.launch.flag("no-user-config");
    builder.launch.flag("nodefaults");
    Ok(())
}
