//! Who fetches: whoever `docker login` or `podman login` was told about this registry, or nobody in particular.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use docker_credential::{CredentialRetrievalError as Failure, DockerCredential as Found};
use oci_client::secrets::RegistryAuth;

use crate::error::{Kind, PackageError, shown};

/// What is kept for a registry, in the first file that has something.
///
/// # Errors
/// [`Kind::Registry`] for a file that cannot be read, or has what cannot be used.
pub(super) fn of(host: &str) -> Result<RegistryAuth, PackageError> {
    for path in places(|name| env::var_os(name)) {
        let opened = match File::open(&path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(&path, host, "it cannot be opened").because(error)),
        };
        match docker_credential::get_credential_from_reader(opened, host) {
            Ok(Found::UsernamePassword(user, password)) => return Ok(RegistryAuth::Basic(user, password)),
            Ok(Found::IdentityToken(_)) => {
                return Err(unreadable(&path, host, "it has an identity token, which is not supported")
                    .hint("log in with a user and a password or an access token"));
            }
            Err(Failure::NoCredentialConfigured) => {}
            Err(error) => return Err(unreadable(&path, host, &shown(&error.to_string()))),
        }
    }
    Ok(RegistryAuth::Anonymous)
}

/// Where those programs keep it, in the order in which it is looked for.
fn places(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let beneath = |name: &str, rest: &str| variable(name).map(|place| Path::new(&place).join(rest));
    [
        variable("REGISTRY_AUTH_FILE").map(PathBuf::from),
        beneath("DOCKER_CONFIG", "config.json"),
        beneath("XDG_RUNTIME_DIR", "containers/auth.json"),
        beneath("HOME", ".config/containers/auth.json"),
        beneath("HOME", ".docker/config.json"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn unreadable(path: &Path, host: &str, why: &str) -> PackageError {
    let message = format!("cannot use what '{}' keeps to log in to '{}': {why}", path.display(), shown(host));
    PackageError::new(Kind::Registry, message)
        .hint(format!("log in anew (docker login {host}, podman login {host}), or move the file away"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_names_comes_before_what_is_usual() {
        let set = |name: &str| match name {
            "REGISTRY_AUTH_FILE" => Some("/named".into()),
            "HOME" => Some("/home/ada".into()),
            _ => None,
        };
        let expected = ["/named", "/home/ada/.config/containers/auth.json", "/home/ada/.docker/config.json"];
        assert_eq!(places(set), expected.map(PathBuf::from));
        assert!(places(|_| None).is_empty());
    }
}
