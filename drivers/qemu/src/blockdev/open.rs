//! How storage on a server is opened: credentials, certificates, patience. What it is stands in the source.

use hostler_sdk::domain::storage_source::{
    Auth, Encryption, NetworkSource, Protocol, SourceFault, SourceFaultKind,
};
use hostler_sdk::{Error, ProblemExt, Value, problem};

/// How much the gluster client logs: warnings and worse.
const GLUSTER_DEBUG_LEVEL: i64 = 4;

/// What a server is opened with: ids of objects.
#[derive(Default)]
pub(crate) struct Openers<'a> {
    /// Who opens it.
    pub(crate) auth: Option<&'a Auth>,
    /// The object with the password.
    pub(crate) secret: Option<&'a str>,
    /// The object with the cookies.
    pub(crate) cookies: Option<&'a str>,
    /// The object with the client's certificates.
    pub(crate) certificates: Option<&'a str>,
    /// How the content is encrypted, where the server's client decrypts it, and the objects with the keys.
    pub(crate) encryption: Option<(&'a Encryption, &'a [String])>,
}

/// The properties of the node that reaches a server, before the ones that every protocol node carries.
///
/// # Errors
/// A server without what its protocol needs.
pub(crate) fn properties(source: &NetworkSource, openers: &Openers<'_>) -> Result<Value, Error> {
    let node = Value::from(source.describe().map_err(|fault| refused(&fault))?);
    let user = openers.auth.map(|auth| auth.username.as_str());
    let secret = openers.auth.and(openers.secret);
    Ok(match source.protocol {
        Protocol::Nbd => node
            .with_some("tls-creds", openers.certificates)
            .with_some("tls-hostname", source.tls_hostname.as_deref())
            .with_some("reconnect-delay", source.reconnect_delay_s),
        Protocol::Vxhs => node.with_some("tls-creds", openers.certificates),
        Protocol::Gluster => node.with("debug", GLUSTER_DEBUG_LEVEL),
        Protocol::Iscsi => node.with_some("user", user).with_some("password-secret", secret),
        Protocol::Http | Protocol::Https | Protocol::Ftp | Protocol::Ftps | Protocol::Tftp => node
            .with_some("username", user)
            .with_some("password-secret", secret)
            .with_some("cookie-secret", openers.cookies),
        Protocol::Rbd => node
            .with_some("encrypt", openers.encryption.map(|(encryption, keys)| layers(encryption, keys)))
            .with_some("user", user)
            .with_some("auth-client-required", user.map(|_| vec![Value::from("cephx"), Value::from("none")]))
            .with_some("key-secret", secret),
        Protocol::Ssh => node.with_some("user", user),
        Protocol::Sheepdog | Protocol::Nfs => node,
    })
}

/// Encryption in encryption: the outermost layer with its key, and in it the next.
fn layers(encryption: &Encryption, keys: &[String]) -> Value {
    let layer = |key: Option<&String>| {
        Value::mapping()
            .with("format", encryption.format.as_str())
            .with_some("key-secret", key.map(String::as_str))
    };
    let mut keys = keys.iter().rev();
    let innermost = layer(keys.next());
    keys.fold(innermost, |inner, key| layer(Some(key)).with("parent", inner))
}

/// A source that cannot be described, as an error with a remedy.
pub(crate) fn refused(fault: &SourceFault) -> Error {
    let code = format!("qemu.source-{}", fault.kind.word());
    let problem = problem(&code, fault.message.clone()).hint(fault.kind.remedy());
    match fault.kind {
        SourceFaultKind::Hosts | SourceFaultKind::Name => problem.invalid(),
        _ => problem.unsupported(),
    }
}
