//! Firmware descriptors and what a domain asks of them, from few words, so that they often meet.

use arbitrary::Arbitrary;
use hostler_firmware::{Descriptor, FirmwareRequest, Interface};
use serde_json::json;

const ARCHITECTURES: [&str; 3] = ["x86_64", "i386", "aarch64"];
const MACHINES: [&str; 6] = ["pc-q35-7.2", "q35", "pc", "pc-i440fx-7.2", "microvm", "virt"];
const PATTERNS: [&str; 8] = ["pc-q35-*", "*", "pc-*-?.2", "microvm", "", "**q**", "pc-i440fx-*", "?"];
const FEATURES: [&str; 6] =
    ["acpi-s3", "acpi-s4", "enrolled-keys", "requires-smm", "secure-boot", "verbose-dynamic"];
const INTERFACES: [&str; 3] = ["uefi", "bios", "openfirmware"];
const FORMATS: [&str; 3] = ["raw", "qcow2", "vmdk"];
const MODES: [&str; 3] = ["split", "combined", "stateless"];
const CODE: [&str; 2] = ["/code.fd", "/other.fd"];

/// A host's descriptors and one request.
#[derive(Debug, Arbitrary)]
pub struct DescriptorCase<'a> {
    documents: Vec<Document<'a>>,
    efi: bool,
    loader: Option<bool>,
    architecture: u8,
    machine: u8,
    machine_text: Option<&'a str>,
    secure: Option<bool>,
    secure_boot: Option<bool>,
    enrolled_keys: Option<bool>,
    /// The switches of the request, one bit each.
    switches: u8,
}

#[derive(Debug, Arbitrary)]
enum Document<'a> {
    Bytes(&'a [u8]),
    Good {
        interfaces: u8,
        device: u8,
        mode: Option<u8>,
        formats: (u8, u8),
        template: bool,
        targets: Vec<(u8, Pattern<'a>)>,
        features: u8,
    },
}

#[derive(Debug, Arbitrary)]
enum Pattern<'a> {
    Known(u8),
    Text(&'a str),
}

/// The word of a list that a number stands for.
fn word<'a>(words: &[&'a str], at: u8) -> &'a str {
    words[usize::from(at) % words.len()]
}

/// The words of a list whose bits are set.
fn words<'a>(words: &[&'a str], bits: u8) -> Vec<&'a str> {
    words.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, word)| *word).collect()
}

impl DescriptorCase<'_> {
    /// The descriptors that can be read.
    ///
    /// # Panics
    /// When one cannot be read that is as the specification asks.
    #[must_use]
    pub fn descriptors(&self) -> Vec<Descriptor> {
        let read = |(at, document): (usize, &Document<'_>)| {
            let mut descriptor: Descriptor = match document {
                Document::Bytes(bytes) => serde_json::from_slice(bytes).ok()?,
                good => serde_json::from_str(&good.text()).expect("a descriptor as the specification asks"),
            };
            descriptor.path = format!("/usr/share/qemu/firmware/{at}.json").into();
            Some(descriptor)
        };
        self.documents.iter().enumerate().filter_map(read).collect()
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> FirmwareRequest {
        let interface = if self.efi { Interface::Efi } else { Interface::Bios };
        let machine = self.machine_text.unwrap_or_else(|| word(&MACHINES, self.machine));
        let on = |bit: u8| self.switches >> bit & 1 == 1;
        FirmwareRequest {
            loader: self.loader.map(|other| CODE[usize::from(other)].into()),
            secure: self.secure,
            secure_boot: self.secure_boot,
            enrolled_keys: self.enrolled_keys,
            acpi_s3: on(0),
            acpi_s4: on(1),
            stateless: on(2),
            smm_available: !on(3),
            ..FirmwareRequest::new(interface, word(&ARCHITECTURES, self.architecture), machine)
        }
    }
}

impl Document<'_> {
    fn text(&self) -> String {
        let Self::Good { interfaces, device, mode, formats, template, targets, features } = self else {
            return String::new();
        };
        let target = |(architecture, pattern): &(u8, Pattern<'_>)| {
            let pattern = match pattern {
                Pattern::Known(at) => word(&PATTERNS, *at),
                Pattern::Text(text) => text,
            };
            json!({"architecture": word(&ARCHITECTURES, *architecture), "machines": [pattern]})
        };
        let file = |name: &str, format: u8| json!({"filename": name, "format": word(&FORMATS, format)});
        let mut mapping = match device % 4 {
            0 => json!({"device": "memory", "filename": CODE[0]}),
            1 => json!({"device": "kernel", "filename": CODE[0], "new": 1}),
            2 => json!({"device": "igvm", "filename": CODE[0]}),
            _ => json!({"device": "flash", "executable": file(CODE[0], formats.0)}),
        };
        if let Some(mode) = mode.filter(|_| device % 4 == 3) {
            mapping["mode"] = word(&MODES, mode).into();
        }
        if *template && device % 4 == 3 {
            mapping["nvram-template"] = file("/vars.fd", formats.1);
        }
        let targets: Vec<_> = targets.iter().map(target).collect();
        json!({"interface-types": words(&INTERFACES, *interfaces), "mapping": mapping, "targets": targets,
            "features": words(&FEATURES, *features), "tags": []})
        .to_string()
    }
}
