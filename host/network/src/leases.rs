//! What the dnsmasq of a network has lent.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use serde::Serialize;

use crate::error::NetworkError;

/// Largest file of leases that is read, in bytes: far more than a full network has.
const LEASES_MAX_BYTES: u64 = 16 << 20;

/// An address that is lent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lease {
    /// Until when, in seconds since 1970; nothing for ever.
    pub expires_unix: Option<u64>,
    /// To which hardware address.
    pub mac: String,
    /// The address.
    pub ip: IpAddr,
    /// What the guest calls itself. Guests choose that: it is shown and never acted on.
    pub hostname: Option<String>,
    /// How the guest identifies itself.
    pub client_id: Option<String>,
}

/// The leases in this file, by address; none when there is no such file.
///
/// # Errors
/// It cannot be read.
pub fn leases(file: &Path) -> Result<Vec<Lease>, NetworkError> {
    let failed = |error| NetworkError::io("read", file.display(), error);
    let text = match std::fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Ok(found) if found.len() <= LEASES_MAX_BYTES => std::fs::read(file).map_err(failed)?,
        Ok(_) => return Err(failed(io::Error::other("the file is too large"))),
        Err(error) => return Err(failed(error)),
    };
    let mut leases: Vec<_> = String::from_utf8_lossy(&text).lines().filter_map(read).collect();
    leases.sort_by_key(|lease| lease.ip);
    Ok(leases)
}

/// One line: when it ends, hardware address, address, name, identity. A line that is none is of a part of the file that
/// is no list of leases.
fn read(line: &str) -> Option<Lease> {
    let mut words = line.split_ascii_whitespace();
    let expires: u64 = words.next()?.parse().ok()?;
    let (mac, ip) = (words.next()?, words.next()?.parse().ok()?);
    let mut said = || words.next().filter(|word| *word != "*").map(|word| word.chars().take(255).collect());
    Some(Lease {
        expires_unix: (expires != 0).then_some(expires),
        mac: mac.to_owned(),
        ip,
        hostname: said(),
        client_id: said(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_read_by_address() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "1700000000 52:54:00:00:00:02 10.0.0.9 b 01:52:54\n0 52:54:00:00:00:01 10.0.0.3 * *\nduid 00:01\n";
        std::fs::write(file.path(), text).unwrap();
        let found = leases(file.path()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].ip.to_string().as_str(), found[0].expires_unix), ("10.0.0.3", None));
        assert_eq!((found[0].hostname.as_deref(), found[1].hostname.as_deref()), (None, Some("b")));
        assert_eq!(found[1].client_id.as_deref(), Some("01:52:54"));
        assert!(leases(&file.path().with_extension("none")).unwrap().is_empty());
    }
}
