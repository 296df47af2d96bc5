//! What is written reads back as the same tree: parsers of our own, after the rules programs state.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::handle::{EndpointKind, EndpointSpec, Role};
use crate::plan::OptionEntry;
use crate::template::TemplateSet;
use crate::value::Value;

fn show(name: &str, value: impl Into<Value>, handles: &[Handle]) -> Vec<String> {
    let plan = Plan {
        template: "qemu-system-x86_64".into(),
        options: vec![OptionEntry::new(name, value)],
        environment: vec![],
        reactions: vec![],
    };
    let set = TemplateSet::builtin().unwrap();
    describe_unchecked(&plan, handles, set.get(&plan.template).unwrap()).unwrap().argv.split_off(1)
}

fn endpoint(kind: EndpointKind) -> Handle {
    Handle::Endpoint(EndpointSpec { alias: "serial0".into(), kind })
}

#[test]
fn handles_are_shown_as_people_know_them() {
    let chardev = |handle: Handle| {
        let pairs = [("id", "charserial0".into()), ("backend", Value::Handle(0))];
        show("chardev", Value::mapping::<&str>(pairs), &[handle]).pop().unwrap()
    };
    assert_eq!(chardev(Handle::Monitor), "socket,id=charserial0,fd=1729,server=on,wait=off");
    assert_eq!(chardev(endpoint(EndpointKind::Pty)), "pty,id=charserial0");
    let file = EndpointKind::File { fd: None, append: Some(true), path: "/tmp/a,b".into() };
    assert_eq!(chardev(endpoint(file)), "file,id=charserial0,path=/tmp/a,,b,append=on");
    let unix = EndpointKind::Unix { path: "/x.sock".into(), listen: true, reconnect: None };
    assert_eq!(chardev(endpoint(unix)), "socket,id=charserial0,fd=1729,server=on,wait=off");
    let unix = EndpointKind::Unix { path: "/x.sock".into(), listen: false, reconnect: Some(10) };
    assert_eq!(chardev(endpoint(unix)), "socket,id=charserial0,path=/x.sock,reconnect=10");
    let udp = EndpointKind::Udp {
        host: Some("127.0.0.1".into()),
        service: "2222".into(),
        local_host: Some("127.0.0.1".into()),
        local_service: Some("1111".into()),
    };
    assert_eq!(
        chardev(endpoint(udp)),
        "udp,id=charserial0,host=127.0.0.1,port=2222,localaddr=127.0.0.1,localport=1111"
    );
    let other = EndpointKind::Other { backend: "pipe".into(), pairs: vec![("path".into(), "/p".into())] };
    assert_eq!(chardev(endpoint(other)), "pipe,id=charserial0,path=/p");
}

#[test]
fn expansion_happens_in_place_behind_the_implied_key() {
    let pairs = [("backend", Value::Handle(0)), ("id", "c".into())];
    let shown = show("chardev", Value::mapping::<&str>(pairs), &[Handle::Monitor]);
    assert_eq!(shown, ["-chardev", "socket,fd=1729,server=on,wait=off,id=c"]);
}

#[test]
fn options_are_written_as_the_program_reads_them() {
    let machine = [("type", "q35".into()), ("usb", false.into()), ("smm", true.into())];
    assert_eq!(show("machine", Value::mapping::<&str>(machine), &[]), ["-machine", "q35,usb=off,smm=on"]);
    assert_eq!(show("m", Value::mapping([("size", Value::Integer(214))]), &[]), ["-m", "214"]);
    let cpu = [("model", "qemu64".into()), ("hv-crash", Value::Null)];
    assert_eq!(show("cpu", Value::mapping::<&str>(cpu), &[]), ["-cpu", "qemu64,hv-crash"]);
    let device = [("driver", "x".into()), ("multifunction", true.into()), ("addr", "0x2".into())];
    let json = r#"{"driver":"x","multifunction":true,"addr":"0x2"}"#;
    assert_eq!(show("device", Value::mapping::<&str>(device), &[]), ["-device", json]);
    assert_eq!(show("unheard-of", "a,b=c", &[]), ["-unheard-of", "a,b=c"]);
    let image = Handle::Descriptor {
        fd: None,
        writable: false,
        role: Role::Image,
        format: "raw",
        data_apart: false,
        path: "/i.qcow2".into(),
    };
    let node = [("driver", "file".into()), ("filename", Value::Handle(0)), ("backing", Value::Null)];
    let json = r#"{"driver":"file","filename":"/i.qcow2","backing":null}"#;
    assert_eq!(show("blockdev", Value::mapping::<&str>(node), &[image]), ["-blockdev", json]);
    assert_eq!(
        show("vnc", Value::mapping([("vnc", Value::Handle(0))]), &[Handle::Socket("v".into())]),
        ["-vnc", "unix:v"]
    );
}

#[test]
fn sets_are_made_once_right_before_their_first_use() {
    let set = TemplateSet::builtin().unwrap();
    let template = set.get("qemu-system-x86_64").unwrap();
    let handle = || Handle::Descriptor {
        fd: None,
        writable: true,
        role: Role::Image,
        format: "raw",
        data_apart: false,
        path: PathBuf::new(),
    };
    let node = |index| Value::mapping([("filename", Value::Handle(index))]);
    let options = vec![
        OptionEntry::flag("S"),
        OptionEntry::new("blockdev", node(1)),
        OptionEntry::new("blockdev", node(0)),
        OptionEntry::new("blockdev", node(1)),
        OptionEntry::new("kernel", Value::Handle(0)),
    ];
    let plan = Plan { template: String::new(), options, environment: vec![], reactions: vec![] };
    let grants = Grants {
        numbers: vec![vec![512], vec![513, 514]],
        sets: vec![0, 1],
        sockets: PathBuf::new(),
        folders: None,
    };
    let argv = command_line(&plan, &[handle(), handle()], template, Some(&grants)).unwrap().argv.split_off(1);
    let wanted = [
        "-S",
        "-add-fd",
        "set=1,fd=513,opaque=hostler-1",
        "-add-fd",
        "set=1,fd=514,opaque=hostler-1",
        "-blockdev",
        "{\"filename\":\"/dev/fdset/1\"}",
        "-add-fd",
        "set=0,fd=512,opaque=hostler-0",
        "-blockdev",
        "{\"filename\":\"/dev/fdset/0\"}",
        "-blockdev",
        "{\"filename\":\"/dev/fdset/1\"}",
        "-kernel",
        "/proc/self/fd/512",
    ];
    assert_eq!(argv, wanted);
}

/// Reads `value,key=value,…` by the rules that a comma in a value is doubled, and that a first piece without
/// "=" before its comma is the value of the implied key.
fn read_keyed(text: &str) -> Vec<(String, String)> {
    let named = text.find('=').is_some_and(|equals| text.find(',').is_none_or(|comma| equals < comma));
    let (mut pieces, mut current) = (Vec::new(), String::new());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != ',' {
            current.push(letter);
        } else if letters.next_if_eq(&',').is_some() {
            current.push(',');
        } else {
            pieces.push(std::mem::take(&mut current));
        }
    }
    pieces.push(current);
    let split = |(at, piece): (usize, String)| match piece.split_once('=') {
        Some((key, value)) if at > 0 || named => (key.to_owned(), value.to_owned()),
        _ => ("type".to_owned(), piece),
    };
    pieces.into_iter().enumerate().map(split).collect()
}

/// Back from JSON, as a program's own reader sees it.
fn read_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Boolean(*value),
        serde_json::Value::Number(number) => Value::Integer(number.as_i64().unwrap()),
        serde_json::Value::String(text) => Value::text(text.as_str()),
        serde_json::Value::Array(items) => Value::Sequence(items.iter().map(read_json).collect()),
        serde_json::Value::Object(members) => {
            Value::Mapping(members.iter().map(|(key, value)| (key.clone(), read_json(value))).collect())
        }
    }
}

fn any_tree() -> impl Strategy<Value = Value> {
    let text = "[^\\x00]{0,12}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(Value::Integer),
        text.prop_map(Value::Text),
    ];
    leaf.prop_recursive(6, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Sequence),
            prop::collection::hash_map(text, inner, 0..5)
                .prop_map(|members| Value::Mapping(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn json_reads_back_as_the_same_tree(inner in any_tree()) {
        let tree = Value::mapping([("x", inner)]);
        let shown = show("device", tree.clone(), &[]);
        prop_assert_eq!(shown.len(), 2);
        prop_assert_eq!(read_json(&serde_json::from_str(&shown[1]).unwrap()), tree);
    }

    #[test]
    fn keyed_reads_back_as_the_same_pairs(
        first in "[^\\x00]{0,12}",
        rest in prop::collection::vec(("[a-z]{1,6}", "[^\\x00]{0,12}"), 0..6),
    ) {
        let members = rest.iter().filter(|(key, _)| key != "type").map(|(key, text)| (key.clone(), Value::text(text.as_str())));
        let tree = Value::mapping(members.chain([("type".to_owned(), Value::text(first.as_str()))]));
        let shown = show("machine", tree, &[]);
        let wanted = std::iter::once(("type".to_owned(), first.clone())).chain(rest.into_iter().filter(|(key, _)| key != "type"));
        prop_assert_eq!(read_keyed(&shown[1]), wanted.collect::<Vec<_>>());
    }
}
