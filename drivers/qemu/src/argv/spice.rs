//! `-spice`: a server that listens nowhere, for the host accepts for it. In a comparison it listens where libvirt has it.

use hostler_sdk::domain::graphics::{Graphics, Listen, Spice, SpiceChannelMode, SpiceMouse};
use hostler_sdk::domain::graphics::{ImageCompression, StreamingMode, WanCompression};
use hostler_sdk::{Error, Value};

use super::builder::{Builder, set_some};
use super::{comparison, display, vnc};

/// One SPICE server.
pub(super) fn spice(
    builder: &mut Builder<'_>,
    graphics: &Graphics,
    spice: &Spice,
    position: u16,
) -> Result<(), Error> {
    let mut value = Value::mapping();
    if spice.tls_port.is_some() {
        comparison::spice_tls(builder, graphics, &mut value)?;
    }
    if builder.inputs.facts.comparison {
        place(builder, graphics, spice, position, &mut value)?;
    } else {
        value.set("port", 0_u32);
        set_some(&mut value, "disable-ticketing", spice.passwd.is_none().then_some(true));
    }
    set_some(&mut value, "agent-mouse", (spice.mouse == Some(SpiceMouse::Server)).then_some(false));
    add_channels(builder, graphics, spice, &mut value)?;
    add_qualities(spice, &mut value);
    set_some(&mut value, "disable-copy-paste", (spice.copypaste == Some(false)).then_some(true));
    set_some(&mut value, "disable-agent-file-xfer", (spice.filetransfer == Some(false)).then_some(true));
    if spice.gl == Some(true) {
        if !builder.inputs.facts.comparison {
            return Err(builder.not_offered(graphics.node, "draws with OpenGL, for which there is no device"));
        }
        value.set("gl", true);
        set_some(&mut value, "rendernode", display::render_node(builder, spice.rendernode.as_deref()));
    }
    builder.option("spice", value.with("seamless-migration", true));
    if let Some(keymap) = &spice.keymap {
        builder.option("k", keymap.as_str());
    }
    Ok(())
}

fn place(
    builder: &Builder<'_>,
    graphics: &Graphics,
    spice: &Spice,
    position: u16,
    value: &mut Value,
) -> Result<(), Error> {
    let address = match graphics.listens.first() {
        Some(Listen::Socket(path)) => {
            value.set("unix", Value::Null);
            value.set("addr", comparison::socket(builder, path.as_deref(), "spice.sock"));
            return Ok(());
        }
        Some(Listen::None) => {
            value.set("port", 0_u32);
            return Ok(());
        }
        Some(Listen::Address(address) | Listen::Network { address, .. }) => address.as_deref(),
        None => None,
    };
    let open = match spice.port {
        Some(port) => Some(port),
        None if spice.autoport == Some(true) => Some(display::automatic_port(builder, graphics, position)?),
        None => None,
    };
    if open.is_none() && spice.tls_port.is_none() {
        value.set("port", 0_u32);
        return Ok(());
    }
    set_some(value, "port", open.map(u32::from));
    set_some(value, "tls-port", spice.tls_port.map(u32::from));
    value.set("addr", address.unwrap_or(vnc::LOCAL));
    Ok(())
}

/// Which channels are encrypted. Without TLS none is, and nothing needs to be said.
fn add_channels(
    builder: &Builder<'_>,
    graphics: &Graphics,
    spice: &Spice,
    value: &mut Value,
) -> Result<(), Error> {
    if !builder.inputs.facts.comparison {
        let modes = spice.channels.iter().map(|channel| channel.mode).chain(spice.default_mode);
        let secure = modes.into_iter().any(|mode| mode == SpiceChannelMode::Secure);
        let what = "wants channels with TLS, for which this host offers no certificates";
        return if secure { Err(builder.not_offered(graphics.node, what)) } else { Ok(()) };
    }
    let key = |mode| match mode {
        SpiceChannelMode::Any => None,
        SpiceChannelMode::Secure => Some("tls-channel"),
        SpiceChannelMode::Insecure => Some("plaintext-channel"),
    };
    if let Some(key) = spice.default_mode.and_then(key) {
        value.set(key, "default");
    }
    let mut channels: Vec<_> = spice.channels.iter().collect();
    channels.sort_by_key(|channel| channel.name);
    for channel in channels {
        if let Some(key) = key(channel.mode) {
            value.set(key, channel.name.as_str());
        }
    }
    Ok(())
}

fn add_qualities(spice: &Spice, value: &mut Value) {
    set_some(value, "image-compression", spice.image.map(ImageCompression::as_str));
    set_some(value, "jpeg-wan-compression", spice.jpeg.map(WanCompression::as_str));
    set_some(value, "zlib-glz-wan-compression", spice.zlib.map(WanCompression::as_str));
    set_some(value, "playback-compression", spice.playback);
    set_some(value, "streaming-video", spice.streaming.map(StreamingMode::as_str));
}
