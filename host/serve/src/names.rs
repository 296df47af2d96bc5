//! The names that clients come by: what is meant by one, and for which tenant.

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;

/// How what is the operator's is called among the tenants.
pub(crate) const OPERATOR: &str = "default";

/// What a client wants to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The name that it is told again.
    pub(crate) uri: String,
    /// The tenant that it names.
    pub(crate) tenant: Option<String>,
}

/// Understands a name. Many clients go by the name of the hypervisor, so that of the most common is taken too.
///
/// # Errors
/// For a name of something else.
pub(crate) fn wanted(name: &str) -> Result<Wanted, RpcError> {
    let (path, query) = name.split_once('?').unwrap_or((name, ""));
    let local = path.strip_prefix("hostler://").or_else(|| path.strip_prefix("qemu://"));
    if !(name.is_empty() || local.is_some_and(|path| matches!(path, "/system" | "/session"))) {
        let message = format!(
            "no connection driver available for {name}: this is hostler:///system, also as qemu:///system"
        );
        return Err(RpcError { code: codes::ERR_NO_CONNECT, origin: codes::FROM_NONE, message });
    }
    let tenant = query.split('&').find_map(|part| part.strip_prefix("tenant=")).map(str::to_owned);
    let uri = if name.is_empty() { own() } else { name.to_owned() };
    Ok(Wanted { uri, tenant })
}

fn own() -> String {
    let path = if rustix::process::geteuid().is_root() { "system" } else { "session" };
    format!("hostler:///{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_are_taken_and_others_are_not() {
        for name in ["", "hostler:///system", "qemu:///system", "qemu:///session", "qemu:///system?extra=1"] {
            assert!(wanted(name).is_ok_and(|wanted| wanted.tenant.is_none()), "{name}");
        }
        for name in [
            "xen:///system",
            "qemu:///embed?root=/x",
            "test:///default",
            "qemu://host/system",
            "/system",
            "?x",
        ] {
            assert_eq!(wanted(name).unwrap_err().code, codes::ERR_NO_CONNECT, "{name}");
        }
    }

    #[test]
    fn tenant_is_named_behind_the_name() {
        let tenant = |name| wanted(name).unwrap().tenant;
        assert_eq!(tenant("hostler:///system?tenant=blue").as_deref(), Some("blue"));
        assert_eq!(tenant("qemu:///system?a=b&tenant=default").as_deref(), Some("default"));
        assert_eq!(tenant("qemu:///system?atenant=b"), None);
    }
}
