//! Displays: the host listens, and a hypervisor that has no network serves.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::workbench::{Workbench, rom_domain};

/// How long a display may take to greet.
const PATIENCE: Duration = Duration::from_secs(30);

fn with_display(bench: &Workbench, name: &str, graphics: &str) {
    let devices = format!("<memballoon model='none'/>{graphics}<video><model type='vga'/></video>");
    bench.define(&rom_domain(name, "qemu").replace("<memballoon model='none'/>", &devices));
}

/// Where the only display of a domain is reached.
fn uri(bench: &Workbench, name: &str) -> String {
    bench.json(&["display", name])["displays"][0]["uri"].as_str().unwrap().to_owned()
}

fn greeting(mut stream: impl std::io::Read) -> String {
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).unwrap();
    String::from_utf8_lossy(&greeting).into_owned()
}

fn greets_at(uri: &str) -> bool {
    if let Some(path) = uri.strip_prefix("vnc+unix://") {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        return greeting(stream) == "RFB ";
    }
    let stream = TcpStream::connect(uri.strip_prefix("vnc://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    greeting(stream) == "RFB "
}

#[test]
fn displays_are_reached_while_their_hypervisors_have_no_network() {
    let bench = Workbench::new();
    with_display(&bench, "one", "<graphics type='vnc' port='-1' autoport='yes'/>");
    with_display(
        &bench,
        "two",
        "<graphics type='vnc'><listen type='address' address='127.0.0.1'/></graphics>",
    );
    let off = bench.run(&["display", "one"]);
    assert!(off.stderr.contains("domain.off"), "{}", off.stderr);
    bench.ok(&["start", "one"]);
    bench.ok(&["start", "two"]);
    let (one, two) = (uri(&bench, "one"), uri(&bench, "two"));
    assert_ne!(one, two);
    assert!(greets_at(&one) && greets_at(&two), "{one} {two}");
    assert_eq!(bench.json(&["show", "one"])["confinement"]["cage"]["host_network"], false);
    // What runs is told in its document, and what is stored leaves the choice to the next start.
    let port = one.rsplit(':').next().unwrap();
    assert!(bench.ok(&["xml", "one"]).contains(&format!("port='{port}'")));
    assert!(bench.ok(&["xml", "--stored", "one"]).contains("port='-1'"));
    bench.ok(&["destroy", "one"]);
    assert!(TcpStream::connect(one.strip_prefix("vnc://").unwrap()).is_err());
    // Somebody else has the port by now: the next start takes another.
    let _somebody = TcpListener::bind(one.strip_prefix("vnc://").unwrap()).unwrap();
    bench.ok(&["start", "one"]);
    assert_ne!(uri(&bench, "one"), one);
    assert!(greets_at(&uri(&bench, "one")) && greets_at(&two));
}

#[test]
fn display_on_a_socket_is_there_again_after_each_start() {
    let bench = Workbench::new();
    with_display(&bench, "own", "<graphics type='vnc'><listen type='socket'/></graphics>");
    let named = bench.path("named.sock");
    with_display(&bench, "named", &format!("<graphics type='vnc' socket='{}'/>", named.display()));
    for _ in 0..2 {
        for name in ["own", "named"] {
            bench.ok(&["start", name]);
            assert!(greets_at(&uri(&bench, name)), "{name}");
            bench.ok(&["destroy", name]);
        }
    }
    assert!(named.exists());
}

#[test]
fn display_of_a_guest_that_was_saved_is_reached_again() {
    let bench = Workbench::new();
    with_display(&bench, "vm", "<graphics type='vnc'/>");
    bench.ok(&["start", "vm"]);
    bench.ok(&["save", "vm"]);
    bench.ok(&["start", "vm"]);
    assert!(greets_at(&uri(&bench, "vm")));
}

#[test]
fn display_that_cannot_be_had_is_refused_and_nothing_starts() {
    let bench = Workbench::new();
    let somebody = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = somebody.local_addr().unwrap().port();
    for (graphics, code, hint) in [
        (format!("<graphics type='vnc' port='{taken}'/>"), "display.port", "autoport='yes'"),
        ("<graphics type='vnc' listen='0.0.0.0'/>".to_owned(), "display.address", "ssh -L"),
        ("<graphics type='vnc' websocket='-1'/>".to_owned(), "qemu.not-offered", "another port"),
        ("<graphics type='vnc' socket='/proc/no/such'/>".to_owned(), "display.socket", "where it is to be"),
    ] {
        with_display(&bench, "vm", &graphics);
        let refused = bench.run(&["start", "vm"]);
        let told = refused.stderr;
        assert!(refused.status != 0 && told.contains(code) && told.contains(hint), "{graphics}: {told}");
        assert_eq!(bench.state_of("vm").as_deref(), Some("off"), "{graphics}");
        bench.nothing_runs(&graphics);
    }
    with_display(&bench, "vm", "<graphics type='vnc'><listen type='none'/></graphics>");
    bench.ok(&["start", "vm"]);
    assert!(bench.json(&["display", "vm"])["displays"][0]["uri"].is_null());
}
