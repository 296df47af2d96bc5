//! The cage around a real hypervisor, seen from the host; and what happens where it cannot be built.

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use hostler_launch::{
    CageSetting, Ending, Handle, LaunchContext, LaunchErrorKind, OptionEntry, Plan, Posture, ProcessRecord,
    Role, ShimClient, Template, Value, check, launch, posture,
};
use hostler_state::RunRecord;
use rustix::process::geteuid;

use crate::endpoints::inotify;
use crate::support::{Domain, PATIENCE, context, image, shim_pid};

/// Set for the tests that are started again as somebody else.
const AGAIN: &str = "HOSTLER_TEST_AGAIN";

fn standing(client: &ShimClient) -> Posture {
    posture(client.status().unwrap().pid).unwrap()
}

fn assert_caged(posture: &Posture) {
    assert_eq!(posture.capabilities, 0);
    assert!(posture.no_new_privs && posture.filtered);
    assert_eq!(posture.private_namespaces, ["mnt", "pid", "net", "user", "ipc", "uts", "cgroup"]);
    assert!(posture.environment.len() <= 2, "{:?}", posture.environment);
    let names = ["dev", "etc", "lib", "lib64", "proc", "sockets", "usr"];
    assert!(posture.root.iter().all(|name| names.contains(&name.as_str())), "{:?}", posture.root);
}

/// Runs one test of this program as another user or somewhere else.
fn again(wrapper: &[&str], test: &str) -> std::process::Output {
    let (program, arguments) = wrapper.split_first().unwrap();
    let me = std::env::current_exe().unwrap();
    Command::new(program)
        .args(arguments)
        .arg(me)
        .args(["--exact", test, "--nocapture"])
        .env(AGAIN, "1")
        .output()
        .unwrap()
}

fn is_root(why: &str) -> bool {
    if !geteuid().is_root() {
        eprintln!("skipped: {why} needs root");
    }
    geteuid().is_root()
}

#[test]
fn hypervisor_holds_nothing_and_sees_nothing_and_is_a_user_of_its_own() {
    let (mut first, mut second) = (Domain::new("q35"), Domain::new("q35"));
    let path = first.path("disk.raw");
    std::fs::write(&path, [0; 4096]).unwrap();
    let disk = first.handle(image(&path, true));
    first.option("blockdev", node(disk, "d0"));
    let (one, two) = (first.start(), second.start());
    let (one_stands, two_stands) = (standing(&one), standing(&two));
    assert_caged(&one_stands);
    assert_caged(&two_stands);
    if geteuid().is_root() {
        assert_ne!(one_stands.uid, two_stands.uid);
        assert!(one_stands.uid > 900_000 && two_stands.uid > 900_000);
    }
    let named: Vec<_> = one_stands.descriptors.iter().filter(|(_, target)| target.starts_with('/')).collect();
    let (lock, disk) = (first.run.lock_path().display().to_string(), path.display().to_string());
    let granted = |target: &str| target == lock || target == disk || target == "/dev/null";
    assert!(named.iter().all(|(_, target)| granted(target) || target.starts_with("/memfd:")), "{named:?}");
    let record: ProcessRecord = first.run.read(RunRecord::Process).unwrap().unwrap();
    let report = record.cage.unwrap();
    assert_eq!((report.uid, report.host_network), (one_stands.uid, false));
    assert!(report.landlock_abi >= 1);
    assert_eq!(one.end(true, PATIENCE).unwrap(), Ending::Exited(0));
}

fn node(handle: Value, name: &str) -> Value {
    let auto = ("auto-read-only", true.into());
    let file =
        Value::mapping([("driver", "file".into()), ("filename", handle), auto, ("node-name", "f0".into())]);
    let pairs =
        [("driver", "raw".into()), ("read-only", false.into()), ("file", file), ("node-name", name.into())];
    Value::mapping(pairs)
}

#[test]
fn uncaged_start_is_recorded_as_what_it_is() {
    let mut domain = Domain::new("none");
    let checked = check(&domain.plan, &domain.handles, &crate::support::qemu()).unwrap();
    let open = LaunchContext { cage: CageSetting::Off, ..context() };
    let client =
        launch(&domain.run, &open, checked, vec![], std::mem::take(&mut domain.handles), PATIENCE).unwrap();
    let stands = standing(&client);
    assert_eq!(stands.private_namespaces, Vec::<&str>::new());
    assert_eq!(stands.uid, geteuid().as_raw());
    let record: ProcessRecord = domain.run.read(RunRecord::Process).unwrap().unwrap();
    assert_eq!(record.cage, None);
}

#[test]
fn user_network_keeps_the_hosts_and_nothing_else_of_it() {
    let mut domain = Domain::new("q35");
    domain.option("netdev", Value::mapping::<&str>([("type", "user".into()), ("id", "n0".into())]));
    let client = domain.start();
    let stands = standing(&client);
    assert_eq!(stands.private_namespaces, ["mnt", "pid", "user", "ipc", "uts", "cgroup"]);
    let record: ProcessRecord = domain.run.read(RunRecord::Process).unwrap().unwrap();
    assert!(record.cage.unwrap().host_network);
    client.end(true, PATIENCE).unwrap();
}

/// The same bytes are found under the path that the program is given, whoever may read the file itself.
#[test]
fn file_that_is_opened_by_path_is_the_one_that_was_checked() {
    for mode in [0o644, 0o600] {
        let mut domain = Domain::new("pc");
        let path = domain.path("firmware.rom");
        let bytes: Vec<u8> = (0..64 << 10).map(|at: u32| at.to_le_bytes()[1]).collect();
        std::fs::write(&path, &bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        // What has its name now is another file.
        std::fs::rename(&path, domain.path("aside")).unwrap();
        std::fs::write(&path, "another").unwrap();
        let (fd, role, format) = (Some(file.into()), Role::Code, "raw");
        let code = domain.handle(Handle::Descriptor {
            fd,
            writable: false,
            role,
            format,
            path: path.clone(),
            data_apart: false,
        });
        domain.option("bios", code);
        let client = domain.start();
        let pid = client.status().unwrap().pid;
        let inside = format!("/proc/{pid}/root/proc/self/fd");
        let entry = std::fs::read_dir(&inside).unwrap().next().unwrap().unwrap().path();
        assert_eq!(std::fs::read(entry).unwrap(), bytes, "mode {mode:o}");
        client.end(true, PATIENCE).unwrap();
    }
}

fn firmware(domain: &mut Domain) -> Option<std::path::PathBuf> {
    let code = ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd"];
    let code = code.into_iter().map(Path::new).find(|path| path.exists())?;
    let store = domain.path("vars.fd");
    let template = code.to_str().unwrap().replace("CODE", "VARS");
    std::fs::copy(template, &store).unwrap();
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o600)).unwrap();
    let handle = |path: &Path, writable, role| {
        let file = std::fs::OpenOptions::new().read(true).write(writable).open(path).unwrap();
        Handle::Descriptor {
            fd: Some(file.into()),
            writable,
            role,
            format: "raw",
            path: path.to_owned(),
            data_apart: false,
        }
    };
    for (name, path, writable, role) in
        [("pflash0", code, false, Role::Code), ("pflash1", store.as_path(), true, Role::VariableStore)]
    {
        let file = domain.handle(handle(path, writable, role));
        let mut value = node(file, name);
        if let Value::Mapping(pairs) = &mut value {
            pairs.retain(|(key, _)| key != "read-only");
            pairs.push(("read-only".into(), (!writable).into()));
            for (key, value) in pairs {
                if let (true, Value::Mapping(file)) = (key == "file", value) {
                    file.retain(|(key, _)| key != "node-name");
                    file.push(("node-name".into(), format!("{name}-file").as_str().into()));
                }
            }
        }
        domain.option("blockdev", value);
    }
    let machine = domain.plan.options.iter_mut().find(|option| option.name == "machine").unwrap();
    let pairs = [("type", "q35".into()), ("pflash0", "pflash0".into()), ("pflash1", "pflash1".into())];
    machine.value = Some(Value::mapping::<&str>(pairs));
    Some(store)
}

#[test]
fn uefi_guest_writes_its_variable_store() {
    let mut domain = Domain::new("q35");
    let Some(store) = firmware(&mut domain) else {
        eprintln!("skipped: no OVMF is installed");
        return;
    };
    let before = std::fs::read(&store).unwrap();
    let client = domain.start();
    let mut watch = inotify(&store);
    client.execute("cont", None, &[], PATIENCE).unwrap();
    while std::fs::read(&store).unwrap() == before {
        assert_ne!(watch.read(&mut [0; 4096]).unwrap(), 0);
    }
    assert_eq!(std::fs::metadata(&store).unwrap().uid(), geteuid().as_raw(), "it was not given away");
    client.end(false, PATIENCE).unwrap();
}

#[test]
fn ordinary_user_is_caged_through_a_user_namespace() {
    if !is_root("becoming somebody else") || Command::new("setpriv").arg("--version").output().is_err() {
        return;
    }
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let output = again(&nobody, "cage::launched_by_an_ordinary_user");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("caged as 65534"), "{output:?}");
}

/// Not a test of its own: what the test above starts as nobody.
#[test]
fn launched_by_an_ordinary_user() {
    if std::env::var_os(AGAIN).is_none() {
        return;
    }
    let mut domain = Domain::new("q35");
    domain.handles.push(Handle::Socket("vnc.sock".into()));
    domain.option("vnc", Value::mapping([("vnc", Value::Handle(1))]));
    let client = domain.start();
    let stands = standing(&client);
    assert_caged(&stands);
    std::os::unix::net::UnixStream::connect(domain.run.path().join("sockets/vnc.sock")).unwrap();
    crate::support::kill(shim_pid(&domain.run));
    assert!(domain.run.is_held().unwrap());
    hostler_launch::end_orphan(&domain.run).unwrap();
    assert!(!domain.run.is_held().unwrap());
    println!("caged as {}", stands.uid);
}

#[test]
fn root_of_a_container_without_users_to_give_is_refused_with_the_wall_and_the_remedy() {
    if !is_root("making a container's root") {
        return;
    }
    let output = again(&["unshare", "--user", "--map-root-user"], "cage::launched_without_users");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("refused"), "{output:?}");
}

/// Not a test of its own: what the test above starts where 900001 is nobody's number.
#[test]
fn launched_without_users() {
    if std::env::var_os(AGAIN).is_none() {
        return;
    }
    let mut domain = Domain::new("none");
    let error = domain.try_start().unwrap_err();
    assert_eq!(error.kind, LaunchErrorKind::CageFailed, "{error}");
    assert!(error.to_string().contains("identity"), "{error}");
    assert!(error.hints.iter().any(|hint| hint.contains("--cage=off")), "{:?}", error.hints);
    assert!(!domain.run.is_held().unwrap(), "nothing was started");
    println!("refused");
}

/// A shell that uses nothing but itself: what it finds is what a program taken over would.
const SHELL: &str = r#"{
  "name": "shell", "programs": ["/bin/bash"], "environment": {"fixed": {"PATH": "/usr/bin:/bin"}},
  "writing": {"option-prefix": "-", "fd-path": "x"},
  CAGE
  "options": {"c": {"syntax": "text", "shape": {"text": {"max": 4096}}}}
}"#;

fn shell(cage: &str, script: &str) -> (Domain, Result<ShimClient, hostler_launch::LaunchError>) {
    let domain = Domain::new("none");
    let options = vec![OptionEntry::new("c", script)];
    let plan = Plan { template: "shell".into(), options, environment: vec![], reactions: vec![] };
    let template = Arc::new(Template::parse(&SHELL.replace("CAGE", cage), "test").unwrap());
    let checked = check(&plan, &[], &template).unwrap();
    let started = launch(&domain.run, &context(), checked, vec![], vec![], PATIENCE);
    (domain, started)
}

#[test]
fn another_program_finds_its_own_files_and_can_change_nothing() {
    let cage = r#""cage": {"libraries": ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64",
        "/lib/aarch64-linux-gnu"], "devices": [{"path": "/dev/null"}]},"#;
    let script = "[[ -e /etc || -e /proc || -e /home || -e /bin/sh || -e /dev/zero ]] && exit 3
        { echo x > /x || echo x > /usr/x || echo x > /dev/x; } 2> /dev/null && exit 4
        { echo x > /dev/tcp/127.0.0.1/22; } 2> /dev/null && exit 5
        [[ $$ == 1 && $HOSTNAME == cage ]] || exit 6
        { kill -0 2; } 2> /dev/null && exit 8
        exit 7";
    let (_domain, started) = shell(cage, script);
    assert_eq!(started.unwrap().wait(PATIENCE).unwrap(), Some(Ending::Exited(7)));
}

#[test]
fn template_that_declares_nothing_is_not_started_and_says_why() {
    let (domain, started) = shell("", "exit 0");
    let error = started.unwrap_err();
    assert_eq!(error.code(), "launch.cage-failed");
    assert!(error.to_string().contains("'shell'"), "{error}");
    assert!(!domain.run.is_held().unwrap());
}
