//! Programs that are no hypervisor, under a template of the operator's own: the shim must not mind.

use std::sync::Arc;
use std::time::Duration;

use hostler_launch::{
    CageSetting, Ending, Handle, LaunchContext, LaunchError, LaunchErrorKind, OptionEntry, Plan,
    QmpErrorKind, Reaction, ShimClient, ShimErrorKind, Template, Value, check, launch,
};

use crate::support::{Domain, PATIENCE, context, shim_pid, status_line};

/// A shell whose monitor is descriptor `$M`, and no policy to speak of: this is about the shim.
const SHELL: &str = r#"{
  "name": "shell", "programs": ["/bin/bash"], "environment": {"fixed": {"PATH": "/usr/bin:/bin"}},
  "writing": {"option-prefix": "-", "fd-path": "x"},
  "endpoints": {"monitor": {"launch": [["M", "{fd}"]], "show": [["M", "1"]]}},
  "options": {
    "c": {"syntax": "text", "shape": {"text": {"max": 4096}}},
    "-": {"syntax": "keyed", "shape": {"map": {"keys": {"m": {"handle": ["monitor"]}}}}}
  },
  "commands": {"pass": ["cont"]}
}"#;

const GREET: &str =
    r#"M=${0#M=}; exec 9<&"$M"; say() { echo "$1" >&9; }; say '{"QMP": {}}'; read -r x <&9; "#;
const READY: &str = r#"say '{"return": {}, "id": 1}'; "#;

fn start(domain: &mut Domain, script: &str, monitor: bool) -> Result<ShimClient, LaunchError> {
    let mut options = vec![OptionEntry::new("c", script)];
    if monitor {
        options.push(OptionEntry::new("-", Value::mapping([("m", Value::Handle(0))])));
    }
    let reactions = vec![Reaction { event: "E".into(), commands: vec!["cont".into()] }];
    let plan = Plan { template: "shell".into(), options, environment: vec![], reactions };
    let template = Arc::new(Template::parse(SHELL, "test").unwrap());
    let handles = if monitor { vec![Handle::Monitor] } else { vec![] };
    let checked = check(&plan, &handles, &template).unwrap();
    // The shell's tools are all over the host, and what is tried here is the shim.
    let context = LaunchContext { cage: CageSetting::Off, ..context() };
    launch(&domain.run, &context, checked, vec![], handles, PATIENCE)
}

/// The script's arguments end in `-- M=<number>`: the number is the last argument's.
fn script(after_greeting: &str) -> String {
    format!("set -- \"$@\"; {}{after_greeting}", GREET.replace("${0#M=}", "${1#M=}"))
}

#[test]
fn program_without_monitor_runs_and_its_status_is_kept() {
    let mut domain = Domain::new("none");
    let client = start(&mut domain, "read -r x < <(sleep 0.1); echo last words; exit 7", false).unwrap();
    assert_eq!(client.wait(PATIENCE).unwrap(), Some(Ending::Exited(7)));
    assert!(std::fs::read_to_string(domain.run.log_path()).unwrap().contains("last words"));
}

#[test]
fn program_that_leaves_children_frees_the_lock_with_its_end() {
    let mut domain = Domain::new("none");
    let client = start(&mut domain, "sleep 1000 & echo $!; read -r x < <(sleep 0.1); exit 0", false).unwrap();
    assert_eq!(client.wait(PATIENCE).unwrap(), Some(Ending::Exited(0)));
    assert!(!domain.run.is_held().unwrap(), "what it left behind held the lock too");
}

#[test]
fn endless_line_before_the_greeting_ends_the_start() {
    let mut domain = Domain::new("none");
    let bomb = "M=${1#M=}; head -c 30000000 /dev/zero | tr '\\0' x >&$M; sleep 1000";
    let error = start(&mut domain, bomb, true).unwrap_err();
    assert_eq!(error.kind, LaunchErrorKind::HypervisorFailed, "{error}");
    assert!(!domain.run.is_held().unwrap());
}

#[test]
fn deep_answer_closes_the_monitor_and_the_program_goes_on() {
    let mut domain = Domain::new("none");
    let deep =
        format!("{READY}read -r x <&9; printf '{{\"return\": %0200d' 0 | tr 0 '[' >&9; say ''; sleep 1000");
    let client = start(&mut domain, &script(&deep), true).unwrap();
    let error = client.execute("query-status", None, &[], PATIENCE).unwrap_err();
    assert_eq!(error.kind, QmpErrorKind::Closed, "{error}");
    assert_eq!(client.status().unwrap().ended, None);
    assert_eq!(client.end(false, PATIENCE).unwrap(), Ending::Killed(9));
}

/// Each event asks for a reaction, and nothing reads those.
#[test]
fn flood_of_events_leaves_the_shim_small_and_answering() {
    let mut domain = Domain::new("none");
    let flood = format!(
        "{READY}yes '{{\"event\": \"E\", \"data\": {{\"x\": 1}}}}' | head -n 300000 >&9; say '{{\"event\": \"LAST\"}}'; sleep 1000"
    );
    let client = start(&mut domain, &script(&flood), true).unwrap();
    let mut cursor = 0;
    while cursor < 300_001 {
        // Answers come while the flood runs; each is a wait for one more event.
        match client.wait_event(&[], cursor, PATIENCE) {
            Ok(event) => cursor = event.unwrap().cursor,
            Err(error) => {
                assert_eq!(error.kind, ShimErrorKind::EventsLost);
                cursor = client.cursor().unwrap();
            }
        }
    }
    let resident: u64 =
        status_line(shim_pid(&domain.run), "VmRSS").split_whitespace().next().unwrap().parse().unwrap();
    assert!(resident < 24 << 10, "{resident} KiB");
    assert_eq!(client.end(true, Duration::from_millis(100)).map(drop).ok(), Some(()));
}
