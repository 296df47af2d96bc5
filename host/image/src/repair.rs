//! The commands that repair what a chain was refused for.

use std::path::Path;

use crate::format::Format;

/// The command that rewrites what `overlay` records about the image it stands on, without touching data.
#[must_use]
pub fn rebase_command(overlay: &Path, backing: &str, format: Format) -> String {
    let name = format.qemu_name().unwrap_or("raw");
    let overlay = shell_quote(&overlay.display().to_string());
    format!("qemu-img rebase -u -F {name} -b {} {overlay}", shell_quote(backing))
}

/// The command that repairs an image which is marked as corrupt.
pub(crate) fn check_command(image: &Path, format: Format) -> String {
    let name = format.qemu_name().unwrap_or("raw");
    format!("qemu-img check -r all -f {name} {}", shell_quote(&image.display().to_string()))
}

/// A word for a POSIX shell; quoted only where that is needed.
#[must_use]
pub fn shell_quote(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-+:=@%,".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_leaves_nothing_for_the_shell_to_expand() {
        for (word, shown) in
            [("", "''"), ("$HOME", "'$HOME'"), ("a b", "'a b'"), ("~", "'~'"), ("x=1", "x=1")]
        {
            assert_eq!(shell_quote(word), shown);
        }
    }

    #[test]
    fn commands_can_be_pasted() {
        assert_eq!(
            rebase_command(Path::new("/srv/top.qcow2"), "base.img", Format::Raw),
            "qemu-img rebase -u -F raw -b base.img /srv/top.qcow2"
        );
        assert_eq!(
            rebase_command(Path::new("/srv/my disk"), "it's", Format::Qcow2),
            r"qemu-img rebase -u -F qcow2 -b 'it'\''s' '/srv/my disk'"
        );
        assert_eq!(shell_quote("$(reboot)"), "'$(reboot)'");
        assert_eq!(shell_quote(""), "''");
    }
}
