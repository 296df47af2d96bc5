//! The host interfaces as a driver meets them, called without a driver between.

mod containers;
mod ending;
mod firmware;
mod forged;
mod hypervisor;
mod network;
mod next;
mod secret;
mod volumes;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hostler_grant::{Manifest, Policy, Signatures, Tenant, grant};
use hostler_launch::{EndpointKind, Handle as LaunchHandle, Role, TemplateSet, Value};
use hostler_network::Attachments;
use hostler_state::{Definition, StateDir, Uuid};
use hostler_storage::Translations;
use wasmtime::component::Resource;

use super::domain::{Domain, Subject};
use super::log::LogBudget;
use crate::bindings::wit::domain::{BootFile, HostDomain};
use crate::bindings::wit::endpoint::HostEndpoint;
use crate::bindings::wit::process::{Ending, HostProcess, LaunchPlan, OptionEntry};
use crate::bindings::wit::storage::{Below, HostChain};
use crate::bindings::wit::types::{Error, Problem};
use crate::bindings::wit::value::{Handle, Node, Tree};
use crate::call::{CallState, ContractViolation};
use crate::context::{DomainContext, Purpose, StateAccess};
use crate::driver::Shared;
use crate::error::DriverIdentity;
use crate::limits::{self, InstanceLimits, Limits};
use crate::operation::Operation;
use crate::rates::TenantRates;
use crate::roots::Roots;
use crate::secrets::NoSecrets;

/// One call on one domain.
struct Scene {
    directory: tempfile::TempDir,
    state: CallState,
    rep: u32,
}

impl Scene {
    /// A domain with these devices, given to the QEMU driver (or to one that has no grants).
    fn new(purpose: Purpose, driver: &str, devices: &str) -> Self {
        let shim = PathBuf::from("/nonexistent/hostler-shim");
        Self::made(driver, "<kernel>HERE/kernel</kernel>", devices, |context| DomainContext {
            purpose,
            shim,
            ..context
        })
    }

    /// The same, with more about what boots, and a context of its own.
    fn made(
        driver: &str,
        boot: &str,
        devices: &str,
        adapt: impl FnOnce(DomainContext) -> DomainContext,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path().display().to_string();
        let uuid = Uuid::from_u128(9);
        let os = format!("<os><type arch='x86_64' machine='q35'>hvm</type>{boot}</os>");
        let xml = format!(
            "<domain type='kvm'><name>vm</name><memory unit='MiB'>64</memory>{os}<devices>{devices}</devices></domain>"
        );
        let xml = xml.replace("HERE", &here);
        let owner = StateDir::open_owner(&directory.path().join("state"), Duration::ZERO).unwrap();
        let definition = Definition {
            uuid,
            name: "vm".into(),
            xml: xml.clone(),
            driver: driver.into(),
            persistent: true,
            generation: 1,
            created_unix_ms: 0,
            changed_unix_ms: 0,
        };
        owner.put_definition(&definition).unwrap();
        let context = DomainContext {
            uuid,
            name: "vm".into(),
            xml,
            numeric_id: 3,
            purpose: Purpose::Operate,
            state: StateAccess::Owner(Arc::new(owner)),
            roots: Roots::of_operator(Vec::new()),
            volumes: Translations::default(),
            networks: Attachments::default(),
            secrets: Arc::new(NoSecrets),
            templates: Arc::new(TemplateSet::builtin().unwrap()),
            shim: PathBuf::new(),
            cage: hostler_launch::CageSetting::Require,
            firmware: hostler_firmware::SearchPath::system(),
            transfer: None,
            references: Vec::new(),
            next: None,
        };
        let subject = Arc::new(Subject::new(adapt(context)));
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut state = CallState::new(
            shared(driver),
            Some(Arc::clone(&subject)),
            Operation::Start,
            InstanceLimits::default(),
            deadline,
        );
        let rep = state.table.push(Domain(subject)).unwrap().rep();
        Self { directory, state, rep }
    }

    fn me(&self) -> Resource<Domain> {
        Resource::new_borrow(self.rep)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn qemu_img(&self, arguments: &[&str]) {
        let status =
            Command::new("qemu-img").args(arguments).current_dir(self.directory.path()).output().unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    }
}

fn shared(driver: &str) -> Arc<Shared> {
    let wanted = r#"["storage","firmware","endpoint","process:qemu-system-x86_64","qmp","network","secret"]"#;
    let text = format!(
        r#"{{"name":"{driver}","version":"0.1.0","contract":"0.1.0","domain-types":["x"],"grants":{wanted}}}"#
    );
    let manifest = Manifest::parse(text.as_bytes()).unwrap();
    let granted = grant(
        &manifest,
        "sha256:00",
        &Signatures::default(),
        &Policy::built_in().unwrap(),
        &Tenant::default(),
    )
    .unwrap();
    let identity =
        DriverIdentity { name: driver.into(), version: "0.1.0".into(), digest: "sha256:00".into() };
    let limits = Limits::default();
    let (log, rates) = (Mutex::new(LogBudget::new(&limits)), Arc::new(TenantRates::new(&limits)));
    Arc::new(Shared { identity, manifest, granted, log, rates, activity: Mutex::default() })
}

fn plan(template: &str, nodes: Vec<Node>) -> LaunchPlan {
    let option = OptionEntry { name: "name".into(), value: Some(Tree { nodes }) };
    LaunchPlan { template: template.into(), options: vec![option], environment: vec![], reactions: vec![] }
}

fn denied(error: Error) -> Problem {
    match error {
        Error::Denied(problem) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_not_granted_is_denied_with_the_remedy() {
    let mut scene = Scene::new(Purpose::Operate, "test", "");
    let me = scene.me();
    let launch = scene.state.launch(me, plan("qemu-system-x86_64", vec![Node::Null]), vec![]).await.unwrap();
    let problem = denied(launch.err().unwrap());
    assert_eq!(problem.code, "grant.denied");
    assert!(problem.hints[0].contains("process:qemu-system-x86_64"), "{problem:?}");
    let me = scene.me();
    denied(scene.state.disk(me, "vda".into()).await.unwrap().err().unwrap());
    let me = scene.me();
    denied(scene.state.monitor(me).await.unwrap().err().unwrap());
    let me = scene.me();
    denied(scene.state.endpoint(me, "serial0".into()).await.unwrap().err().unwrap());
}

#[tokio::test]
async fn template_that_was_not_granted_is_denied() {
    let mut scene = Scene::new(Purpose::Operate, "qemu", "");
    let me = scene.me();
    let launch = scene.state.launch(me, plan("bash", vec![Node::Null]), vec![]).await.unwrap();
    denied(launch.err().unwrap());
}

#[tokio::test]
async fn tree_against_the_contract_traps() {
    let mut scene = Scene::new(Purpose::Operate, "qemu", "");
    for nodes in [vec![], vec![Node::Sequence(vec![0])], vec![Node::Handle(0)], vec![Node::Null, Node::Null]]
    {
        let me = scene.me();
        let error = scene.state.launch(me, plan("qemu-system-x86_64", nodes), vec![]).await.err().unwrap();
        assert!(error.downcast_ref::<ContractViolation>().is_some(), "{error:?}");
        let sorted = crate::fault::of_call(error, &scene.state);
        assert_eq!(sorted.kind, crate::RuntimeErrorKind::Trap);
        assert!(sorted.message().contains("broke the contract"), "{sorted}");
    }
}

#[tokio::test]
async fn handles_beyond_the_limit_trap_before_any_descriptor_is_taken() {
    let mut scene = Scene::new(Purpose::Operate, "qemu", "");
    let me = scene.me();
    let many = (0..=limits::HANDLES).map(|_| Handle::Monitor).collect();
    let error =
        scene.state.launch(me, plan("qemu-system-x86_64", vec![Node::Null]), many).await.err().unwrap();
    assert!(error.downcast_ref::<ContractViolation>().is_some());
}

#[tokio::test]
async fn too_many_handles_are_a_matter_of_memory() {
    let mut scene = Scene::new(Purpose::Describe, "qemu", "<serial type='pty'/>");
    for _ in 1..limits::RESOURCES {
        let me = scene.me();
        scene.state.endpoint(me, "serial0".into()).await.unwrap().unwrap();
    }
    let me = scene.me();
    let error = scene.state.endpoint(me, "serial0".into()).await.err().unwrap();
    assert_eq!(crate::fault::of_call(error, &scene.state).kind, crate::RuntimeErrorKind::Memory);
}

const DISK: &str = "<disk type='file'><driver name='qemu' type='qcow2'/><source file='HERE/top.qcow2'/>\
                    <target dev='vda' bus='virtio'/></disk>";

#[tokio::test]
async fn chain_is_resolved_and_its_images_are_open_with_the_right_mode() {
    let mut scene = Scene::new(Purpose::Operate, "qemu", DISK);
    scene.qemu_img(&["create", "-q", "-f", "qcow2", "base.qcow2", "1M"]);
    scene.qemu_img(&["create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "top.qcow2"]);
    let me = scene.me();
    let chain = scene.state.disk(me, "vda".into()).await.unwrap().unwrap();
    let layers = scene.state.layers(Resource::new_borrow(chain.rep())).await.unwrap();
    let shape: Vec<_> =
        layers.iter().map(|layer| (layer.format.as_str(), layer.virtual_size, layer.read_only)).collect();
    assert_eq!(shape, [("qcow2", 1 << 20, false), ("qcow2", 1 << 20, true)]);
    assert!(matches!((layers[0].below, layers[1].below), (Below::Layer(1), Below::Nothing)));
    let mut images = Vec::new();
    for index in 0..2 {
        let image = scene.state.image(Resource::new_borrow(chain.rep()), index).await.unwrap().unwrap();
        images.push(Handle::Image(Resource::new_borrow(image.rep())));
    }
    let handles = scene.state.handles(&images).unwrap();
    for (handle, (name, expected)) in handles.iter().zip([("top.qcow2", true), ("base.qcow2", false)]) {
        let LaunchHandle::Descriptor { fd: Some(fd), writable, role: Role::Image, path, .. } = handle else {
            panic!("{handle:?}")
        };
        assert_eq!((*writable, path), (expected, &scene.path(name)));
        let mode = rustix::fs::fcntl_getfl(fd).unwrap();
        assert_eq!(mode.contains(rustix::fs::OFlags::RDWR), expected);
        assert!(!mode.contains(rustix::fs::OFlags::NONBLOCK));
    }
    let missing = scene.state.image(chain, 2).await.unwrap().err().unwrap();
    assert!(matches!(missing, Error::NotFound(_)));
}

#[tokio::test]
async fn image_whose_data_is_in_another_file_says_so_to_the_launch() {
    let mut scene = Scene::new(Purpose::Operate, "qemu", DISK);
    scene.qemu_img(&["create", "-q", "-f", "qcow2", "-o", "data_file=data.raw", "top.qcow2", "1M"]);
    let me = scene.me();
    let chain = scene.state.disk(me, "vda".into()).await.unwrap().unwrap();
    let layers = scene.state.layers(Resource::new_borrow(chain.rep())).await.unwrap();
    assert_eq!((layers.len(), layers[0].data_file), (2, Some(1)));
    let top = scene.state.image(Resource::new_borrow(chain.rep()), 0).await.unwrap().unwrap();
    let data = scene.state.image(chain, 1).await.unwrap().unwrap();
    let handles = scene.state.handles(&[Handle::Image(top), Handle::Image(data)]).unwrap();
    let apart: Vec<_> = handles.iter().map(LaunchHandle::has_data_apart).collect();
    assert_eq!(apart, [true, false]);
}

#[tokio::test]
async fn refused_chain_names_disk_layer_and_remedy() {
    let mut scene = Scene::new(Purpose::Operate, "qemu", DISK);
    scene.qemu_img(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-u",
        "-b",
        "/etc/passwd",
        "-F",
        "raw",
        "top.qcow2",
        "1M",
    ]);
    let me = scene.me();
    let problem = denied(scene.state.disk(me, "vda".into()).await.unwrap().err().unwrap());
    assert_eq!(problem.code, "image.reference-denied");
    assert!(problem.details.iter().any(|fact| fact.key == "disk" && fact.value == "vda"), "{problem:?}");
    assert!(!problem.hints.is_empty());
}

#[tokio::test]
async fn link_is_not_followed_to_an_image() {
    let mut scene = Scene::new(Purpose::Operate, "qemu", DISK);
    std::os::unix::fs::symlink("/etc/passwd", scene.path("top.qcow2")).unwrap();
    let me = scene.me();
    let error = scene.state.disk(me, "vda".into()).await.unwrap().err().unwrap();
    assert!(!matches!(error, Error::Host(_)), "{error:?}");
}

#[tokio::test]
async fn description_opens_nothing_and_records_the_launch() {
    let devices = format!("{DISK}<serial type='file'><source path='HERE/serial.log'/></serial>");
    let mut scene = Scene::new(Purpose::Describe, "qemu", &devices);
    let me = scene.me();
    let chain = scene.state.disk(me, "vda".into()).await.unwrap().unwrap();
    let layers = scene.state.layers(Resource::new_borrow(chain.rep())).await.unwrap();
    assert!(matches!(layers[0].below, Below::Unexamined));
    let image = scene.state.image(chain, 0).await.unwrap().unwrap();
    let me = scene.me();
    let serial = scene.state.endpoint(me, "serial0".into()).await.unwrap().unwrap();
    assert!(!scene.path("serial.log").exists());
    let handles = vec![Handle::Image(image), Handle::Endpoint(serial), Handle::Monitor];
    let me = scene.me();
    let process = scene
        .state
        .launch(me, plan("qemu-system-x86_64", vec![Node::Handle(0)]), handles)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(scene.state.ending(process).await.unwrap(), Some(Ending::Unknown)));
    let recorded = scene.state.recorded.as_ref().unwrap();
    assert_eq!(recorded.plan.options[0].value, Some(Value::Handle(0)));
    let LaunchHandle::Descriptor { fd: None, path, .. } = &recorded.handles[0] else {
        panic!("{recorded:?}")
    };
    assert_eq!(path, &scene.path("top.qcow2"));
    let me = scene.me();
    let twice = scene.state.launch(me, plan("qemu-system-x86_64", vec![Node::Null]), vec![]).await;
    assert!(twice.err().unwrap().downcast_ref::<ContractViolation>().is_some());
}

#[tokio::test]
async fn endpoint_is_found_by_alias_and_the_first_console_is_the_serial_port() {
    let devices = "<serial type='file'><source path='HERE/serial.log'/></serial>\
                   <console type='file'><target type='serial' port='0'/><source path='HERE/serial.log'/></console>\
                   <console type='pty'><target type='virtio'/></console>";
    let mut scene = Scene::new(Purpose::Operate, "qemu", devices);
    let me = scene.me();
    let console = scene.state.endpoint(me, "console0".into()).await.unwrap().unwrap();
    let facts = HostEndpoint::facts(&mut scene.state, Resource::new_borrow(console.rep())).await;
    let kind = facts.unwrap().into_iter().find(|fact| fact.key == "kind").unwrap().value;
    assert_eq!(kind, "file");
    let handles = scene.state.handles(&[Handle::Endpoint(console)]).unwrap();
    let LaunchHandle::Endpoint(spec) = &handles[0] else { panic!("{handles:?}") };
    assert!(matches!(&spec.kind, EndpointKind::File { fd: Some(_), .. }));
    for (alias, found) in
        [("console1", true), ("serial0", true), ("serial1", false), ("serial", false), ("x", false)]
    {
        let me = scene.me();
        assert_eq!(scene.state.endpoint(me, alias.into()).await.unwrap().is_ok(), found, "{alias}");
    }
}

#[tokio::test]
async fn boot_file_is_opened_for_reading_and_a_missing_one_is_named() {
    let mut scene = Scene::new(Purpose::Operate, "qemu", "");
    let me = scene.me();
    let missing = scene.state.boot_file(me, BootFile::Kernel).await.unwrap().err().unwrap();
    assert!(matches!(missing, Error::NotFound(problem) if problem.message.contains("/kernel")));
    std::fs::write(scene.path("kernel"), "k").unwrap();
    let me = scene.me();
    let file = scene.state.boot_file(me, BootFile::Kernel).await.unwrap().unwrap().unwrap();
    let handles = scene.state.handles(&[Handle::File(file)]).unwrap();
    assert!(matches!(
        &handles[0],
        LaunchHandle::Descriptor { fd: Some(_), writable: false, role: Role::File, .. }
    ));
    let me = scene.me();
    assert!(scene.state.boot_file(me, BootFile::InitialRamDisk).await.unwrap().unwrap().is_none());
}

#[tokio::test]
async fn domain_that_is_off_has_no_process_and_no_monitor() {
    let mut scene = Scene::new(Purpose::Operate, "qemu", "");
    let me = scene.me();
    assert!(scene.state.process(me).await.unwrap().is_none());
    let me = scene.me();
    let error = scene.state.monitor(me).await.unwrap().err().unwrap();
    assert!(matches!(error, Error::Conflict(problem) if problem.code == "domain.off"));
}

#[tokio::test]
async fn events_are_words_and_limited_in_number() {
    let mut scene = Scene::new(Purpose::Operate, "qemu", "");
    let me = scene.me();
    let error = scene.state.emit(me, "Not A Word".into(), vec![]).await.err().unwrap();
    assert!(error.downcast_ref::<ContractViolation>().is_some());
    for _ in 0..limits::EVENTS + 10 {
        let me = scene.me();
        scene.state.emit(me, "tray-moved".into(), vec![]).await.unwrap();
    }
    let log = hostler_state::EventLog::at(Path::new(&scene.path("state")));
    assert_eq!(log.read_since(0).unwrap().events.len(), limits::EVENTS);
}
