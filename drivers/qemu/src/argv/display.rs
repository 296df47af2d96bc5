//! Ways to the guest's screen.

use hostler_sdk::domain::graphics::{Graphics, GraphicsKind};
use hostler_sdk::{Error, ProblemExt, Value};

use super::builder::{Builder, set_some};
use super::{comparison, spice, vnc};

/// `-display none`, for a guest that nobody looks at.
pub(super) fn none(builder: &mut Builder<'_>) -> Result<(), Error> {
    if builder.domain.devices.graphics.is_empty() {
        builder.option("display", Value::mapping().with("type", "none"));
    }
    Ok(())
}

/// All ways to the screen.
pub(super) fn graphics(builder: &mut Builder<'_>) -> Result<(), Error> {
    // Servers that get a port of ours count; other displays do not listen.
    let mut position = 0_u16;
    for graphics in &builder.domain.devices.graphics {
        match &graphics.kind {
            GraphicsKind::Vnc(vnc) => {
                vnc::vnc(builder, graphics, vnc, position)?;
                position = position.saturating_add(1);
            }
            GraphicsKind::Spice(spice) => {
                spice::spice(builder, graphics, spice, position)?;
                position = position.saturating_add(1);
            }
            GraphicsKind::EglHeadless { rendernode } => {
                let mut value = Value::mapping().with("type", "egl-headless");
                set_some(&mut value, "rendernode", render_node(builder, rendernode.as_deref()));
                builder.option("display", value);
            }
            GraphicsKind::Sdl { gl, fullscreen, .. } => {
                if *fullscreen == Some(true) {
                    builder.launch.flag("full-screen");
                }
                let mut value = Value::mapping().with("type", "sdl");
                set_some(&mut value, "gl", *gl);
                builder.option("display", value);
            }
            GraphicsKind::Dbus { .. } => dbus(builder, graphics),
            GraphicsKind::Rdp { .. } | GraphicsKind::Desktop => {
                return Err(builder.unsupported(graphics.node, "of this type is not for QEMU"));
            }
        }
    }
    Ok(())
}

fn dbus(builder: &mut Builder<'_>, graphics: &Graphics) {
    let GraphicsKind::Dbus { p2p, address, gl, rendernode, audio_id } = &graphics.kind else { return };
    let mut value = Value::mapping().with("type", "dbus");
    if *p2p {
        value.set("p2p", true);
    } else {
        set_some(&mut value, "addr", address.as_deref());
    }
    set_some(&mut value, "gl", gl.filter(|gl| *gl));
    if *gl == Some(true) {
        set_some(&mut value, "rendernode", render_node(builder, rendernode.as_deref()));
    }
    set_some(&mut value, "audiodev", audio_id.map(|id| format!("audio{id}")));
    builder.option("display", value);
}

/// The device that draws. Which one a silent document means is the host's business; a comparison
/// has a fixed one.
pub(super) fn render_node(builder: &Builder<'_>, named: Option<&str>) -> Option<String> {
    let found = builder.inputs.facts.comparison.then_some(comparison::RENDER_NODE);
    named.or(found).map(str::to_owned)
}

/// The first port of a kind of display that was left to us: the run's number keeps domains apart.
///
/// # Errors
/// There is no port left.
pub(super) fn automatic_port(
    builder: &Builder<'_>,
    graphics: &Graphics,
    position: u16,
) -> Result<u16, Error> {
    let own = builder.inputs.facts.numeric_id.filter(|_| !builder.inputs.facts.comparison);
    let run = own.map_or(0, |id| id.saturating_sub(1));
    let offset = run % (AUTOMATIC_PORTS / PORTS_PER_DOMAIN) * PORTS_PER_DOMAIN + u32::from(position);
    u16::try_from(offset).ok().and_then(|offset| FIRST_PORT.checked_add(offset)).ok_or_else(|| {
        builder
            .at(graphics.node, "qemu.graphics-port", "got no port: there are too many displays")
            .hint("name a port: <graphics port='…' autoport='no'>")
            .conflict()
    })
}

/// The port of VNC display 0; what is left to us starts here.
pub(super) const FIRST_PORT: u16 = 5900;

/// How many ports there are to give.
const AUTOMATIC_PORTS: u32 = 50_000;

/// How many of them each domain gets.
const PORTS_PER_DOMAIN: u32 = 8;
