//! A process in a cell that tries to get out, for the tests: it says of each attempt whether it was refused. Its
//! argument is the number of a process to attack.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, ExitCode};
use std::time::Duration;

use hostler_launch::{CellLimits, CellUser, enter_cell};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

const LIMITS: CellLimits =
    CellLimits { space_bytes: 3 << 30, memory_bytes: 256 << 20, threads: 8, files: 16 };

fn main() -> ExitCode {
    let target = std::env::args().nth(1).and_then(|word| word.parse().ok()).and_then(Pid::from_raw);
    let user = match CellUser::reserve("the tests of the cell") {
        Ok(user) => user,
        Err(error) => return stopped(&error.to_string()),
    };
    if let Err(failure) = enter_cell(LIMITS, user.as_ref().map(CellUser::uid)) {
        return stopped(&failure.to_string());
    }
    let attempts: [(&str, &dyn Fn() -> bool); 14] = [
        ("read a file", &|| std::fs::read("/etc/passwd").is_ok()),
        ("list the root", &|| std::fs::read_dir("/").is_ok()),
        ("make a file", &|| std::fs::write("/tmp/out", "x").is_ok()),
        ("make a directory", &|| std::fs::create_dir("/out").is_ok()),
        ("look at another process", &|| std::fs::read("/proc/1/status").is_ok()),
        ("start a program", &|| Command::new("/bin/true").spawn().is_ok()),
        ("listen on a port", &|| TcpListener::bind("127.0.0.1:0").is_ok()),
        ("send a datagram", &|| UdpSocket::bind("127.0.0.1:0").is_ok()),
        ("listen on a local socket", &|| UnixListener::bind("/out").is_ok()),
        ("connect to a local socket", &|| UnixStream::connect("/run/out").is_ok()),
        ("see whether a process is there", &|| target.is_some_and(|pid| test_kill_process(pid).is_ok())),
        ("end a process", &|| target.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok())),
        ("change its root", &|| rustix::process::chroot("/").is_ok()),
        ("become another user", &|| rustix::thread::set_thread_uid(rustix::process::Uid::ROOT).is_ok()),
    ];
    for (what, attempt) in attempts {
        println!("{}: {what}", if attempt() { "done" } else { "refused" });
    }
    let waited = std::thread::spawn(|| std::thread::sleep(Duration::from_millis(1))).join();
    println!("{}: compute in a thread", if waited.is_ok() { "done" } else { "refused" });
    let much = vec![1_u8; 200 << 20];
    let more = Vec::<u8>::new().try_reserve_exact(100 << 20);
    println!("{}: take memory beyond the limit", if more.is_ok() { "done" } else { "refused" });
    drop(much);
    ExitCode::SUCCESS
}

fn stopped(why: &str) -> ExitCode {
    println!("stopped: {why}");
    ExitCode::FAILURE
}
