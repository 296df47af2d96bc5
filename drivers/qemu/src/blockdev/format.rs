//! Format nodes: how the bytes of an image are read.

use hostler_sdk::domain::storage_source::StorageSource;
use hostler_sdk::{Error, Layer, ProblemExt, Value, problem};

use super::objects::by_client;
use super::options::Options;

/// What lies below a format node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Backing {
    /// The node with this name.
    Node(String),
    /// Nothing.
    Nothing,
    /// It was not looked at; only ever shown, never started.
    Unexamined,
}

/// One layer, and all that decides about its format node.
pub(crate) struct Format<'a> {
    /// The image format.
    pub(crate) format: &'a str,
    /// Whether the guest or a job may not write to it.
    pub(crate) read_only: bool,
    /// What the document says about it, if it says anything.
    pub(crate) source: Option<&'a StorageSource>,
    /// What the disk asks of its nodes.
    pub(crate) options: Options,
    /// Whether this is the active layer: only that one looks for zeroes.
    pub(crate) active: bool,
    /// The node that holds the bytes.
    pub(crate) file: String,
    /// The node of the external data file.
    pub(crate) data_file: Option<String>,
    /// What lies below.
    pub(crate) backing: Backing,
    /// The ids of the objects that hold the keys; QEMU's own formats have one.
    pub(crate) keys: &'a [String],
}

/// QEMU's driver for an image format, and whether it can have something below.
fn driver(format: &str) -> Option<(&'static str, bool)> {
    Some(match format {
        "raw" | "iso" | "fat" => ("raw", false),
        "qcow2" => ("qcow2", true),
        "qcow" => ("qcow", true),
        "qed" => ("qed", true),
        "vmdk" => ("vmdk", true),
        "vdi" => ("vdi", false),
        "vpc" => ("vpc", false),
        "vhd" | "vhdx" => ("vhdx", false),
        "ploop" | "parallels" => ("parallels", false),
        "bochs" => ("bochs", false),
        "cloop" => ("cloop", false),
        "dmg" => ("dmg", false),
        _ => return None,
    })
}

/// Whether QEMU reads images of this format; LUKS is read below raw bytes.
pub(crate) fn is_readable(format: &str) -> bool {
    format == "luks" || driver(format).is_some()
}

/// Whether QEMU reads images of this format and they cannot have anything below.
pub(crate) fn names_nothing(format: &str) -> bool {
    driver(format).is_some_and(|(_, capable)| !capable)
}

impl Format<'_> {
    /// The whole node.
    ///
    /// # Errors
    /// A format that QEMU has no driver for; a layer below a format that cannot have one.
    pub(crate) fn node(&self, name: &str) -> Result<Value, Error> {
        let (driver, capable) = driver(self.format).ok_or_else(|| {
            problem("qemu.image-format", format!("QEMU does not read images of format '{}'", self.format))
                .hint("convert the image to qcow2 or raw, and name that format in <driver type='…'/>")
                .unsupported()
        })?;
        let mut node = Value::mapping()
            .with("node-name", name)
            .with("read-only", self.read_only)
            .with_some("discard", self.options.discard())
            .with_some("detect-zeroes", self.options.detect_zeroes().filter(|_| self.active))
            .with_some("cache", self.options.cache());
        self.describe(driver, &mut node);
        node.set("file", self.file.as_str());
        self.place_backing(capable, &mut node)?;
        Ok(node)
    }

    fn describe(&self, driver: &str, node: &mut Value) {
        let encrypted = self.qemu_encryption();
        let key = self.keys.first().map(String::as_str);
        if driver == "raw" && encrypted.is_some() {
            node.set("driver", "luks");
            set_some(node, "key-secret", key);
            return;
        }
        node.set("driver", driver);
        if let (true, Some(slice)) = (driver == "raw", self.source.and_then(|source| source.slice.as_ref())) {
            node.set("offset", slice.offset);
            node.set("size", slice.size);
        }
        if let Some(format) = encrypted {
            let format = if format == "luks" { "luks" } else { "aes" };
            node.set("encrypt", Value::mapping().with("format", format).with_some("key-secret", key));
        }
        let cache = self.source.and_then(|source| source.metadata_cache).filter(|_| driver == "qcow2");
        set_some(node, "cache-size", cache.map(|size| size.0));
        let unref = self.options.discard_no_unref().filter(|_| self.active && driver == "qcow2");
        set_some(node, "discard-no-unref", unref);
        set_some(node, "data-file", self.data_file.as_deref());
    }

    fn qemu_encryption(&self) -> Option<&str> {
        let source = self.source.filter(|source| !by_client(source))?;
        source.encryption.as_ref().map(|encryption| encryption.format.as_str())
    }

    /// S0: where a format can have something below, the node says what.
    fn place_backing(&self, capable: bool, node: &mut Value) -> Result<(), Error> {
        match (&self.backing, capable) {
            (Backing::Node(name), true) => node.set("backing", name.as_str()),
            (Backing::Nothing, true) => node.set("backing", Value::Null),
            (Backing::Nothing, false) | (Backing::Unexamined, _) => {}
            (Backing::Node(_), false) => {
                let message = format!("an image of format '{}' cannot have one below it", self.format);
                return Err(problem("qemu.image-backing", message)
                    .hint("end the chain with <backingStore/>, or name the right format")
                    .invalid());
            }
        }
        Ok(())
    }
}

fn set_some(node: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        node.set(key, value);
    }
}

/// The format that a layer is read with: a file below a LUKS layer is `raw` to the host.
pub(crate) fn layer_format(layer: &Layer) -> &str {
    if layer.format == "luks" { "raw" } else { &layer.format }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(format: &str, backing: Backing) -> Format<'_> {
        Format {
            format,
            read_only: false,
            source: None,
            options: Options::default(),
            active: true,
            file: "below".to_owned(),
            data_file: None,
            backing,
            keys: &[],
        }
    }

    #[test]
    fn s0_every_format_that_can_have_a_backing_says_what_is_below() {
        for name in [
            "raw",
            "qcow2",
            "qcow",
            "qed",
            "vmdk",
            "vdi",
            "vpc",
            "vhdx",
            "parallels",
            "bochs",
            "cloop",
            "dmg",
        ] {
            let node = format(name, Backing::Nothing).node("n").unwrap();
            let said = node.get("backing");
            assert_eq!(
                said,
                (!names_nothing(name)).then_some(&Value::Null),
                "{name}: QEMU refuses it elsewhere"
            );
        }
        let node = format("qcow2", Backing::Node("libvirt-2-format".to_owned())).node("n").unwrap();
        assert_eq!(node.get("backing"), Some(&Value::from("libvirt-2-format")));
    }

    #[test]
    fn s0_a_layer_below_raw_is_an_error_not_a_silence() {
        assert!(format("raw", Backing::Node("x".to_owned())).node("n").is_err());
        assert!(format("zip", Backing::Nothing).node("n").is_err());
    }
}
