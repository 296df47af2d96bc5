//! What a display is told once its hypervisor runs: its password, and how whoever looks at it gets there.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::domain::graphics::{Graphics, GraphicsKind};
use hostler_sdk::problem;
use hostler_sdk::{
    Command, Domain, Error, Monitor, MonitorExt, Problem, ProblemExt, Resources, Symbol, Value,
};

use crate::time;

/// QEMU's word for a server of this kind.
fn protocol(graphics: &Graphics) -> Option<&'static str> {
    match graphics.kind {
        GraphicsKind::Vnc(_) => Some("vnc"),
        GraphicsKind::Spice(_) => Some("spice"),
        _ => None,
    }
}

/// The servers of a document, each with its alias and QEMU's word for its kind.
fn servers(document: &Document) -> impl Iterator<Item = (String, &'static str, &Graphics)> {
    let displays = document.devices.graphics.iter().enumerate();
    displays.filter_map(|(place, graphics)| Some((format!("graphics{place}"), protocol(graphics)?, graphics)))
}

/// What gives the servers their passwords.
pub(super) fn passwords(document: &Document) -> Vec<Command> {
    servers(document).flat_map(|(_, _, graphics)| password(graphics)).collect()
}

/// What gives one server its password; nothing where it has none.
pub(super) fn password(graphics: &Graphics) -> Vec<Command> {
    let (Some(protocol), Some((password, end))) = (protocol(graphics), graphics.password()) else {
        return Vec::new();
    };
    // An empty one is nobody's: it lets nobody in.
    let end = match (password, end) {
        ("", _) => "now".to_owned(),
        (_, Some(end)) => time::seconds(end).map_or_else(|| "now".to_owned(), |end| end.to_string()),
        (_, None) => "never".to_owned(),
    };
    vec![
        Command::new("set_password").with("protocol", protocol).with("password", password),
        Command::new("expire_password").with("protocol", protocol).with("time", end),
    ]
}

/// Has connections reach the servers. VNC takes the socket that the host listens on; SPICE is handed one connection at a
/// time. Both take those that the host brings.
///
/// # Errors
/// What the host or the monitor answers.
pub(super) fn open(
    domain: &Domain,
    document: &Document,
    monitor: &Monitor,
    resources: &mut Resources,
) -> Result<(), Error> {
    ways(document).into_iter().try_for_each(|command| monitor.run_with(&command, domain, resources).map(drop))
}

fn ways(document: &Document) -> Vec<Command> {
    let mut commands = Vec::new();
    for (alias, protocol, graphics) in servers(document) {
        let reached = graphics.reached().is_some();
        let takes_socket = protocol == "vnc";
        if takes_socket && reached {
            let socket = Value::mapping().with("type", "fd").with("str", Symbol::Listener(alias.clone()));
            let addresses = Value::Sequence(vec![socket]);
            commands.push(Command::new("display-update").with("type", protocol).with("addresses", addresses));
        }
        let viewers = Symbol::Viewers { alias, listening: reached && !takes_socket };
        commands.push(Command::new("add_client").with("protocol", protocol).with("fdname", viewers));
    }
    commands
}

/// What QEMU says that was built without SPICE, or lacks its module.
const WITHOUT_SPICE: &str = "spice support is disabled";

/// Whether these words are in what is told, or among the program's last words beside it.
pub(super) fn says(problem: &Problem, words: &str) -> bool {
    problem.message.contains(words) || problem.hints.iter().any(|hint| hint.contains(words))
}

/// A start that failed, in words of the document where its display is the reason.
pub(super) fn explained(error: Error, document: &Document) -> Error {
    match error {
        Error::Hypervisor(ended) if says(&ended, WITHOUT_SPICE) => {
            let has_spice = document.devices.graphics.iter().any(|graphics| graphics.spice().is_some());
            let what = if has_spice { "the display of type 'spice'" } else { "a device of this domain" };
            problem("qemu.no-spice", format!("{what} needs SPICE, which this QEMU does not have"))
                .hint("install it (Debian: apt install qemu-system-modules-spice; in Debian 12 it is in qemu-system-common)")
                .hint("or use VNC: <graphics type='vnc'/>")
                .unsupported()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(graphics: &str) -> Document {
        let xml = format!(
            "<domain type='qemu'><name>n</name><memory>1024</memory><os><type>hvm</type></os>\
             <devices>{graphics}</devices></domain>"
        );
        Document::parse(&xml).unwrap()
    }

    fn argument(command: &Command, key: &str) -> Option<Value> {
        command.arguments.as_ref()?.get(key).cloned()
    }

    #[test]
    fn vnc_listens_itself_and_for_spice_the_host_accepts() {
        let document = document(
            "<graphics type='egl-headless'/><graphics type='vnc'/><graphics type='spice' autoport='yes'/>\
             <graphics type='vnc'><listen type='none'/></graphics><graphics type='spice'/>",
        );
        let ways = ways(&document);
        let names: Vec<_> = ways.iter().map(|command| command.name.as_str()).collect();
        assert_eq!(names, ["display-update", "add_client", "add_client", "add_client", "add_client"]);
        let viewers = |index: usize| argument(&ways[index], "fdname").unwrap();
        let door = |alias: &str, listening| Value::from(Symbol::Viewers { alias: alias.into(), listening });
        assert_eq!(viewers(1), door("graphics1", false));
        assert_eq!(viewers(2), door("graphics2", true));
        assert_eq!(viewers(3), door("graphics3", false));
        assert_eq!(viewers(4), door("graphics4", false));
    }

    #[test]
    fn passwords_end_when_the_document_says_and_an_empty_one_lets_nobody_in() {
        let document = document(
            "<graphics type='vnc' passwd='a' passwdValidTo='2030-01-02T03:04:05'/>\
             <graphics type='spice' passwd='b'/><graphics type='vnc' passwd=''/><graphics type='vnc'/>",
        );
        let commands = passwords(&document);
        let said: Vec<_> = commands
            .iter()
            .map(|command| {
                let value = argument(command, "password").or_else(|| argument(command, "time"));
                (argument(command, "protocol").unwrap(), value.unwrap())
            })
            .collect();
        let pair = |protocol: &str, value: &str| (Value::from(protocol), Value::from(value));
        assert_eq!(
            said,
            [
                pair("vnc", "a"),
                pair("vnc", "1893553445"),
                pair("spice", "b"),
                pair("spice", "never"),
                pair("vnc", ""),
                pair("vnc", "now"),
            ]
        );
    }

    #[test]
    fn qemu_without_spice_is_told_with_what_to_install() {
        let words = "its last words: qemu-system-x86_64: -spice port=0: spice support is disabled";
        let ended = problem("launch.hypervisor-failed", "the hypervisor ended").hint(words).hypervisor();
        let Error::Unsupported(told) = explained(ended, &document("<graphics type='spice'/>")) else {
            panic!("not explained")
        };
        assert!(told.code == "qemu.no-spice" && told.hints.len() == 2, "{told:?}");
        let other = problem("launch.hypervisor-failed", "something else").hypervisor();
        assert!(matches!(explained(other, &document("")), Error::Hypervisor(_)));
    }
}
