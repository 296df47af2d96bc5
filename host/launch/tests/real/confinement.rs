//! What the hypervisor holds, seen through `/proc`.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use hostler_launch::ShimClient;

use crate::support::{Domain, PATIENCE, descriptors, shim_pid, status_line};

#[test]
fn environment_is_the_templates_own_and_privileges_cannot_grow() {
    let mut domain = Domain::new("none");
    let client = domain.start();
    let pid = client.status().unwrap().pid;
    let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    let mut names: Vec<_> =
        environment.split_terminator('\0').map(|pair| pair.split('=').next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["LC_ALL", "PATH"]);
    assert_eq!(status_line(pid, "NoNewPrivs"), "1");
    assert_eq!(status_line(pid, "Seccomp:"), "2");
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"));
    assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/"));
    assert_eq!(status_line(pid, "Umask"), "0077");
}

#[test]
fn descriptors_are_granted_ones_or_anonymous() {
    let mut domain = Domain::new("none");
    let client = domain.start();
    let pid = client.status().unwrap().pid;
    let lock = domain.run.lock_path().display().to_string();
    for (number, target) in descriptors(pid) {
        let fine = target.starts_with("anon_inode:")
            || target.starts_with("socket:")
            || target.starts_with("pipe:")
            || target.starts_with("/memfd:")
            || target == "/dev/null"
            || target == lock;
        assert!(fine, "descriptor {number} is {target}");
    }
    assert!(descriptors(pid).iter().any(|(_, target)| *target == lock), "the hypervisor holds the run lock");
}

#[test]
fn descriptors_that_the_launcher_leaked_reach_neither_shim_nor_hypervisor() {
    let domain = Domain::new("none");
    let leaked = domain.path("leaked");
    let me = std::env::current_exe().unwrap();
    // A shell hands its own descriptors on, as shells do.
    let script =
        format!("exec 7>'{}' && exec \"$0\" --exact endings::launcher_process --nocapture", leaked.display());
    let mut launcher = Command::new("/bin/sh")
        .args(["-c", &script])
        .arg(me)
        .env("HOSTLER_TEST_LAUNCHER", domain.run.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(launcher.stdout.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().contains("launched")));
    let client = ShimClient::connect(&domain.run).unwrap();
    for pid in [client.status().unwrap().pid, shim_pid(&domain.run)] {
        assert!(!descriptors(pid).iter().any(|(_, target)| target.contains("leaked")));
    }
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    client.end(true, PATIENCE).unwrap();
}

#[test]
fn shim_is_small_detached_and_its_socket_private() {
    let mut domain = Domain::new("none");
    let client = domain.start();
    let shim = shim_pid(&domain.run);
    let resident: u64 = status_line(shim, "VmRSS").split_whitespace().next().unwrap().parse().unwrap();
    eprintln!("shim: {resident} KiB resident");
    assert!(resident < 16 << 10, "{resident} KiB");
    assert_ne!(status_line(shim, "PPid"), std::process::id().to_string());
    let mode = std::fs::metadata(domain.run.socket_path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        std::fs::read_to_string(domain.run.record_path(hostler_state::RunRecord::Launch))
            .unwrap()
            .contains("\"hash\"")
    );
    client.end(true, PATIENCE).unwrap();
}

#[test]
fn handle_that_the_plan_does_not_name_is_not_inherited() {
    let mut domain = Domain::new("none");
    let path = domain.path("unnamed.raw");
    std::fs::write(&path, [0; 512]).unwrap();
    domain.handle(crate::support::image(&path, false));
    let client = domain.start();
    let pid = client.status().unwrap().pid;
    assert!(!descriptors(pid).iter().any(|(_, target)| target.contains("unnamed")));
}
