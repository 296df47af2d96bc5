//! Drivers from a registry: the one that Debian has, with and without a password.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use serde_json::json;

use crate::driver_store::{acme, digest, text};
use crate::workbench::Workbench;

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The line of htpasswd for the user `reader` with the password `open sesame`.
const PASSWORD_LINE: &str = "reader:$2y$05$.EJ1NH1SMqWTn7AeRDPQ4ubPh5q7kj.MYZ5GTB2he65eV5tLuzCYC\n";

/// A registry of its own, on a port that the kernel chose.
struct Registry {
    process: Child,
    host: String,
}

impl Registry {
    fn start(bench: &Workbench, password: bool) -> Self {
        let storage = bench.path("registry");
        let auth = match password {
            true => json!({"htpasswd": {"realm": "drivers", "path": bench.write("htpasswd", PASSWORD_LINE)}}),
            false => json!({}),
        };
        // What YAML can read, as JSON is.
        let settings = json!({"version": "0.1", "log": {"level": "info", "formatter": "json"},
            "storage": {"filesystem": {"rootdirectory": storage}},
            "http": {"addr": "127.0.0.1:0"}, "auth": auth});
        let settings = bench.write("registry.yml", &settings.to_string());
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(settings)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry is installed: cargo xtask setup");
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let host = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("listening on ")?.1.split('"').next()?.to_owned()))
            .expect("the registry says where it listens");
        // Whoever does not read what a program says holds it up.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, host }
    }

    /// Puts a driver there, with its signatures, under a tag; gives back the digest of its manifest.
    fn push(&self, tag: &str, component: &Path, signatures: Option<&Path>, auth: &RegistryAuth) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            rustls::crypto::ring::default_provider().install_default().ok();
            let protocol = ClientProtocol::HttpsExcept(vec![self.host.clone()]);
            let client = Client::new(ClientConfig { protocol, ..ClientConfig::default() });
            let reference: Reference = format!("{}/drivers/acme:{tag}", self.host).parse().unwrap();
            client.auth(&reference, auth, RegistryOperation::Push).await.unwrap();
            client.store_auth_if_needed(&self.host, auth).await;
            let mut layers = Vec::new();
            let layer = |bytes: Vec<u8>, kind: &'static str| {
                let (client, reference) = (&client, &reference);
                async move {
                    let digest = hostler_package::digest(&bytes);
                    let size = bytes.len();
                    client.push_blob(reference, bytes, &digest).await.unwrap();
                    json!({"mediaType": kind, "digest": digest, "size": size})
                }
            };
            let config = layer(b"{}".to_vec(), "application/vnd.oci.empty.v1+json").await;
            layers.push(layer(std::fs::read(component).unwrap(), hostler_package::COMPONENT_TYPE).await);
            if let Some(path) = signatures {
                layers.push(layer(std::fs::read(path).unwrap(), hostler_package::SIGNATURES_TYPE).await);
            }
            let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPE,
                "artifactType": hostler_package::ARTIFACT_TYPE, "config": config, "layers": layers});
            let bytes = manifest.to_string().into_bytes();
            let digest = hostler_package::digest(&bytes);
            client.push_manifest_raw(&reference, bytes, MANIFEST_TYPE.parse().unwrap()).await.unwrap();
            digest
        })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[test]
fn driver_is_installed_and_upgraded_from_a_registry() {
    let bench = Workbench::new();
    let registry = Registry::start(&bench, false);
    let made = bench.json(&["driver", "keygen", "key"]);
    let policy = format!(r#"{{"signers":{{"acme":"{}"}}}}"#, made["key"].as_str().unwrap());
    let policy = bench.write("policy.json", &policy);
    let first = acme(&bench, "first.wasm", "0.1.0");
    bench.ok(&["driver", "sign", text(&first), "--key", "key"]);
    let pinned =
        registry.push("0.1.0", &first, Some(&bench.path("first.wasm.sig")), &RegistryAuth::Anonymous);
    let second = acme(&bench, "second.wasm", "0.2.0");
    registry.push("latest", &second, None, &RegistryAuth::Anonymous);
    let named = |rest: &str| format!("oci://{}/drivers/acme{rest}", registry.host);

    let install = |rest: &str| {
        let wanted = named(rest);
        bench.run(&["--policy", text(&policy), "-o", "json", "driver", "install", &wanted])
    };
    let unsigned = install("");
    assert!(unsigned.status != 0 && unsigned.stderr.contains("grant.unsigned"), "{}", unsigned.stderr);
    let installed = install(&format!("@{pinned}"));
    assert_eq!(installed.status, 0, "{}", installed.stderr);
    let installed: serde_json::Value = serde_json::from_str(&installed.stdout).unwrap();
    assert_eq!(installed["plan"]["form"], "registry");
    assert_eq!(installed["plan"]["signer"], "acme");
    assert_eq!(installed["driver"]["digest"], digest(&first));

    let upgraded = bench.json(&["driver", "upgrade", "acme", &named(":latest")]);
    assert_eq!(upgraded["driver"]["digest"], digest(&second));
    let shown = bench.ok(&["driver", "show", "acme"]);
    assert!(shown.contains(&named(":latest")), "where it came from is kept: {shown}");
}

#[test]
fn what_a_registry_does_not_have_or_give_is_told() {
    let bench = Workbench::new();
    let registry = Registry::start(&bench, false);
    registry.push("0.1.0", &acme(&bench, "first.wasm", "0.1.0"), None, &RegistryAuth::Anonymous);
    let check = |name: &str| bench.run(&["driver", "check", name]);
    for absent in ["drivers/acme:9", "drivers/other:0.1.0"] {
        let answer = check(&format!("oci://{}/{absent}", registry.host));
        assert!(answer.stderr.contains("package.not-found"), "{}", answer.stderr);
        assert!(answer.stderr.contains("the registry has no such driver"), "{}", answer.stderr);
    }
    for wrong in ["oci://acme", "oci://drivers/acme:1", "oci://localhost/UPPER", "oci://"] {
        let answer = check(wrong);
        assert!(answer.stderr.contains("package.reference"), "{wrong}: {}", answer.stderr);
        assert!(answer.stderr.contains("oci://HOST"), "{wrong}: {}", answer.stderr);
    }
    let host = registry.host.clone();
    drop(registry);
    let gone = check(&format!("oci://{host}/drivers/acme:0.1.0"));
    assert!(gone.stderr.contains("package.registry"), "{}", gone.stderr);
    assert!(gone.stderr.contains("there is no way to"), "{}", gone.stderr);
}

#[test]
fn registry_with_a_password_gives_to_whoever_is_logged_in() {
    let mut bench = Workbench::new();
    let registry = Registry::start(&bench, true);
    let auth = RegistryAuth::Basic("reader".to_owned(), "open sesame".to_owned());
    registry.push("0.1.0", &acme(&bench, "first.wasm", "0.1.0"), None, &auth);
    let wanted = format!("oci://{}/drivers/acme:0.1.0", registry.host);
    bench.set("DOCKER_CONFIG", bench.path("docker").into());
    bench.set("REGISTRY_AUTH_FILE", bench.path("none").into());
    let nobody = bench.run(&["driver", "check", &wanted]);
    assert!(nobody.stderr.contains("wants to know who you are"), "{}", nobody.stderr);
    assert!(nobody.stderr.contains("docker login"), "{}", nobody.stderr);

    std::fs::create_dir(bench.path("docker")).unwrap();
    // base64 of `reader:open sesame`, as `docker login` writes it.
    let kept = json!({"auths": {registry.host.clone(): {"auth": "cmVhZGVyOm9wZW4gc2VzYW1l"}}});
    bench.write("docker/config.json", &kept.to_string());
    assert_eq!(bench.json(&["driver", "check", &wanted])["verdict"], "accepted");
    bench.write("docker/config.json", "{");
    let damaged = bench.run(&["driver", "check", &wanted]);
    assert!(damaged.stderr.contains("keeps to log in to"), "{}", damaged.stderr);
}
