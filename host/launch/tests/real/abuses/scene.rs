//! A running hypervisor to be abused, and the host's side: canaries, listeners, a directory for traces.

use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hostler_launch::{
    CageSetting, Handle, LaunchContext, LaunchError, ShimClient, Template, Value, check, launch, posture,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value as Json, json};

use crate::support::{Domain, PATIENCE, context, image};

/// How long an effect is waited for that a cage should prevent: what could do it in a cage does it at once.
const PREVENTED: Duration = Duration::from_millis(400);
/// What the files have that nobody granted.
const CANARY: &[u8; 6] = b"CANARY";

/// The shipped template, opened: QEMU's sandbox need not be on, and character devices may be anything.
fn open_template() -> Arc<Template> {
    let text = include_str!("../../../templates/qemu-system-x86_64.json");
    let mut data: Json = serde_json::from_str(text).unwrap();
    data["options"]["sandbox"]["required"] = false.into();
    let anything = json!({"map": {"keys": {}, "other": {"any": ["boolean", "integer", {"text": {}}]}}});
    let shape = data["options"]["chardev"]["shape"].take();
    data["options"]["chardev"]["shape"] = json!({"any": [shape, anything]});
    data["options"]["device"]["shape"] = json!({"any": [{"ref": "device"}, anything]});
    Arc::new(Template::parse(&data.to_string(), "opened").unwrap())
}

pub(crate) struct Scene {
    cage: CageSetting,
    domain: Option<Domain>,
    client: Option<ShimClient>,
    directory: tempfile::TempDir,
    counter: u64,
    pub(crate) tcp: TcpListener,
    pub(crate) unix: UnixListener,
    pub(crate) local: UnixListener,
    pub(crate) local_name: String,
    pub(crate) udp: UdpSocket,
}

impl Scene {
    pub(crate) fn new(cage: CageSetting) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let everybody = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        everybody(directory.path(), 0o755);
        std::fs::create_dir(directory.path().join("out")).unwrap();
        everybody(&directory.path().join("out"), 0o1777);
        let unix = UnixListener::bind(directory.path().join("host.sock")).unwrap();
        everybody(&directory.path().join("host.sock"), 0o777);
        let local_name = format!("hostler-test-{}", directory.path().display());
        let local = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&local_name).unwrap()).unwrap();
        let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        Self { cage, domain: None, client: None, directory, counter: 0, tcp, unix, local, local_name, udp }
    }

    /// A hypervisor that runs: the last one, or a new one where an abuse has ended that.
    pub(crate) fn revive(&mut self) {
        if self
            .client
            .as_ref()
            .is_some_and(|client| client.status().is_ok_and(|status| status.ended.is_none()))
        {
            return;
        }
        let (domain, client) = self.start(|_| {}).unwrap();
        self.domain = Some(domain);
        self.client = Some(client);
    }

    /// Starts a hypervisor with more on its command line.
    pub(crate) fn start(&self, more: impl FnOnce(&mut Domain)) -> Result<(Domain, ShimClient), LaunchError> {
        let mut domain = Domain::new("pc");
        domain.plan.options.retain(|option| option.name != "sandbox");
        let path = domain.path("granted.raw");
        std::fs::write(&path, vec![0; 1 << 20]).unwrap();
        let disk = domain.handle(image(&path, true));
        let file = [("driver", "file".into()), ("filename", disk), ("auto-read-only", true.into())];
        let pairs = [
            ("driver", "raw".into()),
            ("read-only", false.into()),
            ("file", Value::mapping(file)),
            ("node-name", "d0".into()),
        ];
        domain.option("blockdev", Value::mapping(pairs));
        domain.option("device", Value::mapping::<&str>([("driver", "VGA".into()), ("id", "v0".into())]));
        more(&mut domain);
        let checked = check(&domain.plan, &domain.handles, &open_template()).unwrap();
        let context = LaunchContext { cage: self.cage, ..context() };
        let handles: Vec<Handle> = std::mem::take(&mut domain.handles);
        let client = launch(&domain.run, &context, checked, vec![], handles, PATIENCE)?;
        Ok((domain, client))
    }

    /// SeaBIOS writes its log to this port; here it goes where only the command line says.
    pub(crate) fn log_firmware_by_udp(domain: &mut Domain, port: u16) {
        let port = port.to_string();
        let pairs = [("backend", "udp".into()), ("host", "127.0.0.1".into()), ("port", port.as_str().into())];
        let mut chardev = Value::mapping::<&str>(pairs);
        if let Value::Mapping(pairs) = &mut chardev {
            pairs.push(("id".into(), "log".into()));
        }
        domain.option("chardev", chardev);
        let device = [("driver", "isa-debugcon".into()), ("iobase", 0x402.into()), ("chardev", "log".into())];
        domain.option("device", Value::mapping::<&str>(device));
    }

    pub(crate) fn client(&self) -> &ShimClient {
        self.client.as_ref().unwrap()
    }

    /// The hypervisor's user on the host.
    pub(crate) fn user(&self) -> u32 {
        posture(self.client().status().unwrap().pid).unwrap().uid
    }

    /// A name that was not used before.
    pub(crate) fn name(&mut self) -> String {
        self.counter += 1;
        format!("x{}", self.counter)
    }

    /// Whether the hypervisor did as it was told.
    pub(crate) fn tell(&self, command: &str, arguments: Json) -> bool {
        self.client().execute(command, Some(&arguments), &[], PATIENCE).is_ok()
    }

    pub(crate) fn tell_with(&self, command: &str, arguments: Json, fd: BorrowedFd<'_>) -> bool {
        self.client().execute(command, Some(&arguments), &[fd], PATIENCE).is_ok()
    }

    /// The monitor for people, which answers everything with text.
    pub(crate) fn say(&self, line: &str) -> bool {
        self.tell("human-monitor-command", json!({"command-line": line}))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where an abuse leaves a trace, if it can.
    pub(crate) fn trace(&mut self) -> PathBuf {
        let name = self.name();
        self.path("out").join(name)
    }

    /// A file of a user's with the canary in it.
    pub(crate) fn canary(&mut self, owner: u32, mode: u32) -> PathBuf {
        let name = self.name();
        let path = self.path(&name);
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(CANARY).unwrap();
        file.write_all(&[b'.'; 506]).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(&path, Some(owner), Some(owner)).unwrap();
        path
    }

    /// Whether a node shows the canary: QEMU prints what it reads, and the shim keeps that.
    pub(crate) fn shows_canary(&mut self, node: &str) -> bool {
        let log = self.domain.as_ref().unwrap().run.log_path();
        let before = std::fs::read(&log).map_or(0, |text| text.len());
        if !self.say(&format!("qemu-io {node} \"read -v 0 16\"")) {
            return false;
        }
        // The shim takes the output and these questions in turn, so that it comes within a few of them.
        (0..2_000).any(|_| {
            self.client().output_tail().ok();
            let text = std::fs::read(&log).unwrap_or_default();
            String::from_utf8_lossy(text.get(before..).unwrap_or_default()).contains("43 41 4e 41 52 59")
        })
    }

    /// How long an effect may take that comes by itself. One that nothing prevents has to come, however busy the
    /// machine is.
    fn effect(&self) -> Duration {
        if self.cage == CageSetting::Off { PATIENCE } else { PREVENTED }
    }

    /// Whether something comes in on a listener or socket of the host.
    pub(crate) fn arrives(&self, fd: BorrowedFd<'_>) -> bool {
        let timeout = Timespec::try_from(self.effect()).unwrap();
        poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&timeout)).unwrap() > 0
    }

    /// Tells it to migrate, once an earlier migration is out of the way.
    pub(crate) fn migrate(&self, uri: &str) {
        let until = std::time::Instant::now() + self.effect();
        while !self.tell("migrate", json!({"uri": uri})) && std::time::Instant::now() < until {
            self.tell("migrate_cancel", json!({}));
        }
    }

    /// Whether a file appears. Commands that are done in the background are asked about until then.
    pub(crate) fn appears(&self, path: &Path) -> bool {
        let until = std::time::Instant::now() + self.effect();
        loop {
            if path.exists() {
                return true;
            }
            let running = self.client().status().is_ok_and(|status| status.ended.is_none());
            if std::time::Instant::now() > until || !running {
                return path.exists();
            }
        }
    }

    pub(crate) fn open(path: &Path) -> OwnedFd {
        std::fs::File::open(path).unwrap().into()
    }

    /// Grants a file for reading, as hot-plug does; the node on it.
    pub(crate) fn grant(&mut self, path: &Path) -> String {
        let (node, set) = (self.name(), self.counter + 1_000);
        let file = Self::open(path);
        assert!(self.tell_with("add-fd", json!({"fdset-id": set}), file.as_fd()));
        let name = format!("/dev/fdset/{set}");
        let options = json!({"driver": "file", "filename": name, "node-name": node, "read-only": true});
        assert!(self.tell("blockdev-add", options));
        node
    }
}
