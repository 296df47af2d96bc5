//! `<permissions>`: mode, owner, group and label of a directory, a file or a device.

use crate::error::XmlError;
use crate::read::Element;

/// Largest mode: the permission bits with set-id and sticky bits.
const MODE_MAX: u32 = 0o7777;

/// Who may use a pool's target or a volume; what is absent is left as the system makes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permissions {
    /// Permission bits, at most `0o7777`.
    pub mode: Option<u32>,
    /// Numeric owner.
    pub owner: Option<u32>,
    /// Numeric group.
    pub group: Option<u32>,
    /// Label of a mandatory access control.
    pub label: Option<String>,
}

impl Permissions {
    pub(crate) fn read(permissions: Element<'_>) -> Result<Self, XmlError> {
        Ok(Self {
            mode: permissions.maybe("mode", read_mode)?,
            owner: permissions.maybe("owner", read_id)?.flatten(),
            group: permissions.maybe("group", read_id)?.flatten(),
            label: permissions.text_of("label"),
        })
    }
}

/// Octal digits, whatever they begin with.
fn read_mode(mode: Element<'_>) -> Result<u32, XmlError> {
    let text = mode.word();
    let bits = u32::from_str_radix(&text, 8).ok().filter(|bits| *bits <= MODE_MAX && !text.starts_with('+'));
    bits.ok_or_else(|| mode.invalid(None, &text, "an octal mode such as 0600"))
}

/// A number; `-1` stands for one that is not chosen.
fn read_id(id: Element<'_>) -> Result<Option<u32>, XmlError> {
    if id.word() == "-1" { Ok(None) } else { id.content_number().map(Some) }
}
