//! What the tables ask for, held against what a client may: before a call, on what its arguments name, and after it on
//! what was found.

use hostler_rpc::error::RpcError;
use hostler_rpc::procedure::{Call, Need, Procedure, ReadOnly, When};
use hostler_rpc::wire::StorageVolCreateXmlFrom;
use hostler_rpc::xdr::Xdr;

use super::denied;
use super::subjects::{self, Known};
use crate::client::Client;

/// Beside what libvirt asks for: whoever makes a volume from another reads that one.
const READ_CONTENT: Need = Need { permission: "storage_vol.data_read", when: When::Always };

/// What was asked for and could not be held against anything yet: what a call finds.
pub(crate) type Open = Vec<&'static str>;

/// Refuses a call that a client may not make. What can only be judged by what the call finds is given back.
///
/// # Errors
/// That a permission is missing, or that there is nothing of what the arguments name.
pub(crate) async fn admit<A: Call>(
    client: &Client,
    procedure: &Procedure,
    arguments: &A,
) -> Result<Open, RpcError> {
    if client.rights().is_everything() {
        return Ok(Open::new());
    }
    // On the heap, so that who may everything carries none of it about.
    Box::pin(judge(client, procedure, arguments)).await
}

async fn judge<A: Call>(client: &Client, procedure: &Procedure, arguments: &A) -> Result<Open, RpcError> {
    let mut open = Open::new();
    for need in procedure.needs.iter().filter(|need| applies(need, arguments.flags())) {
        let (kind, verb) = parts(need.permission);
        let about = match kind {
            "connect" => vec![Known::host()],
            _ => subjects::of_call(client, kind, verb, arguments).await?,
        };
        if about.is_empty() && is_lookup(procedure, verb) {
            open.push(need.permission);
            continue;
        }
        // Of what nobody can name, everything is asked that can be.
        let about = if about.is_empty() { vec![Known::unknown()] } else { about };
        for known in &about {
            require(client, need.permission, known)?;
        }
    }
    if procedure.number == StorageVolCreateXmlFrom::NUMBER {
        for known in &subjects::of_handles(client, "storage_vol", arguments).await? {
            require(client, READ_CONTENT.permission, known)?;
        }
    }
    Ok(open)
}

/// Refuses to tell what a call has found and a client may not see. Lists have left that out already; one that has not is a
/// mistake of ours, and is not shown.
///
/// # Errors
/// That a permission is missing.
pub(crate) async fn reveal(
    client: &Client,
    procedure: &Procedure,
    open: &[&'static str],
    answer: &impl Xdr,
) -> Result<(), RpcError> {
    if client.rights().is_everything() {
        return Ok(());
    }
    Box::pin(judge_answer(client, procedure, open, answer)).await
}

async fn judge_answer(
    client: &Client,
    procedure: &Procedure,
    open: &[&'static str],
    answer: &impl Xdr,
) -> Result<(), RpcError> {
    for permission in open.iter().chain(procedure.shows) {
        let (kind, _) = parts(permission);
        for known in &subjects::of_handles(client, kind, answer).await? {
            require(client, permission, known)?;
        }
    }
    Ok(())
}

fn require(client: &Client, permission: &str, known: &Known) -> Result<(), RpcError> {
    if client.rights().may(permission, &known.object()) {
        return Ok(());
    }
    tracing::info!(peer = %client.peer, permission, object = known.shown(), "denied");
    Err(denied(&match known.shown() {
        "" => format!("'{permission}' is not allowed"),
        name => format!("'{permission}' is not allowed on '{name}'"),
    }))
}

fn applies(need: &Need, flags: u64) -> bool {
    match need.when {
        When::Always => true,
        When::With(wanted) => flags & u64::from(wanted) != 0,
        When::Without(unwanted) => flags & u64::from(unwanted) == 0,
    }
}

/// Kind and verb of a permission.
fn parts(permission: &'static str) -> (&'static str, &'static str) {
    permission.split_once('.').unwrap_or((permission, ""))
}

/// Whether a call only finds something: then it can be judged by what it has found.
fn is_lookup(procedure: &Procedure, verb: &str) -> bool {
    verb == "getattr" && procedure.read_only == ReadOnly::Allowed
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_rpc::procedure::{self, program};

    #[test]
    fn needs_hang_on_flags_as_the_tables_say() {
        let need = |when| Need { permission: "domain.save", when };
        assert!(applies(&need(When::Always), 0));
        assert!(applies(&need(When::With(2)), 3) && !applies(&need(When::With(2)), 1));
        assert!(applies(&need(When::Without(2)), 1) && !applies(&need(When::Without(2)), 2));
    }

    #[test]
    fn only_what_changes_nothing_is_carried_out_before_it_is_judged() {
        for procedure in (1..=456).filter_map(|number| procedure::find(program::REMOTE, number)) {
            let lookup = procedure.needs.iter().any(|need| is_lookup(procedure, parts(need.permission).1));
            assert!(!lookup || procedure.read_only == ReadOnly::Allowed, "{}", procedure.name);
        }
        let by_name = procedure::find(program::REMOTE, 23).unwrap();
        assert!(is_lookup(by_name, "getattr") && !is_lookup(by_name, "read"));
    }
}
