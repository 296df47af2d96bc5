//! What operators do with the daemon: figures, settings, and putting another one in its place.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::{Daemon, clients_are_here, start_with_sockets, virsh};
use crate::workbench::{QUIET, Workbench, rom_domain};

/// A port that nothing listens on, as far as can be known.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One request and its whole answer.
fn fetch(port: u16, request: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(socket, "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn figures_are_fetched_in_the_format_of_openmetrics() {
    let bench = Workbench::of_drivers();
    bench.define(QUIET);
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let _daemon = Daemon::start_with(&bench, &["--metrics", &address]);
    bench.ok(&["start", "quiet"]);
    let answer = fetch(port, "GET /metrics");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    for line in [
        "hostler_domains{state=\"running\"} 1",
        "hostler_domains{state=\"off\"} 0",
        "hostler_rpc_calls_total{procedure=\"command_run\",outcome=\"good\"} 1",
        "hostler_driver_operations_total{driver=\"test\",operation=\"start\",outcome=\"good\"} 1",
        "# EOF",
    ] {
        assert!(body.lines().any(|found| found == line), "{line} is not in:\n{body}");
    }
    assert!(fetch(port, "GET /").starts_with("HTTP/1.1 404"), "only figures are there");
    assert!(fetch(port, "POST /metrics").starts_with("HTTP/1.1 405"), "nothing can be changed");
    let taken =
        bench.run(&["serve", "--state-dir", bench.path("other").to_str().unwrap(), "--metrics", &address]);
    assert_eq!(taken.status, 1, "{}", taken.stderr);
    assert!(taken.stderr.contains(&format!("cannot listen on {address}")), "{}", taken.stderr);
    assert!(taken.stderr.contains("name another address with --metrics"), "{}", taken.stderr);
}

#[test]
fn settings_hold_for_commands_and_daemons_and_are_read_again_when_asked() {
    let bench = Workbench::of_drivers();
    let settings = bench.write("hostler.toml", "[log]\nlevel = 'warn'\n");
    let option = settings.to_str().unwrap();
    let mut daemon = Daemon::start_with(&bench, &["--settings", option]);
    bench.write("hostler.toml", "[log]\nlevel = 'info'\n[host]\nworkers = 'off'\n");
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("the settings were read again");
    assert!(
        daemon.log().contains("[host] has changed; that holds when the daemon is started again"),
        "{}",
        daemon.log()
    );
    bench.write("hostler.toml", "[log]\nlevel = 'info'\nlevle = 'warn'\n");
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("unknown field `levle`");
    daemon.wait_for_log("(line 3, column 1); did you mean 'level'?");
    bench.define(QUIET);
    assert!(daemon.stop().success());
    let refused = bench.run(&["--settings", option, "list"]);
    assert_eq!(refused.status, 1, "{}", refused.stderr);
    let place = "line 3, column 1";
    for part in
        ["error[config.settings]", "unknown field `levle`", place, "did you mean 'level'?", "hostler.toml"]
    {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    bench.write("hostler.toml", &format!("[host]\nstate-dir = '{}'\n", bench.path("elsewhere").display()));
    assert!(
        bench.ok(&["--settings", option, "list", "--all"]).contains("quiet"),
        "an option comes before a setting"
    );
}

#[test]
fn another_daemon_takes_the_place_of_one_while_guests_run_and_clients_wait() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    bench.define(&rom_domain("rom", "qemu"));
    let (full, read_only) = (bench.path("full"), bench.path("read-only"));
    let uri = format!("hostler:///system?socket={}", full.display());
    // As a service manager does: the sockets stay, whoever serves them.
    let mut first = start_with_sockets(&bench, &full, &read_only);
    while !full.exists() || !read_only.exists() {
        assert!(first.try_wait().unwrap().is_none());
    }
    assert_eq!(virsh(&uri, &["start", "rom"]).status, 0);
    let id = virsh(&uri, &["domid", "rom"]).stdout;
    end(&mut first);
    assert_eq!(bench.state_of("rom").as_deref(), Some("running"), "guests go on in between");
    std::fs::remove_file(&full).unwrap();
    std::fs::remove_file(&read_only).unwrap();
    let mut second = start_with_sockets(&bench, &full, &read_only);
    while !full.exists() || !read_only.exists() {
        assert!(second.try_wait().unwrap().is_none());
    }
    // It is asked before it serves, and answers when it does.
    assert_eq!(virsh(&uri, &["domid", "rom"]).stdout, id, "the same run of the same guest");
    assert_eq!(virsh(&uri, &["destroy", "rom"]).status, 0);
    assert!(bench.ok(&["show", "rom"]).contains("off"));
    end(&mut second);
}

fn end(daemon: &mut Child) {
    kill_process(Pid::from_child(daemon), Signal::TERM).unwrap();
    assert!(daemon.wait().unwrap().success());
}
