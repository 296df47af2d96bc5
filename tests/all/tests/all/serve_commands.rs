//! The command while a daemon owns the state directory: it is sent there, and its user sees no difference.

use std::io::Write as _;
use std::process::Stdio;

use crate::daemon::{Daemon, clients_are_here};
use crate::workbench::{Answer, QUIET, Workbench, rom_domain};

#[test]
fn guest_lives_by_commands_that_the_daemon_carries_out() {
    let bench = Workbench::of_drivers();
    let daemon = Daemon::start(&bench);
    bench.write("rom.xml", &rom_domain("rom", "qemu"));
    // A path that means something only where the user is.
    bench.ok(&["define", "rom.xml"]);
    let started = bench.ok(&["start", "rom"]);
    assert!(started.starts_with("domain 'rom' is running (pid "), "{started}");
    assert_eq!(bench.json(&["suspend", "rom"])["state"], "paused");
    bench.ok(&["resume", "rom"]);
    bench.ok(&["console", "rom", "--no-replay", "--until", "tick", "--timeout", "60"]);
    bench.ok(&["save", "rom", "there"]);
    assert!(bench.path("there").exists(), "a file of the command's directory");
    assert!(bench.ok(&["restore", "there"]).starts_with("domain 'rom' is running"));
    if clients_are_here() {
        assert_eq!(daemon.ok(&["domstate", "rom"]), "running", "it is the daemon's");
    }
    bench.ok(&["destroy", "rom"]);
    bench.ok(&["undefine", "rom"]);
    assert_eq!(bench.state_of("rom"), None);
}

#[test]
fn document_on_standard_input_reaches_the_daemon() {
    let bench = Workbench::of_drivers();
    let _daemon = Daemon::start(&bench);
    let mut child =
        bench.command(&["define", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(QUIET.as_bytes()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(bench.state_of("quiet").as_deref(), Some("off"));
    bench.write(
        "dir.xml",
        &format!(
            "<pool type='dir'><name>p</name><target><path>{}</path></target></pool>",
            bench.path("pool").display()
        ),
    );
    std::fs::create_dir(bench.path("pool")).unwrap();
    bench.ok(&["pool", "create", "dir.xml"]);
    let volume =
        "<volume><name>v</name><capacity>1048576</capacity><target><format type='raw'/></target></volume>";
    bench.write("volume.xml", volume);
    bench.ok(&["vol", "create", "p", "--xml", "volume.xml"]);
    let mut upload = bench.command(&["vol", "upload", "p", "v", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    upload.stdin.take().unwrap().write_all(&[7; 4096]).unwrap();
    assert!(upload.wait().unwrap().success());
    assert_eq!(std::fs::read(bench.path("pool/v")).unwrap()[..4097], [&[7; 4096][..], &[0]].concat());
}

#[test]
fn errors_are_those_of_a_command_that_works_by_itself() {
    let bench = Workbench::of_drivers();
    bench.define(QUIET);
    let alone: Vec<Answer> = WRONG.iter().map(|words| bench.run(words)).collect();
    let _daemon = Daemon::start(&bench);
    for (words, alone) in WRONG.iter().zip(alone) {
        let sent = bench.run(words);
        assert_eq!(
            (sent.status, sent.stdout, sent.stderr),
            (alone.status, alone.stdout, alone.stderr),
            "{words:?}"
        );
    }
}

const WRONG: [&[&str]; 6] = [
    &["start", "quite"],
    &["-o", "json", "start", "quite"],
    &["destroy", "quiet"],
    &["define", "no-such-file.xml"],
    &["--quiet", "autostart", "quiet"],
    &["attach", "quiet", "no-such-file.xml"],
];

#[test]
fn daemon_refuses_what_it_was_not_started_with() {
    let bench = Workbench::of_drivers();
    bench.define(QUIET);
    let _daemon = Daemon::start(&bench);
    let answer = bench.run(&["--cage", "off", "start", "quiet"]);
    assert_eq!(answer.status, 2, "{}", answer.stderr);
    assert!(answer.stderr.contains("error[cli.daemon-decides]"), "{}", answer.stderr);
    assert!(answer.stderr.contains("leave '--cage' out, or give it to 'hostler serve'"), "{}", answer.stderr);
    assert_eq!(bench.state_of("quiet").as_deref(), Some("off"));
}

#[test]
fn what_a_user_leaves_is_brought_to_its_end() {
    let bench = Workbench::of_drivers();
    bench.write("rom.xml", &rom_domain("rom", "qemu"));
    let _daemon = Daemon::start(&bench);
    bench.ok(&["define", "rom.xml"]);
    let mut command = bench.command(&["start", "rom"]).stdout(Stdio::null()).spawn().unwrap();
    // It may have begun or not; whoever began goes on, and nothing is left half done.
    command.kill().unwrap();
    command.wait().unwrap();
    bench.ok(&["autostart", "rom"]);
    let state = bench.state_of("rom").unwrap();
    assert!(["running", "off"].contains(&state.as_str()), "{state}");
    bench.run(&["destroy", "rom"]);
    bench.ok(&["start", "rom"]);
    bench.ok(&["destroy", "rom"]);
}
