//! Asking polkit whether somebody may come in, by the actions that rules for libvirt are written for.

use std::collections::HashMap;
use std::time::Duration;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use zbus::Variant;

use crate::peer::Peer;

/// What somebody does who may change things.
const MANAGE: &str = "org.libvirt.unix.manage";
/// What somebody does who only reads.
const MONITOR: &str = "org.libvirt.unix.monitor";
/// Whether polkit may ask the user for a password.
const INTERACTION: u32 = 1;
/// How long the bus may take. Who is asked for a password has longer.
const BUS_WAIT: Duration = Duration::from_secs(10);
/// How long polkit may take, with the user who is asked.
const ANSWER_WAIT: Duration = Duration::from_secs(240);

/// What polkit says: whether it is so, whether it could be if somebody were asked, and more by name.
type Verdict = (bool, bool, HashMap<String, String>);

/// Asks whether somebody may come in.
///
/// # Errors
/// That polkit cannot be asked, that the user gave it up, or that it says no: clients know the three numbers.
pub(crate) async fn check(peer: &Peer, reads_only: bool) -> Result<(), RpcError> {
    let (Some(uid), Some(pid), Some(started)) = (peer.identity.uid, peer.pid, peer.started) else {
        return Err(failed("who asks has gone"));
    };
    let action = if reads_only { MONITOR } else { MANAGE };
    let subject = (
        "unix-process",
        HashMap::from([
            ("pid", Variant::from(pid.cast_unsigned())),
            ("start-time", Variant::from(started)),
            // Polkit takes it as a number with a sign.
            ("uid", Variant::from(uid.cast_signed())),
        ]),
    );
    let details = HashMap::<&str, &str>::new();
    let question = (subject, action, details, INTERACTION, "");
    let bus = tokio::time::timeout(BUS_WAIT, zbus::Connection::system()).await;
    let bus = bus.map_err(|_| unavailable("the system bus does not answer"))?;
    let bus = bus.map_err(|error| unavailable(&format!("the system bus cannot be reached: {error}")))?;
    let asked = bus.call_method(
        Some("org.freedesktop.PolicyKit1"),
        "/org/freedesktop/PolicyKit1/Authority",
        Some("org.freedesktop.PolicyKit1.Authority"),
        "CheckAuthorization",
        &question,
    );
    let answer = tokio::time::timeout(ANSWER_WAIT, asked).await;
    let answer = answer.map_err(|_| cancelled("nobody answered in time"))?;
    let answer = answer.map_err(|error| unavailable(&format!("polkit cannot be asked: {error}")))?;
    let verdict: Verdict = answer
        .body()
        .deserialize()
        .map_err(|error| unavailable(&format!("polkit's answer cannot be understood: {error}")))?;
    judge(&verdict, action)
}

fn judge((is_authorized, is_challenge, details): &Verdict, action: &str) -> Result<(), RpcError> {
    if *is_authorized {
        return Ok(());
    }
    if details.contains_key("polkit.dismissed") {
        return Err(cancelled("user cancelled authentication process"));
    }
    // Somebody would have to be asked, and there is nobody who asks: clients start an agent and come again.
    if *is_challenge {
        return Err(unavailable(&format!("no polkit agent available to authenticate action '{action}'")));
    }
    Err(failed(&format!("access denied by policy for action '{action}'")))
}

fn unavailable(detail: &str) -> RpcError {
    RpcError::new(codes::ERR_AUTH_UNAVAILABLE, codes::FROM_POLKIT, detail)
}

fn cancelled(detail: &str) -> RpcError {
    RpcError::new(codes::ERR_AUTH_CANCELLED, codes::FROM_POLKIT, detail)
}

fn failed(detail: &str) -> RpcError {
    RpcError::new(codes::ERR_AUTH_FAILED, codes::FROM_POLKIT, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_the_number_that_clients_act_on() {
        let code = |authorized, challenge, details: &[&str]| {
            let details = details.iter().map(|name| ((*name).to_owned(), "true".to_owned())).collect();
            judge(&(authorized, challenge, details), MANAGE).err().map(|error| error.code)
        };
        assert_eq!(code(true, false, &[]), None);
        assert_eq!(code(false, false, &[]), Some(45));
        assert_eq!(code(false, true, &[]), Some(94));
        assert_eq!(code(false, true, &["polkit.dismissed"]), Some(79));
    }

    #[tokio::test]
    async fn who_has_gone_is_not_let_in() {
        let error = check(&Peer::default(), false).await.unwrap_err();
        assert_eq!(error.code, codes::ERR_AUTH_FAILED);
    }
}
