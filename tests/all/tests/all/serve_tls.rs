//! Clients of other machines: certificates, names, and what comes in place of a handshake.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use rustix::process::Signal;

use crate::daemon::{Daemon, clients_are_here, virsh};
use crate::tenants::Shared;
use crate::workbench::{Answer, Workbench};

/// How long a client may take for a handshake, and some more.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// Who signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished(&[(DnType::CommonName, name)]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        name: &str,
        purpose: ExtendedKeyUsagePurpose,
    ) -> (String, String) {
        let parts =
            [(DnType::CountryName, "GB"), (DnType::OrganizationName, "Lab"), (DnType::CommonName, name)];
        params.distinguished_name = distinguished(&parts);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// The list of certificates that are withdrawn, with one on it.
    fn withdrawn(&self, number: u64) -> String {
        let one = RevokedCertParams {
            serial_number: SerialNumber::from(number),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2099, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![one],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// A directory with what a client of this name needs.
    fn client(&self, bench: &Workbench, directory: &str, name: &str) -> PathBuf {
        self.numbered_client(bench, directory, name, None)
    }

    fn numbered_client(
        &self,
        bench: &Workbench,
        directory: &str,
        name: &str,
        number: Option<u64>,
    ) -> PathBuf {
        let place = bench.path(directory);
        std::fs::create_dir(&place).unwrap();
        let mut params = CertificateParams::default();
        params.serial_number = number.map(SerialNumber::from);
        let (certificate, key) = self.sign(params, name, ExtendedKeyUsagePurpose::ClientAuth);
        std::fs::write(place.join("clientcert.pem"), certificate).unwrap();
        std::fs::write(place.join("clientkey.pem"), key).unwrap();
        place
    }
}

fn distinguished(parts: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    parts.iter().for_each(|(kind, text)| name.push(kind.clone(), *text));
    name
}

/// A host with a certificate, and what signs those of its clients.
struct Scene {
    authority: Authority,
    port: u16,
    options: Vec<String>,
}

impl Scene {
    fn new(bench: &Workbench, allow: &[&str]) -> Self {
        let authority = Authority::new("authority");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let (certificate, key) = authority.sign(params, "host", ExtendedKeyUsagePurpose::ServerAuth);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = |name: &str, text: &str| bench.write(name, text).display().to_string();
        let mut options = vec!["--tls".to_owned(), format!("127.0.0.1:{port}")];
        options.extend(["--tls-ca".to_owned(), file("ca.pem", &authority.certificate)]);
        options.extend(["--tls-cert".to_owned(), file("cert.pem", &certificate)]);
        options.extend(["--tls-key".to_owned(), file("key.pem", &key)]);
        options.extend(allow.iter().flat_map(|name| ["--tls-allow".to_owned(), (*name).to_owned()]));
        Self { authority, port, options }
    }

    fn start<'a>(&self, bench: &'a Workbench, more: &[&str]) -> Daemon<'a> {
        let options: Vec<_> = self.options.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Daemon::start_with(bench, &options)
    }

    fn client(&self, bench: &Workbench, name: &str) -> PathBuf {
        self.numbered_client(bench, name, name, None)
    }

    /// One whose certificate has this number.
    fn numbered_client(
        &self,
        bench: &Workbench,
        directory: &str,
        name: &str,
        number: Option<u64>,
    ) -> PathBuf {
        let place = self.authority.numbered_client(bench, directory, name, number);
        std::fs::write(place.join("cacert.pem"), &self.authority.certificate).unwrap();
        place
    }

    fn uri(&self, place: &Path) -> String {
        format!("hostler+tls://localhost:{}/system?pkipath={}", self.port, place.display())
    }

    fn virsh(&self, place: &Path, arguments: &[&str]) -> Answer {
        virsh(&self.uri(place), arguments)
    }
}

fn document(name: &str) -> String {
    format!(
        "<domain type='test'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>"
    )
}

#[test]
fn names_that_are_let_in_may_look_and_what_the_access_file_says() {
    if !clients_are_here() {
        return;
    }
    let shared = Shared::new(&["blue"]);
    let bench = &shared.0;
    bench.define(&document("quiet"));
    let access = bench.write(
        "access.toml",
        "[[rule]]\nthen = 'allow'\nwho = { dn = 'C=GB,O=Lab,CN=admin' }\nwhat = '*'\n\
         [[identity]]\ndn = 'C=GB,O=Lab,CN=tenant'\ntenant = 'blue'\n",
    );
    let scene = Scene::new(bench, &["C=GB,O=Lab,CN=*"]);
    let [guest, admin, tenant] = ["guest", "admin", "tenant"].map(|name| scene.client(bench, name));
    let daemon = scene.start(bench, &["--access", access.to_str().unwrap()]);
    for version in ["NORMAL:-VERS-TLS1.3", "NORMAL:-VERS-ALL:%2BVERS-TLS1.3"] {
        let uri = format!("{}&tls_priority={version}", scene.uri(&guest));
        let listed = virsh(&uri, &["list", "--all", "--name"]);
        assert_eq!(listed.stdout.trim(), "quiet", "{version}: {}", listed.stderr);
    }
    let denied = scene.virsh(&guest, &["start", "quiet"]);
    assert!(denied.stderr.contains("access denied: 'domain.start'"), "{}", denied.stderr);
    let refused = virsh(&format!("{}&tenant=blue", scene.uri(&guest)), &["list"]);
    assert!(refused.stderr.contains("access denied"), "{}", refused.stderr);
    assert_eq!(scene.virsh(&admin, &["start", "quiet"]).status, 0);
    // Who is a tenant is served what is the tenant's, and everything of that.
    assert_eq!(scene.virsh(&tenant, &["list", "--all", "--name"]).stdout.trim(), "");
    let file = bench.write("own.xml", &document("own"));
    let defined = scene.virsh(&tenant, &["define", file.to_str().unwrap()]);
    assert_eq!(defined.status, 0, "{}", defined.stderr);
    assert_eq!(scene.virsh(&tenant, &["list", "--all", "--name"]).stdout.trim(), "own");
    assert_eq!(daemon.ok(&["list", "--all", "--name"]), "quiet");
    // A stream, for it is many pieces both ways.
    assert_eq!(scene.virsh(&admin, &["destroy", "quiet"]).status, 0);
}

#[test]
fn who_has_no_certificate_that_counts_or_no_name_that_is_let_in_is_turned_away() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let scene = Scene::new(&bench, &["C=GB,O=Lab,CN=alice", "C=DE,*"]);
    let alice = scene.client(&bench, "alice");
    let mallory = scene.client(&bench, "alice2");
    let stranger = Authority::new("authority").client(&bench, "forged", "alice");
    let nobody = bench.path("nobody");
    std::fs::create_dir(&nobody).unwrap();
    for place in [&stranger, &nobody] {
        std::fs::write(place.join("cacert.pem"), &scene.authority.certificate).unwrap();
    }
    let daemon = scene.start(&bench, &[]);
    assert_eq!(scene.virsh(&alice, &["list"]).status, 0);
    for place in [&mallory, &stranger, &nobody] {
        let refused = scene.virsh(place, &["list"]);
        assert_eq!(refused.status, 1, "{}: {}", place.display(), refused.stdout);
    }
    assert_eq!(scene.virsh(&alice, &["list"]).status, 0);
    drop(daemon);
    // A certificate that is withdrawn counts no more.
    let withdrawn = scene.numbered_client(&bench, "withdrawn", "alice", Some(4_711));
    let list = bench.write("crl.pem", &scene.authority.withdrawn(4_711));
    let daemon = scene.start(&bench, &["--tls-crl", list.to_str().unwrap()]);
    assert_eq!(scene.virsh(&withdrawn, &["list"]).status, 1);
    assert_eq!(scene.virsh(&alice, &["list"]).status, 0);
    drop(daemon);
    // Nobody is let in without a list.
    let none: Vec<_> = scene.options.iter().map(String::as_str).take(8).collect();
    let _daemon = Daemon::start_with(&bench, &none);
    assert_eq!(scene.virsh(&alice, &["list"]).status, 1);
}

#[test]
fn certificates_are_read_again_when_the_settings_are() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let scene = Scene::new(&bench, &["*"]);
    let [alice, bob] = [("alice", 1), ("bob", 2)]
        .map(|(name, number)| scene.numbered_client(&bench, name, name, Some(number)));
    let list = bench.write("crl.pem", &scene.authority.withdrawn(4_711));
    let mut daemon = scene.start(&bench, &["--tls-crl", list.to_str().unwrap()]);
    let let_in = |place: &Path| scene.virsh(place, &["list"]).status == 0;
    assert!(let_in(&alice) && let_in(&bob));
    std::fs::write(&list, scene.authority.withdrawn(1)).unwrap();
    daemon.signal(Signal::HUP);
    // It is being read; a test that never sees it ends by its time.
    while let_in(&alice) {}
    assert!(let_in(&bob));
    // What cannot be read takes nobody's way in.
    std::fs::write(&list, "nonsense").unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("the certificates of before hold on");
    assert!(let_in(&bob) && !let_in(&alice));
}

#[test]
fn garbage_and_silence_in_place_of_a_handshake_end_and_hold_up_nobody() {
    if !clients_are_here() {
        return;
    }
    let bench = Workbench::of_drivers();
    let scene = Scene::new(&bench, &["*"]);
    let alice = scene.client(&bench, "alice");
    let _daemon = scene.start(&bench, &[]);
    let connect = || {
        let socket = TcpStream::connect(("127.0.0.1", scene.port)).unwrap();
        socket.set_read_timeout(Some(HANDSHAKE)).unwrap();
        socket
    };
    let ends = |mut socket: TcpStream| {
        let begun = Instant::now();
        // That it ends matters, and not in which way.
        socket.read_to_end(&mut Vec::new()).ok();
        assert!(begun.elapsed() < HANDSHAKE, "it does not end");
    };
    let silent: Vec<_> = (0..10).map(|_| connect()).collect();
    let mut half = connect();
    half.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 64],
        &[22, 3, 1, 0xff, 0xff],
        &[0, 0, 0, 28, 0x20, 0, 0x80, 0x86],
    ] {
        let mut garbage = connect();
        garbage.write_all(bytes).unwrap();
        ends(garbage);
    }
    assert_eq!(scene.virsh(&alice, &["list"]).status, 0);
    silent.into_iter().chain([half]).for_each(ends);
}
