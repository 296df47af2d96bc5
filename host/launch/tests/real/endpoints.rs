//! Character devices and sockets that go elsewhere than to a terminal.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use hostler_launch::{EndpointKind, EndpointSpec, Handle, LaunchErrorKind, Value};

use crate::support::{Domain, PATIENCE};

/// SeaBIOS writes its log to this port when a device listens there.
const DEBUG_PORT: i64 = 0x402;

/// A machine whose firmware logs to an endpoint.
fn domain_logging_to(kind: EndpointKind) -> Domain {
    let mut domain = Domain::new("pc");
    let spec = EndpointSpec { alias: "serial0".into(), kind };
    let backend = domain.handle(Handle::Endpoint(spec));
    domain.option("chardev", Value::mapping([("backend", backend), ("id", "chardebug".into())]));
    let device =
        [("driver", "isa-debugcon".into()), ("iobase", DEBUG_PORT.into()), ("chardev", "chardebug".into())];
    domain.option("device", Value::mapping::<&str>(device));
    domain
}

#[test]
fn file_is_written_through_its_descriptor() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a,b.log");
    std::fs::write(&path, "before\n").unwrap();
    let file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    let kind = EndpointKind::File { fd: Some(OwnedFd::from(file)), append: Some(true), path: path.clone() };
    let mut domain = domain_logging_to(kind);
    let client = domain.start();
    client.execute("cont", None, &[], PATIENCE).unwrap();
    // The firmware resets nothing and finds nothing to boot: it has logged by then.
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut watch = inotify(&path);
    while !std::fs::read_to_string(&path).unwrap().contains("SeaBIOS") {
        assert!(std::time::Instant::now() < deadline);
        let mut event = [0; 4096];
        assert_ne!(watch.read(&mut event).unwrap(), 0);
    }
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("before\n"));
}

/// Reading from it waits for the next change of the file.
pub(crate) fn inotify(path: &std::path::Path) -> std::fs::File {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    let watch = init(CreateFlags::CLOEXEC).unwrap();
    add_watch(&watch, path, WatchFlags::MODIFY).unwrap();
    watch.into()
}

/// A listener that takes nobody, with its queue full: who connects now waits.
fn full_listener(path: &std::path::Path) -> (OwnedFd, UnixStream) {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
    let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind(&listener, &SocketAddrUnix::new(path).unwrap()).unwrap();
    listen(&listener, 0).unwrap();
    (listener, UnixStream::connect(path).unwrap())
}

#[test]
fn far_end_that_takes_no_connection_ends_the_start_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("full.sock");
    let _full = full_listener(&path);
    let mut domain = domain_logging_to(EndpointKind::Unix { path, listen: false, reconnect: None });
    let error = domain.try_start_within(Duration::from_millis(50)).unwrap_err();
    assert_eq!((error.kind, error.option.as_str()), (LaunchErrorKind::TimedOut, "serial0"), "{error}");
    assert!(!domain.run.is_held().unwrap());
}

#[test]
fn listening_socket_is_bound_by_the_host() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("console.sock");
    let kind = EndpointKind::Unix { path: path.clone(), listen: true, reconnect: None };
    let mut domain = domain_logging_to(kind);
    let client = domain.start();
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // QEMU takes a connection when its loop turns; what is printed before that is nobody's.
    let deadline = std::time::Instant::now() + PATIENCE;
    let devices = || client.execute("query-chardev", None, &[], PATIENCE).unwrap().to_string();
    while devices().contains("disconnected:unix") {
        assert!(std::time::Instant::now() < deadline, "the connection is never taken");
    }
    client.execute("cont", None, &[], PATIENCE).unwrap();
    let mut seen = [0; 7];
    stream.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"SeaBIOS");
}

#[test]
fn connected_socket_is_opened_by_the_host() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("far.sock");
    let far = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut domain = domain_logging_to(EndpointKind::Unix { path, listen: false, reconnect: None });
    let client = domain.start();
    let (mut stream, _) = far.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    client.execute("cont", None, &[], PATIENCE).unwrap();
    let mut seen = [0; 7];
    stream.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"SeaBIOS");
}

#[test]
fn far_end_that_is_not_there_is_named_and_nothing_starts() {
    let kind = EndpointKind::Unix { path: "/nonexistent/far.sock".into(), listen: false, reconnect: None };
    let mut domain = domain_logging_to(kind);
    let error = domain.try_start().unwrap_err();
    assert_eq!((error.code(), error.option.as_str()), ("launch.io", "serial0"));
    assert!(!domain.run.is_held().unwrap());
}

#[test]
fn display_listens_in_the_domains_own_directory_also_the_second_time() {
    let mut domain = Domain::new("pc");
    for round in 0..2 {
        domain.handles = vec![Handle::Monitor, Handle::Socket("vnc.sock".into())];
        if round == 0 {
            domain.option("vnc", Value::mapping([("vnc", Value::Handle(1))]));
        }
        let client = domain.start();
        let mut stream = UnixStream::connect(domain.run.path().join("sockets/vnc.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"RFB ");
        client.end(false, PATIENCE).unwrap();
    }
}
