//! Clients that come by ssh: the socket is forwarded, and the user whom ssh let in is the one who is served.

use std::fs::Permissions;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::daemon::{Daemon, clients_are_here, virsh};
use crate::workbench::{Workbench, rom_domain};

/// Debian's; it insists on being called by its whole name.
const SSHD: &str = "/usr/sbin/sshd";

/// An ssh server for one user, let in by one key; ended when this is dropped.
struct SshServer {
    child: Child,
    port: u16,
    key: PathBuf,
    log: PathBuf,
}

impl SshServer {
    /// Nothing, loudly, where the programs are not installed.
    fn start(bench: &Workbench) -> Option<Self> {
        let here = |program: &str| Command::new("which").arg(program).output().unwrap().status.success();
        if !Path::new(SSHD).exists() || !here("ssh") || !here("nc") {
            eprintln!("skipped: openssh-server, openssh-client and netcat-openbsd are not installed");
            return None;
        }
        // Where it shuts itself in before somebody is let in.
        std::fs::create_dir_all("/run/sshd").ok()?;
        let [host, key] = ["host-key", "user-key"].map(|name| generated(&bench.path(name)));
        let allowed = bench.write("allowed", &std::fs::read_to_string(key.with_extension("pub")).unwrap());
        std::fs::set_permissions(&allowed, Permissions::from_mode(0o600)).unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let settings = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n",
            host.display(),
            allowed.display()
        );
        let (settings, log) = (bench.write("sshd_config", &settings), bench.path("sshd.log"));
        let mut command = Command::new(SSHD);
        command.args(["-D", "-f"]).arg(settings).arg("-E").arg(&log);
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let mut server = Self { child, port, key, log };
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(server.child.try_wait().unwrap().is_none(), "{}", server.log());
        }
        Some(server)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How a client of libvirt gets to a socket of that machine.
    fn uri(&self, socket: &Path) -> String {
        let (port, socket, key) = (self.port, socket.display(), self.key.display());
        format!(
            "hostler+ssh://127.0.0.1:{port}/system?socket={socket}&keyfile={key}&no_verify=1&no_tty=1&proxy=netcat"
        )
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A key in a file, with its other half beside it.
fn generated(path: &Path) -> PathBuf {
    let mut command = Command::new("ssh-keygen");
    let made = command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    path.to_owned()
}

#[test]
fn guest_is_run_by_a_client_that_comes_by_ssh() {
    let bench = Workbench::of_drivers();
    if !clients_are_here() {
        return;
    }
    let Some(server) = SshServer::start(&bench) else { return };
    let daemon = Daemon::start(&bench);
    let uri = server.uri(daemon.socket());
    let ok = |arguments: &[&str]| {
        let answer = virsh(&uri, arguments);
        assert_eq!(answer.status, 0, "{arguments:?}: {}{}", answer.stderr, server.log());
        answer.stdout.trim().to_owned()
    };
    let file = bench.write("rom.xml", &rom_domain("rom", "qemu"));
    ok(&["define", file.to_str().unwrap()]);
    ok(&["start", "rom"]);
    assert_eq!(ok(&["domstate", "rom"]), "running");
    assert!(ok(&["dumpxml", "rom"]).contains("<name>rom</name>"));
    ok(&["destroy", "rom"]);
    // The socket for reading is one for reading from there, too.
    let reading = virsh(&server.uri(&bench.path("r")), &["start", "rom"]);
    assert_eq!(reading.status, 1, "{}", reading.stdout);
    assert_eq!(daemon.ok(&["domstate", "rom"]), "shut off");
    let absent = virsh(&server.uri(&bench.path("absent")), &["list"]);
    assert_eq!(absent.status, 1);
}
