//! The strings by which an image names another file.
//!
//! Three outcomes, never two: a string that is understood but carries what cannot be used is neither a file
//! name nor nonsense, and callers decide what to do with it. Starting a domain refuses it; a listing shows it
//! with its secrets stripped.

use std::path::PathBuf;

use crate::formats::MAX_REFERENCE_BYTES;

/// Longest piece of an untrusted string that is ever shown, in characters.
const MAX_SHOWN: usize = 256;

/// Prefixes that QEMU takes for a protocol or filter.
const PROTOCOLS: [&str; 29] = [
    "blkdebug",
    "blklogwrites",
    "blkverify",
    "copy-on-read",
    "fat",
    "fd",
    "ftp",
    "ftps",
    "gluster",
    "host_cdrom",
    "host_device",
    "http",
    "https",
    "iscsi",
    "nbd",
    "nfs",
    "null-aio",
    "null-co",
    "nvme",
    "quorum",
    "rbd",
    "sheepdog",
    "ssh",
    "tftp",
    "throttle",
    "vhost-user",
    "virtio-blk",
    "vvfat",
    "vxhs",
];

/// What a reference turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// It names a source that can be used.
    Usable(Reference),
    /// It is understood, but carries what is not supported.
    Unsupported {
        /// What that is.
        why: Unsupported,
        /// The string without its secrets, safe to show and to log.
        redacted: String,
    },
    /// It cannot be understood.
    Malformed {
        /// The rule that it breaks.
        why: String,
        /// The string without its secrets, safe to show and to log.
        redacted: String,
    },
}

/// A reference that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A file by its absolute path.
    Absolute(PathBuf),
    /// A file relative to the directory of the image that names it.
    Relative(PathBuf),
}

/// What is not supported about a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// A `json:` description.
    Json,
    /// A network protocol, filter or other pseudo file of QEMU, by its name.
    Protocol(String),
    /// Credentials inside the string, for the protocol named.
    Credentials(String),
}

impl Unsupported {
    /// Says so in a clause that follows "the reference".
    #[must_use]
    pub fn explanation(&self) -> String {
        match self {
            Self::Json => {
                "is a json: description, and only names of files are supported in an image".to_owned()
            }
            Self::Protocol(name) => {
                format!("uses the protocol '{name}', and only names of files are supported in an image")
            }
            Self::Credentials(name) => format!("carries credentials for '{name}' inside the image"),
        }
    }
}

/// Parses a reference found in an image. Nothing with a protocol is ever taken for the name of a file.
#[must_use]
pub fn parse_reference(text: &str) -> Parsed {
    if let Some(why) = unreadable(text) {
        return Parsed::Malformed { why, redacted: redact(text) };
    }
    let Some(prefix) = prefix(text) else { return file(text, text) };
    match prefix {
        "file" => file_prefix(text),
        "json" => Parsed::Unsupported { why: Unsupported::Json, redacted: redact(text) },
        _ => protocol(text, prefix),
    }
}

/// The part before a `:` that comes before any `/`: what makes QEMU see a protocol.
pub(crate) fn prefix(text: &str) -> Option<&str> {
    let (prefix, _) = text.split_once(':')?;
    (!prefix.contains('/')).then_some(prefix)
}

pub(crate) fn unreadable(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("it is empty".to_owned());
    }
    if text.len() > MAX_REFERENCE_BYTES {
        return Some(format!("it has {} bytes, allowed are {MAX_REFERENCE_BYTES}", text.len()));
    }
    text.chars().any(is_deceptive).then(|| "it contains control characters".to_owned())
}

fn file(text: &str, whole: &str) -> Parsed {
    if text.is_empty()
        || text.ends_with('/')
        || text == "."
        || text == ".."
        || text.ends_with("/.")
        || text.ends_with("/..")
    {
        return Parsed::Malformed { why: "it names a directory".to_owned(), redacted: redact(whole) };
    }
    let path = PathBuf::from(text);
    Parsed::Usable(if path.is_absolute() { Reference::Absolute(path) } else { Reference::Relative(path) })
}

/// `file:NAME`, and `file:///NAME`; what follows is a name as it stands.
fn file_prefix(text: &str) -> Parsed {
    let name = text.strip_prefix("file:").unwrap_or(text);
    if names_a_host(text) {
        let why = Unsupported::Protocol("file".to_owned());
        return Parsed::Unsupported { why, redacted: redact(text) };
    }
    file(name, text)
}

/// Whether it is a `file:` reference to another host, which no hypervisor can follow.
fn names_a_host(text: &str) -> bool {
    text.strip_prefix("file://").is_some_and(|rest| !rest.starts_with('/'))
}

fn protocol(text: &str, prefix: &str) -> Parsed {
    let scheme = prefix.split('+').next().unwrap_or(prefix);
    let redacted = redact(text);
    if !PROTOCOLS.contains(&scheme) {
        let why = format!(
            "'{}' is not a known protocol; a file of that name is written './NAME'",
            printable(prefix)
        );
        return Parsed::Malformed { why, redacted };
    }
    let carries_user = text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
    let scheme = scheme.to_owned();
    let why = if carries_user { Unsupported::Credentials(scheme) } else { Unsupported::Protocol(scheme) };
    Parsed::Unsupported { why, redacted }
}

/// A reference as it may be shown and logged: no user, password, query, option or `json:` member, no control
/// characters (they are escaped), and nothing behind its first 256 characters. Names of files are shown whole.
#[must_use]
pub fn redact(text: &str) -> String {
    let Some(prefix) = prefix(text).filter(|prefix| *prefix != "file" || names_a_host(text)) else {
        return printable(text);
    };
    // Only directly behind the prefix does "://" begin an authority; anywhere else it is part of an option.
    let authority = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix("://"));
    let visible = authority.filter(|_| prefix != "json").and_then(without_secrets);
    visible.map_or_else(
        || format!("{}:…", printable(prefix)),
        |visible| printable(&format!("{prefix}://{visible}")),
    )
}

/// Host and path of what follows `scheme://`; nothing when it cannot be told where its secrets end.
fn without_secrets(rest: &str) -> Option<&str> {
    let query = rest.find(['?', '#']).unwrap_or(rest.len());
    match rest.rfind('@') {
        // The mark may belong to the query, or the password may have a "?" in it.
        Some(at) if at > query => None,
        // A password may contain "/", so whatever stands before the last "@" is hidden as well.
        Some(at) => rest.get(at + 1..query),
        None => rest.get(..query),
    }
}

/// Untrusted text made safe for a terminal or a log line, and short.
pub(crate) fn printable(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).flat_map(escape).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Characters that change what is shown around them: control characters, and overrides of writing direction.
fn is_deceptive(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape(character: char) -> impl Iterator<Item = char> {
    let escaped =
        if is_deceptive(character) { character.escape_default().to_string() } else { character.to_string() };
    escaped.chars().collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn malformed(text: &str) -> String {
        match parse_reference(text) {
            Parsed::Malformed { why, .. } => why,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn unsupported(text: &str) -> (Unsupported, String) {
        match parse_reference(text) {
            Parsed::Unsupported { why, redacted } => (why, redacted),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn names_of_files_are_usable() {
        let relative = |path: &str| Parsed::Usable(Reference::Relative(path.into()));
        let absolute = |path: &str| Parsed::Usable(Reference::Absolute(path.into()));
        assert_eq!(parse_reference("base.img"), relative("base.img"));
        assert_eq!(parse_reference("./a:b.img"), relative("./a:b.img"));
        assert_eq!(parse_reference("dir/a:b"), relative("dir/a:b"));
        assert_eq!(parse_reference("-f"), relative("-f"));
        assert_eq!(parse_reference("/srv/a,file=b"), absolute("/srv/a,file=b"));
        assert_eq!(parse_reference("file:base.img"), relative("base.img"));
        assert_eq!(parse_reference("file:///srv/base.img"), absolute("///srv/base.img"));
        assert_eq!(parse_reference("file:json:{}"), relative("json:{}"));
    }

    #[test]
    fn nothing_with_a_protocol_is_a_file() {
        assert_eq!(unsupported("json:{\"driver\":\"file\"}"), (Unsupported::Json, "json:…".to_owned()));
        assert_eq!(unsupported("nbd:localhost:10809").0, Unsupported::Protocol("nbd".to_owned()));
        assert_eq!(unsupported("gluster+tcp://h/vol/img").0, Unsupported::Protocol("gluster".to_owned()));
        assert_eq!(unsupported("file://host/x").0, Unsupported::Protocol("file".to_owned()));
        assert!(malformed("a:b.img").contains("./NAME"));
        assert!(malformed("://x").contains("not a known protocol"));
    }

    #[test]
    fn credentials_are_named_and_never_shown() {
        let (why, shown) = unsupported("https://user:hunter2@host/disk?token=hunter2");
        assert_eq!(why, Unsupported::Credentials("https".to_owned()));
        assert_eq!(shown, "https://host/disk");
        assert_eq!(redact("rbd:pool/image:id=admin:key=hunter2"), "rbd:…");
        assert!(!redact("https://user:hunt/er2@host/x").contains("hunt"));
    }

    #[test]
    fn credentials_are_hidden_where_it_is_not_clear_where_they_end() {
        for text in [
            "file://user:hunter2@host/x",
            "rbd:pool/x:key=hunter2:conf=http://host",
            "JSON:{\"password\":\"hunter2\",\"url\":\"http://host\"}",
            "https://host/x?mail=a@b&token=hunter2",
            "https://user:a?hunter2@host/x",
            "https://host/x#a@hunter2",
        ] {
            assert!(!redact(text).contains("hunter2"), "{text} is shown as {}", redact(text));
            assert!(!format!("{:?}", parse_reference(text)).contains("hunter2"), "{text}");
        }
        assert_eq!(redact("file:///srv/a?b@c"), "file:///srv/a?b@c");
        assert_eq!(redact("https://user:x@host/x?y#z"), "https://host/x");
    }

    #[test]
    fn unreadable_names_are_malformed() {
        assert!(malformed("").contains("empty"));
        assert!(malformed("a\nb").contains("control"));
        assert!(malformed("a\u{202e}gpj.exe").contains("control"));
        assert!(malformed(&"a".repeat(1024)).contains("1024"));
        for directory in ["/", ".", "..", "a/..", "a/"] {
            assert!(malformed(directory).contains("directory"), "{directory}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn secrets_never_survive_redaction(user in "[a-z]{1,8}", secret in "[A-Z0-9]{8}", host in "[a-z]{1,8}") {
            for text in [
                format!("https://{user}:{secret}@{host}/x"),
                format!("ssh://{user}:{secret}@{host}"),
                format!("https://{host}/x?password={secret}"),
                format!("json:{{\"password\":\"{secret}\"}}"),
                format!("rbd:pool/x:key={secret}"),
            ] {
                prop_assert!(!redact(&text).contains(&secret), "{text}");
            }
        }

        #[test]
        fn every_string_has_an_outcome_that_is_safe_to_show(text in any::<String>()) {
            match parse_reference(&text) {
                Parsed::Usable(_) => {}
                Parsed::Unsupported { redacted, .. } | Parsed::Malformed { redacted, .. } => {
                    prop_assert!(!redacted.chars().any(char::is_control));
                }
            }
        }
    }
}
