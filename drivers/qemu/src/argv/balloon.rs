//! The memory balloon.

use hostler_sdk::Error;

use super::builder::{Builder, set_some};
use super::virtio;

/// The balloon, unless the document wants none.
pub(super) fn balloon(builder: &mut Builder<'_>) -> Result<(), Error> {
    let Some(balloon) = builder.domain.devices.memballoon.as_ref().filter(|balloon| balloon.model != "none")
    else {
        return Ok(());
    };
    if balloon.model == "xen" {
        return Err(builder.unsupported(balloon.node, "of model 'xen' is not for QEMU"));
    }
    let mut value =
        virtio::device("virtio-balloon", &balloon.info, Some(balloon.model.as_str()), &balloon.virtio)
            .with("id", builder.id(balloon.node)?);
    set_some(&mut value, "deflate-on-oom", balloon.auto_deflate);
    set_some(&mut value, "free-page-reporting", balloon.free_page_reporting);
    builder.place(&mut value, balloon.node, &balloon.info)?;
    builder.device(balloon.node, value);
    Ok(())
}
