//! Programs that the agent in a guest runs: QEMU's own, in a Linux guest.

use std::process::Stdio;

use crate::agent::with_agent;
use crate::workbench::{Answer, Workbench};

fn sh<'a>(options: &[&'a str], script: &'a str) -> Vec<&'a str> {
    let mut words = vec!["agent", "exec", "linux"];
    words.extend_from_slice(options);
    words.extend(["--", "/bin/busybox", "sh", "-c", script]);
    words
}

#[test]
fn program_runs_in_the_guest_and_what_it_writes_and_ends_with_is_passed_on() {
    let bench = Workbench::new();
    with_agent(&bench, "unix");
    let answer = bench.run(&sh(&[], "echo out; echo err >&2; exit 42"));
    assert_eq!((answer.status, answer.stdout.as_str(), answer.stderr.as_str()), (42, "out\n", "err\n"));
    let kernel = bench.ok(&["agent", "exec", "linux", "--", "/bin/busybox", "uname", "-s", "-n"]);
    assert!(kernel.starts_with("Linux "), "{kernel}");
    assert_eq!(bench.run(&sh(&[], "kill -9 $$")).status, 137);

    let input = bench.write("input", "one\ntwo\n");
    let counted = bench.ok(&sh(&["--input", input.to_str().unwrap()], "/bin/busybox wc -l"));
    assert_eq!(counted.trim(), "2");
    let mut piped = bench.command(&sh(&["--input", "-", "--env", "WORD=c"], "/bin/busybox cat; echo $WORD"));
    let input = std::fs::File::open(&input).unwrap();
    let answer = Answer::of(piped.stdin(Stdio::from(input)).output().unwrap());
    assert_eq!((answer.status, answer.stdout.as_str()), (0, "one\ntwo\nc\n"));

    let mut words = vec!["-o", "json"];
    words.extend(sh(&[], "printf 'a\\377'; echo b >&2; exit 3"));
    let answer = bench.run(&words);
    let told: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!((answer.status, &told["exit_code"]), (3, &3.into()));
    assert_eq!((&told["stdout_base64"], &told["stderr"]), (&"Yf8=".into(), &"b\n".into()), "{told}");
}

#[test]
fn long_output_comes_whole_and_what_does_not_run_or_end_is_told() {
    let bench = Workbench::new();
    with_agent(&bench, "unix");
    let zeros = bench.ok(&sh(&[], "/bin/busybox head -c 3000000 /dev/zero | /bin/busybox tr '\\0' x"));
    assert!(zeros.len() == 3_000_000 && zeros.bytes().all(|byte| byte == b'x'), "{}", zeros.len());

    let missing = bench.run(&["agent", "exec", "linux", "--", "/no/such/program"]);
    assert!(missing.status == 1 && missing.stderr.contains("agent.refused"), "{}", missing.stderr);
    let late = bench.run(&sh(&["--timeout", "1"], "read line < /dev/console"));
    assert!(late.status == 6 && late.stderr.contains("agent.exec-runs-on"), "{}", late.stderr);
    assert!(late.stderr.contains("goes on there, as process"), "{}", late.stderr);
    bench.ok(&["agent", "ping", "linux"]);

    let much = bench.path("much");
    std::fs::write(&much, vec![0; (1 << 20) + 1]).unwrap();
    let refused = bench.run(&sh(&["--input", much.to_str().unwrap()], "true"));
    assert!(refused.stderr.contains("cli.input-too-large"), "{}", refused.stderr);
    bench.ok(&["destroy", "linux"]);
    assert!(bench.run(&sh(&[], "true")).stderr.contains("domain.off"));
}
