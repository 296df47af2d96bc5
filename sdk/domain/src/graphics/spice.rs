//! SPICE graphics.

use super::read_port;
use crate::error::XmlError;
use crate::read::Element;

keywords! {
    /// A channel of SPICE.
    SpiceChannelName {
        Main = "main", Display = "display", Inputs = "inputs", Cursor = "cursor", Playback = "playback",
        Record = "record", Smartcard = "smartcard", Usbredir = "usbredir",
    }
}
keywords! {
    /// Whether a channel is encrypted.
    SpiceChannelMode { Any = "any", Secure = "secure", Insecure = "insecure" }
}
keywords! {
    /// How images are compressed.
    ImageCompression {
        AutoGlz = "auto_glz", AutoLz = "auto_lz", Quic = "quic", Glz = "glz", Lz = "lz", Off = "off",
    }
}
keywords! {
    /// Whether lossy compression is used over slow lines.
    WanCompression { Auto = "auto", Never = "never", Always = "always" }
}
keywords! {
    /// Which regions are sent as video.
    StreamingMode { Filter = "filter", All = "all", Off = "off" }
}
keywords! {
    /// Who moves the pointer.
    SpiceMouse { Server = "server", Client = "client" }
}

/// SPICE; none where the document is silent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spice {
    /// TCP port; none when the host chooses or there is none.
    pub port: Option<u16>,
    /// TCP port for encrypted channels; none when the host chooses or there is none.
    pub tls_port: Option<u16>,
    /// Whether the host chooses the ports; a port of `-1` says so, too.
    pub autoport: Option<bool>,
    /// Keyboard layout.
    pub keymap: Option<String>,
    /// Whether channels are encrypted when nothing else is said.
    pub default_mode: Option<SpiceChannelMode>,
    /// Password; treat it as a secret.
    pub passwd: Option<String>,
    /// When the password ends, as `YYYY-MM-DDTHH:MM:SS` in UTC.
    pub passwd_valid_to: Option<String>,
    /// Modes of single channels, in document order.
    pub channels: Vec<SpiceChannel>,
    /// How images are compressed.
    pub image: Option<ImageCompression>,
    /// Whether JPEG is used over slow lines.
    pub jpeg: Option<WanCompression>,
    /// Whether zlib is used over slow lines.
    pub zlib: Option<WanCompression>,
    /// Whether sound is compressed.
    pub playback: Option<bool>,
    /// Which regions are sent as video.
    pub streaming: Option<StreamingMode>,
    /// Whether the clipboard is shared.
    pub copypaste: Option<bool>,
    /// Who moves the pointer.
    pub mouse: Option<SpiceMouse>,
    /// Whether files can be sent.
    pub filetransfer: Option<bool>,
    /// Whether OpenGL is used.
    pub gl: Option<bool>,
    /// Host path of the render node.
    pub rendernode: Option<String>,
}

/// The mode of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpiceChannel {
    /// The channel.
    pub name: SpiceChannelName,
    /// Whether it is encrypted.
    pub mode: SpiceChannelMode,
}

impl Spice {
    pub(super) fn read(graphics: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self {
            port: read_port(graphics, "port")?,
            tls_port: read_port(graphics, "tlsPort")?,
            autoport: graphics
                .yes_no("autoport")?
                .or_else(|| (graphics.get("port") == Some("-1")).then_some(true)),
            keymap: graphics.filled("keymap"),
            default_mode: graphics.keyword("defaultMode")?,
            passwd: graphics.string("passwd"),
            passwd_valid_to: graphics.filled("passwdValidTo"),
            channels: graphics.each("channel", |channel| {
                Ok(SpiceChannel { name: channel.need_keyword("name")?, mode: channel.need_keyword("mode")? })
            })?,
            image: graphics.maybe("image", |image| image.need_keyword("compression"))?,
            jpeg: graphics.maybe("jpeg", |jpeg| jpeg.need_keyword("compression"))?,
            zlib: graphics.maybe("zlib", |zlib| zlib.need_keyword("compression"))?,
            playback: graphics.maybe("playback", |playback| playback.on_off("compression"))?.flatten(),
            streaming: graphics.maybe("streaming", |streaming| streaming.need_keyword("mode"))?,
            copypaste: graphics.maybe("clipboard", |clipboard| clipboard.yes_no("copypaste"))?.flatten(),
            mouse: graphics.maybe("mouse", |mouse| mouse.need_keyword("mode"))?,
            filetransfer: graphics.maybe("filetransfer", |transfer| transfer.yes_no("enable"))?.flatten(),
            gl: graphics.maybe("gl", |gl| gl.yes_no("enable"))?.flatten(),
            rendernode: graphics.child("gl").and_then(|gl| gl.filled("rendernode")),
        })
    }
}
