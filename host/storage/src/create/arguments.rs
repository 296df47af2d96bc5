//! The command lines of qemu-img, as pure functions. Images are given by descriptor, formats in so many words.

use std::path::Path;

use hostler_domain::volume::Compat;
use hostler_image::Format;
use serde_json::{Value, json};

use super::copy::Copied;
use super::encryption::NewEncryption;
use super::request::{CreateRequest, Preallocation};

/// The unit that sizes are given in: what QEMU rounds to anyway.
const KIB: u64 = 1024;
/// What the object with a passphrase is called.
const KEY: &str = "passphrase";

/// What makes an image at `target`. `backing` is the name that is recorded for what it stands on; qemu-img does not
/// open that, so the size has to be known.
#[must_use]
pub fn create_arguments(
    request: &CreateRequest,
    backing: Option<(&str, Format)>,
    capacity: u64,
    target: &Path,
) -> Vec<String> {
    making((qemu_name(request.format), backing), capacity, target, &create_options(request))
}

/// What makes an encrypted image at `target`, whose passphrase is in the file `key`.
pub(super) fn create_encrypted_arguments(
    request: &CreateRequest,
    encryption: &NewEncryption,
    backing: Option<(&str, Format)>,
    capacity: u64,
    (target, key): (&Path, &Path),
) -> Vec<String> {
    // A raw disk in a container has a format of its own to qemu-img.
    let (format, prefix) =
        if request.format == Format::Raw { ("luks", "") } else { (qemu_name(request.format), "encrypt.") };
    let mut options = create_options(request);
    options.extend((!prefix.is_empty()).then(|| "encrypt.format=luks".to_owned()));
    options.push(format!("{prefix}key-secret={KEY}"));
    options.extend(encryption.options(prefix));
    let object = ["--object".to_owned(), format!("secret,id={KEY},file={}", key.display())];
    let mut words = making((format, backing), capacity, target, &options);
    words.splice(1..1, object);
    words
}

fn making(
    (format, backing): (&str, Option<(&str, Format)>),
    capacity: u64,
    target: &Path,
    options: &[String],
) -> Vec<String> {
    let mut words: Vec<String> = ["create", "-q", "-f", format].map(str::to_owned).into();
    if let Some((name, format)) = backing {
        words.extend(["-u", "-b", name, "-F", qemu_name(format)].map(str::to_owned));
    }
    if !options.is_empty() {
        words.extend(["-o".to_owned(), options.join(",")]);
    }
    words.extend(["--".to_owned(), target.display().to_string(), format!("{}K", capacity.div_ceil(KIB))]);
    words
}

/// The size that qemu-img is told for so many bytes.
pub(super) fn whole_kib(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(KIB)
}

fn create_options(request: &CreateRequest) -> Vec<String> {
    let mut options = Vec::new();
    if request.format == Format::Qcow2 {
        options.push(format!("compat={}", request.compat.unwrap_or(Compat::V3)));
    }
    options.extend(request.cluster_size.map(|size| format!("cluster_size={size}")));
    let switches = [
        ("lazy_refcounts=on", request.lazy_refcounts),
        ("extended_l2=on", request.extended_l2),
        ("nocow=on", request.nocow && request.format == Format::Qcow2),
        ("preallocation=metadata", request.preallocation == Preallocation::Metadata),
        ("preallocation=falloc", request.preallocation == Preallocation::Falloc),
    ];
    options.extend(switches.iter().filter(|(_, on)| *on).map(|(option, _)| (*option).to_owned()));
    options
}

/// What copies the image that `source` describes (a node of QEMU, with everything below it) to `target`.
#[must_use]
pub fn convert_arguments(source: &Value, copy: &Copied, target: &Path) -> Vec<String> {
    let mut words: Vec<String> = ["convert", "-p", "-O", qemu_name(copy.format)].map(str::to_owned).into();
    words.extend(copy.compressed.then(|| "-c".to_owned()));
    if copy.format == Format::Qcow2 {
        words.extend(["-o".to_owned(), format!("compat={}", copy.compat.unwrap_or(Compat::V3))]);
    }
    words.extend(["--".to_owned(), format!("json:{source}"), target.display().to_string()]);
    words
}

/// What records for the image at `target` what it stands on, or that it stands on nothing. Opens nothing else and moves
/// no data.
#[must_use]
pub fn record_arguments(format: Format, backing: Option<(&str, Format)>, target: &Path) -> Vec<String> {
    rebase_words("-u", format, backing, target)
}

/// What changes what the image at `target` stands on, and copies into it what that changes. Opens everything by name.
#[must_use]
pub fn rebase_arguments(format: Format, backing: Option<(&str, Format)>, target: &Path) -> Vec<String> {
    rebase_words("-p", format, backing, target)
}

fn rebase_words(mode: &str, format: Format, backing: Option<(&str, Format)>, target: &Path) -> Vec<String> {
    let mut words: Vec<String> = ["rebase", mode, "-f", qemu_name(format)].map(str::to_owned).into();
    match backing {
        Some((name, format)) => words.extend(["-b", name, "-F", qemu_name(format)].map(str::to_owned)),
        None => words.extend(["-b", ""].map(str::to_owned)),
    }
    words.extend(["--".to_owned(), target.display().to_string()]);
    words
}

/// What changes the size of the image that `image` describes with everything below it: where an image grows over a
/// larger one, qemu-img has to hide what that has there.
#[must_use]
pub fn resize_arguments(image: &Value, capacity: u64, shrink: bool, allocate: bool) -> Vec<String> {
    let mut words: Vec<String> = ["resize", "-q"].map(str::to_owned).into();
    words.extend(shrink.then(|| "--shrink".to_owned()));
    words.extend(allocate.then(|| "--preallocation=falloc".to_owned()));
    words.extend(["--".to_owned(), format!("json:{image}"), capacity.to_string()]);
    words
}

/// What writes the image that `image` describes into the one below it, and leaves it as it is.
#[must_use]
pub fn commit_arguments(image: &Value) -> Vec<String> {
    ["commit", "-p", "-d", "--"].map(str::to_owned).into_iter().chain([format!("json:{image}")]).collect()
}

/// What does something about the snapshot `tag` within the image that `image` describes; the switch says what.
#[must_use]
pub(crate) fn snapshot_arguments(switch: &str, tag: &str, image: &Value) -> Vec<String> {
    ["snapshot", "-q", switch, tag, "--"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("json:{image}")])
        .collect()
}

/// One layer of a source as QEMU's block layer has it: every node is named, and where something could lie below, what
/// does is said.
pub(crate) fn layer(format: Format, file: &Path, device: bool, below: Option<Value>) -> Value {
    let driver = if device { "host_device" } else { "file" };
    let mut node = json!({
        "driver": qemu_name(format),
        "file": {"driver": driver, "filename": file.display().to_string()},
    });
    if format.can_have_backing()
        && let Some(members) = node.as_object_mut()
    {
        members.insert("backing".to_owned(), below.unwrap_or(Value::Null));
    }
    node
}

/// A format that has no driver of its own is plain bytes.
fn qemu_name(format: Format) -> &'static str {
    format.qemu_name().unwrap_or("raw")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "/proc/7/fd/5";

    fn request(format: Format) -> CreateRequest {
        CreateRequest::new("a", format, 1).unwrap()
    }

    #[test]
    fn a_plain_image() {
        let words = create_arguments(&request(Format::Vdi), None, 1, Path::new(TARGET));
        assert_eq!(words.join(" "), "create -q -f vdi -- /proc/7/fd/5 1K");
    }

    #[test]
    fn the_passphrase_of_an_encrypted_image_is_named_by_its_file() {
        let secret = hostler_domain::storage_source::SecretReference::Usage("/a".to_owned());
        let encryption = NewEncryption::new(secret);
        let words = |format| {
            let places = (Path::new(TARGET), Path::new("/proc/7/fd/6"));
            create_encrypted_arguments(&request(format), &encryption, None, 1, places).join(" ")
        };
        assert_eq!(
            words(Format::Raw),
            "create --object secret,id=passphrase,file=/proc/7/fd/6 -q -f luks -o key-secret=passphrase \
             -- /proc/7/fd/5 1K"
        );
        assert_eq!(
            words(Format::Qcow2),
            "create --object secret,id=passphrase,file=/proc/7/fd/6 -q -f qcow2 -o \
             compat=1.1,encrypt.format=luks,encrypt.key-secret=passphrase -- /proc/7/fd/5 1K"
        );
    }

    #[test]
    fn an_overlay_records_name_and_format_and_opens_nothing() {
        let words = create_arguments(
            &request(Format::Qcow2),
            Some(("a,b.raw", Format::Raw)),
            1 << 20,
            Path::new(TARGET),
        );
        assert_eq!(
            words.join(" "),
            "create -q -f qcow2 -u -b a,b.raw -F raw -o compat=1.1 -- /proc/7/fd/5 1024K"
        );
    }

    #[test]
    fn every_option_is_an_option_of_the_format() {
        let request = CreateRequest {
            compat: Some(Compat::V2),
            cluster_size: Some(65536),
            lazy_refcounts: true,
            extended_l2: true,
            nocow: true,
            preallocation: Preallocation::Falloc,
            ..request(Format::Qcow2)
        };
        let words = create_arguments(&request, None, 1025, Path::new(TARGET));
        assert_eq!(
            words.join(" "),
            "create -q -f qcow2 -o compat=0.10,cluster_size=65536,lazy_refcounts=on,extended_l2=on,nocow=on,\
             preallocation=falloc -- /proc/7/fd/5 2K"
        );
    }

    #[test]
    fn a_copy_names_every_node_of_its_source() {
        let base = layer(Format::Raw, Path::new("/proc/7/fd/8"), true, None);
        let top = layer(Format::Qcow2, Path::new("/proc/7/fd/9"), false, Some(base));
        let copy = Copied { format: Format::Qcow2, compat: None, compressed: false };
        let words = convert_arguments(&top, &copy, Path::new(TARGET));
        assert_eq!(words[..6].join(" "), "convert -p -O qcow2 -o compat=1.1");
        assert_eq!((words[6].as_str(), words[8].as_str()), ("--", TARGET));
        let source: Value = serde_json::from_str(words[7].strip_prefix("json:").unwrap()).unwrap();
        assert_eq!(source["backing"]["file"]["driver"], "host_device");
        assert_eq!(source["backing"].get("backing"), None, "raw bytes name nothing");
        assert_eq!(layer(Format::Qcow2, Path::new(TARGET), false, None)["backing"], Value::Null);
    }

    #[test]
    fn a_rebase_says_whether_data_moves_whatever_its_base_is_called() {
        let backing = Some(("-u", Format::Raw));
        let record = record_arguments(Format::Qcow2, backing, Path::new(TARGET));
        assert_eq!(record.join(" "), "rebase -u -f qcow2 -b -u -F raw -- /proc/7/fd/5");
        let rebase = rebase_arguments(Format::Qcow2, backing, Path::new(TARGET));
        assert_eq!(rebase.join(" "), "rebase -p -f qcow2 -b -u -F raw -- /proc/7/fd/5");
        let alone = record_arguments(Format::Qcow2, None, Path::new(TARGET));
        assert_eq!(alone[4..6], ["-b", ""]);
    }

    #[test]
    fn a_resize_says_when_it_shrinks_and_names_what_is_below() {
        let base = layer(Format::Raw, Path::new("/proc/7/fd/8"), false, None);
        let top = layer(Format::Qcow2, Path::new(TARGET), false, Some(base));
        let words = resize_arguments(&top, 512, true, false);
        assert_eq!(words[..4].join(" "), "resize -q --shrink --");
        assert!(words[4].starts_with("json:{") && words[4].contains("/proc/7/fd/8"), "{words:?}");
        let words = resize_arguments(&top, 512, false, true);
        assert_eq!((words[2].as_str(), words[5].as_str()), ("--preallocation=falloc", "512"));
    }
}
