//! Command lines of libvirt's own making against the shipped template: ordinary domains must pass, and what
//! is refused must be refused for a reason that is meant.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::TemplateSet;
use super::check::check;
use super::data::Syntax;
use crate::handle::{EndpointKind, EndpointSpec, Handle, Role};
use crate::plan::{OptionEntry, Plan};
use crate::value::Value;

/// Paths and back ends become handles, as a driver would have them.
struct Reader {
    handles: Vec<Handle>,
}

impl Reader {
    fn handle(&mut self, handle: Handle) -> Value {
        self.handles.push(handle);
        Value::Handle(self.handles.len() - 1)
    }

    fn file(&mut self, role: Role) -> Value {
        self.handle(Handle::Descriptor {
            fd: None,
            writable: false,
            role,
            format: "raw",
            data_apart: false,
            path: PathBuf::from("/x"),
        })
    }

    fn json(&mut self, key: &str, json: &Json, inside: &str) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Boolean(*value),
            Json::Number(number) => Value::Integer(number.as_i64().unwrap()),
            Json::String(_) if inside == "blockdev" && key == "filename" => self.file(Role::Image),
            Json::String(text) => Value::text(text.as_str()),
            Json::Array(items) => {
                Value::Sequence(items.iter().map(|item| self.json("", item, inside)).collect())
            }
            Json::Object(members) => {
                let mut pairs: Vec<_> =
                    members.iter().map(|(key, value)| (key.clone(), self.json(key, value, inside))).collect();
                // The recorded lines have each secret encrypted with a key of their own; hostler hands over what it is.
                if json["qom-type"] == "secret" {
                    pairs.retain(|(key, _)| ["qom-type", "id"].contains(&key.as_str()));
                    pairs.push(("file".into(), self.file(Role::Secret)));
                }
                // The recorded lines leave it out where nothing was probed; hostler's chains always say it.
                if json["driver"] == "qcow2" && json["backing"].is_null() {
                    pairs.retain(|(key, _)| key != "backing");
                    pairs.push(("backing".into(), Value::Null));
                }
                Value::Mapping(pairs)
            }
        }
    }

    fn keyed(&mut self, option: &str, text: &str, implied: Option<&str>) -> Value {
        let mut pairs = Vec::new();
        for (at, piece) in text.split(',').enumerate() {
            let (key, value) = match (piece.split_once('='), implied) {
                (Some((key, value)), _) => (key.to_owned(), Value::text(value)),
                (None, Some(implied)) if at == 0 => (implied.to_owned(), Value::text(piece)),
                (None, _) => (piece.to_owned(), Value::Null),
            };
            pairs.push((key, value));
        }
        // Where the recorded lines have QEMU listen on this host, hostler does.
        if option == "vnc" && text.starts_with("127.0.0.1:") {
            pairs.retain(|(key, _)| key != "vnc");
            pairs.insert(0, ("vnc".into(), Value::text("none")));
        }
        if option == "spice" && pairs.iter().any(|(_, value)| value.as_text() == Some("127.0.0.1")) {
            pairs.retain(|(key, _)| key != "port" && key != "addr");
            pairs.insert(0, ("port".into(), Value::Integer(0)));
        }
        let monitor = text.contains("id=charmonitor");
        let kept = ["null", "qemu-vdagent", "spicevmc", "spiceport", "ringbuf"];
        if option == "chardev" && !kept.iter().any(|kind| text.starts_with(kind)) {
            let id = pairs.into_iter().find(|(key, _)| key == "id").unwrap();
            let spec = EndpointSpec { alias: format!("e{}", self.handles.len()), kind: EndpointKind::Pty };
            let backend = self.handle(if monitor { Handle::Monitor } else { Handle::Endpoint(spec) });
            pairs = vec![("backend".into(), backend), id];
        }
        Value::Mapping(pairs)
    }
}

fn plan_of(argv: &[String], template: &super::Template) -> Option<(Plan, Vec<Handle>)> {
    let mut reader = Reader { handles: Vec::new() };
    let mut options = Vec::new();
    let mut words = argv.iter().skip(1).peekable();
    while let Some(word) = words.next() {
        let name = word.strip_prefix('-')?;
        let rule = template.data.options.get(name)?;
        let value = match rule.syntax {
            Syntax::Flag => None,
            Syntax::Json if words.peek()?.starts_with('{') => {
                Some(reader.json("", &serde_json::from_str(words.next()?).ok()?, name))
            }
            Syntax::Json | Syntax::Keyed => {
                let implied = if name == "netdev" { Some("type".to_owned()) } else { rule.implied.clone() };
                Some(reader.keyed(name, words.next()?, implied.as_deref()))
            }
            Syntax::Text if ["kernel", "initrd", "dtb"].contains(&name) => {
                words.next()?;
                Some(reader.file(Role::File))
            }
            Syntax::Text => Some(Value::text(words.next()?.as_str())),
        };
        options.push(OptionEntry { name: name.into(), value });
    }
    let options = inlined(options, &mut reader.handles);
    let plan = Plan { template: template.name().into(), options, environment: vec![], reactions: vec![] };
    Some((plan, reader.handles))
}

/// Nodes with a format have what they read inside them, as the template wants it, and the host has checked that; the
/// recorded lines name it by its node.
fn inlined(options: Vec<OptionEntry>, handles: &mut [Handle]) -> Vec<OptionEntry> {
    let node = |option: &OptionEntry| option.value.clone().filter(|_| option.name == "blockdev");
    let nodes: Vec<Value> = options.iter().filter_map(node).collect();
    let text = |value: &Value, key: &str| Some(value.get(key)?.as_text()?.to_owned());
    let mut taken = Vec::new();
    let mut changed = Vec::new();
    for mut option in options {
        let format = node(&option).and_then(|node| text(&node, "driver"));
        let read =
            format.as_deref().is_some_and(|format| !["raw", "luks", "file", "throttle"].contains(&format));
        if read && let Some(Value::Mapping(pairs)) = &mut option.value {
            for (_, file) in pairs.iter_mut().filter(|(key, _)| key == "file") {
                let found = nodes.iter().find(|node| text(node, "node-name").as_deref() == file.as_text());
                let Some(found) = found else { continue };
                taken.extend(text(found, "node-name"));
                *file = found.clone();
                if let Value::Mapping(pairs) = file {
                    pairs.retain(|(key, _)| key != "node-name");
                }
                if let Some(Value::Handle(index)) = file.get("filename")
                    && let Handle::Descriptor { format: checked, .. } = &mut handles[*index]
                {
                    *checked = format.clone().unwrap().leak();
                }
            }
        }
        changed.push(option);
    }
    let is_taken = |option: &OptionEntry| {
        node(option).and_then(|node| text(&node, "node-name")).is_some_and(|name| taken.contains(&name))
    };
    changed.into_iter().filter(|option| !is_taken(option)).collect()
}

#[expect(clippy::print_stderr, reason = "a test that cannot run says so, and figures are worth reading")]
fn say(text: &str) {
    eprintln!("{text}");
}

#[test]
fn ordinary_command_lines_pass_and_refusals_are_meant() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/argv");
    let Ok(cases) = std::fs::read_dir(&corpus) else {
        return say(&format!("skipped: {} is absent", corpus.display()));
    };
    let set = TemplateSet::builtin().unwrap();
    let template = set.get("qemu-system-x86_64").unwrap();
    let (mut passed, mut refused) = (0, BTreeMap::new());
    for case in cases.map(|case| case.unwrap().path()).filter(|case| case.is_dir()) {
        let text = std::fs::read_to_string(case.join("expected.json")).unwrap();
        let expected: Json = serde_json::from_str(&text).unwrap();
        let argv: Vec<String> = serde_json::from_value(expected["argv"].clone()).unwrap();
        let name = case.file_name().unwrap().display().to_string();
        let Some((plan, handles)) = plan_of(&argv, template) else {
            refused.insert(name, "an option that is not there".to_owned());
            continue;
        };
        match check(&plan, &handles, template) {
            Ok(_) => passed += 1,
            Err(error) => drop(refused.insert(name, error.to_string())),
        }
    }
    refused.iter().for_each(|(name, error)| say(&format!("{name}: {error}")));
    say(&format!("{passed} pass, {} are refused", refused.len()));
    assert!(passed >= 90, "{passed} pass");
}
