//! The handles that travel with every generated plan, and what people are shown in their place.

use std::path::PathBuf;

use hostler_launch::{EndpointKind, EndpointSpec, Handle, Role};

/// What stands in a command line for a handle.
#[derive(Debug, Clone)]
pub enum Shown {
    /// One text.
    Text(String),
    /// A socket by its name, behind what the option puts before it.
    Socket(String),
    /// Pairs in the place of one member.
    Pairs(Vec<(String, String)>),
}

/// All handles, each with what the shipped template shows for it.
#[must_use]
pub fn all() -> Vec<(Handle, Shown)> {
    let mut all: Vec<(Handle, Shown)> = [Role::Image, Role::Code, Role::VariableStore, Role::File]
        .into_iter()
        .flat_map(|role| ["/srv/a b", "/srv/x,y=z,,\"\u{e9}\\"].map(|path| file(role, path)))
        .collect();
    all.push((Handle::Socket("vnc.sock".into()), Shown::Socket("vnc.sock".into())));
    let pairs = |pairs: &[(&str, &str)]| {
        Shown::Pairs(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    };
    let server = [("backend", "socket"), ("fd", "1729"), ("server", "on"), ("wait", "off")];
    all.push((Handle::Monitor, pairs(&server)));
    for (at, (kind, shown)) in endpoints().into_iter().enumerate() {
        let spec = EndpointSpec { alias: format!("serial{at}"), kind };
        all.push((Handle::Endpoint(spec), pairs(&shown)));
    }
    all
}

fn file(role: Role, path: &str) -> (Handle, Shown) {
    let handle = Handle::Descriptor { fd: None, writable: false, role, format: "raw", path: PathBuf::from(path) };
    (handle, Shown::Text(path.to_owned()))
}

fn endpoints() -> Vec<(EndpointKind, Vec<(&'static str, &'static str)>)> {
    let unix = |listen| EndpointKind::Unix { path: "/s,k".into(), listen, reconnect: Some(7) };
    let tcp = EndpointKind::Tcp {
        host: "::1".into(),
        service: "22".into(),
        listen: false,
        telnet: true,
        reconnect: None,
    };
    let udp = EndpointKind::Udp { host: None, service: "1".into(), local_host: None, local_service: None };
    vec![
        (EndpointKind::Pty, vec![("backend", "pty")]),
        (EndpointKind::Null, vec![("backend", "null")]),
        (
            EndpointKind::File { fd: None, append: Some(false), path: "/l,og".into() },
            vec![("backend", "file"), ("path", "/l,og"), ("append", "off")],
        ),
        (unix(true), vec![("backend", "socket"), ("fd", "1729"), ("server", "on"), ("wait", "off")]),
        (unix(false), vec![("backend", "socket"), ("path", "/s,k"), ("reconnect", "7")]),
        (tcp, vec![("backend", "socket"), ("host", "::1"), ("port", "22"), ("telnet", "on")]),
        (udp, vec![("backend", "udp"), ("port", "1")]),
    ]
}
