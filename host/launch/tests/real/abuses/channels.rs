//! Abuses that reach for programs and the network: start one, connect out, listen.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::Abuse;
use super::scene::Scene;
use crate::support::PATIENCE;

/// Time to be let in by a port that listens.
const CONNECT: Duration = Duration::from_secs(1);

pub(super) const ABUSES: &[Abuse] = &[
    ("run a command as the target of a migration", |scene| {
        let path = scene.trace();
        scene.migrate(&format!("exec:touch {}", path.display()));
        scene.appears(&path)
    }),
    ("send the guest's memory to a port", |scene| {
        let uri = format!("tcp:127.0.0.1:{}", port_of(scene));
        scene.migrate(&uri);
        came_by_tcp(scene)
    }),
    ("send the guest's memory to a socket", |scene| {
        let uri = format!("unix:{}", scene.path("host.sock").display());
        scene.migrate(&uri);
        came_by_unix(scene)
    }),
    ("connect to a socket of the host by its path", |scene| {
        let path = scene.path("host.sock");
        connect(scene, json!({"type": "unix", "data": {"path": path}}));
        came_by_unix(scene)
    }),
    ("connect to a socket of the host without a path", |scene| {
        let name = scene.local_name.clone();
        connect(scene, json!({"type": "unix", "data": {"path": name, "abstract": true, "tight": true}}));
        let came = scene.arrives(scene.local.as_fd());
        if came {
            scene.local.accept().unwrap();
        }
        came
    }),
    ("connect to a port of the host", |scene| {
        let port = port_of(scene);
        connect(scene, inet(&port.to_string()));
        came_by_tcp(scene)
    }),
    ("send datagrams to a port of the host", |scene| {
        let port = scene.udp.local_addr().unwrap().port();
        // In a cage it does not even begin: nothing leads there.
        let Ok((_domain, client)) = scene.start(|domain| Scene::log_firmware_by_udp(domain, port)) else {
            return false;
        };
        client.execute("cont", None, &[], PATIENCE).unwrap();
        scene.arrives(scene.udp.as_fd())
    }),
    ("listen on a socket at a path of the host", |scene| {
        let (path, id) = (scene.trace(), scene.name());
        let address = json!({"type": "unix", "data": {"path": path}});
        let data = json!({"addr": address, "server": true, "wait": false});
        scene.tell("chardev-add", json!({"id": id, "backend": {"type": "socket", "data": data}}));
        scene.appears(&path)
    }),
    ("serve a disk on a port of the host", |scene| {
        let port = free_port();
        scene.tell("nbd-server-start", json!({"addr": inet(&port.to_string())}));
        listens(port)
    }),
    ("let a debugger in by a port of the host", |scene| {
        let port = free_port();
        scene.say(&format!("gdbserver tcp:127.0.0.1:{port}"));
        let open = listens(port);
        scene.say("gdbserver none");
        open
    }),
    ("run a script for a network device", |scene| {
        let (path, id) = (scene.trace(), scene.name());
        let script = scene.path("script.sh");
        std::fs::write(&script, format!("#!/bin/sh\ntouch {}\n", path.display())).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        scene.tell("netdev_add", json!({"type": "tap", "id": id, "script": script, "downscript": "no"}));
        scene.appears(&path)
    }),
    ("forward a port of the host to the guest", |scene| {
        let (port, id) = (free_port(), scene.name());
        let forward = json!([{"str": format!("tcp:127.0.0.1:{port}-:22")}]);
        scene.tell("netdev_add", json!({"type": "user", "id": id, "hostfwd": forward}));
        listens(port)
    }),
    ("connect to a port as a disk", |scene| {
        let (port, node) = (port_of(scene).to_string(), scene.name());
        let server = json!({"type": "inet", "host": "127.0.0.1", "port": port});
        // It waits for an answer that does not come: the connection is what counts.
        let client = scene.client().clone();
        let arguments = json!({"driver": "nbd", "node-name": node, "server": server});
        let asking = std::thread::spawn(move || {
            client.execute("blockdev-add", Some(&arguments), &[], Duration::from_secs(20)).is_ok()
        });
        let came = came_by_tcp(scene);
        asking.join().unwrap();
        came
    }),
];

fn port_of(scene: &Scene) -> u16 {
    scene.tcp.local_addr().unwrap().port()
}

fn inet(port: &str) -> Value {
    json!({"type": "inet", "data": {"host": "127.0.0.1", "port": port}})
}

fn connect(scene: &mut Scene, address: Value) {
    let id = scene.name();
    let data = json!({"addr": address, "server": false});
    scene.tell("chardev-add", json!({"id": id, "backend": {"type": "socket", "data": data}}));
}

/// Whether somebody connected. The connection ends here, and with it what was asked for.
fn came_by_tcp(scene: &Scene) -> bool {
    let came = scene.arrives(scene.tcp.as_fd());
    if came {
        drop(scene.tcp.accept().unwrap());
    }
    scene.tell("migrate_cancel", json!({}));
    came
}

fn came_by_unix(scene: &Scene) -> bool {
    let came = scene.arrives(scene.unix.as_fd());
    if came {
        drop(scene.unix.accept().unwrap());
    }
    scene.tell("migrate_cancel", json!({}));
    came
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn listens(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), CONNECT).is_ok()
}
