//! Who may use a new file or directory: mode, owner, group and label, set on the open file.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::fchown;

use hostler_domain::permissions::Permissions;
use rustix::fs::{Mode, XattrFlags};

/// The attribute that holds the label of SELinux.
const LABEL: &str = "security.selinux";

/// Sets what is asked for; `default_mode` where no mode is.
pub(crate) fn set(file: impl AsFd, permissions: &Permissions, default_mode: u32) -> io::Result<()> {
    if permissions.owner.is_some() || permissions.group.is_some() {
        fchown(&file, permissions.owner, permissions.group)?;
    }
    if let Some(label) = &permissions.label {
        // As SELinux keeps it, with the NUL at its end.
        let value = [label.as_bytes(), b"\0"].concat();
        rustix::fs::fsetxattr(&file, LABEL, &value, XattrFlags::empty())?;
    }
    // Last: a change of owner takes bits away.
    Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(permissions.mode.unwrap_or(default_mode)))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn mode_and_owner_are_set_and_a_label_that_cannot_be_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        let own = file.metadata().unwrap().uid();
        let permissions = Permissions { mode: Some(0o640), owner: Some(own), ..Permissions::default() };
        set(&file, &permissions, 0o600).unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o640);
        set(&file, &Permissions::default(), 0o600).unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o600);
        let pipe = io::pipe().unwrap().0;
        let labelled = Permissions { label: Some("x".to_owned()), ..Permissions::default() };
        assert!(set(&pipe, &labelled, 0o600).is_err());
    }
}
