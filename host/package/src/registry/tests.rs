//! Registries that mean harm: each is a server of a few lines that answers what it is told to. The one of Debian is
//! spoken to in `tests/all`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::artifact::{ARTIFACT_TYPE, COMPONENT_TYPE, JSON_MAX_BYTES};
use crate::judgement::samples;
use crate::package::digest;

/// What it answers to a request whose path ends so.
type Answers = Vec<(String, u16, Vec<u8>)>;

/// Answers requests, one connection each, until the test ends.
fn server(answers: Answers) -> PathBuf {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let Some(request) = lines.next() else { continue };
            lines.find(String::is_empty);
            let path = request.split(' ').nth(1).unwrap().to_owned();
            let (status, body) = answers
                .iter()
                .find(|(ending, ..)| path.ends_with(ending.as_str()))
                .map_or((404, &b""[..]), |(_, status, body)| (*status, body.as_slice()));
            let head =
                format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).ok();
            // Whoever has read enough goes away in the middle.
            stream.write_all(body).ok();
        }
    });
    format!("oci://127.0.0.1:{port}/acme:1").into()
}

fn fetched(path: &Path) -> Result<Package, PackageError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(fetch(path))
}

fn manifest_of(size: usize, digest: &str) -> Vec<u8> {
    let layer = json!({"mediaType": COMPONENT_TYPE, "digest": digest, "size": size});
    let config = json!({"mediaType": "x", "digest": "", "size": 0});
    json!({"schemaVersion": 2, "artifactType": ARTIFACT_TYPE, "config": config, "layers": [layer]})
        .to_string()
        .into_bytes()
}

/// A registry with one driver, whose blob is this.
fn registry(named: &[u8], given: &[u8]) -> PathBuf {
    let digest = digest(named);
    let manifest = manifest_of(named.len(), &digest);
    server(vec![
        ("/v2/".to_owned(), 200, Vec::new()),
        ("/manifests/1".to_owned(), 200, manifest),
        (format!("/blobs/{digest}"), 200, given.to_vec()),
    ])
}

#[test]
fn driver_is_fetched_and_judged_as_from_a_layout() {
    let driver = samples::driver("acme", "1.0");
    let package = fetched(&registry(&driver, &driver)).unwrap();
    assert_eq!((package.form, package.signatures.as_deref()), (Form::Registry, None));
    assert_eq!(package.judge().into_manifest().unwrap().version, "1.0");
}

#[test]
fn blob_that_is_not_what_the_manifest_names_is_refused() {
    let driver = samples::driver("acme", "1.0");
    let mut other = driver.clone();
    *other.last_mut().unwrap() ^= 1;
    for given in [other, driver[1..].to_vec(), [driver.as_slice(), b"x"].concat()] {
        let error = fetched(&registry(&driver, &given)).unwrap_err();
        assert_eq!(error.kind, Kind::Digest, "{error}");
    }
}

#[test]
fn sizes_are_judged_before_a_blob_is_asked_for() {
    let digest = digest(b"");
    let large = vec![
        ("/v2/".to_owned(), 200, Vec::new()),
        ("/manifests/1".to_owned(), 200, manifest_of(17 << 20, &digest)),
    ];
    assert_eq!(fetched(&server(large)).unwrap_err().kind, Kind::TooLarge);
    let long = vec![
        ("/v2/".to_owned(), 200, Vec::new()),
        ("/manifests/1".to_owned(), 200, vec![b' '; usize::try_from(JSON_MAX_BYTES).unwrap() + 1]),
    ];
    let error = fetched(&server(long)).unwrap_err();
    assert_eq!(error.kind, Kind::TooLarge, "{error:?}");
}

#[test]
fn answers_of_no_use_are_told_and_escaped() {
    for (status, body) in [(500, "x\u{1b}[2J"), (200, "<html>"), (418, "")] {
        let answers = vec![
            ("/v2/".to_owned(), 200, Vec::new()),
            ("/manifests/1".to_owned(), status, body.as_bytes().to_vec()),
        ];
        let error = fetched(&server(answers)).unwrap_err();
        assert!(matches!(error.kind, Kind::Registry | Kind::Layout), "{error:?}");
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }
}

#[test]
fn references_name_their_registry() {
    for right in ["oci://localhost/acme", "oci://reg.example/a/b:1"] {
        assert!(parse(Path::new(right)).is_ok(), "{right}");
    }
    for wrong in ["oci://acme", "oci://a/b", "oci://", "acme", "oci://reg.example/", "oci://reg.example/A:1"]
    {
        assert_eq!(parse(Path::new(wrong)).unwrap_err().kind, Kind::Reference, "{wrong}");
    }
}

#[test]
fn only_this_machine_is_spoken_to_without_encryption() {
    let plain = |text: &str| is_here(&parse(Path::new(text)).unwrap());
    for here in ["oci://localhost/acme", "oci://localhost:5000/acme", "oci://127.0.0.1:5000/acme"] {
        assert!(plain(here), "{here}");
    }
    for away in ["oci://reg.example/acme", "oci://127.0.0.1.example:80/acme", "oci://localhost.example/acme"]
    {
        assert!(!plain(away), "{away}");
    }
}
