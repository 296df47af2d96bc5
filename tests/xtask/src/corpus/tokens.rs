//! From the words of a command line to options: which words are options and which are their values.

use super::keyval::{Syntax, syntax};
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Options that take no argument.
const FLAGS: &[&str] = &[
    "-S",
    "-nodefaults",
    "-no-user-config",
    "-nodefconfig",
    "-no-shutdown",
    "-no-reboot",
    "-no-acpi",
    "-no-hpet",
    "-no-fd-bootchk",
    "-usb",
    "-snapshot",
    "-daemonize",
    "-enable-kvm",
    "-nographic",
    "-mem-prealloc",
    "-enable-fips",
    "-preconfig",
    "-only-migratable",
    "-full-screen",
    "-no-quit",
    "-s",
    "-singlestep",
    "-one-insn-per-tb",
    "-win2k-hack",
    "-no-kvm",
    "-h",
    "-help",
    "-version",
    "-portrait",
    "-old-param",
    "-semihosting",
    "-win2k-install-hack",
    "-enable-sync-profile",
    "-xen-attach",
];

/// One option with the text of its value, as it stands on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// The option with one leading dash; empty for a word that is no option.
    pub(crate) option: String,
    /// The value, when the option has one.
    pub(crate) value: Option<String>,
}

/// Reads `["bin", "-opt", ...]` or `{"env": {...}, "argv": [...]}` and leaves out the binary.
pub(crate) fn read_command_line(text: &str) -> Result<Vec<String>> {
    let data: Value = serde_json::from_str(text).context("not JSON")?;
    let argv = match &data {
        Value::Object(object) => object.get("argv"),
        other => Some(other),
    };
    let Some(Value::Array(words)) = argv else { bail!("argv must be an array of strings") };
    let mut words = words
        .iter()
        .map(|word| word.as_str().map(str::to_owned))
        .collect::<Option<Vec<String>>>()
        .context("argv must be an array of strings")?;
    if words.first().is_some_and(|first| !first.starts_with('-')) {
        words.remove(0);
    }
    Ok(words)
}

/// Pairs options with their values.
pub(crate) fn split(words: &[String]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        if !word.starts_with('-') || word == "-" {
            tokens.push(Token { option: String::new(), value: Some(word.clone()) });
            continue;
        }
        let option = if word.starts_with("--") { word.replacen("--", "-", 1) } else { word.clone() };
        let takes_any = syntax(&option) != Syntax::Unknown;
        let value = if FLAGS.contains(&option.as_str()) {
            None
        } else {
            words.next_if(|next| takes_any || !next.starts_with('-')).cloned()
        };
        tokens.push(Token { option, value });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::{read_command_line, split};

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn both_json_forms_lose_the_binary() {
        for text in [r#"["/q", "-S"]"#, r#"{"env": {}, "argv": ["/q", "-S"]}"#, r#"["-S"]"#] {
            assert_eq!(read_command_line(text).unwrap(), ["-S"]);
        }
        for text in ["{}", "[1]", "{", "3"] {
            assert!(read_command_line(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_follow_their_option() {
        let tokens = split(&words("-S --m 4 -append -x -foo -bar baz word"));
        let flat: Vec<_> = tokens.iter().map(|t| (t.option.as_str(), t.value.as_deref())).collect();
        assert_eq!(
            flat,
            [
                ("-S", None),
                ("-m", Some("4")),
                ("-append", Some("-x")),
                ("-foo", None),
                ("-bar", Some("baz")),
                ("", Some("word")),
            ]
        );
    }
}
