//! The forms from before URIs: `nbd:HOST:PORT` and `rbd:POOL/IMAGE:OPTIONS`.

use hostler_domain::storage_source::{Host, NetworkSource, Protocol};

use super::uri::{port_of, protocol_of};
use super::{BackingSource, Fault, Found, Profile};
use crate::reference::printable;

pub(super) fn read(text: &str, profile: Profile) -> Result<Found, Fault> {
    let (protocol, rest) = text.split_once(':').ok_or("it names no protocol")?;
    match protocol_of(protocol)? {
        Protocol::Nbd => nbd(rest).map(Found::clean),
        Protocol::Rbd => rbd(rest, profile),
        other => Err(format!("a source of protocol '{other}' is written '{other}://…'")),
    }
}

/// `HOST:PORT`, `[ADDRESS]:PORT` or `unix:PATH`, each with `:exportname=NAME` behind it.
fn nbd(text: &str) -> Result<BackingSource, Fault> {
    let (address, export) =
        text.split_once(":exportname=").map_or((text, None), |(address, name)| (address, Some(name)));
    let host = if let Some(path) = address.strip_prefix("unix:") {
        filled(path, "it names no socket").map(Host::unix)?
    } else {
        let (name, port) = match address.strip_prefix('[') {
            Some(rest) => rest.split_once("]:").ok_or("a port follows the bracket of an address")?,
            None => address.split_once(':').ok_or("it has no port")?,
        };
        Host::tcp(filled(name, "it names no host")?, Some(port_of(port)?))
    };
    let mut source = NetworkSource::new(Protocol::Nbd);
    source.hosts.push(host);
    source.name = export.filter(|name| !name.is_empty()).map(str::to_owned);
    Ok(BackingSource::network(source))
}

fn filled<'a>(text: &'a str, otherwise: &str) -> Result<&'a str, Fault> {
    if text.is_empty() { Err(otherwise.to_owned()) } else { Ok(text) }
}

/// `[POOL/]IMAGE[@SNAPSHOT][:KEY=VALUE…]`; the same text is the `filename` of a `json:` description.
pub(super) fn rbd(text: &str, profile: Profile) -> Result<Found, Fault> {
    let (image, options) = text.split_once(':').unwrap_or((text, ""));
    let (image, snapshot) =
        image.split_once('@').map_or((image, None), |(image, snapshot)| (image, Some(snapshot)));
    if image.is_empty() || (profile == Profile::Strict && !image.contains('/')) {
        return Err("an rbd source is written 'rbd:POOL/IMAGE'".to_owned());
    }
    let mut source = NetworkSource::new(Protocol::Rbd);
    source.name = Some(image.to_owned());
    source.snapshot = snapshot.map(str::to_owned);
    let (mut unsupported, mut user) = (Vec::new(), false);
    for option in options_of(options) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key {
            "id" if user => return Err("it names two users".to_owned()),
            "id" => user = true,
            "mon_host" => source.hosts.extend(monitors(value)?),
            "conf" => source.config_file = Some(value.to_owned()),
            _ => {}
        }
        if profile == Profile::Strict && !matches!(key, "mon_host" | "conf" | "") {
            unsupported.push(format!("option '{}'", printable(key)));
        }
    }
    Ok(Found { source: BackingSource::network(source), unsupported })
}

/// Splits at each `:` that no backslash stands before.
fn options_of(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text).filter(|text| !text.is_empty());
    std::iter::from_fn(move || {
        let text = rest?;
        let (option, after) = split_unescaped(text);
        rest = after;
        Some(option)
    })
}

fn split_unescaped(text: &str) -> (&str, Option<&str>) {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ':' => return (text.get(..at).unwrap_or(text), text.get(at.saturating_add(1)..)),
            _ => {}
        }
    }
    (text, None)
}

/// The monitors of a `mon_host` list, whose separators are escaped.
fn monitors(list: &str) -> Result<Vec<Host>, Fault> {
    let list = list.replace("\\;", "\u{0}").replace("\\,", "\u{0}").replace("\\ ", "\u{0}");
    list.split('\u{0}').filter(|monitor| !monitor.is_empty()).map(monitor).collect()
}

fn monitor(text: &str) -> Result<Host, Fault> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, rest) = rest.split_once(']').ok_or("the bracket of a monitor is not closed")?;
            (name, rest.strip_prefix("\\:"))
        }
        None => text.split_once("\\:").map_or((text, None), |(name, port)| (name, Some(port))),
    };
    Ok(Host::tcp(name.replace("\\:", ":"), port.map(port_of).transpose()?))
}
