//! Commands, pipelining, events and their limits.

use std::time::Duration;

use hostler_launch::{QmpErrorKind, ShimErrorKind};
use serde_json::json;

use crate::support::{Domain, PATIENCE};

#[test]
fn commands_answer_and_refusals_keep_their_class() {
    let mut domain = Domain::new("none");
    let client = domain.start();
    let status = client.execute("query-status", None, &[], PATIENCE).unwrap();
    assert_eq!(status["status"], "prelaunch");
    let name = client.execute("query-name", None, &[], PATIENCE).unwrap();
    assert_eq!(name["name"], "a,b=c");
    let refused = client.execute("no-such", None, &[], PATIENCE).unwrap_err();
    assert_eq!(refused.kind, QmpErrorKind::Hypervisor { class: "CommandNotFound".into() });
    assert_eq!(refused.code(), "qmp.hypervisor");
    assert_eq!(client.status().unwrap().ended, None);
}

#[test]
fn pipelined_commands_come_back_in_order_and_large_answers_whole() {
    let mut domain = Domain::new("none");
    let client = domain.start();
    let mut commands: Vec<_> = (0..100).map(|_| ("query-uuid".to_owned(), None)).collect();
    commands.insert(50, ("qom-get".into(), Some(json!({"path": "/machine", "property": "nothing"}))));
    commands.push(("query-qmp-schema".into(), None));
    let results = client.execute_all(commands, PATIENCE).unwrap();
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
    assert!(results[50].is_err());
    assert!(results[101].as_ref().unwrap().as_array().unwrap().len() > 1_000);
}

#[test]
fn events_are_waited_for_by_name_from_a_cursor() {
    let mut domain = Domain::new("q35");
    let client = domain.start();
    let before = client.cursor().unwrap();
    client.execute("cont", None, &[], PATIENCE).unwrap();
    let resume = client.wait_event(&["RESUME".into()], before, PATIENCE).unwrap().unwrap();
    assert!(resume.cursor > before && resume.name == "RESUME");
    let waiting = client.clone();
    let waiter = std::thread::spawn(move || waiting.wait_event(&["STOP".into()], resume.cursor, PATIENCE));
    client.execute("stop", None, &[], PATIENCE).unwrap();
    assert_eq!(waiter.join().unwrap().unwrap().unwrap().name, "STOP");
    let now = client.cursor().unwrap();
    assert_eq!(client.wait_event(&[], now, Duration::from_millis(20)).unwrap(), None);
    assert_eq!(client.events_since(before).unwrap().len() as u64, now - before);
}

#[test]
fn events_beyond_the_ring_are_reported_lost() {
    let mut domain = Domain::new("q35");
    let client = domain.start();
    for _ in 0..6 {
        let round =
            (0..200).map(|at| ((if at % 2 == 0 { "cont" } else { "stop" }).to_owned(), None)).collect();
        assert!(client.execute_all(round, PATIENCE).unwrap().iter().all(Result::is_ok));
    }
    assert!(client.cursor().unwrap() > 1_100);
    assert_eq!(client.wait_event(&[], 0, PATIENCE).unwrap_err().kind, ShimErrorKind::EventsLost);
}

#[test]
fn many_clients_are_served_at_once() {
    let mut domain = Domain::new("none");
    let client = domain.start();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    client.execute("query-status", None, &[], PATIENCE).unwrap();
                }
            });
        }
    });
}

#[test]
fn client_that_breaks_the_protocol_only_hurts_itself() {
    use std::io::{Read as _, Write as _};
    let mut domain = Domain::new("none");
    let client = domain.start();
    for garbage in
        [&b"\n"[..], b"{}\n", b"{\"id\":1,\"call\":\"no\"}\n", b"{\"id\":1,\"call\":{\"status\":null}}\nx\n"]
    {
        let mut stream = std::os::unix::net::UnixStream::connect(domain.run.socket_path()).unwrap();
        stream.write_all(garbage).unwrap();
        let mut answer = Vec::new();
        // The shim closes: either at once or with what it had to say.
        stream.read_to_end(&mut answer).ok();
    }
    let _half =
        std::os::unix::net::UnixStream::connect(domain.run.socket_path()).unwrap().write(b"{\"id\":1");
    assert!(client.execute("query-status", None, &[], PATIENCE).is_ok());
}

/// An answer of more than 100 KB each: together more than a driver could take.
#[test]
fn answers_of_many_commands_are_bounded_together() {
    let mut domain = Domain::new("none");
    let client = domain.start();
    let many = vec![("query-qmp-schema".to_owned(), None); 256];
    let error = client.execute_all(many, PATIENCE).unwrap_err();
    assert!(error.to_string().contains("together"), "{error}");
    assert!(client.execute("query-status", None, &[], PATIENCE).is_ok());
}
