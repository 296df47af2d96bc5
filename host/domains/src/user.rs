//! Users of this host, by name or by number.

use std::process::Command;

use hostler_runtime::User;

use crate::error::{Error, Kind};

/// Finds a user: a name that this host knows, or `UID` or `UID:GID` in numbers. Blocks on a short command, so that
/// every source of names the host is configured for is asked.
///
/// # Errors
/// [`Kind::NotFound`] for a name that nobody has.
pub(crate) fn find(name: &str) -> Result<User, Error> {
    let (user, group) = name.split_once(':').unwrap_or((name, name));
    if let (Ok(uid), Ok(gid)) = (user.parse(), group.parse()) {
        return Ok(User { uid, gids: vec![gid] });
    }
    let ask = |what: &str| {
        let answer = Command::new("id").arg(what).arg("--").arg(name).output().map_err(|error| {
            Error::new(Kind::Host, "user.unasked", "the program 'id' cannot be run").caused_by(error)
        })?;
        let numbers: Option<Vec<u32>> = String::from_utf8_lossy(&answer.stdout)
            .split_whitespace()
            .map(|word| word.parse().ok())
            .collect();
        numbers.filter(|numbers| answer.status.success() && !numbers.is_empty()).ok_or_else(|| unknown(name))
    };
    let uid = ask("-u")?.first().copied().ok_or_else(|| unknown(name))?;
    Ok(User { uid, gids: ask("-G")? })
}

fn unknown(name: &str) -> Error {
    Error::new(Kind::NotFound, "user.not-found", format!("there is no user '{name}' on this host"))
        .hint("give a name that 'getent passwd' lists, or numbers as UID:GID")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_by_number() {
        assert_eq!(find("root").unwrap().uid, 0);
        assert_eq!(find("64055:108").unwrap(), User { uid: 64_055, gids: vec![108] });
        assert_eq!(find("7").unwrap(), User { uid: 7, gids: vec![7] });
        for wrong in ["no-such-user", "--help", "", "root:wheel:x"] {
            assert_eq!(find(wrong).unwrap_err().code(), "user.not-found", "{wrong}");
        }
    }
}
