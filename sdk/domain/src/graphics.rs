//! `<graphics>`: how the display is reached.

use crate::document::NodeId;
use crate::error::XmlError;
use crate::read::Element;

mod spice;

pub use spice::{
    ImageCompression, Spice, SpiceChannel, SpiceChannelMode, SpiceChannelName, SpiceMouse, StreamingMode,
    WanCompression,
};

/// A way to the display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graphics {
    /// The element.
    pub node: NodeId,
    /// Which way.
    pub kind: GraphicsKind,
    /// Where it listens, in document order; the legacy attributes count as one entry.
    pub listens: Vec<Listen>,
}

/// Which way to the display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GraphicsKind {
    /// VNC.
    Vnc(Vnc),
    /// SPICE.
    Spice(Box<Spice>),
    /// A window on the host.
    Sdl {
        /// X display.
        display: Option<String>,
        /// File with the X credentials.
        xauth: Option<String>,
        /// Whether it fills the screen.
        fullscreen: Option<bool>,
        /// Whether OpenGL is used.
        gl: Option<bool>,
    },
    /// OpenGL without a window.
    EglHeadless {
        /// Host path of the render node.
        rendernode: Option<String>,
    },
    /// D-Bus.
    Dbus {
        /// Whether there is no bus in between.
        p2p: bool,
        /// Address of the bus.
        address: Option<String>,
        /// Whether OpenGL is used.
        gl: Option<bool>,
        /// Host path of the render node.
        rendernode: Option<String>,
        /// Id of the audio backend.
        audio_id: Option<u32>,
    },
    /// Remote desktop (VirtualBox and others).
    Rdp {
        /// TCP port; none when the host chooses.
        port: Option<u16>,
    },
    /// The hypervisor's own window (VirtualBox, VMware).
    Desktop,
}

keywords! {
    /// What happens to other viewers when one connects.
    SharePolicy { AllowExclusive = "allow-exclusive", ForceShared = "force-shared", Ignore = "ignore" }
}

/// VNC.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vnc {
    /// TCP port; none when the host chooses (`-1` or not given).
    pub port: Option<u16>,
    /// Whether the host chooses the port.
    pub autoport: bool,
    /// Port for web sockets; `Some(None)` when the host chooses.
    pub websocket: Option<Option<u16>>,
    /// Keyboard layout.
    pub keymap: Option<String>,
    /// What happens to other viewers when one connects.
    pub share_policy: Option<SharePolicy>,
    /// Whether a viewer may switch the domain off.
    pub power_control: Option<bool>,
    /// Password; treat it as a secret.
    pub passwd: Option<String>,
    /// When the password ends, as `YYYY-MM-DDTHH:MM:SS` in UTC.
    pub passwd_valid_to: Option<String>,
    /// Id of the audio backend.
    pub audio_id: Option<u32>,
}

/// `<listen>`: where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// At an address; none for the operator's default.
    Address(Option<String>),
    /// At the address of a virtual network.
    Network {
        /// The network.
        network: String,
        /// The address, in a running domain.
        address: Option<String>,
    },
    /// At a socket; none when the host chooses the path.
    Socket(Option<String>),
    /// Nowhere.
    None,
}

/// Where a server is reached by whoever looks at the display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached<'a> {
    /// At a TCP port.
    Port {
        /// Of this address; none for the operator's default.
        address: Option<&'a str>,
        /// Which; none when the host chooses.
        port: Option<u16>,
    },
    /// At a socket; none when the host chooses the path.
    Socket(Option<&'a str>),
}

impl Graphics {
    /// Where the server listens; none when it is no server, or listens nowhere.
    ///
    /// SPICE listens nowhere unless the document says where: so it is with libvirt.
    pub fn reached(&self) -> Option<Reached<'_>> {
        let (port, chosen) = match &self.kind {
            GraphicsKind::Vnc(vnc) => (vnc.port, vnc.autoport || vnc.port.is_none()),
            GraphicsKind::Spice(spice) => (spice.port, spice.autoport == Some(true)),
            _ => return None,
        };
        let address = match self.listens.first() {
            Some(Listen::Socket(path)) => return Some(Reached::Socket(path.as_deref())),
            Some(Listen::None) => return None,
            Some(Listen::Address(address) | Listen::Network { address, .. }) => address.as_deref(),
            None => None,
        };
        (chosen || port.is_some()).then_some(Reached::Port { address, port: port.filter(|_| !chosen) })
    }

    /// The password that a server asks for, and when it ends; treat it as a secret.
    pub fn password(&self) -> Option<(&str, Option<&str>)> {
        let (password, end) = match &self.kind {
            GraphicsKind::Vnc(vnc) => (&vnc.passwd, &vnc.passwd_valid_to),
            GraphicsKind::Spice(spice) => (&spice.passwd, &spice.passwd_valid_to),
            _ => return None,
        };
        Some((password.as_deref()?, end.as_deref()))
    }

    /// The VNC part, if it is VNC.
    pub fn vnc(&self) -> Option<&Vnc> {
        match &self.kind {
            GraphicsKind::Vnc(vnc) => Some(vnc),
            _ => None,
        }
    }

    /// The SPICE part, if it is SPICE.
    pub fn spice(&self) -> Option<&Spice> {
        match &self.kind {
            GraphicsKind::Spice(spice) => Some(spice),
            _ => None,
        }
    }

    pub(crate) fn read(graphics: Element<'_>) -> Result<Self, XmlError> {
        let gl = || graphics.maybe("gl", |gl| gl.yes_no("enable")).map(Option::flatten);
        let rendernode = || graphics.child("gl").and_then(|gl| gl.filled("rendernode"));
        let kind = match graphics.need("type")? {
            "vnc" => GraphicsKind::Vnc(read_vnc(graphics)?),
            "spice" => GraphicsKind::Spice(Box::new(Spice::read(graphics)?)),
            "sdl" => GraphicsKind::Sdl {
                display: graphics.filled("display"),
                xauth: graphics.filled("xauth"),
                fullscreen: graphics.yes_no("fullscreen")?,
                gl: gl()?,
            },
            "egl-headless" => GraphicsKind::EglHeadless { rendernode: rendernode() },
            "dbus" => GraphicsKind::Dbus {
                p2p: graphics.yes_no("p2p")?.unwrap_or(false),
                address: graphics.filled("address"),
                gl: gl()?,
                rendernode: rendernode(),
                audio_id: read_audio_id(graphics)?,
            },
            "rdp" => GraphicsKind::Rdp { port: read_port(graphics, "port")? },
            "desktop" => GraphicsKind::Desktop,
            other => {
                let known = ["vnc", "spice", "sdl", "egl-headless", "dbus", "rdp", "desktop"];
                return Err(graphics.unknown(Some("type"), other, &known));
            }
        };
        Ok(Self { node: graphics.node, kind, listens: read_listens(graphics)? })
    }
}

fn read_vnc(graphics: Element<'_>) -> Result<Vnc, XmlError> {
    let port = read_port(graphics, "port")?;
    let websocket = graphics.get("websocket").is_some();
    Ok(Vnc {
        port,
        autoport: graphics.yes_no("autoport")?.unwrap_or(port.is_none()),
        websocket: websocket.then(|| read_port(graphics, "websocket")).transpose()?,
        keymap: graphics.filled("keymap"),
        share_policy: graphics.keyword("sharePolicy")?,
        power_control: graphics.yes_no("powerControl")?,
        passwd: graphics.string("passwd"),
        passwd_valid_to: graphics.filled("passwdValidTo"),
        audio_id: read_audio_id(graphics)?,
    })
}

/// A port; none for `-1`, which asks the host to choose.
fn read_port(graphics: Element<'_>, name: &'static str) -> Result<Option<u16>, XmlError> {
    match graphics.get(name) {
        None | Some("-1") => Ok(None),
        Some(_) => graphics.number(name),
    }
}

fn read_audio_id(graphics: Element<'_>) -> Result<Option<u32>, XmlError> {
    graphics.maybe("audio", |audio| audio.need_number("id"))
}

fn read_listens(graphics: Element<'_>) -> Result<Vec<Listen>, XmlError> {
    let legacy = graphics.filled("listen");
    let socket = graphics.filled("socket");
    let mut listens = graphics.each("listen", read_listen)?;
    if listens.is_empty() {
        listens.extend(legacy.map(|address| Listen::Address(Some(address))));
        listens.extend(socket.map(|path| Listen::Socket(Some(path))));
    }
    Ok(listens)
}

fn read_listen(listen: Element<'_>) -> Result<Listen, XmlError> {
    match listen.need("type")? {
        "address" => Ok(Listen::Address(listen.filled("address"))),
        "network" => {
            Ok(Listen::Network { network: listen.need_string("network")?, address: listen.filled("address") })
        }
        "socket" => Ok(Listen::Socket(listen.filled("socket"))),
        "none" => Ok(Listen::None),
        other => Err(listen.unknown(Some("type"), other, &["address", "network", "socket", "none"])),
    }
}
