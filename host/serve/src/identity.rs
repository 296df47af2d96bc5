//! Who a client is on the word of another: a daemon that passes others on, as libvirt's proxies do.

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::typed::TypedValue;
use hostler_rpc::wire::ConnectSetIdentity;

use crate::access::rights::Identity;
use crate::peer::Peer;

/// Understands what is said of somebody. Nothing of that makes anybody an owner but the user that it names.
///
/// # Errors
/// For a field that is not known, is there twice, or holds something else.
pub(crate) fn of(call: &ConnectSetIdentity) -> Result<Peer, RpcError> {
    let mut peer = Peer::default();
    let mut seen = Vec::new();
    for parameter in &call.params.0 {
        let field = parameter.field.as_str();
        if seen.contains(&field) {
            return Err(wrong(format!("'{}' is there twice", field.escape_debug())));
        }
        seen.push(field);
        match (field, &parameter.value) {
            ("unix-user-id", value) => peer.identity.uid = Some(number(field, value)?),
            ("unix-group-id", value) => peer.identity.gids = vec![number(field, value)?],
            ("process-id", value) => peer.pid = i32::try_from(number::<u32>(field, value)?).ok(),
            ("process-time", value) => peer.started = Some(number(field, value)?),
            ("x509-distinguished-name", TypedValue::Text(name)) => peer.identity.dn = Some(name.clone()),
            // Names that go with the numbers, and what nothing here is decided by.
            ("user-name" | "group-name" | "sasl-user-name" | "selinux-context", TypedValue::Text(_)) => {}
            _ => return Err(wrong(format!("'{}' says nothing of who somebody is", field.escape_debug()))),
        }
    }
    if peer.identity == Identity::default() {
        return Err(wrong("neither a user nor the name of a certificate is given".to_owned()));
    }
    let own = rustix::process::geteuid().as_raw();
    peer.is_owner = peer.identity.uid.is_some_and(|uid| uid == 0 || uid == own);
    Ok(peer)
}

fn number<T: TryFrom<i128>>(field: &str, value: &TypedValue) -> Result<T, RpcError> {
    let number = match value {
        TypedValue::Int(number) => i128::from(*number),
        TypedValue::UInt(number) => i128::from(*number),
        TypedValue::Long(number) => i128::from(*number),
        TypedValue::ULong(number) => i128::from(*number),
        _ => return Err(wrong(format!("'{field}' is not a number"))),
    };
    T::try_from(number).map_err(|_| wrong(format!("'{field}' cannot be {number}")))
}

fn wrong(detail: String) -> RpcError {
    RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_RPC, detail)
}
