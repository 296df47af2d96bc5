//! In which form command lines are held against each other: exactly, or loosely.
//!
//! The loose form is for what another libvirt wrote on another host about a guest that is the same. A corpus says
//! with a `compare-config.json` what of it belongs to that host; [`OTHER_HOST`] says the same of what the corpora of
//! libvirt 9.0 have in common.

use super::normal;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;

/// The file of a corpus that is compared loosely.
const FILE: &str = "compare-config.json";

/// What is not compared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    /// Whether JSON and `key=value` text with the same leaves are the same.
    pub(crate) loose: bool,
    substitutions: Vec<(Pattern, String)>,
    ignored_options: Vec<String>,
    ignored_keys: Vec<Key>,
    dropped_keys: Vec<Key>,
}

/// A key of an option; its presence counts where it is ignored, and does not where it is dropped.
#[derive(Debug, Clone, Deserialize)]
struct Key {
    opt: String,
    key: String,
}

/// What a corpus says of its form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    subst: Vec<(String, String)>,
    #[serde(default)]
    ignore_options: Vec<IgnoredOption>,
    #[serde(default)]
    ignore_keys: Vec<Key>,
    #[serde(default)]
    drop_keys: Vec<Key>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IgnoredOption {
    opt: String,
}

/// The patterns that corpora use: text anywhere, or one of several at the start, or the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Anywhere(String),
    Start(Vec<String>),
    Whole(String),
}

impl Pattern {
    fn read(text: &str) -> Result<Self> {
        let plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || "/-_ .".contains(c));
        let Some(rest) = text.strip_prefix('^') else {
            return if plain(text) { Ok(Self::Anywhere(text.to_owned())) } else { unknown(text) };
        };
        if let Some(whole) = rest.strip_suffix('$').filter(|whole| plain(whole)) {
            return Ok(Self::Whole(whole.to_owned()));
        }
        if plain(rest) {
            return Ok(Self::Start(vec![rest.to_owned()]));
        }
        // `^(one|other)/`
        match rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            Some((choices, end)) if plain(end) && choices.split('|').all(plain) => {
                Ok(Self::Start(choices.split('|').map(|choice| format!("{choice}{end}")).collect()))
            }
            _ => unknown(text),
        }
    }

    fn replace(&self, text: &str, by: &str) -> String {
        match self {
            Self::Anywhere(what) => text.replace(what, by),
            Self::Whole(what) if text == what => by.to_owned(),
            Self::Start(choices) => {
                match choices.iter().find_map(|choice| text.strip_prefix(choice.as_str())) {
                    Some(rest) => format!("{by}{rest}"),
                    None => text.to_owned(),
                }
            }
            Self::Whole(_) => text.to_owned(),
        }
    }
}

fn unknown(text: &str) -> Result<Pattern> {
    bail!("the pattern {text:?} is none that this tool reads: text, '^text', '^(text|text)text' or '^text$'")
}

/// What differs between the host of the loose corpora and the one that `--for-comparison` writes for, beside what the
/// corpora say themselves, and why.
const OTHER_HOST: &[(&str, &str)] = &[
    // libvirt resolves aliases of machine types; `--for-comparison` keeps them, as its tests do.
    ("^pc-i440fx-7.2$", "pc"),
    ("^pc-q35-7.2$", "q35"),
    // Only the test host of 8.5 has a drive at /dev/cdrom.
    ("^host_cdrom$", "host_device"),
    // A parallel port of the host has two names.
    ("^parport$", "parallel"),
    // Where each of them keeps what is a domain's.
    ("^/var/lib/libvirt/qemu/", "@DOMDIR@/"),
];

/// Sockets and logs: opened by the tests of 8.5, whose descriptors are passed, and named for 9.0; and the descriptors.
const OPENED: [(&str, &str); 4] =
    [("-chardev", "path"), ("-chardev", "fd"), ("-chardev", "append"), ("-spice", "disable-ticketing")];

/// Devices that only the later libvirt gives an id.
const UNNAMED: [&str; 2] = ["intel-iommu", "virtio-iommu"];

/// The first word of the id of a socket that belongs to an interface.
const INTERFACE_SOCKET: &str = "id=charnet";

impl Form {
    /// The form of a corpus; `loose` asks for the loose one where the corpus does not.
    ///
    /// # Errors
    /// The corpus has a file about its form that cannot be read.
    pub(crate) fn of(directory: &Path, loose: bool) -> Result<Self> {
        let file = directory.join(FILE);
        let written = if file.is_file() {
            let text = fs::read_to_string(&file)?;
            serde_json::from_str(&text).with_context(|| format!("{}", file.display()))?
        } else if loose {
            Written { subst: vec![], ignore_options: vec![], ignore_keys: vec![], drop_keys: vec![] }
        } else {
            return Ok(Self::default());
        };
        Self::loosely(written)
    }

    fn loosely(written: Written) -> Result<Self> {
        let own = OTHER_HOST.iter().map(|(pattern, by)| (*pattern, *by));
        let given = written.subst.iter().map(|(pattern, by)| (pattern.as_str(), by.as_str()));
        let substitutions: Result<_> =
            given.chain(own).map(|(pattern, by)| Ok((Pattern::read(pattern)?, by.to_owned()))).collect();
        let opened = OPENED.iter().map(|(opt, key)| Key { opt: (*opt).to_owned(), key: (*key).to_owned() });
        let mut ignored_options: Vec<_> =
            written.ignore_options.into_iter().map(|option| option.opt).collect();
        ignored_options.push("-add-fd".to_owned());
        Ok(Self {
            loose: true,
            substitutions: substitutions?,
            ignored_options,
            ignored_keys: written.ignore_keys,
            dropped_keys: written.drop_keys.into_iter().chain(opened).collect(),
        })
    }

    /// Whether interfaces were rewritten when the corpus was recorded: what was said about their back ends is lost,
    /// and with it whatever of the device goes with one.
    pub(crate) fn lost_interfaces(&self) -> bool {
        self.ignored_options.iter().any(|ignored| ignored == "-netdev")
    }

    /// Whether an option is compared at all.
    pub(crate) fn compares(&self, option: &str, value: Option<&str>) -> bool {
        let of_interface =
            option == "-chardev" && value.is_some_and(|value| value.contains(INTERFACE_SOCKET));
        let ignored = self.ignored_options.iter().any(|ignored| ignored == option);
        let lost = of_interface && self.lost_interfaces();
        !ignored && !lost
    }

    /// The value of `option` with everything that belongs to one host replaced.
    pub(crate) fn normalise(&self, option: &str, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.substitute(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.normalise(option, item)).collect(),
            Value::Object(object) => Value::Object(self.normalise_object(option, object)),
            other => other,
        }
    }

    fn normalise_object(&self, option: &str, object: Map<String, Value>) -> Map<String, Value> {
        let listed =
            |keys: &[Key], key: &str| keys.iter().any(|listed| listed.opt == option && listed.key == key);
        let driver = object.get("driver").and_then(Value::as_str).unwrap_or_default();
        let unnamed = self.loose && option == "-device" && UNNAMED.contains(&driver);
        let mut result = Map::new();
        for (key, value) in object {
            let key = self.substitute(&key);
            if listed(&self.dropped_keys, &key) || (unnamed && key == "id") {
                continue;
            }
            let ignored = normal::is_ignored(option, &key) || listed(&self.ignored_keys, &key);
            let value = if ignored { Value::from(normal::IGNORED) } else { self.normalise(option, value) };
            result.insert(key, value);
        }
        result
    }

    fn substitute(&self, text: &str) -> String {
        let first = normal::substitute(text);
        self.substitutions.iter().fold(first, |text, (pattern, by)| pattern.replace(&text, by))
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, Pattern, Written};
    use serde_json::json;

    #[test]
    fn patterns_replace_what_they_say() {
        let replace = |pattern: &str, text: &str| Pattern::read(pattern).unwrap().replace(text, "@");
        assert_eq!(replace("/srv/a/", "x /srv/a/b"), "x @b");
        assert_eq!(replace("^(/tmp/lib|/tmp/channel)/", "/tmp/channel/b"), "@b");
        assert_eq!(replace("^(/tmp/lib|/tmp/channel)/", "x/tmp/lib/b"), "x/tmp/lib/b");
        assert_eq!(replace("^host_cdrom$", "host_cdrom"), "@");
        assert_eq!(replace("^host_cdrom$", "host_cdrom2"), "host_cdrom2");
        assert!(Pattern::read("a.*b[c]").is_err());
    }

    #[test]
    fn a_corpus_says_what_is_not_compared() {
        let text = r#"{"subst": [["/srv/", "@/"]], "ignore_options": [{"opt": "-netdev"}],
            "ignore_keys": [{"opt": "-object", "key": "iv"}]}"#;
        let form = Form::loosely(serde_json::from_str::<Written>(text).unwrap()).unwrap();
        let compares = |option, value| form.compares(option, Some(value));
        assert!(
            form.loose && !compares("-netdev", "") && !compares("-add-fd", "") && compares("-device", "")
        );
        assert!(compares("-chardev", "null,id=charserial0") && !compares("-chardev", "socket,id=charnet0"));
        let iommu = form.normalise("-device", json!({"driver": "intel-iommu", "id": "iommu0"}));
        assert_eq!(iommu, json!({"driver": "intel-iommu"}));
        let value = form.normalise("-object", json!({"iv": "x", "file": "/srv/a"}));
        assert_eq!(value, json!({"iv": "@ignored@", "file": "@/a"}));
        assert_eq!(form.normalise("-chardev", json!({"path": "x", "id": "y"})), json!({"id": "y"}));
        assert!(serde_json::from_str::<Written>(r#"{"what": 1}"#).is_err());
    }
}
