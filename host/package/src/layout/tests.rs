//! Layouts as tools write them, and as somebody writes them who means harm.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::artifact::{COMPONENT_TYPE, ENTRIES_MAX, SIGNATURES_ANNOTATION, SIGNATURES_TYPE};
use crate::judgement::samples;
use crate::package::digest;

struct Place {
    root: tempfile::TempDir,
}

impl Place {
    /// A layout with one driver of this version.
    fn new() -> Self {
        let place = Self { root: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(place.path("blobs/sha256")).unwrap();
        place.write("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, content: &Value) {
        std::fs::write(self.path(name), content.to_string()).unwrap();
    }

    fn blob(&self, bytes: &[u8], kind: &str) -> Value {
        let digest = digest(bytes);
        std::fs::write(self.path("blobs").join(digest.replace(':', "/")), bytes).unwrap();
        json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
    }

    fn manifest(&self, layers: &[Value], annotations: &Value) -> Value {
        let empty = self.blob(b"{}", "application/vnd.oci.empty.v1+json");
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "artifactType": ARTIFACT_TYPE,
            "config": empty, "layers": layers, "annotations": annotations});
        self.blob(manifest.to_string().as_bytes(), MANIFEST_TYPE)
    }

    fn index(&self, manifests: &[Value]) {
        self.write("index.json", &json!({"schemaVersion": 2, "manifests": manifests}));
    }

    fn driver(&self, version: &str) -> Value {
        self.blob(&samples::driver("acme", version), COMPONENT_TYPE)
    }

    fn open(&self) -> Result<Package, PackageError> {
        Package::open(self.root.path(), None)
    }

    fn error(&self) -> PackageError {
        self.open().unwrap_err()
    }
}

fn tagged(mut descriptor: Value, tag: &str) -> Value {
    descriptor["annotations"] = json!({TAG_ANNOTATION: tag});
    descriptor
}

#[test]
fn driver_is_read_with_its_signatures_from_a_layer_or_an_annotation() {
    let place = Place::new();
    let driver = place.driver("1.0");
    place.index(&[place.manifest(std::slice::from_ref(&driver), &json!({}))]);
    let package = place.open().unwrap();
    assert_eq!((package.form, package.signatures.as_deref()), (Form::OciLayout, None));
    assert_eq!(package.judge().into_manifest().unwrap().version, "1.0");

    let signatures = place.blob(b"text", SIGNATURES_TYPE);
    let sbom = place.blob(b"{}", "application/spdx+json");
    place.index(&[place.manifest(&[sbom, signatures.clone(), driver.clone()], &json!({}))]);
    assert_eq!(place.open().unwrap().signatures.as_deref(), Some(&b"text"[..]));

    let annotation = json!({SIGNATURES_ANNOTATION: "note"});
    place.index(&[place.manifest(std::slice::from_ref(&driver), &annotation)]);
    assert_eq!(place.open().unwrap().signatures.as_deref(), Some(&b"note"[..]));
    place.index(&[place.manifest(&[driver, signatures], &annotation)]);
    assert!(place.error().to_string().contains("several texts of signatures"));
}

#[test]
fn tag_chooses_among_several() {
    let place = Place::new();
    let manifest = |version: &str| tagged(place.manifest(&[place.driver(version)], &json!({})), version);
    place.index(&[manifest("1.0"), manifest("2.0")]);
    let error = place.error();
    assert!(error.hints[0].contains("1.0, 2.0"), "{error:?}");
    let chosen = Package::open(place.root.path(), Some("2.0")).unwrap();
    assert_eq!(chosen.judge().into_manifest().unwrap().version, "2.0");
    assert!(Package::open(place.root.path(), Some("3.0")).unwrap_err().to_string().contains("'3.0'"));
}

#[test]
fn blob_that_is_not_what_its_digest_names_is_refused_everywhere() {
    let place = Place::new();
    let driver = place.driver("1.0");
    let manifest = place.manifest(std::slice::from_ref(&driver), &json!({}));
    place.index(std::slice::from_ref(&manifest));
    for descriptor in [&driver, &manifest] {
        let path = place.path("blobs").join(descriptor["digest"].as_str().unwrap().replace(':', "/"));
        let whole = std::fs::read(&path).unwrap();
        let mut other = whole.clone();
        *other.last_mut().unwrap() ^= 1;
        for changed in [other, whole.get(1..).unwrap().to_vec(), [whole.as_slice(), b"x"].concat()] {
            std::fs::write(&path, changed).unwrap();
            assert_eq!(place.error().kind, Kind::Digest);
        }
        std::fs::write(&path, whole).unwrap();
    }
    assert!(place.open().is_ok());
    let mut shorter = manifest;
    shorter["size"] = 1.into();
    place.index(&[shorter]);
    assert_eq!(place.error().kind, Kind::Digest);
}

#[test]
fn digest_is_never_taken_for_a_path() {
    let place = Place::new();
    let manifest = place.manifest(&[place.driver("1.0")], &json!({}));
    let dots = format!("sha256:{}", "../".repeat(21) + "a");
    for digest in ["sha256:../../../../etc/passwd", "../oci-layout", "sha512:00", "", dots.as_str()] {
        let mut hostile = manifest.clone();
        hostile["digest"] = digest.into();
        place.index(&[hostile]);
        let error = place.error();
        assert_eq!(error.kind, Kind::Layout, "{error}");
        assert!(error.to_string().contains("is no digest"), "{error}");
    }
}

#[test]
fn links_and_pipes_in_a_layout_are_refused() {
    let place = Place::new();
    let driver = place.driver("1.0");
    place.index(&[place.manifest(std::slice::from_ref(&driver), &json!({}))]);
    let blob = place.path("blobs").join(driver["digest"].as_str().unwrap().replace(':', "/"));
    let aside = place.path("aside");
    std::fs::rename(&blob, &aside).unwrap();
    symlink(&aside, &blob).unwrap();
    assert_eq!(place.error().kind, Kind::NotAFile);
    std::fs::remove_file(&blob).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &blob, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    assert_eq!(place.error().kind, Kind::NotAFile);
    std::fs::remove_file(&blob).unwrap();
    assert_eq!(place.error().kind, Kind::NotFound);
    std::fs::rename(&aside, &blob).unwrap();
    std::fs::rename(place.path("blobs"), place.path("real")).unwrap();
    symlink("real", place.path("blobs")).unwrap();
    assert_eq!(place.error().kind, Kind::NotAFile);
    std::fs::rename(place.path("index.json"), place.path("index")).unwrap();
    symlink("index", place.path("index.json")).unwrap();
    assert_eq!(place.error().kind, Kind::NotAFile);
}

#[test]
fn sizes_and_counts_are_bounded_before_anything_is_read() {
    let place = Place::new();
    let mut driver = place.driver("1.0");
    driver["size"] = (17_u64 << 20).into();
    place.index(&[place.manifest(&[driver], &json!({}))]);
    assert_eq!(place.error().kind, Kind::TooLarge);
    let manifest = place.manifest(&[place.driver("1.0")], &json!({}));
    place.index(&vec![manifest; ENTRIES_MAX + 1]);
    assert!(place.error().to_string().contains("the limit is 64"));
    place.index(&[place.manifest(&vec![place.driver("1.0"); ENTRIES_MAX + 1], &json!({}))]);
    assert!(place.error().to_string().contains("layers"));
    std::fs::write(place.path("index.json"), vec![b' '; 300 << 10]).unwrap();
    assert_eq!(place.error().kind, Kind::TooLarge);
}

#[test]
fn what_is_no_driver_is_told_with_what_it_is() {
    let place = Place::new();
    place.index(&[]);
    assert!(place.error().to_string().contains("is a driver"));
    place.index(&[json!({"mediaType": "application/vnd.oci.image.index.v1+json", "digest": "", "size": 0})]);
    assert!(place.error().to_string().contains("is a driver"));
    let config = place.blob(b"{}", "application/vnd.oci.image.config.v1+json");
    let image = json!({"schemaVersion": 2, "config": config, "layers": []}).to_string();
    place.index(&[place.blob(image.as_bytes(), MANIFEST_TYPE)]);
    assert!(place.error().to_string().contains("vnd.oci.image.config"), "{}", place.error());
    place.index(&[place.manifest(&[], &json!({}))]);
    assert!(place.error().to_string().contains("0 layers"));
    place.index(&[place.manifest(&vec![place.driver("1.0"); 2], &json!({}))]);
    assert!(place.error().to_string().contains("2 layers"));
    place.write("oci-layout", &json!({"imageLayoutVersion": "2.0.0"}));
    assert!(place.error().to_string().contains("'2.0.0'"));
    std::fs::write(place.path("oci-layout"), "{").unwrap();
    assert_eq!(place.error().kind, Kind::Layout);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn changed_index_gives_the_driver_or_an_error(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let place = Place::new();
        place.index(&[place.manifest(&[place.driver("1.0")], &json!({}))]);
        let path: &Path = &place.path("index.json");
        let mut bytes = std::fs::read(path).unwrap();
        let index = at.index(bytes.len());
        bytes[index] = byte;
        std::fs::write(path, bytes).unwrap();
        match place.open() {
            Ok(package) => prop_assert_eq!(package.bytes, samples::driver("acme", "1.0")),
            Err(error) => prop_assert!(!error.to_string().contains(char::is_control)),
        }
    }
}
