//! The same functions with a real QEMU behind them: launched, asked, and ended through its shim.

use hostler_launch::Value;
use wasmtime::component::Resource;

use super::{DISK, Scene};
use crate::bindings::wit::domain::HostDomain;
use crate::bindings::wit::process::{Ending, HostProcess, LaunchPlan, OptionEntry};
use crate::bindings::wit::qmp::{Command, HostMonitor};
use crate::bindings::wit::storage::HostChain;
use crate::bindings::wit::types::Error;
use crate::bindings::wit::value::{Handle, Node, Tree};
use crate::context::DomainContext;
use crate::interfaces::{process::Process, qmp::Monitor};

/// Longer than anything here takes on a loaded machine, in milliseconds.
const PATIENCE_MS: u64 = 40_000;

/// A value as a driver writes it: flat, children after their parent.
fn flat(value: &Value) -> Tree {
    let mut nodes = vec![Node::Null];
    fill(value, 0, &mut nodes);
    Tree { nodes }
}

fn fill(value: &Value, place: usize, nodes: &mut Vec<Node>) {
    let mut child = |value: &Value| {
        let at = nodes.len();
        nodes.push(Node::Null);
        fill(value, at, nodes);
        u32::try_from(at).unwrap()
    };
    let node = match value {
        Value::Null => Node::Null,
        Value::Boolean(value) => Node::Boolean(*value),
        Value::Integer(value) => Node::Integer(*value),
        Value::Text(text) => Node::Text(text.clone()),
        Value::Handle(index) => Node::Handle(u32::try_from(*index).unwrap()),
        Value::Sequence(items) => Node::Sequence(items.iter().map(child).collect()),
        Value::Mapping(pairs) => {
            Node::Mapping(pairs.iter().map(|(name, value)| (name.clone(), child(value))).collect())
        }
    };
    nodes[place] = node;
}

fn option(name: &str, value: Option<Value>) -> OptionEntry {
    OptionEntry { name: name.into(), value: value.as_ref().map(flat) }
}

/// A machine without guest, paused, with its monitor as handle 0.
fn plan(more: Vec<OptionEntry>) -> LaunchPlan {
    let monitor = Value::mapping([("backend", Value::Handle(0)), ("id", "charmonitor".into())]);
    let control: [(&str, Value); 3] =
        [("chardev", "charmonitor".into()), ("id", "monitor".into()), ("mode", "control".into())];
    let sandbox = ["obsolete", "elevateprivileges", "spawn", "resourcecontrol"];
    let sandbox = sandbox.map(|name| (name, Value::from("deny")));
    let sandbox = std::iter::once(("enable", Value::from(true))).chain(sandbox);
    let mut options = vec![
        option("S", None),
        option("machine", Some(Value::mapping([("type", Value::from("q35"))]))),
        option("accel", Some("tcg".into())),
        option("m", Some(Value::mapping([("size", Value::Integer(64))]))),
        option("display", Some("none".into())),
        option("no-user-config", None),
        option("nodefaults", None),
        option("chardev", Some(monitor)),
        option("mon", Some(Value::mapping(control))),
        option("no-shutdown", None),
        option("sandbox", Some(Value::mapping(sandbox))),
    ];
    options.extend(more);
    LaunchPlan { template: "qemu-system-x86_64".into(), options, environment: vec![], reactions: vec![] }
}

impl Scene {
    /// A scene whose launches find the shim that cargo built beside this test.
    fn with_shim(devices: &str) -> Self {
        let here = std::env::current_exe().unwrap();
        let shim = here.ancestors().nth(2).unwrap().join("hostler-shim");
        assert!(shim.is_file(), "{} is missing: run cargo build -p hostler-launch", shim.display());
        Self::made("qemu", "", devices, |context| DomainContext { shim, ..context })
    }

    async fn launched(&mut self, more: Vec<OptionEntry>, handles: Vec<Handle>) -> Resource<Process> {
        let me = self.me();
        let all = std::iter::once(Handle::Monitor).chain(handles).collect();
        self.state.launch(me, plan(more), all).await.unwrap().unwrap()
    }

    async fn connected(&mut self) -> Resource<Monitor> {
        let me = self.me();
        self.state.monitor(me).await.unwrap().unwrap()
    }

    async fn ask(&mut self, monitor: &Resource<Monitor>, name: &str) -> Result<String, Error> {
        self.state.execute(borrowed(monitor), command(name, None), vec![]).await.unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let root = self.path("state");
        let Ok(state) = hostler_state::StateDir::open_reader(&root) else { return };
        if let Ok(client) =
            hostler_launch::ShimClient::connect(&state.run_dir(hostler_state::Uuid::from_u128(9)))
        {
            client.end(false, std::time::Duration::from_millis(PATIENCE_MS)).ok();
        }
    }
}

fn borrowed<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

fn command(name: &str, arguments: Option<Value>) -> Command {
    Command { name: name.into(), arguments: arguments.as_ref().map(flat) }
}

#[tokio::test]
async fn hypervisor_is_launched_asked_and_ended() {
    let mut scene = Scene::with_shim("");
    let process = scene.launched(vec![], vec![]).await;
    assert!(scene.state.ending(borrowed(&process)).await.unwrap().is_none());
    let monitor = scene.connected().await;
    assert!(scene.ask(&monitor, "query-status").await.unwrap().contains("prelaunch"));
    let before = scene.state.cursor(borrowed(&monitor)).await.unwrap();
    scene.ask(&monitor, "cont").await.unwrap();
    let resumed =
        scene.state.wait_event(borrowed(&monitor), vec!["RESUME".into()], before, PATIENCE_MS).await;
    assert!(resumed.unwrap().unwrap().unwrap().cursor > before);
    let waited = scene.state.wait(borrowed(&process), 20).await.unwrap();
    assert!(matches!(waited, Err(Error::TimedOut(_))), "{waited:?}");
    let me = scene.me();
    let second = scene.state.launch(me, plan(vec![]), vec![Handle::Monitor]).await.unwrap();
    assert!(matches!(second.err().unwrap(), Error::Conflict(problem) if problem.code == "domain.running"));
    let ended = scene.state.end(borrowed(&process), false, PATIENCE_MS).await.unwrap().unwrap();
    assert!(matches!(ended, Ending::Killed(9)), "{ended:?}");
    let again = scene.state.ending(process).await.unwrap();
    assert!(matches!(again, Some(Ending::Killed(9))), "{again:?}");
    let me = scene.me();
    assert!(scene.state.process(me).await.unwrap().is_none());
    assert!(matches!(scene.ask(&monitor, "query-status").await, Err(Error::Conflict(_))));
}

#[tokio::test]
async fn refused_commands_are_answered_in_their_place() {
    let mut scene = Scene::with_shim("");
    scene.launched(vec![], vec![]).await;
    let monitor = scene.connected().await;
    let stranger = [("path", Value::from("/machine")), ("property", Value::from("nothing"))];
    let commands = vec![
        command("query-status", None),
        command("human-monitor-command", Some(Value::mapping([("command-line", Value::from("info mem"))]))),
        command("qom-get", Some(Value::mapping(stranger))),
        command("query-version", None),
    ];
    let answers = scene.state.execute_all(monitor, commands, vec![]).await.unwrap();
    assert!(answers[0].as_ref().unwrap().contains("prelaunch"));
    assert!(matches!(&answers[1], Err(Error::Denied(_))), "{:?}", answers[1]);
    assert!(matches!(&answers[2], Err(Error::Hypervisor(_) | Error::Denied(_))), "{:?}", answers[2]);
    assert!(answers[3].as_ref().unwrap().contains("qemu"));
}

#[tokio::test]
async fn image_reaches_the_hypervisor_as_a_descriptor() {
    let mut scene = Scene::with_shim(DISK);
    scene.qemu_img(&["create", "-q", "-f", "qcow2", "top.qcow2", "1M"]);
    let me = scene.me();
    let chain = scene.state.disk(me, "vda".into()).await.unwrap().unwrap();
    let image = scene.state.image(chain, 0).await.unwrap().unwrap();
    let file = |node: &str, handle| -> Value {
        let pairs: [(&str, Value); 3] =
            [("driver", "file".into()), ("filename", Value::Handle(handle)), ("auto-read-only", true.into())];
        let format: [(&str, Value); 5] = [
            ("driver", "qcow2".into()),
            ("node-name", format!("{node}-format").as_str().into()),
            ("read-only", true.into()),
            ("backing", Value::Null),
            ("file", Value::mapping(pairs)),
        ];
        Value::mapping(format)
    };
    let at_launch = vec![option("blockdev", Some(file("at-launch", 1)))];
    let process = scene.launched(at_launch, vec![Handle::Image(borrowed(&image))]).await;
    let monitor = scene.connected().await;
    // And once more while it runs, by a set of descriptors of its own.
    scene.ask(&monitor, "query-status").await.unwrap();
    let add = command("blockdev-add", Some(file("later", 0)));
    scene.state.execute(borrowed(&monitor), add, vec![Handle::Image(image)]).await.unwrap().unwrap();
    let nodes = scene.ask(&monitor, "query-named-block-nodes").await.unwrap();
    assert!(
        nodes.contains("at-launch") && nodes.contains("later") && nodes.contains("/dev/fdset/"),
        "{nodes}"
    );
    scene.state.end(process, true, PATIENCE_MS).await.unwrap().unwrap();
}

#[tokio::test]
async fn plan_against_the_policy_is_denied_with_option_and_rule() {
    let mut scene = Scene::with_shim("");
    let me = scene.me();
    let more = vec![option("readconfig", Some("/etc/passwd".into()))];
    let error = scene.state.launch(me, plan(more), vec![Handle::Monitor]).await.unwrap().err().unwrap();
    let problem = super::denied(error);
    assert!(problem.details.iter().any(|fact| fact.value.contains("readconfig")), "{problem:?}");
    let me = scene.me();
    assert!(scene.state.process(me).await.unwrap().is_none());
}
