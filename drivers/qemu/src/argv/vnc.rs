//! `-vnc`

use hostler_sdk::domain::graphics::{Graphics, Listen, SharePolicy, Vnc};
use hostler_sdk::{Error, ProblemExt, Value};

use super::builder::{Builder, set_some};
use super::{comparison, display};

/// The address that is listened on when the document names none: this host only.
pub(super) const LOCAL: &str = "127.0.0.1";

/// One VNC server.
pub(super) fn vnc(
    builder: &mut Builder<'_>,
    graphics: &Graphics,
    vnc: &Vnc,
    position: u16,
) -> Result<(), Error> {
    let mut value = Value::mapping().with("vnc", place(builder, graphics, vnc, position)?);
    if vnc.websocket.is_some() && !builder.inputs.facts.comparison {
        return Err(builder.not_offered(graphics.node, "wants another port, for browsers"));
    }
    if let Some(websocket) = vnc.websocket.filter(|_| listens_on_an_address(graphics)) {
        value.set("websocket", websocket.map_or(comparison::UNCHOSEN_WEBSOCKET, i64::from));
    }
    set_some(&mut value, "share", vnc.share_policy.map(SharePolicy::as_str));
    set_some(&mut value, "power-control", vnc.power_control);
    // Which one is said to the monitor: a command line is everybody's to read.
    set_some(&mut value, "password", vnc.passwd.is_some().then_some(true));
    set_some(&mut value, "audiodev", super::sound::backend(builder, vnc.audio_id));
    builder.option("vnc", value);
    if let Some(keymap) = &vnc.keymap {
        builder.option("k", keymap.as_str());
    }
    Ok(())
}

/// Browsers come over TCP: where there is a socket of the file system, or none, there is no port for them.
fn listens_on_an_address(graphics: &Graphics) -> bool {
    !matches!(graphics.listens.first(), Some(Listen::Socket(_) | Listen::None))
}

/// Where the server listens: nowhere, for the host listens for it and hands the socket over once the hypervisor runs. In a
/// comparison a display on an address, a socket, or nowhere.
fn place(builder: &Builder<'_>, graphics: &Graphics, vnc: &Vnc, position: u16) -> Result<Value, Error> {
    if !builder.inputs.facts.comparison {
        return Ok(Value::from("none"));
    }
    let address = match graphics.listens.first() {
        Some(Listen::Socket(path)) => {
            let path = comparison::socket(builder, path.as_deref(), "vnc.sock");
            return Ok(Value::from(format!("unix:{path}")));
        }
        Some(Listen::None) => return Ok(Value::from("none")),
        Some(Listen::Address(address) | Listen::Network { address, .. }) => address.as_deref(),
        None => None,
    };
    let port = match vnc.port {
        Some(port) => port,
        None => display::automatic_port(builder, graphics, position)?,
    };
    let number = port.checked_sub(display::FIRST_PORT).ok_or_else(|| {
        builder
            .at(
                graphics.node,
                "qemu.vnc-port",
                &format!("wants port {port}; VNC servers start at {}", display::FIRST_PORT),
            )
            .hint("use a port from 5900 up, or autoport='yes'")
            .invalid()
    })?;
    Ok(Value::from(format!("{}:{number}", bracketed(address.unwrap_or(LOCAL)))))
}

/// An IPv6 address in brackets, so that its colons are not the port's.
fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}
