//! Sockets between host and guest.

use hostler_sdk::Error;

use super::builder::Builder;
use super::{comparison, virtio};

/// The socket device.
pub(super) fn vsock(builder: &mut Builder<'_>) -> Result<(), Error> {
    let Some(vsock) = &builder.domain.devices.vsock else { return Ok(()) };
    if !builder.inputs.facts.comparison {
        return Err(
            builder.not_offered(vsock.node, "needs /dev/vhost-vsock, which this host does not hand on")
        );
    }
    let mut value = virtio::device("vhost-vsock", &vsock.info, vsock.model.as_deref(), &vsock.virtio)
        .with("id", builder.id(vsock.node)?)
        .with("guest-cid", vsock.cid.unwrap_or(comparison::FIRST_CONTEXT_ID))
        .with("vhostfd", comparison::VSOCK_DESCRIPTOR);
    builder.place(&mut value, vsock.node, &vsock.info)?;
    builder.device(vsock.node, value);
    Ok(())
}
