//! Who is at the other end of a connection, as the kernel or a certificate says.

use std::ffi::CString;
use std::fmt;
use std::time::Duration;

use hostler_domains::Caller;
use nix::unistd::{Gid, Uid, User, getgrouplist};
use tokio::net::unix::UCred;

use crate::access::Policy;
use crate::access::rights::Identity;

/// How long the user database may take, which may be on another machine.
const DATABASE_WAIT: Duration = Duration::from_secs(10);

/// Who is at the other end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its user, groups and name.
    pub(crate) identity: Identity,
    /// Its process, when it is one of this machine.
    pub(crate) pid: Option<i32>,
    /// When that process was started, in ticks since the boot: another one may get its number.
    pub(crate) started: Option<u64>,
    /// Whether it is root or the daemon's own user, on this machine.
    pub(crate) is_owner: bool,
    /// The tenant that the access file makes of the name in its certificate.
    pub(crate) tenant: Option<String>,
}

impl Peer {
    /// Whether it is a process of this machine, which can be handed descriptors.
    pub(crate) fn is_local(&self) -> bool {
        self.identity.dn.is_none()
    }

    /// A process of this machine.
    pub(crate) fn local(credentials: &UCred) -> Self {
        let (uid, pid) = (credentials.uid(), credentials.pid());
        let identity = Identity { uid: Some(uid), gids: vec![credentials.gid()], dn: None };
        let is_owner = uid == 0 || uid == rustix::process::geteuid().as_raw();
        Self { identity, pid, started: pid.and_then(start_time), is_owner, tenant: None }
    }

    /// Somebody with a certificate.
    pub(crate) fn remote(dn: String) -> Self {
        Self { identity: Identity { dn: Some(dn), ..Identity::default() }, ..Self::default() }
    }

    /// Somebody as the access file knows the name in their certificate. That makes nobody an owner.
    pub(crate) fn mapped(mut self, policy: &Policy) -> Self {
        if let (Some(name), None) = (&self.identity.dn, self.identity.uid) {
            let (uid, tenant) = policy.mapped(name);
            self.tenant = tenant.map(str::to_owned);
            self.identity.uid = uid;
        }
        self
    }

    /// Who asks, for what tenants' records say.
    pub(crate) fn caller(&self) -> Option<Caller> {
        self.identity.uid.map(|uid| Caller { uid, gids: self.identity.gids.clone() })
    }

    /// Looks up the groups of the user. Whom the user database does not know has the main group alone, and one that does not
    /// answer gives nobody anything.
    pub(crate) async fn with_groups(mut self) -> Self {
        let (Some(uid), main) = (self.identity.uid, self.identity.gids.first().copied()) else { return self };
        let asked = tokio::task::spawn_blocking(move || groups(uid, main));
        match tokio::time::timeout(DATABASE_WAIT, asked).await {
            Ok(Ok(Ok(gids))) => self.identity.gids.extend(gids),
            Ok(Ok(Err(error))) => {
                tracing::warn!(uid, %error, "in which groups a user is cannot be found out")
            }
            Ok(Err(error)) => tracing::error!(uid, %error, "in which groups a user is was not found out"),
            Err(_) => tracing::warn!(uid, "the user database does not say in which groups a user is"),
        }
        self.identity.gids.sort_unstable();
        self.identity.gids.dedup();
        self
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.identity.dn, self.identity.uid, self.pid) {
            (Some(dn), _, _) => write!(to, "'{}'", dn.escape_debug()),
            (None, Some(uid), Some(pid)) => write!(to, "user {uid} (process {pid})"),
            (None, Some(uid), None) => write!(to, "user {uid}"),
            (None, None, _) => to.write_str("nobody"),
        }
    }
}

fn groups(uid: u32, main: Option<u32>) -> nix::Result<Vec<u32>> {
    let Some(user) = User::from_uid(Uid::from_raw(uid))? else { return Ok(Vec::new()) };
    let Ok(name) = CString::new(user.name) else { return Ok(Vec::new()) };
    let main = main.map_or(user.gid, Gid::from_raw);
    let mut gids: Vec<u32> = getgrouplist(&name, main)?.into_iter().map(Gid::as_raw).collect();
    gids.push(user.gid.as_raw());
    Ok(gids)
}

/// When a process was started; nothing of one that is gone.
fn start_time(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Its name may hold anything; what follows the last bracket is numbers.
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_is_known_by_number_and_start() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(start_time(own).unwrap() > 0);
        assert_eq!(start_time(i32::MAX), None);
    }

    #[tokio::test]
    async fn groups_come_from_the_user_database_and_the_process() {
        let identity = Identity { uid: Some(0), gids: vec![4_711], dn: None };
        let peer = Peer { identity, ..Peer::default() }.with_groups().await;
        assert!(peer.identity.gids.contains(&0) && peer.identity.gids.contains(&4_711), "{peer:?}");
        let identity = Identity { uid: Some(3_999_999_999), gids: vec![5], dn: None };
        let stranger = Peer { identity, ..Peer::default() }.with_groups().await;
        assert_eq!(stranger.identity.gids, [5]);
    }
}
