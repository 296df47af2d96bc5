//! What clients say to a hypervisor themselves. Only what reads is passed on: anything else would change a guest behind the back of
//! the host, which answers for what its hypervisors have open and do.

use std::sync::Arc;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{QemuDomainMonitorCommand, QemuDomainMonitorCommandAnswer};
use serde_json::{Value, json};

use super::only;
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// The flag of a command for the monitor that people type at.
const HUMAN: u32 = 1;
/// Questions of that monitor, and those of the other one that have the same answer.
const QUESTIONS: [(&str, &str); 12] = [
    ("status", "query-status"),
    ("version", "query-version"),
    ("name", "query-name"),
    ("uuid", "query-uuid"),
    ("kvm", "query-kvm"),
    ("cpus", "query-cpus-fast"),
    ("block", "query-block"),
    ("blockstats", "query-blockstats"),
    ("balloon", "query-balloon"),
    ("migrate", "query-migrate"),
    ("jobs", "query-jobs"),
    ("iothreads", "query-iothreads"),
];

/// Calls of the program of QEMU's own.
pub(super) fn route_qemu(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming; QemuDomainMonitorCommand => command, }
}

fn wrong(detail: impl AsRef<str>) -> RpcError {
    RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail)
}

/// The question that a text is, and its arguments.
fn question(text: &str, human: bool) -> Result<(String, String), RpcError> {
    if human {
        let asked = text.trim().strip_prefix("info ").map(str::trim);
        let known = asked.and_then(|asked| QUESTIONS.iter().find(|(name, _)| *name == asked));
        return known.map(|(_, question)| ((*question).to_owned(), String::new())).ok_or_else(|| {
            let names: Vec<_> = QUESTIONS.iter().map(|(name, _)| *name).collect();
            let detail = format!("of this monitor only 'info' is passed on, about: {}", names.join(", "));
            RpcError::new(codes::ERR_OPERATION_DENIED, codes::FROM_QEMU, detail)
        });
    }
    let said: Value =
        serde_json::from_str(text).map_err(|error| wrong(format!("cannot parse json: {error}")))?;
    let name = said
        .get("execute")
        .and_then(Value::as_str)
        .ok_or_else(|| wrong("a command has a member 'execute'"))?;
    let arguments = said.get("arguments").map_or_else(String::new, ToString::to_string);
    Ok((name.to_owned(), arguments))
}

async fn command(
    client: Arc<Client>,
    call: QemuDomainMonitorCommand,
) -> Result<QemuDomainMonitorCommandAnswer, RpcError> {
    only(call.flags, HUMAN, "virDomainQemuMonitorCommand")?;
    let human = call.flags & HUMAN != 0;
    let (name, arguments) = question(&call.cmd, human)?;
    let domain = super::counters::running(&client, &call.dom).await?;
    let answer = client.host().ask_hypervisor(&reference(&domain), &name, &arguments).await;
    let answer = match answer {
        Ok(answer) => serde_json::from_str::<Value>(&answer).unwrap_or(Value::String(answer)),
        // What QEMU itself refuses is an answer to whoever speaks its language.
        Err(error) if !human && error.code().starts_with("qmp.") => {
            return Ok(refused(&error.to_string()));
        }
        Err(error) => return Err(failure::of_domain(&error)),
    };
    let result = if human {
        serde_json::to_string_pretty(&answer).unwrap_or_default()
    } else {
        json!({"return": answer}).to_string()
    };
    Ok(QemuDomainMonitorCommandAnswer { result })
}

fn refused(why: &str) -> QemuDomainMonitorCommandAnswer {
    let result = json!({"error": {"class": "GenericError", "desc": why}}).to_string();
    QemuDomainMonitorCommandAnswer { result }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_in_both_languages() {
        let asked = question(r#"{"execute": "query-block", "arguments": {"flat": true}}"#, false).unwrap();
        assert_eq!(asked, ("query-block".to_owned(), r#"{"flat":true}"#.to_owned()));
        assert_eq!(question("info  status", true).unwrap().0, "query-status");
        assert_eq!(question("quit", true).unwrap_err().code, codes::ERR_OPERATION_DENIED);
        assert_eq!(question("{}", false).unwrap_err().code, codes::ERR_INVALID_ARG);
    }
}
