//! The library's errors as the numbers that clients act on.

use hostler_domains::{Error, Kind};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;

/// Longest chain of causes that is told.
const CAUSES: usize = 8;

/// An error of a verb about a domain.
pub(crate) fn of_domain(error: &Error) -> RpcError {
    if let Some(known) = of_agent(error) {
        return known;
    }
    let (code, origin) = match (error.kind, error.code()) {
        (Kind::NotFound, "domain.not-found") => (codes::ERR_NO_DOMAIN, codes::FROM_QEMU),
        (Kind::NotFound, "snapshot.not-found") => {
            (codes::ERR_NO_DOMAIN_SNAPSHOT, codes::FROM_DOMAIN_SNAPSHOT)
        }
        (Kind::NotFound, "network.not-found") => (codes::ERR_NO_NETWORK, codes::FROM_NETWORK),
        (Kind::NotFound, "pool.not-found") => (codes::ERR_NO_STORAGE_POOL, codes::FROM_STORAGE),
        (Kind::NotFound, "volume.not-found") => (codes::ERR_NO_STORAGE_VOL, codes::FROM_STORAGE),
        // A text that is no XML has a number of its own.
        (Kind::Invalid, "xml.syntax" | "xml.doctype") => (codes::ERR_XML_DETAIL, codes::FROM_DOMAIN),
        (Kind::Invalid, _) if is_about_a_document(error) => (codes::ERR_XML_ERROR, codes::FROM_DOMAIN),
        (kind, _) => (code_of(kind), origin_of(kind)),
    };
    // Clients, and their users, know the sentence of the two that come most often.
    let detail = match error.code() {
        "domain.off" => "domain is not running".to_owned(),
        "domain.active" if error.message.ends_with("is running") => "domain is already running".to_owned(),
        _ => sentence(error),
    };
    RpcError::new(code, origin, detail)
}

/// An error of a verb about a device that a domain has.
pub(crate) fn of_device(error: &Error) -> RpcError {
    match error.kind {
        Kind::NotFound => RpcError::new(codes::ERR_DEVICE_MISSING, codes::FROM_DOMAIN, error.to_string()),
        _ => of_domain(error),
    }
}

/// Why an agent has not answered.
fn of_agent(error: &Error) -> Option<RpcError> {
    let (code, detail) = match error.code() {
        "agent.no-channel" => {
            (codes::ERR_ARGUMENT_UNSUPPORTED, "QEMU guest agent is not configured".to_owned())
        }
        "agent.no-answer" | "agent.not-connected" | "agent.closed" => {
            let message = "Guest agent is not responding: QEMU guest agent is not connected".to_owned();
            return Some(RpcError { code: codes::ERR_AGENT_UNRESPONSIVE, origin: codes::FROM_QEMU, message });
        }
        "agent.no-command" => (codes::ERR_OPERATION_UNSUPPORTED, error.to_string()),
        "agent.refused" => (codes::ERR_INTERNAL_ERROR, error.to_string()),
        _ => return None,
    };
    Some(RpcError::new(code, codes::FROM_QEMU, detail))
}

/// An error of a verb about a pool or a volume.
pub(crate) fn of_storage(error: &Error) -> RpcError {
    let code = match (error.kind, error.code()) {
        (Kind::NotFound, code) if code.starts_with("pool") => codes::ERR_NO_STORAGE_POOL,
        (Kind::NotFound, code) if code.starts_with("volume") => codes::ERR_NO_STORAGE_VOL,
        (Kind::Exists, code) if code.starts_with("volume") => codes::ERR_STORAGE_VOL_EXIST,
        // What the system says: a directory that is not there, a disk that is full.
        (Kind::NotFound | Kind::Host, _) => codes::ERR_SYSTEM_ERROR,
        (Kind::Invalid, "volume.format-unknown") => codes::ERR_CONFIG_UNSUPPORTED,
        (Kind::Invalid, _) if is_about_a_document(error) => of_document(error),
        (kind, _) => code_of(kind),
    };
    RpcError::new(code, codes::FROM_STORAGE, sentence(error))
}

/// An error of a verb about a network.
pub(crate) fn of_network(error: &Error) -> RpcError {
    let code = match (error.kind, error.code()) {
        (Kind::NotFound, "network.not-found") => codes::ERR_NO_NETWORK,
        (Kind::Invalid, _) if is_about_a_document(error) => of_document(error),
        (kind, _) => code_of(kind),
    };
    RpcError::new(code, codes::FROM_NETWORK, sentence(error))
}

/// An error of a verb about a secret.
pub(crate) fn of_secret(error: &Error) -> RpcError {
    let code = match (error.kind, error.code()) {
        (Kind::NotFound, _) => codes::ERR_NO_SECRET,
        (Kind::Denied, "secret.private") => codes::ERR_INVALID_SECRET,
        (Kind::Exists, _) | (Kind::Denied, "secret.stays-private") => codes::ERR_INTERNAL_ERROR,
        (Kind::Invalid, _) if is_about_a_document(error) => of_document(error),
        (kind, _) => code_of(kind),
    };
    let detail = match (error.kind, error.code()) {
        (Kind::Denied, "secret.private") => "secret is private".to_owned(),
        _ => sentence(error),
    };
    RpcError::new(code, codes::FROM_SECRET, detail)
}

/// An error about a device or an interface of this machine.
pub(crate) fn of_machine(error: &Error, (missing, origin): (i32, i32)) -> RpcError {
    let code = if error.kind == Kind::NotFound { missing } else { code_of(error.kind) };
    RpcError::new(code, origin, sentence(error))
}

fn code_of(kind: Kind) -> i32 {
    match kind {
        Kind::Invalid => codes::ERR_INVALID_ARG,
        Kind::NotFound => codes::ERR_INVALID_ARG,
        Kind::Exists => codes::ERR_OPERATION_FAILED,
        Kind::Conflict => codes::ERR_OPERATION_INVALID,
        Kind::Busy => codes::ERR_RESOURCE_BUSY,
        Kind::Denied => codes::ERR_OPERATION_DENIED,
        Kind::TimedOut => codes::ERR_OPERATION_TIMEOUT,
        Kind::Unsupported => codes::ERR_OPERATION_UNSUPPORTED,
        _ => codes::ERR_INTERNAL_ERROR,
    }
}

fn origin_of(kind: Kind) -> i32 {
    match kind {
        Kind::Exists | Kind::Conflict | Kind::Invalid => codes::FROM_DOMAIN,
        _ => codes::FROM_QEMU,
    }
}

/// What is wrong with a document: that it is none, or what it says.
fn of_document(error: &Error) -> i32 {
    match error.code() {
        "xml.syntax" => codes::ERR_XML_DETAIL,
        _ => codes::ERR_XML_ERROR,
    }
}

/// Whether it has a place in a document.
fn is_about_a_document(error: &Error) -> bool {
    error.subject.iter().any(|(what, _)| what == "line")
}

/// The whole of it in one line: where, what, why, and advice that is not a command of another program.
fn sentence(error: &Error) -> String {
    let mut text = String::new();
    let place = |name: &str| error.subject.iter().find(|(what, _)| what == name).map(|(_, value)| value);
    if let (Some(line), Some(column)) = (place("line"), place("column")) {
        text.push_str(&format!("line {line}, column {column}: "));
    }
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let mut parts: Vec<String> = causes.take(CAUSES).map(ToString::to_string).collect();
    parts.dedup();
    text.push_str(&parts.join(": "));
    if let Some(hint) = error.hints.iter().find(|hint| hint.command.is_none()) {
        text.push_str(&format!(" ({})", hint.text));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(error: &Error) -> (i32, i32, String) {
        let RpcError { code, origin, message } = of_domain(error);
        (code, origin, message)
    }

    #[test]
    fn what_clients_branch_on_has_its_number() {
        let off = Error::new(Kind::Conflict, "domain.off", "the domain 'a' is off");
        let not_running = "Requested operation is not valid: domain is not running".to_owned();
        assert_eq!(numbers(&off), (55, 20, not_running));
        let gone = Error::new(Kind::NotFound, "domain.not-found", "no domain is called 'a'");
        assert_eq!(numbers(&gone), (42, 10, "Domain not found: no domain is called 'a'".to_owned()));
        let exists = Error::new(Kind::Exists, "domain.exists", "x");
        assert_eq!(numbers(&exists).0, 9);
        let none = Error::new(Kind::Invalid, "xml.syntax", "x").about("line", "3").about("column", "1");
        assert_eq!(numbers(&none), (35, 20, "line 3, column 1: x".to_owned()));
        let wrong = Error::new(Kind::Invalid, "xml.value", "x").about("line", "3").about("column", "1");
        assert_eq!(numbers(&wrong), (27, 20, "XML error: line 3, column 1: x".to_owned()));
    }

    #[test]
    fn silence_of_an_agent_has_the_number_that_clients_know() {
        for code in ["agent.no-answer", "agent.not-connected", "agent.closed"] {
            assert_eq!(numbers(&Error::new(Kind::TimedOut, code, "x")).0, codes::ERR_AGENT_UNRESPONSIVE);
        }
        let none = Error::new(Kind::NotFound, "agent.no-channel", "x");
        assert_eq!(numbers(&none).0, codes::ERR_ARGUMENT_UNSUPPORTED);
    }

    #[test]
    fn sentence_has_causes_and_advice_and_no_commands() {
        let error = Error::new(Kind::Host, "a.b", "cannot write")
            .caused_by(std::io::Error::other("no room"))
            .hint_command("look", "hostler list")
            .hint("make room");
        assert_eq!(sentence(&error), "cannot write: no room (make room)");
    }
}
